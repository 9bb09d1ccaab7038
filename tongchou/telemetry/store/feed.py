"""The newest writes in the order of their arrival, so that every process can follow what the others took.

A copy of the samples of the last hour, keyed by when the server took them. `batch` names one insert; a reader looks
back a gap (inserts become visible in another order than they began) and leaves out the batches it has seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongchou.telemetry.series import Float64s, Int64s
from tongchou.telemetry.store.server import ServerEngine

KEEP_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Arrived:
    """Samples in the order of arrival: when (ms), in which insert, sid, ts (ms), v."""

    arrived_ms: Int64s
    batch: npt.NDArray[np.uint64]
    sid: Int64s
    ts: Int64s
    v: Float64s


class Feed:
    """The feed of one database. All methods block; every one may raise the engine's Problems."""

    def __init__(self, engine: ServerEngine, database: str) -> None:
        self.engine = engine
        self.table = f"{database}.feed"

    def create(self) -> None:
        """Make the table where it is missing; its database exists."""
        self.engine.execute(
            f"CREATE TABLE IF NOT EXISTS {self.table} (arrived DateTime64(3) DEFAULT now64(3), batch UInt64,"
            " sid UInt64, ts DateTime64(3) CODEC(DoubleDelta, ZSTD(1)), v Float64)"
            " ENGINE = MergeTree ORDER BY (arrived, batch)"
            " PARTITION BY toStartOfTenMinutes(arrived)"
            f" TTL toDateTime(arrived) + INTERVAL {KEEP_SECONDS:d} SECOND"
            " SETTINGS ttl_only_drop_parts = 1, merge_with_ttl_timeout = 600,"
            " non_replicated_deduplication_window = 1000"
        )

    def insert(self, batch: int, sid: Int64s, ts: Int64s, v: Float64s, *, token: str) -> None:
        """Tell the other processes of samples that are in the tables."""
        names = np.full(len(sid), batch, np.uint64)
        rows = pa.table({"batch": names, "sid": sid.view(np.uint64), "ts": ts, "v": v})
        self.engine.insert(
            f"{self.table} (batch, sid, ts, v)", "batch, sid, fromUnixTimestamp64Milli(ts), v", rows, token=token
        )

    def now_ms(self) -> int:
        """What time the server has."""
        found = self.engine.follow("SELECT toUnixTimestamp64Milli(now64(3)) AS t", timeout_seconds=5.0)
        return int(found.column("t")[0].as_py())

    def read(self, from_ms: int, upto_ms: int, known: Iterable[int], *, timeout_seconds: float = 8.0) -> Arrived:
        """What arrived in from <= time < upto, without the batches named in `known`."""
        names = ",".join(map(str, known))
        table = self.engine.follow(
            "SELECT toUnixTimestamp64Milli(arrived) AS a, batch, sid, toUnixTimestamp64Milli(ts) AS t, v"  # noqa: S608  # integers and our name
            f" FROM {self.table} WHERE arrived >= fromUnixTimestamp64Milli({from_ms:d})"
            f" AND arrived < fromUnixTimestamp64Milli({upto_ms:d})" + (f" AND batch NOT IN ({names})" if names else ""),
            timeout_seconds=timeout_seconds,
        )
        if not table.num_rows:
            none = np.zeros(0, np.int64)
            return Arrived(none, np.zeros(0, np.uint64), none, none, np.zeros(0, np.float64))
        arrived, sid, ts = (np.array(table.column(name).to_numpy(), dtype=np.int64) for name in ("a", "sid", "t"))
        return Arrived(arrived, table.column("batch").to_numpy(), sid, ts, np.array(table.column("v").to_numpy()))
