"""Samples rolled up into buckets of equal width, so that what a window of whole buckets says is what its samples say.

A bucket that ends at E covers (E - width, E], as PromQL's windows do. Pure NumPy: no database, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tongchou.telemetry.series import Bools, Float64s, Int64s, Labels, is_stale

FIVE_MINUTES_MS, HOUR_MS = 300_000, 3_600_000
WIDTHS_MS = (HOUR_MS, FIVE_MINUTES_MS)  # coarsest first
WIDTH_NAMES = {HOUR_MS: "1h", FIVE_MINUTES_MS: "5m"}

Column = npt.NDArray[Any]  # int64 or float64, by its name
_TIMES = ("first_ts", "last_ts")
_FLOATS = ("v_first", "v_last", "v_min", "v_max", "v_sum", "fallen")
FIELDS = ("n", *_TIMES, *_FLOATS, "ends_stale")


@dataclass(slots=True)
class Buckets:
    """Buckets of many series; rows ascend by (series, end), each pair once.

    series: position of the series; end: ms; columns: some of FIELDS beside them:
    - n: samples without staleness markers. Of a bucket with n = 0 all but `end` and `ends_stale` says nothing.
    - first_ts, last_ts (ms), v_first, v_last: the oldest and newest sample
    - v_min, v_max (NaN only when every value is), v_sum
    - fallen: what a counter had reached each time it fell within the bucket, summed
    - ends_stale: the newest thing in the bucket is a staleness marker
    """

    series: Int64s
    end: Int64s
    columns: dict[str, Column]

    def __len__(self) -> int:
        return len(self.end)

    def where(self, mask: Bools | Int64s) -> Buckets:
        """Only these rows (a mask, or indices in the order wanted)."""
        kept = {name: column[mask] for name, column in self.columns.items()}
        return Buckets(self.series[mask], self.end[mask], kept)

    def filled(self) -> Buckets:
        """Only the buckets with samples."""
        empty = self.columns["n"] == 0
        return self.where(~empty) if empty.any() else self


@dataclass(slots=True)
class RolledSeries:
    """The buckets of some series: `buckets.series` counts in `labels`."""

    width_ms: int
    labels: list[Labels]
    buckets: Buckets


@dataclass(frozen=True, slots=True)
class Grid:
    """Which windows a query wants: (E - range, E] for E = last, last - step, ... not before first; all ms."""

    first_ms: int
    last_ms: int
    step_ms: int
    range_ms: int

    @property
    def start_ms(self) -> int:
        """Where the oldest window begins (itself not included)."""
        return self.first_ms - self.range_ms


def samples_as_buckets(series: Int64s, ts: Int64s, v: Float64s) -> Buckets:
    """Every sample as a bucket of its own, to be made coarser; ascending by (series, ts), each pair once."""
    stale = is_stale(v)
    columns: dict[str, Column] = {
        "n": (~stale).astype(np.int64),
        "ends_stale": stale.astype(np.int64),
        "fallen": np.zeros(len(v)),
    }
    for name in _TIMES:
        columns[name] = ts
    for name in ("v_first", "v_last", "v_min", "v_max", "v_sum"):
        columns[name] = v
    return Buckets(series, ts, columns)


def coarser(fine: Buckets, width_ms: int) -> Buckets:
    """Buckets of the width out of finer ones (whose edges do not cross it) with all FIELDS."""
    end = -(-fine.end // width_ms) * width_ms
    starts = _changes(fine.series, end)
    if not len(starts):
        return Buckets(fine.series, end, dict(fine.columns))
    group = np.zeros(len(end), np.int64)
    group[starts[1:]] = 1
    group = np.cumsum(group)
    last_rows = np.append(starts[1:], len(end)) - 1
    out: dict[str, Column] = {
        "n": np.add.reduceat(fine.columns["n"], starts),
        "ends_stale": fine.columns["ends_stale"][last_rows],
        **{name: end[starts].copy() for name in _TIMES},
        **{name: np.full(len(starts), np.nan) for name in _FLOATS},
    }
    rows = np.flatnonzero(fine.columns["n"] > 0)
    if len(rows):
        _fold(fine.where(rows), group[rows], out)
    return Buckets(fine.series[starts], end[starts], out)


def _changes(series: Int64s, end: Int64s) -> Int64s:
    """Rows at which another (series, end) begins."""
    if not len(end):
        return np.zeros(0, np.int64)
    differs = (series[1:] != series[:-1]) | (end[1:] != end[:-1])
    return np.flatnonzero(np.append(True, differs))


def _fold(fine: Buckets, group: Int64s, out: dict[str, Column]) -> None:
    """Write what the filled buckets of each group say together."""
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    ends = np.append(starts[1:], len(group)) - 1
    full = group[starts]
    have = fine.columns
    out["first_ts"][full], out["v_first"][full] = have["first_ts"][starts], have["v_first"][starts]
    out["last_ts"][full], out["v_last"][full] = have["last_ts"][ends], have["v_last"][ends]
    out["v_min"][full] = np.fmin.reduceat(have["v_min"], starts)
    out["v_max"][full] = np.fmax.reduceat(have["v_max"], starts)
    fallen = have["fallen"] + falls_between(have["v_first"], have["v_last"], group)
    with np.errstate(all="ignore"):  # infinities and NaN are values
        out["v_sum"][full] = np.add.reduceat(have["v_sum"], starts)
        out["fallen"][full] = np.add.reduceat(fallen, starts)


def falls_between(first: Float64s, last: Float64s, group: Int64s) -> Float64s:
    """For every filled bucket what the one before it, of the same group, had reached when it begins lower; else 0."""
    out = np.zeros(len(first))
    fell = np.flatnonzero((first[1:] < last[:-1]) & (group[1:] == group[:-1])) + 1
    out[fell] = last[fell - 1]
    return out


def in_bucket_order(buckets: Buckets, made: Int64s) -> Buckets:
    """The buckets by (series, end); where one came several times the one that was made last."""
    if len(buckets) < 2:
        return buckets
    low = int(buckets.end.min())
    key = buckets.series * (int(buckets.end.max()) - low + 1) + (buckets.end - low)
    if (key[1:] > key[:-1]).all():
        return buckets
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((made, key))
        ordered = key[order]
        order = order[np.append(ordered[1:] != ordered[:-1], True)]
    return buckets.where(order)
