"""Samples of half hours that are over, as they were read from the store: long ranges are asked for again and again.

A block holds every series of one metric in one half hour. It is true until a late sample comes in for that half hour.
Pure: no database, no clock. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from tongchou.telemetry.series import Int64s, SeriesBlock

BUCKET_MS = 30 * 60 * 1000

Key = tuple[int, int]  # number of the metric, bucket (half hours since the epoch)
Entry = tuple[Int64s, SeriesBlock]  # ascending rows, and their samples without labels


class BlockCache:
    """At most `max_bytes` of blocks; what was used longest ago goes first."""

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._bytes = 0
        self._newest = -1  # the newest bucket that was read; only samples up to it can be late
        self._versions: dict[int, int] = {}
        self._generation = 0

    @property
    def bytes_used(self) -> int:
        """Memory of all blocks."""
        return self._bytes

    def get(self, key: Key) -> Entry | None:
        """The rows and samples of a metric in a bucket, if they are here."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def versions(self, buckets: Iterable[int]) -> dict[int, tuple[int, int]]:
        """What `put` wants to know: take it before the store is read."""
        with self._lock:
            wanted = list(buckets)
            self._newest = max([self._newest, *wanted])
            return {bucket: (self._generation, self._versions.get(bucket, 0)) for bucket in wanted}

    def put(self, key: Key, version: tuple[int, int], rows: Int64s, block: SeriesBlock) -> None:
        """Keep a block, unless samples came in for its bucket since the version was taken."""
        size = _bytes_of(rows, block)
        if size > self.max_bytes // 4:
            return
        with self._lock:
            if version != (self._generation, self._versions.get(key[1], 0)):
                return
            before = self._entries.pop(key, None)
            self._bytes += size - (0 if before is None else _bytes_of(*before))
            self._entries[key] = (rows, block)
            while self._bytes > self.max_bytes:
                _key, dropped = self._entries.popitem(last=False)
                self._bytes -= _bytes_of(*dropped)

    def forget(self, ts_ms: Int64s) -> None:
        """Samples with these times came in: the blocks of their buckets are no longer true."""
        if self._newest < 0 or not len(ts_ms) or int(ts_ms.min()) >= (self._newest + 1) * BUCKET_MS:
            return
        late = set(np.unique(ts_ms // BUCKET_MS).tolist())
        with self._lock:
            for bucket in late:
                self._versions[bucket] = self._versions.get(bucket, 0) + 1
            for key in [key for key in self._entries if key[1] in late]:
                self._bytes -= _bytes_of(*self._entries.pop(key))
            if len(self._versions) > 10_000:
                self._versions.clear()
                self._generation += 1

    def clear(self) -> None:
        """Forget everything, also what is being read at this moment."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
            self._generation += 1


def _bytes_of(rows: Int64s, block: SeriesBlock) -> int:
    clocks = block.clocks
    return int(rows.nbytes + block.offsets.nbytes + block.v.nbytes + clocks.of.nbytes + clocks.ts.nbytes) + 200
