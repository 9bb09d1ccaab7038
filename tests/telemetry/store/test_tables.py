"""Samples on their way into the tables keep what they are; runs of one series come in the order of the table."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.store import tables

BASE = 1_700_000_100_000
RUNS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.integers(1, 12)), max_size=12)


@given(RUNS)
def test_no_sample_is_lost_or_altered_by_the_order(runs: list[tuple[int, int, int]]) -> None:
    sid = np.array([series for series, _from, count in runs for _ in range(count)], np.int64)
    ts = np.array([BASE + 1000 * (start + n) for _series, start, count in runs for n in range(count)], np.int64)
    v = np.arange(len(sid), dtype=np.float64)
    found = tables._in_runs(sid, ts, v)
    assert sorted(zip(*(each.tolist() for each in found), strict=True)) == sorted(
        zip(sid.tolist(), ts.tolist(), v.tolist(), strict=True)
    )


@given(st.permutations(range(12)), st.permutations(range(7)))
def test_runs_that_do_not_overlap_come_sorted(batches: list[int], series: list[int]) -> None:
    sid = np.concatenate([np.repeat(np.array(series, np.int64), 10) for _ in batches])
    ts = np.concatenate([np.tile(BASE + 1000 * (batch * 10 + np.arange(10)), len(series)) for batch in batches])
    found_sid, found_ts, _v = tables._in_runs(sid, ts, np.zeros(len(sid)))
    key = found_sid * 10_000_000 + (found_ts - BASE)
    assert (np.diff(key) > 0).all()
    assert len(key) == 12 * 7 * 10


def test_single_samples_are_left_as_they_are() -> None:
    sid, ts, v = np.array([3, 1, 2]), np.array([5, 6, 7]), np.array([0.0, 1.0, 2.0])
    assert tables._in_runs(sid, ts, v)[0] is sid
