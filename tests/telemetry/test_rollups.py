"""What long ranges say over rollups is what they say over samples."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from tongchou.core.access import system
from tongchou.core.problems import Unavailable
from tongchou.telemetry.actions import append
from tongchou.telemetry.buckets import FIVE_MINUTES_MS, HOUR_MS
from tongchou.telemetry.ports import Limits, RolledBackend
from tongchou.telemetry.promql.evaluate import range_
from tongchou.telemetry.series import STALE_NAN, SeriesBlock, labels_of
from tongchou.telemetry.store.tables import MS_PER_DAY

WRITER = system("tests")
pytestmark = pytest.mark.both_stores
HOURS = 40
EXACT = [
    "increase({m}[1h])",
    "rate({m}[2h])",
    "delta({m}[1h])",
    "min_over_time({m}[1h])",
    "max_over_time({m}[2h])",
    "count_over_time({m}[1h])",
    "sum_over_time({m}[1h])",
    "avg_over_time({m}[1h])",
    "last_over_time({m}[1h])",
    "first_over_time({m}[1h])",
    "present_over_time({m}[1h])",
    "timestamp({m})",
    "{m}",
    "{m} offset 1h",
    "sum by (i) (rate({m}[1h] offset 2h))",
    "max_over_time(rate({m}[1h])[3h:1h])",
]


class Raw:
    """A backend that knows of samples only."""

    def __init__(self, inner):
        self.inner = inner

    def select(self, matchers, start_ms, end_ms, *, limits):
        return self.inner.select(matchers, start_ms, end_ms, limits=limits)


def history(rng, end_ms, hours):
    """One series: a jittered scrape, gaps, resets, staleness markers; a counter or a gauge."""
    ts, v, at, value = [], [], end_ms - hours * HOUR_MS, float(rng.randrange(1000))
    counter, fraction = rng.random() < 0.6, rng.random() < 0.3
    while at < end_ms:
        at += rng.choice([15_000, 60_000, 60_000, 60_000 + rng.randrange(-900, 900)])
        if rng.random() < 0.004:
            v.append(STALE_NAN)
            ts.append(at)
            at += rng.randrange(1, 4 * HOUR_MS)
            continue
        if rng.random() < 0.01:
            value = 0.0
        value = value + rng.randrange(50) * (0.37 if fraction else 1) if counter else float(rng.randrange(-99, 999))
        ts.append(at)
        v.append(value)
    keep = [at <= end_ms for at in ts]
    return list(itertools.compress(ts, keep)), list(itertools.compress(v, keep))


def write(rows):
    taken = append(SeriesBlock.build(rows), actor=WRITER)
    assert taken.refused.total == 0


def rolled_now(telemetry_db):
    telemetry_db.flush() if not telemetry_db.engine.shared else None
    telemetry_db.rollups.lag_seconds = 0.0
    total = 0
    while part := telemetry_db.rollups.roll_due():
        total += part
    return total


def hour_before(telemetry_db, hours):
    return (telemetry_db.clock() // HOUR_MS - hours) * HOUR_MS


def answers(backend, query, start, end, step, **limits):
    result = range_(query, start, end, step, backend=backend, limits=Limits(**limits))
    return {labels: dict(zip(ts.tolist(), v.tolist(), strict=True)) for labels, ts, v in result.lines()}, result


def same(rolled, raw, *, rtol=1e-11):
    assert rolled.keys() == raw.keys()
    for labels, points in raw.items():
        assert rolled[labels].keys() == points.keys()
        np.testing.assert_allclose(list(rolled[labels].values()), list(points.values()), rtol=rtol, atol=1e-9)


def compare(telemetry_db, name, start, end, step, expressions=EXACT):
    for expression in expressions:
        query = expression.format(m=name)
        got, result = answers(telemetry_db, query, start, end, step)
        wanted, _raw = answers(Raw(telemetry_db), query, start, end, step)
        assert any("rollup" in info for info in result.infos), query
        assert not result.warnings, query
        assert wanted, query
        same(got, wanted)


def test_the_backend_keeps_buckets(telemetry_db):
    assert isinstance(telemetry_db, RolledBackend)
    assert not isinstance(Raw(telemetry_db), RolledBackend)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_aligned_windows_over_rollups_equal_those_over_samples(telemetry_db, seed):
    rng = random.Random(seed)
    end = hour_before(telemetry_db, 0)
    name = "shop_requests_total"
    write([(labels_of({"__name__": name, "i": str(i)}), *history(rng, end, HOURS)) for i in range(4)])
    assert rolled_now(telemetry_db) >= HOURS - 9
    start = end - (HOURS - 4) * HOUR_MS
    compare(telemetry_db, name, start, end, HOUR_MS)
    compare(telemetry_db, name, start, end, 2 * HOUR_MS)
    five = ["increase({m}[5m])", "rate({m}[10m])", "max_over_time({m}[15m])", "{m}", "sum_over_time({m}[35m])"]
    compare(telemetry_db, name, start, end, FIVE_MINUTES_MS, five)
    compare(telemetry_db, name, start + 2 * FIVE_MINUTES_MS, end, 7 * FIVE_MINUTES_MS, five)


def test_what_is_not_rolled_yet_is_rolled_while_reading(telemetry_db):
    rng = random.Random(9)
    end = hour_before(telemetry_db, 0)
    old = [(labels_of({"__name__": "late_total", "i": str(i)}), *history(rng, end, HOURS)) for i in range(2)]
    write(old)
    rolled_now(telemetry_db)
    now = telemetry_db.clock()
    ts = list(range(end + 1000, now, 15_000))
    write([(labels_of({"__name__": "late_total", "i": "0"}), ts, [float(n) for n in range(len(ts))])])
    last = now // FIVE_MINUTES_MS * FIVE_MINUTES_MS
    compare(telemetry_db, "late_total", last - 30 * HOUR_MS, last, FIVE_MINUTES_MS, ["increase({m}[5m])", "{m}"])


def test_late_samples_and_repeated_runs_change_what_they_touch(telemetry_db):
    rng = random.Random(11)
    end = hour_before(telemetry_db, 1)
    labels = labels_of({"__name__": "shop_total", "i": "0"})
    ts, v = history(rng, end, HOURS)
    half = [n % 2 == 0 for n in range(len(ts))]
    write([(labels, list(itertools.compress(ts, half)), list(itertools.compress(v, half)))])
    assert rolled_now(telemetry_db) >= HOURS - 9
    assert rolled_now(telemetry_db) == 0
    compare(telemetry_db, "shop_total", end - 36 * HOUR_MS, end, HOUR_MS)
    rest = [not each for each in half]
    write([(labels, list(itertools.compress(ts, rest)), list(itertools.compress(v, rest)))])
    assert rolled_now(telemetry_db) >= HOURS - 9
    compare(telemetry_db, "shop_total", end - 36 * HOUR_MS, end, HOUR_MS)
    telemetry_db.rollups.tables.touch(np.arange(end // HOUR_MS - 20, end // HOUR_MS))
    assert rolled_now(telemetry_db) == 20
    compare(telemetry_db, "shop_total", end - 36 * HOUR_MS, end, HOUR_MS)


def test_a_run_that_breaks_off_is_made_good_by_the_next(telemetry_db, monkeypatch):
    rng = random.Random(13)
    end = hour_before(telemetry_db, 1)
    write([(labels_of({"__name__": "shop_total", "i": "0"}), *history(rng, end, HOURS))])
    tables, insert = telemetry_db.rollups.tables, telemetry_db.rollups.tables.insert

    def broken(width_ms, buckets, made_ms):
        if width_ms == HOUR_MS:
            raise Unavailable("test", "gone")
        insert(width_ms, buckets, made_ms)

    monkeypatch.setattr(tables, "insert", broken)
    with pytest.raises(Unavailable):
        rolled_now(telemetry_db)
    monkeypatch.undo()
    got, result = answers(telemetry_db, "increase(shop_total[1h])", end - 36 * HOUR_MS, end, HOUR_MS)
    assert not result.infos
    assert got
    rolled_now(telemetry_db)
    compare(telemetry_db, "shop_total", end - 36 * HOUR_MS, end, HOUR_MS)


def test_other_windows_read_samples_while_there_are_any(telemetry_db):
    rng = random.Random(17)
    end = hour_before(telemetry_db, 1)
    write([(labels_of({"__name__": "shop_total", "i": "0"}), *history(rng, end, HOURS))])
    rolled_now(telemetry_db)
    for query, start, step in (
        ("increase(shop_total[1h])", end - 36 * HOUR_MS + 1000, HOUR_MS),
        ("quantile_over_time(0.5, shop_total[1h])", end - 5 * HOUR_MS, HOUR_MS),
        ("increase(shop_total[61m])", end - 36 * HOUR_MS, HOUR_MS),
        ("increase(shop_total[1h])", end - 36 * HOUR_MS, 7 * 60_000),
        ("increase(shop_total[1h])", end - 10 * HOUR_MS, HOUR_MS),
    ):
        got, result = answers(telemetry_db, query, start, end, step)
        assert got == answers(Raw(telemetry_db), query, start, end, step)[0]
        assert not any("rollup" in each for each in (*result.infos, *result.warnings))
    _got, result = answers(telemetry_db, "quantile_over_time(0.5, shop_total[1h])", end - 36 * HOUR_MS, end, HOUR_MS)
    assert result.infos == ["resolution raw: rollups do not keep what quantile_over_time needs"]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_long_windows_cut_by_no_edge_of_a_bucket_equal_those_over_samples(telemetry_db, seed):
    rng = random.Random(seed)
    end = hour_before(telemetry_db, 0)
    name = "shop_requests_total"
    write([(labels_of({"__name__": name, "i": str(i)}), *history(rng, end, HOURS)) for i in range(4)])
    rolled_now(telemetry_db)
    long = [each.replace("[1h]", "[30h]").replace("[2h]", "[1799m7s]") for each in EXACT if "_over_time({" in each]
    long += ["increase({m}[30h])", "rate({m}[1817m])", "delta({m}[1d])", "increase({m}[25h] offset 17m)"]
    at = end - rng.randrange(1, HOUR_MS)
    compare(telemetry_db, name, at, at, HOUR_MS, long)
    compare(telemetry_db, name, at - 2 * 1_234_567, at, 1_234_567, long)
    now = telemetry_db.clock()  # beyond what is rolled
    compare(telemetry_db, name, now, now, HOUR_MS, ["increase({m}[30h])", "max_over_time({m}[26h])"])


def test_too_many_samples_for_one_query_are_read_as_buckets_with_a_warning(telemetry_db):
    end = hour_before(telemetry_db, 1)
    ts = list(range(end - HOURS * HOUR_MS, end + 1, 30_000))
    write([(labels_of({"__name__": "shop_total", "i": "0"}), ts, [n / 1 for n in range(len(ts))])])
    rolled_now(telemetry_db)
    got, result = answers(
        telemetry_db, "rate(shop_total[61m])", end - 36 * HOUR_MS + 7000, end, HOUR_MS, max_samples=3000
    )
    assert "moved to multiples of 1h" in result.warnings[0]
    ((_labels, points),) = got.items()
    np.testing.assert_allclose(list(points.values()), 1 / 30, rtol=1e-9)


def test_when_samples_are_gone_buckets_stay(telemetry_db):
    end = hour_before(telemetry_db, 0) - 5 * 24 * HOUR_MS
    ts = list(range(end - HOURS * HOUR_MS, end + 1, 30_000))
    write([(labels_of({"__name__": "shop_total", "i": "0"}), ts, [n / 1 for n in range(len(ts))])])
    rolled_now(telemetry_db)
    query, start = "increase(shop_total[1h])", end - 36 * HOUR_MS
    before, _result = answers(telemetry_db, query, start, end, HOUR_MS)
    assert len(next(iter(before.values()))) == 37
    telemetry_db.tables.set_retention(3)
    telemetry_db.engine.execute(f"TRUNCATE TABLE {telemetry_db.options.database}.samples")
    telemetry_db.rollups.tables.touch(np.arange(end // HOUR_MS - 40, end // HOUR_MS))
    assert rolled_now(telemetry_db) == 0
    assert answers(telemetry_db, query, start, end, HOUR_MS)[0] == before
    assert not answers(Raw(telemetry_db), query, start, end, HOUR_MS)[0]
    moved, result = answers(telemetry_db, "rate(shop_total[50m])", start + 1, end, HOUR_MS)
    assert "samples are not kept that long" in result.warnings[0]
    np.testing.assert_allclose(list(next(iter(moved.values())).values()), 1 / 30, rtol=1e-9)
    lost, result = answers(telemetry_db, "deriv(shop_total[1h])", start, end, HOUR_MS)
    assert not lost
    assert "sees only a part" in result.warnings[0]


def test_dropped_days_are_not_rolled_again(telemetry_db):
    end = hour_before(telemetry_db, 1)
    ts = list(range(end - HOURS * HOUR_MS, end + 1, 60_000))
    labels = labels_of({"__name__": "shop_total", "i": "0"})
    write([(labels, ts, [n / 1 for n in range(len(ts))])])
    rolled_now(telemetry_db)
    query, start = "increase(shop_total[1h])", end - 36 * HOUR_MS
    before, _result = answers(telemetry_db, query, start, end, HOUR_MS)
    day = ts[0] // MS_PER_DAY
    telemetry_db.rollups.freeze([day])
    telemetry_db.engine.execute(
        f"ALTER TABLE {telemetry_db.options.database}.samples DELETE WHERE intDiv(toUnixTimestamp64Milli(ts), 86400000)"
        f" = {day} SETTINGS mutations_sync = 2"
    )
    write([(labels, [ts[5]], [1e6])])
    rolled_now(telemetry_db)
    assert answers(telemetry_db, query, start, end, HOUR_MS)[0] == before


def test_a_longer_retention_rolls_again_what_it_covers(telemetry_db):
    end = hour_before(telemetry_db, 1) - 60 * MS_PER_DAY
    ts = list(range(end - HOURS * HOUR_MS, end + 1, 60_000))
    write([(labels_of({"__name__": "shop_total", "i": "0"}), ts, [n / 1 for n in range(len(ts))])])
    rollups = telemetry_db.rollups
    rollups.set_retention(FIVE_MINUTES_MS, 10)
    rolled_now(telemetry_db)
    telemetry_db.engine.execute(f"TRUNCATE TABLE {rollups.tables.table(FIVE_MINUTES_MS)}")
    rollups.set_retention(FIVE_MINUTES_MS, 90)
    assert rollups.tables.retention_days[FIVE_MINUTES_MS] == 90
    query, start = "increase(shop_total[5m])", end - 30 * HOUR_MS
    wanted = answers(Raw(telemetry_db), query, start, end, FIVE_MINUTES_MS)[0]
    same(answers(telemetry_db, query, start, end, FIVE_MINUTES_MS)[0], wanted)
    assert rolled_now(telemetry_db) >= HOURS - 1
    compare(telemetry_db, "shop_total", start, end, FIVE_MINUTES_MS, ["increase({m}[5m])"])


def test_a_store_older_than_its_rollups_is_rolled_from_its_samples(telemetry_db):
    end = hour_before(telemetry_db, 1)
    ts = list(range(end - HOURS * HOUR_MS, end + 1, 60_000))
    write([(labels_of({"__name__": "shop_total", "i": "0"}), ts, [n / 1 for n in range(len(ts))])])
    telemetry_db.flush() if not telemetry_db.engine.shared else None
    for table in ("rollup_touched", "rollup_done"):
        telemetry_db.engine.execute(f"TRUNCATE TABLE {telemetry_db.options.database}.{table}")
    telemetry_db.rollups.open()
    assert rolled_now(telemetry_db) >= HOURS
    compare(telemetry_db, "shop_total", end - 36 * HOUR_MS, end, HOUR_MS, ["increase({m}[1h])"])
