"""A backup back in place: checked whole before anything is touched, the old moved aside and never deleted.

For the command line, which holds the data folder's lock: no server runs. What the restored rows mean now is decided
here once: stale jobs are not run, an interrupted backup is failed, rooms say what becomes of theirs.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou import __version__
from tongchou.core import ledger, seal, secrets
from tongchou.core.access import system
from tongchou.core.backup import archive, move, relational
from tongchou.core.backup.archive import Progress, quiet
from tongchou.core.backup.build import key_files
from tongchou.core.backup.crypt import Key
from tongchou.core.backup.parts import all_parts, followups, stale
from tongchou.core.backup.scratch import RESTORE, scratch, sweep
from tongchou.core.models import Job, JobState, Secret
from tongchou.core.models_backups import Backup, BackupState
from tongchou.core.models_nodes import Node
from tongchou.core.postgres.base import unlimited
from tongchou.core.problems import Conflict, Invalid, Problem, Unavailable

ACTOR = system("restore")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """What a restore did and found."""

    manifest: dict[str, Any]
    aside: list[Path] = field(default_factory=list)
    rows: int = 0
    parts: dict[str, Any] = field(default_factory=dict)
    ledger_findings: int = 0
    secrets_unreadable: int = 0
    followed: dict[str, Any] = field(default_factory=dict)


def restore(file: Path, *, key: Key | None, force: bool = False, progress: Progress = quiet) -> Report:
    """Put a backup in place. Raises a Problem; then everything is as it was before.

    Refuses stores that are not empty unless `force`, which moves them aside (`<name>.before-restore-<time>`).
    """
    data = Path(settings.DATA)
    sweep(data)
    with unlimited(), scratch(data, RESTORE) as staged:
        try:
            manifest = archive.read(file, key=key, into=staged, progress=progress)
            _check_versions(manifest)
            copy = staged / "checked.sqlite3"
            if manifest["engine"] == "sqlite":
                relational.unpack_sqlite(staged, copy)
        except OSError as error:
            raise archive.refusal(error, data) from error
        stamp = f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        report = Report(manifest)
        with _Aside(_places(manifest), stamp, force=force) as aside:
            _put_keys(staged, manifest)
            _load_relational(staged, copy, manifest, report, stamp, force=force, progress=progress)
            for part in all_parts():
                if part.name in manifest["parts"]:
                    report.parts[part.name] = part.load(staged, manifest["parts"][part.name])
            aside.keep()
        report.aside = aside.moved_to
    with unlimited():
        _follow_up(report)
    return report


def _check_versions(manifest: dict[str, Any]) -> None:
    known = set(MigrationLoader(None).disk_migrations)  # no connection: what is there may be damaged
    ours = {config.label for config in apps.get_app_configs()}
    newer = [
        f"{app}.{name}"
        for app, name in manifest["relational"]["migrations"]
        if app in ours and (app, name) not in known
    ]
    if newer:
        raise Invalid(
            "restore.newer",
            _("The backup is of release %(theirs)s, whose schema this release (%(ours)s) does not know: %(names)s.")
            % {"theirs": manifest["version"], "ours": __version__, "names": ", ".join(newer[:3])},
            field="file",
            remedy=_("Restore it with release %(theirs)s or a later one.") % {"theirs": manifest["version"]},
        )
    if manifest["engine"] == "postgresql" and connection.vendor == "sqlite":
        raise Invalid(
            "restore.engine",
            _("The backup is of a PostgreSQL database; this installation uses SQLite."),
            field="file",
            remedy=_("Set TONGCHOU_DATABASE_URL to an empty PostgreSQL database, then restore again."),
        )


def _places(manifest: dict[str, Any]) -> list[Path]:
    """What a restore replaces on this host."""
    found = [path for part in all_parts() for path in part.paths()]
    if connection.vendor == "sqlite":
        database = Path(str(connection.settings_dict["NAME"]))
        found += [database.with_name(database.name + end) for end in ("", "-wal", "-shm")]
    if manifest["keys"]:
        names = {each["name"] for each in manifest["files"]}
        found += [path for name, path in key_files().items() if name in names]
    return found


class _Aside:
    """Moves what is there out of the way, and back again when what follows fails."""

    def __init__(self, places: list[Path], stamp: str, *, force: bool) -> None:
        self._places, self._stamp, self._kept = places, stamp, False
        self._moved: list[tuple[Path, Path]] = []
        full = [each for each in places if _has_content(each) and each not in key_files().values()]
        if full and not force:
            raise Conflict(
                "restore.not_empty",
                _("There is data already: %(paths)s") % {"paths": ", ".join(str(each) for each in full[:4])},
                remedy=_("Restore into an empty data folder, or use --force, which moves what is there aside."),
            )

    @property
    def moved_to(self) -> list[Path]:
        return [aside for _place, aside in self._moved]

    def __enter__(self) -> _Aside:
        connections.close_all()
        try:
            for place in self._places:
                if place.exists():
                    aside = place.with_name(f"{place.name}.{self._stamp}")
                    place.rename(aside)
                    self._moved.append((place, aside))
        except OSError as error:
            self._back()
            raise Unavailable(
                "restore.not_moved",
                _("%(path)s cannot be moved aside: %(error)s") % {"path": place, "error": error.strerror or error},
                remedy=_("A mount point cannot be renamed: point the setting at a folder inside it."),
            ) from error
        return self

    def keep(self) -> None:
        """What is in place now is good."""
        self._kept = True

    def __exit__(self, *_error: object) -> None:
        connections.close_all()
        if not self._kept:
            self._back()

    def _back(self) -> None:
        for place in self._places:
            if place.is_dir():
                shutil.rmtree(place)  # what this restore itself had begun to write
            else:
                place.unlink(missing_ok=True)
        for place, aside in self._moved:
            aside.rename(place)
        self._moved.clear()


def _has_content(path: Path) -> bool:
    if path.is_dir():
        return any(each.is_file() for each in path.rglob("*"))
    return path.exists() and path.stat().st_size > 0


def _put_keys(staged: Path, manifest: dict[str, Any]) -> None:
    for name, path in key_files().items():
        source = staged / name
        if manifest["keys"] and source.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(source, path)
            path.chmod(0o600)


def _load_relational(
    staged: Path,
    copy: Path,
    manifest: dict[str, Any],
    report: Report,
    stamp: str,
    *,
    force: bool,
    progress: Progress,
) -> None:
    rows: dict[str, int] = manifest["relational"]["rows"]
    if connection.vendor == "sqlite":
        shutil.move(copy, str(connection.settings_dict["NAME"]))
        report.rows = sum(rows.values())
        return
    _make_room(stamp, force=force)
    if manifest["engine"] == "sqlite":
        call_command("migrate", verbosity=0, interactive=False)
        counted = move.copy_into_default(copy, progress)
    else:
        _migrate_to(manifest["relational"]["migrations"])
        counted = relational.load_postgresql(staged, manifest["relational"])
        wrong = [name for name, count in counted.items() if count != rows[name]]
        if wrong:
            raise Unavailable("restore.rows", _("Rows are missing in %(names)s.") % {"names": ", ".join(wrong[:5])})
    report.rows = sum(counted.values())


def _make_room(stamp: str, *, force: bool) -> None:
    """An empty schema: what is there is renamed with `force`, and otherwise a reason to refuse."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()")
        tables = cursor.fetchone()[0]
        if not tables:
            return
        if not force:
            raise Conflict(
                "restore.not_empty",
                _("The PostgreSQL database has %(count)d tables already.") % {"count": tables},
                remedy=_("Restore into an empty database, or use --force, which renames the schema that is there."),
            )
        cursor.execute("SELECT current_schema()")
        schema = cursor.fetchone()[0]
        aside = f"{schema}_{stamp}".replace("-", "_").lower()
        with transaction.atomic():
            cursor.execute(f'ALTER SCHEMA "{schema}" RENAME TO "{aside}"')
            cursor.execute(f'CREATE SCHEMA "{schema}"')
        log.warning("what was in the database is in the schema %s now", aside)


def _migrate_to(applied: list[list[str]]) -> None:
    """Make the schema that the backup had; what is newer comes afterwards."""
    executor = MigrationExecutor(connection)
    nodes = {(app, name) for app, name in applied} & set(executor.loader.graph.nodes)
    last = {app: (app, name) for app, name in applied if (app, name) in nodes}
    executor.migrate(sorted(last.values()))


def _follow_up(report: Report) -> None:
    """Bring the schema to this release, and decide once what the restored rows mean now."""
    connections.close_all()
    call_command("migrate", verbosity=0, interactive=False)
    if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
        relational.reset_sequences(list(apps.get_models(include_auto_created=True)))
    now = timezone.now()
    with transaction.atomic():
        Backup.objects.filter(state__in=[BackupState.QUEUED, BackupState.RUNNING]).update(
            state=BackupState.FAILED,
            finished_at=now,
            problem={"code": "backup.interrupted", "detail": "This backup was being made when it was written."},
        )
        Node.objects.all().delete()  # processes of the old installation: none of them runs on these stores
        Secret.objects.filter(name__startswith="backup.once.").delete()  # the passphrase of that backup alone
        Job.objects.filter(name__startswith="core.backup", state__in=[JobState.QUEUED, JobState.RUNNING]).delete()
        skipped = 0
        for name, age in stale().items():
            old = Job.objects.filter(name=name, state__in=[JobState.QUEUED, JobState.RUNNING], created_at__lt=now - age)
            skipped += old.update(
                state=JobState.DEAD, finished_at=now, error="cancelled by a restore: it was too old to run"
            )
        report.followed = {"stale_jobs": skipped}
        for function in followups():
            report.followed |= function()
        ledger.record(
            actor=ACTOR,
            verb="backup.restored",
            subject="core.restore:" + f"{now:%Y%m%dT%H%M%S}",
            payload={
                "made_at": report.manifest["created_at"],
                "version": report.manifest["version"],
                "rows": report.rows,
                "parts": report.parts,
                **report.followed,
            },
        )
    report.ledger_findings = len(seal.verify())
    report.secrets_unreadable = sum(not _readable(name) for name in Secret.objects.values_list("name", flat=True))


def _readable(name: str) -> bool:
    try:
        secrets.reveal(name)
    except Problem:
        return False
    return True
