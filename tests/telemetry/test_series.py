"""Blocks of samples in columns, and matchers."""

from __future__ import annotations

import numpy as np
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.series import (
    STALE_NAN,
    Matcher,
    SeriesBlock,
    full_match,
    is_stale,
    labels_of,
    matches_all,
    metric_name,
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
    assert block.series_index().tolist() == [0, 0, 2]
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
