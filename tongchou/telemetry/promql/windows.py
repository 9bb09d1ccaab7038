"""From blocks of samples to the grid: the newest sample at each step, and the window of samples behind each step.

Windows and the lookback are open to the left, (end - range, end], as in Prometheus 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tongchou.telemetry.promql.grid import Context, Vector
from tongchou.telemetry.series import Bools, Float64s, Int64s, Labels, SeriesBlock, is_stale


def positions(block: SeriesBlock, times_ms: Int64s) -> Int64s:
    """For every series and time, how many samples of the whole block lie before the first one newer than the time.

    [series x times]; the samples of series i with ts <= time are offsets[i] .. result[i, j]. One binary search over
    all series at once: series number and time are packed into one ascending key.
    """
    n = len(block)
    if n == 0 or len(times_ms) == 0:
        return np.zeros((n, len(times_ms)), np.int64)
    if block.sample_count == 0:
        return np.zeros((n, len(times_ms)), np.int64)
    first, last = int(block.ts.min()), int(block.ts.max())
    if n == 1:
        found: Int64s = np.searchsorted(block.ts, times_ms, side="right").astype(np.int64)
        return found[None, :]
    span = last - first + 2
    keys = block.series_index() * span + (block.ts - first + 1)
    wanted = np.clip(times_ms - first + 1, 0, span - 1)
    queries = (np.arange(n, dtype=np.int64) * span)[:, None] + wanted[None, :]
    packed: Int64s = np.searchsorted(keys, queries.ravel(), side="right").astype(np.int64)
    return packed.reshape(n, len(times_ms))


def newest(block: SeriesBlock, times_ms: Int64s, lookback_ms: int) -> tuple[Float64s, Bools, Int64s]:
    """The newest sample at or before each time, not older than the lookback and not stale.

    Returns values, presence and sample timestamps, each [series x times].
    """
    shape = (len(block), len(times_ms))
    if block.sample_count == 0:
        return np.full(shape, np.nan), np.zeros(shape, np.bool_), np.zeros(shape, np.int64)
    index = positions(block, times_ms) - 1
    exists = index >= block.offsets[:-1, None]
    index = np.maximum(index, 0)
    stamps = block.ts[index]
    present = exists & (stamps > times_ms[None, :] - lookback_ms) & ~is_stale(block.v)[index]
    return block.v[index], present, stamps


@dataclass(slots=True)
class Windows:
    """A range vector at every step: window (i, j) is ts[lo[i, j]:hi[i, j]], v[lo[i, j]:hi[i, j]].

    ends_ms is the right edge of the windows per step, range_ms their length; st as in SeriesBlock.
    """

    labels: list[Labels]
    drop: Bools
    ts: Int64s
    v: Float64s
    lo: Int64s
    hi: Int64s
    ends_ms: Int64s
    range_ms: int
    st: Int64s | None = None

    @property
    def counts(self) -> Int64s:
        """Samples per window."""
        return self.hi - self.lo

    def vector(self, values: Float64s, present: Bools) -> Vector:
        """A result per window as an instant vector of the same series."""
        return Vector(self.labels, values, present, self.drop)

    def widened(self, steps: int) -> Windows:
        """The same windows at every one of `steps` steps, when they do not depend on the step."""
        if len(self.ends_ms) == steps:
            return self
        shape = (len(self.labels), steps)
        lo, hi = np.broadcast_to(self.lo, shape), np.broadcast_to(self.hi, shape)
        ends = np.broadcast_to(self.ends_ms, (steps,))
        return Windows(self.labels, self.drop, self.ts, self.v, lo, hi, ends, self.range_ms, self.st)


def windows_of(block: SeriesBlock, drop: Bools, ends_ms: Int64s, range_ms: int) -> Windows:
    """The windows of a block at these right edges; staleness markers are not samples of a window."""
    clean = block.without_stale()
    starts = clean.offsets[:-1, None]
    lo = np.maximum(positions(clean, ends_ms - range_ms), starts)
    hi = np.maximum(positions(clean, ends_ms), starts)
    return Windows(clean.labels, drop, clean.ts, clean.v, lo, hi, ends_ms, range_ms, clean.st)


def block_of(vector: Vector, times_ms: Int64s) -> SeriesBlock:
    """The present cells of an evaluated vector as samples, for the windows of a subquery."""
    offsets = np.zeros(len(vector) + 1, np.int64)
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
        return out.reshape(self.windows.lo.shape)


def kahan(x: Float64s, total: Float64s, carry: Float64s) -> tuple[Float64s, Float64s]:
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
    return out.reshape(windows.lo.shape)


def gather_by_count(windows: Windows, use: Callable[[Int64s, Float64s], None], cells: int = 2_000_000) -> None:
    """Hand over windows grouped by their length: flat window numbers and their samples as [windows x length]."""
    flat_lo, counts = windows.lo.ravel(), windows.counts.ravel()
    for length in np.unique(counts[counts > 0]):
        where = np.flatnonzero(counts == length)
        chunk = max(1, cells // int(length))
        for begin in range(0, len(where), chunk):
            part = where[begin : begin + chunk]
            use(part, windows.v[flat_lo[part][:, None] + np.arange(length)])
