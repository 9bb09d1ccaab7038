"""The *_over_time functions: one value out of the samples of a window, whatever their order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tongchou.telemetry.promql.grid import Context, Vector, format_float
from tongchou.telemetry.promql.windows import CHUNK_CELLS, Fold, Windows, chunks, gather_by_count, kahan, reduce_windows
from tongchou.telemetry.series import Bools, Float64s, Int64s

_EXACT = 2.0**53
# Running sums in extended precision, where the machine has it (x86-64: 64 bits of mantissa).
_WIDE = np.finfo(np.longdouble).nmant >= 63


def over_time(ctx: Context, windows: Windows, name: str) -> Vector:
    """Every *_over_time function without a parameter, by its name."""
    present = windows.counts > 0
    match name:
        case "count_over_time":
            values = windows.counts.astype(np.float64)
        case "present_over_time":
            values = np.ones(present.shape)
        case "min_over_time":
            values = reduce_windows(windows, np.fmin)
        case "max_over_time":
            values = reduce_windows(windows, np.fmax)
        case "sum_over_time":
            values = _sum(ctx, windows)
        case "avg_over_time":
            values = _average(ctx, windows)
        case "stdvar_over_time":
            values = _variance(ctx, windows)
        case "stddev_over_time":
            values = np.sqrt(_variance(ctx, windows))
        case "mad_over_time":
            values = _median_deviation(windows)
        case "last_over_time" | "first_over_time" | "ts_of_last_over_time" | "ts_of_first_over_time":
            values = _edge(windows, present, name)
        case "ts_of_min_over_time" | "ts_of_max_over_time":
            values = _time_of_extreme(ctx, windows, name)
        case _:
            raise LookupError(name)
    return windows.vector(values, present)


def _edge(windows: Windows, present: Bools, name: str) -> Float64s:
    if not present.any():
        return np.full(present.shape, np.nan)
    clocks = windows.block.clocks
    filled = windows.after > windows.first
    index = np.where(filled, windows.after - 1 if "last" in name else windows.first, 0)
    if name.startswith("ts_of"):
        at = np.minimum(clocks.offsets[:-1, None] + index, len(clocks.ts) - 1)
        return windows.spread(clocks.ts[at] / 1000)
    values = np.empty(windows.shape)
    for part in chunks(*windows.shape):
        values[part] = windows.picked(index, part)
    return values


def _sums_exactly(values: Float64s) -> bool:
    """Whether any sum of these values is exact in float64, so that differences of running sums may be used."""
    for first in range(0, len(values), CHUNK_CELLS):
        part = values[first : first + CHUNK_CELLS]
        if not (np.isfinite(part).all() and (part == np.trunc(part)).all()):
            return False
    return len(values) > 0 and float(np.abs(values).sum()) < _EXACT


def _compensated(ctx: Context, windows: Windows) -> tuple[Float64s, Float64s]:
    """Compensated sum and its carry per window, added up in the order of time."""
    if _sums_exactly(windows.v):
        exact, _greatest = _by_running_sums(windows, np.float64)
        return exact, np.zeros((1, 1))
    if not (_WIDE and np.isfinite(windows.v).all()):
        return _folded(ctx, windows)
    total, greatest = _by_running_sums(windows, np.longdouble)
    carry = np.zeros(windows.shape)
    # Where the rounding of the running sum could show in the window's sum, it is added up sample by sample.
    error = greatest * np.diff(windows.block.offsets)[:, None] * 2.0**-63
    doubtful = np.flatnonzero(((np.abs(total) * 2.0**-43 < error) & (windows.counts > 0)).any(axis=1))
    if len(doubtful):
        total[doubtful], carry[doubtful] = _folded(ctx, windows.take(doubtful))
    return total, carry


def _folded(ctx: Context, windows: Windows) -> tuple[Float64s, Float64s]:
    fold = Fold.over(ctx, windows)
    total, carry = np.zeros(len(fold.order)), np.zeros(len(fold.order))
    for _k, active, index in fold:
        total[:active], carry[:active] = kahan(windows.v[index], total[:active], carry[:active])
    return fold.unsorted(total), fold.unsorted(carry)


def _by_running_sums(windows: Windows, kind: type[np.floating[Any]]) -> tuple[Float64s, Float64s]:
    """The sum of every window as a difference of running sums, and the greatest running sum of its series [series, 1].

    Empty windows give 0 (and the caller knows them to be empty).
    """
    offsets = windows.block.offsets
    sums, greatest = np.empty(windows.shape), np.zeros((len(windows.block), 1))
    one = len(windows.first) == 1 and len(offsets) > 1
    length = int(offsets[1]) if one else 0
    for part in chunks(*windows.shape):
        low, high = int(offsets[part.start]), int(offsets[part.stop])
        if one:
            running = np.zeros((part.stop - part.start, length + 1), kind)
            np.cumsum(windows.v[low:high].reshape(len(running), length), axis=1, dtype=kind, out=running[:, 1:])
            sums[part] = np.take(running, windows.after[0], axis=1) - np.take(running, windows.first[0], axis=1)
            greatest[part, 0] = np.abs(running).max(axis=1)
        else:
            flat = np.zeros(high - low + 1, kind)
            np.cumsum(windows.v[low:high], dtype=kind, out=flat[1:])
            of = windows.block.clocks.of[part]
            starts = offsets[part, None] - low
            sums[part] = flat[starts + windows.after[of]] - flat[starts + windows.first[of]]
            greatest[part] = np.abs(flat).max()
    return sums, greatest


def _sum(ctx: Context, windows: Windows) -> Float64s:
    total, carry = _compensated(ctx, windows)
    return np.where(np.isinf(total), total, total + carry)


def _average(ctx: Context, windows: Windows) -> Float64s:
    """Mean by compensated sum; windows whose sum overflows are averaged incrementally, one by one."""
    total, carry = _compensated(ctx, windows)
    counts = windows.counts
    out = total / counts + carry / counts
    for row, step in np.argwhere(~np.isfinite(total) & (counts > 0)):
        out[row, step] = incremental_mean(windows.v[windows.lo[row, step] : windows.hi[row, step]])
    return out


def _kahan_scalar(x: float, total: float, carry: float) -> tuple[float, float]:
    t = total + x
    if math.isinf(t):
        return t, 0.0
    lost = (total - t) + x if abs(total) >= abs(x) else (x - t) + total
    return t, carry + lost


def sum_in_order(values: Float64s) -> float:
    """Compensated sum from the first value to the last: once it has overflowed, it stays so, as in Prometheus."""
    running = np.cumsum(values)  # the sum without what was lost on the way, which cannot bring it back
    if not len(values) or not math.isfinite(running[-1]):
        return float(running[-1]) if len(values) else 0.0
    total, carry = 0.0, 0.0
    for value in values.tolist():
        total, carry = _kahan_scalar(value, total, carry)
    return total + carry


def incremental_mean(values: Float64s) -> float:
    """Mean by compensated sum until that overflows, then by updating a running mean, as Prometheus does."""
    numbers = [float(value) for value in values]
    total, carry = numbers[0], 0.0
    mean, incremental = 0.0, False
    for count, x in enumerate(numbers[1:], start=2):
        if not incremental:
            grown, grown_carry = _kahan_scalar(x, total, carry)
            if not math.isinf(grown):
                total, carry = grown, grown_carry
                continue
            incremental = True
            mean, carry = total / (count - 1), carry / (count - 1)
        share = (count - 1) / count
        mean, carry = _kahan_scalar(x / count, share * mean, share * carry)
    return mean + carry if incremental else total / len(numbers) + carry / len(numbers)


def _variance(ctx: Context, windows: Windows) -> Float64s:
    """Population variance by Welford's method with compensated sums."""
    fold = Fold.over(ctx, windows)
    n = len(fold.order)
    mean, mean_carry, square, square_carry = (np.zeros(n) for _ in range(4))
    for k, active, index in fold:
        now = slice(0, active)
        x = windows.v[index]
        delta = x - (mean[now] + mean_carry[now])
        mean[now], mean_carry[now] = kahan(delta / (k + 1), mean[now], mean_carry[now])
        term = delta * (x - (mean[now] + mean_carry[now]))
        square[now], square_carry[now] = kahan(term, square[now], square_carry[now])
    return fold.unsorted((square + square_carry) / fold.counts)


def _time_of_extreme(ctx: Context, windows: Windows, name: str) -> Float64s:
    """Seconds at which the window last had its extreme value."""
    fold = Fold.over(ctx, windows)
    best, stamp = np.zeros(len(fold.order)), np.zeros(len(fold.order))
    for k, active, index in fold:
        x, held = windows.v[index], best[:active]
        better = (x >= held if "max" in name else x <= held) | np.isnan(held) | (k == 0)
        best[:active] = np.where(better, x, held)
        stamp[:active] = np.where(better, windows.ts[index] / 1000, stamp[:active])
    return fold.unsorted(stamp)


def sorted_quantile(ordered: Float64s, q: Float64s) -> Float64s:
    """The q-quantile of each row of [rows x n] sorted with NaN last, counting NaN as the smallest value.

    Linear between neighbours; q outside 0..1 gives the infinities, NaN gives NaN.
    """
    rows, n = ordered.shape
    nans = np.isnan(ordered).sum(axis=1)
    safe = np.where((q >= 0) & (q <= 1), q, 0.0)
    rank = safe * (n - 1)
    lower = np.maximum(np.floor(rank), 0).astype(np.int64)
    upper = np.minimum(lower + 1, n - 1)
    weight = rank - np.floor(rank)
    row = np.arange(rows)
    low, high = ordered[row, (lower - nans) % n], ordered[row, (upper - nans) % n]
    out = low * (1 - weight) + high * weight
    out = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, out))
    return np.where(np.isnan(q), np.nan, out)


def warn_of_quantile(ctx: Context, q: Float64s, argument: int = 0) -> None:
    """Warn of every parameter outside 0..1; `argument` is the one of the current call that q is."""
    for value in np.unique(q[~((q >= 0) & (q <= 1))]):
        ctx.warn(f"quantile value should be between 0 and 1, got {format_float(float(value))}", argument)


def quantile_over_time(ctx: Context, windows: Windows, q: Float64s) -> Vector:
    """The q-quantile of every window; q is [steps]."""
    present = windows.counts > 0
    used = q[present.any(axis=0)]
    warn_of_quantile(ctx, used)
    flat_q = np.broadcast_to(q[None, :], present.shape).ravel()
    out = np.full(present.size, np.nan)

    def use(where: Int64s, samples: Float64s) -> None:
        ctx.check()
        out[where] = sorted_quantile(np.sort(samples, axis=1), flat_q[where])

    gather_by_count(windows, use)
    return windows.vector(out.reshape(present.shape), present)


def _median_deviation(windows: Windows) -> Float64s:
    out = np.full(math.prod(windows.shape), np.nan)

    def use(where: Int64s, samples: Float64s) -> None:
        # A NaN leaves the median, and with it the deviation, undefined (Prometheus #19040).
        whole = ~np.isnan(samples).any(axis=1)
        where, samples = where[whole], samples[whole]
        half = np.full(len(samples), 0.5)
        median = sorted_quantile(np.sort(samples, axis=1), half)
        out[where] = sorted_quantile(np.sort(np.abs(samples - median[:, None]), axis=1), half)

    gather_by_count(windows, use)
    return out.reshape(windows.shape)
