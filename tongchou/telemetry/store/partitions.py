"""Whole days of the telemetry tables: how large they are, and dropping them for good."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from tongchou.telemetry.store.tables import Engine

_ID = re.compile(r"\A\d{8}\Z")


@dataclass(frozen=True, slots=True)
class Day:
    """One partition of a table that is cut by UTC day."""

    day: date
    rows: int
    bytes: int  # on disk


def days(engine: Engine, database: str, table: str) -> list[Day]:
    """Return the days of a table, oldest first."""
    found = engine.fetch(
        "SELECT partition_id AS id, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts"  # noqa: S608  # our names
        f" WHERE active AND database = '{database}' AND table = '{table}' GROUP BY id ORDER BY id"
    )
    out = []
    for row in found.to_pylist():
        name = row["id"].decode() if isinstance(row["id"], bytes) else row["id"]
        if _ID.match(name):
            day = datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC).date()
            out.append(Day(day, int(row["rows"]), int(row["bytes"])))
    return out


def drop(engine: Engine, database: str, table: str, day: date) -> None:
    """Delete a whole day; its files go at once."""
    engine.execute(f"ALTER TABLE {database}.{table} DROP PARTITION ID '{day:%Y%m%d}'")
