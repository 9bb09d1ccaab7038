"""Functions of a range vector that look at how samples follow each other: rate, delta, deriv, resets and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tongchou.telemetry.promql.errors import execution_error
from tongchou.telemetry.promql.grid import Context, Vector
from tongchou.telemetry.promql.windows import Fold, Windows, chunks, kahan
from tongchou.telemetry.series import Bools, Float64s, Int64s, Labels, metric_name, remembered

COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")


def extrapolated(ctx: Context, windows: Windows, name: str) -> Vector:
    """rate, increase and delta: the difference over the window, extrapolated to its edges.

    The rule of extrapolation is Prometheus': to the edge when the next sample would be expected there (up to 1.1
    average distances away), else by half an average distance; a counter is never extrapolated below zero. A counter
    whose start timestamp lies in the window began there at zero, and nothing is extrapolated to the left.
    """
    counter, per_second = name != "delta", name == "rate"
    if counter:
        remark_non_counters(ctx, windows.labels, windows.counts)
    if counter and windows.st is not None:
        return _extrapolated_from_starts(ctx, windows, name)
    edges = _Times.of(windows)
    present = windows.spread(edges.present)
    values = np.full(windows.shape, np.nan)
    if not edges.present.any():
        return windows.vector(values, present)
    resets = _Resets.of(windows) if counter else None
    of = windows.block.clocks.of
    for part in chunks(*windows.shape):
        ctx.check()
        earliest = windows.picked(edges.first, part)
        change = windows.picked(edges.last, part)
        change -= earliest
        if resets is not None:
            resets.add_to(change, windows, part)
        one = slice(0, 1) if len(edges.first) == 1 else of[part]
        sampled, to_start, to_end = edges.sampled[one], edges.to_start[one], edges.to_end[one]
        if counter:
            to_zero = sampled * (earliest / change)
            nearer = (to_zero < to_start) & (change > 0) & (earliest >= 0)
            to_start = np.where(nearer, to_zero, to_start) if nearer.any() else to_start
        factor = (sampled + to_start + to_end) / sampled
        if per_second:
            factor = factor / (windows.range_ms / 1000)
        np.multiply(change, factor, out=values[part])
    return windows.vector(values, present)


@dataclass(slots=True)
class _Times:
    """What extrapolation needs to know of the times of windows, all [clocks x steps]; times in seconds."""

    present: Bools
    first: Int64s  # first and last sample, counted within the clock; 0 where there are not two
    last: Int64s
    sampled: Float64s  # between first and last
    to_start: Float64s  # how far to extrapolate on each side
    to_end: Float64s

    @classmethod
    def of(cls, windows: Windows) -> _Times:
        clocks = windows.block.clocks
        counts = windows.after - windows.first
        present = counts >= 2
        first, last = np.where(present, windows.first, 0), np.where(present, windows.after - 1, 0)
        ts = clocks.ts if len(clocks.ts) else np.zeros(1, np.int64)
        begin = np.minimum(clocks.offsets[:-1, None], len(ts) - 1)
        opening, closing = ts[begin + first], ts[begin + last]
        sampled = (closing - opening) / 1000
        average = sampled / np.where(present, counts - 1, 1)
        to_start = (opening - (windows.ends_ms - windows.range_ms)[None, :]) / 1000
        to_end = (windows.ends_ms[None, :] - closing) / 1000
        to_start = np.where(to_start >= average * 1.1, average / 2, to_start)
        to_end = np.where(to_end >= average * 1.1, average / 2, to_end)
        return cls(present, first, last, sampled, to_start, to_end)


@dataclass(slots=True)
class _Resets:
    """Where counters fell, and what they had reached: few series have any."""

    falls: Int64s  # sample indices, ascending
    reached: Float64s  # what the counter had reached before each, and a 0 at the end
    rows: Bools  # [series] which have one

    @classmethod
    def of(cls, windows: Windows) -> _Resets:
        v, offsets = windows.v, windows.block.offsets
        fell: Bools = np.zeros(max(len(v) - 1, 0), np.bool_)
        np.less(v[1:], v[:-1], out=fell)
        starts = offsets[1:-1]
        fell[starts[(starts > 0) & (starts < len(v))] - 1] = False  # two series, not one counter
        falls = np.flatnonzero(fell) + 1
        rows = np.zeros(len(windows.block), np.bool_)
        rows[np.searchsorted(offsets, falls, side="right") - 1] = True
        return cls(falls, np.append(v[falls - 1], 0.0), rows)

    def add_to(self, change: Float64s, windows: Windows, part: slice) -> None:
        """Add to the change of each window what the counter had reached when it fell."""
        rows = np.flatnonzero(self.rows[part])
        if not len(rows):
            return
        series = rows + part.start
        clock = windows.block.clocks.of[series]
        starts = windows.block.offsets[series, None]
        # A fall at the first sample of a window happened before it.
        begin = np.searchsorted(self.falls, starts + windows.first[clock], side="right")
        end = np.searchsorted(self.falls, starts + windows.after[clock], side="left")
        hit = end > begin
        if hit.any():
            pairs = np.stack((begin[hit], end[hit]), axis=1).ravel()
            sums = np.zeros(hit.shape)
            sums[hit] = np.add.reduceat(self.reached, pairs)[0::2]
            change[rows] += sums


def _extrapolated_from_starts(ctx: Context, windows: Windows, name: str) -> Vector:
    """Rate and increase of counters that know when they started: see `extrapolated`."""
    _warn_of_overlaps(ctx, windows)
    started = _started_inside(windows)
    lo, hi, counts = windows.lo, windows.hi, windows.counts
    present = (counts >= 2) | started
    if not present.any():
        return windows.vector(np.full(present.shape, np.nan), present)
    first, last = np.where(present, lo, 0), np.where(present, hi - 1, 0)
    v, ts = windows.v, windows.ts
    change = v[last] - v[first] + _reset_sums(windows, present)
    edges = Edges(v[first], ts[first], ts[last], counts)
    if windows.st is not None:
        edges.started, edges.start_ms = started, windows.st[first]
    return windows.vector(extrapolate(change, edges, windows, name), present)


@dataclass(slots=True)
class Edges:
    """The first and last sample of every window, how many there are, and where a counter started inside of it."""

    v_first: Float64s
    first_ms: Int64s
    last_ms: Int64s
    counts: Int64s
    started: Bools | None = None
    start_ms: Int64s | None = None


def extrapolate(change: Float64s, edges: Edges, windows: Windows, name: str) -> Float64s:
    """What rate, increase or delta make of the change between first and last sample (see `extrapolated`)."""
    sampled = (edges.last_ms - edges.first_ms) / 1000
    average = sampled / np.where(edges.counts >= 2, edges.counts - 1, 1)
    to_start = (edges.first_ms - (windows.ends_ms - windows.range_ms)[None, :]) / 1000
    to_end = (windows.ends_ms[None, :] - edges.last_ms) / 1000
    to_start = np.where(to_start >= average * 1.1, average / 2, to_start)
    to_end = np.where(to_end >= average * 1.1, average / 2, to_end)
    if name != "delta":
        v = edges.v_first
        to_zero = np.where((change > 0) & (v >= 0), sampled * (v / change), to_start)
        to_start = np.where(to_zero < to_start, to_zero, to_start)
    if edges.started is not None and edges.start_ms is not None:
        change = np.where(edges.started, change + edges.v_first, change)
        sampled = np.where(edges.started, (edges.last_ms - edges.start_ms) / 1000, sampled)
        to_start = np.where(edges.started, 0.0, to_start)
    factor = (sampled + to_start + to_end) / sampled
    if name == "rate":
        factor = factor / (windows.range_ms / 1000)
    return change * factor


def remark_non_counters(ctx: Context, series: Sequence[Labels], counts: Int64s) -> None:
    """Remark on the series with samples in any window (counts per window) whose names are not those of counters."""
    suspicious = remembered(series, "no counters", _not_counters)
    if not suspicious:
        return
    filled: Bools = np.any(counts >= 1, axis=1)
    for row, metric in suspicious:
        if filled[row]:
            ctx.info(f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{metric}"')


def _not_counters(labels: Sequence[Labels]) -> list[tuple[int, str]]:
    """(row, metric) of the series whose metric is not a counter by its name or type."""
    named = ((row, metric_name(each), each) for row, each in enumerate(labels))
    return [
        (row, metric)
        for row, metric, each in named
        if metric and not metric.endswith(COUNTER_SUFFIXES) and ("__type__", "counter") not in each
    ]


def _started_inside(windows: Windows) -> Bools:
    """Windows whose first sample belongs to a counter that started inside of the window."""
    if windows.st is None or not len(windows.st):
        return np.zeros(windows.shape, np.bool_)
    filled = windows.counts >= 1
    first = np.where(filled, windows.lo, 0)
    start = windows.st[first]
    begin = (windows.ends_ms - windows.range_ms)[None, :]
    started: Bools = filled & (start != 0) & (start > begin) & (start < windows.ts[first])
    return started


def _warn_of_overlaps(ctx: Context, windows: Windows) -> None:
    """Warn of samples that claim to have started before the sample ahead of them, of another start."""
    if windows.st is None:
        return
    st, ts = windows.st, windows.ts
    where = np.flatnonzero((st[1:] != 0) & (st[1:] < ts[:-1]) & (st[1:] != st[:-1])) + 1
    begin = np.searchsorted(where, windows.lo, side="right")
    end = np.searchsorted(where, windows.hi, side="left")
    for row in np.flatnonzero((end > begin).any(axis=1)):
        name = metric_name(windows.labels[row])
        ctx.warn(f'sample has start time that overlaps with previous sample timestamp for metric "{name}"')


def _falls(windows: Windows) -> Int64s:
    """Indices of the samples at which a counter began anew: lower than its predecessor, or of a later start.

    Pairs across two series count too; windows never span two series.
    """
    fell = windows.v[1:] < windows.v[:-1]
    if windows.st is not None:
        start, earlier = windows.st[1:], windows.st[:-1]
        known = (start != 0) & (start < windows.ts[1:])
        # A start at the previous sample is a reset only when that one had a start of its own (delta samples).
        follows = (start == windows.ts[:-1]) & (earlier != 0) & (earlier < windows.ts[:-1])
        fell = fell | (known & ((start > windows.ts[:-1]) | follows))
    return np.flatnonzero(fell) + 1


def _reset_sums(windows: Windows, present: Bools) -> Float64s:
    """What counters had reached when they fell, summed per window."""
    falls = _falls(windows)
    out = np.zeros(present.shape)
    if not len(falls):
        return out
    begin = np.searchsorted(falls, windows.lo, side="right")
    end = np.searchsorted(falls, windows.hi, side="left")
    hit = present & (end > begin)
    if hit.any():
        reached = np.append(windows.v[falls - 1], 0.0)
        pairs = np.stack((begin[hit], end[hit]), axis=1).ravel()
        out[hit] = np.add.reduceat(reached, pairs)[0::2]
    return out


def instantaneous(windows: Windows, name: str) -> Vector:
    """Irate and idelta: the difference of the last two samples."""
    clocks = windows.block.clocks
    enough = windows.after - windows.first >= 2
    present = windows.spread(enough)
    values = np.full(windows.shape, np.nan)
    if not enough.any():
        return windows.vector(values, present)
    last = np.where(enough, windows.after - 1, 1)
    ends = clocks.ts[np.minimum(clocks.offsets[:-1, None] + last, len(clocks.ts) - 1)]
    before = clocks.ts[np.minimum(clocks.offsets[:-1, None] + last - 1, len(clocks.ts) - 1)]
    seconds = windows.spread((ends - before) / 1000)
    restarts = _falls(windows) if windows.st is not None else None
    for part in chunks(*windows.shape):
        newer, older = windows.picked(last, part), windows.picked(last - 1, part)
        change = newer - older
        if name == "irate":
            fell = newer < older
            if restarts is not None:
                fell = np.isin(windows.block.offsets[:-1][part, None] + windows.spread(last)[part], restarts)
            change = np.where(fell, newer, change) / seconds[part]
        values[part] = change
    return windows.vector(values, present)


def transitions(windows: Windows, name: str) -> Vector:
    """Resets (falls) and changes within the window."""
    v = windows.v
    if name == "resets":
        where = _falls(windows)
    else:
        differs = (v[1:] != v[:-1]) & ~(np.isnan(v[1:]) & np.isnan(v[:-1]))
        where = np.flatnonzero(differs) + 1
    return windows.vector(_within(windows, where), windows.counts >= 1)


def _within(windows: Windows, where: Int64s) -> Float64s:
    """How many of these samples (ascending indices) lie behind the first sample of every window."""
    before = np.zeros(len(windows.v) + 1, np.int64)
    before[where + 1] = 1
    np.cumsum(before, out=before)  # how many lie ahead of each sample
    last = len(before) - 1
    found = before[windows.hi] - before[np.minimum(windows.lo + 1, last)]
    return np.asarray(np.maximum(found, 0), dtype=np.float64)


def regression(ctx: Context, windows: Windows, origin_ms: Int64s | None) -> tuple[Float64s, Float64s, Bools]:
    """Least squares line through every window: slope per second, value at the origin, presence.

    origin_ms is [steps], or None for the time of each window's first sample.
    """
    present = windows.counts >= 2
    fold = Fold.over(ctx, windows)
    n = len(fold.order)
    first = np.minimum(windows.lo.ravel()[fold.order], max(len(windows.ts) - 1, 0))
    if origin_ms is None:
        origin = windows.ts[first] if len(windows.ts) else np.zeros(n, np.int64)
    else:
        origin = np.broadcast_to(origin_ms[None, :], windows.shape).ravel()[fold.order]
    sums = np.zeros((4, n))
    carries = np.zeros((4, n))
    constant = np.ones(n, np.bool_)
    initial = windows.v[first] if len(windows.v) else np.zeros(n)
    for _k, active, index in fold:
        x = (windows.ts[index] - origin[:active]) / 1e3
        y = windows.v[index]
        constant[:active] &= y == initial[:active]
        terms = np.stack((x, y, x * y, x * x))
        sums[:, :active], carries[:, :active] = kahan(terms, sums[:, :active], carries[:, :active])
    sx, sy, sxy, sxx = sums + carries
    slope = (sxy - sx * sy / fold.counts) / (sxx - sx * sx / fold.counts)
    intercept = sy / fold.counts - slope * sx / fold.counts
    infinite = np.isinf(initial)
    slope = np.where(constant, np.where(infinite, np.nan, 0.0), slope)
    intercept = np.where(constant, np.where(infinite, np.nan, initial), intercept)
    return fold.unsorted(slope), fold.unsorted(intercept), present


def deriv(ctx: Context, windows: Windows) -> Vector:
    """Slope of the line through the window, per second."""
    slope, _intercept, present = regression(ctx, windows, None)
    return windows.vector(slope, present)


def predict_linear(ctx: Context, windows: Windows, ahead_seconds: Float64s, times_ms: Int64s) -> Vector:
    """The line's value `ahead_seconds` after the evaluation time."""
    slope, intercept, present = regression(ctx, windows, times_ms)
    return windows.vector(slope * ahead_seconds[None, :] + intercept, present)


def smoothed(ctx: Context, windows: Windows, smoothing: Float64s, trend: Float64s) -> Vector:
    """double_exponential_smoothing (Holt's linear method) of every window."""
    present = windows.counts >= 2
    for label, factor in (("smoothing", smoothing), ("trend", trend)):
        bad = (factor <= 0) | (factor >= 1)  # NaN is not: all it does is make the answer NaN
        if ((windows.counts > 0) & bad[None, :]).any():
            raise execution_error(f"invalid {label} factor. Expected: 0 < {label[0]}f < 1, got: {factor[bad][0]:f}")
    fold = Fold.over(ctx, windows)
    shape = windows.shape
    sf = np.broadcast_to(smoothing[None, :], shape).ravel()[fold.order]
    tf = np.broadcast_to(trend[None, :], shape).ravel()[fold.order]
    n = len(fold.order)
    older, level, slope = np.zeros(n), np.zeros(n), np.zeros(n)
    for k, active, index in fold:
        y = windows.v[index]
        if k == 0:
            level[:active] = y
            continue
        now = slice(0, active)
        if k == 1:
            slope[now] = y - level[now]
        else:
            slope[now] = tf[now] * (level[now] - older[now]) + (1 - tf[now]) * slope[now]
        following = sf[now] * y + (1 - sf[now]) * (level[now] + slope[now])
        older[now] = level[now]
        level[now] = following
    return windows.vector(fold.unsorted(level), present)
