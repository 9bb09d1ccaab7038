"""Label lists that are handed out again: the same while the same series are found, and never too many of them."""

from __future__ import annotations

import numpy as np

from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.known_labels import KnownLabels
from tongchou.telemetry.series import Matcher, labels_of


def test_the_same_series_of_a_selector_have_the_same_list() -> None:
    index, known = LabelIndex(max_series=100), KnownLabels()
    rows = np.array([index.row(labels_of({"__name__": "m", "i": str(number)})) for number in range(5)])
    some = [Matcher("__name__", "=", "m")]
    first = known.of(some, rows, index)
    assert first == index.labels(rows)
    assert known.of(some, rows.copy(), index) is first
    assert known.of(some, rows[:3], index) == first[:3]
    assert known.of(some, rows, index) is first


def test_lists_of_few_or_no_series_are_bounded_too() -> None:
    index, known = LabelIndex(max_series=100), KnownLabels(max_series=1000)
    row = index.row(labels_of({"__name__": "m"}))
    for number in range(5000):
        known.of([Matcher("i", "!=", str(number))], np.array([row][: number % 2], np.int64), index)
    assert len(known._found) <= 100
