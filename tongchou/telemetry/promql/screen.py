"""Which of many expressions give nothing at one time: those that differ in their selectors alone are evaluated at once.

For the rules of a group, nearly all of which are quiet. Expressions become `part op bound`; parts of one shape are
stacked: one tree is evaluated over the series of all of them, told apart by a label that no series has (MEMBER).
An expression is called quiet only when that is sure; what is not quiet is asked the plain way, errors and all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from tongchou.core.problems import Problem
from tongchou.telemetry.meters import QUERIES
from tongchou.telemetry.ports import MEMBER, Backend, EachBackend, Limits, ManyMatchers
from tongchou.telemetry.promql.binary import COMPARISONS, SET_OPERATORS, compute
from tongchou.telemetry.promql.evaluate import Evaluator, Shared
from tongchou.telemetry.promql.grid import DEFAULT_LOOKBACK_MS, Context, Value, Vector
from tongchou.telemetry.promql.parse import (
    Aggregate,
    Binary,
    Call,
    Matrix,
    Negate,
    Node,
    Number,
    Selector,
    parse,
)
from tongchou.telemetry.series import Bools, Float64s, Int64s, Labels, Matcher, SeriesBlock, remembered

MIN_STACK = 8  # fewer parts of one shape are not worth a stack
# Sums over windows are differences of running sums: their last digits depend on what is summed beside them.
_INEXACT = frozenset(("sum_over_time", "avg_over_time", "stddev_over_time", "stdvar_over_time"))
_MARGIN = 1e-9
# Functions that treat every series by itself, or by labels of which MEMBER is one.
_STACKED = frozenset(
    (
        *("rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv", "predict_linear"),
        *(f"{word}_over_time" for word in ("count", "present", "min", "max", "sum", "avg", "stddev", "stdvar", "last")),
        *("abs", "ceil", "floor", "round", "sqrt", "exp", "ln", "log2", "log10", "sgn"),
        *("clamp", "clamp_min", "clamp_max", "histogram_quantile"),
    )
)
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class _Question:
    """Whether `part op bound` gives anything; with op "" whether the part does."""

    query: str
    part: Node
    op: str
    bound: float


class _AloneError(Exception):
    """The part cannot be stacked."""


def _constant(node: Node) -> float | None:
    match node:
        case Number(value=value):
            return value
        case Negate(expr=expr):
            inner = _constant(expr)
            return None if inner is None else -inner
        case Binary(op=op) if op not in COMPARISONS and op not in SET_OPERATORS:
            left, right = _constant(node.left), _constant(node.right)
            if left is None or right is None:
                return None
            return float(compute(op, np.array([left]), np.array([right]))[0])
        case _:
            return None


def _question(query: str) -> _Question:
    """Raises QueryError."""
    node = parse(query)
    if isinstance(node, Binary) and node.op in COMPARISONS and not node.bool_result:
        left, right = _constant(node.left), _constant(node.right)
        if right is not None and left is None:
            return _Question(query, node.left, node.op, right)
        if left is not None and right is None:
            return _Question(query, node.right, _MIRRORED[node.op], left)
    return _Question(query, node, "", 0.0)


def _place(selector: Selector, found: list[tuple[Matcher, ...]]) -> Selector:
    """Raises _AloneError."""
    if len(selector.matcher_sets) != 1 or selector.at is not None:
        raise _AloneError
    found.append(selector.matcher_sets[0])
    return replace(selector, matcher_sets=((Matcher(MEMBER, "=", str(len(found) - 1)),),))


def _template(node: Node, found: list[tuple[Matcher, ...]]) -> Node:
    """The part with places for its selectors, whose matchers are added to `found`: equal for parts of one shape.

    Raises _AloneError.
    """
    match node:
        case Number():
            return node
        case Selector():
            return _place(node, found)
        case Matrix():
            return replace(node, selector=_place(node.selector, found))
        case Negate():
            return Negate(_template(node.expr, found))
        case Call(name=name) if name in _STACKED:
            return replace(node, args=tuple(_template(arg, found) for arg in node.args))
        case Aggregate(op=op) if op not in ("limit_ratio", "count_values"):
            if node.param is not None and not isinstance(node.param, Number):
                raise _AloneError
            labels = node.labels if node.without else (*node.labels, MEMBER)
            return replace(node, expr=_template(node.expr, found), labels=labels)
        case Binary() if node.matching.fill_left is None and node.matching.fill_right is None:
            matching = node.matching
            if matching.on:
                matching = replace(matching, labels=(*matching.labels, MEMBER))
            left, right = _template(node.left, found), _template(node.right, found)
            return replace(node, left=left, right=right, matching=matching)
        case _:
            raise _AloneError


def _has_inexact(node: Node) -> bool:
    match node:
        case Call():
            return node.name in _INEXACT or any(map(_has_inexact, node.args))
        case Negate() | Aggregate():
            return _has_inexact(node.expr)
        case Binary():
            return _has_inexact(node.left) or _has_inexact(node.right)
        case _:
            return False


@dataclass(frozen=True, slots=True)
class _Extremes:
    """Of each member's values: whether there are any, whether one is NaN, the others' bounds (NaN: none)."""

    some: Bools
    nan: Bools
    low: Float64s
    high: Float64s

    @classmethod
    def of(cls, vector: Vector, member: Int64s, count: int) -> _Extremes:
        here = vector.present[:, 0]
        member, values = member[here], vector.values[here, 0]
        low, high = np.full(count, np.nan), np.full(count, np.nan)
        np.fmin.at(low, member, values)
        np.fmax.at(high, member, values)
        nan = np.bincount(member[np.isnan(values)], minlength=count) > 0
        return cls(np.bincount(member, minlength=count) > 0, nan, low, high)

    def may_pass(self, op: str, member: Int64s, bound: Float64s, inexact: bool) -> Bools:
        """Whether any value of these members compares so with these bounds; surely none where False."""
        some, low, high = self.some[member], self.low[member], self.high[member]
        if inexact:
            room = _MARGIN * np.maximum(np.maximum(np.abs(low), np.abs(high)), np.abs(bound))
            room = np.where(np.isfinite(room), room, 0.0)
            low, high = low - room, high + room
            op = {">": ">=", "<": "<="}.get(op, op)
        out: Bools
        match op:
            case ">":
                out = high > bound
            case ">=":
                out = high >= bound
            case "<":
                out = low < bound
            case "<=":
                out = low <= bound
            case "==":
                out = (low <= bound) & (high >= bound)
            case "!=":
                out = some & (self.nan[member] | (low != bound) | (high != bound))
            case _:
                out = some
        return out


def _members(labels: Sequence[Labels]) -> Int64s:
    return np.array([int(each[0][1]) for each in labels], dtype=np.int64)


class _Stacked:
    """What the evaluator asks of the backend of a stack: the series of all members at a place of the template."""

    def __init__(self, backend: EachBackend, places: Sequence[ManyMatchers]) -> None:
        self._backend, self._places = backend, places

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock:
        found = self._backend.select_each(self._places[int(matchers[0].value)], start_ms, end_ms, limits=limits)
        if found is None:
            raise _AloneError
        return found


class _Stack:
    """Parts of one shape, and the questions about them."""

    def __init__(self, template: Node, members: Sequence[tuple[Node, list[tuple[Matcher, ...]]]]) -> None:
        self.template, self.members = template, members
        self.parts = [part for part, _matchers in members]
        self.inexact = _has_inexact(template)
        self._places = [ManyMatchers(sets) for sets in zip(*(found for _part, found in members), strict=True)]
        self._halves: tuple[_Stack, _Stack] | None = None
        self._broken = False

    def found(self, backend: EachBackend, context: Context, first: int = 0) -> Iterator[tuple[int, int, Vector | None]]:
        """(first member, how many, vector): None where the members must be asked one by one.

        A stack that fails is cut in two, and stays so: what is wrong with one part is not held against all.
        """
        if self._broken:
            yield first, len(self.members), None
            return
        if self._halves is None:
            ctx = replace(
                context, backend=cast("Backend", _Stacked(backend, self._places)), warnings={}, infos={}, samples=0
            )
            try:
                value = Evaluator(ctx).value(self.template, np.array([ctx.query_start_ms], dtype=np.int64))
            except _AloneError:  # not in memory at this time
                yield first, len(self.members), None
                return
            except Problem:
                self._split()
            else:
                yield first, len(self.members), value if isinstance(value, Vector) else None
                return
        if self._halves is None:
            yield first, len(self.members), None
            return
        yield from self._halves[0].found(backend, context, first)
        yield from self._halves[1].found(backend, context, first + len(self._halves[0].members))

    def _split(self) -> None:
        if len(self.members) < 2 * MIN_STACK:
            self._broken = True
            return
        middle = len(self.members) // 2
        self._halves = (
            _Stack(self.template, self.members[:middle]),
            _Stack(self.template, self.members[middle:]),
        )


@dataclass(slots=True)
class _Asked:
    """Questions with one operator about members of a stack."""

    op: str
    queries: list[str]
    member: Int64s
    bound: Float64s


class Screen:
    """Tells quiet expressions from others. It remembers what it found out: keep one for the same expressions.

    Not thread-safe. An expression that does not parse is never quiet.
    """

    def __init__(self, queries: Sequence[str]) -> None:
        shapes: dict[Node, dict[Node, list[tuple[Matcher, ...]]]] = {}
        alone: dict[Node, list[_Question]] = {}
        stacked: dict[Node, list[_Question]] = {}
        with np.errstate(all="ignore"):
            questions = list(_questions(queries))
        for each in questions:
            found: list[tuple[Matcher, ...]] = []
            try:
                template = _template(each.part, found)
            except _AloneError:
                template = None
            if template is None or not found:
                alone.setdefault(each.part, []).append(each)
            else:
                shapes.setdefault(template, {})[each.part] = found
                stacked.setdefault(each.part, []).append(each)
        self._stacks: list[tuple[_Stack, list[_Asked]]] = []
        for template, members in shapes.items():
            if len(members) >= MIN_STACK:
                stack = _Stack(template, list(members.items()))
                self._stacks.append((stack, _by_operator(stack.parts, stacked)))
            else:
                alone.update({part: stacked[part] for part in members})
        # Whether there is anything at all is found out by the plain query just as well.
        self._alone = {
            part: [each for each in asked if each.op] for part, asked in alone.items() if any(e.op for e in asked)
        }

    def quiet(self, at_ms: int, *, backend: Backend, limits: Limits, shared: Shared) -> Mapping[str, float]:
        """The expressions that give nothing at this time (ms since the epoch), with the seconds each took.

        What was evaluated for it is in `shared` for those that are not.
        """
        out: dict[str, float] = {}
        context = Context(backend, limits, DEFAULT_LOOKBACK_MS, at_ms, at_ms, 0)
        with np.errstate(all="ignore"), QUERIES.time("screen"):
            if isinstance(backend, EachBackend):
                for stack, asked in self._stacks:
                    out.update(_quiet_of_stack(stack, asked, backend, context, shared))
            self._quiet_alone(out, backend, context, shared)
        return out

    def _quiet_alone(self, out: dict[str, float], backend: Backend, context: Context, shared: Shared) -> None:
        times = np.array([context.query_start_ms], dtype=np.int64)
        for part, asked in list(self._alone.items()):
            began = time.monotonic()
            try:
                value = Evaluator(replace(context, warnings={}, infos={}, samples=0), shared).value(part, times)
            except Problem:
                del self._alone[part]  # told by the plain query, now and henceforth
                continue
            if not isinstance(value, Vector):
                del self._alone[part]
                continue
            every = np.zeros(len(value), np.int64)
            extremes = _Extremes.of(value, every, 1)
            bounds = np.array([each.bound for each in asked])
            took = (time.monotonic() - began) / len(asked)
            for op in {each.op for each in asked}:
                passes = extremes.may_pass(op, np.zeros(len(asked), np.int64), bounds, False)
                quiet = zip(asked, passes.tolist(), strict=True)
                out.update({each.query: took for each, may in quiet if each.op == op and not may})


def _questions(queries: Sequence[str]) -> Iterator[_Question]:
    for query in dict.fromkeys(queries):
        try:
            yield _question(query)
        except Problem:
            continue


def _by_operator(parts: Sequence[Node], questions: Mapping[Node, Sequence[_Question]]) -> list[_Asked]:
    """The questions about these parts, those of one operator together."""
    found: dict[str, list[tuple[str, int, float]]] = {}
    for member, part in enumerate(parts):
        for each in questions[part]:
            found.setdefault(each.op, []).append((each.query, member, each.bound))
    return [
        _Asked(op, [each[0] for each in rows], np.array([each[1] for each in rows]), np.array([r[2] for r in rows]))
        for op, rows in found.items()
    ]


def _quiet_of_stack(
    stack: _Stack, asked: Sequence[_Asked], backend: EachBackend, context: Context, shared: Shared
) -> dict[str, float]:
    out: dict[str, float] = {}
    began = time.monotonic()
    for first, count, vector in stack.found(backend, context):
        if vector is None:
            continue
        member = remembered(vector.labels, "members", _members)
        extremes = _Extremes.of(vector, member, count)
        loud: set[int] = set()
        quiet: list[str] = []
        for each in asked:
            inside = np.flatnonzero((each.member >= first) & (each.member < first + count))
            which = each.member[inside] - first
            passes = extremes.may_pass(each.op, which, each.bound[inside], stack.inexact)
            loud.update(which[passes].tolist())
            quiet += [each.queries[at] for at in inside[~passes].tolist()]
        took = (time.monotonic() - began) / count
        out.update(dict.fromkeys(quiet, took))
        if loud and not stack.inexact:
            _share(stack.parts[first : first + count], vector, member, sorted(loud), shared)
        began = time.monotonic()
    return out


def _share(parts: Sequence[Node], vector: Vector, member: Int64s, wanted: Sequence[int], shared: Shared) -> None:
    """Keep the values of these members for the plain queries."""
    order = np.argsort(member, kind="stable")
    edges = np.searchsorted(member[order], np.arange(len(parts) + 1))
    for each in wanted:
        rows = order[edges[each] : edges[each + 1]]
        value: Value = Vector(
            [vector.labels[row][1:] for row in rows.tolist()],
            vector.values[rows],
            vector.present[rows],
            vector.drop[rows],
        )
        shared.keep(parts[each], value)
