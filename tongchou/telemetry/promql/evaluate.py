"""Evaluate PromQL: walk the tree once, every node over the whole grid of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tongchou.telemetry.meters import QUERIES
from tongchou.telemetry.ports import Backend, Limits
from tongchou.telemetry.promql import functions, labelling, over_time, rates, rolled
from tongchou.telemetry.promql.aggregate import aggregate
from tongchou.telemetry.promql.binary import binary
from tongchou.telemetry.promql.errors import execution_error, limit_exceeded, refused_type
from tongchou.telemetry.promql.grid import (
    DEFAULT_LOOKBACK_MS,
    DEFAULT_SUBQUERY_STEP_MS,
    Context,
    Result,
    Value,
    Vector,
    finished,
    without_names,
)
from tongchou.telemetry.promql.info import InfoSelector, enriched
from tongchou.telemetry.promql.parse import (
    Aggregate,
    At,
    Binary,
    Call,
    Matrix,
    Negate,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    parse,
    selectors,
)
from tongchou.telemetry.promql.statistics import Statistics
from tongchou.telemetry.promql.windows import Windows, block_of, newest, windows_of
from tongchou.telemetry.series import Bools, Float64s, Int64s, LabelList, Labels, Matcher, SeriesBlock, remembered

MAX_STEPS_SETTING = "TONGCHOU_TELEMETRY_MAX_QUERY_STEPS"


@QUERIES.time("instant")
def instant(
    query: str | Node,
    at_ms: int,
    *,
    backend: Backend,
    lookback_ms: int = DEFAULT_LOOKBACK_MS,
    limits: Limits | None = None,
    delayed_names: bool = False,
    cancelled: Callable[[], bool] | None = None,
    shared: Shared | None = None,
    statistics: Statistics | None = None,
) -> Result:
    """The value of a query, or of an already parsed tree, at one time (ms since the epoch).

    Result.kind is "vector", "scalar", "string", or "matrix" for a range vector. delayed_names keeps metric names until
    the query ends, as Prometheus does under its feature flag. cancelled is asked now and then whether to give up.
    statistics are filled.
    Raises QueryError: telemetry.parse_error, .execution_error, .limit_exceeded or .canceled.
    """
    node = parse(query) if isinstance(query, str) else query
    ctx = Context(backend, limits or Limits(), lookback_ms, at_ms, at_ms, 0, delayed_names, cancelled)
    ctx.statistics = statistics or ctx.statistics
    evaluator = Evaluator(ctx, shared)
    times = np.array([at_ms], dtype=np.int64)
    # PromQL's arithmetic is IEEE 754's, infinities and NaN included: nothing in it is an error to warn of.
    with np.errstate(all="ignore"):
        if isinstance(node, Matrix | Subquery):
            windows = evaluator.windows(node, times)
            ctx.statistics.windows(windows.counts, times)
            return _range_vector(ctx, windows)
        value = evaluator.value(node, times)
    if isinstance(value, str):
        nothing = np.zeros((0, 1))
        return _noted(ctx, Result("string", [], times, nothing, nothing.astype(np.bool_), text=value))
    if isinstance(value, Vector):
        return _answer(ctx, "vector", value, times)
    return _answer(ctx, "scalar", Vector.single(value, np.ones(1, np.bool_)), times)


@QUERIES.time("range")
def range_(
    query: str | Node,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    *,
    backend: Backend,
    lookback_ms: int = DEFAULT_LOOKBACK_MS,
    limits: Limits | None = None,
    delayed_names: bool = False,
    cancelled: Callable[[], bool] | None = None,
    statistics: Statistics | None = None,
) -> Result:
    """The values of a query at start, start + step, ... up to end (ms since the epoch); always of kind "matrix".

    Series are sorted by their labels. Parameters and errors as for instant().
    """
    node = parse(query) if isinstance(query, str) else query
    allowed = limits or Limits()
    if step_ms <= 0:
        raise execution_error("zero or negative query resolution step widths are not accepted")
    if end_ms < start_ms:
        raise execution_error("end timestamp must not be before start time")
    steps = (end_ms - start_ms) // step_ms + 1
    if steps - 1 > allowed.max_steps:  # as Prometheus counts: the distances between the steps
        raise limit_exceeded("max_steps", steps - 1, allowed.max_steps, MAX_STEPS_SETTING)
    if isinstance(node, Matrix | Subquery | Text):
        found = "string" if isinstance(node, Text) else "range vector"
        raise refused_type(found)
    ctx = Context(backend, allowed, lookback_ms, start_ms, end_ms, step_ms, delayed_names, cancelled)
    ctx.statistics = statistics or ctx.statistics
    times = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
    with np.errstate(all="ignore"):
        value = Evaluator(ctx).value(node, times)
    if isinstance(value, str):
        raise refused_type("string")
    if not isinstance(value, Vector):
        value = Vector.single(value, np.ones(len(times), np.bool_))
    return _answer(ctx, "matrix", value, times)


def _answer(ctx: Context, kind: str, vector: Vector, times: Int64s) -> Result:
    """The result of a query: pending names removed, series without any value left out."""
    final = finished(vector)
    filled: Bools = np.any(final.present, axis=1)
    if kind == "matrix":
        started = time.perf_counter()
        order, ordered = remembered(final.labels, "sorted", _sorted)
        ctx.statistics.sort_seconds = time.perf_counter() - started
        if filled.all():
            kept = Vector(ordered, final.values[order], final.present[order], final.drop[order])
        else:
            kept = final.take(order[filled[order]])
    else:
        kept = final.take(filled)
    result = Result("vector", kept.labels, times, kept.values, kept.present)
    if kind == "matrix":
        result.kind = "matrix"
    elif kind == "scalar":
        result.kind = "scalar"
    return _noted(ctx, result)


def _sorted(labels: Sequence[Labels]) -> tuple[Int64s, LabelList]:
    """The order of series by their labels, and the labels in that order."""
    order = sorted(range(len(labels)), key=labels.__getitem__)
    return np.asarray(order, dtype=np.int64), LabelList(labels[row] for row in order)


def _noted(ctx: Context, result: Result) -> Result:
    result.warnings, result.infos, result.samples_read = list(ctx.warnings), list(ctx.infos), ctx.samples
    ctx.statistics.peak_samples = ctx.samples
    return result


def _range_vector(ctx: Context, windows: Windows) -> Result:
    """A range vector as a matrix over every timestamp that occurs in it."""
    lo, hi = windows.lo[:, 0], windows.hi[:, 0]
    # Which samples they are, their times, these sorted, and the values with their mask.
    ctx.afford(ctx.held + int((hi - lo).sum()) * 40)
    inside = np.concatenate([np.arange(a, b) for a, b in zip(lo, hi, strict=True)]) if len(lo) else np.zeros(0, int)
    times = np.unique(windows.ts[inside.astype(np.int64)])
    ctx.admit(len(lo), len(times))
    shape = (len(lo), len(times))
    values, present = np.full(shape, np.nan), np.zeros(shape, np.bool_)
    for row, (a, b) in enumerate(zip(lo, hi, strict=True)):
        at = np.searchsorted(times, windows.ts[a:b])
        values[row, at], present[row, at] = windows.v[a:b], True
    return _answer(ctx, "matrix", Vector(windows.labels, values, present, windows.drop), times)


_Reads = dict[tuple[tuple[tuple[Matcher, ...], ...], int, int], SeriesBlock]


class Shared:
    """What instant queries of one time on one backend have in common: what they read, and parts that are the same.

    For the rules of a group. Not thread-safe; to be cleared when samples of that time come in.
    """

    MAX_CELLS = 5_000_000  # 8 bytes each
    MAX_SAMPLES = 10_000_000

    def __init__(self) -> None:
        self.reads: _Reads = {}
        self._values: dict[Node, Value] = {}
        self._cells = self._samples = 0

    def clear(self) -> None:
        """Forget everything."""
        self.reads.clear()
        self._values.clear()
        self._cells = self._samples = 0

    def has_read(self, samples: int) -> None:
        """Let go of what was read before it is too much."""
        self._samples += samples
        if self._samples > self.MAX_SAMPLES:
            self.reads.clear()
            self._samples = 0

    def get(self, node: Node) -> Value | None:
        """The value of the part, if an earlier query had it."""
        return self._values.get(node)

    def keep(self, node: Node, value: Value) -> None:
        """Remember the value of a part, within a bound of memory."""
        if isinstance(value, Vector) and self._cells < self.MAX_CELLS:
            self._cells += len(value)
            self._values[node] = value


class Evaluator:
    """Evaluates nodes of one query; what is read from the backend is read once per query."""

    def __init__(self, ctx: Context, shared: Shared | None = None) -> None:
        self.ctx = ctx
        self._shared = shared
        self._read: _Reads = {} if shared is None else shared.reads

    def value(self, node: Node, times: Int64s) -> Value:
        """A node at every time: a Vector, a scalar per step, or a string."""
        self.ctx.check()
        before = self.ctx.held
        found = self._known(node, times)
        # What its parts held goes with them.
        self.ctx.held = before
        self.ctx.hold(found)
        return found

    def _known(self, node: Node, times: Int64s) -> Value:
        """A node's value, taken from another query where it is shared."""
        shared = self._shared
        if (
            shared is None
            or not isinstance(node, Selector | Call | Aggregate | Binary)
            or int(times[0]) != self.ctx.query_start_ms
            or len(times) > 1
        ):
            return self._value(node, times)
        known = shared.get(node)
        if known is None:
            known = self._value(node, times)
            shared.keep(node, known)
        return known

    def _value(self, node: Node, times: Int64s) -> Value:
        match node:
            case Number():
                return np.full(len(times), node.value)
            case Text():
                return node.value
            case Selector():
                return self._newest(node, times)[0]
            case Negate():
                return self._negated(node, times)
            case Binary():
                left, right = self.value(node.left, times), self.value(node.right, times)
                if isinstance(left, str) or isinstance(right, str):
                    raise execution_error("binary expression must contain only scalar and instant vector types")
                return binary(self.ctx, node, left, right)
            case Aggregate():
                return self._aggregate(node, times)
            case Call():
                return self._call(node, times)
            case Matrix() | Subquery():
                raise execution_error("a range vector is not allowed here")

    def windows(self, node: Node, times: Int64s) -> Windows:
        """A range vector selector or subquery at every time; windows that do not move have a single step."""
        match node:
            case Matrix():
                ends = self._reference(node.selector.at, node.selector.offset_ms, times)
                block = self._select(node.selector.matcher_sets, int(ends.min()) - node.range_ms + 1, int(ends.max()))
                self.ctx.admit(len(block), len(ends))
                return windows_of(block, np.zeros(len(block), np.bool_), ends, node.range_ms)
            case Subquery():
                return self._subquery(node, times)
            case _:
                raise execution_error("expected a range vector")

    def _reference(self, at: At, offset_ms: int, times: Int64s) -> Int64s:
        """The times a selector looks at: shifted by its offset, or one single time when it is pinned by `@`."""
        if at is None:
            return times - offset_ms
        pinned = {"start": self.ctx.query_start_ms, "end": self.ctx.query_end_ms}
        fixed = at if isinstance(at, int) else pinned[at]
        return np.array([fixed - offset_ms], dtype=np.int64)

    def _select(self, matcher_sets: tuple[tuple[Matcher, ...], ...], start_ms: int, end_ms: int) -> SeriesBlock:
        key = (matcher_sets, start_ms, end_ms)
        if key not in self._read:
            limits = self.ctx.limits
            with self.ctx.statistics.preparing():
                blocks = [self.ctx.backend.select(set_, start_ms, end_ms, limits=limits) for set_ in matcher_sets]
            block = blocks[0] if len(blocks) == 1 else _union(blocks)
            self.ctx.account(block.sample_count)
            if self._shared is not None:
                self._shared.has_read(block.sample_count)
            self._read[key] = block
        return self._read[key]

    def _newest(self, node: Selector, times: Int64s) -> tuple[Vector, Int64s]:
        """An instant vector selector, and the timestamps of the samples it found."""
        at = self._reference(node.at, node.offset_ms, times)
        found = rolled.newest_rolled(self.ctx, node, at)
        if found is None:
            block = self._select(node.matcher_sets, int(at.min()) - self.ctx.lookback_ms + 1, int(at.max()))
            self.ctx.admit(len(block), len(times))
            found = block, *newest(block, at, self.ctx.lookback_ms)
        block, values, present, stamps = found
        shape = (len(block), len(times))
        self.ctx.account(shape[0] * shape[1])
        self.ctx.statistics.found(present, times)
        vector = Vector(
            block.labels,
            np.broadcast_to(values, shape),
            np.broadcast_to(present, shape),
            np.zeros(len(block), np.bool_),
        )
        return vector, np.broadcast_to(stamps, shape)

    def _subquery(self, node: Subquery, times: Int64s) -> Windows:
        ends = self._reference(node.at, node.offset_ms, times)
        step = node.step_ms or DEFAULT_SUBQUERY_STEP_MS
        # The inner steps are multiples of the step, whatever the outer times, and lie inside the open window.
        first = ((int(ends.min()) - node.range_ms) // step + 1) * step
        last = int(ends.max())
        count = max(0, (last - first) // step + 1)
        if count > self.ctx.limits.max_samples:
            raise limit_exceeded("max_samples", count, self.ctx.limits.max_samples, "TONGCHOU_TELEMETRY_MAX_SAMPLES")
        if count == 0:
            return windows_of(SeriesBlock.empty(), np.zeros(0, np.bool_), ends, node.range_ms)
        self.ctx.admit(1, count)
        inner_times = np.arange(first, last + 1, step, dtype=np.int64)
        with self.ctx.statistics.subquery():
            inner = self.value(node.expr, inner_times)
        if not isinstance(inner, Vector):
            raise execution_error("subquery is only allowed on an instant vector")
        self.ctx.account(int(inner.present.sum()))
        return windows_of(block_of(inner, inner_times), inner.drop, ends, node.range_ms)

    def _negated(self, node: Negate, times: Int64s) -> Value:
        value = self.value(node.expr, times)
        if isinstance(value, str):
            raise execution_error("unary expression only allowed on expressions of type scalar or instant vector")
        if isinstance(value, Vector):
            return without_names(self.ctx, value.with_values(-value.values))
        return -value

    def _aggregate(self, node: Aggregate, times: Int64s) -> Vector:
        param = None if node.param is None else self.value(node.param, times)
        if isinstance(param, Vector):
            raise execution_error(f"expected a scalar as parameter of {node.op}")
        vector = self.value(node.expr, times)
        if not isinstance(vector, Vector):
            raise execution_error(f"expected an instant vector in aggregation {node.op}")
        self.ctx.places = node.places
        return aggregate(self.ctx, node, vector, param)

    def _call(self, node: Call, times: Int64s) -> Value:
        name = node.name
        if name in _RANGE_FUNCTIONS:
            return self._range_call(node, times)
        if name == "timestamp" and isinstance(node.args[0], Selector):
            vector, stamps = self._newest(node.args[0], times)
            return without_names(self.ctx, vector.with_values(stamps / 1000))
        if name == "timestamp":
            vector = self._vector(node.args[0], times)
            return without_names(self.ctx, vector.with_values(np.broadcast_to(times / 1000, vector.values.shape)))
        if name == "absent":
            selector = node.args[0] if isinstance(node.args[0], Selector) else None
            return labelling.absent(self._vector(node.args[0], times).present, selector)
        if name == "info":
            return self._info(node, times)
        values = [self.value(arg, times) for arg in node.args]
        self.ctx.places = node.places
        return functions.call(self.ctx, name, values, times)

    def _vector(self, node: Node, times: Int64s) -> Vector:
        value = self.value(node, times)
        if not isinstance(value, Vector):
            raise execution_error("expected an instant vector")
        return value

    def _info(self, node: Call, times: Int64s) -> Vector:
        base = self._vector(node.args[0], times)
        second = node.args[1] if len(node.args) > 1 else None
        asked = InfoSelector.of(second if isinstance(second, Selector) else None)
        pinned = selectors(node.args[0])
        model = pinned[0] if pinned else Selector((), 0, None)
        info, stamps = self._newest(replace(model, matcher_sets=(asked.matchers,)), times)
        return enriched(base, info, stamps, asked)

    def _range_call(self, node: Call, times: Int64s) -> Vector:
        name = node.name
        which = 1 if name == "quantile_over_time" else 0
        scalars = [self._scalar(arg, times) for index, arg in enumerate(node.args) if index != which]
        self.ctx.places = node.places
        vector = self._rolled_call(name, node.args[which], times)
        if vector is not None:
            self.ctx.statistics.found(vector.present, times)
            return self._range_answer(name, vector, times)
        windows = self.windows(node.args[which], times)
        self.ctx.statistics.windows(windows.counts, times)
        if scalars:
            windows = windows.widened(len(times))
        self.ctx.places = node.places
        if name == "absent_over_time":
            source = node.args[0]
            return labelling.absent(
                windows.widened(len(times)).counts > 0, source.selector if isinstance(source, Matrix) else None
            )
        return self._range_answer(name, _window_function(self.ctx, name, windows, scalars, times), times)

    def _rolled_call(self, name: str, node: Node, times: Int64s) -> Vector | None:
        """A function of a range vector over buckets, where they serve; see `rolled`."""
        if not isinstance(node, Matrix):
            return None
        ends = self._reference(node.selector.at, node.selector.offset_ms, times)
        return rolled.window_function(self.ctx, name, node, ends)

    def _range_answer(self, name: str, vector: Vector, times: Int64s) -> Vector:
        """What a range function says, at every step and without the metric's name."""
        if vector.steps != len(times):
            shape = (len(vector), len(times))
            vector = vector.with_values(np.broadcast_to(vector.values, shape), np.broadcast_to(vector.present, shape))
        self.ctx.account(len(vector) * len(times))
        return vector if name in _KEEP_NAMES else without_names(self.ctx, vector)

    def _scalar(self, node: Node, times: Int64s) -> Float64s:
        value = self.value(node, times)
        if not isinstance(value, np.ndarray):
            raise execution_error("expected a scalar")
        return value


_KEEP_NAMES = frozenset(("last_over_time", "first_over_time"))
_OVER_TIME = frozenset(
    f"{word}_over_time"
    for word in (
        *("count", "present", "min", "max", "sum", "avg", "stdvar", "stddev", "mad", "last", "first"),
        *("ts_of_last", "ts_of_first", "ts_of_min", "ts_of_max"),
    )
)
_RANGE_FUNCTIONS = _OVER_TIME | {
    *("rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv", "predict_linear"),
    *("double_exponential_smoothing", "holt_winters", "quantile_over_time", "absent_over_time"),
}


def _window_function(ctx: Context, name: str, windows: Windows, scalars: list[Float64s], times: Int64s) -> Vector:
    if name in _OVER_TIME:
        return over_time.over_time(ctx, windows, name)
    match name:
        case "rate" | "increase" | "delta":
            return rates.extrapolated(ctx, windows, name)
        case "irate" | "idelta":
            return rates.instantaneous(windows, name)
        case "resets" | "changes":
            return rates.transitions(windows, name)
        case "deriv":
            return rates.deriv(ctx, windows)
        case "predict_linear":
            return rates.predict_linear(ctx, windows, scalars[0], times)
        case "quantile_over_time":
            return over_time.quantile_over_time(ctx, windows, scalars[0])
        case _:
            return rates.smoothed(ctx, windows, scalars[0], scalars[1])


def _union(blocks: list[SeriesBlock]) -> SeriesBlock:
    """Series of several blocks, each label set once."""
    seen: set[Labels] = set()
    rows = []
    for block in blocks:
        for index, labels in enumerate(block.labels):
            if labels not in seen:
                seen.add(labels)
                rows.append((labels, *block.samples(index)))
    return SeriesBlock.build(rows)
