"""Spans of time and their algebra: half-open, aware, in UTC. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, order=True)
class Span:
    """From `start` (in it) to `end` (not in it). Empty ones are not built by the functions here."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Keep UTC: two times of one zone are subtracted and compared by their wall clocks, which is wrong."""
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.start).total_seconds()

    def holds(self, at: datetime) -> bool:
        """Tell whether `at` is in it."""
        return self.start <= at.astimezone(UTC) < self.end


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the same time as spans that neither overlap nor touch, in order. Empty and reversed ones are dropped."""
    found: list[Span] = []
    for span in sorted(each for each in spans if each.start < each.end):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def intersect(one: Iterable[Span], other: Iterable[Span]) -> list[Span]:
    """Return the time that is in both, as `union` returns it."""
    left, right = union(one), union(other)
    found: list[Span] = []
    here = there = 0
    while here < len(left) and there < len(right):
        start = max(left[here].start, right[there].start)
        end = min(left[here].end, right[there].end)
        if start < end:
            found.append(Span(start, end))
        if left[here].end <= right[there].end:
            here += 1
        else:
            there += 1
    return found


def subtract(spans: Iterable[Span], without: Iterable[Span]) -> list[Span]:
    """Return the time that is in `spans` and not in `without`, as `union` returns it."""
    holes = union(without)
    found: list[Span] = []
    place = 0
    for span in union(spans):
        start = span.start
        while place < len(holes) and holes[place].end <= start:
            place += 1
        ahead = place
        while ahead < len(holes) and holes[ahead].start < span.end:
            if start < holes[ahead].start:
                found.append(Span(start, holes[ahead].start))
            start = max(start, holes[ahead].end)
            ahead += 1
        if start < span.end:
            found.append(Span(start, span.end))
    return found


def clip(spans: Iterable[Span], start: datetime, end: datetime) -> list[Span]:
    """Return what of `spans` lies between two times."""
    return intersect(spans, [Span(start, end)])


def total_seconds(spans: Iterable[Span]) -> float:
    """Return how long the spans are together; time that is in two of them counts once."""
    return sum(each.seconds for each in union(spans))
