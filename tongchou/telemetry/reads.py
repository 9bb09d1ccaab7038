"""Named reads of what is measured, for the rooms above and for pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tongchou.telemetry.backend import backend, default_limits, is_open
from tongchou.telemetry.downsample import MAX_POINTS, downsample
from tongchou.telemetry.promql.evaluate import instant, range_
from tongchou.telemetry.series import Float64s, Int64s
from tongchou.telemetry.store.tables import MS_PER_DAY


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


def instant_vector(query: str, at: datetime | None = None) -> list[Sample]:
    """What a PromQL expression gives at `at` (None: now); a scalar is one sample without labels.

    Raises QueryError for a bad expression or a passed limit.
    """
    result = instant(query, _ms(at), backend=backend(), limits=default_limits())
    return [
        Sample(dict(labels), value, datetime.fromtimestamp(ms / 1000, UTC)) for labels, ms, value in result.samples()
    ]


def range_matrix(
    query: str, start: datetime, end: datetime, step_seconds: float, *, max_points: int | None = None
) -> list[Line]:
    """What a PromQL expression gives at every step from `start` to `end`; with `max_points` thinned for a chart."""
    result = range_(
        query, _ms(start), _ms(end), max(1, round(step_seconds * 1000)), backend=backend(), limits=default_limits()
    )
    lines = []
    for labels, times, values in result.lines():
        thin = downsample(times, values, max_points=max_points) if max_points else (times, values)
        lines.append(Line(dict(labels), *thin))
    return lines


def chart(query: str, start: datetime, end: datetime, *, max_points: int = MAX_POINTS) -> list[Line]:
    """A range query whose step gives at most `max_points` points a series, at least one second apart."""
    span = max(1.0, (end - start) / timedelta(seconds=1))
    step = max(1.0, -(-span // (max_points - 1)))
    return range_matrix(query, start, end, step)


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


@dataclass(frozen=True, slots=True)
class Cardinality:
    """What the series are made of: the greatest metric names by series, the labels with the most values."""

    series: int
    metrics: list[tuple[str, int]]
    labels: list[tuple[str, int]]


def cardinality(count: int = 20) -> Cardinality:
    """The `count` greatest metric names and labels."""
    index = backend().index
    return Cardinality(len(index), index.largest("__name__", count), index.label_cardinality(count))


def day_span() -> tuple[datetime, datetime] | None:
    """The first and last UTC day with samples."""
    span = backend().index.day_span()
    if span is None:
        return None
    first, last = (datetime.fromtimestamp(day * MS_PER_DAY / 1000, UTC) for day in span)
    return first, last
