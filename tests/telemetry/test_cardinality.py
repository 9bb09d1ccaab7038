from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry import cardinality
from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.series import labels_of

DAY = 86_400_000
LABELS = st.fixed_dictionaries(
    {"__name__": st.sampled_from(["up", "cpu", "mem"])},
    optional={"job": st.sampled_from(["a", "b"]), "i": st.integers(0, 9).map(str), "名": st.just("值")},
).map(labels_of)


class Fake:
    def __init__(self, index):
        self.index = index


@given(st.lists(LABELS, unique=True, max_size=40), st.integers(1, 50))
def test_counts_are_those_of_counting(series, count):
    index = LabelIndex()
    for labels in series:
        index.row(labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cardinality, "backend", lambda: Fake(index))
        found = cardinality.measure(count)
    pairs = Counter(f"{name}={value}" for labels in series for name, value in labels)
    names = Counter(dict(labels)["__name__"] for labels in series)
    values = Counter(name for name, _value in {pair for labels in series for pair in labels})
    memory: Counter = Counter()
    for labels in series:
        for name, value in labels:
            memory[name] += len(value)
    assert (found.series, found.pairs_in_all) == (len(series), len(pairs))
    for told, counted in (
        (found.metrics, names),
        (found.labels, values),
        (found.memory, memory),
        (found.pairs, pairs),
    ):
        assert [number for _name, number in told] == sorted(counted.values(), reverse=True)[:count]
        assert all(counted[name] == number for name, number in told)
        assert len({name for name, _number in told}) == len(told)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(100, 112)), max_size=60), st.integers(98, 114))
def test_a_series_is_new_when_it_has_no_earlier_day(marks, day):
    index = LabelIndex()
    for row in range(41):
        index.row(labels_of({"__name__": "m", "i": str(row)}))
    for row, at in marks:
        index.mark_days([(at, np.array([row], np.int64))])
    first = {}
    for row, at in marks:
        first[row] = min(at, first.get(row, at))
    assert index.new_since(day) == sum(at >= day for at in first.values())


def test_growth_of_a_real_store(telemetry_db):
    now = telemetry_db.clock()

    def put(name, *ages_ms):
        row = telemetry_db.row(labels_of({"__name__": name}))
        ts = np.array([now - age for age in ages_ms], np.int64)
        telemetry_db.submit(np.full(len(ts), row, np.int64), ts, np.ones(len(ts))).result(30)

    put("old", 20 * DAY, 0)
    put("week", 3 * DAY, 65 * 60_000)
    put("today", 0)
    put("gone", 30 * DAY)
    found = cardinality.growth()
    assert (found.active, found.new_today, found.new_in_7_days) == (2, 1, 2)
    assert found.first_day == (now - 30 * DAY) // DAY
    head = cardinality.head(cardinality.measure(5))
    assert (head.series, head.label_pairs) == (4, 4)
    assert head.chunks == 2  # one page each of the two in the window
    assert head.min_ms < now <= head.max_ms
