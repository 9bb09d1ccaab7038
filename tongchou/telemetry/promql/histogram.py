"""Quantiles and fractions of classic histograms: cumulative `le` buckets, one series each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tongchou.telemetry.promql.grid import Context, Vector, group_rows, without_names
from tongchou.telemetry.promql.over_time import warn_of_quantile
from tongchou.telemetry.promql.windows import chunks
from tongchou.telemetry.series import Bools, Float64s, Int64s, LabelList, Labels, metric_name, remembered

BUCKET_LABEL = "le"
_SMALLEST_NORMAL = float(np.finfo(np.float64).smallest_normal)
# Differences of bucket counts below this share are taken for rounding, not for data.
_TOLERANCE = 1e-12
# Bounds [m x buckets] ascending, cumulative counts [m x buckets], step and histogram of each of the m cells -> values.
Measure = Callable[[Float64s, Float64s, Int64s, Int64s], Float64s]


def parse_bound(text: str) -> float | None:
    """The upper bound in an `le` label, None when it is not a number."""
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def histogram_quantile(ctx: Context, q: Float64s, vector: Vector, *, asked: int = 0, argument: int = 1) -> Vector:
    """The q-quantile of every histogram at every step; q is [steps].

    asked and argument are the places of q and vector among the arguments.
    """
    warn_of_quantile(ctx, q, asked)
    names: list[str] = []

    def measure(bounds: Float64s, counts: Float64s, steps: Int64s, groups: Int64s) -> Float64s:
        values, forced = bucket_quantile(q[steps], bounds, counts)
        if forced.any():
            for group in np.unique(groups[forced]).tolist():
                _remark_forced(ctx, names[group], argument)
        return values

    return _measured(ctx, vector, measure, names, argument)


def histogram_fraction(ctx: Context, lower: Float64s, upper: Float64s, vector: Vector) -> Vector:
    """The share of observations between two bounds; both are [steps]."""

    def measure(bounds: Float64s, counts: Float64s, steps: Int64s, _groups: Int64s) -> Float64s:
        return bucket_fraction(lower[steps], upper[steps], bounds, counts)

    return _measured(ctx, vector, measure, [], 2)


def _remark_forced(ctx: Context, name: str, argument: int) -> None:
    page = "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile"
    ctx.info(
        f'input to histogram_quantile needed to be fixed for monotonicity (see {page}) for metric name "{name}"',
        argument,
    )


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Which series are buckets of which histogram, by their labels alone."""

    malformed: list[tuple[int, str, str]]  # (row, le, metric) of what is no bucket
    keys: LabelList  # of the histograms: without `le`
    rows: Int64s  # of the buckets, by histogram and bound
    bounds: Float64s  # of the same
    starts: Int64s  # [histograms + 1]

    @classmethod
    def of(cls, series: Sequence[Labels]) -> _Buckets:
        rows, bounds, keys, malformed = [], [], [], []
        for row, labels in enumerate(series):
            found = dict(labels).get(BUCKET_LABEL, "")
            bound = parse_bound(found)
            if bound is None:
                malformed.append((row, found, metric_name(labels)))
                continue
            rows.append(row)
            bounds.append(bound)
            keys.append(tuple(pair for pair in labels if pair[0] != BUCKET_LABEL))
        distinct, ids = group_rows(keys)
        edges = np.asarray(bounds, dtype=np.float64)
        order = np.lexsort((edges, ids))
        starts = np.concatenate((np.searchsorted(ids[order], np.arange(len(distinct))), [len(rows)]))
        taken = np.asarray(rows, dtype=np.int64)[order]
        return cls(malformed, LabelList(distinct), taken, edges[order], starts.astype(np.int64))

    def plain(self) -> Bools:
        """[histograms] whose bounds differ, with +Inf as the last of at least two."""
        same = np.append(self.bounds[1:] == self.bounds[:-1], False)
        same[self.starts[1:] - 1] = False  # of two histograms
        repeats = np.add.reduceat(same, self.starts[:-1], dtype=np.int64) if len(self.keys) else np.zeros(0, np.int64)
        found: Bools = (repeats == 0) & np.isposinf(self.bounds[self.starts[1:] - 1]) & (np.diff(self.starts) >= 2)
        return found


def _measured(ctx: Context, vector: Vector, measure: Measure, names: list[str], argument: int) -> Vector:
    """Apply a measure to every histogram of the vector and give one row per histogram."""
    buckets = remembered(vector.labels, "buckets", _Buckets.of)
    for row, found, metric in buckets.malformed:
        if vector.present[row].any():
            ctx.warn(
                f'bucket label "le" is missing or has a malformed value of "{found}" for metric name "{metric}"',
                argument,
            )
    names.extend(metric_name(labels) for labels in buckets.keys)
    shape = (len(buckets.keys), vector.steps)
    values, present, drop = np.full(shape, np.nan), np.zeros(shape, np.bool_), np.zeros(shape[0], np.bool_)
    if shape[0]:
        drop[:] = np.logical_or.reduceat(vector.drop[buckets.rows], buckets.starts[:-1])
        whole = np.logical_and.reduceat(vector.present[buckets.rows].all(axis=1), buckets.starts[:-1])
        together = buckets.plain() & whole
        _in_stacks(ctx, vector, buckets, measure, np.flatnonzero(together), values)
        present[together] = True
        for group in np.flatnonzero(~together).tolist():
            _one_by_one(vector, buckets, measure, group, values, present)
    return without_names(ctx, Vector(buckets.keys, values, present, drop))


def _in_stacks(
    ctx: Context, vector: Vector, buckets: _Buckets, measure: Measure, groups: Int64s, values: Float64s
) -> None:
    """Histograms with all their buckets at every step, many at once."""
    sizes = np.diff(buckets.starts)[groups]
    for size in np.unique(sizes).tolist():
        some = groups[sizes == size]
        for part in chunks(len(some), size * vector.steps):
            ctx.check()
            chosen = some[part]
            members = buckets.starts[chosen][:, None] + np.arange(size)
            counts = np.moveaxis(vector.values[buckets.rows[members]], 1, 2).reshape(-1, size)
            bounds = np.repeat(buckets.bounds[members], vector.steps, axis=0)
            steps = np.tile(np.arange(vector.steps, dtype=np.int64), len(chosen))
            found = measure(bounds, counts, steps, np.repeat(chosen, vector.steps))
            values[chosen] = found.reshape(len(chosen), vector.steps)


def _one_by_one(
    vector: Vector, buckets: _Buckets, measure: Measure, group: int, values: Float64s, present: Bools
) -> None:
    """A histogram whose buckets come and go, or are written in more than one way."""
    members = slice(buckets.starts[group], buckets.starts[group + 1])
    rows, edges = buckets.rows[members], buckets.bounds[members]
    counts, here = vector.values[rows], vector.present[rows]
    present[group] = here.any(axis=0)
    for pattern, steps in _presence_patterns(here):
        bounds, cumulative = _coalesced(edges[pattern], counts[pattern][:, steps].T)
        tiled = np.broadcast_to(bounds, cumulative.shape)
        values[group, steps] = measure(tiled, cumulative, steps, np.full(len(steps), group))


def _presence_patterns(here: Bools) -> list[tuple[Bools, Int64s]]:
    """Steps grouped by which buckets are present: (mask over buckets, steps), empty patterns left out."""
    full = here.all(axis=0)
    found: list[tuple[Bools, Int64s]] = []
    if full.any():
        found.append((np.ones(len(here), np.bool_), np.flatnonzero(full)))
    rest = np.flatnonzero(~full & here.any(axis=0))
    if len(rest):
        patterns, which = np.unique(here[:, rest], axis=1, return_inverse=True)
        which = which.ravel()
        found.extend((patterns[:, k], rest[which == k]) for k in range(patterns.shape[1]))
    return found


def _coalesced(bounds: Float64s, counts: Float64s) -> tuple[Float64s, Float64s]:
    """Buckets that write the same bound differently are one bucket; counts is [m x buckets]."""
    first = np.flatnonzero(np.concatenate(([True], bounds[1:] != bounds[:-1])))
    if len(first) == len(bounds):
        return bounds, counts
    return bounds[first], np.add.reduceat(counts, first, axis=1)


def _almost_equal(a: Float64s, b: Float64s) -> Bools:
    total, difference = np.abs(a) + np.abs(b), np.abs(a - b)
    tiny = (a == 0) | (b == 0) | (total < _SMALLEST_NORMAL)
    near = np.where(tiny, difference < _TOLERANCE * _SMALLEST_NORMAL, difference / total < _TOLERANCE)
    equal: Bools = near | (a == b) | (np.isnan(a) & np.isnan(b))
    return equal


def _monotonic(counts: Float64s) -> tuple[Float64s, Bools]:
    """Cumulative counts made non-decreasing, and where more than rounding had to be corrected."""
    out = counts.copy()
    forced = np.zeros(len(counts), np.bool_)
    for k in range(1, counts.shape[1]):
        before, now = out[:, k - 1], counts[:, k]
        same = _almost_equal(before, now)
        falls = (now < before) & ~same
        out[:, k] = np.where(same | falls, before, now)
        forced |= falls
    return out, forced


def bucket_quantile(q: Float64s, bounds: Float64s, counts: Float64s) -> tuple[Float64s, Bools]:
    """Quantile of m histograms, linear within the bucket; also where counts were forced to be monotonic.

    NaN without observations, without a +Inf bucket or with fewer than two buckets; the second highest bound when the
    quantile falls into the +Inf bucket; the lowest bucket starts at 0 unless its bound is not positive.
    """
    m, size = counts.shape
    outside = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, np.nan))
    if size < 2 or not np.isposinf(bounds[0, -1]):
        return np.where(np.isnan(q), np.nan, outside), np.zeros(m, np.bool_)
    counts, forced = _monotonic(counts)
    inside = (q >= 0) & (q <= 1)
    observations = counts[:, -1]
    rank = np.where(inside, q, 0.0) * observations
    index = (~(counts[:, :-1] >= rank[:, None])).sum(axis=1)
    row = np.arange(m)
    below = np.maximum(index - 1, 0)
    start = np.where(index > 0, bounds[row, below], 0.0)
    passed = np.where(index > 0, counts[row, below], 0.0)
    share = (rank - passed) / (counts[row, index] - passed)
    values = start + (bounds[row, index] - start) * share
    values = np.where((index == 0) & (bounds[:, 0] <= 0), bounds[:, 0], values)
    values = np.where(index == size - 1, bounds[:, -2], values)
    values = np.where(observations == 0, np.nan, values)
    return np.where(inside, values, outside), forced & inside


def bucket_fraction(lower: Float64s, upper: Float64s, bounds: Float64s, counts: Float64s) -> Float64s:
    """Share of the observations of m histograms between two bounds, linear within a bucket of finite width."""
    m, size = counts.shape
    total = counts[:, -1]
    unusable = (total == 0) | np.isnan(lower) | np.isnan(upper)
    if not np.isposinf(bounds[0, -1]):
        return np.full(m, np.nan)

    def observed(value: Float64s) -> Float64s:
        rank, done = np.zeros(m), np.zeros(m, np.bool_)
        passed = np.zeros(m)
        start = np.where(bounds[:, 0] > 0, 0.0, -np.inf)
        for k in range(size):
            start = bounds[:, k - 1] if k else start
            at_start = ~done & (start >= value)
            within = ~done & (start < value) & (bounds[:, k] > value)
            linear = passed + (counts[:, k] - passed) * (value - start) / (bounds[:, k] - start)
            linear = np.where(np.isneginf(start), counts[:, k], linear)
            rank = np.where(at_start, passed, np.where(within, linear, rank))
            done |= at_start | within
            passed = counts[:, k]
        return np.where(~done | (rank > total), total, rank)

    share = (observed(upper) - observed(lower)) / total
    return np.where(unusable, np.nan, np.where(lower >= upper, 0.0, share))
