"""The shop's day: how many visits a second at which time of day, the same curve for live load and generated history."""

from __future__ import annotations

import math

# (centre as a fraction of the day, width, height): late morning, after lunch, evening; nights keep a quarter of that.
_PEAKS = ((0.44, 0.07, 0.55), (0.58, 0.06, 0.35), (0.85, 0.06, 0.70))
_NIGHT = 0.28
_HIGHEST = 0.98  # maximum of the unscaled curve over the day, so that `shape` peaks at 1


def shape(phase: float) -> float:
    """Load at `phase` (fraction of a day, any real number, periodic) relative to the day's peak, in (0, 1]."""
    at = phase % 1.0
    total = _NIGHT
    for centre, width, height in _PEAKS:
        distance = min(abs(at - centre), 1.0 - abs(at - centre))
        total += height * math.exp(-0.5 * (distance / width) ** 2)
    return min(1.0, total / _HIGHEST)


def phase_at(unix_seconds: float, day_seconds: float, noon_unix_seconds: float) -> float:
    """Phase of the shop's day at a moment, when the shop's clock showed 12:00 at `noon_unix_seconds`."""
    return ((unix_seconds - noon_unix_seconds) / day_seconds + 0.5) % 1.0
