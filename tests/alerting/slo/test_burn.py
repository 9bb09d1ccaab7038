"""Burn rates against the published table, and what the pairs of windows are for other objectives."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.alerting.durations import parse_seconds
from tongchou.alerting.slo.burn import MONTH_SECONDS, Pair, burn_rate, fires, pairs, spent_share

TABLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "governance" / "slo_burn_rates.csv"
PAGE = Pair("page", 0.02, 3600, 300, 14.4)


@pytest.mark.skipif(not TABLE.exists(), reason="the table of burn rates lies beside the repository, not in it")
def test_the_table_of_burn_rates() -> None:
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    for period in ("30d", "28d"):
        wanted = [
            (
                row["severity"],
                float(row["budget_share"].rstrip("%")) / 100,
                parse_seconds(row["long_window"]),
                parse_seconds(row["short_window"]),
                pytest.approx(float(row["burn_rate_threshold"]), abs=5e-5),
            )
            for row in rows
            if row["slo_period"] == period
        ]
        found = pairs(parse_seconds(period))
        assert [(p.urgency, p.budget_share, p.long_seconds, p.short_seconds, p.factor) for p in found] == wanted


def test_a_month() -> None:
    found = [(pair.factor, pair.long_seconds, pair.short_seconds) for pair in pairs(MONTH_SECONDS)]
    assert found == [(14.4, 3600, 300), (6, 21600, 1800), (3, 86400, 7200), (1, 259200, 21600)]


def test_a_month_of_days_that_last_an_hour_keeps_the_factors() -> None:
    found = [(pair.factor, pair.long_seconds, pair.short_seconds) for pair in pairs(30 * 3600)]
    assert found == [(14.4, 150, 12), (6, 900, 75), (3, 3600, 300), (1, 10800, 900)]


@given(st.integers(600, 366 * 86400))
def test_windows_are_ordered_for_every_objective(window: int) -> None:
    for pair in pairs(window):
        assert 10 <= pair.short_seconds < pair.long_seconds <= window
        assert pair.factor > 0


@given(st.integers(2 * 86400, 366 * 86400))
def test_burning_at_the_factor_for_the_long_window_spends_the_share(window: int) -> None:
    for pair in pairs(window):
        assert spent_share(pair.factor, pair.long_seconds, window) == pytest.approx(
            pair.budget_share, rel=0.01
        )  # whole seconds


def test_a_burn_rate_of_one_spends_exactly_what_is_allowed() -> None:
    assert burn_rate(0.999, 1000, 1) == pytest.approx(1)
    assert burn_rate(0.999, 1000, 14.4) == pytest.approx(14.4)
    assert burn_rate(0.999, 0, 0) is None
    assert burn_rate(0.999, None, 0) is None


@given(st.floats(0.5, 0.9999), st.floats(1, 1e6), st.floats(0, 1e6))
def test_a_burn_rate_is_at_most_that_of_a_total_failure(target: float, events: float, errors: float) -> None:
    rate = burn_rate(target, events, errors)
    assert rate is not None
    assert 0 <= rate <= 1 / (1 - target) + 1e-9


def test_both_windows_and_enough_events_are_wanted() -> None:
    enough = {"events": 1000, "errors": 50, "min_events": 100, "min_errors": 3}
    assert fires(PAGE, long=20, short=20, **enough)
    assert not fires(PAGE, long=20, short=2, **enough)
    assert not fires(PAGE, long=2, short=20, **enough)
    assert not fires(PAGE, long=None, short=20, **enough)


def test_one_error_at_night_wakes_nobody() -> None:
    """20 requests in the hour, one failed: burn rate 50 of a 99.9 % objective, and yet nothing to get up for."""
    night = {"events": 20, "errors": 1}
    rate = burn_rate(0.999, **night)
    assert rate == pytest.approx(50)
    assert not fires(PAGE, long=rate, short=rate, **night, min_events=100, min_errors=3)


def test_a_lax_target_cannot_burn_fast() -> None:
    assert not PAGE.reachable(0.9)
    assert PAGE.reachable(0.99)
