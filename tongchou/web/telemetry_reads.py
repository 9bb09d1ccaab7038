"""Metrics in the shape charts want: columns over one grid of times, few points, few lines, names a person can read."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import monotonic
from typing import Any

import numpy as np
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Unavailable
from tongchou.telemetry import reads
from tongchou.telemetry.backend import backend, default_limits, is_open
from tongchou.telemetry.metrics import metrics
from tongchou.telemetry.ports import Backend
from tongchou.telemetry.series import Matcher, written_series

log = logging.getLogger(__name__)

MAX_LINES = 24
NAMES_EVERY_SECONDS = 5.0
LOOK_BACK = timedelta(hours=1)
LONGEST_NAME = 28  # of a line that is named by its query: more does not fit under a small chart
NAMELESS = "{}"  # how PromQL writes a series without any label
_BEST = (
    "service",
    "instance",
    "job",
    "handler",
    "route",
    "device",
    "mountpoint",
    "mode",
    "__name__",
)  # what people look for first
_PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


@dataclass(frozen=True)
class Columns:
    """A chart's data: `times` in ms, each line's values beside them (None where absent); `dropped` were left out.

    With an offset the values are of that much earlier, under the times of now.
    """

    times: list[int]
    series: list[dict[str, Any]]
    dropped: int
    step_seconds: float
    resolutions: Sequence[str] = ()  # of the rollups that were read, "5m" or "1h"
    warnings: Sequence[str] = ()

    def as_json(self) -> dict[str, object]:
        """Return what charts.js reads."""
        return {
            "times": self.times,
            "series": self.series,
            "dropped": self.dropped,
            "step": self.step_seconds,
            "resolution": ", ".join(self.resolutions),
            "warnings": list(self.warnings),
        }


def require_store() -> None:
    """Raise Unavailable when this process has no telemetry store open."""
    if not is_open():
        raise Unavailable(
            "telemetry.closed",
            _("The telemetry store of this process is not open."),
            remedy=_("Start the platform with `tongchou serve`."),
        )


def step_for(span_seconds: float, points: int) -> float:
    """Return a round step in seconds that gives at most `points` points over the span, at least one second."""
    least = max(1.0, span_seconds / max(2, points - 1))
    for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400):
        if step >= least:
            return float(step)
    return float(-(-least // 86400) * 86400)


def columns(
    query: str,
    start: datetime,
    end: datetime,
    *,
    points: int,
    legend: str = "",
    limit: int = MAX_LINES,
    offset: timedelta = timedelta(0),
) -> Columns:
    """Evaluate `query` over [start, end] for a chart. Raises QueryError for a bad query, Invalid for a bad range.

    The grid starts at a multiple of the step, so that a refresh does not make the picture tremble. At most `limit`
    series are kept, those with the greatest values. `offset` looks that much further back, on the same grid.
    """
    if end <= start:
        raise Invalid("range.order", _("The start must be before the end."), field="start")
    require_store()
    step = step_for((end - start).total_seconds(), points)
    first = datetime.fromtimestamp(start.timestamp() // step * step, UTC)
    lines, resolutions, warnings = reads.range_noted(query, first - offset, end - offset, step)
    kept = sorted(lines, key=_weight, reverse=True)[:limit] if len(lines) > limit else lines
    offset_ms = round(offset.total_seconds() * 1000)
    step_ms, first_ms = round(step * 1000), round(first.timestamp() * 1000)
    count = int((end.timestamp() * 1000 - first_ms) // step_ms) + 1
    names = line_names([line.labels for line in kept], legend)
    if names == [NAMELESS]:
        asked = " ".join(query.split())  # a lone aggregate is known by what was asked
        names = [asked if len(asked) <= LONGEST_NAME else f"{asked[: LONGEST_NAME - 1]}…"]
    series: list[dict[str, Any]] = []
    for name, line in sorted(zip(names, kept, strict=True), key=lambda pair: pair[0]):
        column: list[float | None] = [None] * count
        for place, value in zip(
            ((line.times + offset_ms - first_ms) // step_ms).tolist(), line.values.tolist(), strict=True
        ):
            if 0 <= place < count and np.isfinite(value):  # JSON knows neither NaN nor infinity: a gap
                column[place] = value
        series.append({"name": name, "labels": line.labels, "values": column})
    times = [first_ms + i * step_ms for i in range(count)] if series else []
    return Columns(times, series, len(lines) - len(kept), step, resolutions, warnings)


def _weight(line: reads.Line) -> float:
    finite = line.values[np.isfinite(line.values)]
    return float(np.abs(finite).max()) if len(finite) else 0.0


def line_names(label_sets: Sequence[Mapping[str, str]], legend: str = "") -> list[str]:
    """Name each line: by the legend's `{{label}}` places, else as shortly as tells the lines apart. Pure."""
    if legend:
        return [_filled(legend, labels) or full_name(labels) for labels in label_sets]
    if len(label_sets) < 2:
        return [labels.get("__name__") or full_name(labels) for labels in label_sets]
    keys = sorted({key for labels in label_sets for key in labels})
    differing = [key for key in keys if len({labels.get(key) for labels in label_sets}) > 1]
    for key in sorted(differing, key=lambda key: (_BEST.index(key) if key in _BEST else len(_BEST), key)):
        if len({labels.get(key) for labels in label_sets}) == len(label_sets):
            return [labels.get(key) or full_name(labels) for labels in label_sets]
    return [" ".join(labels[key] for key in differing if labels.get(key)) or full_name(labels) for labels in label_sets]


def _filled(legend: str, labels: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda match: labels.get(match[1], ""), legend).strip()


def full_name(labels: Mapping[str, str]) -> str:
    """Return a series as PromQL writes it: name{label="value", ...}."""
    return written_series(labels) or NAMELESS


def _found(read: Callable[[Backend], list[str]]) -> list[str]:
    """Names that both stores know; of the own one alone while the other does not answer: charts then tell why."""
    try:
        return read(metrics())
    except Unavailable as problem:
        log.warning("names of metrics are those of the own store: %s", problem)
        return read(backend())


def metric_names() -> list[str]:
    """Return the names of metrics with samples in the last hour; remembered for a few seconds. [] without a store."""
    return _metric_names(int(monotonic() / NAMES_EVERY_SECONDS), backend()) if is_open() else []


@lru_cache(maxsize=1)
def _metric_names(_tick: int, _store: object) -> list[str]:
    return _values("__name__", "")


def metric_names_of(label: str, values: Sequence[str]) -> list[str]:
    """Return the metrics of the last hour on which `label` has one of `values`."""
    if not is_open() or not values:
        return []
    now = datetime.now(UTC)
    sets = [[Matcher(label, "=", value)] for value in values]
    return _found(
        lambda store: store.label_values("__name__", sets, _ms(now - LOOK_BACK), _ms(now), limits=default_limits())
    )


def label_names(metric: str) -> list[str]:
    """Return the label names of one metric in the last hour."""
    return label_names_of([[Matcher("__name__", "=", metric)]])


def label_names_of(sets: Sequence[Sequence[Matcher]]) -> list[str]:
    """Return the label names of the last hour's series that fulfil any of the sets; [] without a store.

    Raises Invalid when the sets touch too many series or hold a bad regular expression.
    """
    if not is_open():
        return []
    now = datetime.now(UTC)
    return _found(lambda store: store.label_names(sets, _ms(now - LOOK_BACK), _ms(now), limits=default_limits()))


def label_values_of(label: str, matchers: Sequence[Matcher]) -> list[str]:
    """Return the values of a label on the last hour's series that fulfil all matchers. Raises as label_names_of."""
    if not is_open():
        return []
    now = datetime.now(UTC)
    sets = [list(matchers)] if matchers else []
    return _found(
        lambda store: store.label_values(label, sets, _ms(now - LOOK_BACK), _ms(now), limits=default_limits())
    )


def _values(name: str, metric: str) -> list[str]:
    now = datetime.now(UTC)
    sets = [[Matcher("__name__", "=", metric)]] if metric else []
    return _found(lambda store: store.label_values(name, sets, _ms(now - LOOK_BACK), _ms(now), limits=default_limits()))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def instant(query: str) -> list[reads.Sample]:
    """Return the value of `query` now; [] without a store. Raises QueryError for a bad query."""
    return reads.instant_vector(query) if is_open() else []
