from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.telemetry.window import _RUN, PAGE, Window, in_order

NOW = 1_790_000_000_000
MINUTE = 60_000


def make(max_bytes=64 * 1024 * 1024, seconds=600, **more):
    window = Window(length_seconds=seconds, max_bytes=max_bytes, **more)
    window.start(NOW)
    return window


def put(window, rows, ts, v, now=NOW):
    window.append(np.array(rows, np.int64), np.array(ts, np.int64), np.array(v, np.float64), now_ms=now)


def model(samples, rows, start, end):
    """The plain reading of the contract: sorted, unique by (row, ts), greatest bits win."""
    best = {}
    for row, ts, v in samples:
        bits = np.float64(v).view(np.uint64)
        if row in rows and start <= ts <= end and ((row, ts) not in best or bits > best[row, ts]):
            best[row, ts] = bits
    return [(row, ts, int(best[row, ts])) for row, ts in sorted(best)]


def flat(rows, got):
    offsets, ts, v = got
    series = np.repeat(rows, np.diff(offsets))
    return [(int(a), int(b), int(c)) for a, b, c in zip(series, ts, v.view(np.uint64), strict=True)]


batches = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(NOW - 15 * MINUTE, NOW + MINUTE),
            st.sampled_from([0.0, 1.0, -1.0, float("nan"), float("inf"), 2.5]),
        ),
        max_size=120,
    ),
    max_size=6,
)


@given(
    batches,
    st.integers(-16, 1),
    st.integers(-16, 2),
    st.sets(st.integers(0, 7), min_size=1),
    st.sampled_from([1, 40, 10**6]),
)
@settings(max_examples=150, deadline=None)
def test_it_reads_what_was_appended_in_any_order_each_time_once(batches, start, end, rows, together):
    window = make(together=together)
    accepted = []
    for batch in batches:
        if batch:
            put(window, *zip(*batch, strict=True))
        accepted += batch
    rows = np.array(sorted(rows), np.int64)
    start_ms, end_ms = NOW + start * MINUTE, NOW + end * MINUTE
    got = window.select(rows, start_ms, end_ms)
    if start_ms < window.covered_from_ms:
        assert got is None
    else:
        assert flat(rows, got) == model(accepted, set(rows.tolist()), start_ms, end_ms)


def test_rows_that_were_scraped_together_share_their_timestamps():
    window = make()
    for step in range(80):
        put(
            window,
            [0, 1, 2, 5],
            [NOW - 90_000 + step * 1000] * 3 + [NOW - 90_000 + step * 1000 + 7],
            [1.0, 2.0, 3.0, 4.0],
        )
    offsets, clocks, v = window.select_shared(np.array([0, 1, 2, 4, 5, 9]), NOW - 60_000, NOW)
    assert len({int(clocks.of[row]) for row in (0, 1, 2)}) == 1
    assert len({int(clocks.of[row]) for row in (0, 3, 4)}) == 3
    assert np.diff(offsets).tolist() == [50, 50, 50, 0, 50, 0]
    one = window.select_shared(np.array([0, 1, 2]), NOW - 60_000, NOW)
    assert one is not None
    assert len(one[1]) == 1
    assert one[2].tolist() == v[:150].tolist()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_time_moves_on_and_pages_are_used_again(data):
    window = make(seconds=120)
    accepted = []
    for step in range(data.draw(st.integers(10, 200))):
        now = NOW + step * 1000
        rows = sorted(data.draw(st.sets(st.integers(0, 3), max_size=4)))
        put(window, rows, [now] * len(rows), [float(step)] * len(rows), now=now)
        accepted += [(row, now, float(step)) for row in rows]
    rows = np.arange(4, dtype=np.int64)
    start = window.covered_from_ms
    assert flat(rows, window.select(rows, start, now)) == model(accepted, {0, 1, 2, 3}, start, now)
    held = len({(row, ts) for row, ts, _v in accepted if ts >= start})
    assert held <= window.sample_count <= held + 4 * PAGE


def test_the_cap_shortens_the_window_and_what_is_left_is_complete():
    window = make(max_bytes=40 * (PAGE * 16 + 32), seconds=100_000)
    series = 10
    for step in range(500):
        put(window, range(series), [NOW + step * 1000] * series, [float(step)] * series, now=NOW + step * 1000)
    assert window.bytes_used <= 40 * (PAGE * 16 + 32)
    start = window.covered_from_ms
    assert start > NOW
    offsets, _ts, _v = window.select(np.arange(series, dtype=np.int64), start, NOW + 500_000)
    expected = (NOW + 499_000 - start) // 1000 + 1
    assert np.diff(offsets).tolist() == [expected] * series


def test_more_series_than_the_cap_can_hold_leave_everything_to_the_store():
    window = make(max_bytes=16 * (PAGE * 16 + 32))
    put(window, range(100), [NOW] * 100, [1.0] * 100)
    assert window.covered_from_ms > NOW
    assert window.select(np.arange(100, dtype=np.int64), NOW, NOW) is None
    assert window.bytes_used <= 16 * (PAGE * 16 + 32)


def test_a_series_nobody_wrote_is_empty():
    window = make()
    put(window, [1], [NOW], [1.0])
    offsets, _ts, _v = window.select(np.array([0, 1, 9999]), NOW, NOW)
    assert offsets.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("values", [(1.0, 2.0), (2.0, 1.0)])
def test_of_two_values_at_one_time_the_same_one_stays_whatever_came_first(values):
    _offsets, _ts, v = in_order(np.array([0, 0]), np.array([5, 5]), np.array(values), 1)
    assert v.tolist() == [2.0]


def test_a_long_run_of_one_series_beside_others_is_kept_whole_across_blocks():
    count = 5 * _RUN + 7
    window = Window(length_seconds=100_000, max_bytes=64_000_000)
    window.start(0)
    rows = np.r_[np.zeros(count, np.int64), [1, 2, 2]]
    ts = np.r_[np.arange(count), [5, 6, 7]]
    window.append(rows, ts, ts * 2.0, now_ms=0)
    offsets, times, values = window.select(np.array([0, 1, 2]), 0, count)
    assert offsets.tolist() == [0, count, count + 1, count + 3]
    assert (times == ts).all()
    assert (values == ts * 2.0).all()


def test_a_window_too_small_for_its_series_covers_nothing_and_covers_again_later():
    window = make(max_bytes=0)
    window._newest_ts[:] = 2**62  # pages that were never written hold anything
    put(window, range(200), [NOW] * 200, [1.0] * 200)
    assert window.covered_from_ms == NOW + 1
    put(window, [1], [NOW + MINUTE], [2.0], now=NOW + MINUTE)
    assert flat(np.array([1]), window.select(np.array([1]), NOW + 1, NOW + MINUTE)) == model(
        [(1, NOW + MINUTE, 2.0)], {1}, NOW, NOW + MINUTE
    )


def test_samples_that_could_not_be_put_into_pages_are_left_to_the_store(monkeypatch):
    window = make()
    put(window, [1, 2], [NOW - 1, NOW], [1.0, 2.0])
    with monkeypatch.context() as broken, pytest.raises(MemoryError):
        broken.setattr(Window, "_append", lambda *_: (_ for _ in ()).throw(MemoryError))
        window.select(np.array([1, 2]), NOW - MINUTE, NOW)
    assert not window.covers(NOW)
    put(window, [1], [NOW + 5], [3.0])
    assert window.covers(NOW + 1)
    assert window.select(np.array([1]), NOW + 1, NOW + 5)[2].tolist() == [3.0]


def test_many_small_groups_do_not_pile_up():
    window = make()
    for at in range(2500):
        put(window, [at % 7], [NOW - 2500 + at], [float(at)])
        put(window, [], [], [])
        assert len(window._queued) < 1000
    assert window.sample_count == 2500
