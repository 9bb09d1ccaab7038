"""What core knows to check: this process, the data folder, its keys, what the pages need."""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import sqlite3
import stat
import sys
import zoneinfo
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils.translation import gettext_lazy as _

from tongchou.core.checks import Finding, Surroundings, check, fail, ok, skip, warn

LEAST_PYTHON, LEAST_SQLITE = (3, 11), (3, 37)
LEAST_FREE_BYTES, LITTLE_FREE_BYTES = 500_000_000, 5_000_000_000
LEAST_FREE_INODES = 10_000
LEAST_OPEN_FILES = 4096
BASE_MEMORY_BYTES = 700_000_000  # the process with an empty window and chDB's libraries


@check("process.versions", _("Versions"))
def versions(where: Surroundings) -> Finding:
    """Python and SQLite are new enough."""
    told = _("Python %(python)s, SQLite %(sqlite)s") % {
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
    }
    if sys.version_info < LEAST_PYTHON:
        return fail(told, _("Install Python 3.11 or newer and set the platform up again with it."))
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        return fail(told, _("Use a Python whose SQLite is 3.37 or newer."))
    return ok(told)


@check("process.debug", _("Debug mode"))
def debug(where: Surroundings) -> Finding:
    """Debug pages show settings and stack traces to anybody."""
    if settings.DEBUG:
        return warn(_("TONGCHOU_DEBUG is on: error pages show the inside of the platform."), _("Unset TONGCHOU_DEBUG."))
    return ok(_("Off."))


@check("process.limits", _("Limits of the process"))
def limits(where: Surroundings) -> Finding:
    """Enough open files, and memory for the window that the settings allow."""
    files, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < LEAST_OPEN_FILES:
        return warn(
            _("Only %(files)s files may be open at once.") % {"files": files},
            _("Raise it to 65536: LimitNOFILE in the systemd unit, or ulimit -n."),
        )
    most = memory_limit_bytes()
    needed = BASE_MEMORY_BYTES + settings.TELEMETRY_WINDOW_MAX_BYTES
    if most is not None and most < needed:
        return warn(
            _("The process may use %(most)s MB of memory; with the window of samples it may need %(needed)s MB.")
            % {"most": most // 1_000_000, "needed": needed // 1_000_000},
            _("Give it more memory (MemoryMax), or lower TONGCHOU_TELEMETRY_WINDOW_MAX_BYTES."),
        )
    return ok(_("%(files)s open files; memory is enough.") % {"files": files})


def memory_limit_bytes(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the least of this host's memory, RLIMIT_AS and the control group's limit; None when nobody says."""
    found = []
    try:
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError):
        pass
    address_space, _hard = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        found.append(address_space)
    own = ""
    try:
        own = Path("/proc/self/cgroup").read_text(encoding="ascii").rpartition("::")[2].strip()
    except OSError:
        pass
    for folder in (root / own.lstrip("/"), root):
        try:
            text = (folder / "memory.max").read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(int(text))
    return min(found, default=None)


@check("process.proxy_variables", _("Proxy variables"))
def proxy_variables(where: Surroundings) -> Finding:
    """Outgoing requests do not follow HTTP_PROXY; people who set it expect them to."""
    names = [
        name
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        if os.environ.get(name) or os.environ.get(name.lower())
    ]
    if names:
        return warn(
            _("%(names)s is set. The platform's own requests (channels, sources, steps) go out directly all the same.")
            % {"names": ", ".join(names)},
            _("Let this host reach what it must notify and scrape directly, or unset the variable."),
        )
    return ok(_("None is set."))


@check("process.ldap", _("LDAP extra"))
def ldap(where: Surroundings) -> Finding:
    """The library LDAP sign-in needs."""
    if find_spec("django_auth_ldap") is None:
        return skip(_("Not installed; only LDAP sign-in needs it (make ldap)."))
    if find_spec("ldap") is None:
        return fail(_("django-auth-ldap is here and python-ldap is not."), _("Run make ldap again."))
    return ok(_("Installed."))


@check("data.folder", _("Data folder"))
def data_folder(where: Surroundings) -> Finding:
    """The folder is ours, closed to others, and can be written."""
    return look_at_folder(settings.DATA)


def look_at_folder(folder: Path) -> Finding:
    """Judge a folder that only its owner may open; asks the file system only."""
    try:
        status = folder.stat()
    except OSError as error:
        return fail(
            _("%(path)s cannot be read: %(error)s") % {"path": folder, "error": error.strerror},
            _("Create it for the user that runs the platform, or set TONGCHOU_DATA."),
        )
    if status.st_uid != os.geteuid():
        return fail(
            _("%(path)s belongs to %(owner)s, and this runs as %(me)s.")
            % {"path": folder, "owner": _person(status.st_uid), "me": _person(os.geteuid())},
            _("Run as its owner, or: chown -R %(me)s %(path)s") % {"me": _person(os.geteuid()), "path": folder},
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail(
            _("%(path)s cannot be written.") % {"path": folder}, _("Run: chmod u+rwx %(path)s") % {"path": folder}
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        return warn(
            _("%(path)s is open to others (mode %(mode)s).")
            % {"path": folder, "mode": f"{stat.S_IMODE(status.st_mode):04o}"},
            _("Run: chmod 700 %(path)s") % {"path": folder},
        )
    return ok(str(folder))


def _person(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@check("data.space", _("Space for data"))
def data_space(where: Surroundings) -> Finding:
    """Room on the disks of both stores, in bytes and in inodes."""
    for folder in {settings.DATA, settings.TELEMETRY_PATH if settings.TELEMETRY_PATH.exists() else settings.DATA}:
        free = shutil.disk_usage(folder).free
        if free < LITTLE_FREE_BYTES:
            told = _("%(free)s MB are free at %(path)s.") % {"free": free // 1_000_000, "path": folder}
            remedy = _("Make room, or lower TONGCHOU_TELEMETRY_RETENTION_DAYS; a full disk refuses new samples.")
            return fail(told, remedy) if free < LEAST_FREE_BYTES else warn(told, remedy)
        inodes = os.statvfs(folder)
        if inodes.f_files and inodes.f_favail < LEAST_FREE_INODES:
            return warn(
                _("Only %(free)s files can still be made at %(path)s.") % {"free": inodes.f_favail, "path": folder},
                _("Delete small files there; the disk has room, its inodes are used up."),
            )
    free = shutil.disk_usage(settings.DATA).free
    return ok(_("%(free)s GB are free.") % {"free": free // 1_000_000_000})


@check("data.keys", _("Keys"))
def keys(where: Surroundings) -> Finding:
    """Every key is there, not empty, and readable for its owner only. What is in them is never told."""
    paths = [settings.SECRETS_KEY_FILE, settings.LEDGER_KEY_FILE]
    if not os.environ.get("TONGCHOU_SECRET_KEY"):
        paths.append(settings.DATA / "keys" / "django.key")
    missing = [path for path in paths if not path.exists()]
    for path in paths:
        if path in missing:
            continue
        status = path.stat()
        if status.st_size == 0 or not os.access(path, os.R_OK):
            return fail(
                _("The key %(path)s is empty or cannot be read.") % {"path": path},
                _("Put it back from its copy. Without it sessions, secrets or the ledger's signatures are lost."),
            )
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in (os.geteuid(), 0):
            return fail(
                _("The key %(path)s can be read by others (mode %(mode)s, owner %(owner)s).")
                % {"path": path, "mode": f"{stat.S_IMODE(status.st_mode):04o}", "owner": _person(status.st_uid)},
                _("Run: chmod 600 %(path)s") % {"path": path},
            )
    if missing:
        return _missing_keys(missing, has_database=where.has_database)
    return ok(_("%(count)s keys, for their owner only. Keep copies outside this machine.") % {"count": len(paths)})


def _missing_keys(missing: list[Path], *, has_database: bool) -> Finding:
    """A key is made when it is first needed; one that is gone while secrets are kept is a loss."""
    names = ", ".join(path.name for path in missing)
    if settings.SECRETS_KEY_FILE in missing and has_database and _secrets_are_kept():
        return fail(
            _("The key %(names)s is gone, and secrets are kept that only it opens.") % {"names": names},
            _("Put the key file back from its copy, or store each secret again."),
        )
    return ok(_("Not made yet: %(names)s. Each is made when it is first needed.") % {"names": names})


def _secrets_are_kept() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM core_secret LIMIT 1")
            return cursor.fetchone() is not None
    except DatabaseError:
        return False


@check("time_zones", _("Time zones"))
def time_zones(where: Surroundings) -> Finding:
    """The time zone database is here and knows the default."""
    name = settings.DEFAULT_USER_TIME_ZONE
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return fail(
            _("The time zone %(name)s is not known here.") % {"name": name},
            _("Install tzdata, or correct TONGCHOU_TIME_ZONE."),
        )
    return ok(name)


@check("translations", _("Translations"))
def translations(where: Surroundings) -> Finding:
    """Every catalogue is compiled and not older than its source."""
    return look_at_translations([Path(each) for each in settings.LOCALE_PATHS])


def look_at_translations(folders: list[Path]) -> Finding:
    """Judge the compiled catalogues under `folders`."""
    late = [
        source.parent.parent.name
        for folder in folders
        for source in folder.glob("*/LC_MESSAGES/*.po")
        if not source.with_suffix(".mo").exists() or source.with_suffix(".mo").stat().st_mtime < source.stat().st_mtime
    ]
    if late:
        return warn(
            _("Not compiled or out of date: %(names)s. Pages show English there.") % {"names": ", ".join(late)},
            _("Run tongchou setup."),
        )
    return ok(_("Compiled."))
