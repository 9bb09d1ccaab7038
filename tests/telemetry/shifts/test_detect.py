"""The detector of shifts: what must hold for any series, and how often it is wrong about noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.telemetry.series import Float64s
from tongchou.telemetry.shifts.detect import ALARM_SHARE, Shift, detect

BASE, SCAN = 120, 60


def noise(seed: int, rows: int = 1, *, correlation: float = 0.0, steps: int = BASE + SCAN) -> Float64s:
    """Rows of a stationary AR(1) process with unit innovations."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, steps))
    values[:, 0] /= np.sqrt(1 - correlation**2)
    for step in range(1, steps):
        values[:, step] += correlation * values[:, step - 1]
    return values


def found(values: Float64s, **more: object) -> list[Shift]:
    """The shifts of rows that hold base and scan."""
    return detect(values[:, :BASE], values[:, BASE:], **more)  # type: ignore[arg-type]  # detect's own keywords


seeds = st.integers(0, 10**6)
effects = st.floats(8, 1000)
onsets = st.integers(0, SCAN - 10)


@given(seeds, effects, onsets, st.sampled_from([1, -1]))
@settings(deadline=None)
def test_a_step_is_found_with_its_direction_level_and_onset(seed: int, effect: float, onset: int, sign: int) -> None:
    values = 50 + noise(seed).clip(-2.5, 2.5)  # beyond that a single innovation just before is itself the onset
    values[:, BASE + onset :] += sign * effect
    (shift,) = found(values, relative_floor=0.0)
    assert shift.direction == sign
    assert abs(shift.onset - onset) <= 2
    assert abs((shift.after - shift.before) - sign * effect) < 3  # of a noise of 1
    assert shift.persistence > 0.9


@given(seeds, effects, onsets, st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
@settings(deadline=None)
def test_units_and_offsets_change_nothing(seed: int, effect: float, onset: int, scale: float, offset: float) -> None:
    values = noise(seed, 3)
    values[1, BASE + onset :] += effect
    plain = found(values, relative_floor=0.0)
    other = found(scale * (values + offset), relative_floor=0.0)
    assert [(s.row, s.direction, s.onset, s.until) for s in plain] == [
        (s.row, s.direction, s.onset, s.until) for s in other
    ]
    assert [s.strength for s in plain] == pytest.approx([s.strength for s in other], rel=1e-3)


@given(seeds, st.floats(8, 100), onsets, st.floats(1.0, 10))
@settings(deadline=None)
def test_a_greater_effect_is_never_less_telling(seed: int, effect: float, onset: int, times: float) -> None:
    low, high = noise(seed), noise(seed)
    low[:, BASE + onset :] += effect
    high[:, BASE + onset :] += effect * times
    (small,), (great,) = found(low, relative_floor=0.0), found(high, relative_floor=0.0)
    assert great.strength >= small.strength - 1e-9


@given(st.floats(-1e9, 1e9), st.integers(1, 5))
@settings(deadline=None)
def test_constants_do_not_shift(value: float, rows: int) -> None:
    assert found(np.full((rows, BASE + SCAN), value)) == []


@given(st.floats(-1e6, 1e6), st.floats(1, 1e6), st.sampled_from([1, -1]))
@settings(deadline=None)
def test_a_constant_that_changes_is_found(value: float, effect: float, sign: int) -> None:
    values = np.full((1, BASE + SCAN), value)
    values[:, BASE + 20 :] += sign * (effect + 0.5 * abs(value))
    (shift,) = found(values)
    assert (shift.direction, shift.onset) == (sign, 20)


@given(seeds, effects, st.floats(0.1, 0.5))
@settings(deadline=None)
def test_gaps_hide_nothing(seed: int, effect: float, share: float) -> None:
    values = noise(seed)
    values[:, BASE + 20 :] += effect
    values[np.random.default_rng(seed).random(values.shape) < share] = np.nan
    (shift,) = found(values, relative_floor=0.0)
    assert abs(shift.onset - 20) <= 8


def test_nothing_but_gaps_is_no_shift() -> None:
    values = np.full((2, BASE + SCAN), np.nan)
    values[1, BASE:] = 5.0  # no base: nothing is known of its usual level
    assert found(values) == []


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.8])
def test_noise_raises_fewer_alarms_than_promised(correlation: float) -> None:
    looks = 40
    alarms = sum(len(found(noise(seed, 200, correlation=correlation), relative_floor=0.0)) for seed in range(looks))
    assert alarms <= looks * ALARM_SHARE + 3 * (looks * ALARM_SHARE) ** 0.5


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda rng, size: rng.standard_t(3, size), id="heavy tails"),
        pytest.param(lambda rng, size: rng.lognormal(0, 1, size), id="skewed"),
        pytest.param(lambda rng, size: rng.poisson(5, size).astype(float), id="counts"),
    ],
)
def test_noise_that_is_not_normal_raises_few_alarms(draw: object) -> None:
    rng = np.random.default_rng(7)
    alarms = sum(len(found(draw(rng, (200, BASE + SCAN)), relative_floor=0.0)) for _look in range(20))  # type: ignore[operator]  # a callable
    assert alarms / (20 * 200) < 0.002


@given(seeds, st.floats(-0.5, 0.5))
@settings(max_examples=50, deadline=None)
def test_a_trend_that_goes_on_is_no_shift(seed: int, slope: float) -> None:
    values = noise(seed) + slope * np.arange(BASE + SCAN)
    assert found(values, relative_floor=0.0) == []


@given(seeds, st.floats(10, 100))
@settings(deadline=None)
def test_what_earlier_days_did_at_this_time_is_no_shift(seed: int, effect: float) -> None:
    values = noise(seed)
    values[:, BASE + 15 :] += effect
    usual = np.zeros((1, SCAN))
    usual[:, 15:] = effect
    assert found(values, relative_floor=0.0, usual=usual) == []
    (more,) = found(values + np.pad(2 * usual, ((0, 0), (BASE, 0))), relative_floor=0.0, usual=usual)
    assert more.onset in (14, 15, 16)


@given(seeds, st.integers(0, BASE - 15))
@settings(deadline=None)
def test_an_earlier_fault_in_the_base_does_not_hide_this_one(seed: int, at: int) -> None:
    values = noise(seed)
    values[:, at : at + 8] += 40
    values[:, BASE + 20 :] += 40
    assert [abs(shift.onset - 20) <= 2 for shift in found(values, relative_floor=0.0)] == [True]


@given(seeds)
@settings(deadline=None)
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    values = noise(seed, 6)
    values[2, BASE + 5 :] += 30
    values[4, BASE + 30 :] -= 90
    order = np.random.default_rng(seed).permutation(6)
    mixed = {int(order[shift.row]): shift.onset for shift in found(values[order], relative_floor=0.0)}
    assert mixed == {shift.row: shift.onset for shift in found(values, relative_floor=0.0)}
    assert set(mixed) == {2, 4}
