"""Functions of a range vector that look at how samples follow each other: rate, delta, deriv, resets and their kin."""

from __future__ import annotations

import numpy as np

from tongchou.telemetry.promql.errors import execution_error
from tongchou.telemetry.promql.grid import Context, Vector
from tongchou.telemetry.promql.windows import Fold, Windows, kahan
from tongchou.telemetry.series import Bools, Float64s, Int64s, metric_name

COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")


def extrapolated(ctx: Context, windows: Windows, name: str) -> Vector:
    """rate, increase and delta: the difference over the window, extrapolated to its edges.

    The rule of extrapolation is Prometheus': to the edge when the next sample would be expected there (up to 1.1
    average distances away), else by half an average distance; a counter is never extrapolated below zero. A counter
    whose start timestamp lies in the window began there at zero, and nothing is extrapolated to the left.
    """
    counter, per_second = name != "delta", name == "rate"
    if counter:
        _remark_non_counters(ctx, windows)
        _warn_of_overlaps(ctx, windows)
    started = _started_inside(windows) if counter else np.zeros(windows.lo.shape, np.bool_)
    present = (windows.counts >= 2) | started
    if not present.any():
        return windows.vector(np.full(present.shape, np.nan), present)
    first, last = np.where(present, windows.lo, 0), np.where(present, windows.hi - 1, 0)
    v, ts = windows.v, windows.ts
    change = v[last] - v[first]
    if counter:
        change = change + _reset_sums(windows, present)
    sampled = (ts[last] - ts[first]) / 1000
    average = sampled / np.where(windows.counts >= 2, windows.counts - 1, 1)
    to_start = (ts[first] - (windows.ends_ms - windows.range_ms)[None, :]) / 1000
    to_end = (windows.ends_ms[None, :] - ts[last]) / 1000
    to_start = np.where(to_start >= average * 1.1, average / 2, to_start)
    to_end = np.where(to_end >= average * 1.1, average / 2, to_end)
    if counter:
        to_zero = np.where((change > 0) & (v[first] >= 0), sampled * (v[first] / change), to_start)
        to_start = np.where(to_zero < to_start, to_zero, to_start)
        if windows.st is not None:
            change = np.where(started, change + v[first], change)
            sampled = np.where(started, (ts[last] - windows.st[first]) / 1000, sampled)
            to_start = np.where(started, 0.0, to_start)
    factor = (sampled + to_start + to_end) / sampled
    if per_second:
        factor = factor / (windows.range_ms / 1000)
    return windows.vector(change * factor, present)


def _remark_non_counters(ctx: Context, windows: Windows) -> None:
    for row in np.flatnonzero((windows.counts >= 1).any(axis=1)):
        labels = windows.labels[row]
        metric = metric_name(labels)
        if metric and not metric.endswith(COUNTER_SUFFIXES) and ("__type__", "counter") not in labels:
            ctx.info(f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{metric}"')


def _started_inside(windows: Windows) -> Bools:
    """Windows whose first sample belongs to a counter that started inside of the window."""
    if windows.st is None or not len(windows.st):
        return np.zeros(windows.lo.shape, np.bool_)
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
    present = windows.counts >= 2
    if not present.any():
        return windows.vector(np.full(present.shape, np.nan), present)
    last = np.where(present, windows.hi - 1, 1)
    newer, older = windows.v[last], windows.v[last - 1]
    change = newer - older
    if name == "irate":
        fell = newer < older
        if windows.st is not None:
            fell = np.isin(last, _falls(windows))
        change = np.where(fell, newer, change) / ((windows.ts[last] - windows.ts[last - 1]) / 1000)
    return windows.vector(change, present)


def transitions(windows: Windows, name: str) -> Vector:
    """Resets (falls) and changes within the window."""
    v = windows.v
    if name == "resets":
        where = _falls(windows)
    else:
        differs = (v[1:] != v[:-1]) & ~(np.isnan(v[1:]) & np.isnan(v[:-1]))
        where = np.flatnonzero(differs) + 1
    begin = np.searchsorted(where, windows.lo, side="right")
    end = np.searchsorted(where, windows.hi, side="left")
    return windows.vector(np.maximum(end - begin, 0).astype(np.float64), windows.counts >= 1)


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
        origin = np.broadcast_to(origin_ms[None, :], windows.lo.shape).ravel()[fold.order]
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
        bad = ~((factor > 0) & (factor < 1))
        if (present & bad[None, :]).any():
            raise execution_error(f"invalid {label} factor. Expected: 0 < {label[0]}f < 1, got: {factor[bad][0]:f}")
    fold = Fold.over(ctx, windows)
    shape = windows.lo.shape
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
