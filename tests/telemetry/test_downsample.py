from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.downsample import downsample


@given(st.lists(st.floats(width=32), max_size=400), st.integers(4, 50))
def test_ends_and_extremes_stay_and_the_count_is_bounded(values, max_points):
    ts = np.arange(len(values), dtype=np.int64) * 10
    v = np.array(values, np.float64)
    thin_ts, thin_v = downsample(ts, v, max_points=max_points)
    assert len(thin_ts) <= max(max_points, 0)
    assert (np.diff(thin_ts) > 0).all()
    assert thin_v.tobytes() == v[thin_ts // 10].tobytes()
    finite = v[~np.isnan(v)]
    if len(finite):
        assert np.nanmax(thin_v) == finite.max()
        assert np.nanmin(thin_v) == finite.min()
    if len(values):
        assert (thin_ts[0], thin_ts[-1]) == (ts[0], ts[-1])


def test_a_gap_in_time_stays_a_gap():
    ts = np.r_[np.arange(1000), 1_000_000 + np.arange(1000)]
    thin, _v = downsample(ts, np.sin(ts), max_points=100)
    assert 999_000 < np.diff(thin).max() < 1_000_050
