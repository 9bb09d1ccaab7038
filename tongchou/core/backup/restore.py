"""A backup back in place: checked whole before anything is touched, the old moved aside and never deleted.

For the command line, which holds the data folder's lock: no server runs. What the restored rows mean now is decided
here once: stale jobs are not run, an interrupted backup is failed, rooms say what becomes of theirs.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou import __version__
from tongchou.core import ledger, schema, seal, secrets
from tongchou.core.access import system
from tongchou.core.backup import archive, move, relational
from tongchou.core.backup.archive import Progress, quiet
from tongchou.core.backup.aside import Aside
from tongchou.core.backup.build import key_files
from tongchou.core.backup.crypt import Key
from tongchou.core.backup.parts import Part, all_parts, followups, stale
from tongchou.core.backup.scratch import RESTORE, scratch, sweep
from tongchou.core.log_lines import masked
from tongchou.core.models import Job, JobState, Secret
from tongchou.core.models_backups import Backup, BackupState
from tongchou.core.models_nodes import Node
from tongchou.core.postgres.base import unlimited
from tongchou.core.problems import Invalid, Problem, Unavailable

ACTOR = system("restore")


@dataclass(slots=True)
class Report:
    """What a restore did and found."""

    manifest: dict[str, Any]
    aside: list[str] = field(default_factory=list)
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
        parts = [each for each in all_parts() if each.name in manifest["parts"]]
        for part in parts:
            part.check()
        report = Report(manifest)
        try:
            with Aside(_places(manifest), stamp, force=force) as aside:
                _put_in_place(staged, copy, parts, report, progress)
                report.aside = aside.moved_to
                aside.keep()
        except (OSError, DatabaseError, psycopg.Error) as error:
            raise Unavailable(
                "restore.broken_off",
                _("The restore broke off: %(error)s") % {"error": masked(f"{type(error).__name__}: {error}".strip())},
                remedy=_("Everything is as it was before. Mend the cause and restore again."),
            ) from error
    return report


def _put_in_place(staged: Path, copy: Path, parts: list[Part], report: Report, progress: Progress) -> None:
    """Fill the stores, which are empty now; what no folder holds is emptied again when a step fails."""
    manifest = report.manifest
    with ExitStack() as undo:
        _put_keys(staged, manifest)
        _load_relational(staged, copy, manifest, report, progress)
        for part in parts:
            undo.callback(part.undo)
            report.parts[part.name] = part.load(staged, manifest["parts"][part.name])
        _follow_up(report)
        undo.pop_all()


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
    progress: Progress,
) -> None:
    rows: dict[str, int] = manifest["relational"]["rows"]
    if connection.vendor == "sqlite":
        shutil.move(copy, str(connection.settings_dict["NAME"]))
        report.rows = sum(rows.values())
        return
    if manifest["engine"] == "sqlite":
        schema.create()
        counted = move.copy_into_default(copy, progress)
    else:
        _migrate_to(manifest["relational"]["migrations"])
        counted = relational.load_postgresql(staged, manifest["relational"])
        wrong = [name for name, count in counted.items() if count != rows[name]]
        if wrong:
            raise Unavailable("restore.rows", _("Rows are missing in %(names)s.") % {"names": ", ".join(wrong[:5])})
    report.rows = sum(counted.values())


def _migrate_to(applied: list[list[str]]) -> None:
    """Make the schema that the backup had; what is newer comes afterwards."""
    executor = MigrationExecutor(connection)
    nodes = {(app, name) for app, name in applied} & set(executor.loader.graph.nodes)
    if nodes == set(executor.loader.graph.nodes):
        schema.create()
        return
    last = {app: (app, name) for app, name in applied if (app, name) in nodes}
    executor.migrate(sorted(last.values()))


def _follow_up(report: Report) -> None:
    """Bring the schema to this release, and decide once what the restored rows mean now."""
    connections.close_all()
    if schema.plan():
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
