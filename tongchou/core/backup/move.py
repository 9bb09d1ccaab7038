"""SQLite to PostgreSQL: every row of every model, as it is, in one transaction, counted on both sides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core.backup.crypt import damaged
from tongchou.core.backup.relational import NEVER

SOURCE = "restore_source"
BATCH = 500


def _source(path: Path) -> None:
    """Make the SQLite file a second connection of this process, brought to the present schema."""
    connections.settings[SOURCE] = {
        **connections.settings[DEFAULT_DB_ALIAS],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {},
        "CONN_MAX_AGE": 0,
    }
    call_command("migrate", database=SOURCE, verbosity=0, interactive=False)


def _models() -> list[type[models.Model]]:
    found = [each for each in apps.get_models(include_auto_created=True) if each._meta.managed and not each._meta.proxy]
    return [each for each in found if each._meta.db_table not in NEVER]


def copy_into_default(path: Path, progress: Callable[[str, int], None]) -> dict[str, int]:
    """Copy the SQLite database at `path` (which is migrated on the way) into the migrated, empty default one.

    Foreign keys are checked at the commit, so the order of tables is of no concern. Returns rows by table.
    """
    _source(path)
    counted: dict[str, int] = {}
    try:
        with transaction.atomic():
            for model in _models():
                _empty(model)
            for model in _models():
                counted[model._meta.db_table] = _copy(model, progress)
    finally:
        connections[SOURCE].close()
        del connections.settings[SOURCE]
    return counted


def _empty(model: type[models.Model]) -> None:
    """What the migrations themselves put there comes again from the source."""
    table = connections[DEFAULT_DB_ALIAS].ops.quote_name(model._meta.db_table)
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")  # noqa: S608  # a model's own table


def _copy(model: type[models.Model], progress: Callable[[str, int], None]) -> int:
    table, fields = model._meta.db_table, list(model._meta.concrete_fields)
    rows = model._base_manager.using(SOURCE).order_by("pk")  # noqa: SLF001  # the manager that leaves nothing out
    target: Any = model._base_manager.using(DEFAULT_DB_ALIAS)  # noqa: SLF001  # the same
    count, batch = 0, list[models.Model]()
    for row in rows.iterator(chunk_size=BATCH):
        batch.append(row)
        if len(batch) == BATCH:
            count += _insert(target, batch, fields)
            progress(table, count)
    count += _insert(target, batch, fields)
    here, there = target.count(), rows.count()
    if not count == here == there:
        raise damaged(_("%(table)s has %(here)d rows instead of %(there)d") % {
            "table": table, "here": here, "there": there,
        })  # fmt: skip
    progress(table, count)
    return count


def _insert(target: Any, batch: list[models.Model], fields: list[Any]) -> int:
    """Insert rows with the values they have: no default, no `auto_now` has a say."""
    if batch:
        target._insert(batch, fields=fields, using=DEFAULT_DB_ALIAS, raw=True)  # noqa: SLF001  # bulk_create asks pre_save
    count = len(batch)
    batch.clear()
    return count
