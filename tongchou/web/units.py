"""Which unit an expression gives, guessed from metric names by Prometheus's naming convention. Pure.

The names say bytes and seconds; a rate divides by a second; a quotient cancels. Bases and suffixes:
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tongchou.core.problems import Problem
from tongchou.telemetry.promql.parse import (
    Aggregate,
    Binary,
    Call,
    Matrix,
    Negate,
    Node,
    Number,
    Selector,
    Subquery,
    parse,
    selectors,
)

_TAILS = ("_total", "_sum", "_max", "_min", "_avg")
_PER_SECOND = frozenset(("rate", "irate", "deriv"))
# what they give has no unit of what they take
_COUNTS = frozenset(
    (
        *("absent", "absent_over_time", "changes", "resets", "count_over_time", "present_over_time", "sgn"),
        *("exp", "ln", "log2", "log10", "sqrt", "timestamp", "time", "vector", "histogram_count"),
        *("day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"),
        *("ts_of_last_over_time", "ts_of_first_over_time", "ts_of_min_over_time", "ts_of_max_over_time"),
    )
)
_QUANTILES = frozenset(("histogram_quantile", "histogram_quantiles"))


@dataclass(frozen=True, slots=True)
class Dimension:
    """bytes^a · seconds^b; `share` 1 for a ratio, 100 for a percentage; `plain` for a number written in the query."""

    bytes: int = 0
    seconds: int = 0
    share: int = 0
    plain: float | None = None

    def unit(self) -> str:
        """Return the unit of web.panels.UNITS, "" when there is none."""
        if self.share:
            return "percent" if self.share == 100 else "ratio"
        known = {(1, 0): "bytes", (1, -1): "bytes_per_second", (0, 1): "seconds", (0, -1): "per_second"}
        return known.get((self.bytes, self.seconds), "")


NUMBER = Dimension()


def guess(query: str) -> str:
    """Return the unit of a query's result as web.panels.UNITS names it; "" when the names do not say, or no PromQL."""
    try:
        tree = parse(query)
    except Problem:
        return ""
    return _of(tree).unit()


def of_bounds(query: str) -> str:
    """Return the unit of the upper ends (`le`) of the classic buckets a query reads; "" when the names do not say."""
    try:
        names = {_name(each) for each in selectors(parse(query))}
    except Problem:
        return ""
    found = {of_name(name.removesuffix("_bucket")).unit() for name in names if name.endswith("_bucket")}
    return found.pop() if len(found) == 1 else ""


def of_name(name: str) -> Dimension:
    """Return what the name of a metric says about its values."""
    if name.endswith(("_bucket", "_count")):
        return NUMBER
    for tail in _TAILS:
        name = name.removesuffix(tail)
    if name.endswith(("_timestamp_seconds", "_start_time_seconds", "_boot_time_seconds", "_not_after_seconds")):
        return NUMBER  # a moment, not a length of time
    if name.endswith("_bytes"):
        return Dimension(bytes=1)
    if name.endswith("_bytes_per_second"):
        return Dimension(bytes=1, seconds=-1)
    if name.endswith("_seconds"):
        return Dimension(seconds=1)
    if name.endswith("_ratio"):
        return Dimension(share=1)
    return Dimension(share=100) if name.endswith(("_percent", "_percentage")) else NUMBER


def _name(selector: Selector) -> str:
    names = {m.value for matchers in selector.matcher_sets for m in matchers if (m.name, m.op) == ("__name__", "=")}
    return names.pop() if len(names) == 1 else ""


def _of(node: Node) -> Dimension:
    match node:
        case Number():
            return Dimension(plain=node.value)
        case Selector():
            return of_name(_name(node))
        case Matrix():
            return of_name(_name(node.selector))
        case Subquery() | Negate():
            return _of(node.expr)
        case Aggregate():
            return NUMBER if node.op in ("count", "count_values", "group") else _of(node.expr)
        case Call():
            return _of_call(node)
        case Binary():
            return _of_binary(node)
        case _:
            return NUMBER


def _of_call(node: Call) -> Dimension:
    if node.name in _COUNTS or not node.args:
        return NUMBER
    if node.name in _QUANTILES:
        buckets = [_name(each) for each in selectors(node)]
        return of_name(buckets[0].removesuffix("_bucket")) if buckets and buckets[0].endswith("_bucket") else NUMBER
    if node.name == "histogram_fraction":
        return Dimension(share=1)
    inner = next((found for found in map(_of, node.args) if found.plain is None), NUMBER)
    if node.name not in _PER_SECOND:
        return inner
    if inner.share:
        return NUMBER
    # seconds in a second: a share of the time
    return Dimension(inner.bytes, inner.seconds - 1, share=1 if (inner.bytes, inner.seconds) == (0, 1) else 0)


def _of_binary(node: Binary) -> Dimension:
    left, right = _of(node.left), _of(node.right)
    if node.bool_result:
        return NUMBER
    if node.op == "/":
        return _quotient(left, right)
    if node.op == "*":
        return _product(left, right)
    if node.op in ("^", "%", "atan2"):
        return replace(left, plain=None)
    return right if left.plain is not None or left == NUMBER else left


def _quotient(left: Dimension, right: Dimension) -> Dimension:
    if right.plain is not None:
        return NUMBER if left.plain is not None else _scaled(left, 1 / right.plain if right.plain else 0)
    if left.plain is not None:
        return Dimension(-right.bytes, -right.seconds)
    out = Dimension(left.bytes - right.bytes, left.seconds - right.seconds)
    same = (left.bytes, left.seconds) == (right.bytes, right.seconds) != (0, 0)
    return replace(out, share=1) if same else out


def _product(left: Dimension, right: Dimension) -> Dimension:
    if left.plain is not None and right.plain is not None:
        return NUMBER
    if left.plain is not None:
        return _scaled(right, left.plain)
    if right.plain is not None:
        return _scaled(left, right.plain)
    return Dimension(left.bytes + right.bytes, left.seconds + right.seconds)


def _scaled(found: Dimension, factor: float) -> Dimension:
    """A unit times a number: a hundred makes percent of a ratio; any other factor converts, and hides the unit."""
    if found.share == 1 and factor == 100:
        return Dimension(share=100)
    if found.share == 100 and factor == 0.01:
        return Dimension(share=1)
    return found if factor in (1, -1) else NUMBER
