"""Finds which of many series shifted: a robust centre and scale from before, a two-sided CUSUM over what came after.

Pure NumPy. Rows are series, columns equal steps, NaN is a gap. For each series:

1. Centre: the median of `base`. Scale: the larger of 1.4826 MAD and the 10th-to-90th percentile range in standard
   deviations (so that a series which often bursts has a wide scale), never below `floor` and `relative_floor` of the
   centre, and widened for the uncertainty of a short base.
2. What is usual is no shift: the part of a deviation that the base's own trend, carried on, or `usual` (the deviation
   at the same clock time of earlier days) accounts for is taken away before anything is tested.
3. z is the rest in scales, clipped at CAP so that one wild sample proves little. CUSUM: the run of steps with the
   greatest sum of (z - drift), in each direction. Its beginning is the onset.
4. Guard against many looks. For independent normal noise the chance that such a run exceeds h anywhere in N steps is
   at most N exp(-2 drift h) (Lundberg's bound); for S series in both directions the threshold
   h = ln(2 S N / alarm_share) / (2 drift) keeps the expected number of false alarms in all series below
   `alarm_share`. Autocorrelated noise wanders further: h is multiplied by (1 + r) / (1 - r), r the base's lag-1
   autocorrelation (the variance inflation of sums of an AR(1) process).
5. Noise that is not normal: a run must also be OWN_NOISE times as great as the greatest one in the base itself, after
   the base's single greatest is set aside (it may be an earlier fault). A series that often bursts must burst longer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tongchou.telemetry.series import Float64s, Int64s
from tongchou.telemetry.shifts import robust

CAP = 10.0
DRIFT, COARSE_DRIFT = 1.0, 2.0  # with few steps small shifts cannot be told anyway, so great ones are told sooner
ALARM_SHARE = 0.5
RELATIVE_FLOOR = 0.02
LEAST_BASE = 5
_MAD = 1.4826
_RANGE_80 = 2.563  # the 10th to 90th percentile of a normal distribution, in standard deviations
_CONSTANT = 1e-3  # scale of a constant series without any floor, as a share of the largest deviation seen later
_TINIEST = 1e-9  # so that no quotient overflows
_MOST_CORRELATED = 0.9
OWN_NOISE = 1.5
FINE_STEPS = 12


@dataclass(frozen=True, slots=True)
class Shift:
    """A row that shifted. Steps count the columns of `scan`.

    `before` is the usual level, `after` how far the run went (its 90th percentile); `strength` how many scales most of
    it is away (unclipped, what is usual taken away); `persistence` the share of the samples from the onset to the end
    that stayed away;
    `fresh` the share of the deviation that arose during the scan: 0 when it stood so from the first steps on.
    """

    row: int
    direction: int
    before: float
    after: float
    strength: float
    onset: int
    until: int
    persistence: float
    fresh: float = 1.0


def detect(
    base: Float64s,
    scan: Float64s,
    *,
    usual: Float64s | None = None,
    floor: Float64s | float = 0.0,
    relative_floor: float = RELATIVE_FLOOR,
    alarm_share: float = ALARM_SHARE,
) -> list[Shift]:
    """The shifted rows, strongest first. A row with fewer than LEAST_BASE samples of base is never one.

    `usual` has the shape of `scan`: by how much the series deviated at these steps on earlier days, NaN for unknown.
    """
    series, steps = scan.shape
    if not series or not steps or base.shape[1] < LEAST_BASE:
        return []
    known = robust.count(base) >= LEAST_BASE
    centre = robust.median(base)
    scale = _scale(base, centre, scan, floor, relative_floor)
    rest = _unusual(scan - centre[:, None], _trend(base, steps, scale))
    if usual is not None:
        rest = _unusual(rest, np.nan_to_num(usual))
    z = rest / scale[:, None]
    z[~known] = np.nan
    drift = DRIFT if steps >= FINE_STEPS else COARSE_DRIFT
    normal = _threshold(base, centre, scale, series, steps, alarm_share, drift)
    before = np.clip((base - centre[:, None]) / scale[:, None], -CAP, CAP)
    found = []
    for direction in (1, -1):
        best, start, end = _run(np.clip(direction * z, -CAP, CAP), drift)
        own = np.minimum(OWN_NOISE * _second_run(direction * before, drift), _reachable(steps, drift))
        threshold = np.maximum(normal, own)
        found += [
            _shift(row, direction, int(start[row]), int(end[row]), centre, scan, z)
            for row in np.flatnonzero(best > threshold).tolist()
        ]
    strongest: dict[int, Shift] = {}
    for each in found:
        held = strongest.get(each.row)
        if held is None or each.strength > held.strength:
            strongest[each.row] = each
    return sorted(strongest.values(), key=lambda each: (-each.strength, each.row))


def _scale(
    base: Float64s, centre: Float64s, scan: Float64s, floor: Float64s | float, relative_floor: float
) -> Float64s:
    mad = _MAD * robust.median(np.abs(base - centre[:, None]))
    low, high = robust.quantile(base, 0.1), robust.quantile(base, 0.9)
    spread = np.fmax(mad, (high - low) / _RANGE_80)
    count = np.maximum(1, robust.count(base))
    spread = spread * (1 + 2 / np.sqrt(count))
    least = np.fmax(np.broadcast_to(np.asarray(floor, np.float64), spread.shape), relative_floor * np.abs(centre))
    scale = np.fmax(spread, least)
    largest = np.max(np.abs(np.nan_to_num(scan - centre[:, None])), axis=1)
    scale = np.fmax(scale, _TINIEST * largest)
    constant = ~(spread > 0) & ~(least > 0)
    scale[constant] = np.where(largest[constant] > 0, _CONSTANT * largest[constant], 1.0)
    return np.asarray(scale)


def _trend(base: Float64s, steps: int, scale: Float64s) -> Float64s:
    """How far each row's own trend, carried on half as fast again, leads away from the centre at each step of scan."""
    ahead = base.shape[1] / 2 + np.arange(steps)
    return np.asarray(1.5 * _slope(base, scale)[:, None] * ahead[None, :])


def _slope(base: Float64s, scale: Float64s) -> Float64s:
    """The trend of each row of base, per step; a difference of its first and last third within one scale is none."""
    width = base.shape[1]
    third = max(1, width // 3)
    rise = robust.median(base[:, -third:]) - robust.median(base[:, :third])
    return np.asarray(np.nan_to_num(np.where(np.abs(rise) > scale, rise / max(1, width - third), 0.0)))


def _unusual(deviation: Float64s, usual: Float64s) -> Float64s:
    """What is left of a deviation when everything up to the usual one, in its direction, is no news."""
    return np.asarray(deviation - np.clip(deviation, np.minimum(usual, 0), np.maximum(usual, 0)))


def _threshold(
    base: Float64s, centre: Float64s, scale: Float64s, series: int, steps: int, alarm_share: float, drift: float
) -> Float64s:
    away = base - centre[:, None] - _slope(base, scale)[:, None] * (np.arange(base.shape[1]) - base.shape[1] / 2)
    z = np.clip(away / scale[:, None], -3, 3)
    pairs, power = robust.mean(z[:, 1:] * z[:, :-1]), robust.mean(z * z)
    lag = np.nan_to_num(np.where(power > 1e-6, pairs / np.fmax(power, 1e-6), 0.0))
    lag = np.clip(lag + 1 / np.sqrt(base.shape[1]), 0.0, _MOST_CORRELATED)  # a short base underrates it
    h = math.log(2 * max(1, series) * max(1, steps) / alarm_share) / (2 * drift)
    if steps >= FINE_STEPS:  # enough samples to ask for more than two wild ones
        h = max(h, 2.5 * (CAP - drift))
    return np.asarray(np.minimum(h * (1 + lag) / (1 - lag), max(h, _reachable(steps, drift))))


def _reachable(steps: int, drift: float) -> float:
    """No run can collect more than CAP - drift a step: a threshold beyond that would make short windows blind."""
    return 0.4 * steps * (CAP - drift)


def _run(z: Float64s, drift: float) -> tuple[Float64s, Int64s, Int64s]:
    """For each row the greatest sum of (z - drift) over consecutive steps, and that run's first and last step."""
    rows, steps = z.shape
    total, best = np.zeros(rows), np.zeros(rows)
    begin = np.zeros(rows, np.int64)
    start, end = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    for step in range(steps):
        gain = np.where(np.isfinite(z[:, step]), z[:, step] - drift, 0.0)
        fresh = total <= 0
        begin[fresh] = step
        total = np.maximum(0.0, np.where(fresh, 0.0, total) + gain)
        better = total > best
        best[better] = total[better]
        start[better], end[better] = begin[better], step
    return best, start, end


def _second_run(z: Float64s, drift: float) -> Float64s:
    """The greatest run of each row once the very greatest is taken out."""
    _best, start, end = _run(z, drift)
    steps = np.arange(z.shape[1])
    inside = (steps >= start[:, None]) & (steps <= end[:, None])
    return _run(np.where(inside, np.nan, z), drift)[0]


def _shift(row: int, direction: int, start: int, end: int, centre: Float64s, scan: Float64s, z: Float64s) -> Shift:
    inside = z[row, start : end + 1]
    ahead = direction * inside
    # A run may begin with gaps, or with a sample that was high by chance just before: some of the way counts.
    away = ahead > max(DRIFT, 0.4 * min(CAP, float(robust.median(ahead))))
    onset = start + int(np.argmax(away)) if away.any() else start
    later = direction * z[row, onset:]
    valid = np.isfinite(later)
    strength = float(robust.median(np.abs(z[row, onset : end + 1])))
    early = direction * robust.median(z[row, : max(1, z.shape[1] // 10)])
    fresh = 1.0 if not np.isfinite(early) else float(np.clip(1 - early / max(strength, 1e-9), 0.0, 1.0))
    return Shift(
        row=int(row),
        direction=direction,
        before=float(centre[row]),
        after=float(robust.quantile(scan[row, onset : end + 1], 0.9 if direction > 0 else 0.1)),
        strength=strength,
        onset=onset,
        until=end,
        persistence=float((later[valid] > DRIFT).mean()) if valid.any() else 0.0,
        fresh=fresh,
    )
