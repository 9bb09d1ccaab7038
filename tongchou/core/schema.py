"""The database's schema brought to this release, with a copy of SQLite before it is changed."""

from __future__ import annotations

import io
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from django.apps import apps
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations import RunPython
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext_lazy as _

from tongchou import __version__
from tongchou.core.problems import StorageFull

if TYPE_CHECKING:
    from django.db.migrations.state import StateApps

KEPT_COPIES = 3

Tell = Callable[[str], None]


def plan() -> list[str]:
    """Return the migrations that are not applied yet, in order, as app.name."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    steps = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in steps]


def bring_up(tell: Tell) -> list[str]:
    """Apply what is not applied; return it. One process at a time: the caller holds the lock of that.

    SQLite is copied to `before-<version>-<time>.sqlite3` beside it first, when it holds anything.
    """
    steps = plan()
    if not steps:
        return []
    began = time.monotonic()
    if not connections[DEFAULT_DB_ALIAS].introspection.table_names():
        create()
    else:
        if connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
            _copy_sqlite(tell)
        call_command("migrate", verbosity=1, interactive=False, stdout=_Lines(tell, len(steps)))
    tell(f"{len(steps)} migrations in {time.monotonic() - began:.1f} s")
    return steps


def create() -> None:
    """Make the tables of an empty database as they are now, in one transaction, and mark all migrations as applied.

    One migration after the other takes ten times as long: Django works out all models anew after each. A test compares
    the two ways, rows included.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    executor = MigrationExecutor(connection)
    steps = [each for each, _backwards in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    recorder = MigrationRecorder(connection)
    with connection.schema_editor(atomic=True) as editor:
        editor.create_model(recorder.Migration)
        for model in apps.get_models():
            if model._meta.can_migrate(connection):
                editor.create_model(model)
        for statement in editor.deferred_sql:
            editor.execute(statement)
        editor.deferred_sql.clear()
        for each in steps:
            for operation in each.operations:
                if isinstance(operation, RunPython):  # what an installation begins with
                    operation.code(cast("StateApps", apps), editor)
        for each in steps:
            recorder.record_applied(each.app_label, each.name)
    emit_post_migrate_signal(0, interactive=False, db=DEFAULT_DB_ALIAS)


class _Lines(io.TextIOBase):
    """Hears Django say "  Applying core.0001_initial..." and tells it with its number."""

    def __init__(self, tell: Tell, count: int) -> None:
        self._tell, self._count, self._number = tell, count, 0

    def write(self, text: str) -> int:
        word = text.strip()
        if word.startswith("Applying "):
            self._number += 1
            self._tell(f"{self._number}/{self._count} {word.removeprefix('Applying ').rstrip('.')}")
        return len(text)


def _copy_sqlite(tell: Tell) -> None:
    path = Path(str(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"]))
    folder = path.parent
    target = folder / f"before-{__version__}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.sqlite3"
    scratch = target.with_suffix(".partial")
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(scratch)) as copy:
            source.backup(copy, pages=-1)
        scratch.chmod(0o600)
        scratch.replace(target)
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageFull(
            "migrate.no_copy",
            _("The database cannot be copied before it is changed: %(error)s") % {"error": error},
            remedy=_("Free space in the data folder; nothing was changed."),
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
    tell(f"copied the database to {target}")
    for old in sorted(folder.glob("before-*.sqlite3"), key=lambda each: each.stat().st_mtime)[:-KEPT_COPIES]:
        old.unlink()
