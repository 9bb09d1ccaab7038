"""Reads which quantities of some targets shifted around a moment. Few reads, bounded in series, samples and time."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import re2

from tongchou.core.problems import Problem
from tongchou.telemetry.backend import default_limits
from tongchou.telemetry.metrics import metrics
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Float64s, Matcher, SeriesBlock
from tongchou.telemetry.shifts import robust
from tongchou.telemetry.shifts.derive import Derived, Grid, Quantity, Target, derive, interval_ms
from tongchou.telemetry.shifts.detect import ALARM_SHARE, Shift, detect
from tongchou.telemetry.shifts.windows import Span, grid_of, span

log = logging.getLogger(__name__)

LAGS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7))
MAX_SERIES = 20_000
MAX_SAMPLES = 6_000_000
DEADLINE_SECONDS = 10.0
MAX_CANDIDATES = 400
KEPT_POINTS = 90


@dataclass(frozen=True, slots=True)
class Found:
    """A quantity that shifted at `at`; `points`: base and scan, thinned, one each `step_seconds` from `start` on."""

    quantity: Quantity
    at: datetime
    direction: int
    before: float
    after: float
    strength: float
    persistence: float
    fresh: float
    resolution_seconds: float
    start: datetime
    step_seconds: float
    points: tuple[float | None, ...]


@dataclass(slots=True)
class Report:
    """What was looked at, at what cost; `notes` are codes of what was left out (series_capped, deadline, no_base)."""

    found: list[Found] = field(default_factory=list)
    z_scores: dict[Target, float] = field(default_factory=dict)
    counted: set[Target] = field(default_factory=set)  # targets that count the requests they get
    targets: int = 0
    series: int = 0
    samples: int = 0
    reads: int = 0
    quantities: int = 0
    seconds: float = 0.0
    base_from: datetime | None = None
    scan_from: datetime | None = None
    until: datetime | None = None
    earlier: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def shifts(
    targets: Collection[Target], onset: datetime, now: datetime, *, deadline_seconds: float = DEADLINE_SECONDS
) -> Report:
    """Which quantities of `targets` (job, instance) shifted around `onset`, strongest first.

    One read of all series of the targets, and one for each of LAGS of the candidates' metrics alone. A read that is
    refused or late leaves a note; nothing is raised but programming errors.
    """
    began = time.monotonic()
    report = Report(targets=len(targets))
    if targets:
        _Look(report, targets, onset, now, began + deadline_seconds).run()
    report.seconds = round(time.monotonic() - began, 3)
    return report


class _Look:
    """One look: the windows, the reads, the tests."""

    def __init__(
        self, report: Report, targets: Collection[Target], onset: datetime, now: datetime, late: float
    ) -> None:
        self.report, self.late = report, late
        self.targets = frozenset(targets)
        self.onset_ms, self.now_ms = (round(each.timestamp() * 1000) for each in (onset, now))

    def run(self) -> None:
        wide = span(self.onset_ms, self.now_ms)
        block = self._read(wide.start_ms, wide.end_ms, sorted({instance for _job, instance in self.targets}))
        if block is None or not block.sample_count:
            self.report.notes.append("no_samples")
            return
        oldest = np.sort(block.ts[block.offsets[:-1][np.diff(block.offsets) > 0]])
        stretch = span(self.onset_ms, self.now_ms, oldest_ms=int(oldest[len(oldest) // 2]))
        grid, base = grid_of(stretch, interval_ms(block))
        self._say(stretch)
        derived = derive(block, grid)
        self.report.quantities = len(derived.quantities)
        self.report.counted = {each.target for each in derived.quantities if each.kind == "traffic"}
        values = derived.matrix(grid.count)
        floors = np.array([each.floor for each in derived.quantities])
        self._baseline(derived, values, base)
        hits = [each for each in detect(values[:, :base], values[:, base:], floor=floors) if _telling(each, derived)]
        if hits:
            hits = self._unusual(hits[:MAX_CANDIDATES], derived, values, base, grid)
        self.report.found = [
            self._found(each, derived.quantities[each.row], values[each.row], grid, base) for each in hits
        ]
        if base < 5:
            self.report.notes.append("no_base")

    def _say(self, stretch: Span) -> None:
        report = self.report
        report.base_from, report.scan_from, report.until = (
            _at(each) for each in (stretch.start_ms, stretch.scan_ms, stretch.end_ms)
        )

    def _read(
        self, start_ms: int, end_ms: int, instances: Sequence[str], names: Sequence[str] = ()
    ) -> SeriesBlock | None:
        """Series of the instances; of too many, those of fewer instances. None when the store refuses or time is up."""
        matchers = [Matcher("instance", "=~", _any_of(instances))]
        if names:
            matchers.append(Matcher("__name__", "=~", _any_of(names)))
        left = self.late - time.monotonic()
        if left <= 0:
            self.report.notes.append("deadline")
            return None
        usual = default_limits()
        limits = Limits(
            max_samples=min(MAX_SAMPLES, usual.max_samples),
            max_series=min(MAX_SERIES, usual.max_series),
            max_steps=usual.max_steps,
            timeout_seconds=min(left, usual.timeout_seconds),
            max_memory_bytes=usual.max_memory_bytes,
        )
        self.report.reads += 1
        try:
            block = metrics().select(matchers, start_ms, end_ms, limits=limits)
        except Problem as problem:
            if problem.code == "telemetry.limit_exceeded" and len(instances) > 1:
                self.report.notes.append("series_capped")
                return self._read(start_ms, end_ms, instances[: len(instances) // 2], names)
            log.warning("shifts are not looked for: %s", problem)
            self.report.notes.append("refused")
            return None
        block = _only(block, self.targets)
        self.report.series += len(block)
        self.report.samples += block.sample_count
        return block

    def _unusual(self, hits: list[Shift], derived: Derived, values: Float64s, base: int, grid: Grid) -> list[Shift]:
        """Test the candidates again with what the same clock time of earlier windows did taken as usual."""
        rows = [each.row for each in hits]
        chosen = [derived.quantities[row] for row in rows]
        names = sorted({name for each in chosen for name in _raw_names(each)})
        instances = sorted({each.target[1] for each in chosen})
        deviations = []
        for lag in LAGS:
            lag_ms = round(lag.total_seconds() * 1000)
            shifted = Grid(grid.start_ms - lag_ms, grid.step_ms, grid.count)
            block = self._read(shifted.start_ms, shifted.start_ms + grid.step_ms * grid.count, instances, names)
            if block is None or not block.sample_count:
                continue
            earlier = derive(block, shifted)
            places = {_key(quantity): row for row, quantity in enumerate(earlier.quantities)}
            then = earlier.matrix(grid.count)
            picked = np.full((len(rows), grid.count), np.nan)
            for at, quantity in enumerate(chosen):
                if _key(quantity) in places:
                    picked[at] = then[places[_key(quantity)]]
            if np.isfinite(picked[:, :base]).any():
                deviations.append(robust.smooth(picked[:, base:] - robust.median(picked[:, :base])[:, None], 5))
                self.report.earlier.append(f"{lag.total_seconds():.0f}")
        if not deviations:
            return hits
        usual = robust.median(np.stack(deviations, axis=-1))
        part = values[rows]
        floors = np.array([each.floor for each in chosen])
        # The guard against many looks is for all quantities, not only for these candidates.
        share = ALARM_SHARE * len(rows) / max(1, len(derived.quantities))
        again = detect(part[:, :base], part[:, base:], usual=usual, floor=floors, alarm_share=share)
        return [replace(each, row=rows[each.row]) for each in again]

    def _baseline(self, derived: Derived, values: Float64s, base: int) -> None:
        """The plain z-score that the baseline of the comparison ranks by: the mean's shift in standard deviations."""
        if base < 2:
            return
        scores = z_scores(values[:, :base], values[:, base:])
        for quantity, score in zip(derived.quantities, scores.tolist(), strict=True):
            self.report.z_scores[quantity.target] = max(score, self.report.z_scores.get(quantity.target, 0.0))

    def _found(self, shift: Shift, quantity: Quantity, row: Float64s, grid: Grid, base: int) -> Found:
        width = -(-grid.count // KEPT_POINTS)
        kept = [_number(robust.median(row[at : at + width])) for at in range(0, grid.count, width)]
        onset_ms = grid.start_ms + (base + shift.onset) * grid.step_ms
        return Found(
            quantity=quantity,
            at=_at(onset_ms),
            direction=shift.direction,
            before=shift.before,
            after=shift.after,
            strength=shift.strength,
            persistence=shift.persistence,
            fresh=shift.fresh,
            resolution_seconds=grid.step_ms / 1000,
            start=_at(grid.start_ms),
            step_seconds=width * grid.step_ms / 1000,
            points=tuple(kept),
        )


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def z_scores(base: Float64s, scan: Float64s) -> Float64s:
    """|mean after - mean before| in standard deviations before, as the classic baseline has it; 0 where unknown."""
    known = (np.isfinite(base).sum(axis=1) > 1) & np.isfinite(scan).any(axis=1)
    score = np.zeros(len(base))
    if known.any():
        mean, deviation = robust.mean(base[known]), robust.deviation(base[known])
        moved = np.abs(robust.mean(scan[known]) - mean)
        score[known] = moved / np.where(deviation > 0, deviation, np.fmax(1e-9, np.abs(mean) * 1e-3))
    return score


def _number(value: Float64s) -> float | None:
    return float(value) if np.isfinite(value) else None


def _telling(shift: Shift, derived: Derived) -> bool:
    """Whether the direction is one that hurts."""
    bad = derived.quantities[shift.row].bad
    return bad in (0, shift.direction)


def _key(quantity: Quantity) -> tuple[Target, str, str, tuple[tuple[str, str], ...]]:
    return (quantity.target, quantity.metric, quantity.stat, quantity.labels)


def _raw_names(quantity: Quantity) -> list[str]:
    if quantity.stat in ("p95", "rate"):
        return [quantity.metric, f"{quantity.metric}_bucket", f"{quantity.metric}_count"]
    return [quantity.metric, quantity.metric.replace("_avail_", "_size_").replace("_free_", "_size_")]


def _any_of(values: Sequence[str]) -> str:
    return "|".join(re2.escape(value) for value in values)


def _only(block: SeriesBlock, targets: Collection[Target]) -> SeriesBlock:
    """The series of these very targets: another job may have an instance of the same name."""
    wanted = [row for row, pairs in enumerate(block.labels) if _target(dict(pairs)) in targets]
    if len(wanted) == len(block):
        return block
    return SeriesBlock.build((block.labels[row], *block.samples(row)) for row in wanted)


def _target(labels: dict[str, str]) -> Target:
    return (labels.get("job", ""), labels.get("instance", ""))
