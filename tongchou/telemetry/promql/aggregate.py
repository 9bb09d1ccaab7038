"""Aggregations: sum, avg, topk, quantile and their kin over groups of series, all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import numpy as np

from tongchou.telemetry.promql.errors import execution_error
from tongchou.telemetry.promql.grid import Context, Vector, format_float, group_rows, merged
from tongchou.telemetry.promql.label_hash import label_hash
from tongchou.telemetry.promql.over_time import incremental_mean, sorted_quantile, warn_of_quantile
from tongchou.telemetry.promql.parse import Aggregate
from tongchou.telemetry.promql.windows import kahan
from tongchou.telemetry.series import METRIC_NAME, Bools, Float64s, Int64s, Labels


def group_key(labels: Labels, names: frozenset[str], without: bool) -> Labels:
    """The labels a series is grouped by; `without` always leaves the metric name out."""
    if without:
        return tuple(pair for pair in labels if pair[0] not in names and pair[0] != METRIC_NAME)
    return tuple(pair for pair in labels if pair[0] in names)


class Groups:
    """The groups of a vector: keys, and the rows of each, handed out in stacks of groups of equal size."""

    def __init__(self, vector: Vector, names: tuple[str, ...], without: bool) -> None:
        chosen = frozenset(names)
        self.vector = vector
        self.keys, self.group_of = group_rows(group_key(labels, chosen, without) for labels in vector.labels)
        self.sizes = np.bincount(self.group_of, minlength=len(self.keys))
        self._order = np.argsort(self.group_of, kind="stable")
        self._starts = np.concatenate(([0], np.cumsum(self.sizes)[:-1])) if len(self.keys) else np.zeros(0, np.int64)

    def stacks(self) -> Iterator[tuple[Int64s, Int64s]]:
        """Yields (group numbers [g], row numbers [g x size]) for every size that occurs."""
        for size in np.unique(self.sizes):
            groups = np.flatnonzero(self.sizes == size)
            yield groups, self._order[self._starts[groups][:, None] + np.arange(size)]

    def reduced(self, fold: Callable[[Float64s, Bools], Float64s]) -> Vector:
        """One row per group: fold turns values and presence [g x size x steps] into [g x steps]."""
        vector = self.vector
        values = np.full((len(self.keys), vector.steps), np.nan)
        present = np.zeros(values.shape, np.bool_)
        drop = np.zeros(len(self.keys), np.bool_)
        np.logical_or.at(drop, self.group_of, vector.drop)
        for groups, rows in self.stacks():
            here = vector.present[rows]
            present[groups] = here.any(axis=1)
            values[groups] = fold(vector.values[rows], here)
        return merged(Vector(self.keys, values, present, drop))


def aggregate(ctx: Context, node: Aggregate, vector: Vector, param: Float64s | str | None) -> Vector:
    """Evaluate an aggregation; param is [steps], or the label name of count_values."""
    groups = Groups(vector, node.labels, node.without)
    op = node.op
    if op in _PLAIN:
        return groups.reduced(_PLAIN[op])
    if isinstance(param, str):
        return _count_values(groups, param)
    if param is None:
        raise execution_error(f"aggregation {op} needs a parameter")
    if op == "quantile":
        warn_of_quantile(ctx, param)
        return groups.reduced(lambda values, present: _quantile(values, present, param))
    if op in ("topk", "bottomk", "limitk"):
        return _ranked(groups, op, param)
    if op == "limit_ratio":
        return _limit_ratio(ctx, vector, param)
    raise execution_error(f"aggregation {op} is not supported")


def _sum_parts(values: Float64s, present: Bools) -> tuple[Float64s, Float64s]:
    """Compensated sum over axis 1, folding halves onto each other: total and carry, [g x steps]."""
    total = np.where(present, values, 0.0)
    carry = np.zeros(total.shape)
    while total.shape[1] > 1:
        size = total.shape[1]
        half = size // 2
        low, high = slice(0, 2 * half, 2), slice(1, 2 * half, 2)
        summed, lost = kahan(total[:, high], total[:, low], carry[:, low] + carry[:, high])
        if size % 2:
            summed = np.concatenate((summed, total[:, -1:]), axis=1)
            lost = np.concatenate((lost, carry[:, -1:]), axis=1)
        total, carry = summed, lost
    return total[:, 0], carry[:, 0]


def _sum(values: Float64s, present: Bools) -> Float64s:
    total, carry = _sum_parts(values, present)
    return np.where(np.isinf(total), total, total + carry)


def _avg(values: Float64s, present: Bools) -> Float64s:
    total, carry = _sum_parts(values, present)
    counts = present.sum(axis=1)
    out = total / counts + carry / counts
    for group, step in np.argwhere(~np.isfinite(total) & (counts > 0)):
        out[group, step] = incremental_mean(values[group, present[group, :, step], step])
    return np.asarray(out)


def _extreme(ufunc: np.ufunc) -> Callable[[Float64s, Bools], Float64s]:
    def fold(values: Float64s, present: Bools) -> Float64s:
        out: Float64s = ufunc.reduce(np.where(present, values, np.nan), axis=1)
        return out

    return fold


def _variance(values: Float64s, present: Bools) -> Float64s:
    """Population variance by Welford's method with compensated sums, series by series."""
    shape = (values.shape[0], values.shape[2])
    count, mean, mean_carry, square, square_carry = (np.zeros(shape) for _ in range(5))
    for k in range(values.shape[1]):
        x, here = values[:, k], present[:, k]
        grown = count + here
        delta = x - (mean + mean_carry)
        new_mean, new_carry = kahan(delta / grown, mean, mean_carry)
        new_square, new_square_carry = kahan(delta * (x - (new_mean + new_carry)), square, square_carry)
        count = grown
        mean, mean_carry = np.where(here, new_mean, mean), np.where(here, new_carry, mean_carry)
        square = np.where(here, new_square, square)
        square_carry = np.where(here, new_square_carry, square_carry)
    return (square + square_carry) / count


def _stddev(values: Float64s, present: Bools) -> Float64s:
    out: Float64s = np.sqrt(_variance(values, present))
    return out


_PLAIN: dict[str, Callable[[Float64s, Bools], Float64s]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _extreme(np.fmin),
    "max": _extreme(np.fmax),
    "count": lambda _values, present: present.sum(axis=1).astype(np.float64),
    "group": lambda _values, present: np.ones((present.shape[0], present.shape[2])),
    "stdvar": _variance,
    "stddev": _stddev,
}


def _quantile(values: Float64s, present: Bools, q: Float64s) -> Float64s:
    """The q-quantile over axis 1 of the present values; q is [steps]."""
    groups, size, steps = values.shape
    cells = np.moveaxis(values, 1, 2).reshape(-1, size)
    here = np.moveaxis(present, 1, 2).reshape(-1, size)
    # Absent cells go last, behind NaN: sort by (absent, NaN or value), then cut rows to their length.
    order = np.lexsort((cells, ~here), axis=1)
    cells = np.take_along_axis(cells, order, axis=1)
    counts = here.sum(axis=1)
    flat_q = np.broadcast_to(q[None, :], (groups, steps)).ravel()
    out = np.full(len(cells), np.nan)
    for length in np.unique(counts[counts > 0]):
        rows = counts == length
        out[rows] = sorted_quantile(cells[rows, :length], flat_q[rows])
    return out.reshape(groups, steps)


def _ranked(groups: Groups, op: str, k: Float64s) -> Vector:
    """topk, bottomk and limitk: keep at most k series of every group at every step."""
    if np.isnan(k).any():
        raise execution_error("Parameter value is NaN")
    vector = groups.vector
    keep = np.zeros(vector.present.shape, np.bool_)
    limit = np.trunc(np.clip(k, 0, 2.0**62)).astype(np.int64)
    rank = np.zeros(vector.present.shape, np.int64)
    for _numbers, rows in groups.stacks():
        values, present = vector.values[rows], vector.present[rows]
        ranks = _ranks(values, present, op)
        rank[rows] = ranks
        keep[rows] = present & (ranks < limit[None, None, :])
    kept = np.flatnonzero(keep.any(axis=1))
    if vector.steps == 1:
        kept = kept[np.lexsort((rank[kept, 0], groups.group_of[kept]))]
    return Vector([vector.labels[row] for row in kept], vector.values[kept], keep[kept], vector.drop[kept])


def _ranks(values: Float64s, present: Bools, op: str) -> Int64s:
    """Place of every cell within its group, [g x size x steps]: absent cells last, NaN just before them."""
    if op == "limitk":
        placed: Int64s = np.cumsum(present, axis=1) - 1
        return placed
    keys = values if op == "bottomk" else -values
    order = np.lexsort((keys, np.isnan(values), ~present), axis=1)
    ranks = np.empty(order.shape, np.int64)
    places = np.broadcast_to(np.arange(order.shape[1])[None, :, None], order.shape)
    np.put_along_axis(ranks, order, places, axis=1)
    return ranks


def _limit_ratio(ctx: Context, vector: Vector, ratio: Float64s) -> Vector:
    """Keep the share of series whose hash falls below the ratio; a negative ratio keeps the complement."""
    if np.isnan(ratio).any():
        raise execution_error("Ratio value is NaN")
    for value in np.unique(ratio[np.abs(ratio) > 1]):
        edge = 1 if value > 0 else -1
        shown = format_float(float(value))
        ctx.warn(f"ratio value should be between -1 and 1, got {shown}, capping to {edge}")
    capped = np.clip(ratio, -1, 1)[None, :]
    place = np.array([label_hash(labels) / 18446744073709551615.0 for labels in vector.labels])[:, None]
    inside = np.where(capped >= 0, place < capped, place >= 1 + capped)
    return vector.with_values(vector.values, vector.present & inside & (capped != 0))


def plain_float(value: float) -> str:
    """A float in shortest decimal digits without an exponent, as count_values writes it into a label."""
    if not np.isfinite(value):
        return format_float(value)
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _count_values(groups: Groups, name: str) -> Vector:
    """How many series of a group have each value; the value goes into the label `name`."""
    if not name:
        raise execution_error('invalid label name ""')
    vector = groups.vector
    labels: list[Labels] = []
    rows: list[Float64s] = []
    for group, key in enumerate(groups.keys):
        members = groups.group_of == group
        values, present = vector.values[members], vector.present[members]
        for value in np.unique(values[present]):
            same = np.isnan(values) if np.isnan(value) else values == value
            labels.append(tuple(sorted([*(p for p in key if p[0] != name), (name, plain_float(float(value)))])))
            rows.append((same & present).sum(axis=0).astype(np.float64))
    if not rows:
        return Vector.empty(vector.steps)
    counts = np.stack(rows)
    return merged(Vector(labels, counts, counts > 0, np.zeros(len(labels), np.bool_)))
