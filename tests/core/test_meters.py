"""Counters and histograms of this process and how they are written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import DatabaseError

from tongchou.core import meters
from tongchou.core.meters import Counter, Family, Histogram


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    before, rooms = list(meters._meters), dict(meters._collectors)
    meters._meters.clear()
    meters._collectors.clear()
    yield
    meters._meters[:], meters._collectors = before, rooms


def test_a_histogram_is_cumulative_and_ends_at_infinity() -> None:
    one = Histogram("x_seconds", "X.", "kind")
    for seconds in (0.001, 0.02, 0.02, 3.0, 900.0):
        one.observe("a", seconds=seconds)
    lines = meters.text([one.family()]).splitlines()
    assert lines[:2] == ["# HELP x_seconds X.", "# TYPE x_seconds histogram"]
    assert 'x_seconds_bucket{kind="a",le="0.005"} 1' in lines
    assert 'x_seconds_bucket{kind="a",le="0.025"} 3' in lines
    assert 'x_seconds_bucket{kind="a",le="+Inf"} 5' in lines
    assert 'x_seconds_count{kind="a"} 5' in lines
    with pytest.raises(ZeroDivisionError), one.time("b"):
        raise ZeroDivisionError
    assert 'x_seconds_count{kind="b"} 1' in meters.text([one.family()])


def test_label_values_are_escaped_and_their_number_is_bounded() -> None:
    one = Counter("x_total", "X.", "name")
    one.add('a"b\\c\nd')
    assert 'x_total{name="a\\"b\\\\c\\nd"} 1' in meters.text([one.family()])
    for each in range(2 * meters.MOST_LABEL_SETS):
        one.add(str(each))
    family = one.family()
    assert len(family.samples) == meters.MOST_LABEL_SETS + 1
    assert sum(value for _suffix, _labels, value in family.samples) == 2 * meters.MOST_LABEL_SETS + 1


def test_a_room_that_cannot_be_read_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> list[Family]:
        raise DatabaseError("gone")

    meters.collector("a")(broken)
    meters.collector("b")(lambda: [meters.gauge("b_things", "B.", 2)])
    assert [each.name for each in meters.families()] == ["b_things"]
    assert "the figures of a could not be read" in caplog.text
