"""Named reads of what is measured, for the rooms above and for pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from tongchou.telemetry.backend import backend, default_limits, is_open
from tongchou.telemetry.downsample import MAX_POINTS, downsample
from tongchou.telemetry.metrics import metrics
from tongchou.telemetry.promql.evaluate import Shared, instant, range_
from tongchou.telemetry.promql.rolled import resolutions
from tongchou.telemetry.promql.screen import Screen
from tongchou.telemetry.series import Float64s, Int64s, Labels, Matcher
from tongchou.telemetry.store.tables import MS_PER_DAY

_END_OF_TIME = 1 << 62


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series at one time; `labels` include `__name__` when the result has one."""

    labels: dict[str, str]
    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a range query: `times` in ms since the epoch, `values` beside them; absent steps are left out."""

    labels: dict[str, str]
    times: Int64s
    values: Float64s


def _ms(at: datetime | None) -> int:
    return backend().clock() if at is None else int(at.timestamp() * 1000)


def instant_vector(query: str, at: datetime | None = None, *, shared: Shared | None = None) -> list[Sample]:
    """What a PromQL expression gives at `at` (None: now); a scalar is one sample without labels.

    `shared` is for several queries of the same time. Raises QueryError for a bad expression or a passed limit.
    """
    result = instant(query, _ms(at), backend=metrics(), limits=default_limits(), shared=shared)
    return [
        Sample(dict(labels), value, datetime.fromtimestamp(ms / 1000, UTC)) for labels, ms, value in result.samples()
    ]


def quiet(screen: Screen, at: datetime, *, shared: Shared) -> Mapping[str, float]:
    """The expressions of a screen that give nothing at `at`, with the seconds each took; `shared` as above."""
    return screen.quiet(_ms(at), backend=metrics(), limits=default_limits(), shared=shared)


def range_matrix(
    query: str, start: datetime, end: datetime, step_seconds: float, *, max_points: int | None = None
) -> list[Line]:
    """What a PromQL expression gives at every step from `start` to `end`; with `max_points` thinned for a chart."""
    return range_noted(query, start, end, step_seconds, max_points=max_points)[0]


def range_noted(
    query: str, start: datetime, end: datetime, step_seconds: float, *, max_points: int | None = None
) -> tuple[list[Line], list[str], list[str]]:
    """As `range_matrix`; and the widths ("5m", "1h") of the rollups that were read, and the warnings."""
    result = range_(
        query, _ms(start), _ms(end), max(1, round(step_seconds * 1000)), backend=metrics(), limits=default_limits()
    )
    lines = []
    for labels, times, values in result.lines():
        thin = downsample(times, values, max_points=max_points) if max_points else (times, values)
        lines.append(Line(dict(labels), *thin))
    return lines, resolutions(result.infos), result.warnings


def chart(query: str, start: datetime, end: datetime, *, max_points: int = MAX_POINTS) -> list[Line]:
    """A range query whose step gives at most `max_points` points a series, at least one second apart."""
    span = max(1.0, (end - start) / timedelta(seconds=1))
    step = max(1.0, -(-span // (max_points - 1)))
    return range_matrix(query, start, end, step)


def newest(matchers: Sequence[Matcher]) -> list[tuple[Labels, int, float]]:
    """(labels, time in ms, value) of the newest sample in the window in memory, of every series that has one there."""
    telemetry = backend()
    rows = telemetry.index.find(matchers)
    found = telemetry.window.select(rows, telemetry.window.covered_from_ms, _END_OF_TIME) if len(rows) else None
    if found is None:
        return []
    offsets, ts, v = found
    filled = np.flatnonzero(np.diff(offsets))
    last = offsets[filled + 1] - 1
    return list(zip(telemetry.index.labels(rows[filled]), ts[last].tolist(), v[last].tolist(), strict=True))


def store_stats() -> dict[str, float]:
    """Figures of the store for /metrics and the storage page; one small query, cached by nobody.

    `samples` counts a sample that was sent twice twice; `window_*` are about the samples in memory;
    `ingested_*`, `refused_*` and `insert*` count since the start of the process.
    """
    telemetry = backend()
    sizes = telemetry.tables.sizes()
    counts = telemetry.ingest.counts
    covered = max(0, telemetry.clock() - telemetry.window.covered_from_ms) / 1000
    return {
        "series": len(telemetry.index),
        "samples": sizes["rows"] + telemetry.ingest.pending_samples,
        "bytes_on_disk": sizes["bytes"],
        "parts": sizes["parts"],
        "days": telemetry.index.day_count,
        "window_samples": telemetry.window.sample_count,
        "window_bytes": telemetry.window.bytes_used,
        "window_seconds": covered,
        "cache_bytes": telemetry.older.bytes_used,
        "ingested_samples": counts.samples,
        "refused_samples": counts.refused_samples,
        "inserts": counts.inserts,
        "failed_inserts": counts.failed_inserts,
        "insert_seconds": counts.insert_seconds,
        "pending_samples": telemetry.ingest.pending_samples,
        "lag_seconds": telemetry.lag_seconds,
    }


def node_figures() -> dict[str, float]:
    """What this process knows of its own telemetry without asking the store: for heartbeats."""
    if not is_open():
        return {}
    telemetry = backend()
    return {
        "lag_seconds": round(telemetry.lag_seconds, 3),
        "pending_samples": telemetry.ingest.pending_samples,
        "window_samples": telemetry.window.sample_count,
        "series": len(telemetry.index),
    }


def ready() -> bool:
    """Whether the store of this process is open and answers."""
    if not is_open():
        return False
    return bool(backend().engine.fetch("SELECT 1 AS one", timeout_seconds=2.0).num_rows == 1)


def day_span() -> tuple[datetime, datetime] | None:
    """The first and last UTC day with samples, or with rollups of samples that are gone."""
    span = backend().index.day_span()
    if span is None:
        return None
    first, last = (datetime.fromtimestamp(day * MS_PER_DAY / 1000, UTC) for day in span)
    return first, last
