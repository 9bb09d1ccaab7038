"""What is being typed in a PromQL text, and what fits there. `|` marks the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.promql import aggregate, elementwise, evaluate, functions
from tongchou.telemetry.series import Matcher
from tongchou.web import completion
from tongchou.web.promql_words import AGGREGATIONS, FUNCTIONS, TRIGONOMETRY


def at(marked: str) -> completion.Place:
    text, _bar, rest = marked.partition("|")
    return completion.place(text + rest, len(text))


@pytest.mark.parametrize(
    ("marked", "kind", "prefix"),
    [
        ("|", "expression", ""),
        ("ra|", "expression", "ra"),
        ("rate(ht|tp", "expression", "ht"),
        ("sum by (jo|) (rate(up[5m]))", "grouping", "jo"),
        ("a / on (|) b", "grouping", ""),
        ("a * on (x) group_left (y, |) b", "grouping", ""),
        ("up{|", "label", ""),
        ('up{job="x", in|}', "label", "in"),
        ('up{job="|', "value", ""),
        ('up{job="pa|"}', "value", "pa"),
        ("up{job='pa|'}", "value", "pa"),
        ('up{job=~"a|"}', "value", "a"),
        ("rate(up[|", "duration", ""),
        ("rate(up[1|])", "duration", "1"),
        ("up # a comm|", "none", ""),
        ("up{job=|}", "none", ""),
        ('label_replace(up, "d|"', "none", ""),
        ("12|", "none", ""),
        ("up + re|", "expression", "re"),
    ],
)
def test_the_place_of_the_cursor_is_told(marked: str, kind: str, prefix: str) -> None:
    found = at(marked)
    assert (found.kind, found.prefix) == (kind, prefix)


def test_a_value_is_asked_of_the_series_the_other_matchers_leave() -> None:
    found = at('http_requests_total{job="shop", code=~"5..", path="/a|", method!="GET"}')
    assert found.label == "path"
    assert set(found.matchers) == {
        Matcher("__name__", "=", "http_requests_total"),
        Matcher("job", "=", "shop"),
        Matcher("code", "=~", "5.."),
        Matcher("method", "!=", "GET"),
    }


def test_in_a_regular_expression_only_the_last_alternative_is_replaced() -> None:
    text = 'up{job=~"web|'
    found = completion.place(text + "ap", len(text) + 2)
    assert (found.prefix, found.start, found.regex) == ("ap", len(text), True)
    assert completion.value_text("a.b", found) == 'a\\\\.b"'


def test_a_closed_string_is_not_closed_again() -> None:
    assert at('up{job="pa|"}').quote == ""
    assert at('up{job="pa|').quote == '"'


def test_the_metrics_of_a_query_are_its_names_and_nothing_else() -> None:
    query = 'sum by (le, job) (rate(a_bucket{x="b_total"}[5m])) / on (z) group_left count_values("v", c:d) # e'
    assert completion.metrics_in(query) == ("a_bucket", "c:d")


def test_what_begins_with_the_word_comes_before_what_contains_it() -> None:
    found, count = completion.ranked(["x_up", "startup", "up", "upper", "other"], "up", limit=3)
    assert found == ["up", "upper", "x_up"]
    assert count == 4


@given(st.text(alphabet="ab_{}()[]\"'=~!,|\\ \n#1:", max_size=40), st.integers(0, 45))
def test_whatever_is_typed_what_is_replaced_lies_at_the_cursor(text: str, cursor: int) -> None:
    cursor = min(cursor, len(text))
    found = completion.place(text, cursor)
    assert 0 <= found.start <= cursor <= found.end <= len(text)
    assert completion.unquoted(text[found.start : cursor]) == found.prefix or found.kind != "value"


@given(st.text(alphabet='ab."\\|*$', min_size=1, max_size=8))
def test_an_accepted_value_reads_back_as_itself(value: str) -> None:
    start = 'up{job="'
    found = completion.place(start, len(start))
    whole = start + completion.value_text(value, found) + "}"
    again = completion.place(whole, len(whole) - 1)
    assert again.matchers[-1] == Matcher("job", "=", value)


def test_every_function_the_evaluator_knows_is_offered_and_no_other() -> None:
    known = {*elementwise.MATHEMATICS, *elementwise.CALENDAR, *functions._TABLE, *evaluate._RANGE_FUNCTIONS}
    known |= {"absent", "timestamp", "info"}
    assert set(FUNCTIONS) == known
    assert set(TRIGONOMETRY) <= known
    assert set(aggregate._PLAIN) <= set(AGGREGATIONS)
