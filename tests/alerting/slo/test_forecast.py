"""When a budget will be empty: what a closed form says, what a naive play of the window says, and when nothing is said."""

from __future__ import annotations

import math
from collections import deque

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tongchou.alerting.slo.budget import Slice
from tongchou.alerting.slo.forecast import forecast

HOUR = 3600
parts = st.lists(
    st.tuples(st.floats(1, 1e5), st.floats(0, 1)).map(lambda pair: (pair[0], pair[0] * pair[1] * 0.01)) | st.none(),
    min_size=1,
    max_size=30,
)


def slices(rows: list[tuple[float, float] | None]) -> list[Slice]:
    return [Slice(at, row[0] if row else None, row[1] if row else None) for at, row in enumerate(rows)]


@pytest.mark.parametrize("burn", [1.5, 2.0, 14.4])
def test_a_clean_window_lasts_the_window_divided_by_the_burn_rate(burn: float) -> None:
    clean = slices([(1000.0, 0.0)] * 120)
    found = forecast(0.999, clean, HOUR, recent=(1000.0, burn), recent_seconds=HOUR, min_events=100)
    assert found.state == "empties"
    assert found.burn_rate == pytest.approx(burn)
    assert found.empty_in_seconds == pytest.approx(120 * HOUR / burn)


@pytest.mark.parametrize("burn", [0.0, 0.5, 1.0])
def test_what_is_sustainable_lasts(burn: float) -> None:
    clean = slices([(1000.0, 0.0)] * 120)
    found = forecast(0.999, clean, HOUR, recent=(1000.0, burn), recent_seconds=HOUR, min_events=100)
    assert (found.state, found.empty_in_seconds) == ("lasts", None)


def test_old_errors_that_leave_the_window_come_too_late_or_in_time() -> None:
    """90 % is spent and the rate is 0.5: whether it is empty before the old errors leave depends on when they were."""
    old = slices([(1000.0, 108.0)] + [(1000.0, 0.0)] * 119)  # 120 allowed
    new = slices([(1000.0, 0.0)] * 119 + [(1000.0, 108.0)])
    given_rate = {"recent": (1000.0, 0.5), "recent_seconds": HOUR, "min_events": 100}
    assert forecast(0.999, old, HOUR, **given_rate).state == "lasts"
    found = forecast(0.999, new, HOUR, **given_rate)
    assert found.state == "empties"
    assert found.empty_in_seconds == pytest.approx(24 * HOUR)


def test_a_spent_budget_is_empty_now() -> None:
    found = forecast(0.99, slices([(100.0, 5.0)]), HOUR, recent=(100.0, 0.0), recent_seconds=HOUR, min_events=1)
    assert (found.state, found.empty_in_seconds) == ("empty", 0.0)


@pytest.mark.parametrize("recent", [(None, None), (99.0, 9.0), (1000.0, None), (math.nan, 1.0), (0.0, 0.0)])
def test_too_few_events_foretell_nothing(recent: tuple[float | None, float | None]) -> None:
    found = forecast(0.999, slices([(1000.0, 0.0)]), HOUR, recent=recent, recent_seconds=HOUR, min_events=100)
    assert (found.state, found.burn_rate, found.empty_in_seconds) == ("unknown", None, None)


@given(parts, st.floats(0.9, 0.9999), st.floats(100, 1e5), st.floats(0, 1))
def test_it_is_what_playing_the_window_forward_says(
    rows: list[tuple[float, float] | None], target: float, events: float, share: float
) -> None:
    recent = (events, events * share * 0.01)
    found = forecast(target, slices(rows), 60.0, recent=recent, recent_seconds=60.0, min_events=100)
    window = deque((row or (0.0, 0.0)) for row in rows)
    lefts = []
    for _step in range(len(rows) + 1):
        total = math.fsum(each[0] for each in window)
        lefts.append((1 - target) * total - math.fsum(each[1] for each in window))
        window.popleft()
        window.append(recent)
    assume(all(abs(each) > 1e-6 for each in lefts))
    spent = next((at for at, each in enumerate(lefts) if each < 0), None)
    if spent is None:
        assert found.state == "lasts"
    elif spent == 0:
        assert found.state == "empty"
    else:
        assert found.state == "empties"
        assert found.empty_in_seconds is not None
        assert (spent - 1) * 60 <= found.empty_in_seconds <= spent * 60 + 1e-6
