"""The arithmetic of a loss: what holds for every history, and that the interval keeps its promise."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.usage.impact import Inputs, Loss, NotComputable, assess, expected_curve, from_json, residuals

STEP = 60.0
BEFORE, LENGTH, AFTER = 30, 10, 10
COUNT = BEFORE + LENGTH + AFTER + BEFORE
SPAN = slice(BEFORE, BEFORE + LENGTH)


def day(generator: np.random.Generator, *, noise: float = 0.1, level: float = 100.0) -> np.ndarray:
    """One cycle: a curve over the grid with a slow drift and a scatter."""
    curve = level * (1 + 0.4 * np.sin(np.linspace(0, 3, COUNT)))
    drift = np.zeros(COUNT)
    for at in range(1, COUNT):
        drift[at] = 0.87 * drift[at - 1] + generator.normal(0, noise / 4)
    return np.maximum(0.0, curve * (1 + drift + generator.normal(0, noise, COUNT)))


def inputs(seed: int, *, cycles: int = 4, noise: float = 0.1) -> Inputs:
    generator = np.random.default_rng(seed)
    rows = [day(generator, noise=noise).tolist() for _ in range(cycles + 1)]
    return Inputs(STEP, BEFORE, BEFORE + LENGTH, BEFORE + LENGTH + AFTER, rows[0], rows[1:])


def with_fault(of: Inputs, share: float) -> Inputs:
    actual = [each * (1 - share) if BEFORE <= at < BEFORE + LENGTH else each for at, each in enumerate(of.actual)]
    return replace(of, actual=actual)


def loss(of: Inputs) -> Loss:
    found = assess(of)
    assert isinstance(found, Loss)
    return found


def test_exact_numbers() -> None:
    """100 a second expected; half of it for 10 minutes: 30,000 lost of 60,000; 6,000 more came in afterwards."""
    cycles = [[100.0] * COUNT, [100.0] * COUNT]
    actual = [100.0] * BEFORE + [50.0] * LENGTH + [110.0] * AFTER + [100.0] * BEFORE
    found = loss(Inputs(STEP, BEFORE, BEFORE + LENGTH, BEFORE + LENGTH + AFTER, actual, cycles))
    assert (found.expected, found.actual, found.gap) == (Decimal("60000.00"), Decimal("30000.00"), Decimal("30000.00"))
    assert found.caught_up == Decimal("6000.00")
    assert (found.lost, found.low, found.high) == (Decimal("24000.00"),) * 3


@pytest.mark.parametrize(("cycles", "noise"), [(2, 0.1), (3, 0.3), (4, 0.1), (8, 0.2)])
def test_the_interval_holds_the_truth_in_four_of_five_cases(cycles: int, noise: float) -> None:
    """Without a fault the true loss is nothing, so 0 lies in the 10-90 % interval about 80 times in 100."""
    found = [loss(inputs(seed, cycles=cycles, noise=noise)) for seed in range(400)]
    held = sum(each.low <= 0 <= each.high for each in found) / len(found)
    assert 0.70 <= held <= 0.92


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.05, 0.5))
def test_doubling_the_gap_doubles_the_loss(seed: int, share: float) -> None:
    calm = inputs(seed)
    calm = replace(calm, end=calm.last, actual=expected_curve(calm)[0])  # as expected, but for the fault
    once, twice = loss(with_fault(calm, share)), loss(with_fault(calm, 2 * share))
    assert float(twice.lost) == pytest.approx(2 * float(once.lost), abs=0.03)
    assert float(twice.high - twice.low) == pytest.approx(float(once.high - once.low), abs=0.03)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_worse_fault_never_costs_less(seed: int, share: float, more: float) -> None:
    before, after = loss(with_fault(inputs(seed), share)), loss(with_fault(inputs(seed), share + more))
    assert after.gap >= before.gap
    assert before.low <= before.lost <= before.high or before.low <= before.high


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9), st.floats(0, 5))
def test_what_is_caught_up_is_between_nothing_and_the_gap(seed: int, share: float, surge: float) -> None:
    faulty = with_fault(inputs(seed), share)
    rows = [
        each * (1 + surge) if faulty.last <= at < faulty.end else each
        for at, each in enumerate(float(value or 0) for value in faulty.actual)
    ]
    found = loss(replace(faulty, actual=rows))
    assert 0 <= found.caught_up <= max(found.gap, Decimal(0))
    assert abs(found.lost - (found.gap - found.caught_up)) <= Decimal("0.02")


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_kept_inputs_give_the_same_figures(seed: int) -> None:
    faulty = with_fault(inputs(seed), 0.4)
    assert assess(from_json(json.loads(json.dumps(faulty.as_json())))) == assess(faulty)


def test_one_day_of_history_is_too_short_and_says_so() -> None:
    found = assess(inputs(1, cycles=1))
    assert found == NotComputable("history_short", {"found": 1, "wanted": 2})


def test_a_day_with_holes_is_no_day_of_history() -> None:
    whole = inputs(1, cycles=3)
    holes = [None if SPAN.start <= at < SPAN.start + 3 else each for at, each in enumerate(whole.cycles[0])]
    assert loss(replace(whole, cycles=[holes, *whole.cycles[1:]])).cycles == 2
    found = assess(replace(whole, cycles=[holes, holes, whole.cycles[2]]))
    assert isinstance(found, NotComputable)


def test_a_revenue_that_nobody_measured_is_not_a_loss() -> None:
    of = inputs(1)
    silent = [None if SPAN.start <= at < SPAN.stop else each for at, each in enumerate(of.actual)]
    found = assess(replace(of, actual=silent))
    assert found == NotComputable("actual_missing", {"percent": 0})


def test_where_nothing_is_earned_nothing_is_computed() -> None:
    nothing = [0.0] * COUNT
    found = assess(Inputs(STEP, BEFORE, BEFORE + LENGTH, BEFORE + LENGTH, nothing, [nothing, nothing]))
    assert found == NotComputable("nothing_expected", {})


def test_one_odd_day_of_five_moves_the_expectation_little() -> None:
    calm = [100.0] * COUNT
    found = loss(
        Inputs(STEP, BEFORE, BEFORE + LENGTH, BEFORE + LENGTH, calm, [calm, calm, [500.0] * COUNT, calm, calm])
    )
    assert found.lost == Decimal("0.00")


def test_residuals_of_a_history_without_noise_are_nothing() -> None:
    assert np.abs(residuals(np.full((3, COUNT), 100.0), LENGTH)).max() == 0
