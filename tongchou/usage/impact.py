"""What an outage cost: expected revenue (same time of earlier days or weeks) minus actual, minus what was caught up.

Pure: numbers in, numbers out. All series are money per second on one grid of steps. An `Inputs` is all that is needed;
`assess` of the same inputs gives the same figures.

Interval: the method foretells every cycle of the history from the other cycles; how far the sums of spans as long as
the incident, at about the same time of day, were off (relative to the expectation) is the error to expect here. Its
10th and 90th percentile make the interval, shrunk for the one cycle more that the real forecast may use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

METHOD = "same-phase-1"
LOW, HIGH = 0.10, 0.90
LEAST_CYCLES = 2
MEDIAN_FROM = 4  # with fewer cycles than that a median is no more robust than the mean
LEAST_COVERED = 0.9
LEAST_SPANS = 20  # residual spans; fewer tell nothing about a 10th percentile
# Efficiency of mean and median: the variance of the estimate of a cycle is e / K of that of one cycle.
_MEAN, _MEDIAN = 1.0, math.pi / 2
Floats = npt.NDArray[np.float64]
Column = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The grid and the series. Step i of every series is the same time of day.

    The incident is steps [first, last), the time for catching up [last, end); `actual` and every cycle also hold
    steps before `first` and after `end`, where residuals are looked for. None: no sample.
    """

    step_seconds: float
    first: int
    last: int
    end: int
    actual: Column
    cycles: Sequence[Column]

    def as_json(self) -> dict[str, Any]:
        """The form an Impact keeps."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Loss:
    """Money of the inputs' currency. `low` and `high` bound the loss in four of five cases; both may be negative."""

    expected: Decimal
    actual: Decimal
    gap: Decimal
    caught_up: Decimal
    lost: Decimal
    low: Decimal
    high: Decimal
    cycles: int
    spans: int
    absent_steps: int


@dataclass(frozen=True, slots=True)
class NotComputable:
    """Why there is no figure: a code, and the facts of its sentence."""

    code: str
    facts: dict[str, float]


def from_json(kept: dict[str, Any]) -> Inputs:
    """The inputs as they were kept."""
    return Inputs(**kept)


def assess(inputs: Inputs) -> Loss | NotComputable:
    """Return the loss, or why it cannot be told."""
    actual = _array(inputs.actual)
    span = slice(inputs.first, inputs.last)
    cycles = [row for row in map(_array, inputs.cycles) if _covered(row[span]) >= LEAST_COVERED]
    if len(cycles) < LEAST_CYCLES:
        return NotComputable("history_short", {"found": len(cycles), "wanted": LEAST_CYCLES})
    if _covered(actual[span]) < LEAST_COVERED:
        return NotComputable("actual_missing", {"percent": round(100 * _covered(actual[span]))})
    matrix = np.vstack(cycles)
    expected = _middle(matrix)
    known = np.isfinite(actual) & np.isfinite(expected)
    total = _sum(expected, known, span, inputs.step_seconds)
    if total <= 0:
        return NotComputable("nothing_expected", {})
    errors = residuals(matrix, inputs.last - inputs.first)
    if len(errors) < LEAST_SPANS:
        return NotComputable("history_short", {"found": len(cycles), "wanted": LEAST_CYCLES + 1})
    low, high = (float(each) for each in np.quantile(errors, (LOW, HIGH)))
    earned = _sum(actual, known, span, inputs.step_seconds)
    gap = total - earned
    caught = _caught_up(inputs, matrix, actual, expected, gap)
    return Loss(
        expected=money(total),
        actual=money(earned),
        gap=money(gap),
        caught_up=money(caught),
        lost=money(gap - caught),
        low=money(gap - caught + total * low),
        high=money(gap - caught + total * high),
        cycles=len(cycles),
        spans=len(errors),
        absent_steps=int((~known[span]).sum()),
    )


def expected_curve(inputs: Inputs) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """The expected series and, for the chart, its 10-90 % band of single steps; None where no cycle has a sample."""
    cycles = [_array(row) for row in inputs.cycles]
    if not cycles:
        return [], [], []
    middle = _middle(np.vstack(cycles))
    errors = residuals(np.vstack(cycles), 1) if len(cycles) >= LEAST_CYCLES else np.zeros(0)
    low, high = (float(each) for each in np.quantile(errors, (LOW, HIGH))) if len(errors) else (0.0, 0.0)
    return _column(middle), _column(middle * (1 + low)), _column(middle * (1 + high))


def residuals(matrix: Floats, length: int) -> Floats:
    """How far off the method was on its own history: (actual - foretold) / foretold of every span of `length` steps.

    Each cycle is foretold from the others; the errors are scaled to those of a forecast from all cycles.
    """
    cycles = len(matrix)
    found: list[Floats] = []
    for number in range(cycles):
        foretold = _middle(np.delete(matrix, number, axis=0))
        good = np.isfinite(foretold) & np.isfinite(matrix[number])
        counts = _moving(good.astype(float), length)
        truth = _moving(np.where(good, matrix[number], 0.0), length)
        told = _moving(np.where(good, foretold, 0.0), length)
        usable = (counts >= LEAST_COVERED * length) & (told > 0)
        found.append((truth[usable] - told[usable]) / told[usable])
    errors = np.concatenate(found) if found else np.zeros(0)
    return errors * math.sqrt(_variance(cycles) / _variance(cycles - 1))


def _variance(cycles: int) -> float:
    """The variance of the error of a forecast from so many cycles, in variances of one cycle."""
    return 1 + (_MEDIAN if cycles >= MEDIAN_FROM else _MEAN) / max(1, cycles)


def _caught_up(inputs: Inputs, matrix: Floats, actual: Floats, expected: Floats, gap: float) -> float:
    """What was earned above the expectation afterwards, at most the gap; nothing unless it is more than ordinary."""
    span = slice(inputs.last, inputs.end)
    length = inputs.end - inputs.last
    if gap <= 0 or length < 1:
        return 0.0
    known = np.isfinite(actual) & np.isfinite(expected)
    if known[span].sum() < LEAST_COVERED * length:
        return 0.0
    total = _sum(expected, known, span, inputs.step_seconds)
    more = _sum(actual, known, span, inputs.step_seconds) - total
    errors = residuals(matrix, length)
    if len(errors) < LEAST_SPANS or more <= total * float(np.quantile(errors, HIGH)):
        return 0.0
    return min(more, gap)


def money(amount: float) -> Decimal:
    """An amount to the hundredth; never minus nothing."""
    return Decimal(f"{amount:.2f}") + Decimal("0.00")


def _middle(matrix: Floats) -> Floats:
    """The expected value of each step over the cycles that have one: the median of four or more, else the mean."""
    known = np.isfinite(matrix)
    counts = known.sum(axis=0)
    filled = np.where(known, matrix, 0.0)
    mean = np.where(counts > 0, filled.sum(axis=0) / np.maximum(counts, 1), np.nan)
    if len(matrix) < MEDIAN_FROM:
        return mean
    ordered = np.sort(np.where(known, matrix, np.inf), axis=0)  # absent ones last
    places = np.arange(matrix.shape[1])
    lower = ordered[np.maximum((counts - 1) // 2, 0), places]
    upper = ordered[np.maximum(counts // 2, 0).clip(max=len(matrix) - 1), places]
    return np.where(counts >= MEDIAN_FROM, (lower + upper) / 2, mean)


def _moving(values: Floats, length: int) -> Floats:
    """Sums of every run of `length` values."""
    if length < 1 or len(values) < length:
        return np.zeros(0)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    return sums[length:] - sums[:-length]


def _sum(values: Floats, known: npt.NDArray[np.bool_], span: slice, step_seconds: float) -> float:
    return float(np.where(known, values, 0.0)[span].sum() * step_seconds)


def _covered(values: Floats) -> float:
    return float(np.isfinite(values).mean()) if len(values) else 0.0


def _array(column: Column) -> Floats:
    return np.array([math.nan if each is None else each for each in column], dtype=np.float64)


def _column(values: Floats) -> list[float | None]:
    return [float(each) if math.isfinite(each) else None for each in values]
