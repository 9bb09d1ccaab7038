from __future__ import annotations

import random

from tongchou.core.growth import Growth, days_left, growth


def test_a_straight_line_has_its_slope_and_no_width() -> None:
    found = growth([(day, 100.0 * day) for day in range(10)])
    assert found == Growth(100.0, 100.0, 100.0)


def test_one_deletion_does_not_turn_the_median_and_the_interval_covers_the_truth() -> None:
    dice = random.Random(1)
    points = [(at / 24, 1000.0 * at / 24 + dice.gauss(0, 200)) for at in range(24 * 14)]
    points[100] = (points[100][0], 0.0)
    found = growth(points)
    assert found is not None
    assert 950 < found.median < 1050
    assert found.low < 1000 < found.high


def test_too_few_or_too_close_readings_give_nothing() -> None:
    assert growth([(day, 1.0) for day in range(5)]) is None
    assert growth([(at / 24, float(at)) for at in range(20)]) is None


def test_days_left_come_from_the_interval_and_never_is_an_answer() -> None:
    left = days_left(1000, Growth(100, -10, 200))
    assert (left.expected, left.soonest, left.latest) == (10.0, 5.0, None)
    assert days_left(-5, Growth(0, 0, 0)).expected == 0.0
    assert days_left(10, Growth(-1, -2, -1)).soonest is None
