"""Selectors over buckets instead of samples: when they may be used, and what functions say over them.

Where every window begins and ends at edges of buckets the answer is that of the samples: exactly, but that sums of
fractions are added up in another order. Elsewhere buckets are used only when samples cannot be (not kept any more, or
too many for one query): then windows are moved to the edges, and a warning says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tongchou.telemetry.buckets import WIDTH_NAMES, Buckets, Grid, RolledSeries, falls_between
from tongchou.telemetry.ports import RolledBackend
from tongchou.telemetry.promql import over_time, rates
from tongchou.telemetry.promql.grid import Context, Vector
from tongchou.telemetry.promql.parse import Matrix, Selector
from tongchou.telemetry.promql.windows import Windows, newest, windows_of
from tongchou.telemetry.series import STALE_NAN, Bools, Float64s, Int64s, Matcher, SeriesBlock

MIN_SPAN_MS = 24 * 3_600_000
MAX_EDGES = 16  # buckets cut by a window that are read as samples, each by a read of its own
EDGES_SHARE = 0.2  # of the range, at most, that is read so
_FIELDS = {
    "rate": ("n", "first_ts", "last_ts", "v_first", "v_last", "fallen"),
    "delta": ("n", "first_ts", "last_ts", "v_first", "v_last"),
    "min_over_time": ("n", "v_min"),
    "max_over_time": ("n", "v_max"),
    "sum_over_time": ("n", "v_sum"),
    "avg_over_time": ("n", "v_sum"),
    "count_over_time": ("n",),
    "present_over_time": ("n",),
    "last_over_time": ("n", "v_last"),
    "first_over_time": ("n", "v_first"),
    "ts_of_last_over_time": ("n", "last_ts"),
    "ts_of_first_over_time": ("n", "first_ts"),
}
_FIELDS["increase"] = _FIELDS["rate"]
_RESOLUTION = re.compile(r"^resolution (\S+) rollup")
_NEWEST = ("n", "last_ts", "v_last", "ends_stale")


def resolutions(infos: Sequence[str]) -> list[str]:
    """The widths ("5m", "1h") of the rollups that an answer with these infos was read from."""
    return sorted({found for info in infos for found in _RESOLUTION.findall(info)})


@dataclass(frozen=True, slots=True)
class _Plan:
    """Buckets of a width for windows that end at `ends`; `moved`: other windows than were asked for."""

    backend: RolledBackend
    width_ms: int
    ends: Int64s
    range_ms: int
    moved: bool
    edges: tuple[int, ...] = ()  # ends of the buckets that windows cut: their samples are read instead


def newest_rolled(ctx: Context, node: Selector, at: Int64s) -> tuple[SeriesBlock, Float64s, Bools, Int64s] | None:
    """(series, values, presence, timestamps) of an instant vector selector at these times; None: read samples."""
    plan = _plan(ctx, node.matcher_sets, at, 0, "instant selector")
    if plan is None:
        return None
    # Buckets as wide as the lookback at least before the first time: the newest sample is in one of them.
    reach = -(-ctx.lookback_ms // plan.width_ms) * plan.width_ms
    found = _read(ctx, plan, node.matcher_sets[0], reach, _NEWEST)
    if found is None:
        return None
    rows = found.buckets
    stale = rows.columns["ends_stale"] > 0
    filled = (rows.columns["n"] > 0) | stale
    if not filled.all():
        rows, stale = rows.where(filled), stale[filled]
    ts = np.where(stale, rows.end, rows.columns["last_ts"]).astype(np.int64)
    block = _block(found, rows, ts, np.where(stale, STALE_NAN, rows.columns["v_last"]))
    values, present, stamps = newest(block, plan.ends, ctx.lookback_ms)
    return block, values, present, stamps


def window_function(ctx: Context, name: str, node: Matrix, ends: Int64s) -> Vector | None:
    """A function of a range vector whose windows end at these times; None: read samples."""
    fields = _FIELDS.get(name)
    if fields is None:
        _explain(ctx, name, ends, node.range_ms)
        return None
    plan = _plan(ctx, node.selector.matcher_sets, ends, node.range_ms, name)
    if plan is None:
        return None
    found = _read(ctx, plan, node.selector.matcher_sets[0], plan.range_ms, fields)
    if found is None:
        return None
    rows = found.buckets.filled()
    block = _block(found, rows, rows.end, np.zeros(len(rows.end)))
    windows = windows_of(block, np.zeros(len(block), np.bool_), plan.ends, plan.range_ms)
    if name in ("rate", "increase", "delta"):
        return _extrapolated(ctx, windows, rows, name)
    return windows.vector(_value(ctx, windows, rows, name), windows.counts > 0)


def _block(found: RolledSeries, rows: Buckets, ts: Int64s, v: Float64s) -> SeriesBlock:
    counts = np.bincount(rows.series, minlength=len(found.labels))
    offsets = np.zeros(len(found.labels) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return SeriesBlock(found.labels, offsets, ts, v)


def _read(
    ctx: Context, plan: _Plan, matchers: tuple[Matcher, ...], range_ms: int, fields: tuple[str, ...]
) -> RolledSeries | None:
    first, last = int(plan.ends[0]), int(plan.ends[-1])
    step = int(plan.ends[1]) - first if len(plan.ends) > 1 else max(1000, range_ms)
    uneven = len(plan.ends) > 2 and (np.diff(plan.ends) != step).any()
    grid = Grid(first, last, 1000 if uneven else step, range_ms)
    if plan.edges:
        width = plan.width_ms
        begin, end = (first - range_ms) // width * width, -(-last // width) * width
        grid = Grid(end, end, 1000, end - begin)
    found = plan.backend.select_buckets(matchers, plan.width_ms, grid, fields, edges=plan.edges, limits=ctx.limits)
    if found is None:
        return None
    ctx.account(len(found.buckets))
    ctx.admit(len(found.labels), len(plan.ends))
    return found


def _plan(
    ctx: Context, matcher_sets: tuple[tuple[Matcher, ...], ...], ends: Int64s, range_ms: int, what: str
) -> _Plan | None:
    backend, least = ctx.backend, int(ends[0]) - range_ms
    if int(ends[-1]) - least < MIN_SPAN_MS or len(matcher_sets) != 1 or not isinstance(backend, RolledBackend):
        return None
    widths = backend.rolled_from_ms(least)
    for width, kept_from in widths:
        if range_ms % width == 0 and not (ends % width).any():
            ctx.infos[f"resolution {WIDTH_NAMES[width]} rollup: {what}"] = None
            if kept_from > least:
                ctx.warn(f"the {WIDTH_NAMES[width]} rollup does not reach back to the start of the range")
            return _Plan(backend, width, ends, range_ms, moved=False)
    if not widths:
        return None
    gone = least < backend.raw_from_ms()
    cut = None if gone or not range_ms else _cut(backend, widths, ends, range_ms)
    if cut is not None:
        ctx.infos[f"resolution {WIDTH_NAMES[cut.width_ms]} rollup: {what}"] = None
        return cut
    if not gone and backend.sample_estimate(matcher_sets[0], least, int(ends[-1])) <= ctx.limits.max_samples:
        return None
    step = int(ends[1]) - int(ends[0]) if len(ends) > 1 else 0
    fits = [width for width, _kept in widths if width <= max(step, range_ms)]
    width = fits[0] if fits else min(width for width, _kept in widths)
    why = "samples are not kept that long" if gone else "the samples are too many for one query"
    ctx.infos[f"resolution {WIDTH_NAMES[width]} rollup: {what}"] = None
    ctx.warn(f"{why}: {what} over the {WIDTH_NAMES[width]} rollup, windows moved to multiples of {WIDTH_NAMES[width]}")
    wide = max(width, (range_ms + width // 2) // width * width) if range_ms else 0
    return _Plan(backend, width, ends // width * width, wide, moved=True)


def _cut(backend: RolledBackend, widths: list[tuple[int, int]], ends: Int64s, range_ms: int) -> _Plan | None:
    """Whole buckets inside few long windows and samples at their edges; None where that is not much less to read."""
    least = int(ends[0]) - range_ms
    bounds = np.unique(np.concatenate((ends, ends - range_ms)))
    for width, kept_from in widths:
        edges = np.unique(-(-bounds[bounds % width != 0] // width) * width)
        if (
            kept_from <= least
            and len(edges) <= MAX_EDGES
            and len(edges) * width <= EDGES_SHARE * (int(ends[-1]) - least)
        ):
            return _Plan(backend, width, ends, range_ms, moved=False, edges=tuple(edges.tolist()))
    return None


def _explain(ctx: Context, name: str, ends: Int64s, range_ms: int) -> None:
    """Say why a function over a long range is slow, or sees only a part of it."""
    backend, least = ctx.backend, int(ends[0]) - range_ms
    if int(ends[-1]) - least < MIN_SPAN_MS or not isinstance(backend, RolledBackend):
        return
    if not backend.rolled_from_ms(least):
        return
    ctx.infos[f"resolution raw: rollups do not keep what {name} needs"] = None
    if least < backend.raw_from_ms():
        ctx.warn(f"samples are not kept that long, and rollups do not serve {name}: it sees only a part of the range")


def _value(ctx: Context, windows: Windows, rows: Buckets, name: str) -> Float64s:
    """An *_over_time function over windows of filled buckets."""
    present = windows.counts > 0
    if name == "present_over_time":
        return np.ones(present.shape)
    if name in ("count_over_time", "avg_over_time"):
        running = np.concatenate(([0], np.cumsum(rows.columns["n"])))
        counts = (running[windows.hi] - running[windows.lo]).astype(np.float64)
        if name == "count_over_time":
            return counts
        return _of(ctx, windows, rows.columns["v_sum"], "sum_over_time") / counts
    column = rows.columns[_FIELDS[name][1]]
    if name.startswith("ts_of"):
        return _of(ctx, windows, column / 1000, name.removeprefix("ts_of_"))
    return _of(ctx, windows, column.astype(np.float64), name)


def _of(ctx: Context, windows: Windows, column: Float64s, name: str) -> Float64s:
    block = SeriesBlock(windows.labels, windows.block.offsets, None, column, clocks=windows.block.clocks)
    over = replace(windows, block=block)
    return over_time.over_time(ctx, over, name).values


def _extrapolated(ctx: Context, windows: Windows, rows: Buckets, name: str) -> Vector:
    """rate, increase and delta: as over samples, for a window's first and last sample and its falls are known."""
    columns = rows.columns
    filled = windows.counts > 0
    first, last = np.where(filled, windows.lo, 0), np.where(filled, windows.hi - 1, 0)
    running = np.concatenate(([0], np.cumsum(columns["n"])))
    counts = running[windows.hi] - running[windows.lo]
    if name != "delta":
        rates.remark_non_counters(ctx, windows.labels, windows.counts)
    present = counts >= 2
    if not present.any():
        return windows.vector(np.full(present.shape, np.nan), present)
    change = columns["v_last"][last] - columns["v_first"][first]
    if name != "delta":
        between = falls_between(columns["v_first"], columns["v_last"], rows.series)
        # What fell between the window's first bucket and the one before it fell outside: hence lo + 1.
        change = change + _sums(columns["fallen"], windows.lo, windows.hi) + _sums(between, windows.lo + 1, windows.hi)
    edges = rates.Edges(columns["v_first"][first], columns["first_ts"][first], columns["last_ts"][last], counts)
    return windows.vector(rates.extrapolate(change, edges, windows, name), present)


def _sums(column: Float64s, lo: Int64s, hi: Int64s) -> Float64s:
    """Sums of column[lo:hi], 0 where that is empty. Most counters never fall."""
    out = np.zeros(lo.shape)
    where = np.flatnonzero(column)
    if not len(where):
        return out
    begin, end = np.searchsorted(where, lo), np.searchsorted(where, hi)
    hit = end > begin
    if hit.any():
        pairs = np.stack((begin[hit], end[hit]), axis=1).ravel()
        out[hit] = np.add.reduceat(np.append(column[where], 0.0), pairs)[0::2]
    return out
