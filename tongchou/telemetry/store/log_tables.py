"""The log table and every SQL text about it; a search's condition comes in as SQL over the table's columns.

One row a line: time in ns, place in the order of arrival, stream, resource, level, trace, labels, fields, body. Sorted
by time, so that the newest lines of a search are read first and the rest is not read at all. Words and parts of words
are found through two bloom filters over the lower-case body; a column of places finds what is new.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tongchou.telemetry.store.tables import Engine, one_by_one, remove_one_by_one, settings_of, tables_in

NS = 1_000_000_000
_COLUMNS = "ts, seq, stream, resource, level, trace_id, labels, fields, body"
_DATABASE_NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
_FIRST_NS, _LAST_NS = 0, 9_223_372_036 * NS  # what DateTime64(9) holds from 1970 on


@dataclass(frozen=True, slots=True)
class Cost:
    """What one read may take."""

    timeout_seconds: float = 30.0
    max_memory_bytes: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A row. `size` is the whole body's length in bytes; `body` may be its beginning only."""

    ts_ns: int
    seq: int
    stream: int
    resource: str
    level: str
    trace_id: str
    labels: dict[str, str]
    fields: dict[str, str]
    body: str
    size: int


def span(start_ns: int, end_ns: int) -> str:
    """The condition start <= ts < end."""
    low, high = (min(max(each, _FIRST_NS), _LAST_NS) for each in (start_ns, end_ns))
    return f"ts >= fromUnixTimestamp64Nano({low:d}) AND ts < fromUnixTimestamp64Nano({high:d})"


class LogTables:
    """The log table of one database. All methods block; every one may raise the engine's Problems."""

    def __init__(self, engine: Engine, database: str, *, retention_days: int) -> None:
        if not _DATABASE_NAME.match(database):
            raise ValueError(f"not a database name: {database!r}")
        self.engine = engine
        self.database = database
        self.table = f"{database}.logs"
        self.retention_days = retention_days

    def create(self) -> None:
        """Make database and table where they are missing, and set the retention."""
        self.engine.execute(f"CREATE DATABASE IF NOT EXISTS {self.database}")
        there = "logs" in tables_in(self.engine, self.database)
        once = ("non_replicated_deduplication_window = 1000", *one_by_one(self.engine))
        self.engine.execute(
            f"CREATE TABLE IF NOT EXISTS {self.table} (ts DateTime64(9) CODEC(Delta, ZSTD(1)),"
            " seq UInt64 CODEC(Delta, ZSTD(1)), stream UInt64 CODEC(ZSTD(1)), resource LowCardinality(String),"
            " level LowCardinality(String), trace_id String CODEC(ZSTD(1)),"
            " labels Map(LowCardinality(String), String) CODEC(ZSTD(1)),"
            " fields Map(LowCardinality(String), String) CODEC(ZSTD(1)), body String CODEC(ZSTD(1)),"
            " INDEX places seq TYPE minmax GRANULARITY 1, INDEX streams stream TYPE set(1000) GRANULARITY 1,"
            " INDEX traces trace_id TYPE bloom_filter(0.01) GRANULARITY 1,"
            " INDEX words lower(body) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1,"
            " INDEX parts lower(body) TYPE ngrambf_v1(4, 32768, 2, 0) GRANULARITY 1)"
            " ENGINE = MergeTree ORDER BY (ts, seq) PARTITION BY toYYYYMMDD(ts)"
            f" TTL toDateTime(ts) + INTERVAL {self.retention_days:d} DAY"
            + settings_of("ttl_only_drop_parts = 1", "max_partitions_to_read = 0", *once)
        )
        if there:
            remove_one_by_one(self.engine, self.table)
            self.set_retention(self.retention_days)

    def set_retention(self, days: int) -> None:
        """Keep lines this many days; what is older goes with the next merges, by whole days."""
        self.engine.execute(
            f"ALTER TABLE {self.table} MODIFY TTL toDateTime(ts) + INTERVAL {days:d} DAY"
            " SETTINGS materialize_ttl_after_modify = 0"
        )
        self.retention_days = days

    def insert(self, rows: pa.Table, *, token: str = "") -> None:
        """Write rows; they survive a killed process when this returns. Rows of a token written before are dropped."""
        expressions = _COLUMNS.replace("ts,", "fromUnixTimestamp64Nano(ts),")
        self.engine.insert(f"{self.table} ({_COLUMNS})", expressions, rows, token=token)

    def newest_place(self) -> int:
        """The greatest place in the order of arrival; 0 when there is no line."""
        found = self.engine.fetch(f"SELECT max(seq) AS seq FROM {self.table}")  # noqa: S608  # our name
        return int(found.column("seq")[0].as_py() or 0)

    def lines(
        self, condition: str, *, order: str, limit: int, body_bytes: int, offset: int = 0, cost: Cost = Cost()
    ) -> list[StoredLine]:
        """Rows that satisfy `condition` in the given order of columns, bodies cut to `body_bytes` whole characters."""
        table = self.engine.fetch(
            "SELECT toUnixTimestamp64Nano(ts) AS t, seq, stream, resource, level, trace_id, mapKeys(labels) AS ln,"  # noqa: S608  # conditions are built and quoted by logs/condition.py
            " mapValues(labels) AS lv, mapKeys(fields) AS fn, mapValues(fields) AS fv,"
            f" length(body) AS size, if(size <= {body_bytes:d}, body, substringUTF8(body, 1, {body_bytes:d})) AS text"
            f" FROM {self.table} WHERE {condition} ORDER BY {order} LIMIT {limit:d} OFFSET {offset:d}",
            timeout_seconds=cost.timeout_seconds,
            max_memory_bytes=cost.max_memory_bytes,
        )
        return [_line(row) for row in table.to_pylist()]

    def histogram(
        self, condition: str, *, start_ns: int, step_ns: int, cost: Cost = Cost()
    ) -> list[tuple[int, str, int]]:
        """(number of the step since start, level, lines) of the lines that satisfy `condition`."""
        table = self.engine.fetch(
            f"SELECT intDiv(toUnixTimestamp64Nano(ts) - {start_ns:d}, {step_ns:d}) AS step, toString(level) AS level,"  # noqa: S608  # conditions are built and quoted by logs/condition.py
            f" count() AS lines FROM {self.table} WHERE {condition} GROUP BY step, level ORDER BY step, level",
            timeout_seconds=cost.timeout_seconds,
            max_memory_bytes=cost.max_memory_bytes,
        )
        return [(row["step"], _decoded(row["level"]), row["lines"]) for row in table.to_pylist()]

    def counts_by(self, label: str, condition: str, *, cost: Cost = Cost()) -> dict[str, int]:
        """Lines that satisfy `condition` for each value of one label ("" where it is missing)."""
        table = self.engine.fetch(
            f"SELECT labels[{label}] AS value, count() AS lines FROM {self.table} WHERE {condition} GROUP BY value",  # noqa: S608  # the same
            timeout_seconds=cost.timeout_seconds,
            max_memory_bytes=cost.max_memory_bytes,
        )
        return {_decoded(row["value"]): row["lines"] for row in table.to_pylist()}

    def top_values(self, condition: str, *, top: int, cost: Cost = Cost()) -> list[tuple[str, str, int, int]]:
        """(label, value, lines, values in all) of the most frequent values of level, resource and every label."""
        table = self.engine.fetch(
            "SELECT pair.1 AS name, pair.2 AS value, count() AS lines, count() OVER (PARTITION BY name) AS values"  # noqa: S608  # conditions are built and quoted by logs/condition.py
            " FROM (SELECT arrayJoin(arrayConcat([('level', toString(level))],"
            # a label named level stood in for the level already, when the line told none itself
            " arrayFilter(p -> p.1 != 'level', "
            " arrayZip(arrayMap(x -> toString(x), mapKeys(labels)), mapValues(labels))))) AS pair"
            f" FROM {self.table} WHERE {condition}) GROUP BY name, value"
            f" ORDER BY name, lines DESC, value LIMIT {top:d} BY name LIMIT 1000",
            timeout_seconds=cost.timeout_seconds,
            max_memory_bytes=cost.max_memory_bytes,
        )
        return [
            (_decoded(row["name"]), _decoded(row["value"]), int(row["lines"]), int(row["values"]))
            for row in table.to_pylist()
        ]

    def label_names(self, condition: str, *, cost: Cost = Cost()) -> list[str]:
        """Names of the labels of lines that satisfy `condition`."""
        return self._distinct("arrayJoin(mapKeys(labels))", condition, 10_000, cost)

    def label_values(self, name: str, condition: str, *, limit: int, cost: Cost = Cost()) -> list[str]:
        """Values of one label (a quoted SQL text) on lines that satisfy `condition`."""
        return self._distinct(f"labels[{name}]", f"({condition}) AND mapContains(labels, {name})", limit, cost)

    def streams(self, condition: str, *, limit: int, cost: Cost = Cost()) -> list[dict[str, str]]:
        """Label sets of the streams with lines that satisfy `condition`."""
        table = self.engine.fetch(
            "SELECT stream, mapKeys(any(labels)) AS ln, mapValues(any(labels)) AS lv"  # noqa: S608  # the same
            f" FROM {self.table} WHERE {condition} GROUP BY stream ORDER BY stream LIMIT {limit:d}",
            timeout_seconds=cost.timeout_seconds,
            max_memory_bytes=cost.max_memory_bytes,
        )
        return [_pairs(row["ln"], row["lv"]) for row in table.to_pylist()]

    def _distinct(self, expression: str, condition: str, limit: int, cost: Cost) -> list[str]:
        table = self.engine.fetch(
            f"SELECT DISTINCT toString({expression}) AS value FROM {self.table} WHERE {condition}"  # noqa: S608  # the same
            f" ORDER BY value LIMIT {limit:d}",
            timeout_seconds=cost.timeout_seconds,
            max_memory_bytes=cost.max_memory_bytes,
        )
        return [_decoded(row["value"]) for row in table.to_pylist()]

    def sizes(self) -> dict[str, int]:
        """Lines, bytes on disk, bytes before compression and days of the log table."""
        table = self.engine.fetch(
            "SELECT sum(rows) AS lines, sum(bytes_on_disk) AS bytes, sum(data_uncompressed_bytes) AS raw_bytes,"  # noqa: S608  # our name
            " uniqExact(partition) AS days FROM system.parts"
            f" WHERE active AND database = '{self.database}' AND table = 'logs'"
        )
        return {name: int(table.column(name)[0].as_py() or 0) for name in ("lines", "bytes", "raw_bytes", "days")}


def _decoded(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _pairs(names: Sequence[bytes | str], values: Sequence[bytes | str]) -> dict[str, str]:
    return {_decoded(name): _decoded(value) for name, value in zip(names, values, strict=True)}


def _line(held: dict[str, Any]) -> StoredLine:
    return StoredLine(
        held["t"], held["seq"], held["stream"], _decoded(held["resource"]), _decoded(held["level"]),
        _decoded(held["trace_id"]), _pairs(held["ln"], held["lv"]), _pairs(held["fn"], held["fv"]),
        _decoded(held["text"]), held["size"],
    )  # fmt: skip
