"""Evaluation times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tongchou.alerting.schedule import missed, offset_seconds, slot, slot_time

times = st.floats(1.6e9, 2e9)
intervals = st.sampled_from([0.5, 1.0, 5.0, 15.0, 60.0, 3600.0])


@given(st.text(), intervals, times)
def test_the_latest_time_is_at_most_one_interval_ago(key: str, interval: float, now: float) -> None:
    offset = offset_seconds(key, interval)
    assert 0 <= offset < interval
    at = slot_time(slot(now, interval, offset), interval, offset)
    assert now - interval - 0.001 <= at <= now + 0.001


@given(st.text(), intervals, times)
def test_times_are_whole_milliseconds_an_interval_apart(key: str, interval: float, now: float) -> None:
    offset = offset_seconds(key, interval)
    number = slot(now, interval, offset)
    first, second = slot_time(number, interval, offset), slot_time(number + 1, interval, offset)
    assert abs(first * 1000 - round(first * 1000)) < 1e-3
    assert abs(second - first - interval) < 0.0011


def test_counts_what_was_missed() -> None:
    assert [missed(5, 6), missed(5, 9), missed(5, 5)] == [0, 3, 0]
