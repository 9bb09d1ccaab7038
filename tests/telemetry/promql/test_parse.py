"""The tree of a query, and how text that is none is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.promql.parse import (
    MAX_DEPTH,
    MAX_OPERATORS,
    Aggregate,
    Binary,
    Matrix,
    Selector,
    Subquery,
    format_query,
    parse,
    selectors,
)
from tongchou.telemetry.promql.places import argument_places
from tongchou.telemetry.series import Matcher


def test_a_selector_carries_its_matchers_and_modifiers() -> None:
    node = parse('up{job=~"a.*", env!="x"} @ 12.5 offset -5m')
    matchers = (Matcher("__name__", "=", "up"), Matcher("job", "=~", "a.*"), Matcher("env", "!=", "x"))
    assert node == Selector((matchers,), -300_000, 12_500)


def test_start_and_end_are_kept_for_the_query_to_fill_in() -> None:
    node = parse("x[5m] @ end()")
    assert isinstance(node, Matrix)
    assert node.selector.at == "end"


def test_a_subquery_may_leave_its_step_open() -> None:
    node = parse("rate(x[1m])[10m:]")
    assert isinstance(node, Subquery)
    assert (node.range_ms, node.step_ms, node.at) == (600_000, None, None)


def test_matching_modifiers_are_read() -> None:
    node = parse("a * on (x) group_left (y) fill_right (0) b")
    assert isinstance(node, Binary)
    matching = node.matching
    assert (matching.on, matching.labels, matching.card, matching.include) == (True, ("x",), "left", ("y",))
    assert (matching.fill_left, matching.fill_right) == (None, 0.0)


def test_power_binds_to_the_right_and_tighter_than_minus() -> None:
    left = parse("2 ^ 3 ^ 2")
    assert isinstance(left, Binary)
    assert isinstance(left.right, Binary)


def test_every_selector_is_found() -> None:
    found = selectors(parse("sum by (a) (rate(x[1m])) / topk(scalar(y), z) + max_over_time((w)[5m:1m])"))
    assert [selector.matcher_sets[0][0].value for selector in found] == ["x", "y", "z", "w"]


@pytest.mark.parametrize("query", ["", "sum(x", "x{", "rate(x)", "1 +", "x[5m", "holt_winters(x[1m], 1, 1)", "foo{a=}"])
def test_text_that_is_no_query_is_refused_with_the_query_in_the_error(query: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert (caught.value.code, caught.value.status, caught.value.field) == ("telemetry.parse_error", 400, "query")


def test_a_regex_the_matchers_cannot_use_is_refused() -> None:
    with pytest.raises(QueryError):
        parse('x{a=~"("}')


@pytest.mark.parametrize(
    "query",
    ["-" * 50_000 + "x", "x" + "+x" * 30_000, "x" + "^x" * 30_000, "(" * 40_000 + "x" + ")" * 40_000, "x" * 200_000],
)
def test_a_query_too_deep_for_the_parser_is_refused_before_it(query: str) -> None:
    with pytest.raises(QueryError):
        parse(query)


def test_reasonable_depth_is_parsed() -> None:
    parse("(" * (MAX_DEPTH - 1) + "x" + ")" * (MAX_DEPTH - 1))
    parse("x" + " + x" * (MAX_OPERATORS - 1))
    parse('x{a="(((((+++---"}')


def test_queries_are_formatted() -> None:
    assert format_query("sum( rate(x[5m]) )by(a)").startswith("sum by (a) (")


def test_places_of_arguments_follow_the_text() -> None:
    assert argument_places('histogram_quantile(0.9, sum by (le) (rate(x{a="(,"}[5m])))') == [
        ("1:20", "1:25"),
        ("1:38",),
        ("1:43",),
    ]
    assert argument_places("sum without (a, b) (x) + topk(3, y)") == [("1:21",), ("1:31", "1:34")]
    assert argument_places("1 +\n  abs(\n    x)") == [("3:5",)]
    assert argument_places("x and on (a) y offset 5m") == []


@given(st.text(alphabet="x1sum(){}[]\"'`,+-=~ #\nbyrate:5m@", max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    argument_places(text)
    node, code = None, ""
    try:
        node = parse(text)
    except QueryError as error:
        code = error.code
    assert (node is None) == (code == "telemetry.parse_error")
    assert not isinstance(node, Aggregate) or node.places
