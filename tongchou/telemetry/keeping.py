"""What a backup takes of telemetry, and how long and how much of it is kept: whole days go, oldest first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core import retention, storage
from tongchou.core.backup.crypt import damaged
from tongchou.core.backup.parts import Part, Sink, register
from tongchou.core.problems import Conflict, Problem
from tongchou.core.retention import DataClass, Preview
from tongchou.telemetry import backend as telemetry_backend
from tongchou.telemetry.store import export, partitions
from tongchou.telemetry.store.partitions import Day

log = logging.getLogger(__name__)


def _dump(sink: Sink, scratch: Path) -> dict[str, Any]:
    telemetry = telemetry_backend.backend()
    telemetry.flush()  # what is in the journal only
    engine, database = telemetry.engine, telemetry.options.database
    rows: dict[str, int] = {}
    for table in export.table_names(engine, database):
        rows[table] = 0
        for number, (path, count) in enumerate(export.export(engine, database, table, scratch)):
            sink.add(f"telemetry/{table}/{number:06d}.parquet", path)
            rows[table] += count
    return {"rows": rows}


def _load(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"rows": _fill(folder, facts["rows"])}
    finally:
        telemetry_backend.close()  # the next one to open it reads labels and days anew


def _fill(folder: Path, expected: dict[str, int]) -> dict[str, int]:
    telemetry = telemetry_backend.backend()
    engine, database = telemetry.engine, telemetry.options.database
    here = export.table_names(engine, database)
    rows: dict[str, int] = {}
    for table, count in expected.items():
        files = sorted((folder / "telemetry" / table).glob("*.parquet"))
        if table not in here and files:
            raise damaged(_("this release has no telemetry table %(name)s") % {"name": table})
        rows[table] = sum(export.load(engine, database, table, each) for each in files)
        if rows[table] != count:
            raise damaged(
                _("%(table)s has %(rows)d rows, %(expected)d were backed up")
                % {"table": table, "rows": rows[table], "expected": count}
            )
    return rows


def _refuse_full() -> None:
    """A ClickHouse server's database, which is not ours to move aside, must be empty. Nothing is made there."""
    if not settings.CLICKHOUSE_URL:
        return
    with closing(telemetry_backend.open_engine()) as engine:
        database = settings.TELEMETRY_DATABASE
        if any(export.count(engine, database, table) for table in export.table_names(engine, database)):
            raise Conflict(
                "restore.telemetry_not_empty",
                _("The telemetry database %(name)s is not empty.") % {"name": database},
                remedy=_("Set TONGCHOU_TELEMETRY_DATABASE to a new name, or empty it yourself."),
            )


def _empty() -> None:
    """Empty the ClickHouse server's database, which was empty before this restore; a failure is told in the log."""
    if not settings.CLICKHOUSE_URL:
        return
    database = settings.TELEMETRY_DATABASE
    try:
        with closing(telemetry_backend.open_engine()) as engine:
            for table in export.table_names(engine, database):
                engine.execute(f"TRUNCATE TABLE {database}.{table}")
    except Problem as problem:
        log.error("the restore failed, and the telemetry database %s holds a part of it: %s", database, problem)


def _paths() -> list[Path]:
    folder = Path(settings.TELEMETRY_PATH)
    return [folder, folder.with_name(f"{folder.name}-journal")]


register(Part("telemetry", _dump, _load, _paths, check=_refuse_full, undo=_empty))


# --- retention -----------------------------------------------------------------------------------------------------
def _days(table: str) -> list[Day]:
    if not telemetry_backend.is_open():
        return []
    telemetry = telemetry_backend.backend()
    return partitions.days(telemetry.engine, telemetry.options.database, table)


def _size(table: str) -> tuple[int, int]:
    found = _days(table)
    return sum(each.rows for each in found), sum(each.bytes for each in found)


def _rollup_bytes() -> int:
    return telemetry_backend.backend().rollups.tables.sizes()["bytes"] if telemetry_backend.is_open() else 0


def _gone(table: str, before: datetime) -> list[Day]:
    """Days that lie wholly before a moment."""
    return [each for each in _days(table) if each.day < before.date()]


def _older(table: str) -> Callable[[datetime], Preview]:
    def older(before: datetime) -> Preview:
        found = _gone(table, before)
        return Preview(sum(each.rows for each in found), sum(each.bytes for each in found))

    return older


def _drop(table: str, days: list[Day]) -> None:
    if not days:
        return
    telemetry = telemetry_backend.backend()
    if table == "samples":
        telemetry.rollups.freeze([(each.day - date(1970, 1, 1)).days for each in days])
    for each in days:
        partitions.drop(telemetry.engine, telemetry.options.database, table, each.day)
    telemetry.older.clear()


def _prune(table: str) -> Callable[[datetime, int], int]:
    def prune(before: datetime, _limit: int) -> int:
        found = _gone(table, before)
        _drop(table, found)
        return sum(each.rows for each in found)

    return prune


def _shrink(table: str) -> Callable[[int], str]:
    def shrink(most_bytes: int) -> str:
        found, go = _days(table), []
        total = sum(each.bytes for each in found)
        for each in found[:-1]:  # the newest day stays, whatever its size
            if total <= most_bytes:
                break
            go.append(each)
            total -= each.bytes
        _drop(table, go)
        return f"{go[0].day} - {go[-1].day}: {sum(each.bytes for each in go)} bytes" if go else ""

    return shrink


for _name, _table, _title, _setting, _default in (
    ("metrics", "samples", _("metrics"), "metrics.retention_days", settings.TELEMETRY_RETENTION_DAYS),
    ("logs", "logs", _("log lines"), "logs.retention_days", 180),
):
    retention.register(
        DataClass(
            _name,
            _title,
            _default,
            lambda table=_table: _size(table),  # type: ignore[misc]  # bound now, as the loop goes on
            _older(_table),
            _prune(_table),
            shrink=_shrink(_table),
            days_setting=_setting,
            note=_("Whole UTC days are dropped, in every store at once."),
        )
    )
    storage.register(_name, _title, lambda table=_table: _size(table)[1])  # type: ignore[misc]  # the same
storage.register("rollups", _("rollups of metrics"), _rollup_bytes)
storage.register("journal", _("metrics on their way into the store"), lambda: storage.folder_bytes(_paths()[1]))
