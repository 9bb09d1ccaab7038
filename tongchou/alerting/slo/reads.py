"""What an objective measures now: its budget, its burn rates, how the budget went down. Writes nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.alerting.models import Alert, AlertStateChoice, Objective
from tongchou.alerting.slo.budget import Budget, Point, Slice, budget, burn_down, total
from tongchou.alerting.slo.burn import Pair, burn_rate, fires, pairs
from tongchou.alerting.slo.forecast import Forecast, forecast
from tongchou.alerting.slo.spec import Spec, over
from tongchou.core.problems import NotFound
from tongchou.core.spans import Span, total_seconds
from tongchou.inventory.holds import excluded_spans
from tongchou.telemetry.reads import instant_vector, range_matrix

SLICES = 120
MAX_SPANS = 50  # spans of changes that an objective asks about
FORECAST_PAIR = 2  # the rate of a forecast is that of the first ticket's long window: a day of 30
_LEAST_SLICE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Burn:
    """One pair of windows now. Rates are multiples of what the budget sustains; None: no events in that window."""

    pair: Pair
    long_rate: float | None
    short_rate: float | None
    events: float | None
    fires: bool
    reachable: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """An objective at a moment."""

    at: datetime
    budget: Budget
    burns: list[Burn]
    points: list[Point]
    forecast: Forecast
    excluded_seconds: float = 0.0
    without: Budget | None = None  # the budget without the windows of changes; None while there are none

    def as_json(self) -> dict[str, Any]:
        """What an objective's row keeps for lists: all but the points."""
        return {
            "budget": asdict(self.budget),
            "burns": [asdict(each) for each in self.burns],
            "forecast": asdict(self.forecast),
            "excluded_seconds": self.excluded_seconds,
            "without": asdict(self.without) if self.without else None,
        }


def spec_of(row: Objective) -> Spec:
    """The pure form of a row."""
    return Spec(
        name=row.name,
        title=row.title,
        service=row.service,
        error_query=row.error_query,
        total_query=row.total_query,
        target=row.target,
        window_seconds=row.window_seconds,
        min_events=row.min_events,
        min_errors=row.min_errors,
    )


def slice_seconds(window_seconds: float) -> int:
    """Seconds of one point of the burn-down: a 120th of the window, a minute at least, as counters need samples."""
    return max(_LEAST_SLICE_SECONDS, math.ceil(window_seconds / SLICES))


def measure(spec: Spec, at: datetime) -> Measured:
    """Ask telemetry. One range query each for events and errors of the window, then instant ones for the burn windows.

    Raises QueryError when the expressions fail; a value that is not there is no data, never zero.
    """
    slices = read_slices(spec, at)
    events, errors, covered = total(slices)
    counts: dict[int, tuple[float | None, float | None]] = {}
    wanted = pairs(spec.window_seconds)
    for seconds in {seconds for pair in wanted for seconds in (pair.long_seconds, pair.short_seconds)}:
        counts[seconds] = _value(spec.total_query, seconds, at), _value(spec.error_query, seconds, at)
    recent = wanted[FORECAST_PAIR].long_seconds
    spans = excluded_spans(spec.service, at - timedelta(seconds=spec.window_seconds), at)
    return Measured(
        at,
        budget(spec.target, events, errors, covered=covered),
        [_burn(spec, pair, counts) for pair in wanted],
        burn_down(spec.target, slices),
        forecast(
            spec.target,
            slices,
            slice_seconds(spec.window_seconds),
            recent=counts[recent],
            recent_seconds=recent,
            min_events=spec.min_events,
        ),
        total_seconds(spans),
        _without(spec, spans, events, errors, covered) if spans else None,
    )


def _without(
    spec: Spec, spans: Sequence[Span], events: float | None, errors: float | None, covered: float
) -> Budget | None:
    """The budget of a window less what happened in some spans of it; None when that is not known.

    At most MAX_SPANS of them are asked about, the longest: two queries each.
    """
    if events is None or errors is None:
        return None
    for span in sorted(spans, key=lambda each: -each.seconds)[:MAX_SPANS]:
        seconds = max(_LEAST_SLICE_SECONDS, span.seconds)
        events -= _value(spec.total_query, seconds, span.end) or 0.0
        errors -= _value(spec.error_query, seconds, span.end) or 0.0
    return budget(spec.target, max(events, 0.0), max(errors, 0.0), covered=covered)


def errors_between(spec: Spec, start: datetime, end: datetime) -> float | None:
    """How many errors were counted from `start` to `end` (a minute at least); None without data."""
    return _value(spec.error_query, max(_LEAST_SLICE_SECONDS, (end - start).total_seconds()), end)


def _burn(spec: Spec, pair: Pair, counts: dict[int, tuple[float | None, float | None]]) -> Burn:
    events, errors = counts[pair.long_seconds]
    long = burn_rate(spec.target, events, errors)
    short = burn_rate(spec.target, *counts[pair.short_seconds])
    on = fires(
        pair,
        long=long,
        short=short,
        events=events or 0,
        errors=errors or 0,
        min_events=spec.min_events,
        min_errors=spec.min_errors,
    )
    return Burn(pair, long, short, events, on, pair.reachable(spec.target))


def _value(query: str, seconds: float, at: datetime) -> float | None:
    found = instant_vector(over(query, seconds), at)
    return found[0].value if found and math.isfinite(found[0].value) else None


def read_slices(spec: Spec, at: datetime) -> list[Slice]:
    """Events and errors of each part of the window that ends at `at`, oldest first; together they are the window."""
    seconds = slice_seconds(spec.window_seconds)
    number = max(1, spec.window_seconds // seconds)
    start = at - timedelta(seconds=seconds * (number - 1))
    events, errors = (
        {
            int(ms): float(value)
            for line in range_matrix(over(query, seconds), start, at, seconds)
            for ms, value in zip(line.times, line.values, strict=True)
            if math.isfinite(value)
        }
        for query in (spec.total_query, spec.error_query)
    )
    first = int(start.timestamp() * 1000)
    times = [first + index * seconds * 1000 for index in range(number)]
    return [Slice(ms, events.get(ms), errors.get(ms)) for ms in times]


def points(spec: Spec, at: datetime) -> list[Point]:
    """The burn-down alone, of the window that ends at `at`."""
    return burn_down(spec.target, read_slices(spec, at))


def objectives() -> QuerySet[Objective]:
    """All objectives, by service and name."""
    return Objective.objects.order_by("service", "name")


def get(name: str) -> Objective:
    """One objective; raises NotFound."""
    row = Objective.objects.filter(name=name).first()
    if row is None:
        raise NotFound(
            "slo.unknown", _("There is no objective named %(name)s.") % {"name": name}, field="name", value=name
        )
    return row


def firing(names: list[str]) -> dict[str, list[Alert]]:
    """The alerts that fire now for each objective, by its name. One query."""
    wanted = Alert.objects.filter(state=AlertStateChoice.FIRING, rule__group__file__name__startswith="slo-")
    found: dict[str, list[Alert]] = {name: [] for name in names}
    for alert in wanted.select_related("group").order_by("active_at", "id"):
        found.setdefault(str(alert.labels.get("slo", "")), []).append(alert)
    return found
