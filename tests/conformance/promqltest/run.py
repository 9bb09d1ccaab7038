"""Runs the commands of a script and judges every float eval the way Prometheus' own test engine does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.conformance.promqltest.script import Clear, Eval, Load, Unreadable, commands
from tongchou.telemetry.memory import MemoryBackend
from tongchou.telemetry.notation import HISTOGRAM, Point
from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.promql.evaluate import instant, range_
from tongchou.telemetry.promql.grid import Result
from tongchou.telemetry.promql.parse import (
    Aggregate,
    Binary,
    Call,
    Matrix,
    Negate,
    Node,
    Selector,
    Subquery,
    parse,
    selectors,
)
from tongchou.telemetry.series import Labels, labels_of, matches_all, metric_name

# Prometheus' almost.Equal with the tolerance of its test engine.
EPSILON = 0.000001
SMALLEST_NORMAL = 2.2250738585072014e-308
LARGEST = 1.7976931348623157e308
# Functions whose result depends on the time of evaluation even when their arguments are pinned by @.
TIME_DEPENDENT = frozenset(
    (
        *("time", "timestamp", "minute", "hour", "day_of_month", "day_of_week", "day_of_year", "days_in_month"),
        *("month", "year", "predict_linear", "start", "end", "step", "range"),
    )
)
_CONTEXT_FUNCTIONS = re.compile(r"(start|end|range|step)\(\)")


@dataclass
class Outcome:
    """What became of one eval."""

    line: int
    query: str
    state: str  # passed | failed | unsupported
    detail: str = ""


@dataclass
class Report:
    """All counted evals of one file, and how many were not counted."""

    path: str
    outcomes: list[Outcome] = field(default_factory=list)
    not_counted: int = 0

    def count(self, state: str) -> int:
        return sum(outcome.state == state for outcome in self.outcomes)

    def line(self) -> str:
        passed, unsupported = self.count("passed"), self.count("unsupported")
        return f"{self.path}: passed {passed} of {len(self.outcomes)}, {unsupported} not supported"


class Failed(Exception):
    """An expectation that was not met."""


def run_file(path: Path) -> Report:
    report = Report(str(path))
    backend, native = MemoryBackend(), NativeSeries()
    for command in commands(path.read_text(encoding="utf-8")):
        match command:
            case Clear():
                backend.clear()
                native = NativeSeries()
            case Load():
                native.note(command)
                _load(backend, command)
            case Unreadable():
                report.outcomes.append(Outcome(command.line, command.text, "failed", command.why))
            case Eval():
                outcome = _judge(backend, native, command)
                if outcome is None:
                    report.not_counted += 1
                else:
                    report.outcomes.append(outcome)
    return report


def _load(backend: MemoryBackend, load: Load) -> None:
    for labels, points in load.series.items():
        samples = {k * load.gap_ms: float(p) for k, p in enumerate(points) if isinstance(p, float)}
        if samples:
            offsets = enumerate(load.starts.get(labels, []))
            starts = {k * load.gap_ms: k * load.gap_ms + int(o) for k, o in offsets if o is not None}
            backend.add(labels, samples, starts)


class NativeSeries:
    """The series of the current block that hold native histograms: their evals are not float evals."""

    def __init__(self) -> None:
        self.labels: set[Labels] = set()

    def note(self, load: Load) -> None:
        for labels, points in load.series.items():
            if any(point is HISTOGRAM for point in points):
                self.labels.add(labels)
            base = re.sub(r"_(bucket|count|sum)$", "", metric_name(labels))
            if load.with_nhcb and base != metric_name(labels):
                rest = [pair for pair in labels if pair[0] not in ("le", "__name__")]
                self.labels.add(labels_of([*rest, ("__name__", base)]))

    def touched_by(self, query: str, node: Node | None) -> bool:
        """Whether the query selects any of them; by name alone when the query does not parse."""
        if node is None:
            return any(re.search(rf"\b{re.escape(metric_name(labels))}\b", query) for labels in self.labels)
        sets = [matchers for selector in selectors(node) for matchers in selector.matcher_sets]
        return any(matches_all(matchers, labels) for matchers in sets for labels in self.labels)


def _judge(backend: MemoryBackend, native: NativeSeries, command: Eval) -> Outcome | None:
    node: Node | None = None
    unsupported = ""
    try:
        node = parse(command.query)
    except QueryError as error:
        unsupported = str(error.detail)
    except Exception as error:  # a mistake of ours fails this eval, not the file
        return Outcome(command.line, command.query, "failed", f"{type(error).__name__}: {error}")
    if command.expects_histograms or native.touched_by(command.query, node):
        return None
    if node is None:
        # Refused as it is meant to be, or not understood.
        expected = command.fail is not None and command.fail.fits(unsupported)
        return Outcome(command.line, command.query, "passed" if expected else "unsupported", unsupported)
    try:
        if command.is_range:
            _check_range(backend, command)
        else:
            for variant, time in [(node, command.start_ms), *_pinned_variants(node, command.start_ms)]:
                _check_instant(backend, command, variant, time)
    except Failed as failure:
        return Outcome(command.line, command.query, "failed", str(failure))
    except Exception as error:  # a mistake of ours fails this eval, not the file
        return Outcome(command.line, command.query, "failed", f"{type(error).__name__}: {error}")
    return Outcome(command.line, command.query, "passed")


def _check_range(backend: MemoryBackend, command: Eval) -> None:
    try:
        result = range_(
            command.query,
            command.start_ms,
            command.end_ms,
            command.step_ms,
            backend=backend,
            delayed_names=True,
        )
    except QueryError as error:
        _check_failure(command, error)
        return
    _check_success(command, result)
    _compare_matrix(command, result, command.start_ms, command.end_ms, command.step_ms)


def _check_instant(backend: MemoryBackend, command: Eval, node: Node, time: int) -> None:
    """The eval itself, then the middle step of a range query around it, which must answer the same."""
    where = "" if time == command.start_ms else f"pinned by @, evaluated at {time} ms: "
    try:
        result = instant(node, time, backend=backend, delayed_names=True)
    except QueryError as error:
        _check_failure(command, error)
        return
    try:
        _check_success(command, result)
        _compare_instant(command, result)
    except Failed as failure:
        raise Failed(where + str(failure)) from failure
    if command.range_vector or command.text is not None or _CONTEXT_FUNCTIONS.search(command.query):
        return
    try:
        over = range_(node, time - 60_000, time + 60_000, 60_000, backend=backend, delayed_names=True)
    except QueryError as error:
        raise Failed(f"{where}as a range query: {error.detail}") from error
    if command.ordered:
        return
    middle = Result(result.kind, over.labels, over.times_ms[1:2], over.values[:, 1:2], over.present[:, 1:2])
    try:
        _compare_instant(command, middle)
    except Failed as failure:
        raise Failed(f"{where}as a range query: {failure}") from failure


def _check_failure(command: Eval, error: QueryError) -> None:
    if command.fail is None:
        raise Failed(f"unexpected error: {error.detail}")
    if not command.fail.fits(str(error.detail)):
        raise Failed(f"expected another error than {str(error.detail)!r}")


def _check_success(command: Eval, result: Result) -> None:
    if command.fail is not None:
        raise Failed("expected an error, got none")
    for kind, expected, found, none in (
        ("warning", command.warn, result.warnings, command.no_warn),
        ("info", command.info, result.infos, command.no_info),
    ):
        if none and found:
            raise Failed(f"expected no {kind}, got {found}")
        if not expected:
            continue
        if not found:
            raise Failed(f"expected a {kind}, got none")
        unmet = [e for e in expected if not any(e.fits(text) for text in found)]
        unasked = [text for text in found if not any(e.fits(text) for e in expected)]
        if unmet or unasked:
            raise Failed(f"expected {kind} {unmet}, got {found}")


def almost_equal(a: float, b: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    total, difference = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or total < SMALLEST_NORMAL:
        return difference < EPSILON * SMALLEST_NORMAL
    return difference / min(total, LARGEST) < EPSILON


def _compare_instant(command: Eval, result: Result) -> None:
    if result.kind == "string":
        if result.text != command.text:
            raise Failed(f"expected string {command.text!r}, got {result.text!r}")
        return
    if result.kind == "scalar":
        value = next((v for _l, _t, v in result.samples()), float("nan"))
        if command.scalar is None:
            raise Failed(f"expected a vector, got the scalar {value}")
        if not almost_equal(command.scalar, value):
            raise Failed(f"expected {command.scalar}, got {value}")
        return
    if command.scalar is not None:
        raise Failed(f"expected a scalar, got {result.kind}")
    if result.kind == "matrix":
        if command.range_vector is None:
            raise Failed("expected an instant vector, got a range vector")
        _compare_matrix(command, result, *command.range_vector)
        return
    found = [(labels, value) for labels, _time, value in result.samples()]
    wanted = {labels: points[0] for labels, points in command.series}
    if command.ordered and [labels for labels, _v in found] != [labels for labels, _p in command.series]:
        raise Failed(f"expected the order {[labels for labels, _p in command.series]}, got {found}")
    for labels, value in found:
        point = wanted.get(labels)
        if labels not in wanted:
            raise Failed(f"unexpected {labels} = {value}")
        if not isinstance(point, float) or not almost_equal(point, value):
            raise Failed(f"expected {point} for {labels}, got {value}")
    missing = wanted.keys() - {labels for labels, _v in found}
    if missing:
        raise Failed(f"missing {sorted(missing)}")


def _compare_matrix(command: Eval, result: Result, start_ms: int, end_ms: int, step_ms: int) -> None:
    if command.scalar is not None:
        raise Failed("expected a scalar, got a matrix")
    if result.labels != sorted(result.labels):
        raise Failed("the matrix is not sorted by labels")
    wanted: dict[Labels, list[Point]] = dict(command.series)
    seen = set()
    for labels, times, values in result.lines():
        if labels not in wanted:
            raise Failed(f"unexpected {labels} = {values}")
        seen.add(labels)
        expected = [
            (start_ms + k * step_ms, point) for k, point in enumerate(wanted[labels]) if isinstance(point, float)
        ]
        if any(time > end_ms for time, _v in expected) or [int(t) for t in times] != [t for t, _v in expected]:
            raise Failed(f"expected {expected} for {labels}, got {values} at {times}")
        for (time, point), value in zip(expected, values, strict=True):
            if not almost_equal(point, float(value)):
                raise Failed(f"expected {point} at {time} for {labels}, got {value} (all: {values})")
    missing = wanted.keys() - seen
    if missing:
        raise Failed(f"missing {sorted(missing)}")


def _calls(node: Node) -> Iterator[str]:
    match node:
        case Call():
            yield node.name
            for arg in node.args:
                yield from _calls(arg)
        case Aggregate():
            yield from _calls(node.expr)
            if node.param is not None:
                yield from _calls(node.param)
        case Binary():
            yield from _calls(node.left)
            yield from _calls(node.right)
        case Subquery() | Negate():
            yield from _calls(node.expr)


def _pin(node: Node, at_ms: int) -> Node:
    """Every selector outside of subqueries, and every subquery, pinned to a time unless it is already."""
    match node:
        case Selector():
            return replace(node, at=at_ms) if node.at is None else node
        case Matrix():
            selector = node.selector
            return replace(node, selector=replace(selector, at=at_ms) if selector.at is None else selector)
        case Subquery():
            return replace(node, at=at_ms) if node.at is None else node
        case Negate():
            return replace(node, expr=_pin(node.expr, at_ms))
        case Call():
            return replace(node, args=tuple(_pin(arg, at_ms) for arg in node.args))
        case Aggregate():
            param = None if node.param is None else _pin(node.param, at_ms)
            return replace(node, expr=_pin(node.expr, at_ms), param=param)
        case Binary():
            return replace(node, left=_pin(node.left, at_ms), right=_pin(node.right, at_ms))
        case _:
            return node


def _pinned_variants(node: Node, at_ms: int) -> list[tuple[Node, int]]:
    """The query pinned by @ must answer the same whenever it is asked."""
    if any(name in TIME_DEPENDENT for name in _calls(node)):
        return []
    pinned = _pin(node, at_ms)
    times = [-10 * at_ms, 0, at_ms // 5, at_ms, 10 * at_ms] if at_ms else [-1000, 0, 1000]
    return [(pinned, time) for time in times]
