"""The error budget: how many errors a target allows among the events of a window, and how many are left. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["no_data", "met", "missed"]


@dataclass(frozen=True, slots=True)
class Budget:
    """One window of one objective. Counts are of events; `covered` is the share of the window that has data, 0 to 1.

    `left` may be negative. Without data every figure is None and the state is "no_data": silence is never "met".
    """

    state: State
    events: float | None
    errors: float | None
    good_ratio: float | None
    allowed: float | None
    left: float | None
    left_ratio: float | None
    covered: float


def allowed_errors(target: float, events: float) -> float:
    """Return how many of `events` may fail: (1 - target) x events."""
    return (1 - target) * events


def allowed_seconds(target: float, window_seconds: float) -> float:
    """Return how long everything may fail in a window: (1 - target) x window. 99.9 % of 30 days: 2592 s, 43.2 min."""
    return (1 - target) * window_seconds


def known(count: float | None) -> bool:
    """Tell whether a query gave a count: neither nothing, nor NaN or infinity."""
    return count is not None and math.isfinite(count) and count >= 0


def budget(target: float, events: float | None, errors: float | None, *, covered: float = 1.0) -> Budget:
    """Return the budget after `errors` of `events`. None (the query gave nothing), or no event at all, is no data."""
    if events is None or errors is None or not known(events) or not known(errors):
        return Budget("no_data", None, None, None, None, None, None, covered)
    if not allowed_errors(target, events):  # no event, or so little of one that its share is no number any more
        return Budget("no_data", None, None, None, None, None, None, covered)
    # Two counters are scraped at two times, and increase() extrapolates: a little more errors than events can be.
    errors = min(errors, events)
    allowed = allowed_errors(target, events)
    left = allowed - errors
    state: State = "met" if left >= 0 else "missed"
    return Budget(state, events, errors, 1 - errors / events, allowed, left, left / allowed, covered)


@dataclass(frozen=True, slots=True)
class Slice:
    """The events and errors of one part of the window that ends at `at_ms`; None where a query gave nothing."""

    at_ms: int
    events: float | None
    errors: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """How much of the window's budget was left at a moment, as a share of it; None while there is no data."""

    at_ms: int
    left_ratio: float | None


def total(slices: Sequence[Slice]) -> tuple[float | None, float | None, float]:
    """Return events, errors and coverage of all slices; a slice counts only when both of its counts are known."""
    good = [each for each in slices if known(each.events) and known(each.errors)]
    if not good:
        return None, None, 0.0
    events = math.fsum(each.events or 0.0 for each in good)
    errors = math.fsum(min(each.errors or 0.0, each.events or 0.0) for each in good)
    return events, errors, len(good) / len(slices)


def burn_down(target: float, slices: Sequence[Slice]) -> list[Point]:
    """Return what was left after each slice: 1 - errors so far / errors the whole window allows.

    It begins at 1 less the first slice's share, never rises, and ends where `budget` of the same slices ends.
    """
    events, _errors, _covered = total(slices)
    allowed = allowed_errors(target, events or 0.0)
    if not allowed:
        return [Point(each.at_ms, None) for each in slices]
    spent, points = 0.0, []
    for each in slices:
        there = known(each.events) and known(each.errors)
        if there:
            spent += min(each.errors or 0.0, each.events or 0.0)
        points.append(Point(each.at_ms, 1 - spent / allowed if there else None))
    return points
