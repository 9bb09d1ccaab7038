"""${version} and the like: what they become, and that no value gets out of where it stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tongchou.changes.release import said
from tongchou.runbooks.promql import problem

FACTS = dict.fromkeys(said.NAMES, "") | {"version": "1.4", "service": "shop"}


def test_names_are_filled_at_any_depth_and_the_rest_is_left() -> None:
    value = {"a": ["${version}", {"b": "${service}-${version}"}], "n": 3, "other": "${target.name}"}
    assert said.fill(value, FACTS) == {"a": ["1.4", {"b": "shop-1.4"}], "n": 3, "other": "${target.name}"}
    assert said.unknown({"a": ("${version}", "${verison}"), "b": {"c": "${x}"}}) == ["verison", "x"]


@given(st.text(), st.sampled_from("\"'`"))
def test_no_value_ends_the_string_of_a_query_it_stands_in(text: str, quote: str) -> None:
    query = f"sum(errors{{service={quote}${{service}}{quote}}}) + vector(1)"
    filled = said.fill_query(query, FACTS | {"service": text})
    why = problem(filled)
    assert not why or "\x00" in text or any(0xD800 <= ord(each) <= 0xDFFF for each in text), (filled, why)
    body = filled.removeprefix(query[: query.index("$")]).removesuffix(f"{quote}}}) + vector(1)")
    assert quote not in body
