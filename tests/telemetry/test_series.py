"""Blocks of samples in columns, and matchers."""

from __future__ import annotations

import numpy as np
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.series import (
    MAX_MEMOS,
    STALE_NAN,
    LabelList,
    Matcher,
    SeriesBlock,
    clocks_of,
    end_to_end,
    full_match,
    is_stale,
    labels_of,
    matches_all,
    metric_name,
    remembered,
    written_series,
)

X = labels_of({"__name__": "x", "a": "1"})
Y = labels_of({"__name__": "y"})


def test_the_stale_marker_is_told_from_other_nan_by_its_bits() -> None:
    assert is_stale(np.array([STALE_NAN, np.nan, 0.0, np.inf])).tolist() == [True, False, False, False]
    strided = np.array([STALE_NAN, 1.0, STALE_NAN, 2.0])[::2]
    assert is_stale(strided).all()


def test_labels_have_one_form() -> None:
    assert labels_of([("b", "2"), ("a", "1"), ("c", "")]) == (("a", "1"), ("b", "2"))
    assert metric_name(X) == "x"
    assert metric_name((("a", "1"),)) == ""


def test_a_block_gives_back_each_series() -> None:
    block = SeriesBlock.build([(X, [1, 2], [1.0, 2.0]), (Y, [], []), (Y, [3], [3.0])])
    assert (len(block), block.sample_count) == (3, 3)
    assert [block.samples(i)[0].tolist() for i in range(3)] == [[1, 2], [], [3]]
    assert len(SeriesBlock.build([])) == 0


@given(st.lists(st.lists(st.sampled_from([STALE_NAN, 1.0, 2.0]), max_size=5), max_size=5))
def test_leaving_out_stale_markers_keeps_every_other_sample(rows: list[list[float]]) -> None:
    block = SeriesBlock.build([(X, range(len(row)), row) for row in rows])
    clean = block.without_stale()
    assert len(clean) == len(rows)
    for index, row in enumerate(rows):
        wanted = [t for t, value in enumerate(row) if not is_stale(np.array([value]))[0]]
        assert clean.samples(index)[0].tolist() == wanted


@pytest.mark.parametrize(
    ("matcher", "value", "hit"),
    [
        (Matcher("a", "=", "x"), "x", True),
        (Matcher("a", "!=", "x"), "", True),
        (Matcher("a", "=~", "x|y"), "y", True),
        (Matcher("a", "=~", "x"), "xx", False),
        (Matcher("a", "=~", "a)|(b"), "b", False),
        (Matcher("a", "=~", ".*"), "with\nnewline", True),
        (Matcher("a", "!~", ".+"), "", True),
        (Matcher("a", "=~", "(?i:PRO).*"), "production", True),
    ],
)
def test_matchers_match_whole_values(matcher: Matcher, value: str, hit: bool) -> None:
    if matcher.value == "a)|(b":
        with pytest.raises(re2.error):
            matcher.matches(value)
        return
    assert matcher.matches(value) is hit


def test_a_label_that_is_not_there_counts_as_empty() -> None:
    assert matches_all([Matcher("b", "=", ""), Matcher("a", "=~", "1|2")], X)
    assert not matches_all([Matcher("b", "!=", "")], X)


def test_a_pattern_cannot_break_out_of_its_anchors() -> None:
    assert full_match("a|b")("ab") is None


SERIES = st.lists(st.lists(st.integers(0, 60), unique=True, max_size=12).map(sorted), min_size=1, max_size=5)


def made_of(times: list[list[int]]) -> SeriesBlock:
    made = SeriesBlock.build([(labels_of({"i": str(row)}), ts, [float(t) for t in ts]) for row, ts in enumerate(times)])
    return SeriesBlock(made.labels, made.offsets, None, made.v, clocks=clocks_of(made.offsets, made.ts))


def times_of(block: SeriesBlock) -> list[list[int]]:
    # Times stand in the values too: both must have gone the same way.
    assert block.ts.tolist() == block.v.tolist()
    return [block.samples(row)[0].tolist() for row in range(len(block))]


@given(SERIES, st.booleans(), st.integers(-5, 65), st.integers(-5, 65), st.data())
def test_blocks_are_cut_chosen_from_and_put_together(
    times: list[list[int]], alike: bool, first: int, second: int, data: st.DataObject
) -> None:
    times = [times[0]] * len(times) if alike else times
    block = made_of(times)
    assert len(block.clocks) <= len({tuple(each) for each in times})
    start, end = min(first, second), max(first, second)
    cut = [[t for t in each if start <= t <= end] for each in times]
    assert times_of(block.between(start, end)) == cut
    chosen = data.draw(st.lists(st.integers(-1, len(times) - 1), min_size=1, max_size=6))
    picked = block.take(np.array(chosen))
    assert times_of(picked) == [times[row] if row >= 0 else [] for row in chosen]
    assert times_of(picked.between(start, end)) == [cut[row] if row >= 0 else [] for row in chosen]
    parts = [block.between(-1, start - 1), block.between(start, end), block.between(end + 1, 99)]
    whole = end_to_end(parts)
    assert times_of(whole) == times
    assert len(whole.clocks) <= len({tuple(each) for each in times})
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(block.v), max_size=len(block.v))), np.bool_)
    kept = block.keep(mask)
    flat = iter(mask.tolist())
    assert times_of(kept) == [[t for t in each if next(flat)] for each in times]
    again = SeriesBlock(kept.labels, kept.offsets, None, kept.v, clocks=kept.clocks)
    assert times_of(again) == times_of(kept)


def test_a_sample_at_the_epoch_makes_a_clock_another_one() -> None:
    times = np.array([0, 5, 0, 5], np.int64)  # of series with {0}, {}, {5} and {0, 5}
    assert len(clocks_of(np.array([0, 1, 1, 2, 4]), times)) == 4


def test_what_was_made_of_labels_is_bounded() -> None:
    labels = LabelList(labels_of({"i": str(number)}) for number in range(3))
    for key in range(1000):
        assert remembered(labels, key, len) == 3
    assert remembered(labels, "made once", lambda _found: object()) is remembered(labels, "made once", list)
    assert len(labels.memo) <= MAX_MEMOS


def test_names_with_other_letters_are_quoted_where_promql_is_written() -> None:
    assert str(Matcher("k8s.pod", "=", 'a"b')) == '"k8s.pod"="a\\"b"'
    assert str(Matcher("job", "=~", "a.*")) == 'job=~"a.*"'
    assert written_series({"__name__": "up", "job": "a"}) == 'up{job="a"}'
    assert written_series({"__name__": "a.b", "k8s.pod": "x", "job": "a"}) == '{"a.b", job="a", "k8s.pod"="x"}'
    assert (written_series({"__name__": "a.b"}), written_series({"__name__": "a:b"}), written_series({})) == (
        '{"a.b"}', "a:b", "")  # fmt: skip
    assert written_series({"job": "a"}) == '{job="a"}'
