"""Deltas against the running sums they stand for, through repeats, failures and restarts."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.otlp.deltas import Totals
from tongchou.integrations.otlp.points import Made, number
from tongchou.telemetry.series import STALE_NAN, labels_of

MS = 1_000_000
LABELS = (("job", "shop"),)


class Store:
    """What was written: labels to (ts, value); its `newest` is what the window in memory answers."""

    def __init__(self):
        self.samples = {}

    def write(self, points):
        for made in points:
            for labels, value in made.series():
                self.samples.setdefault(labels, {})[made.time_ms] = value

    def newest(self, matchers):
        found = []
        for labels, samples in self.samples.items():
            if all(matcher.matches(dict(labels).get(matcher.name, "")) for matcher in matchers):
                ts = max(samples)
                found.append((labels, ts, samples[ts]))
        return found

    def value(self, name, **labels):
        samples = self.samples[labels_of({"__name__": name, "job": "shop", **labels})]
        return samples[max(samples)]


def counter(ts_ms, value, labels=LABELS):
    return Made("c_total", labels, ts_ms * MS, {"": value}, delta=True)


def histogram(ts_ms, buckets, total, exponential=False):
    counts = {"_count": total, "_sum": 2.0 * total}
    return Made("h", LABELS, ts_ms * MS, counts, buckets, delta=True, exponential=exponential)


def take(totals, store, *points):
    done, staged = totals.add(list(points))
    store.write(each for each in done if each is not None)
    totals.keep(staged)
    return done


STEPS = st.lists(st.tuples(st.sampled_from(["send", "repeat", "fail", "restart"]), st.integers(0, 100)), max_size=30)


@given(STEPS)
def test_the_sum_is_that_of_what_was_sent_whatever_happens_between(steps):
    store = Store()
    totals = Totals(store.newest)
    expected, at, last = 0.0, 0, None
    for what, value in steps:
        if what == "restart":
            totals = Totals(store.newest)
        elif what == "repeat" and last is not None:
            take(totals, store, last)
        else:
            at += 1
            last = counter(at, float(value))
            if what == "fail":
                totals.add([last])  # its samples did not reach the disk, so nobody keeps it; it is sent again
            expected += value
            take(totals, store, last)
        if last is not None:
            assert store.value("c_total") == expected


@given(STEPS)
def test_so_are_the_buckets_of_a_histogram(steps):
    store = Store()
    totals = Totals(store.newest)
    expected, last = [0.0, 0.0], None
    for at, (what, value) in enumerate(steps):
        if what == "restart":
            totals = Totals(store.newest)
        elif what == "repeat" and last is not None:
            take(totals, store, last)
        else:
            last = histogram(at, {0.5: float(value)}, value + 1.0)
            expected = [expected[0] + value, expected[1] + value + 1]
            take(totals, store, last)
        if last is not None:
            assert [store.value("h_bucket", le="0.5"), store.value("h_bucket", le="+Inf")] == expected
            assert store.value("h_count") == expected[1]


@given(st.lists(st.lists(st.integers(-4, 4), min_size=1, max_size=6), max_size=8), st.integers(0, 8))
def test_exponential_buckets_that_come_and_go_add_up(rounds, restart_at):
    """Each round observes 2^n; the buckets sent reach from its least to its greatest observation."""
    store = Store()
    totals = Totals(store.newest)
    seen = []
    for at, powers in enumerate(rounds):
        seen += powers
        edges = range(min(powers), max(powers) + 1)
        buckets = {0.0: 0.0} | {2.0**edge: float(sum(each <= edge for each in powers)) for edge in edges}
        take(totals, store, histogram(at, buckets, float(len(powers)), exponential=True))
        if at == restart_at:
            totals = Totals(store.newest)
    for edge in set(seen):
        assert store.value("h_bucket", le=number(2.0**edge)) == sum(each <= edge for each in seen)


def test_other_bounds_begin_anew():
    store = Store()
    totals = Totals(store.newest)
    take(totals, store, histogram(1, {1.0: 5.0}, 9.0))
    take(totals, store, histogram(2, {2.0: 1.0}, 2.0))
    assert store.value("h_bucket", le="2") == 1.0
    assert store.value("h_count") == 2.0


def test_what_comes_late_is_not_added():
    store = Store()
    totals = Totals(store.newest)
    take(totals, store, counter(5, 1.0))
    assert take(totals, store, counter(4, 7.0)) == [None]
    assert store.value("c_total") == 1.0
    first, second, late = take(totals, store, counter(6, 1.0), counter(7, 1.0), counter(6, 5.0))
    assert (first.values, second.values, late) == ({"": 2.0}, {"": 3.0}, None)


def test_a_series_that_has_ended_or_is_another_begins_at_zero():
    store = Store()
    store.write([Made("c_total", LABELS, 1 * MS, {"": STALE_NAN})])
    store.write([Made("c_total", (*LABELS, ("more", "x")), 1 * MS, {"": 50.0})])
    take(Totals(store.newest), store, counter(2, 3.0))
    assert store.value("c_total") == 3.0
    assert not math.isnan(store.value("c_total", more="x"))
