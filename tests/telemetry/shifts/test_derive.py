"""Raw series to quantities: rates over resets, quantiles as PromQL has them, shares of errors, space in use."""

from __future__ import annotations

import numpy as np
import pytest

from tongchou.telemetry.series import STALE_NAN, SeriesBlock, labels_of
from tongchou.telemetry.shifts.derive import Grid, derive, interval_ms
from tongchou.telemetry.shifts.names import meaning

GRID = Grid(0, 10_000, 30)
TIMES = np.arange(0, 310_000, 5_000, dtype=np.int64)


def block(**series: object) -> SeriesBlock:
    """Series of one target, `name__label_value` = values at TIMES or a function of seconds."""
    rows = []
    for spec, values in series.items():
        name, _sep, rest = spec.partition("__")
        pairs = dict(part.split("_", 1) for part in rest.split("__") if part)
        labels = labels_of({"__name__": name, "job": "j", "instance": "i", **pairs})
        rows.append((labels, TIMES, np.asarray([values(t / 1000) for t in TIMES], np.float64)))  # type: ignore[operator]
    return SeriesBlock.build(rows)


def one(found: object, kind: str, stat: str = "value") -> np.ndarray:
    """The row of the one quantity of this kind."""
    (row,) = [
        row
        for quantity, row in zip(found.quantities, found.rows, strict=True)  # type: ignore[attr-defined]
        if (quantity.kind, quantity.stat) == (kind, stat)
    ]
    return row


def test_a_counter_is_a_rate_that_a_reset_does_not_disturb() -> None:
    found = derive(block(things_total=lambda s: 3 * s if s < 150 else 3 * (s - 150)), GRID)
    rates = one(found, "other", "rate")
    assert np.nanmax(np.abs(rates[np.arange(30) != 14] - 3)) < 1e-9  # the step of the reset loses what was not seen


def test_the_share_of_failed_requests() -> None:
    found = derive(
        block(http_requests_total__code_200=lambda s: 9 * s, http_requests_total__code_500=lambda s: s), GRID
    )
    assert one(found, "errors", "share") == pytest.approx(np.full(30, 0.1))
    assert one(found, "traffic", "rate") == pytest.approx(np.full(30, 10.0))


def test_free_space_is_shown_as_used() -> None:
    found = derive(
        block(node_filesystem_avail_bytes=lambda s: 100 - s / 10, node_filesystem_size_bytes=lambda _s: 100.0), GRID
    )
    used = one(found, "disk", "used")
    assert used[-1] == pytest.approx(0.3)
    assert found.quantities[0].bad == 1


def test_stale_markers_are_gaps() -> None:
    found = derive(block(process_resident_memory_bytes=lambda s: 5e6 if s < 100 else STALE_NAN), GRID)
    memory = one(found, "memory")
    assert np.isfinite(memory[:9]).all()
    assert not np.isfinite(memory[14:]).any()


def test_the_95th_percentile_of_a_histogram() -> None:
    buckets = {f"x_seconds_bucket__le_{le}": (lambda s, n=n: n * s) for le, n in (("0.1", 5), ("1", 10), ("+Inf", 10))}
    found = derive(block(**buckets), GRID)
    assert one(found, "latency", "p95") == pytest.approx(np.full(30, 0.91))
    assert one(found, "traffic", "rate") == pytest.approx(np.full(30, 10.0))


def test_the_distance_of_samples_is_measured_inside_series_only() -> None:
    rows = block(a=lambda s: s, b=lambda s: s)
    assert interval_ms(rows) == 5_000


@pytest.mark.parametrize(
    ("name", "kind", "unit", "bad"),
    [
        ("process_resident_memory_bytes", "memory", "bytes", 1),
        ("node_memory_MemAvailable_bytes", "memory", "bytes", -1),
        ("http_requests_total", "traffic", "per_second", 0),
        ("http_client_requests_total", "other", "per_second", 0),
        ("http_request_duration_seconds_bucket", "latency", "seconds", 1),
        ("jobs_failed_total", "errors", "per_second", 1),
        ("process_cpu_seconds_total", "cpu", "cores", 1),
        ("http_requests_in_flight", "queue", "count", 1),
        ("database_replication_lag_seconds", "queue", "seconds", 1),
        ("node_filesystem_avail_bytes", "disk", "bytes", -1),
        ("cache_entries", "other", "count", 0),
    ],
)
def test_names_say_what_they_measure(name: str, kind: str, unit: str, bad: int) -> None:
    found = meaning(name)
    assert (found.kind, found.unit, found.bad) == (kind, unit, bad)


@pytest.mark.parametrize(
    "name", ["up", "service_info", "process_start_time_seconds", "scrape_duration_seconds", "x_sum"]
)
def test_names_that_tell_nothing_are_passed_over(name: str) -> None:
    assert meaning(name).form == "skip"
