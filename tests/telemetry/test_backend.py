from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongchou.core.access import system
from tongchou.core.problems import Invalid
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import Options, Telemetry
from tongchou.telemetry.ports import MEMBER, Backend, Limits, ManyMatchers
from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.series import STALE_NAN, Matcher, SeriesBlock, is_stale, labels_of

WRITER = system("tests")
pytestmark = pytest.mark.both_stores
MINUTE = 60_000
ALL = [Matcher("__name__", "!=", "")]


def up(i):
    return labels_of({"__name__": "up", "i": str(i)})


def write(*rows):
    return append(SeriesBlock.build(rows), actor=WRITER)


def as_dict(block):
    return {
        block.labels[i]: list(
            zip(block.samples(i)[0].tolist(), block.samples(i)[1].view(np.int64).tolist(), strict=True)
        )
        for i in range(len(block))
    }


def test_it_is_a_backend(telemetry_db):
    assert isinstance(telemetry_db, Backend)


def test_what_was_appended_is_read_at_once(telemetry_db):
    now = telemetry_db.clock()
    taken = write((up(1), [now - 2000, now - 1000], [1.0, STALE_NAN]), (up(2), [now], [3.0]))
    assert (taken.samples, taken.refused.total) == (3, 0)
    block = telemetry_db.select([Matcher("__name__", "=", "up")], now - 5000, now, limits=Limits())
    assert block.labels == [up(1), up(2)]
    assert block.samples(0)[0].tolist() == [now - 2000, now - 1000]
    assert is_stale(block.v).tolist() == [False, True, False]


def test_the_interval_is_closed_on_both_sides_in_memory_and_in_the_store(telemetry_db):
    now = telemetry_db.clock()
    for base in (now - 10 * MINUTE, now - 3 * 24 * 60 * MINUTE):
        write((up(1), [base, base + 1, base + 2], [1.0, 2.0, 3.0]))
        block = telemetry_db.select(ALL, base, base + 1, limits=Limits())
        assert block.v.tolist() == [1.0, 2.0]


def test_samples_sent_again_count_once(telemetry_db):
    now = telemetry_db.clock()
    for base in (now - 10 * MINUTE, now - 3 * 24 * 60 * MINUTE):
        for _again in range(3):
            write((up(1), [base, base + 1000], [1.0, 2.0]), (up(2), [base], [5.0]))
        block = telemetry_db.select(ALL, base, base + 5000, limits=Limits())
        assert block.offsets.tolist() == [0, 2, 3]


offsets = st.integers(-150, 5).map(lambda minutes: minutes * MINUTE)
batch = st.lists(
    st.tuples(
        st.integers(0, 4), offsets, st.integers(0, 3), st.sampled_from([0.0, 1.0, float("nan"), STALE_NAN, -2.0])
    ),
    min_size=1,
    max_size=40,
)


@given(st.lists(batch, min_size=1, max_size=4), st.integers(-160, 5), st.integers(-160, 6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_memory_store_and_a_restart_read_the_same(telemetry_engine, batches, start, end):
    number = np.random.default_rng().integers(0, 2**40)
    options = Options(database=f"same_{number}", retention_days=3650, flush_seconds=0.05)
    telemetry = Telemetry(telemetry_engine, options)
    again = storeonly = None
    try:
        now = telemetry.clock()
        for one in batches:
            rows = np.array([telemetry.index.row(up(i)) for i, _o, _ms, _v in one], np.int64)
            ts = np.array([now + o + ms for _i, o, ms, _v in one], np.int64)
            telemetry.submit(rows, ts, np.array([v for *_x, v in one])).result(30)
        start_ms, end_ms = now + start * MINUTE, now + end * MINUTE
        live = as_dict(telemetry.select(ALL, start_ms, end_ms, limits=Limits()))
        again = Telemetry(telemetry_engine, options)
        restarted = as_dict(again.select(ALL, start_ms, end_ms, limits=Limits()))
        storeonly = Telemetry(
            telemetry_engine, Options(database=options.database, window_seconds=-1_000_000, retention_days=3650)
        )
        assert storeonly.window.sample_count == 0
        stored = as_dict(storeonly.select(ALL, start_ms, end_ms, limits=Limits()))
        expected: dict = {}
        for one in batches:
            for i, o, ms, v in one:
                if start_ms <= now + o + ms <= end_ms:
                    at = expected.setdefault(up(i), {})
                    bits = int(np.array([v]).view(np.uint64)[0])
                    at[now + o + ms] = max(at.get(now + o + ms, -1), bits)
        wanted = {
            labels: [(ts, int(np.uint64(at[ts]).astype(np.int64))) for ts in sorted(at)]
            for labels, at in expected.items()
        }
        assert live == wanted
        assert stored == wanted
        assert restarted == wanted
    finally:
        for each in (telemetry, again, storeonly):
            if each is not None:
                each.close()
        telemetry.tables.drop()


def test_too_many_series_or_samples_are_refused_with_the_limit(telemetry_db):
    now = telemetry_db.clock()
    write((up(1), [now - 2, now - 1], [1.0, 2.0]), (up(2), [now], [3.0]))
    with pytest.raises(QueryError, match="limit_exceeded"):
        telemetry_db.select(ALL, now - 5000, now, limits=Limits(max_series=1))
    with pytest.raises(QueryError, match="limit_exceeded"):
        telemetry_db.select(ALL, now - 5000, now, limits=Limits(max_samples=2))


def test_many_selectors_are_answered_as_each_alone(telemetry_db):
    now = telemetry_db.clock()
    sets = [
        [Matcher("__name__", "=", "up"), Matcher("i", "=~", pattern)]
        for pattern in ("1|3", ".*", "", "nothing", "3", "1")
    ]
    many = ManyMatchers(sets)

    def check(start, end):
        wanted = {}
        for number, matchers in enumerate(sets):
            alone = as_dict(telemetry_db.select(matchers, start, end, limits=Limits()))
            wanted |= {((MEMBER, str(number)), *labels): samples for labels, samples in alone.items()}
        found = telemetry_db.select_each(many, start, end, limits=Limits())
        assert as_dict(found) == wanted
        assert [int(labels[0][1]) for labels in found.labels] == sorted(int(labels[0][1]) for labels in found.labels)
        return found

    write((up(1), [now - 3000], [1.0]), (up(2), [now - 2000], [2.0]), (up(3), [now - 3000, now], [STALE_NAN, 3.0]))
    first = check(now - 5000, now)
    assert check(now - 5000, now).labels is first.labels  # what is made of them is made once
    check(now - 2500, now)  # not every series has samples
    write((up(13), [now - 1000], [4.0]), (up(4), [now], [5.0]))
    check(now - 5000, now)
    assert telemetry_db.select_each(many, now - 3 * 24 * 60 * MINUTE, now, limits=Limits()) is None
    with pytest.raises(QueryError, match="limit_exceeded"):
        telemetry_db.select_each(many, now - 5000, now, limits=Limits(max_series=4))


def test_a_bad_regular_expression_is_refused(telemetry_db):
    write((up(1), [telemetry_db.clock()], [1.0]))
    with pytest.raises(Invalid, match="bad_regex"):
        telemetry_db.select([Matcher("i", "=~", "a{2000}(")], 0, 1, limits=Limits())


def test_labels_and_series_are_listed_by_matchers_and_days(telemetry_db):
    now = telemetry_db.clock()
    old = now - 5 * 24 * 60 * MINUTE
    write((up(1), [now], [1.0]), (labels_of({"__name__": "gone", "j": "x"}), [old], [1.0]))
    recent = (now - 1000, now)
    assert telemetry_db.series([], *recent, limits=Limits()) == [up(1)]
    assert telemetry_db.label_names([ALL], *recent, limits=Limits()) == ["__name__", "i"]
    assert telemetry_db.label_values("__name__", [], *recent, limits=Limits()) == ["gone", "up"]
    assert telemetry_db.label_values("__name__", [ALL], old, now, limits=Limits()) == ["gone", "up"]
    assert telemetry_db.label_values("nothing", [ALL], *recent, limits=Limits()) == []


def test_a_large_selection_of_many_series_reads_by_metric(telemetry_db):
    now = telemetry_db.clock()
    base = now - 2 * 24 * 60 * MINUTE
    many = [(labels_of({"__name__": f"m{i % 3}", "i": str(i)}), [base, base + 1], [1.0, float(i)]) for i in range(5000)]
    write(*many)
    block = telemetry_db.select([Matcher("__name__", "=~", "m[01]")], base, base + 10, limits=Limits())
    assert len(block) == 3334
    assert sorted(block.v[1::2].tolist()) == [float(i) for i in range(5000) if i % 3 != 2]
