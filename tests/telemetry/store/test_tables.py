"""Samples on their way into the tables keep what they are; they come in its order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.store import tables

HALF_HOUR = 1_800_000
BASE = 1_700_000_100_000
RUNS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.integers(1, 12)), min_size=1, max_size=12)


@given(RUNS)
def test_no_sample_is_lost_or_altered_by_the_order(runs: list[tuple[int, int, int]]) -> None:
    sid = np.array([series for series, _from, count in runs for _ in range(count)], np.int64)
    ts = np.array([BASE + 1000 * (start + n) for _series, start, count in runs for n in range(count)], np.int64)
    v = np.arange(len(sid), dtype=np.float64)
    found = tables._in_order(sid, ts, v)
    assert sorted(zip(*(each.tolist() for each in found), strict=True)) == sorted(
        zip(sid.tolist(), ts.tolist(), v.tolist(), strict=True)
    )


@given(st.permutations(range(7)))
def test_samples_that_are_not_late_come_in_the_order_of_the_table(series: list[int]) -> None:
    sid = np.concatenate([np.repeat(np.array(series, np.int64), 10) for _ in range(12)])
    ts = np.concatenate([np.tile(BASE + 1000 * (batch * 10 + np.arange(10)), len(series)) for batch in range(12)])
    found_sid, found_ts, _v = tables._in_order(sid, ts, np.zeros(len(sid)))
    key = found_ts // HALF_HOUR * 10**12 + found_sid * 10_000_000 + (found_ts - BASE)
    assert (np.diff(key) > 0).all()
    assert len(key) == 12 * 7 * 10


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 40, 70_000]), st.integers(0, 3)), min_size=1))
def test_half_hours_lead_and_what_came_first_stays_first(given: list[tuple[int, int, int]]) -> None:
    sid = np.array([series for series, _half_hours, _ms in given], np.int64)
    ts = np.array([BASE + HALF_HOUR * half_hours + ms for _series, half_hours, ms in given], np.int64)
    found = tables._in_order(sid, ts, np.arange(len(sid), dtype=np.float64))
    samples = list(zip(*(each.tolist() for each in found), strict=True))
    assert samples == sorted(samples, key=lambda each: (each[1] // HALF_HOUR, each[0], each[2]))
    assert len(samples) == len(given)
