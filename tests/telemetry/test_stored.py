"""Samples older than the window, with the half hours kept in memory: never other than what was written."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongchou.core.problems import Problem
from tongchou.telemetry import stored
from tongchou.telemetry.backend import Options, Telemetry
from tongchou.telemetry.block_cache import BUCKET_MS
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.series import Matcher, labels_of

pytestmark = pytest.mark.both_stores
MINUTE = 60_000
UP = [Matcher("__name__", "=", "up")]


def up(number):
    return labels_of({"__name__": "up", "i": str(number)})


def read(telemetry, matchers, start_ms, end_ms):
    block = telemetry.select(matchers, start_ms, end_ms, limits=Limits())
    return {
        labels: list(zip(*(column.tolist() for column in block.samples(row)), strict=True))
        for row, labels in enumerate(block.labels)
    }


batch = st.lists(
    st.tuples(st.integers(0, 4), st.integers(-300, 0), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=40
)
together = st.tuples(st.integers(-300, 0), st.integers(1, 5), st.integers(0, 9)).map(
    lambda drawn: [(row, drawn[0], 0, drawn[2] + row) for row in range(drawn[1])]
)
interval = st.tuples(st.integers(-310, 5), st.integers(0, 320))


@given(st.lists(st.tuples(st.one_of(batch, together), st.booleans(), interval), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_late_samples_show_in_half_hours_that_were_read_before(telemetry_engine, turns):
    number = np.random.default_rng().integers(0, 2**40)
    options = Options(database=f"late_{number}", window_seconds=600, flush_seconds=0.02, shared_linger_seconds=0.0)
    telemetry = Telemetry(telemetry_engine, options)
    written: dict = {}
    try:
        now = telemetry.clock()
        for samples, flush, (start, length) in turns:
            rows = np.array([telemetry.row(up(i)) for i, *_rest in samples], np.int64)
            ts = np.array([now + minutes * MINUTE + ms for _i, minutes, ms, _v in samples], np.int64)
            telemetry.submit(rows, ts, np.array([float(v) for *_x, v in samples])).result(30)
            for (i, *_rest), time, (*_x, v) in zip(samples, ts.tolist(), samples, strict=True):
                at = written.setdefault(up(i), {})
                at[time] = max(at.get(time, -1.0), float(v))  # the greater bits win
            if flush:
                telemetry.flush()
            low, high = now + start * MINUTE, now + (start + length) * MINUTE
            wanted = {
                labels: [(time, at[time]) for time in sorted(at) if low <= time <= high]
                for labels, at in written.items()
            }
            for matchers in (UP, [*UP, Matcher("i", "=~", "1|3")]):
                some = {k: v for k, v in wanted.items() if v and (matchers is UP or dict(k)["i"] in ("1", "3"))}
                assert read(telemetry, matchers, low, high) == some
    finally:
        telemetry.tables.drop()
        telemetry.close()


def test_a_long_range_asks_the_store_once(telemetry_engine, monkeypatch):
    options = Options(database=f"once_{np.random.default_rng().integers(0, 2**40)}", window_seconds=600)
    telemetry = Telemetry(telemetry_engine, options)
    try:
        now = telemetry.clock()
        ts = now - np.arange(400, 0, -1) * MINUTE
        for number in range(8):
            rows = np.full(len(ts), telemetry.row(up(number)), np.int64)
            telemetry.submit(rows, ts, np.arange(len(ts), dtype=np.float64)).result(30)
        telemetry.flush()
        asked = []
        fetch = telemetry.engine.fetch
        monkeypatch.setattr(telemetry.engine, "fetch", lambda sql, **more: asked.append(sql) or fetch(sql, **more))
        first = read(telemetry, UP, int(ts[0]), now)
        assert asked
        assert telemetry.older.bytes_used > 8 * 300 * 8
        asked.clear()
        assert read(telemetry, UP, int(ts[0]), now) == first
        # What is left to read is the half hour that is not over, if the window does not hold all of it.
        assert len(asked) <= 1
        one = read(telemetry, [*UP, Matcher("i", "=", "3")], int(ts[10]), int(ts[300]))
        assert one == {up(3): first[up(3)][10:301]}
    finally:
        telemetry.tables.drop()
        telemetry.close()


@pytest.fixture
def old(telemetry_engine):
    """Eight series with a sample a minute that the window does not hold, in the store."""
    options = Options(database=f"old_{np.random.default_rng().integers(0, 2**40)}", window_seconds=600)
    telemetry = Telemetry(telemetry_engine, options)
    try:
        ts = telemetry.clock() - np.arange(400, 30, -1) * MINUTE
        for number in range(8):
            rows = np.full(len(ts), telemetry.row(up(number)), np.int64)
            telemetry.submit(rows, ts, np.arange(len(ts), dtype=np.float64)).result(30)
        telemetry.flush()
        yield telemetry, ts
    finally:
        telemetry.tables.drop()
        telemetry.close()


def test_a_range_with_too_many_samples_is_refused_before_all_of_it_is_read(old, monkeypatch):
    telemetry, ts = old
    monkeypatch.setattr(stored, "READ_SAMPLES", 1)  # a half hour at a time
    asked = []
    fetch = telemetry.engine.fetch
    monkeypatch.setattr(telemetry.engine, "fetch", lambda sql, **more: asked.append(sql) or fetch(sql, **more))
    with pytest.raises(QueryError, match="max_samples"):
        telemetry.select(UP, int(ts[0]), int(ts[-1]), limits=Limits(max_samples=500))
    assert len(asked) <= 4  # of twelve half hours


def test_a_rebuild_forgets_half_hours_that_nobody_told_of_late_samples(old):
    telemetry, ts = old
    telemetry.select(UP, int(ts[0]), int(ts[-1]), limits=Limits())
    late = np.array([int(ts[5]) + 1])
    telemetry.tables.insert_samples(telemetry.index.sids(np.array([telemetry.row(up(0))])), late, np.array([7.0]))
    telemetry._rebuild()
    assert (int(late[0]), 7.0) in read(telemetry, UP, int(ts[0]), int(ts[-1]))[up(0)]


def test_half_hours_that_were_cut_off_are_not_taken_for_whole(old, monkeypatch):
    telemetry, ts = old
    monkeypatch.setattr(stored, "READ_SAMPLES", 1)
    few = Limits(max_samples=20)  # two samples of each of the eight series; a half hour of them has 240
    end = int(ts[200]) // BUCKET_MS * BUCKET_MS - 1
    assert telemetry.select(UP, end - 2 * MINUTE + 1, end, limits=few).sample_count == 16
    assert {len(each) for each in read(telemetry, UP, int(ts[0]), int(ts[-1])).values()} == {len(ts)}


def test_the_time_of_a_query_is_for_all_half_hours_together(old, monkeypatch):
    telemetry, ts = old
    monkeypatch.setattr(stored, "READ_SAMPLES", 1)  # a half hour at a time
    fetch = telemetry.engine.fetch
    asked = []

    def slow(sql, **more):
        asked.append(sql)
        time.sleep(0.3)
        return fetch(sql, **more)

    monkeypatch.setattr(telemetry.engine, "fetch", slow)
    with pytest.raises(Problem) as refused:
        telemetry.select(UP, int(ts[0]), int(ts[-1]), limits=Limits(timeout_seconds=1.0))
    assert refused.value.code == "telemetry.timeout"
    assert len(asked) <= 5
