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
    measured_part,
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


@pytest.mark.parametrize(
    ("query", "at_ms", "formatted"),
    [
        ("g @ -5", -5_000, "g @ -5.000"),
        ("g @ - 5.25", -5_250, "g @ -5.250"),
        ("g @ +5", 5_000, "g @ 5.000"),
        ("g @ 1e12", 10**15, "g @ 1000000000000.000"),
        ("g @ 1700000000000", 17 * 10**14, "g @ 1700000000000.000"),
        ("g @ 0x10", 16_000, "g @ 16.000"),
        ("g[5m] @ 9.3e15", 10**16, "g[5m] @ 9300000000000000.000"),
        ("(g @ 1)[5m:1m] @ -2", -2_000, "(g @ 1.000)[5m:1m] @ -2.000"),
    ],
)
def test_a_time_may_be_any_number_of_seconds(query: str, at_ms: int, formatted: str) -> None:
    node = parse(query)
    assert (node.selector if isinstance(node, Matrix) else node).at == at_ms  # type: ignore[union-attr]  # has one
    assert format_query(query) == formatted
    assert parse(formatted) == node


def test_times_are_told_apart_and_strings_left_alone() -> None:
    query = 'g{a="@ 0.000"} @ 7 + on (a) (h @ start() - k @ -3) * topk(scalar(l @ 1), m @ 2)'
    assert [selector.at for selector in selectors(parse(query))] == [7_000, "start", -3_000, 1_000, 2_000]
    assert parse(format_query(query)) == parse(query)
    assert measured_part("g @ -7 > 3") == "g @ -7.000"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("g offset 1e20", "1:10: parse error: duration out of range"),
        ("g offset -1e20", "1:11: parse error: duration out of range"),
        ("g[1e20]", "1:3: parse error: duration out of range"),
        ("rate(g[300y])", "1:8: parse error: duration out of range"),
        ("g[5m:1e20]", "1:6: parse error: duration out of range"),
        ("g[0]", "1:3: parse error: duration must be greater than 0"),
        ("g[5m:0]", "1:6: parse error: duration must be greater than 0"),
        ("g @ 1e300", "1:1: parse error: timestamp out of bounds for @ modifier: 1000"),
        ('sum({"g", "g"})', '1:5: parse error: metric name must not be set twice: "g" or "g"'),
        ("1_", '1:1: parse error: bad number or duration syntax: "1"'),
        ("2 + 0x1p-2", '1:5: parse error: bad number or duration syntax: "0x1"'),
        ("x{a=~`\\d+`} + foo bar", '1:19: parse error: unexpected identifier "bar"'),
        ("x{a=~`\\d\\d`, b=~`(`}", "1:1: parse error: error parsing regexp: ("),
    ],
)
def test_numbers_and_names_that_cannot_be_are_refused_where_they_stand(query: str, told: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert str(caught.value.detail).startswith(told)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1_000", "1000"), ("0x1_f", "31"), ("0X_1F", "31"), ("1_0.5e1_0", "10.5e10"), ("g offset 3_00", "g offset 5m"),
        (r"x{a=~`10\.0\..*`}", r'x{a=~"10\\.0\\..*"}'), (r'label_replace(x, "a", "$1", "b", `"(\d)`)', r'label_replace(x, "a", "$1", "b", "\"(\\d)")'),
        (r'x{a=~"\\Qa.b\\E.*"}', r'x{a=~"a\\.b.*"}'), (r"x{a!~`[\\Q]\Q(`}", r"x{a!~`[\\Q]\(`}"), (r"x{a=`\Qa`}", r'x{a="\\Qa"}'),
    ],
)  # fmt: skip
def test_numbers_and_strings_may_be_written_in_more_than_one_way(written: str, plain: str) -> None:
    assert parse(written) == parse(plain)
    assert parse(format_query(written)) == parse(plain)


NUMBERS = st.one_of(
    st.integers(-(10**25), 10**25).map(str),
    st.floats().map(str),
    st.sampled_from(["1e300", "-1e19", "300y", "5m", "0", "1_0"]),
)
PLACES = st.sampled_from(["g @ {}", "g offset {}", "g[{}]", "g[5m:{}] @ {}", "(g @ {})[{}:5m] offset {}", "{}"])


@given(PLACES, NUMBERS)
def test_any_number_parses_or_is_refused(place: str, number: str) -> None:
    query = place.replace("{}", number)
    try:
        node = parse(query)
    except QueryError:
        return
    formatted = format_query(query)
    assert place != "g @ {}" or parse(formatted) == node


@given(st.text(alphabet="x1sum(){}[]\"'`,+-=~ #\nbyrate:5m@\\_Q", max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    argument_places(text)
    node, code = None, ""
    try:
        node = parse(text)
    except QueryError as error:
        code = error.code
    assert (node is None) == (code == "telemetry.parse_error")
    assert not isinstance(node, Aggregate) or node.places
