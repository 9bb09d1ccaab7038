"""Spans, against a model that counts minutes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.spans import Span, clip, intersect, subtract, total_seconds, union

ZERO = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: int) -> datetime:
    return ZERO + timedelta(minutes=minute)


SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: Span(at(pair[0]), at(pair[1]))), max_size=8
)


def minutes(spans: list[Span]) -> set[int]:
    return {n for n in range(60) for span in spans if span.start <= at(n) and at(n + 1) <= span.end}


def tidy(spans: list[Span]) -> bool:
    return all(each.start < each.end for each in spans) and all(
        one.end < other.start for one, other in itertools.pairwise(spans)
    )


@given(SPANS, SPANS)
def test_the_algebra_is_that_of_sets_of_minutes(one: list[Span], other: list[Span]) -> None:
    for found, wanted in (
        (union([*one, *other]), minutes(one) | minutes(other)),
        (intersect(one, other), minutes(one) & minutes(other)),
        (subtract(one, other), minutes(one) - minutes(other)),
    ):
        assert minutes(found) == wanted
        assert tidy(found)
        assert total_seconds(found) == 60 * len(wanted)


@given(SPANS, st.integers(0, 60), st.integers(0, 60))
def test_clipping_keeps_what_lies_between(spans: list[Span], low: int, high: int) -> None:
    assert minutes(clip(spans, at(low), at(high))) == {n for n in minutes(spans) if low <= n < high}


def test_the_end_is_not_in_it() -> None:
    span = Span(at(0), at(1))
    assert span.holds(at(0))
    assert not span.holds(at(1))
