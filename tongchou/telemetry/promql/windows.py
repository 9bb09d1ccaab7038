"""From blocks of samples to the grid: the newest sample at each step, and the window of samples behind each step.

Windows and the lookback are open to the left, (end - range, end], as in Prometheus 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tongchou.telemetry.promql.grid import Context, Vector
from tongchou.telemetry.series import Bools, Clocks, Float64s, Int64s, Labels, SeriesBlock, is_stale

A = TypeVar("A", Int64s, Float64s, Bools)


# Cells of a matrix that are worked on together, so that the intermediate arrays stay in the processor's cache.
CHUNK_CELLS = 48_000


def chunks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows that together hold about CHUNK_CELLS cells."""
    size = max(1, CHUNK_CELLS // max(columns, 1))
    for first in range(0, rows, size):
        yield slice(first, min(first + size, rows))


def positions(clocks: Clocks, times_ms: Int64s) -> Int64s:
    """How many timestamps of each clock are <= each of these ascending times, [clocks x times]."""
    n, steps = len(clocks), len(times_ms)
    if n == 0 or steps == 0 or not len(clocks.ts):
        return np.zeros((n, steps), np.int64)
    if n == 1:
        found: Int64s = np.searchsorted(clocks.ts, times_ms, side="right").astype(np.int64)
        return found[None, :]
    if steps > 2 and (np.diff(times_ms, 2) != 0).any():
        return _searched(clocks, times_ms)
    # Evenly spaced. The first time at which a timestamp counts, then how many count up to each time: no search at all.
    width = int(times_ms[1] - times_ms[0]) if steps > 1 else 1
    since = np.clip(-((times_ms[0] - clocks.ts) // width), 0, steps)
    cell = np.repeat(np.arange(n, dtype=np.int64) * (steps + 1), np.diff(clocks.offsets)) + since
    counted = np.bincount(cell, minlength=n * (steps + 1)).reshape(n, steps + 1)[:, :steps]
    return np.cumsum(counted, axis=1, dtype=np.int64)


def _searched(clocks: Clocks, times_ms: Int64s) -> Int64s:
    """`positions` by one binary search over all clocks: clock and time are packed into one ascending key."""
    first = int(clocks.ts.min())
    span = int(clocks.ts.max()) - first + 2
    number = np.arange(len(clocks), dtype=np.int64) * span
    keys = np.repeat(number, np.diff(clocks.offsets)) + (clocks.ts - first + 1)
    wanted = np.clip(times_ms - first + 1, 0, span - 1)
    found = np.searchsorted(keys, (number[:, None] + wanted[None, :]).ravel(), side="right")
    packed: Int64s = found.reshape(len(clocks), len(times_ms)) - clocks.offsets[:-1, None]
    return packed


def newest(block: SeriesBlock, times_ms: Int64s, lookback_ms: int) -> tuple[Float64s, Bools, Int64s]:
    """The newest sample at or before each time, not older than the lookback and not stale.

    Returns values, presence and sample timestamps, each [series x times]; the last two may be broadcast views.
    """
    shape = (len(block), len(times_ms))
    if block.sample_count == 0:
        return np.full(shape, np.nan), np.zeros(shape, np.bool_), np.zeros(shape, np.int64)
    clocks = block.clocks
    index = positions(clocks, times_ms) - 1
    exists = index >= 0
    index = np.maximum(index, 0)
    # An empty clock has nothing to point at: any timestamp does, it does not exist.
    stamps = clocks.ts[np.minimum(clocks.offsets[:-1, None] + index, len(clocks.ts) - 1)]
    fresh = exists & (stamps > times_ms[None, :] - lookback_ms)
    values = np.empty(shape)
    for part in chunks(*shape):
        values[part] = _picked(block.v, block.offsets[:-1], clocks.of, index, part)
    present = _spread(fresh, clocks.of)
    if np.isnan(np.add.reduce(block.v)):
        present = present & ~is_stale(values)
    return values, present, _spread(stamps, clocks.of)


def _spread(by_clock: A, of: Int64s) -> A:
    """What each clock has, for each series; a view where all share one."""
    if len(by_clock) == 1:
        return np.broadcast_to(by_clock, (len(of), by_clock.shape[1]))
    return by_clock[of]


def _picked(v: Float64s, starts: Int64s, of: Int64s, index: Int64s, part: slice) -> Float64s:
    """The values at `index` ([clocks x steps], counted within the clock) of a slice of series, [series x steps]."""
    found: Float64s
    if len(index) == 1 and len(of):
        # One clock: every series has as many samples, the values are a matrix.
        found = np.take(v.reshape(len(of), -1)[part], index[0], axis=1)
        return found
    at = starts[part, None] + index[of[part]]
    found = v[np.minimum(at, len(v) - 1)]
    return found


@dataclass(slots=True)
class Windows:
    """A range vector at every step: window (i, j) holds the samples lo[i, j] to hi[i, j] of the block (without hi).

    They are kept by clock: `first` and `after` are [clocks x steps], counted from the first sample of the clock.
    ends_ms is the right edge of the windows per step, range_ms their length.
    """

    block: SeriesBlock
    drop: Bools
    first: Int64s
    after: Int64s
    ends_ms: Int64s
    range_ms: int

    @property
    def labels(self) -> list[Labels]:
        """Labels of the series."""
        return self.block.labels

    @property
    def ts(self) -> Int64s:
        """Timestamps (ms) of the block."""
        return self.block.ts

    @property
    def v(self) -> Float64s:
        """Values of the block."""
        return self.block.v

    @property
    def st(self) -> Int64s | None:
        """Start timestamps of the block, as in SeriesBlock."""
        return self.block.st

    @property
    def shape(self) -> tuple[int, int]:
        """(series, steps)."""
        return len(self.block), len(self.ends_ms)

    @property
    def lo(self) -> Int64s:
        """Index of the first sample of every window, [series x steps]."""
        return self.block.offsets[:-1, None] + self.first[self.block.clocks.of]

    @property
    def hi(self) -> Int64s:
        """Index behind the last sample of every window, [series x steps]."""
        return self.block.offsets[:-1, None] + self.after[self.block.clocks.of]

    @property
    def counts(self) -> Int64s:
        """Samples per window; may be a broadcast view."""
        return _spread(self.after - self.first, self.block.clocks.of)

    def spread(self, by_clock: A) -> A:
        """What was computed per clock, [clocks x steps], for every series; may be a broadcast view."""
        return _spread(by_clock, self.block.clocks.of)

    def picked(self, index: Int64s, part: slice) -> Float64s:
        """Values of a slice of series at positions within their clocks, [clocks x steps] -> [slice x steps]."""
        return _picked(self.block.v, self.block.offsets[:-1], self.block.clocks.of, index, part)

    def vector(self, values: Float64s, present: Bools) -> Vector:
        """A result per window as an instant vector of the same series."""
        return Vector(self.labels, values, present, self.drop)

    def take(self, rows: Int64s) -> Windows:
        """The windows of these series (indices) only."""
        return Windows(self.block.take(rows), self.drop[rows], self.first, self.after, self.ends_ms, self.range_ms)

    def widened(self, steps: int) -> Windows:
        """The same windows at every one of `steps` steps, when they do not depend on the step."""
        if len(self.ends_ms) == steps:
            return self
        shape = (len(self.first), steps)
        first, after = np.broadcast_to(self.first, shape), np.broadcast_to(self.after, shape)
        return Windows(self.block, self.drop, first, after, np.broadcast_to(self.ends_ms, (steps,)), self.range_ms)


def windows_of(block: SeriesBlock, drop: Bools, ends_ms: Int64s, range_ms: int) -> Windows:
    """The windows of a block at these right edges; staleness markers are not samples of a window."""
    clean = block.without_stale()
    clocks = clean.clocks
    return Windows(clean, drop, positions(clocks, ends_ms - range_ms), positions(clocks, ends_ms), ends_ms, range_ms)


def block_of(vector: Vector, times_ms: Int64s) -> SeriesBlock:
    """The present cells of an evaluated vector as samples, for the windows of a subquery."""
    offsets = np.zeros(len(vector) + 1, np.int64)
    if vector.present.all():
        offsets = np.arange(len(vector) + 1, dtype=np.int64) * len(times_ms)
        clock = Clocks(np.zeros(len(vector), np.int64), np.array([0, len(times_ms)], np.int64), times_ms)
        values = np.ascontiguousarray(vector.values).ravel()
        return SeriesBlock(vector.labels, offsets, None, values, clocks=clock)
    np.cumsum(vector.present.sum(axis=1), out=offsets[1:])
    step = np.nonzero(vector.present)[1]
    return SeriesBlock(vector.labels, offsets, times_ms[step], vector.values[vector.present])


@dataclass(slots=True)
class Fold:
    """Walks all windows in step: the k-th turn sees the k-th sample of every window that has one.

    Windows are ordered longest first, so the ones still going are always a prefix; `order` maps back.
    """

    ctx: Context
    windows: Windows
    order: Int64s
    counts: Int64s

    @classmethod
    def over(cls, ctx: Context, windows: Windows) -> Fold:
        """A fold over every window, empty ones included."""
        counts = windows.counts.ravel()
        order: Int64s = np.argsort(-counts, kind="stable").astype(np.int64)
        return cls(ctx, windows, order, counts[order])

    def __iter__(self) -> Iterator[tuple[int, int, Int64s]]:
        """Yields (k, how many windows still go on, sample index of each of them)."""
        lo = self.windows.lo.ravel()[self.order]
        longest = int(self.counts[0]) if len(self.counts) else 0
        ascending = self.counts[::-1]
        for k in range(longest):
            if k % 64 == 0:
                self.ctx.check()
            active = len(ascending) - int(np.searchsorted(ascending, k, side="right"))
            yield k, active, lo[:active] + k

    def unsorted(self, values: Float64s) -> Float64s:
        """A result per ordered window, back in the shape [series x steps]."""
        out = np.empty(len(values))
        out[self.order] = values
        return out.reshape(self.windows.shape)


def kahan(x: Float64s, total: Float64s, carry: Float64s | float) -> tuple[Float64s, Float64s]:
    """One step of Neumaier's compensated summation, as Prometheus does it: an infinite total carries nothing."""
    t = total + x
    lost = np.where(np.abs(total) >= np.abs(x), (total - t) + x, (x - t) + total)
    return t, np.where(np.isinf(t), 0.0, carry + lost)


def reduce_windows(windows: Windows, ufunc: np.ufunc) -> Float64s:
    """One ufunc reduced over every window, NaN where a window is empty; [series x steps]."""
    flat_lo, flat_hi = windows.lo.ravel(), windows.hi.ravel()
    filled = np.flatnonzero(flat_hi > flat_lo)
    out = np.full(len(flat_lo), np.nan)
    if len(filled):
        pairs = np.empty(2 * len(filled), np.int64)
        pairs[0::2], pairs[1::2] = flat_lo[filled], flat_hi[filled]
        # reduceat wants every index inside the array; the padding is only ever an edge, never part of a window.
        out[filled] = ufunc.reduceat(np.append(windows.v, 0.0), pairs)[0::2]
    return out.reshape(windows.shape)


def gather_by_count(windows: Windows, use: Callable[[Int64s, Float64s], None], cells: int = 2_000_000) -> None:
    """Hand over windows grouped by their length: flat window numbers and their samples as [windows x length]."""
    flat_lo, counts = windows.lo.ravel(), windows.counts.ravel()
    for length in np.unique(counts[counts > 0]):
        where = np.flatnonzero(counts == length)
        chunk = max(1, cells // int(length))
        for begin in range(0, len(where), chunk):
            part = where[begin : begin + chunk]
            use(part, windows.v[flat_lo[part][:, None] + np.arange(length)])
