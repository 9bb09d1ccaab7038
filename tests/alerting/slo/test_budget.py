"""The budget's arithmetic: what a target allows, what errors take from it, and that silence is never a success."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tongchou.alerting.slo.budget import Slice, allowed_seconds, budget, burn_down, total

targets = st.floats(0.5, 0.99999)
counts = st.floats(0, 1e9)
slices = st.lists(
    st.builds(lambda events, share: (events, events * share), st.floats(0, 1e6), st.floats(0, 1)) | st.none(),
    max_size=40,
).map(
    lambda rows: [
        Slice(60_000 * at, row[0], row[1]) if row else Slice(60_000 * at, None, None) for at, row in enumerate(rows, 1)
    ]
)


def test_three_nines_of_thirty_days_are_43_minutes() -> None:
    assert allowed_seconds(0.999, 30 * 86400) == pytest.approx(43.2 * 60)


def test_a_budget_in_events() -> None:
    found = budget(0.999, 1_000_000, 400)
    assert (found.state, found.allowed, found.left) == ("met", pytest.approx(1000), pytest.approx(600))
    assert found.left_ratio == pytest.approx(0.6)
    assert found.good_ratio == pytest.approx(0.9996)


def test_too_many_errors_leave_less_than_nothing() -> None:
    found = budget(0.99, 1000, 25)
    assert (found.state, found.left) == ("missed", pytest.approx(-15))
    assert found.left_ratio == pytest.approx(-1.5)


@pytest.mark.parametrize(
    ("events", "errors"),
    [(None, None), (None, 3.0), (100.0, None), (0.0, 0.0), (math.nan, 0.0), (100.0, math.nan), (math.inf, 1.0)],
)
def test_what_is_not_there_is_no_data_and_never_met(events: float | None, errors: float | None) -> None:
    found = budget(0.999, events, errors)
    assert found.state == "no_data"
    assert (found.left, found.left_ratio, found.good_ratio) == (None, None, None)


@given(targets, st.floats(1, 1e9), counts, counts)
def test_more_errors_never_leave_more(target: float, events: float, errors: float, more: float) -> None:
    before, after = budget(target, events, errors), budget(target, events, errors + more)
    assert before.left is not None
    assert after.left is not None
    assert after.left <= before.left


@given(targets, st.floats(1, 1e9), st.floats(0, 1))
def test_met_is_what_the_target_says(target: float, events: float, share: float) -> None:
    found = budget(target, events, events * share)
    assert found.good_ratio == pytest.approx(1 - share, abs=1e-9)
    assert found.left_ratio is not None
    assert (found.state == "met") == (found.left_ratio >= 0)


@given(targets, slices)
@example(0.999, [Slice(60_000, 5e-324, 0.0)])  # a thousandth of it is nothing
def test_a_burn_down_never_rises_and_ends_at_the_budget(target: float, rows: list[Slice]) -> None:
    events, errors, covered = total(rows)
    points = [point.left_ratio for point in burn_down(target, rows)]
    known = [each for each in points if each is not None]
    assert len(points) == len(rows)
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(known))
    found = budget(target, events, errors, covered=covered)
    if found.state == "no_data":
        assert known == []
    else:
        assert known[-1] == pytest.approx(found.left_ratio, abs=1e-6)
        assert covered == pytest.approx(len(known) / len(rows))


def test_a_part_with_one_count_missing_is_a_gap_not_a_success() -> None:
    rows = [Slice(1, 100.0, 1.0), Slice(2, 100.0, None), Slice(3, None, 0.0)]
    assert total(rows) == (100.0, 1.0, pytest.approx(1 / 3))
    assert [point.left_ratio for point in burn_down(0.9, rows)] == [pytest.approx(0.9), None, None]
