"""Conditions: a yes needs data."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.runbooks import condition

numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(numbers, max_size=5), st.sampled_from(["==", "!=", ">", "<", ">=", "<="]), st.integers(-5, 5))
def test_a_comparison_holds_when_every_sample_satisfies_it_and_there_is_one(
    values: list[float], sign: str, number: int
) -> None:
    found = condition.parse(f"{sign} {number}")
    assert found is not None

    def satisfied(value: float) -> bool:
        return not math.isnan(value) and bool(eval(f"float('{value}') {sign} {number}"))

    assert found.holds(values) == (bool(values) and all(satisfied(value) for value in values))


@given(st.lists(numbers, max_size=3))
def test_empty_and_not_empty_are_opposites(values: list[float]) -> None:
    empty, full = condition.parse("empty"), condition.parse(" not_empty ")
    assert empty is not None
    assert full is not None
    assert empty.holds(values) != full.holds(values)


@pytest.mark.parametrize("text", ["", "0", "> x", "> nan", "> inf", "> 1e999", "=> 1", "> 1 or true", None, 7, True])
def test_what_is_no_condition_is_none(text: object) -> None:
    assert condition.parse(text) is None
