"""The tables of rollups and every SQL text about them.

- `rollup_5m`, `rollup_1h`: one row per series and bucket (`telemetry.buckets`); a bucket rolled again is another row
  with a later `made`, the later one counts.
- `rollup_touched`: (hour, at): samples of that hour were about to be written at that time. Written before them.
- `rollup_done`: (hour, upto): everything of that hour which was touched until then is in the rollups.
Hours are numbers: hour H covers (H - 1, H] hours since the epoch. `at` and `upto` are by the store's clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tongchou.telemetry.buckets import FIELDS, FIVE_MINUTES_MS, HOUR_MS, WIDTH_NAMES, Buckets, Column
from tongchou.telemetry.series import Int64s
from tongchou.telemetry.store.tables import MS_PER_DAY, Engine, one_by_one, remove_one_by_one, settings_of, tables_in

FOR_GOOD = 2**62  # `upto` of hours whose samples were dropped: they are never rolled again
TOUCHED_DAYS = 800
_TTL_DAYS = re.compile(r"TTL e \+ toIntervalDay\((\d+)\)")
_PARTITIONS = {FIVE_MINUTES_MS: "toMonday(e)", HOUR_MS: "toYYYYMM(e)"}
_OUT = {
    "first_ts": "(toUnixTimestamp(e) * 1000 - toInt64(first_before))",
    "last_ts": "(toUnixTimestamp(e) * 1000 - toInt64(last_before))",
}


@dataclass(frozen=True, slots=True)
class StoredBuckets:
    """Rows in storage order, not sorted, a bucket maybe several times; `buckets.series` holds store ids."""

    buckets: Buckets
    made: Int64s


class RollupTables:
    """The rollups of one database. All methods block; every one may raise the engine's Problems."""

    def __init__(self, engine: Engine, database: str, *, retention_days: Mapping[int, int]) -> None:
        self.engine = engine
        self.database = database
        self.retention_days = dict(retention_days)  # width in ms -> days, at least 1

    def table(self, width_ms: int) -> str:
        """The table of one width."""
        return f"{self.database}.rollup_{WIDTH_NAMES[width_ms]}"

    def create(self) -> None:
        """Make the tables where they are missing, and set the retention; their database exists."""
        before, alone = tables_in(self.engine, self.database), one_by_one(self.engine)
        for width_ms, partition in _PARTITIONS.items():
            floats = "".join(f" {name} Float64 CODEC(Delta(8), ZSTD(1))," for name in FIELDS if name.startswith("v_"))
            self.engine.execute(
                f"CREATE TABLE IF NOT EXISTS {self.table(width_ms)} (sid UInt64 CODEC(Delta, ZSTD(1)),"
                " e DateTime CODEC(DoubleDelta, ZSTD(1)), n UInt32 CODEC(ZSTD(1)),"
                " first_before UInt32 CODEC(ZSTD(1)), last_before UInt32 CODEC(ZSTD(1)),"
                f"{floats} fallen Float64 CODEC(ZSTD(1)), ends_stale UInt8 CODEC(ZSTD(1)), made Int64 CODEC(ZSTD(1)))"
                f" ENGINE = ReplacingMergeTree(made) ORDER BY (sid, e) PARTITION BY {partition}"
                f" TTL e + INTERVAL {self.retention_days[width_ms]:d} DAY"
                + settings_of("ttl_only_drop_parts = 1", "max_partitions_to_read = 0", *alone)
            )
            if self.table(width_ms).split(".")[1] in before:
                self.retention_days[width_ms] = self._stored_days(width_ms)
        self.engine.execute(
            f"CREATE TABLE IF NOT EXISTS {self.database}.rollup_touched"
            " (hour UInt32, at DateTime64(3) DEFAULT now64(3))"
            f" ENGINE = MergeTree ORDER BY (hour, at) TTL toDateTime(at) + INTERVAL {TOUCHED_DAYS:d} DAY"
            + settings_of(*alone)
        )
        self.engine.execute(
            f"CREATE TABLE IF NOT EXISTS {self.database}.rollup_done (hour UInt32, upto Int64)"
            " ENGINE = ReplacingMergeTree(upto) ORDER BY hour" + settings_of(*alone)
        )
        for name in before & {"rollup_5m", "rollup_1h", "rollup_touched", "rollup_done"}:
            remove_one_by_one(self.engine, f"{self.database}.{name}")

    def _stored_days(self, width_ms: int) -> int:
        """The retention that the table has: what was set at run time outlives the process."""
        found = self.engine.fetch(
            "SELECT create_table_query AS q FROM system.tables"  # noqa: S608  # our names
            f" WHERE database = '{self.database}' AND name = '{self.table(width_ms).split('.')[1]}'"
        )
        raw = found.column("q")[0].as_py()
        days = _TTL_DAYS.search(raw.decode() if isinstance(raw, bytes) else raw)
        return int(days.group(1)) if days else self.retention_days[width_ms]

    def set_retention(self, width_ms: int, days: int) -> None:
        """Keep rollups of this width so many days (at least 1) from now on."""
        self.retention_days[width_ms] = days
        self.engine.execute(
            f"ALTER TABLE {self.table(width_ms)} MODIFY TTL e + INTERVAL {self.retention_days[width_ms]:d} DAY"
            " SETTINGS materialize_ttl_after_modify = 0"
        )

    def now_ms(self) -> int:
        """What time the store has."""
        found = self.engine.fetch("SELECT toUnixTimestamp64Milli(now64(3)) AS t", timeout_seconds=5.0)
        return int(found.column("t")[0].as_py())

    def touch(self, hours: Int64s) -> None:
        """Samples of these hours are about to be written."""
        rows = pa.table({"hour": hours.astype(np.uint32)})
        self.engine.insert(f"{self.database}.rollup_touched (hour)", "hour", rows)

    def mark_done(self, hours: Int64s, upto_ms: int) -> None:
        """Everything of these hours which was touched until then is rolled."""
        rows = pa.table({"hour": hours.astype(np.uint32), "upto": np.full(len(hours), upto_ms, np.int64)})
        self.engine.insert(f"{self.database}.rollup_done (hour, upto)", "hour, upto", rows)

    def forget_done(self, first_hour: int, last_hour: int) -> None:
        """Hours first < hour <= last are not rolled any more, but those that are frozen."""
        self.engine.execute(
            f"DELETE FROM {self.database}.rollup_done"  # noqa: S608  # our name and integers
            f" WHERE hour > {first_hour:d} AND hour <= {last_hour:d} AND upto < {FOR_GOOD}"
        )

    def touched(self) -> Int64s:
        """Hours that have samples, ascending."""
        return self._hours(f"SELECT DISTINCT hour FROM {self.database}.rollup_touched")  # noqa: S608  # our name

    def done(self) -> Int64s:
        """Hours that were rolled at least once, ascending."""
        return self._hours(f"SELECT DISTINCT hour FROM {self.database}.rollup_done")  # noqa: S608  # our name

    def frozen(self) -> Int64s:
        """Hours whose samples were dropped before their time, ascending."""
        return self._hours(f"SELECT DISTINCT hour FROM {self.database}.rollup_done WHERE upto >= {FOR_GOOD}")  # noqa: S608  # ours

    def due(self, cut_ms: int) -> Int64s:
        """Hours that were touched after they were rolled and not later than at `cut_ms`, ascending."""
        db = self.database
        return self._hours(
            f"SELECT DISTINCT hour FROM {db}.rollup_touched AS t LEFT JOIN"  # noqa: S608  # our names and an integer
            f" (SELECT hour, max(upto) AS upto FROM {db}.rollup_done GROUP BY hour) AS d USING (hour)"
            f" WHERE toUnixTimestamp64Milli(at) > upto AND toUnixTimestamp64Milli(at) <= {cut_ms:d}"
        )

    def _hours(self, sql: str) -> Int64s:
        table = self.engine.fetch(sql)
        return np.sort(np.array(table.column("hour").to_numpy(), dtype=np.int64)) if table.num_rows else _NONE

    def hours_with_samples(self) -> Int64s:
        """Every hour with samples in the raw table, ascending: for a store that is older than its rollups."""
        return self._hours(
            "SELECT DISTINCT toUInt32(intDiv(toUnixTimestamp64Milli(ts) + 3599999, 3600000)) AS hour"  # noqa: S608  # our name
            f" FROM {self.database}.samples"
        )

    def insert(self, width_ms: int, buckets: Buckets, made_ms: int) -> None:
        """Write buckets; `buckets.series` holds store ids."""
        columns = buckets.columns
        rows = pa.table(
            {
                "sid": buckets.series.view(np.uint64),
                "e": (buckets.end // 1000).astype(np.uint32),
                "n": columns["n"].astype(np.uint32),
                "first_before": (buckets.end - columns["first_ts"]).astype(np.uint32),
                "last_before": (buckets.end - columns["last_ts"]).astype(np.uint32),
                **{name: columns[name] for name in FIELDS if name.startswith("v_") or name == "fallen"},
                "ends_stale": columns["ends_stale"].astype(np.uint8),
                "made": np.full(len(buckets), made_ms, np.int64),
            }
        )
        names = rows.column_names
        expressions = ", ".join("toDateTime(e)" if name == "e" else name for name in names)
        self.engine.insert(f"{self.table(width_ms)} ({', '.join(names)})", expressions, rows)

    def read(
        self,
        width_ms: int,
        condition: str,
        fields: Sequence[str],
        *,
        max_rows: int,
        timeout_seconds: float,
        max_memory_bytes: int,
    ) -> StoredBuckets:
        """Buckets that satisfy the condition (over `sid` and `e`), at most max_rows + 1 rows."""
        listed = ", ".join(f"{_OUT.get(name, name)} AS f_{name}" for name in fields)
        table = self.engine.fetch(
            f"SELECT sid, toUnixTimestamp(e) AS t, made, {listed} FROM {self.table(width_ms)}"  # noqa: S608  # our names
            f" WHERE {condition} LIMIT {max_rows + 1:d}",
            timeout_seconds=timeout_seconds,
            max_memory_bytes=max_memory_bytes,
        )
        if not table.num_rows:
            columns = {name: _FLOATLESS if name.startswith("v_") or name == "fallen" else _NONE for name in fields}
            return StoredBuckets(Buckets(_NONE, _NONE, columns), _NONE)

        def column(name: str) -> Column:
            raw: Column = table.column(name).to_numpy()
            return raw if raw.dtype == np.float64 else raw.astype(np.int64)

        columns = {name: column(f"f_{name}") for name in fields}
        series, end = (table.column(name).to_numpy().astype(np.int64) for name in ("sid", "t"))
        made = table.column("made").to_numpy().astype(np.int64)
        return StoredBuckets(Buckets(series, end * 1000, columns), made)

    def samples_in(self, condition: str, *, timeout_seconds: float) -> int:
        """About how many samples the buckets of an hour that satisfy the condition were made of."""
        table = self.engine.fetch(
            f"SELECT sum(n) AS n FROM {self.table(HOUR_MS)} WHERE {condition}",  # noqa: S608  # our names
            timeout_seconds=timeout_seconds,
        )
        return int(table.column("n")[0].as_py() or 0)

    def sizes(self) -> dict[str, int]:
        """Rows and bytes on disk of all rollups."""
        table = self.engine.fetch(
            "SELECT sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts"  # noqa: S608  # our name
            f" WHERE active AND database = '{self.database}' AND table IN ('rollup_5m', 'rollup_1h')"
        )
        return {name: int(table.column(name)[0].as_py() or 0) for name in ("rows", "bytes")}


_NONE = np.zeros(0, np.int64)
_FLOATLESS = np.zeros(0, np.float64)


def kept_from_ms(days: int, now_ms: int) -> int:
    """The oldest time that a retention of so many days keeps."""
    return now_ms - days * MS_PER_DAY


def between(start_ms: int, end_ms: int) -> str:
    """The SQL condition for the buckets that cover (start_ms, end_ms], both multiples of a second."""
    return f"e > toDateTime({start_ms // 1000:d}) AND e <= toDateTime({end_ms // 1000:d})"


def on_grid(last_ms: int, step_ms: int, range_ms: int) -> str:
    """The SQL condition for the buckets that lie in (E - range, E] for some E = last - k * step."""
    return f"({last_ms // 1000:d} - toUnixTimestamp(e)) % {step_ms // 1000:d} < {range_ms // 1000:d}"
