"""Aggregations: sum, avg, topk, quantile and their kin over groups of series, all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tongchou.telemetry.promql.errors import execution_error
from tongchou.telemetry.promql.grid import Context, Vector, format_float, group_rows, merged
from tongchou.telemetry.promql.label_hash import label_hash
from tongchou.telemetry.promql.over_time import incremental_mean, sorted_quantile, sum_in_order, warn_of_quantile
from tongchou.telemetry.promql.parse import Aggregate
from tongchou.telemetry.promql.windows import CHUNK_CELLS, chunks, kahan
from tongchou.telemetry.series import METRIC_NAME, Bools, Float64s, Int64s, LabelList, Labels, remembered

_GREATEST = float(np.finfo(np.float64).max)
# Values and presence [groups x size x steps] (presence None: all there) into [groups x steps].
Fold = Callable[[Float64s, Bools | None], Float64s]


def group_key(labels: Labels, names: frozenset[str], without: bool) -> Labels:
    """The labels a series is grouped by; `without` always leaves the metric name out."""
    if without:
        return tuple(pair for pair in labels if pair[0] not in names and pair[0] != METRIC_NAME)
    return tuple(pair for pair in labels if pair[0] in names)


@dataclass(frozen=True, slots=True)
class Grouping:
    """How series fall into groups: the groups' labels, the group of every series, and the series in order of group."""

    keys: LabelList
    group_of: Int64s
    sizes: Int64s
    order: Int64s
    starts: Int64s

    @classmethod
    def of(cls, labels: Sequence[Labels], names: frozenset[str], without: bool) -> Grouping:
        """Group the series by these labels, or by all but these."""
        keys, group_of = group_rows(group_key(each, names, without) for each in labels)
        sizes = np.bincount(group_of, minlength=len(keys))
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1])) if len(keys) else np.zeros(0, np.int64)
        return cls(LabelList(keys), group_of, sizes, np.argsort(group_of, kind="stable"), starts)


class Groups:
    """The groups of a vector: keys, and the rows of each, handed out in stacks of groups of equal size."""

    def __init__(self, vector: Vector, names: tuple[str, ...], without: bool) -> None:
        chosen = frozenset(names)
        self.vector = vector
        found = remembered(vector.labels, (chosen, without), lambda labels: Grouping.of(labels, chosen, without))
        self.keys, self.group_of, self.sizes = found.keys, found.group_of, found.sizes
        self._order, self._starts = found.order, found.starts

    def stacks(self) -> Iterator[tuple[Int64s, Int64s]]:
        """Yields (group numbers [g], row numbers [g x size]) for every size that occurs."""
        for size in np.unique(self.sizes):
            groups = np.flatnonzero(self.sizes == size)
            yield groups, self._order[self._starts[groups][:, None] + np.arange(size)]

    def reduced(self, fold: Fold) -> Vector:
        """One row per group: fold turns values and presence [g x size x steps] into [g x steps].

        presence is None where every cell is there. Groups are handed over a few at a time, so that they stay in cache.
        """
        vector = self.vector
        values = np.full((len(self.keys), vector.steps), np.nan)
        present = np.zeros(values.shape, np.bool_)
        drop = np.zeros(len(self.keys), np.bool_)
        np.logical_or.at(drop, self.group_of, vector.drop)
        complete = bool(vector.present.all())
        if len(self.keys) == 1:
            here = None if complete else vector.present[None]
            present[:] = True if here is None else here.any(axis=1)
            values[:] = fold(vector.values[None], here)
            return Vector(self.keys, values, present, drop)
        for groups, rows in self.stacks():
            for part in chunks(len(groups), rows.shape[1] * vector.steps):
                here = None if complete else vector.present[rows[part]]
                present[groups[part]] = True if here is None else here.any(axis=1)
                values[groups[part]] = fold(vector.values[rows[part]], here)
        return merged(Vector(self.keys, values, present, drop))


def aggregate(ctx: Context, node: Aggregate, vector: Vector, param: Float64s | str | None) -> Vector:
    """Evaluate an aggregation; param is [steps], or the label name of count_values."""
    groups = Groups(vector, node.labels, node.without)
    op = node.op
    if op in _PLAIN:
        return groups.reduced(_PLAIN[op])
    if isinstance(param, str):
        # A label that is grouped away takes the value with it: what is left is how many there are.
        return (
            groups.reduced(_PLAIN["count"]) if node.without and param in node.labels else _count_values(groups, param)
        )
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


def _sum_parts(values: Float64s, present: Bools | None) -> tuple[Float64s, Float64s]:
    """Compensated sum over axis 1, folding halves onto each other: total and carry, [g x steps]."""
    if values.shape[1] * values.shape[2] > 4 * CHUNK_CELLS:
        return _sum_in_slices(values, present)
    total = values if present is None else np.where(present, values, 0.0)
    carry: Float64s | None = None
    while total.shape[1] > 1:
        size = total.shape[1]
        half = size // 2
        low, high = slice(0, 2 * half, 2), slice(1, 2 * half, 2)
        before: Float64s | float = 0.0 if carry is None else carry[:, low] + carry[:, high]
        summed, lost = kahan(total[:, high], total[:, low], before)
        if size % 2:
            odd = np.zeros_like(total[:, -1:]) if carry is None else carry[:, -1:]
            summed = np.concatenate((summed, total[:, -1:]), axis=1)
            lost = np.concatenate((lost, odd), axis=1)
        total, carry = summed, lost
    return total[:, 0], np.zeros_like(total[:, 0]) if carry is None else carry[:, 0]


def _sum_in_slices(values: Float64s, present: Bools | None) -> tuple[Float64s, Float64s]:
    """The same for large groups: a slice that fits the cache at a time."""
    shape = (values.shape[0], values.shape[2])
    total, carry = np.zeros(shape), np.zeros(shape)
    for group in range(len(values)):
        for part in chunks(values.shape[1], values.shape[2]):
            here = None if present is None else present[group : group + 1, part]
            summed, lost = _sum_parts(values[group : group + 1, part], here)
            total[group], carry[group] = kahan(summed[0], total[group], carry[group] + lost[0])
    return total, carry


def _overflowing(values: Float64s, present: Bools | None) -> Iterator[tuple[int, int, Float64s]]:
    """(group, step, values in order) where it depends on their order whether their sum overflows."""
    if not values.size:
        return
    # Two passes without a copy: hardly any values are so great.
    greatest = max(float(np.fmax.reduce(values, axis=None)), -float(np.fmin.reduce(values, axis=None)))
    if not greatest * values.shape[1] > _GREATEST:
        return
    with np.errstate(over="ignore"):
        sizes = np.abs(values) if present is None else np.where(present, np.abs(values), 0.0)
        unsafe = np.isposinf(sizes.sum(axis=1))
    for group, step in np.argwhere(unsafe):
        there = slice(None) if present is None else present[group, :, step]
        yield int(group), int(step), values[group, there, step]


def _sum(values: Float64s, present: Bools | None) -> Float64s:
    total, carry = _sum_parts(values, present)
    out = np.where(np.isinf(total), total, total + carry)
    for group, step, each in _overflowing(values, present):
        out[group, step] = sum_in_order(each)
    return out


def _counted(values: Float64s, present: Bools | None) -> Float64s:
    """How many cells of each group are there, [g x steps]."""
    if present is None:
        return np.full((values.shape[0], values.shape[2]), float(values.shape[1]))
    return np.asarray(present.sum(axis=1), dtype=np.float64)


def _avg(values: Float64s, present: Bools | None) -> Float64s:
    total, carry = _sum_parts(values, present)
    counts = _counted(values, present)
    out = total / counts + carry / counts
    for group, step, each in _overflowing(values, present):
        out[group, step] = incremental_mean(each)
    return np.asarray(out)


def _extreme(ufunc: np.ufunc) -> Fold:
    def fold(values: Float64s, present: Bools | None) -> Float64s:
        out: Float64s = ufunc.reduce(values if present is None else np.where(present, values, np.nan), axis=1)
        return out

    return fold


def _variance(values: Float64s, present: Bools | None) -> Float64s:
    """Population variance by Welford's method with compensated sums, series by series."""
    shape = (values.shape[0], values.shape[2])
    count, mean, mean_carry, square, square_carry = (np.zeros(shape) for _ in range(5))
    for k in range(values.shape[1]):
        x = values[:, k]
        here = np.ones(shape, np.bool_) if present is None else present[:, k]
        grown = count + here
        delta = x - (mean + mean_carry)
        new_mean, new_carry = kahan(delta / grown, mean, mean_carry)
        new_square, new_square_carry = kahan(delta * (x - (new_mean + new_carry)), square, square_carry)
        count = grown
        mean, mean_carry = np.where(here, new_mean, mean), np.where(here, new_carry, mean_carry)
        square = np.where(here, new_square, square)
        square_carry = np.where(here, new_square_carry, square_carry)
    return (square + square_carry) / count


def _stddev(values: Float64s, present: Bools | None) -> Float64s:
    out: Float64s = np.sqrt(_variance(values, present))
    return out


_PLAIN: dict[str, Fold] = {
    "sum": _sum,
    "avg": _avg,
    "min": _extreme(np.fmin),
    "max": _extreme(np.fmax),
    "count": _counted,
    "group": lambda values, _present: np.ones((values.shape[0], values.shape[2])),
    "stdvar": _variance,
    "stddev": _stddev,
}


def _quantile(values: Float64s, present: Bools | None, q: Float64s) -> Float64s:
    """The q-quantile over axis 1 of the present values; q is [steps]."""
    groups, size, steps = values.shape
    cells = np.moveaxis(values, 1, 2).reshape(-1, size)
    here = np.ones(cells.shape, np.bool_) if present is None else np.moveaxis(present, 1, 2).reshape(-1, size)
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
    if len(k) and k.max() >= 1:  # without any such k the answer is empty, whatever they are
        for bound, over, word in (
            (float(k.min()), k.min() <= -(2.0**63), "under"),
            (k.max(), k.max() >= 2.0**63, "over"),
        ):
            if over:
                raise execution_error(f"Scalar value {format_float(float(bound))} {word}flows int64")
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
    found: dict[Labels, Float64s] = {}
    for group, key in enumerate(groups.keys):
        members = groups.group_of == group
        values, present = vector.values[members], vector.present[members]
        # Told apart by their bits, as their texts are: -0 is not 0; every NaN is one.
        bits = np.where(np.isnan(values), np.nan, values).view(np.int64)
        for pattern in np.unique(bits[present]):
            value = float(np.array([pattern]).view(np.float64)[0])
            labels = tuple(sorted([*(p for p in key if p[0] != name), (name, plain_float(value))]))
            counts = ((bits == pattern) & present).sum(axis=0).astype(np.float64)
            # Groups that differ in the overwritten label alone become one.
            found[labels] = found[labels] + counts if labels in found else counts
    if not found:
        return Vector.empty(vector.steps)
    counts = np.stack(list(found.values()))
    return Vector(list(found), counts, counts > 0, np.zeros(len(found), np.bool_))
