"""PromQL expressions over the series of generated_series, by hypothesis.

An expression is *exact* when both engines must give the very same bits: then it may go into what jumps (floor, ==, topk,
%, changes). Sums of the generated values are exact; rates and quotients are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from tests.integrations.prometheus.generated_series import BEGIN, SPAN

Draw = Callable[[st.SearchStrategy[str]], str]

METRICS = {
    "c_total": ("job", "instance"),
    "g": ("job", "instance", "zone"),
    "g2": ("job", "instance", "zone", "env"),
    "meta_info": ("job", "instance", "version"),
    "h_bucket": ("job", "instance", "le"),
    "hr_bucket": ("job", "instance", "le"),
    "h_sum": ("job", "instance"),
    "sparse": ("n",),
    "many": ("id", "shard"),
    "odd": ("kind",),
    "nothing": ("job",),
}
# Selectors of these alone hold distinct values and nothing that is not a number.
DISTINCT = ("g", "g2", "sparse", "many")
FINITE = tuple(name for name in METRICS if name != "odd")
VALUES = {
    "job": ("a", "b", "web"), "instance": ("1", "2", "10"), "zone": ("east", "west", ""), "env": ("prod", "test"),
    "version": ("1.0", "1.1"), "le": ("0.5", "+Inf"), "n": ("0", "2"), "id": ("7", "11"), "shard": ("0", "3"),
    "kind": ("nan", "inf", "mixed"),
}  # fmt: skip
PATTERNS = ("a|b", ".+", ".*", "w.*", "", "1.*", "[^a]", "(?i)A", "east|", "prod")
RANGES = ("30s", "1m", "90s", "5m", "7m30s", "20m")
PINNED_AND_MOVED = re.compile(r"\w*(?:\{.*\})?(?: @ \S+ offset \S+| offset \S+ @ \S+)")
LABELS = ("job", "instance", "zone", "version", "le", "shard", "kind", "none")


def named_alike(op: str, expression: str) -> str:
    """Take the metric name off what atan2 gives: it keeps it in 2.42."""
    return f"abs({expression})" if op == "atan2" else expression


class Grammar:
    """Draws expressions of a wanted type."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def pick(self, *found: str) -> str:
        return self.draw(st.sampled_from(found))

    def percent(self, number: int) -> bool:
        """True about that often; shrinks to False."""
        return bool(self.draw(st.integers(0, 99)) >= 100 - number)  # type: ignore[arg-type,operator]

    def labels(self, found: Sequence[str] = LABELS) -> str:
        chosen = self.draw(st.lists(st.sampled_from(found), max_size=3, unique=True))  # type: ignore[arg-type]
        return ", ".join(chosen)

    # selectors

    def matchers(self, metric: str) -> list[str]:
        out = []
        while self.percent(35) and len(out) < 3:
            label = self.pick(*METRICS[metric], "none")
            op = self.pick("=", "!=", "=~", "!~")
            value = self.pick(*PATTERNS) if "~" in op else self.pick(*VALUES.get(label, ("",)), "", "x")
            out.append(f'{label}{op}"{value}"')
        return out

    def modifiers(self, pinned: bool = True) -> str:
        offset = f" offset {self.pick('45s', '-30s', '1m30s', '10m', '-5m')}" if self.percent(15) else ""
        pin = (
            f" @ {self.pick('start()', 'end()', str(BEGIN + 600), f'{BEGIN + 901}.25')}"
            if pinned and self.percent(12)
            else ""
        )
        return pin + offset if self.percent(50) else offset + pin

    def selected(self, metrics: Sequence[str]) -> str:
        metric = self.pick(*metrics)
        matchers = self.matchers(metric)
        if self.percent(10):
            several = (f'__name__=~"{metric}|nothing"', '__name__=~"g.?"') if set(metrics) >= {"g", "g2"} else ()
            name = self.pick(f'__name__="{metric}"', *several)
            return "{" + ", ".join([name, *matchers]) + "}"
        return metric + ("{" + ", ".join(matchers) + "}" if matchers else "")

    def selector(self, metrics: Sequence[str] = tuple(METRICS)) -> str:
        return self.selected(metrics) + self.modifiers()

    def matrix(self, depth: int, exact: bool, metrics: Sequence[str] = tuple(METRICS), pinned: bool = True) -> str:
        """A range vector: a selector, or a subquery whose left edge no step falls on."""
        if depth > 0 and self.percent(25):
            inner = self.vector(depth - 1, exact)
            span = self.pick("1m1ms", "5m1ms", "11m1ms")
            step = self.pick("", "10s", "30s", "1m", "45s")
            return f"({inner})[{span}:{step}]{self.modifiers(pinned)}"
        return f"{self.selected(metrics)}[{self.pick(*RANGES)}]{self.modifiers(pinned)}"

    # scalars

    def scalar(self, depth: int, exact: bool = True) -> str:
        if depth > 0 and self.percent(20):
            op = self.pick("+", "-", "*", "<= bool", "> bool", "!= bool", *(() if exact else ("/", "^", "%", "atan2")))
            return f"({self.scalar(depth - 1)} {op} {self.scalar(depth - 1)})"
        if depth > 0 and self.percent(15):
            return f"scalar({self.vector(depth - 1, exact)})"
        return self.pick(
            "1", "0", "2", "-1", "0.5", "1e3", "0x1F", "64", "NaN", "Inf", "-Inf", f"(time() - {BEGIN})", "3"
        )

    def fraction(self, depth: int) -> str:
        if self.percent(10):
            return self.scalar(depth)
        return self.pick("0", "0.1", "0.5", "0.75", "0.9", "0.99", "1", "-1", "2")

    # instant vectors

    def vector(self, depth: int, exact: bool = False) -> str:
        if depth <= 0:
            return self.selector()
        kinds: list[Callable[[int, bool], str]] = [
            self.selector_, self.over_range, self.aggregation, self.ranked, self.operation, self.with_scalar,
            self.set_operation, self.comparison, self.relabelled, self.mathematics, self.calendar, self.absent,
            self.clamped, self.from_scalar, self.negated, self.stamped, self.counted, self.overall_count,
        ]  # fmt: skip
        if not exact:
            kinds += [self.rate, self.rate, self.smooth, self.quantile, self.histogram, self.histogram]
        kind = self.draw(st.sampled_from(kinds))  # type: ignore[arg-type]
        return kind(depth, exact)  # type: ignore[operator,no-any-return]

    def selector_(self, depth: int, exact: bool) -> str:
        return self.selector()

    def over_range(self, depth: int, exact: bool) -> str:
        function = self.pick(
            "count_over_time", "present_over_time", "min_over_time", "max_over_time", "last_over_time",
            "sum_over_time", "changes", "resets", "idelta", "absent_over_time",
        )  # fmt: skip
        return f"{function}({self.matrix(depth - 1, True)})"

    def rate(self, depth: int, exact: bool) -> str:
        if self.percent(50):
            return f"{self.pick('rate', 'increase')}({self.matrix(0, True, ('c_total', 'hr_bucket'))})"
        function = self.pick("delta", "irate", "deriv", "avg_over_time", "stddev_over_time",
                             "stdvar_over_time")  # fmt: skip
        return f"{function}({self.matrix(depth - 1, True)})"

    def smooth(self, depth: int, exact: bool) -> str:
        match self.pick("predict_linear", "quantile_over_time", "holt_winters"):
            case "predict_linear":
                # Pinned by @ beside an argument that varies, a range moves with the steps all the same in 2.42.
                matrix = self.matrix(depth - 1, True, pinned=False)
                return f"predict_linear({matrix}, {self.pick('60', '-30', '3600', 'time()')})"
            case "quantile_over_time":
                fraction = self.fraction(0)
                matrix = self.matrix(depth - 1, True, pinned=fraction.strip("+-").replace(".", "").isdigit())
                return f"quantile_over_time({fraction}, {matrix})"
            case _:
                matrix = self.matrix(depth - 1, True)
                return f"holt_winters({matrix}, {self.pick('0.5', '0.1')}, {self.pick('0.3', '0.9')})"

    def grouping(self) -> str:
        return self.pick("", f" by ({self.labels()}) ", f" without ({self.labels()}) ")

    def aggregation(self, depth: int, exact: bool) -> str:
        found = ("sum", "min", "max", "count", "group")
        op = self.pick(*found, *(() if exact else ("avg", "stddev", "stdvar")))
        # The deviation of one infinite value is 0 in 2.42.
        inner = self.selector(FINITE) if op.startswith("std") else self.vector(depth - 1, exact)
        return f"{op}{self.grouping()}({inner})" if self.percent(70) else f"{op} ({inner}){self.grouping()}"

    def ranked(self, depth: int, exact: bool) -> str:
        op = self.pick("topk", "bottomk")
        return f"{op}{self.grouping()}({self.pick('1', '2', '5', '0', '-1', '2.7')}, {self.selector(DISTINCT)})"

    def counted(self, depth: int, exact: bool) -> str:
        label = self.pick("value", "job", "other")
        # With `by` 2.42 gives other labels from some step of a range on: it appends to the list at every step.
        grouping = self.pick("", f" without ({self.labels()}) ")
        return f'count_values{grouping}("{label}", {self.vector(depth - 1, True)})'

    def overall_count(self, depth: int, exact: bool) -> str:
        return f"count({self.vector(depth - 1, True)}) {self.pick('', 'or vector(0)')}"

    def quantile(self, depth: int, exact: bool) -> str:
        return f"quantile{self.grouping()}({self.fraction(0)}, {self.vector(depth - 1)})"

    def matching(self, allow_groups: bool) -> str:
        if self.percent(35):
            return ""
        matching = f" {self.pick('on', 'ignoring')} ({self.labels()}) "
        if allow_groups and self.percent(60):
            side = self.pick("group_left", "group_right")
            extra = f"({self.labels(('zone', 'version', 'none', 'env'))})" if self.percent(50) else ""
            matching += f"{side} {extra} "
        return matching

    def pair(self, depth: int, exact: bool) -> tuple[str, str]:
        """Two sides that often match: metrics that share job and instance."""
        if self.percent(60):
            return self.selector(("c_total", "g", "g2", "h_sum")), self.selector(("g", "g2", "meta_info", "c_total"))
        return self.vector(depth - 1, exact), self.vector(depth - 1, exact)

    def operation(self, depth: int, exact: bool) -> str:
        op = self.pick("+", "-", "*", *(() if exact else ("/", "^", "atan2")))
        left, right = self.pair(depth, exact)
        matching = self.pick("", " on (job, instance) ", " on (job, instance) group_left (version) ",
                             " on (job, instance) group_right ", " ignoring (zone, env) ") \
            if self.percent(60) else self.matching(True)  # fmt: skip
        return named_alike(op, f"({left} {op}{matching} {right})")

    def comparison(self, depth: int, exact: bool) -> str:
        op = self.pick("==", "!=", ">", "<", ">=", "<=") + self.pick("", "", " bool")
        if self.percent(40):
            left, right = self.vector(depth - 1, True), self.scalar(depth - 1)
            return f"({left} {op} {right})" if self.percent(60) else f"({right} {op} {left})"
        left, right = self.pair(depth, True)
        if op.endswith(" bool"):
            return f"({left} {op}{self.matching(True)} {right})"
        # What a filter leaves out does not count as a match in 2.42: here no match can be one of several.
        if self.percent(30):
            left, right = self.selector(("c_total", "h_sum")), self.selector(("c_total", "h_sum"))
            return f"({left} {op} on (job, instance) {right})"
        side = self.pick("group_left", "group_right")
        matching = f" {self.pick('on', 'ignoring')} ({self.labels()}) {side} () " if self.percent(50) else ""
        return f"({left} {op}{matching} {right})"

    def set_operation(self, depth: int, exact: bool) -> str:
        left, right = self.pair(depth, exact)
        return f"({left} {self.pick('and', 'or', 'unless')}{self.matching(False)} {right})"

    def with_scalar(self, depth: int, exact: bool) -> str:
        op = self.pick("+", "-", "*", *(() if exact else ("/", "^", "atan2")))
        if self.percent(20):
            op, exact = "%", True
        left, right = self.vector(depth - 1, exact), self.scalar(depth - 1)
        return named_alike(op, f"({left} {op} {right})" if self.percent(60) else f"({right} {op} {left})")

    def relabelled(self, depth: int, exact: bool) -> str:
        inner = self.vector(depth - 1, exact)
        target = self.pick("job", "zone", "new", "__name__", "instance")
        source = self.pick("job", "instance", "zone", "none", "__name__")
        if self.percent(40):
            sources = ", ".join(f'"{found}"' for found in self.labels().split(", ") if found)
            return f'label_join({inner}, "{target}", "{self.pick("", "-", "::")}"{", " if sources else ""}{sources})'
        replacement = self.pick("$1", "x-$1", "${1}y", "", "$name", "$0", "$$", "const", "$2")
        pattern = self.pick("(.*)", "(a|b)", "(?P<name>w.*)", "", "(.)(.?).*", "x", ".*")
        return f'label_replace({inner}, "{target}", "{replacement}", "{source}", "{pattern}")'

    def mathematics(self, depth: int, exact: bool) -> str:
        found = ("abs", "ceil", "floor", "round", "sgn", "sort", "sort_desc")
        smooth = ("exp", "ln", "log2", "log10", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
                  "tanh", "asinh", "acosh", "atanh", "deg", "rad", "abs")  # fmt: skip
        if not exact and self.percent(60):
            function = self.pick(*smooth)
            # of a great number, the last bit is a whole turn
            return f"{function}({self.vector(depth - 1, function in ('sin', 'cos', 'tan'))})"
        function = self.pick(*found)
        inner = self.vector(depth - 1, True)
        if function == "round" and self.percent(50):
            return f"round({inner}, {self.pick('0.5', '5', '-1', '0.25', '0')})"
        return f"{function}({inner})"

    def calendar(self, depth: int, exact: bool) -> str:
        function = self.pick("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month",
                             "year")  # fmt: skip
        return (
            f"{function}()"
            if self.percent(40)
            else f"{function}({self.selector(('g', 'many', 'c_total', 'h_sum'))} * 86400)"
        )

    def absent(self, depth: int, exact: bool) -> str:
        return f"absent({self.vector(depth - 1, True) if self.percent(50) else self.selector()})"

    def clamped(self, depth: int, exact: bool) -> str:
        inner, a, b = self.vector(depth - 1, exact), self.scalar(depth - 1), self.scalar(depth - 1)
        return self.pick(f"clamp({inner}, {a}, {b})", f"clamp_min({inner}, {a})", f"clamp_max({inner}, {b})")

    def from_scalar(self, depth: int, exact: bool) -> str:
        return f"vector({self.scalar(depth, exact)})"

    def negated(self, depth: int, exact: bool) -> str:
        return f"-{self.selector()}" if self.percent(50) else f"-({self.vector(depth - 1, exact)})"

    def stamped(self, depth: int, exact: bool) -> str:
        """Counted from the beginning: squares of seconds since 1970 do not fit into a float."""
        # With @ an offset is left out of account in timestamp() of a selector: a mistake of theirs.
        if self.percent(30):
            inner = self.vector(depth - 1, True)
            return f"(timestamp({inner}{' + 0' if PINNED_AND_MOVED.fullmatch(inner) else ''}) - {BEGIN})"
        pin = self.pick("", " @ start()", " offset 45s", " offset -30s")
        return f"(timestamp({self.selected(tuple(METRICS))}{pin}) - {BEGIN})"

    def histogram(self, depth: int, exact: bool) -> str:
        of, growing = self.selected(("h_bucket",)), self.selected(("hr_bucket",))
        inner = self.pick(
            of,
            f"rate({growing}[5m])",
            f"increase({growing}[90s])",
            f"sum by (le) (rate({growing}[5m]))",
            f"sum by (le, job) ({of})",
            f"sum without (instance) (rate({growing}[7m30s]))",
        )
        return f"histogram_quantile({self.fraction(depth - 1)}, {inner})"

    # what must be refused, or may be

    def broken(self) -> str:
        vector, scalar = self.vector(1), self.scalar(1)
        return self.pick(
            f"rate({vector})", f"sum({scalar})", f"{self.selected(DISTINCT)} offset 1m[5m]", f"({vector}) or {scalar}", f"{scalar} == {scalar}",
            f"unknown({vector})", f"({vector}) and on (job) group_left () ({vector})", "{}", '{job=~".*"}', "g{job=}",
            f"topk({vector}, {vector})", f'label_replace({vector}, "a", "b")', f"({vector})[5m]", f"abs({scalar})",
            "sum by (job", f"{vector} +", "rate(g[5m]) offset 5m offset 5m", "g @ x", "-'text'", "'text'", "g[5m]",
            f"time({scalar})", f"vector({vector})", f"scalar({scalar})", "count_values(1, g)", "quantile('x', g)",
            "sum(g) by (job) by (zone)", "g == bool", "1 bool + 2", "g + bool g", "(g[5m])", "g[5m1ms:1m]",
            "(irate(g[1m]))[5m1ms:30s]", "absent(g[5m])", "absent_over_time(g)", "label_replace(g, '', 'x', 'job', '(.*)')",
            "label_replace(g, 'job', '$1', 'job', '(')", "label_join(g, '', '-', 'job')", "histogram_quantile(g, g)",
            "holt_winters(g[5m], 2, 0.5)", "holt_winters(g[5m], 0.5, 0)", "g * on (job) g", "g and 1", "1 and 2",
            "g > bool 1 > bool", "sum(g, g)", "topk(g)", "g{job='a', job='b'}", 'g{__name__="x"}', "g[5m] offset 1m",
            "time() offset 5m", "g * on (job) group_left (job) g", "topk(NaN, g)", "topk(Inf, g)",
            "count_values('', g)", "count_values('a', g)", "round(g, g)", "clamp(g, 1)", "sort(1)", "day_of_week(1)",
        )  # fmt: skip


@st.composite
def expressions(draw: Draw) -> str:
    """Expressions, one in twelve of them as a user mistypes them."""
    grammar = Grammar(draw)
    if grammar.percent(8):
        return grammar.broken()
    if grammar.percent(5):
        return grammar.scalar(2, exact=False)
    return grammar.vector(3 if grammar.percent(40) else 2)


@st.composite
def moments(draw: Draw) -> tuple[int, int, int]:
    """(time, steps, step in seconds): an instant, and with it a range that ends there."""
    at = draw(st.integers(BEGIN - 60, BEGIN + SPAN + 400))  # type: ignore[arg-type]
    steps, step = draw(st.integers(1, 20)), draw(st.sampled_from([1, 7, 15, 30, 60, 61]))  # type: ignore[arg-type,list-item]
    return at, steps, step  # type: ignore[return-value]
