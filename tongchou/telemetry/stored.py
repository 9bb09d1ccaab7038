"""Samples older than the window: out of the tables, and half hours that are over out of the cache of blocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from tongchou.telemetry.block_cache import BUCKET_MS, BlockCache, Entry
from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.promql.errors import limit_exceeded
from tongchou.telemetry.series import (
    METRIC_NAME,
    Float64s,
    Int64s,
    Matcher,
    SeriesBlock,
    clocks_of,
    end_to_end,
    metric_name,
)
from tongchou.telemetry.store.errors import timed_out
from tongchou.telemetry.store.tables import ROW_BITS, StoredSamples, Tables, sid_condition
from tongchou.telemetry.window import in_order

# A bucket this long over is read for the cache: scrapes and senders are seldom later.
CLOSED_AFTER_MS = 5 * 60 * 1000
# A whole metric is read for the cache when the query wants at least one in so many of its series.
WORTH_ONE_IN = 4
READ_SAMPLES = 6_000_000  # about as many at a time: 16 bytes each on the way

Samples = tuple[Int64s, Int64s, Float64s]  # rows, ts in ms, values


class _TooMuch(Exception):
    """Half hours of a metric have many more samples than the query may read."""


class StoredReader:
    """Reads one database. `pending` tells of samples that the tables may not have yet; take it before reading them."""

    def __init__(
        self,
        tables: Tables,
        index: LabelIndex,
        cache: BlockCache,
        pending: Callable[[], list[Samples]],
        clock: Callable[[], int],
    ) -> None:
        self._tables = tables
        self._index = index
        self._cache = cache
        self._pending = pending
        self._clock = clock

    def read(self, rows: Int64s, start_ms: int, end_ms: int, limits: Limits) -> SeriesBlock:
        """Samples of the closed interval of ascending rows, without labels. Raises Problems."""
        active = self._index.active(rows, start_ms, end_ms)
        if not len(active):
            return _nothing(len(rows))
        first = start_ms // BUCKET_MS
        closed = min((self._clock() - CLOSED_AFTER_MS) // BUCKET_MS, (end_ms + 1) // BUCKET_MS)  # the first that is not
        metric = self._metric_worth_reading(active, first, closed)
        if metric is None:
            return self._fresh(rows, active, start_ms, end_ms, limits)
        deadline = time.monotonic() + limits.timeout_seconds
        try:
            parts = self._whole(metric, rows, start_ms, end_ms, range(first, closed), limits, deadline)
        except _TooMuch:
            return self._fresh(rows, active, start_ms, end_ms, replace(limits, timeout_seconds=_left(limits, deadline)))
        if closed * BUCKET_MS <= end_ms:
            left = replace(limits, timeout_seconds=_left(limits, deadline))
            parts.append(self._fresh(rows, active, closed * BUCKET_MS, end_ms, left))
        return end_to_end(parts)

    def _whole(
        self,
        metric: int,
        rows: Int64s,
        start_ms: int,
        end_ms: int,
        buckets: range,
        limits: Limits,
        deadline: float,
    ) -> list[SeriesBlock]:
        """The samples of the rows out of half hours of their metric. Raises _TooMuch where these have too many."""
        parts: list[SeriesBlock] = []
        samples = 0
        for entry in self._buckets(metric, buckets.start, buckets.stop, limits, deadline):
            parts.append(_chosen(entry, rows).between(start_ms, end_ms))
            samples += parts[-1].sample_count
            if samples > limits.max_samples:  # before they are all in memory
                raise limit_exceeded("max_samples", samples, limits.max_samples, "TONGCHOU_TELEMETRY_MAX_SAMPLES")
        return parts

    def _metric_worth_reading(self, active: Int64s, first: int, closed: int) -> int | None:
        """The number of the metric whose half hours are (to be) cached; None to read only what is asked."""
        numbers = self._index.sids(active[[0, -1]]) >> ROW_BITS
        if closed <= first or self._cache.max_bytes == 0 or numbers[0] != numbers[1]:
            return None
        number = int(numbers[0])
        if (self._index.sids(active) >> ROW_BITS != number).any():
            return None
        if len(active) * WORTH_ONE_IN >= len(self._rows_of_metric(active)):
            return number
        return number if all(self._cache.get((number, bucket)) for bucket in range(first, closed)) else None

    def _rows_of_metric(self, some: Int64s) -> Int64s:
        name = metric_name(self._index.labels(some[:1])[0])
        return self._index.find([Matcher(METRIC_NAME, "=", name)])

    def _buckets(self, metric: int, first: int, closed: int, limits: Limits, deadline: float) -> Iterator[Entry]:
        """Every half hour from first to closed (without), in order."""
        bucket = first
        while bucket < closed:
            found = self._cache.get((metric, bucket))
            if found is not None:
                yield found
                bucket += 1
                continue
            missing = [bucket]
            while missing[-1] + 1 < closed and self._cache.get((metric, missing[-1] + 1)) is None:
                missing.append(missing[-1] + 1)
            yield from self._read_buckets(metric, missing, limits, deadline)
            bucket = missing[-1] + 1

    def _read_buckets(self, metric: int, buckets: Sequence[int], limits: Limits, deadline: float) -> Iterator[Entry]:
        """Read half hours that follow each other, a few at a time, and keep those that nothing can change any more."""
        at, turn = 0, 1  # one first: it tells how many samples there are in each
        while at < len(buckets):
            some = buckets[at : at + turn]
            low, high = some[0] * BUCKET_MS, (some[-1] + 1) * BUCKET_MS - 1
            versions = self._cache.versions(some)
            pending = [_between(each, low, high) for each in self._pending()]
            waiting = {bucket for _rows, ts, _v in pending for bucket in np.unique(ts // BUCKET_MS).tolist()}
            most = max(2 * WORTH_ONE_IN * limits.max_samples, READ_SAMPLES)
            found = self._tables.read_in_order(
                f"sid BETWEEN {metric << ROW_BITS} AND {((metric + 1) << ROW_BITS) - 1}",
                low,
                high,
                max_samples=most,
                timeout_seconds=_left(limits, deadline),
                max_memory_bytes=limits.max_memory_bytes,
            )
            if len(found.ts) > most:  # the rest was cut off: neither an answer nor anything to remember
                raise _TooMuch
            bounds = np.searchsorted(found.ts // BUCKET_MS, [*some, some[-1] + 1])
            for bucket, begin, end in zip(some, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
                part = StoredSamples(found.sid[begin:end], found.ts[begin:end], found.v[begin:end])
                entry = self._entry(
                    part, [_between(each, bucket * BUCKET_MS, (bucket + 1) * BUCKET_MS - 1) for each in pending]
                )
                if bucket not in waiting:
                    self._cache.put((metric, bucket), versions[bucket], *entry)
                yield entry
            at += len(some)
            turn = max(1, min(48, READ_SAMPLES * len(some) // max(len(found.ts), 1)))

    def _entry(self, found: StoredSamples, pending: Sequence[Samples]) -> Entry:
        sample_rows = np.concatenate([self._index.rows_of(found.sid), *(rows for rows, _ts, _v in pending)])
        ts = np.concatenate([found.ts, *(each for _rows, each, _v in pending)])
        v = np.concatenate([found.v, *(each for _rows, _ts, each in pending)])
        if (sample_rows < 0).any():
            known = sample_rows >= 0
            sample_rows, ts, v = sample_rows[known], ts[known], v[known]
        if len(sample_rows) and (np.diff(sample_rows) >= 0).all():
            changes = np.r_[True, sample_rows[1:] != sample_rows[:-1]]
            rows, series = sample_rows[changes], np.cumsum(changes) - 1
        else:
            rows, series = np.unique(sample_rows, return_inverse=True)
        offsets, ts, v = in_order(series, ts, v, len(rows))
        return rows, SeriesBlock([()] * len(rows), offsets, None, v, clocks=clocks_of(offsets, ts))

    def _fresh(self, rows: Int64s, active: Int64s, start_ms: int, end_ms: int, limits: Limits) -> SeriesBlock:
        """Only what is asked, past the cache."""
        pending = self._pending()
        found = self._tables.read(
            sid_condition(self._index.sids(active)),
            start_ms,
            end_ms,
            max_samples=2 * limits.max_samples,
            timeout_seconds=limits.timeout_seconds,
            max_memory_bytes=limits.max_memory_bytes,
        )
        place = np.full(self._index.row_count, -1, np.int64)
        place[rows] = np.arange(len(rows))
        parts = [_placed(place, self._index.rows_of(found.sid), found.ts, found.v)]
        parts += [_placed(place, *_between(each, start_ms, end_ms)) for each in pending]
        series, ts, v = (np.concatenate(column) for column in zip(*parts, strict=True))
        offsets, ts, v = in_order(series, ts, v, len(rows))
        return SeriesBlock([()] * len(rows), offsets, None, v, clocks=clocks_of(offsets, ts))


def _left(limits: Limits, deadline: float) -> float:
    """Seconds until the deadline. Raises the Problem of a query that took too long."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise timed_out(limits.timeout_seconds)
    return left


def _nothing(count: int) -> SeriesBlock:
    none = np.zeros(0, np.int64)
    return SeriesBlock([()] * count, np.zeros(count + 1, np.int64), none, np.zeros(0))


def _between(samples: Samples, start_ms: int, end_ms: int) -> Samples:
    rows, ts, v = samples
    if len(ts) and (ts.max() < start_ms or ts.min() > end_ms):  # the store is asked for what is long over, mostly
        return rows[:0], ts[:0], v[:0]
    inside = (ts >= start_ms) & (ts <= end_ms)
    return rows[inside], ts[inside], v[inside]


def _chosen(entry: Entry, rows: Int64s) -> SeriesBlock:
    """The samples of these rows out of a block; who has none there is empty."""
    have, block = entry
    if len(have) == len(rows) and (have == rows).all():
        return block
    if not len(have):
        return _nothing(len(rows))
    at = np.minimum(np.searchsorted(have, rows), len(have) - 1)
    return block.take(np.where(have[at] == rows, at, -1))


def _placed(place: Int64s, rows: Int64s, ts: Int64s, v: Float64s) -> Samples:
    """(position of the series, ts, v) of the samples whose series has a position."""
    if len(rows) and rows.max() >= len(place):  # a series made after `place`
        known = rows < len(place)
        rows, ts, v = rows[known], ts[known], v[known]
    series = place[rows]
    wanted = (series >= 0) & (rows >= 0)
    if wanted.all():
        return series, ts, v
    return series[wanted], ts[wanted], v[wanted]
