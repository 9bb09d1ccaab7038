"""Binary operations: arithmetic, comparison and set operators between scalars and vectors, with label matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tongchou.telemetry.promql.errors import execution_error
from tongchou.telemetry.promql.grid import Context, Vector, bare, format_labels, group_rows, merged, without_names
from tongchou.telemetry.promql.parse import Binary, Matching
from tongchou.telemetry.series import METRIC_NAME, Bools, Float64s, Int64s, Labels

COMPARISONS = frozenset(("==", "!=", ">", "<", ">=", "<="))
SET_OPERATORS = frozenset(("and", "or", "unless"))
_OPERATIONS: dict[str, Callable[[Float64s, Float64s], Float64s]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def compute(op: str, left: Float64s, right: Float64s) -> Float64s:
    """The plain operation on floats; comparisons give 0 and 1."""
    out: Float64s = np.asarray(_OPERATIONS[op](left, right), dtype=np.float64)
    if op == "^" and (root := right == 0.5).any():
        # NumPy takes the square root, which at -Inf and -0 is not the power.
        out = np.where(root, np.where(left == -np.inf, np.inf, out + 0.0), out)
    return out


def binary(ctx: Context, node: Binary, left: Vector | Float64s, right: Vector | Float64s) -> Vector | Float64s:
    """Evaluate a binary operation on two evaluated sides; scalars are [steps]."""
    if isinstance(left, Vector) and isinstance(right, Vector):
        if node.op in SET_OPERATORS:
            return _set_operation(node, left, right)
        return _VectorMatch(ctx, node, left, right).result()
    if isinstance(right, Vector):
        return _with_scalar(ctx, node, right, compute(node.op, np.asarray(left)[None, :], right.values))
    if isinstance(left, Vector):
        return _with_scalar(ctx, node, left, compute(node.op, left.values, right[None, :]))
    return compute(node.op, left, right)


def _with_scalar(ctx: Context, node: Binary, vector: Vector, values: Float64s) -> Vector:
    if node.op in COMPARISONS and not node.bool_result:
        return vector.with_values(vector.values, vector.present & (values != 0))
    return without_names(ctx, vector.with_values(values))


def signature(labels: Labels, matching: Matching) -> Labels:
    """The labels by which two sides match; the metric name takes part only when `on` names it."""
    if matching.on:
        return tuple(pair for pair in labels if pair[0] in matching.labels)
    return tuple(pair for pair in labels if pair[0] not in matching.labels and pair[0] != METRIC_NAME)


def _signatures(left: Vector, right: Vector, matching: Matching) -> tuple[list[Labels], Int64s, Int64s]:
    found = [signature(labels, matching) for labels in (*left.labels, *right.labels)]
    keys, ids = group_rows(found)
    return keys, ids[: len(left)], ids[len(left) :]


def _any_by(ids: Int64s, count: int, present: Bools) -> Bools:
    """Whether any row of each id is present, [ids x steps]."""
    out = np.zeros((count, present.shape[1]), np.bool_)
    np.logical_or.at(out, ids, present)
    return out


def _set_operation(node: Binary, left: Vector, right: Vector) -> Vector:
    keys, left_ids, right_ids = _signatures(left, right, node.matching)
    if node.op == "or":
        taken = _any_by(left_ids, len(keys), left.present)[right_ids]
        added = right.present & ~taken
        return merged(
            Vector(
                left.labels + right.labels,
                np.concatenate((left.values, right.values)),
                np.concatenate((left.present, added)),
                np.concatenate((left.drop, right.drop)),
            )
        )
    other = _any_by(right_ids, len(keys), right.present)[left_ids]
    return left.with_values(left.values, left.present & (other if node.op == "and" else ~other))


@dataclass(slots=True)
class _Pairs:
    """Candidate matches: rows of the many side and the one side; -1 stands for the filled-in side."""

    many: Int64s
    one: Int64s
    signature: Int64s
    present: Bools


class _VectorMatch:
    """One vector-to-vector operation; `many` is the side that may have several series per match group."""

    def __init__(self, ctx: Context, node: Binary, left: Vector, right: Vector) -> None:
        self.ctx, self.node, self.matching = ctx, node, node.matching
        self.swapped = self.matching.card == "right"
        self.many, self.one = (right, left) if self.swapped else (left, right)
        # Not exchanged with the sides: in Prometheus fill_left stands for the many side, under group_right too.
        self.fill_many, self.fill_one = self.matching.fill_left, self.matching.fill_right
        self.keys, self.many_ids, self.one_ids = _signatures(self.many, self.one, self.matching)

    def result(self) -> Vector:
        """The matched, computed and checked result."""
        self._refuse_duplicates()
        pairs = self._pairs()
        values, kept = self._values(pairs)
        labels = [self._labels(m, o, s) for m, o, s in zip(pairs.many, pairs.one, pairs.signature, strict=True)]
        # What matched counts, whether or not a comparison keeps it (Prometheus #17668).
        self._refuse_multiple(pairs, labels)
        # A filter takes back the pending removal of a name, arithmetic has removed it by now.
        out = Vector(labels, values, kept, np.zeros(len(labels), np.bool_))
        return without_names(self.ctx, out) if self.node.bool_result else merged(out)

    def _refuse_duplicates(self) -> None:
        """The one side may hold one series per match group at a time."""
        several = np.flatnonzero(np.bincount(self.one_ids, minlength=len(self.keys))[self.one_ids] > 1)
        if not len(several):
            return
        # A step at which one side is empty matches nothing and is not looked at, unless it is filled in.
        filled = self.fill_many is not None or self.fill_one is not None
        looked = np.ones(self.one.steps, np.bool_) if filled else self.many.present.any(axis=0)
        for key in np.unique(self.one_ids[several]):
            rows = np.flatnonzero(self.one_ids == key)
            clash = (self.one.present[rows].sum(axis=0) > 1) & looked
            if clash.any():
                step = int(np.argmax(clash))
                names = sorted(format_labels(self.one.labels[r]) for r in rows if self.one.present[r, step])[:2]
                side = "left" if self.swapped else "right"
                raise execution_error(
                    f"found duplicate series for the match group {format_labels(self.keys[key])} on the {side} "
                    f"hand-side of the operation: [{', '.join(names)}];"
                    "many-to-many matching not allowed: matching labels must be unique on one side"
                )

    def _pairs(self) -> _Pairs:
        """Every combination of a many row and a one row of the same match group, then the filled-in ones."""
        order = np.argsort(self.one_ids, kind="stable")
        ordered = self.one_ids[order]
        begin = np.searchsorted(ordered, self.many_ids, side="left")
        fan = np.searchsorted(ordered, self.many_ids, side="right") - begin
        many = np.repeat(np.arange(len(self.many), dtype=np.int64), fan)
        within = np.arange(len(many)) - np.repeat(np.cumsum(fan) - fan, fan)
        one = order[np.repeat(begin, fan) + within] if len(many) else np.zeros(0, np.int64)
        self.ctx.admit(len(many), self.many.steps)
        present = self.many.present[many] & self.one.present[one]
        parts = [_Pairs(many, one, self.many_ids[many], present)]
        if self.fill_one is not None:
            matched = _any_by(self.one_ids, len(self.keys), self.one.present)[self.many_ids]
            rows = np.arange(len(self.many), dtype=np.int64)
            parts.append(_Pairs(rows, np.full(len(rows), -1), self.many_ids, self.many.present & ~matched))
        if self.fill_many is not None:
            matched = _any_by(self.many_ids, len(self.keys), self.many.present)[self.one_ids]
            rows = np.arange(len(self.one), dtype=np.int64)
            parts.append(_Pairs(np.full(len(rows), -1), rows, self.one_ids, self.one.present & ~matched))
        return _Pairs(
            np.concatenate([part.many for part in parts]),
            np.concatenate([part.one for part in parts]),
            np.concatenate([part.signature for part in parts]),
            np.concatenate([part.present for part in parts]),
        )

    def _values(self, pairs: _Pairs) -> tuple[Float64s, Bools]:
        def side(vector: Vector, rows: Int64s, fill: float | None) -> Float64s:
            if fill is None:
                return vector.values[rows]
            padded = np.concatenate((vector.values, np.full((1, vector.steps), fill)))
            return padded[rows]

        many, one = side(self.many, pairs.many, self.fill_many), side(self.one, pairs.one, self.fill_one)
        left, right = (one, many) if self.swapped else (many, one)
        values = compute(self.node.op, left, right)
        if self.node.op in COMPARISONS and not self.node.bool_result:
            return left, pairs.present & (values != 0)
        return values, pairs.present

    def _labels(self, many: int, one: int, key: int) -> Labels:
        matching = self.matching
        own = self.many.labels[many] if many >= 0 else self.keys[key]
        if self.node.op not in COMPARISONS:
            own = bare(own)
        if matching.card == "one":
            if matching.on:
                return tuple(pair for pair in own if pair[0] in matching.labels)
            return tuple(pair for pair in own if pair[0] not in matching.labels)
        if not matching.include:
            return own
        other = dict(self.one.labels[one] if one >= 0 else self.keys[key])
        taken = [(name, other[name]) for name in matching.include if other.get(name)]
        return tuple(sorted([*(pair for pair in own if pair[0] not in matching.include), *taken]))

    def _refuse_multiple(self, pairs: _Pairs, labels: list[Labels]) -> None:
        """A match group may match once (one-to-one), or once per resulting label set (many-to-one), at a time."""
        if self.matching.card == "one":
            counts = np.zeros((len(self.keys), pairs.present.shape[1]), np.int64)
            np.add.at(counts, pairs.signature, pairs.present)
            if (counts > 1).any():
                raise execution_error(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                )
            return
        if len(set(labels)) == len(labels):
            return
        distinct, ids = group_rows(labels)
        counts = np.zeros((len(distinct), pairs.present.shape[1]), np.int64)
        np.add.at(counts, ids, pairs.present)
        if (counts > 1).any():
            raise execution_error("multiple matches for labels: grouping labels must ensure unique matches")
