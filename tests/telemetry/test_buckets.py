from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.buckets import (
    FIELDS,
    FIVE_MINUTES_MS,
    HOUR_MS,
    Buckets,
    coarser,
    in_bucket_order,
    samples_as_buckets,
)
from tongchou.telemetry.series import STALE_NAN, is_stale

values = st.sampled_from([0.0, 1.0, 2.5, -3.0, math.nan, math.inf, STALE_NAN]) | st.integers(0, 1000).map(float)
times = st.sets(st.integers(0, 3 * HOUR_MS // 50_000).map(lambda n: n * 50_000), min_size=1, max_size=60)


def samples(draw_times, draw_values):
    rows = [
        (series, ts, value)
        for series, chosen in enumerate(draw_times)
        for ts, value in zip(sorted(chosen), draw_values * 60, strict=False)
    ]
    series, ts, v = zip(*rows, strict=True)
    return np.array(series), np.array(ts), np.array(v)


def naive(ts, v, width):
    """(end -> figures) of one series, sample by sample."""
    out = {}
    for t, x in zip(ts.tolist(), v, strict=True):
        end = -(-t // width) * width
        one = out.setdefault(end, {"n": 0, "fallen": 0.0, "values": [], "times": []})
        one["ends_stale"] = int(is_stale(np.array([x]))[0])
        if one["ends_stale"]:
            continue
        if one["values"] and x < one["values"][-1]:
            one["fallen"] += one["values"][-1]
        one["values"].append(float(x))
        one["times"].append(t)
    return out


@given(st.lists(times, min_size=1, max_size=3), st.lists(values, min_size=1, max_size=60))
def test_a_bucket_says_what_its_samples_say(chosen, drawn):
    series, ts, v = samples(chosen, drawn)
    rolled = coarser(samples_as_buckets(series, ts, v), FIVE_MINUTES_MS)
    seen = 0
    for number in range(len(chosen)):
        for end, wanted in naive(ts[series == number], v[series == number], FIVE_MINUTES_MS).items():
            (row,) = np.flatnonzero((rolled.series == number) & (rolled.end == end))
            seen += 1
            got = {name: rolled.columns[name][row] for name in FIELDS}
            assert got["n"] == len(wanted["values"])
            assert got["ends_stale"] == wanted["ends_stale"]
            if not wanted["values"]:
                continue
            found = np.array(wanted["values"])
            np.testing.assert_equal(got["v_first"], found[0])
            np.testing.assert_equal(got["v_last"], found[-1])
            np.testing.assert_equal(got["v_min"], np.fmin.reduce(found))
            np.testing.assert_equal(got["v_max"], np.fmax.reduce(found))
            np.testing.assert_allclose(got["v_sum"], found.sum(), rtol=1e-12)
            np.testing.assert_allclose(got["fallen"], wanted["fallen"], rtol=1e-12)
            assert (got["first_ts"], got["last_ts"]) == (wanted["times"][0], wanted["times"][-1])
    assert seen == len(rolled)


@given(st.lists(times, min_size=1, max_size=3), st.lists(values, min_size=1, max_size=60))
def test_an_hour_out_of_five_minutes_is_an_hour_out_of_samples(chosen, drawn):
    one = samples_as_buckets(*samples(chosen, drawn))
    direct, by_steps = coarser(one, HOUR_MS), coarser(coarser(one, FIVE_MINUTES_MS), HOUR_MS)
    assert direct.series.tolist() == by_steps.series.tolist()
    assert direct.end.tolist() == by_steps.end.tolist()
    filled = direct.columns["n"] > 0
    for name in FIELDS:
        rows = slice(None) if name in ("n", "ends_stale") else filled
        np.testing.assert_allclose(by_steps.columns[name][rows], direct.columns[name][rows], rtol=1e-12)


def test_a_bucket_is_open_to_the_left_and_closed_to_the_right():
    zero, ts = np.zeros(3, np.int64), np.array([FIVE_MINUTES_MS, FIVE_MINUTES_MS + 1, 2 * FIVE_MINUTES_MS])
    rolled = coarser(samples_as_buckets(zero, ts, np.ones(3)), FIVE_MINUTES_MS)
    assert rolled.end.tolist() == [FIVE_MINUTES_MS, 2 * FIVE_MINUTES_MS]
    assert rolled.columns["n"].tolist() == [1, 2]


@pytest.mark.parametrize("made", [[1, 2, 1], [2, 1, 1]])
def test_of_a_bucket_that_was_made_twice_the_later_counts(made):
    rows = Buckets(np.array([0, 0, 1]), np.array([300, 300, 300]), {"n": np.array([7, 8, 9])})
    kept = in_bucket_order(rows, np.array(made))
    assert kept.columns["n"].tolist() == [8 if made[1] > made[0] else 7, 9]
    assert kept.series.tolist() == [0, 1]
