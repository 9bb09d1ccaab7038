"""The telemetry tables and every SQL text about them; columns in and out are NumPy arrays.

Three tables in one database:
- `series`: one row per series, its id and labels. The low 32 bits of `sid` are a dense row number (the index's), the
  high bits the number of the metric name, so that the samples of one metric lie together.
- `series_days`: (day, sid) for every UTC day on which a series has samples; it prunes lookups and ages with them.
- `samples`: a time bucket leads the key, which made instant queries 8-25 times cheaper than (sid, ts).
Rows of `series` and `series_days` are written before the samples they belong to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from tongchou.telemetry.block_cache import BUCKET_MS
from tongchou.telemetry.series import Float64s, Int64s, Labels

ROW_BITS = 32
ROW_MASK = (1 << ROW_BITS) - 1
MS_PER_DAY = 86_400_000
_IN_LIST_LIMIT = 2_000
_MERGED_AT_ONCE = 8  # parts at least: merging two or three at a time writes the samples of large inserts more often

_DATABASE_NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
_TOKEN = re.compile(r"^[A-Za-z0-9_.:-]{1,200}$")
_TEXTS = pa.list_(pa.string())


class Engine(Protocol):
    """A way to run SQL: embedded here; a server by URL satisfies the same.

    `shared` tells whether other processes may read and write the same tables at the same time.
    """

    @property
    def shared(self) -> bool: ...

    def execute(self, sql: str) -> None:
        """Run a statement without result."""
        ...

    def insert(self, target: str, expressions: str, rows: pa.Table, *, token: str = "") -> None:
        """Insert expressions over the columns of `rows`; durable against a killed process when it returns.

        Rows of a token that was written before are dropped.
        """
        ...

    def fetch(self, sql: str, *, timeout_seconds: float = ..., max_memory_bytes: int = ...) -> pa.Table:
        """Run a SELECT and return its columns."""
        ...

    def give_back(self) -> None:
        """Give memory that is kept for later back to the system."""
        ...

    def close(self) -> None:
        """Let running work end, take no more."""
        ...


def checked_token(token: str) -> str:
    """The token of an insert as it may stand in SQL. Raises ValueError."""
    if not _TOKEN.match(token):
        raise ValueError(f"not a token: {token!r}")
    return token


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """Samples in storage order: `sid` (int64), `ts` (ms), `v`; not sorted, may hold duplicates."""

    sid: Int64s
    ts: Int64s
    v: Float64s


def _ints(table: pa.Table, name: str) -> Int64s:
    column = table.column(name)
    return np.array(column.to_numpy(), dtype=np.int64)


def tables_in(engine: Engine, database: str) -> frozenset[str]:
    """The names of the tables that a database has."""
    found = engine.fetch(f"SELECT name FROM system.tables WHERE database = '{database}'")  # noqa: S608  # our name
    return frozenset(_texts(found.column("name").to_pylist()))


def one_by_one(engine: Engine) -> tuple[str, ...]:
    """What a table's SETTINGS say so that the embedded store deletes the parts that were merged away in one thread.

    It would start a pool of 128 for it, which stays for good: 125 threads and some 50 MB after the first eight minutes.
    A server has settings of its own for that.
    """
    return () if engine.shared else ("concurrent_part_removal_threshold = 1000000",)


def _merged_wide(engine: Engine) -> tuple[str, ...]:
    """What lets the embedded store merge few parts never, and many at once. A server's release may not know it."""
    return () if engine.shared else (f"min_parts_to_merge_at_once = {_MERGED_AT_ONCE}",)


def settings_of(*texts: str) -> str:
    """A SETTINGS clause; nothing when there are none."""
    return f" SETTINGS {', '.join(texts)}" if texts else ""


def remove_one_by_one(engine: Engine, table: str) -> None:
    """As `one_by_one`, for a table that an earlier release made."""
    _set(engine, table, one_by_one(engine))


def _set(engine: Engine, table: str, settings: Sequence[str]) -> None:
    for setting in settings:
        engine.execute(f"ALTER TABLE {table} MODIFY SETTING {setting}")


class Tables:
    """The tables of one database. All methods block; every one may raise the engine's Problems."""

    def __init__(self, engine: Engine, database: str, *, retention_days: int) -> None:
        if not _DATABASE_NAME.match(database):
            raise ValueError(f"not a database name: {database!r}")
        self.engine = engine
        self.database = database
        self.retention_days = retention_days
        self.longer_days = 0  # something made of the samples is kept so long and needs their labels
        self._applied: tuple[int, int] | None = None  # the days that the tables were last told
        self.before_insert: Callable[[Int64s], None] = lambda _ts: None  # told the times of samples to be written

    @property
    def label_days(self) -> int:
        """How many days labels are kept after the last sample of a series."""
        return max(self.retention_days, self.longer_days)

    def create(self) -> None:
        """Make database and tables where they are missing, and set the retention."""
        db, days = self.database, self.retention_days
        # So that an insert whose answer got lost may be sent again; in this process no answer gets lost.
        once = ("non_replicated_deduplication_window = 1000",) if self.engine.shared else one_by_one(self.engine)
        self.engine.execute(f"CREATE DATABASE IF NOT EXISTS {db}")
        before = tables_in(self.engine, db)
        self.engine.execute(
            f"CREATE TABLE IF NOT EXISTS {db}.series (sid UInt64 CODEC(Delta, ZSTD(1)),"
            " names Array(LowCardinality(String)), label_values Array(String) CODEC(ZSTD(1)))"
            f" ENGINE = MergeTree ORDER BY sid{settings_of(*once)}"
        )
        self.engine.execute(
            f"CREATE TABLE IF NOT EXISTS {db}.series_days (day Date, sid UInt64 CODEC(Delta, ZSTD(1)))"
            f" ENGINE = MergeTree ORDER BY (day, sid) PARTITION BY toYYYYMM(day)"
            f" TTL day + INTERVAL {self.label_days + 1:d} DAY{settings_of(*once)}"
        )
        self.engine.execute(
            f"CREATE TABLE IF NOT EXISTS {db}.samples (sid UInt64 CODEC(Delta, ZSTD(1)),"
            " ts DateTime64(3) CODEC(DoubleDelta, ZSTD(1)), v Float64 CODEC(Delta(8), ZSTD(1)))"
            " ENGINE = MergeTree ORDER BY (toStartOfInterval(ts, INTERVAL 30 MINUTE), sid, ts)"
            f" PARTITION BY toYYYYMMDD(ts) TTL toDateTime(ts) + INTERVAL {days:d} DAY"
            + settings_of(
                "ttl_only_drop_parts = 1",
                "max_partitions_to_read = 0",
                "index_granularity = 2048",
                *once,
                *_merged_wide(self.engine),
            )
        )
        for name in before & {"series", "series_days", "samples"}:
            remove_one_by_one(self.engine, f"{db}.{name}")
        if "samples" in before:
            _set(self.engine, f"{db}.samples", _merged_wide(self.engine))
        self._applied = None if before else (days, self.label_days)
        self._apply_retention()

    def set_retention(self, days: int) -> None:
        """Keep samples this many days from now on."""
        self.retention_days = days
        self._apply_retention()

    def set_longer_days(self, days: int) -> None:
        """Keep labels at least this many days from now on."""
        self.longer_days = days
        self._apply_retention()

    def _apply_retention(self) -> None:
        db, days = self.database, self.retention_days
        if self._applied == (days, self.label_days):
            return
        self._applied = None  # until both are told
        quick = "SETTINGS materialize_ttl_after_modify = 0"
        self.engine.execute(f"ALTER TABLE {db}.samples MODIFY TTL toDateTime(ts) + INTERVAL {days:d} DAY {quick}")
        self.engine.execute(
            f"ALTER TABLE {db}.series_days MODIFY TTL day + INTERVAL {self.label_days + 1:d} DAY {quick}"
        )
        self._applied = (days, self.label_days)

    def drop(self) -> None:
        """Remove the database with everything in it."""
        self.engine.execute(f"DROP DATABASE IF EXISTS {self.database} SYNC")

    def insert_series(self, series: Sequence[tuple[int, Labels]], *, token: str = "") -> None:
        """Write ids and labels of new series."""
        rows = pa.table(
            {
                "sid": pa.array([sid for sid, _labels in series], pa.uint64()),
                "names": pa.array([[name for name, _value in labels] for _sid, labels in series], _TEXTS),
                "label_values": pa.array([[value for _name, value in labels] for _sid, labels in series], _TEXTS),
            }
        )
        columns = "sid, names, label_values"
        self.engine.insert(f"{self.database}.series ({columns})", columns, rows, token=token)

    def insert_days(self, day: Int64s, sid: Int64s, *, token: str = "") -> None:
        """Write that these series have samples on these days (days since the epoch)."""
        rows = pa.table({"day": day.astype(np.uint16), "sid": sid.view(np.uint64)})
        self.engine.insert(f"{self.database}.series_days (day, sid)", "toDate(day), sid", rows, token=token)

    def insert_samples(self, sid: Int64s, ts: Int64s, v: Float64s, *, token: str = "") -> None:
        """Write samples; they survive a killed process when this returns."""
        if not len(ts):
            return
        self.before_insert(ts)
        sid, ts, v = _in_order(sid, ts, v)
        rows = pa.table({"sid": sid.view(np.uint64), "ts": ts, "v": v})
        target = f"{self.database}.samples (sid, ts, v)"
        self.engine.insert(target, "sid, fromUnixTimestamp64Milli(ts), v", rows, token=token)

    def load_series(self, condition: str = "1") -> list[tuple[int, Labels]]:
        """Every series ever written and not yet pruned, by row number; each once even when it was written twice."""
        table = self.engine.fetch(
            f"SELECT sid, names, label_values FROM {self.database}.series WHERE {condition}"  # noqa: S608  # our names and integers only
            f" ORDER BY bitAnd(sid, {ROW_MASK}), sid LIMIT 1 BY bitAnd(sid, {ROW_MASK})",
            timeout_seconds=300.0,
            max_memory_bytes=4_000_000_000,
        )
        if not table.num_rows:
            return []
        names, values = table.column("names").to_pylist(), table.column("label_values").to_pylist()
        sids = table.column("sid").to_pylist()
        return [
            (sid, tuple(zip(_texts(some_names), _texts(some_values), strict=True)))
            for sid, some_names, some_values in zip(sids, names, values, strict=True)
        ]

    def load_days(self) -> tuple[Int64s, Int64s]:
        """All (day, sid) pairs that still have samples by the retention."""
        table = self.engine.fetch(
            f"SELECT DISTINCT toUInt16(day) AS day, sid FROM {self.database}.series_days"  # noqa: S608  # our name
            " ORDER BY day, sid",
            timeout_seconds=300.0,
            max_memory_bytes=4_000_000_000,
        )
        if not table.num_rows:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return _ints(table, "day"), _ints(table, "sid")

    def prune_series(self) -> None:
        """Forget series that have no day left. Only for a start, when nothing is being written."""
        db = self.database
        orphans = self.engine.fetch(
            f"SELECT count() AS n FROM {db}.series WHERE sid NOT IN (SELECT sid FROM {db}.series_days)"  # noqa: S608  # our name
        )
        if not orphans.column("n")[0].as_py():
            return
        self.engine.execute(
            f"DELETE FROM {db}.series WHERE sid NOT IN (SELECT sid FROM {db}.series_days)"  # noqa: S608  # our name
        )

    def read(
        self,
        condition: str,
        start_ms: int,
        end_ms: int,
        *,
        max_samples: int,
        timeout_seconds: float,
        max_memory_bytes: int,
    ) -> StoredSamples:
        """Samples of the closed interval whose sid satisfies `condition`; at most max_samples + 1 rows."""
        table = self.engine.fetch(
            f"SELECT sid, toUnixTimestamp64Milli(ts) AS t, v FROM {self.database}.samples"  # noqa: S608  # integers
            f" WHERE ts >= fromUnixTimestamp64Milli({start_ms:d}) AND ts <= fromUnixTimestamp64Milli({end_ms:d})"
            f" AND {condition} LIMIT {max_samples + 1:d}",
            timeout_seconds=timeout_seconds,
            max_memory_bytes=max_memory_bytes,
        )
        if not table.num_rows:
            return StoredSamples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64))
        return StoredSamples(_ints(table, "sid"), _ints(table, "t"), np.array(table.column("v").to_numpy()))

    def count(self, start_ms: int, end_ms: int) -> int:
        """Samples of the closed interval; one that was written twice counts twice."""
        table = self.engine.fetch(
            f"SELECT count() AS n FROM {self.database}.samples"  # noqa: S608  # integers and our name
            f" WHERE ts >= fromUnixTimestamp64Milli({start_ms:d}) AND ts <= fromUnixTimestamp64Milli({end_ms:d})",
            timeout_seconds=300.0,
        )
        return int(table.column("n")[0].as_py())

    def read_in_order(
        self,
        condition: str,
        start_ms: int,
        end_ms: int,
        *,
        max_samples: int,
        timeout_seconds: float,
        max_memory_bytes: int,
    ) -> StoredSamples:
        """As `read` for at most 24 days, sorted by half hour, sid and time; of the sid only the lower half."""
        table = self.engine.fetch(
            f"SELECT toUInt32(bitAnd(sid, {ROW_MASK})) AS s, toInt32(toUnixTimestamp64Milli(ts) - {start_ms:d}) AS t, v"  # noqa: S608  # integers
            f" FROM {self.database}.samples"
            f" WHERE ts >= fromUnixTimestamp64Milli({start_ms:d}) AND ts <= fromUnixTimestamp64Milli({end_ms:d})"
            f" AND {condition} ORDER BY toStartOfInterval(samples.ts, INTERVAL 30 MINUTE), sid, samples.ts"
            f" LIMIT {max_samples + 1:d}",
            timeout_seconds=timeout_seconds,
            max_memory_bytes=max_memory_bytes,
        )
        if not table.num_rows:
            return StoredSamples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64))
        return StoredSamples(_ints(table, "s"), _ints(table, "t") + start_ms, np.array(table.column("v").to_numpy()))

    def sizes(self) -> dict[str, int]:
        """Rows, bytes on disk and parts of the samples; a sample written twice counts twice."""
        table = self.engine.fetch(
            "SELECT sum(rows) AS rows, sum(bytes_on_disk) AS bytes, count() AS parts FROM system.parts"  # noqa: S608  # our name
            f" WHERE active AND database = '{self.database}' AND table = 'samples'"
        )
        return {name: int(table.column(name)[0].as_py() or 0) for name in ("rows", "bytes", "parts")}


def _in_order(sid: Int64s, ts: Int64s, v: Float64s) -> tuple[Int64s, Int64s, Float64s]:
    """The samples by half hour and sid, in each in the order of arrival: that of the table where none came late.

    NumPy takes 10 ns a sample for it, as messages are long ascending runs; the store would take 100 to 200 to sort.
    """
    order = np.argsort(sid, kind="stable")
    low, high = int(ts.min()) // BUCKET_MS, int(ts.max()) // BUCKET_MS
    if high - low >= np.iinfo(np.uint16).max:
        order = order[np.argsort(ts[order] // BUCKET_MS, kind="stable")]
    elif high > low:
        order = order[np.argsort((ts[order] // BUCKET_MS - low).astype(np.uint16), kind="stable")]
    return sid[order], ts[order], v[order]


def sid_condition(sids: Int64s) -> str:
    """The SQL condition for these ids: a list when they are few, else the id ranges of their metrics (a superset)."""
    if len(sids) <= _IN_LIST_LIMIT:
        return f"sid IN ({','.join(map(str, sids.tolist()))})" if len(sids) else "0"
    metrics = np.unique(sids >> ROW_BITS)
    if len(metrics) > _IN_LIST_LIMIT:
        return "1"
    ranges = (f"sid BETWEEN {m << ROW_BITS} AND {(m << ROW_BITS) | ROW_MASK}" for m in metrics.tolist())
    return f"({' OR '.join(ranges)})"


def _texts(raw: list[bytes | str]) -> list[str]:
    return [each.decode() if isinstance(each, bytes) else each for each in raw]
