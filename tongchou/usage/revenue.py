"""Reads what was earned in a span and at the same time of earlier days or weeks, on one grid. Writes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tongchou.alerting.durations import format_seconds
from tongchou.core import settings_store
from tongchou.telemetry.backend import is_open
from tongchou.telemetry.reads import range_matrix
from tongchou.usage.impact import Inputs
from tongchou.usage.run_time_settings import REVENUE, problem_of

PLACE = "$window"
LEAST_STEP_SECONDS = 60  # so that a counter scraped every 15 s has samples in every step
MOST_STEPS = 360
MOST_CYCLES = 8
LEAST_WEEKS = 3
WEEK_DAYS = 7
AROUND = 6  # residuals are looked for within a sixth of a day on either side
_FIGURES = 6  # significant figures kept of each sample, so that what is kept and what was computed with are the same


@dataclass(frozen=True, slots=True)
class Metric:
    """The setting `usage.revenue`: what is earned each second, and how long the shop's day and its catching up last."""

    query: str
    currency: str
    day_seconds: float
    catch_up_seconds: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the grid begins at `grid_start`; the incident is [begins_at, ends_at), whole steps to its end."""

    grid_start: datetime
    begins_at: datetime
    ends_at: datetime
    lag_seconds: float
    inputs: Inputs


def metric() -> Metric | None:
    """The metric somebody set; None when nobody did."""
    found: Any = settings_store.get(REVENUE, {})
    if not found or problem_of(found):
        return None
    return Metric(
        query=str(found["query"]),
        currency=str(found.get("currency", "CNY")),
        day_seconds=float(found.get("day_seconds", 86_400)),
        catch_up_seconds=float(found.get("catch_up_seconds", 3600)),
    )


def step_seconds(seconds: float) -> float:
    """A step for a span: a minute, or as many as keep it under MOST_STEPS."""
    return LEAST_STEP_SECONDS * max(1, math.ceil(seconds / LEAST_STEP_SECONDS / MOST_STEPS))


def read(of: Metric, start: datetime, end: datetime, now: datetime) -> Reading:
    """Read the span, its surroundings and its history; samples after `now` do not exist yet.

    Cycles are the same weekday's of up to eight earlier weeks when three are there, else those of earlier days.
    """
    step = step_seconds((end - start).total_seconds())
    # The grid hangs on the end: a last step that lies partly in the future would have no sample yet.
    last_at = datetime.fromtimestamp(math.floor(end.timestamp()), UTC)
    length = max(1, math.ceil((last_at - start).total_seconds() / step))
    first_at = last_at - timedelta(seconds=length * step)
    before = max(1, round(of.day_seconds / AROUND / step))
    after = math.ceil(of.catch_up_seconds / step)
    grid_start = first_at - timedelta(seconds=before * step)
    count = before + length + after + before
    actual = _column(of, grid_start, count, step, 0, now)
    lag, cycles = _history(of, grid_start, count, step, slice(before, before + length), now)
    inputs = Inputs(step, before, before + length, before + length + after, actual, cycles)
    return Reading(grid_start, first_at, last_at, lag, inputs)


def _history(
    of: Metric, grid_start: datetime, count: int, step: float, span: slice, now: datetime
) -> tuple[float, list[list[float | None]]]:
    def cycles(lag: float) -> list[list[float | None]]:
        rows = [_column(of, grid_start, count, step, lag * number, now) for number in range(1, MOST_CYCLES + 1)]
        return [row for row in rows if any(each is not None for each in row[span])]

    week = WEEK_DAYS * of.day_seconds
    weekly = cycles(week)
    return (week, weekly) if len(weekly) >= LEAST_WEEKS else (of.day_seconds, cycles(of.day_seconds))


def _column(of: Metric, start: datetime, count: int, step: float, lag: float, now: datetime) -> list[float | None]:
    """The rate in each step [start + i step, start + (i + 1) step), `lag` seconds earlier.

    A rate over the last `step` seconds is about the step that ends where it is evaluated.
    """
    begin = start + timedelta(seconds=step - lag)
    last = min(begin + timedelta(seconds=step * (count - 1)), now)
    column: list[float | None] = [None] * count
    if last < begin or not is_open():
        return column
    first_ms, step_ms = round(begin.timestamp() * 1000), round(step * 1000)
    query = f"sum({of.query.strip().replace(PLACE, format_seconds(step))})"
    for line in range_matrix(query, begin, last, step):
        for ms, value in zip(line.times, line.values, strict=True):
            place = (int(ms) - first_ms) // step_ms
            if 0 <= place < count and math.isfinite(value):
                column[place] = float(f"{value:.{_FIGURES}g}")
    return column
