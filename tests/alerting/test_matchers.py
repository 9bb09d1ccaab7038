"""Matchers: text and back, RE2 anchored, nothing that matches everything."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.alerting import matchers
from tongchou.core.problems import Invalid
from tongchou.telemetry.series import Matcher

names = st.from_regex(r"\A[a-zA-Z_][a-zA-Z0-9_]{0,10}\Z")
values = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.lists(st.builds(Matcher, names, st.sampled_from(["=", "!="]), values), min_size=1, max_size=5))
def test_what_is_written_is_read_again(wanted: list[Matcher]) -> None:
    wanted = [Matcher("alertname", "=", "A"), *wanted]
    text = matchers.text_of(wanted)
    assert matchers.parse(text) == wanted
    assert matchers.parse(f"{{{text}}}") == wanted
    assert list(matchers.of_rows(matchers.rows(wanted))) == wanted


@given(names, values, values)
def test_equality_and_its_opposite_disagree_everywhere(name: str, value: str, other: str) -> None:
    for labels in ({name: value}, {name: other}, {}):
        assert matchers.matches([Matcher(name, "=", value)], labels) != matchers.matches(
            [Matcher(name, "!=", value)], labels
        )


@given(values, values)
def test_a_pattern_matches_the_whole_value(value: str, other: str) -> None:
    pattern = Matcher("a", "=~", re.escape(value))
    assert matchers.matches([pattern], {"a": value})
    assert matchers.matches([pattern], {"a": value + other}) is False
    assert matchers.matches([Matcher("a", "!~", re.escape(value))], {"a": value + other})


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = matchers.parse(text)
    except Invalid:
        return
    assert matchers.check(found) == found


def test_lines_commas_bare_and_quoted() -> None:
    read = matchers.parse('service=orders, severity=~"critical|page"\nhost!~db-.*')
    assert [str(each) for each in read] == ['service="orders"', 'severity=~"critical|page"', 'host!~"db-.*"']


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "matchers.count"),
        ("service", "matchers.syntax"),
        ('service="a" severity="b"', "matchers.syntax"),
        ("0a=b", "matchers.syntax"),
        ('service=~"("', "matchers.syntax"),
        (r'service=~"(a)\1"', "matchers.syntax"),
        ('service=~".*"', "matchers.everything"),
        ('service!="orders"', "matchers.everything"),
    ],
)
def test_a_mistake_is_named(text: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        matchers.parse(text)
    assert refused.value.code == code


def test_a_pattern_that_hangs_other_engines_is_harmless() -> None:
    assert not matchers.matches([Matcher("a", "=~", "(a+)+$")], {"a": "a" * 5000 + "!"})
