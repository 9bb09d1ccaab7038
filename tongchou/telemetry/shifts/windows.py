"""Which times are compared: a stretch well before the first symptom, and the stretch around it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tongchou.telemetry.shifts.derive import Grid

BASE_MS = 40 * 60_000
LEAD_MS = 10 * 60_000  # a cause may begin so long before the first alert
AFTER_MS = 5 * 60_000
MOST_STEPS = 260
LEAST_STEP_MS = 1_000
YOUNG_LEAD = 0.4  # of what is known, when less than base and lead is


@dataclass(frozen=True, slots=True)
class Span:
    """Base is [start, scan), the scan [scan, end), in ms."""

    start_ms: int
    scan_ms: int
    end_ms: int


def span(onset_ms: int, now_ms: int, *, oldest_ms: int | None = None) -> Span:
    """The stretches for a first symptom at `onset_ms`; `oldest_ms` is the first sample there is."""
    end = max(onset_ms + 1, min(now_ms, onset_ms + AFTER_MS))
    start = onset_ms - BASE_MS
    lead = LEAD_MS
    if oldest_ms is not None and oldest_ms > start:
        start = min(oldest_ms, onset_ms)
        lead = min(LEAD_MS, int(YOUNG_LEAD * (onset_ms - start)))
    return Span(start, onset_ms - lead, end)


def grid_of(found: Span, interval_ms: int) -> tuple[Grid, int]:
    """The grid over a span for samples `interval_ms` apart, and how many of its steps are base."""
    step = max(LEAST_STEP_MS, interval_ms, -(-(found.end_ms - found.start_ms) // MOST_STEPS))
    base = max(0, (found.scan_ms - found.start_ms) // step)
    count = max(base, -(-(found.end_ms - found.start_ms) // step))
    return Grid(found.end_ms - count * step, step, count), base
