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
from tongchou.usage.impact import LEAST_COVERED, Inputs
from tongchou.usage.run_time_settings import REVENUE, problem_of

PLACE = "$window"
LEAST_STEP_SECONDS = 60  # so that a counter scraped every 15 s has samples in every step
STEP_FACTORS = (2, 5)  # minutes, for samples once a minute and once in two
MUCH_BETTER = 0.25
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


def step_seconds(seconds: float, factor: int = 1) -> float:
    """A step for a span: a minute (or `factor` minutes), or as many as keep it under MOST_STEPS."""
    least = LEAST_STEP_SECONDS * factor
    return least * max(1, math.ceil(seconds / least / MOST_STEPS))


def read(of: Metric, start: datetime, end: datetime, now: datetime) -> Reading:
    """Read the span, its surroundings and its history; samples after `now` do not exist yet.

    Cycles are the same weekday's of up to eight earlier weeks when three are there, else those of earlier days. The
    step is a minute, or longer when that fills the time before the span: a counter that is scraped once a minute has
    no rate over a minute.
    """
    grid = _grid(of, start, end, now, 1)
    for factor in STEP_FACTORS:
        longer = grid if grid.covered >= LEAST_COVERED else _grid(of, start, end, now, factor)
        # Much better, not a little: where there are no samples at all, a longer step finds some at the edge.
        if longer.covered >= grid.covered + MUCH_BETTER:
            grid = longer
    lag, cycles = _history(of, grid, now)
    inputs = Inputs(grid.step, grid.first, grid.last, grid.last + grid.after, grid.actual, cycles)
    return Reading(grid.start, grid.first_at, grid.last_at, lag, inputs)


@dataclass(frozen=True, slots=True)
class _Grid:
    """The steps of a reading with what was earned in them: the span is [first, last), `after` steps to catch up."""

    step: float
    start: datetime
    first_at: datetime
    last_at: datetime
    first: int
    last: int
    after: int
    actual: list[float | None]

    @property
    def covered(self) -> float:
        """The share of the steps before the span that have a value."""
        return sum(each is not None for each in self.actual[: self.first]) / self.first


def _grid(of: Metric, start: datetime, end: datetime, now: datetime, factor: int) -> _Grid:
    step = step_seconds((end - start).total_seconds(), factor)
    # The grid hangs on the end: a last step that lies partly in the future would have no sample yet.
    last_at = datetime.fromtimestamp(math.floor(end.timestamp()), UTC)
    length = max(1, math.ceil((last_at - start).total_seconds() / step))
    first_at = last_at - timedelta(seconds=length * step)
    before = max(1, round(of.day_seconds / AROUND / step))
    after = math.ceil(of.catch_up_seconds / step)
    grid_start = first_at - timedelta(seconds=before * step)
    count = before + length + after + before
    actual = _column(of, grid_start, count, step, 0, now)
    return _Grid(step, grid_start, first_at, last_at, before, before + length, after, actual)


def _history(of: Metric, grid: _Grid, now: datetime) -> tuple[float, list[list[float | None]]]:
    span, count = slice(grid.first, grid.last), len(grid.actual)

    def cycles(lag: float) -> list[list[float | None]]:
        rows = [_column(of, grid.start, count, grid.step, lag * number, now) for number in range(1, MOST_CYCLES + 1)]
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
