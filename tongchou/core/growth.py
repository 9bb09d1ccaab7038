"""How fast data grows, from readings: the median of all slopes (Theil-Sen) with its 95 % interval. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

MIN_SPAN_DAYS = 2.0
MIN_READINGS = 6
MAX_READINGS = 120  # thinned evenly above: all pairs are looked at


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes a day: the median slope and the 95 % interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DaysLeft:
    """Days until a limit: expected, soonest, latest; None is never at the rate it stands for."""

    expected: float | None
    soonest: float | None
    latest: float | None


def growth(readings: Sequence[tuple[float, float]]) -> Growth | None:
    """Return the growth of (day, bytes) readings; None when they are too few or lie too close together."""
    points = sorted(readings)
    if len(points) < MIN_READINGS or points[-1][0] - points[0][0] < MIN_SPAN_DAYS:
        return None
    if len(points) > MAX_READINGS:
        step = len(points) / MAX_READINGS
        points = [points[int(at * step)] for at in range(MAX_READINGS - 1)] + [points[-1]]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0])
    count, n = len(slopes), len(points)
    margin = 1.96 * sqrt(n * (n - 1) * (2 * n + 5) / 18)  # Kendall's variance gives the ranks of the interval
    low = slopes[max(0, int((count - margin) / 2))]
    high = slopes[min(count - 1, int((count + margin) / 2))]
    middle = count // 2
    median = slopes[middle] if count % 2 else (slopes[middle - 1] + slopes[middle]) / 2
    return Growth(median, low, high)


def days_left(room_bytes: float, found: Growth) -> DaysLeft:
    """Return how long the room lasts; 0 when there is none."""

    def at(rate: float) -> float | None:
        return max(0.0, room_bytes) / rate if rate > 0 else (0.0 if room_bytes <= 0 else None)

    return DaysLeft(at(found.median), at(found.high), at(found.low))
