"""When an error budget will be empty if errors go on at the rate of late. Pure.

The window rolls: while new errors come in, old ones leave it. So the window is played forward part by part with the
recent rate, and not divided by it, which would foretell an end where none comes, or one too late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tongchou.alerting.slo.budget import Slice, allowed_errors, known
from tongchou.alerting.slo.burn import burn_rate

State = Literal["unknown", "empty", "empties", "lasts"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """`empty_in_seconds` is told when the state is "empties"; the rate is that of the last `rate_seconds`.

    "lasts": at this rate the budget is never empty. "unknown": too few events, or no data, to say anything.
    """

    state: State
    rate_seconds: float
    burn_rate: float | None = None
    empty_in_seconds: float | None = None


def forecast(
    target: float,
    slices: Sequence[Slice],
    slice_seconds: float,
    *,
    recent: tuple[float | None, float | None],
    recent_seconds: float,
    min_events: int,
) -> Forecast:
    """Play the window of `slices` forward with `recent` (events, errors of the last `recent_seconds`)."""
    events, errors = recent
    rate = burn_rate(target, events, errors)
    if rate is None or events is None or errors is None or events < min_events or not slices:
        return Forecast("unknown", recent_seconds)
    parts = [_counts(each) for each in slices]
    in_all, bad = (sum(column) for column in zip(*parts, strict=True))
    left = allowed_errors(target, in_all) - bad
    if left < 0:
        return Forecast("empty", recent_seconds, rate, 0.0)
    more = events * slice_seconds / recent_seconds
    more_bad = min(errors, events) * slice_seconds / recent_seconds
    for number, (gone, gone_bad) in enumerate(parts):
        in_all, bad = in_all + more - gone, bad + more_bad - gone_bad
        before, left = left, allowed_errors(target, in_all) - bad
        if left < -_NOISE * in_all:
            within = before / (before - left)
            return Forecast("empties", recent_seconds, rate, (number + within) * slice_seconds)
    return Forecast("lasts", recent_seconds, rate)


_NOISE = 1e-12  # of sums of floats: a rate that spends exactly the budget does not empty it


def _counts(each: Slice) -> tuple[float, float]:
    if not (known(each.events) and known(each.errors)):
        return 0.0, 0.0
    events = each.events or 0.0
    return events, min(each.errors or 0.0, events)
