from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core.problems import TooMany
from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.series import Matcher, labels_of, matches_all
from tongchou.telemetry.store.tables import MS_PER_DAY, ROW_BITS

names = st.sampled_from(["__name__", "job", "instance"])
values = st.sampled_from(["", "a", "b", "ab", "abc"])
label_sets = st.lists(st.dictionaries(names, values, min_size=1).map(labels_of).filter(bool), max_size=30)
patterns = st.sampled_from(["", "a", "b.*", ".*", ".+", "a|b", "x", "(a|)", "a)|(b".replace(")|(", "|")])
matchers = st.lists(
    st.builds(Matcher, names, st.sampled_from(["=", "!=", "=~", "!~"]), patterns),
    max_size=4,
)


@given(label_sets, matchers)
@settings(deadline=None)
def test_it_finds_exactly_the_series_that_match(series, wanted):
    index = LabelIndex()
    rows = [index.row(labels) for labels in series]
    expected = sorted({row for row, labels in zip(rows, series, strict=True) if matches_all(wanted, labels)})
    assert index.find(wanted).tolist() == expected


@given(label_sets)
@settings(deadline=None)
def test_a_rebuilt_index_is_the_same(series):
    index = LabelIndex()
    for labels in series:
        index.row(labels)
    stored = index.unwritten()
    rebuilt = LabelIndex()
    rebuilt.load(sorted(stored, key=lambda each: each[0] & 0xFFFFFFFF), np.zeros(0, np.int64), np.zeros(0, np.int64))
    for labels in series:
        assert rebuilt.row(labels) == index.row(labels)
    assert rebuilt.unwritten() == []
    assert rebuilt.label_names() == index.label_names()


def test_series_of_one_metric_have_neighbouring_ids():
    index = LabelIndex()
    rows = np.array([index.row(labels_of({"__name__": name, "i": i})) for i in "123" for name in "ab"])
    metric = (index.sids(rows) >> ROW_BITS).tolist()
    assert metric == [0, 1, 0, 1, 0, 1]


def test_rows_are_not_given_again_after_pruning():
    index = LabelIndex()
    gone = (0 << ROW_BITS) | 0
    kept = (1 << ROW_BITS) | 2
    index.load([(kept, labels_of({"__name__": "kept"}))], np.array([1]), np.array([kept]))
    assert gone not in [sid for sid, _labels in index.unwritten()]
    assert index.row(labels_of({"__name__": "kept"})) == 2
    assert index.row(labels_of({"__name__": "new"})) == 3
    assert index.find([]).tolist() == [2, 3]


def test_a_series_is_handed_out_for_writing_until_it_is_confirmed():
    index = LabelIndex()
    index.row(labels_of({"__name__": "a"}))
    fresh = index.unwritten()
    assert index.unwritten() == fresh
    index.written(fresh)
    assert index.unwritten() == []


def test_the_limit_of_series_is_said():
    index = LabelIndex(max_series=2)
    for name in "ab":
        index.row(labels_of({"__name__": name}))
    with pytest.raises(TooMany, match="too_many_series"):
        index.row(labels_of({"__name__": "c"}))
    assert index.row(labels_of({"__name__": "a"})) == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(100, 104)), min_size=1, max_size=60))
def test_days_are_reported_once_and_prune_lookups(pairs):
    index = LabelIndex()
    for i in range(41):
        index.row(labels_of({"__name__": "m", "i": str(i)}))
    rows = np.array([row for row, _day in pairs], np.int64)
    ts = np.array([day * MS_PER_DAY + 5 for _row, day in pairs], np.int64)
    missing = index.missing_days(rows, ts)
    assert sorted((row, day) for day, some in missing for row in some.tolist()) == sorted(set(pairs))
    index.mark_days(missing)
    assert index.missing_days(rows, ts) == []
    for day in range(100, 105):
        active = index.active(np.arange(41), day * MS_PER_DAY, day * MS_PER_DAY + 10).tolist()
        assert active == sorted({row for row, one in pairs if one == day})
