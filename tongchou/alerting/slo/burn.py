"""Burn rates: how many times faster than sustainable a budget is spent, over a long and a short window. Pure.

Shares and windows are those of the SRE workbook (chapter 5, "Alerting on SLOs") with Sloth's fourth pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tongchou.alerting.slo.budget import known

Urgency = Literal["page", "ticket"]
HOUR, DAY = 3600, 86400
MONTH_SECONDS = 30 * DAY
# The workbook's windows are meant for a month. For a shorter objective they shrink with it, or three days would be
# most of a week; for 28 days and more they stay and the factor follows, so that the same share of the budget is spent.
_KEPT_FROM_SECONDS = 28 * DAY
_LEAST_SECONDS = 10
# urgency, share of the budget spent when it fires, long window, short window
_TABLE: tuple[tuple[Urgency, float, int, int], ...] = (
    ("page", 0.02, HOUR, 300),
    ("page", 0.05, 6 * HOUR, 1800),
    ("ticket", 0.10, DAY, 2 * HOUR),
    ("ticket", 0.10, 3 * DAY, 6 * HOUR),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Both windows must burn faster than `factor`: the long one so that it matters, the short so that it ends soon."""

    urgency: Urgency
    budget_share: float
    long_seconds: int
    short_seconds: int
    factor: float

    def reachable(self, target: float) -> bool:
        """Tell whether even a total failure burns that fast: the burn rate is at most 1 / (1 - target)."""
        return self.factor * (1 - target) < 1


def pairs(window_seconds: float) -> list[Pair]:
    """Return the four pairs for a window: for 30 days 14.4, 6, 3 and 1 over 1 h, 6 h, 1 d and 3 d."""
    scale = 1.0 if window_seconds >= _KEPT_FROM_SECONDS else window_seconds / MONTH_SECONDS
    period = window_seconds if scale == 1.0 else MONTH_SECONDS
    found = []
    for urgency, share, long_seconds, short_seconds in _TABLE:
        short = max(_LEAST_SECONDS, round(short_seconds * scale))
        long = max(3 * short, round(long_seconds * scale))
        found.append(Pair(urgency, share, long, short, round(share * period / long_seconds, 6)))
    return found


def burn_rate(target: float, events: float | None, errors: float | None) -> float | None:
    """Return the share of errors divided by the share allowed; None without events. 1 spends the budget exactly."""
    if events is None or errors is None or not known(events) or not known(errors) or events == 0:
        return None
    return min(errors, events) / events / (1 - target)


def spent_share(factor: float, seconds: float, window_seconds: float) -> float:
    """Return the share of the budget that burning at `factor` for `seconds` spends: 14.4 for 1 h of 30 d, 2 %."""
    return factor * seconds / window_seconds


def fires(pair: Pair, *, long: float | None, short: float | None, events: float, errors: float,
          min_events: int, min_errors: int) -> bool:  # fmt: skip
    """Tell what the generated rule tells: both windows burn too fast, and the long one holds enough to say so."""
    enough = events >= min_events and errors >= min_errors
    return enough and long is not None and short is not None and long > pair.factor and short > pair.factor
