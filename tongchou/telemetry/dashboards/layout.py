"""Where panels stand: a grid of 24 columns, on which every panel floats up until it meets another. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COLUMNS = 24
MOST_HEIGHT = 60
MOST_Y = 100_000


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle on the grid: column, line, width and height in grid units."""

    x: int
    y: int
    w: int
    h: int

    def meets(self, other: Place) -> bool:
        """Tell whether two rectangles share a cell."""
        return (
            self.x < other.x + other.w
            and other.x < self.x + self.w
            and self.y < other.y + other.h
            and other.y < self.y + self.h
        )


def fitted(place: Place) -> Place:
    """Return the rectangle within the grid's width and the greatest height."""
    w = max(1, min(COLUMNS, place.w))
    return Place(max(0, min(COLUMNS - w, place.x)), max(0, place.y), w, max(1, min(MOST_HEIGHT, place.h)))


def compact(places: Sequence[Place]) -> list[Place]:
    """Return the rectangles moved up as far as they go, in the order given; none overlaps another.

    Who stands higher, then further left, is placed first. Done twice it changes nothing.
    """
    order = sorted(range(len(places)), key=lambda at: (places[at].y, places[at].x, at))
    done: dict[int, Place] = {}
    tops = [0] * COLUMNS  # of each column the first line below all that stands there
    for at in order:
        each = fitted(places[at])
        y = max(tops[each.x : each.x + each.w])
        done[at] = Place(each.x, y, each.w, each.h)
        tops[each.x : each.x + each.w] = [y + each.h] * each.w
    return [done[at] for at in range(len(places))]


def height(places: Sequence[Place]) -> int:
    """Return how many lines the rectangles take."""
    return max((each.y + each.h for each in places), default=0)
