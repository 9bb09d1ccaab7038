"""Turns raw series of targets into the quantities an engineer would look at, on one grid of equal steps.

Counters become rates (resets respected), histograms the 95th percentile, requests by outcome the share that failed,
free and total space the share in use. Series of one metric of one target are summed where that has a meaning. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tongchou.telemetry.promql.histogram import bucket_quantile
from tongchou.telemetry.series import METRIC_NAME, Float64s, Int64s, SeriesBlock
from tongchou.telemetry.shifts.names import (
    FLOORS,
    Kind,
    Meaning,
    Unit,
    counts_cpu_work,
    is_bad,
    meaning,
    outcome_label,
)

Target = tuple[str, str]  # job, instance
MOST_LABEL_SETS = 16  # gauges of one metric of one target that are looked at one by one
QUANTILE = 0.95
EVENTS_SECONDS = 10
_ROUNDING = 1e-9
_OWN_LABELS = frozenset({METRIC_NAME, "job", "instance", "le"})


@dataclass(frozen=True, slots=True)
class Quantity:
    """One row of a grid. `query` is PromQL that shows the same in the metrics explorer; `floor` is in `unit`."""

    target: Target
    metric: str
    kind: Kind
    unit: Unit
    bad: int
    stat: str = "value"  # value, rate, p95, share, used
    labels: tuple[tuple[str, str], ...] = ()
    query: str = ""
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Grid:
    """`count` steps; column i is the time start_ms + (i + 1) * step_ms."""

    start_ms: int
    step_ms: int
    count: int

    @property
    def times(self) -> Int64s:
        """The ends of the steps in ms."""
        return self.start_ms + self.step_ms * np.arange(1, self.count + 1, dtype=np.int64)


@dataclass(slots=True)
class Derived:
    """Quantities and their values [quantities x steps]; NaN is a gap."""

    quantities: list[Quantity] = field(default_factory=list)
    rows: list[Float64s] = field(default_factory=list)

    def add(self, quantity: Quantity, values: Float64s) -> None:
        """Keep a row that has any value."""
        if np.isfinite(values).any():
            self.quantities.append(quantity)
            self.rows.append(values)

    def matrix(self, count: int) -> Float64s:
        """The rows as one matrix."""
        return np.vstack(self.rows) if self.rows else np.empty((0, count))


def gaps_ms(block: SeriesBlock) -> Float64s:
    """The usual distance of the samples of each series in ms; NaN for a series of one sample."""
    found = np.full(len(block), np.nan)
    for row in range(len(block)):
        ts, _v = block.samples(row)
        if len(ts) > 1:
            found[row] = np.median(np.diff(ts))
    return found


def interval_ms(block: SeriesBlock) -> int:
    """The distance of samples that a quarter of the series keep at least; 15 s when nothing can be said.

    Not the median over all samples: a few series with a long past would outvote the ones of now.
    """
    gaps = gaps_ms(block)
    gaps = gaps[gaps > 0]
    return int(np.quantile(gaps, 0.25)) if len(gaps) else 15_000


def derive(block: SeriesBlock, grid: Grid) -> Derived:
    """The quantities of all targets of a block (series without an instance are left out)."""
    block = block.without_stale()
    groups: dict[tuple[Target, str], list[tuple[dict[str, str], int]]] = {}
    for row, pairs in enumerate(block.labels):
        labels = dict(pairs)
        if "instance" in labels and METRIC_NAME in labels:
            key = ((labels.get("job", ""), labels["instance"]), labels[METRIC_NAME])
            groups.setdefault(key, []).append((labels, row))
    found = Derived()
    sampler = _Sampler(block, grid)
    for (target, name), members in sorted(groups.items()):
        what = meaning(name)
        if what.form == "histogram":
            _histogram(found, sampler, target, name, what, members)
        elif what.form == "counter":
            if not (name.endswith("_count") and (target, name.removesuffix("_count") + "_bucket") in groups):
                _counter(found, sampler, target, name, what, members)
        elif what.form == "gauge":
            sizes = groups.get((target, name.replace("_avail_", "_size_").replace("_free_", "_size_")), [])
            _gauge(found, sampler, target, name, what, members, sizes if "filesystem" in name else [])
    return found


class _Sampler:
    """Values of raw series at the ends of the steps."""

    def __init__(self, block: SeriesBlock, grid: Grid) -> None:
        self.block, self.grid = block, grid
        # two missed scrapes are no gap, whatever the series' own rhythm
        self.look_back_ms = 2.5 * np.fmax(grid.step_ms, np.nan_to_num(gaps_ms(block)))
        self.times = grid.times
        self.edges = np.concatenate(([grid.start_ms], self.times))

    def level(self, row: int) -> Float64s:
        """The newest sample at the end of each step."""
        ts, v = self.block.samples(row)
        return self._at(row, ts, v, self.times)[0]

    def rate(self, row: int) -> Float64s:
        """Increase a second over each step of a counter, measured between the samples that were taken."""
        ts, v = self.block.samples(row)
        if not len(ts):
            return np.full(self.grid.count, np.nan)
        steps = np.diff(v)
        grown = np.concatenate(([0.0], np.cumsum(np.where(steps < 0, v[1:], steps))))
        values, at = self._at(row, ts, grown, self.edges)
        elapsed = np.diff(at) / 1000.0
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(elapsed > 0, np.diff(values) / elapsed, np.nan)
        return np.asarray(rate)

    def _at(self, row: int, ts: Int64s, v: Float64s, times: Int64s) -> tuple[Float64s, Float64s]:
        place = np.searchsorted(ts, times, side="right") - 1
        known = (place >= 0) & (times - ts[np.maximum(place, 0)] < self.look_back_ms[row]) if len(ts) else place >= 0
        safe = np.maximum(place, 0)
        if not len(ts):
            nothing = np.full(len(times), np.nan)
            return nothing, nothing
        return np.where(known, v[safe], np.nan), np.where(known, ts[safe].astype(np.float64), np.nan)

    def total(self, rows: Iterable[int]) -> Float64s:
        """The sum of rates; a step at which no series has a value is a gap."""
        return _sum([self.rate(row) for row in rows], self.grid.count)

    def recent(self, rates: Float64s) -> Float64s:
        """The sum of rates over the last EVENTS_SECONDS: shares and quantiles of one or two events tell nothing."""
        width = max(1, -(-EVENTS_SECONDS * 1000 // self.grid.step_ms))
        known = np.isfinite(rates)
        total = np.cumsum(np.where(known, rates, 0.0), axis=-1)
        seen = np.cumsum(known, axis=-1)
        for running in (total, seen):
            running[..., width:] -= running[..., :-width].copy()
        total = np.where(total > _ROUNDING, total, 0.0)  # differences of sums are not exactly 0
        return np.asarray(np.where(seen > 0, total, np.nan))


def _sum(parts: Sequence[Float64s], count: int) -> Float64s:
    if not parts:
        return np.full(count, np.nan)
    stacked = np.vstack(parts)
    total = np.nansum(stacked, axis=0)
    total[~np.isfinite(stacked).any(axis=0)] = np.nan
    return np.asarray(total)


def _matchers(target: Target, labels: Mapping[str, str] | None = None) -> str:
    pairs = {"job": target[0], "instance": target[1], **(labels or {})}
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in pairs.items() if value}
    return ",".join(f'{name}="{value}"' for name, value in escaped.items())


Members = list[tuple[dict[str, str], int]]


def _counter(found: Derived, sampler: _Sampler, target: Target, name: str, what: Meaning, members: Members) -> None:
    if what.kind == "cpu":
        members = [(labels, row) for labels, row in members if counts_cpu_work(labels)]
    total = sampler.total(row for _labels, row in members)
    query = f"sum(rate({name}{{{_matchers(target)}}}[1m]))"
    floor = FLOORS[what.kind] if what.kind != "errors" else 0.05
    found.add(Quantity(target, name, what.kind, what.unit, what.bad, "rate", (), query, floor), total)
    label = outcome_label(members[0][0]) if members and what.kind == "traffic" else None
    if label is None:
        return
    bad = [(labels, row) for labels, row in members if is_bad(labels.get(label, ""))]
    failed = sampler.total(row for _labels, row in bad) if bad else np.zeros(sampler.grid.count)
    with np.errstate(divide="ignore", invalid="ignore"):
        events = sampler.recent(total)
        share = np.where(events > 0, np.nan_to_num(sampler.recent(np.nan_to_num(failed))) / events, np.nan)
    values = "|".join(sorted({labels[label] for labels, _row in bad}))
    own = _matchers(target)
    query = f'sum(rate({name}{{{own},{label}=~"{values}"}}[1m])) / sum(rate({name}{{{own}}}[1m]))'
    found.add(Quantity(target, name, "errors", "ratio", 1, "share", (), query, FLOORS["errors"]), share)


def _gauge(
    found: Derived, sampler: _Sampler, target: Target, name: str, what: Meaning, members: Members, sizes: Members
) -> None:
    if len(members) > MOST_LABEL_SETS:
        members = sorted(members, key=lambda each: sorted(each[0].items()))[:MOST_LABEL_SETS]
    by_labels = {_own(labels): row for labels, row in sizes}
    for labels, row in members:
        own = _own(labels)
        level = sampler.level(row)
        query = f"{name}{{{_matchers(target, dict(own))}}}"
        if own in by_labels and what.bad < 0:
            size = sampler.level(by_labels[own])
            with np.errstate(divide="ignore", invalid="ignore"):
                used = np.where(size > 0, 1 - level / size, np.nan)
            whole = name.replace("_avail_", "_size_").replace("_free_", "_size_")
            query = f"1 - {query} / {whole}{{{_matchers(target, dict(own))}}}"
            found.add(Quantity(target, name, what.kind, "ratio", 1, "used", own, query, FLOORS["disk"]), used)
            continue
        floor = FLOORS[what.kind] if what.unit in ("bytes", "count") or what.kind == "latency" else 0.01
        if what.kind in ("memory", "disk") and what.unit != "bytes":
            floor = 0.0
        found.add(Quantity(target, name, what.kind, what.unit, what.bad, "value", own, query, floor), level)


def _own(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The labels that tell series of one metric of one target apart, without those every series has alike."""
    return tuple(sorted((name, value) for name, value in labels.items() if name not in _OWN_LABELS))


def _histogram(found: Derived, sampler: _Sampler, target: Target, name: str, what: Meaning, members: Members) -> None:
    by_bound: dict[float, list[int]] = {}
    for labels, row in members:
        try:
            by_bound.setdefault(float(labels.get("le", "")), []).append(row)
        except ValueError:
            continue
    bounds = sorted(by_bound)
    if len(bounds) < 2 or not np.isinf(bounds[-1]):
        return
    rates = np.vstack([sampler.total(by_bound[bound]) for bound in bounds])
    counts = np.nan_to_num(sampler.recent(rates))
    base = name.removesuffix("_bucket")
    matchers = _matchers(target)
    query = f"histogram_quantile({QUANTILE}, sum by (le) (rate({name}{{{matchers}}}[1m])))"
    floor = FLOORS["latency"] if what.unit == "seconds" else 0.0
    steps = sampler.grid.count
    with np.errstate(divide="ignore", invalid="ignore"):
        values = bucket_quantile(np.full(steps, QUANTILE), np.tile(bounds, (steps, 1)), counts.T)[0]
    found.add(Quantity(target, base, what.kind, what.unit, what.bad, "p95", (), query, floor), values)
    if what.kind == "latency":
        query = f"sum(rate({base}_count{{{matchers}}}[1m]))"
        quantity = Quantity(target, base, "traffic", "per_second", 0, "rate", (), query, FLOORS["traffic"])
        found.add(quantity, rates[-1])
