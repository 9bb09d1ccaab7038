"""Makes one backup file, and checks one: the same code for the running server and for the command line."""

from __future__ import annotations

import fcntl
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou import __version__
from tongchou.core.backup import archive, relational
from tongchou.core.backup.archive import Progress, Writer, Written, quiet
from tongchou.core.backup.crypt import Key
from tongchou.core.backup.parts import Part, Sink, all_parts, register
from tongchou.core.backup.scratch import BACKUP, VERIFY, scratch, sweep
from tongchou.core.problems import Conflict, Problem

_LOCK = ".tongchou-backup.lock"


def key_files() -> dict[str, Path]:
    """Return the key files of this installation by their name in a backup."""
    return {
        "keys/django.key": settings.DATA / "keys" / "django.key",
        "keys/secrets.key": Path(settings.SECRETS_KEY_FILE),
        "keys/ledger.key": Path(settings.LEDGER_KEY_FILE),
    }


def file_name(at: datetime) -> str:
    """Return the name of a backup made at this moment."""
    return f"tongchou-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}{archive.SUFFIX}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time in a folder; what a killed one left there is removed."""
    try:
        handle = (folder / _LOCK).open("a")
    except OSError as error:
        raise archive.refusal(error, folder) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(
                "backup.under_way",
                _("Another backup is being written to %(folder)s.") % {"folder": folder},
                remedy=_("Wait for it."),
            ) from error
        for left in folder.glob(f".tongchou-*{archive.SUFFIX}.partial"):
            left.unlink(missing_ok=True)
        sweep(folder)
        sweep(Path(settings.DATA))  # where a restore has its scratch
        yield


def build(
    target: Path, *, key: Key | None, with_keys: bool, reason: str = "manual", progress: Progress = quiet
) -> Written:
    """Write a backup of everything to `target`. Everything acknowledged before the call is in it.

    Raises StorageFull, Unavailable or Conflict; then nothing is left at `target`.
    """
    folder = target.parent
    header: dict[str, Any] = {
        "version": __version__,
        "created_at": timezone.now().isoformat(timespec="seconds"),
        "engine": relational.engine(),
        "keys": with_keys,
        "reason": reason,
    }
    with _alone(folder), _scratch(folder) as work, Writer(target, header, key=key, progress=progress) as writer:
        facts: dict[str, Any] = {"relational": relational.dump(writer, work), "parts": {}}
        for part in all_parts():
            facts["parts"][part.name] = part.dump(writer, work)
        if with_keys:
            for name, path in key_files().items():
                if path.exists():
                    writer.add(name, path)
        return writer.finish(**facts)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            work = stack.enter_context(scratch(folder, BACKUP))
        except OSError as error:
            raise archive.refusal(error, folder) from error
        yield work


def verify(path: Path, *, key: Key | None, progress: Progress = quiet) -> dict[str, Any]:
    """Read a whole backup and check every checksum and its database; return its manifest. Raises a Problem."""
    sweep(path.parent)
    with scratch(path.parent, VERIFY) as work:
        manifest = archive.read(path, key=key, into=work, progress=progress)
        if manifest["engine"] == "sqlite":
            relational.unpack_sqlite(work, work / "check.sqlite3")
    return manifest


def problem_facts(problem: Problem) -> dict[str, str]:
    """Return what a row keeps of a refusal."""
    return {"code": problem.code, "detail": str(problem.detail), "remedy": str(problem.remedy or "")}


# --- files that people attached -----------------------------------------------------------------------------------
def _files() -> Path:
    return Path(settings.FILES_PATH)


def _dump_files(sink: Sink, work: Path) -> dict[str, Any]:
    folder = _files()
    found = sorted(each for each in folder.rglob("*") if each.is_file()) if folder.is_dir() else []
    if not found:
        return {"files": 0}
    packed = work / "files.tar"
    with tarfile.open(packed, "w") as tar:
        for each in found:
            tar.add(each, str(each.relative_to(folder)), recursive=False)
    sink.add("files/files.tar", packed)
    packed.unlink()
    return {"files": len(found)}


def _load_files(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    packed = folder / "files" / "files.tar"
    if not packed.exists():
        return {"files": 0}
    _files().mkdir(mode=0o700, parents=True, exist_ok=True)
    with tarfile.open(packed) as tar:
        tar.extractall(_files(), filter="data")  # refuses absolute names, links out of it and devices
    return {"files": sum(1 for each in _files().rglob("*") if each.is_file())}


register(Part("files", _dump_files, _load_files, lambda: [_files()]))
