"""A text that is no query is refused with the place and, where PromQL has it and this parser has not, its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.promql.diagnose import unexpected
from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.promql.parse import format_query, parse, selectors

# All that Prometheus's own test scripts ask of a parser and promql-parser does not read; docs/*/promql.md says the same.
NOT_UNDERSTOOD = [
    ("rate(m[26m+4m])", "1:11", "duration expressions"),
    ("rate(m[2m*(10+5)])", "1:10", "duration expressions"),
    ("rate(m[-5m+35m])", "1:8", "duration expressions"),
    ("rate(m[(9m30s+30s)*3])", "1:8", "duration expressions"),
    ("count_over_time(m[step()])", "1:19", "duration expressions"),
    ("count_over_time(m[range()])", "1:19", "duration expressions"),
    ("count_over_time(m[max_of(min_of(step()+1,1h),1ms)])", "1:19", "duration expressions"),
    ("max_over_time(m[5m:step()])", "1:20", "duration expressions"),
    ("m offset step()", "1:10", "duration expressions"),
    ("m offset -(step()*2)", "1:11", "duration expressions"),
    ("m offset 5m*2m + 1", "", ""),  # not a duration expression without brackets: (m offset 5m) * 2m + 1
    ("increase(m[1m] anchored)", "1:16", "the anchored modifier"),
    ("increase(m[1m] smoothed)", "1:16", "the smoothed modifier"),
    ("m smoothed + 0", "1:3", "the smoothed modifier"),
    ("m @ 100 smoothed", "1:9", "the smoothed modifier"),
    ("m </ 5", "1:3", "the </ operator"),
    ("m >/ n", "1:3", "the >/ operator"),
    ("m offset -100 smoothed", "1:15", "the smoothed modifier"),
]


@pytest.mark.parametrize(("query", "place", "what"), NOT_UNDERSTOOD)
def test_what_is_not_understood_is_named(query: str, place: str, what: str) -> None:
    if not what:
        parse(query)
        return
    with pytest.raises(QueryError) as caught:
        parse(query)
    detail = str(caught.value.detail)
    assert detail.startswith(f"{place}: parse error: ")
    assert what in detail
    assert "not supported" in detail
    assert caught.value.position is not None


@pytest.mark.parametrize(
    ("query", "told", "where"),
    [
        ("sum(rate(x[5m])", "1:16", 3),
        ("(up", "1:4", 0),
        ("up{", "1:4", 2),
        ("rate(x[5m", "1:10", 6),
        ("up +", "1:5", 4),
    ],
)
def test_a_bracket_left_open_is_pointed_at_and_told_as_prometheus_tells_it(query: str, told: str, where: int) -> None:
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert str(caught.value.detail).startswith(f"{told}: parse error: ")
    assert caught.value.position == where


def test_a_regular_expression_that_re2_does_not_know_is_refused() -> None:
    with pytest.raises(QueryError, match="parsing regexp"):
        parse('x{a=~"(?x) a"}')


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (r'label_replace(m, "a", "\xc3\xa4", "b", "c")', "ä"),
        (r'label_replace(m, "a", "\\xc3", "b", "c")', r"\xc3"),
        (r'label_replace(m, "a", "\303\244", "b", "c")', "ä"),
        (r'label_replace(m, "a", "\xff", "b", "c")', "\N{REPLACEMENT CHARACTER}"),
        (r'label_replace(m, "a", `\xff`, "b", "c")', r"\xff"),
        (r'label_replace(m, "a", "\x41", "b", "c")', "A"),
    ],
)
def test_escapes_of_bytes_are_the_characters_they_encode(query: str, value: str) -> None:
    assert f"Text(value={value!r})" in repr(parse(query))


WORDS = ["m", "sum", "by", "(", ")", "[5m]", "[", "]", "{", "}", "a=", '"b"', ",", "+", "==", "bool", "on", "offset", "5m",
         "@", "1", "rate", "group_left", "fill", "and", "'", "smoothed", "without", ":", "start()"]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_only_what_the_parser_refuses_is_found_wrong(words: list[str]) -> None:
    """A diagnosis of a good query would be a wrong one of a bad query that has the same part."""
    query = " ".join(words)
    try:
        parse(query)
    except QueryError as error:
        place = error.position
    else:
        place = None
        assert unexpected(query) is None
    assert place is None or 0 <= place <= len(query)


@pytest.mark.parametrize(
    ("query", "matchers"),
    [
        ('info(m, {data=~".*"})', [("data", "=~", ".*")]),
        ('info(m, {__name__!="target_info"})', [("__name__", "!=", "target_info")]),
        ("sum by (a) (info(rate(m[5m]), { }))", []),
        ('info(info(m, {a=""}), {b=""})', [("b", "=", "")]),
        ('info(label_replace(m, "a", ",", "{", "("), {a=~".*"})', [("a", "=~", ".*")]),
    ],
)
def test_the_selector_of_info_may_match_nothing(query: str, matchers: list[tuple[str, str, str]]) -> None:
    last = selectors(parse(query))[-1]
    assert [(m.name, m.op, m.value) for m in last.matcher_sets[0]] == matchers
    assert parse(format_query(query)) == parse(query)
    assert "__info_selector__" not in format_query(query)


@pytest.mark.parametrize("query", ['{a=~".*"}', 'info({a=~".*"})', 'rate(m, {a=""})', 'abs(info(m), {a=""})'])
def test_no_other_selector_may(query: str) -> None:
    with pytest.raises(QueryError):
        parse(query)
