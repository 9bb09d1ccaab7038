"""The functions of a range vector written down once more, sample by sample, as the definitions read.

Slow on purpose: the oracle for the evaluator. A window is a list of (time in ms, value), staleness markers left out.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

STALE_BITS = 0x7FF0000000000002
Window = list[tuple[int, float]]


def is_stale(value: float) -> bool:
    return struct.unpack("<Q", struct.pack("<d", value))[0] == STALE_BITS


def window(samples: Window, end_ms: int, range_ms: int) -> Window:
    return [(t, v) for t, v in samples if end_ms - range_ms < t <= end_ms and not is_stale(v)]


def newest(samples: Window, at_ms: int, lookback_ms: int) -> float | None:
    known = [(t, v) for t, v in samples if at_ms - lookback_ms < t <= at_ms]
    return None if not known or is_stale(known[-1][1]) else known[-1][1]


def extrapolated(w: Window, end_ms: int, range_ms: int, counter: bool, per_second: bool) -> float | None:
    if len(w) < 2:
        return None
    change = w[-1][1] - w[0][1]
    if counter:
        for (_t, before), (_u, now) in pairwise(w):
            if now < before:
                change += before
    sampled = (w[-1][0] - w[0][0]) / 1000
    average = sampled / (len(w) - 1)
    to_start, to_end = (w[0][0] - (end_ms - range_ms)) / 1000, (end_ms - w[-1][0]) / 1000
    if to_start >= average * 1.1:
        to_start = average / 2
    if counter and change > 0 and w[0][1] >= 0:
        to_start = min(to_start, sampled * (w[0][1] / change))
    if to_end >= average * 1.1:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    return change * (factor / (range_ms / 1000) if per_second else factor)


def instantaneous(w: Window, rate: bool) -> float | None:
    if len(w) < 2:
        return None
    (t0, v0), (t1, v1) = w[-2:]
    if not rate:
        return v1 - v0
    return (v1 if v1 < v0 else v1 - v0) / ((t1 - t0) / 1000)


def regression(w: Window, origin_ms: int) -> tuple[float, float] | None:
    """Slope and value at the origin, in exact rational arithmetic."""
    if len(w) < 2:
        return None
    if all(v == w[0][1] for _t, v in w):
        return 0.0, w[0][1]
    xs = [Fraction(t - origin_ms, 1000) for t, _v in w]
    ys = [Fraction(v) for _t, v in w]
    n = len(w)
    mean_x, mean_y = sum(xs) / n, sum(ys) / n
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)
    return float(slope), float(mean_y - slope * mean_x)


def quantile(q: float, values: list[float]) -> float:
    ordered = sorted(values)
    rank = q * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(len(ordered) - 1, low + 1)
    return ordered[low] * (1 - (rank - low)) + ordered[high] * (rank - low)


def variance(values: list[float]) -> float:
    exact = [Fraction(v) for v in values]
    mean = sum(exact) / len(exact)
    return float(sum((v - mean) ** 2 for v in exact) / len(exact))


def _deviation(values: list[float]) -> float:
    median = quantile(0.5, values)
    return quantile(0.5, [abs(v - median) for v in values])


def _some(use: Callable[[Window], float]) -> Callable[[Window, int, int], float | None]:
    return lambda w, _end, _range: use(w) if w else None


def _values(use: Callable[[list[float]], float]) -> Callable[[Window, int, int], float | None]:
    return _some(lambda w: use([v for _t, v in w]))


def _predicted(w: Window, end_ms: int) -> float | None:
    line = regression(w, end_ms)
    return None if line is None else line[0] * 60 + line[1]


def _sloped(w: Window) -> float | None:
    line = regression(w, w[0][0]) if w else None
    return None if line is None else line[0]


# Template of the call -> its value for one window that ends at end_ms.
FUNCTIONS: dict[str, Callable[[Window, int, int], float | None]] = {
    "rate({})": lambda w, end, rng: extrapolated(w, end, rng, True, True),
    "increase({})": lambda w, end, rng: extrapolated(w, end, rng, True, False),
    "delta({})": lambda w, end, rng: extrapolated(w, end, rng, False, False),
    "irate({})": lambda w, end, rng: instantaneous(w, True),
    "idelta({})": lambda w, end, rng: instantaneous(w, False),
    "resets({})": _some(lambda w: float(sum(b[1] < a[1] for a, b in pairwise(w)))),
    "changes({})": _some(lambda w: float(sum(b[1] != a[1] for a, b in pairwise(w)))),
    "deriv({})": lambda w, end, rng: _sloped(w),
    "predict_linear({}, 60)": lambda w, end, rng: _predicted(w, end),
    "count_over_time({})": _some(lambda w: float(len(w))),
    "present_over_time({})": _some(lambda w: 1.0),
    "sum_over_time({})": _values(math.fsum),
    "avg_over_time({})": _values(lambda values: math.fsum(values) / len(values)),
    "min_over_time({})": _values(min),
    "max_over_time({})": _values(max),
    "last_over_time({})": _some(lambda w: w[-1][1]),
    "first_over_time({})": _some(lambda w: w[0][1]),
    "stdvar_over_time({})": _values(variance),
    "stddev_over_time({})": _values(lambda values: math.sqrt(variance(values))),
    "mad_over_time({})": _values(_deviation),
    "quantile_over_time(0.3, {})": _values(lambda values: quantile(0.3, values)),
    "ts_of_last_over_time({})": _some(lambda w: w[-1][0] / 1000),
    "ts_of_first_over_time({})": _some(lambda w: w[0][0] / 1000),
    "ts_of_max_over_time({})": _some(lambda w: max(w, key=lambda s: (s[1], s[0]))[0] / 1000),
    "ts_of_min_over_time({})": _some(lambda w: max(w, key=lambda s: (-s[1], s[0]))[0] / 1000),
}
