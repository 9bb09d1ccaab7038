"""Asks the metrics what a check said at every instant of a range: green, red, or no data. Writes nothing.

The condition is the one of procedures (`not_empty`, `empty`, a comparison every sample must satisfy). An empty answer
alone tells nothing (a metric that vanished looks like one that is well), so every look also asks whether any of the
series the query reads had a sample.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.incidents.improvements_proof import GREEN, NO_DATA, RED, Look, State
from tongchou.runbooks import condition
from tongchou.telemetry import reads
from tongchou.telemetry.promql.errors import QueryError
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

MAX_QUERY = 4000
MAX_SELECTORS = 20
Mistake = tuple[str, str | Promise, str | Promise]  # field, what is wrong, what to do


def mistake(query: str, is_: str) -> Mistake | None:
    """The first thing that is wrong with a check; None when it can be looked at."""
    if condition.parse(is_) is None:
        return (
            "check_is",
            _("A condition is not_empty, empty, or a comparison with a number."),
            _("For example: < 0.01"),
        )
    if not query.strip() or len(query) > MAX_QUERY:
        return "check_query", _("A check is a PromQL query of at most %(most)s characters.") % {"most": MAX_QUERY}, ""
    try:
        node = parse(query)
    except QueryError as error:
        return "check_query", str(error.detail)[:300], _("Try it in the explorer.")
    found = selectors(node)
    if not found or len(found) > MAX_SELECTORS:
        return (
            "check_query",
            _("A check reads at least one metric and at most %(most)s.") % {"most": MAX_SELECTORS},
            _("A query that reads nothing is green whatever happens."),
        )
    if any(each.at is not None for each in found) or _pinned(node):
        return (
            "check_query",
            _("A check is about the time at which it is looked at; it cannot be pinned with @."),
            _("Remove the @ modifier."),
        )
    return None


def _pinned(node: Node) -> bool:
    match node:
        case Subquery():
            return node.at is not None or _pinned(node.expr)
        case Negate() | Aggregate():
            return _pinned(node.expr)
        case Call():
            return any(_pinned(each) for each in node.args)
        case Binary():
            return _pinned(node.left) or _pinned(node.right)
        case _:
            return False


def looks(query: str, is_: str, start: int, end: int, interval: int) -> list[Look]:
    """One look at each of `start`, `start + interval`, ... `end` (seconds since the epoch), in order.

    Raises QueryError when the query fails or passes a limit: then nothing is known of any instant.
    """
    wanted = condition.parse(is_)
    if wanted is None:
        raise ValueError(f"not a condition: {is_!r}")
    values = _values(query, start, end, interval)
    there = _values(presence(query), start, end, interval)
    found = []
    for at in range(start, end + 1, interval):
        seen = values.get(at, [])
        state: State = NO_DATA
        if at in there:
            state = GREEN if wanted.holds(seen) else RED
        found.append(Look(at, state, _short(seen)))
    return found


def _values(query: str, start: int, end: int, interval: int) -> dict[int, list[float]]:
    found: dict[int, list[float]] = defaultdict(list)
    lines = reads.range_matrix(query, datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC), interval)
    for line in lines:
        for ms, value in zip(line.times, line.values, strict=True):
            found[int(ms) // 1000].append(float(value))
    return found


def _short(values: list[float]) -> str:
    shown = ", ".join(f"{value:.6g}" for value in values[:3])
    return f"{shown}, … ({len(values)})" if len(values) > 3 else shown


def presence(query: str) -> str:
    """A query that has a value whenever any series that `query` reads has a sample where `query` would look."""
    parts = dict.fromkeys(_reading(parse(query), 0, 0))
    return " or ".join(parts)


def _reading(node: Node, range_ms: int, offset_ms: int) -> Iterator[str]:
    """`count(...)` of every selector, over the range in which it is read."""
    match node:
        case Selector():
            yield _counted(node, range_ms, offset_ms)
        case Matrix():
            yield _counted(node.selector, node.range_ms + range_ms, offset_ms)
        case Subquery():
            yield from _reading(node.expr, range_ms + node.range_ms, offset_ms + node.offset_ms)
        case Negate():
            yield from _reading(node.expr, range_ms, offset_ms)
        case Call():
            for each in node.args:
                yield from _reading(each, range_ms, offset_ms)
        case Aggregate():
            yield from _reading(node.expr, range_ms, offset_ms)
            if node.param is not None:
                yield from _reading(node.param, range_ms, offset_ms)
        case Binary():
            yield from _reading(node.left, range_ms, offset_ms)
            yield from _reading(node.right, range_ms, offset_ms)
        case _:
            return


def _counted(selector: Selector, range_ms: int, offset_ms: int) -> str:
    offset = selector.offset_ms + offset_ms
    shift = f" offset {'-' if offset < 0 else ''}{abs(offset)}ms" if offset else ""
    parts = []
    for matchers in selector.matcher_sets:
        inside = ",".join(f"{each.name}{each.op}{json.dumps(each.value, ensure_ascii=False)}" for each in matchers)
        ranged = f"last_over_time({{{inside}}}[{range_ms}ms]{shift})" if range_ms else f"{{{inside}}}{shift}"
        parts.append(f"count({ranged})")
    return " or ".join(parts)
