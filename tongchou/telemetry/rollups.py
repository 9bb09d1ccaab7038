"""Rollups of one database: what is rolled when, and buckets read back, the newest made on the fly from raw samples.

Hours are rolled whole, some minutes after they ended, and again when late samples touched them. A killed process loses
nothing: an hour counts as rolled only once that is written, and rolling it twice gives the same rows. An hour that is
not rolled yet is read raw. Late samples of a rolled hour show up in rollups when it was rolled again (`lag_seconds`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.telemetry.buckets import (
    FIELDS,
    FIVE_MINUTES_MS,
    HOUR_MS,
    WIDTHS_MS,
    Buckets,
    Grid,
    coarser,
    in_bucket_order,
    samples_as_buckets,
)
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Float64s, Int64s
from tongchou.telemetry.store.rollup_tables import FOR_GOOD, RollupTables, between, kept_from_ms, on_grid
from tongchou.telemetry.store.tables import Tables
from tongchou.telemetry.window import in_order

log = logging.getLogger(__name__)

AFTER_END_MS = 10 * 60 * 1000  # an hour is rolled this long after its end
LATE_MS = 5 * 60 * 1000  # samples that come this long after the end of their hour touch it anew, each time
STATE_SECONDS = 5.0
MAX_HOURS_AT_ONCE = 24
MAX_SAMPLES_AT_ONCE = 5_000_000
SLICE_MS = FIVE_MINUTES_MS
MAX_MARKS = 20_000
_TIMEOUT_SECONDS, _MEMORY_BYTES = 300.0, 4_000_000_000

Columns = tuple[Int64s, Int64s, Float64s]  # offsets, ts, v in compressed sparse rows
ReadRaw = Callable[[int, int], Columns]


@dataclass(frozen=True, slots=True)
class _State:
    """Which hours have samples and which are rolled (ascending), as of a moment of the monotonic clock."""

    touched: Int64s
    done: Int64s
    frozen_to: int  # samples up to this hour were dropped before their time
    as_of: float


class Rollups:
    """Makes and reads the rollups of one database. Thread-safe."""

    def __init__(
        self, raw: Tables, tables: RollupTables, clock: Callable[[], int], *, lag_seconds: float = 180.0
    ) -> None:
        self._raw, self.tables, self._clock = raw, tables, clock
        self.lag_seconds = lag_seconds  # a write and its mark are this far apart at the most
        self._marks: dict[int, int] = {}  # hour -> when it was last marked as touched
        self._lock = threading.Lock()
        self._rolling = threading.Lock()
        self._state_now: _State | None = None

    def open(self) -> None:
        """Make the tables; a store that is older than its rollups has all its hours rolled from now on."""
        self.tables.create()
        if not len(self.tables.touched()):
            hours = self.tables.hours_with_samples()
            if len(hours):
                self.tables.touch(hours)
        self._raw.set_longer_days(max(self.tables.retention_days.values()))
        self._raw.before_insert = self.note

    # --- writing ----------------------------------------------------------------------------------------------------
    def note(self, ts: Int64s) -> None:
        """Samples of these times are about to be written into the raw table; their hours must be rolled (again)."""
        if not len(ts):
            return
        low, high = -(-int(ts.min()) // HOUR_MS), -(-int(ts.max()) // HOUR_MS)
        if low == high:
            hours = np.array([low])
        elif high - low < MAX_MARKS:
            hours = low + np.flatnonzero(np.bincount(-(-ts // HOUR_MS) - low))  # sorting took a tenth of an insert
        else:
            hours = np.unique(-(-ts // HOUR_MS))
        now = self._clock()
        with self._lock:
            wanted = [hour for hour in hours.tolist() if self._must_mark(hour, now)]
        if not wanted:
            return
        self.tables.touch(np.array(wanted, dtype=np.int64))
        with self._lock:
            if len(self._marks) > MAX_MARKS:
                self._marks.clear()
            self._marks.update(dict.fromkeys(wanted, now))
            self._state_now = None

    def _must_mark(self, hour: int, now_ms: int) -> bool:
        marked = self._marks.get(hour)
        if marked is None:
            return True
        # A third of the lag: the mark of a write is at most that old, and the write itself takes less than the rest.
        return now_ms > hour * HOUR_MS + LATE_MS and now_ms - marked >= self.lag_seconds * 1000 / 3

    def roll_due(self, *, budget_seconds: float = 20.0, stopped: Callable[[], bool] = lambda: False) -> int:
        """Roll the hours that are due, oldest first, about as long as the budget; returns how many were rolled."""
        deadline = time.monotonic() + budget_seconds
        with self._rolling:
            now, cut = self._clock(), self.tables.now_ms() - round(self.lag_seconds * 1000)
            hours = self.tables.due(cut)
            hours = hours[(hours * HOUR_MS + AFTER_END_MS <= now) & ((hours - 1) * HOUR_MS >= self.raw_from_ms())]
            rolled = 0
            while rolled < len(hours) and time.monotonic() < deadline and not stopped():
                part = self._together(hours[rolled : rolled + MAX_HOURS_AT_ONCE])
                self._roll(part, cut)
                rolled += len(part)
        return rolled

    def _together(self, hours: Int64s) -> Int64s:
        """The first of these hours that follow each other and have few enough samples to be rolled at once."""
        breaks = np.flatnonzero(np.diff(hours) != 1)
        if len(breaks):
            hours = hours[: breaks[0] + 1]
        while len(hours) > 1:
            samples = self._raw.count((int(hours[0]) - 1) * HOUR_MS + 1, int(hours[-1]) * HOUR_MS)
            if samples <= MAX_SAMPLES_AT_ONCE:
                break
            hours = hours[: len(hours) // 2]
        return hours

    def _roll(self, hours: Int64s, cut_ms: int) -> None:
        """Roll hours that follow each other; everything touched until `cut_ms` is in it."""
        start, end = (int(hours[0]) - 1) * HOUR_MS, int(hours[-1]) * HOUR_MS
        big = len(hours) == 1 and self._raw.count(start + 1, end) > MAX_SAMPLES_AT_ONCE
        width = SLICE_MS if big else end - start
        fine = [self._five_minutes(begin, begin + width) for begin in range(start, end, width)]
        five = in_bucket_order(_stacked(fine), np.zeros(sum(map(len, fine)), np.int64))
        self.tables.insert(FIVE_MINUTES_MS, five, cut_ms)
        self.tables.insert(HOUR_MS, coarser(five, HOUR_MS), cut_ms)
        self.tables.mark_done(hours, cut_ms)
        with self._lock:
            self._state_now = None

    def _five_minutes(self, start_ms: int, end_ms: int) -> Buckets:
        """Buckets of 5 minutes, by store id, of all raw samples of (start, end]."""
        found = self._raw.read(
            "1", start_ms + 1, end_ms,
            max_samples=2**62, timeout_seconds=_TIMEOUT_SECONDS, max_memory_bytes=_MEMORY_BYTES,
        )  # fmt: skip
        sids, series = np.unique(found.sid, return_inverse=True)
        offsets, ts, v = in_order(series.astype(np.int64), found.ts, found.v, len(sids))
        return coarser(samples_as_buckets(np.repeat(sids, np.diff(offsets)), ts, v), FIVE_MINUTES_MS)

    def set_retention(self, width_ms: int, days: int) -> None:
        """Keep buckets of this width so long; hours whose buckets went are rolled again while their samples exist."""
        before = self.tables.retention_days[width_ms]
        if days > before:
            now = self._clock()
            oldest = max(self.raw_from_ms(), kept_from_ms(days, now))
            self.tables.forget_done(oldest // HOUR_MS, kept_from_ms(before, now) // HOUR_MS + 24 * 31)
        self.tables.set_retention(width_ms, days)
        self._raw.set_longer_days(max(self.tables.retention_days.values()))
        with self._lock:
            self._state_now = None

    def freeze(self, days: Sequence[int]) -> None:
        """The samples of these days (since the epoch) are dropped: their hours stay as they were rolled."""
        hours = np.unique(np.concatenate([np.arange(day * 24, day * 24 + 25) for day in days]))
        self.tables.mark_done(hours, FOR_GOOD)
        with self._lock:
            self._state_now = None

    # --- reading ----------------------------------------------------------------------------------------------------
    def raw_from_ms(self) -> int:
        """Raw samples older than this are not kept."""
        return max(kept_from_ms(self._raw.retention_days, self._clock()), self._state().frozen_to * HOUR_MS)

    def widths_from(self, start_ms: int) -> list[tuple[int, int]]:
        """(width, the oldest time it is kept for) of those that reach furthest towards `start_ms`, coarsest first."""
        if not len(self._state().done):
            return []
        now = self._clock()
        reach = [(width, kept_from_ms(self.tables.retention_days[width], now)) for width in WIDTHS_MS]
        full = [pair for pair in reach if pair[1] <= start_ms]
        return full or sorted(reach, key=lambda pair: pair[1])

    def _state(self) -> _State:
        with self._lock:
            state = self._state_now
        if state is None or time.monotonic() - state.as_of > STATE_SECONDS:
            as_of = time.monotonic()
            frozen = self.tables.frozen()
            state = _State(self.tables.touched(), self.tables.done(), int(frozen.max(initial=0)), as_of)
            with self._lock:
                self._state_now = state
        return state

    def gaps(self, start_ms: int, end_ms: int) -> list[tuple[int, int]] | None:
        """The parts (from, to] of the interval that must be read raw, for they are not rolled yet.

        None when that is more than half of it.
        """
        state = self._state()
        newest = int(state.done.max(initial=0))
        hours = np.arange(start_ms // HOUR_MS + 1, -(-end_ms // HOUR_MS) + 1)
        raw = (hours > newest) | (np.isin(hours, state.touched) & ~np.isin(hours, state.done))
        if 2 * np.count_nonzero(raw) > len(hours):
            return None
        edges = np.flatnonzero(np.diff(np.concatenate(([0], raw.astype(np.int8), [0]))))
        return [
            (max(start_ms, (int(hours[a]) - 1) * HOUR_MS), min(end_ms, int(hours[b - 1]) * HOUR_MS))
            for a, b in zip(edges[0::2], edges[1::2], strict=True)
        ]

    def read(
        self,
        width_ms: int,
        grid: Grid,
        condition: str,
        place: Callable[[Int64s], Int64s],
        read_raw: ReadRaw,
        *,
        fields: Sequence[str],
        edges: Sequence[int] = (),
        limits: Limits,
    ) -> Buckets | None:
        """Buckets for the windows of the grid; None when so little is rolled that raw samples must be read.

        `condition` chooses store ids, `place` gives their positions (-1: not wanted), `read_raw(from, to)` reads the
        samples of a closed interval by position. Samples come instead of the buckets that end at `edges`.
        """
        gaps = self.gaps(grid.start_ms, grid.last_ms)
        if gaps is None:
            return None
        wanted = [condition, between(grid.start_ms, grid.last_ms)]
        wanted += [f"NOT ({between(start, end)})" for start, end in gaps]
        if edges:
            wanted.append(f"toUnixTimestamp(e) NOT IN ({','.join(str(end // 1000) for end in edges)})")
        if grid.step_ms > grid.range_ms:
            wanted.append(on_grid(grid.last_ms, grid.step_ms, grid.range_ms))
        stored = self.tables.read(
            width_ms, " AND ".join(wanted), list(fields), max_rows=limits.max_samples,
            timeout_seconds=limits.timeout_seconds, max_memory_bytes=limits.max_memory_bytes,
        )  # fmt: skip
        if len(stored.made) > limits.max_samples:
            raise Invalid(
                "telemetry.limit_exceeded",
                _("The query reads more than %(limit)d samples.") % {"limit": limits.max_samples},
                remedy=_("Ask for a shorter range or fewer series."),
            )
        positions = place(stored.buckets.series)
        known = positions >= 0
        rows, made = Buckets(positions, stored.buckets.end, stored.buckets.columns), stored.made
        if not known.all():
            rows, made = rows.where(known), made[known]
        parts = [rows]
        for start, end in gaps:
            made_now = coarser(_samples(read_raw(start + 1, end)), width_ms)
            parts.append(made_now.where(~np.isin(made_now.end, edges)) if edges else made_now)
        parts += [_samples(read_raw(end - width_ms + 1, end)) for end in edges]
        newest = np.full(sum(len(part) for part in parts[1:]), FOR_GOOD, np.int64)
        return in_bucket_order(_stacked(parts, fields), np.concatenate((made, newest)))

    def samples_in(self, condition: str, start_ms: int, end_ms: int) -> int:
        """About how many raw samples the interval has, by what is rolled of it."""
        return self.tables.samples_in(f"{condition} AND {between(start_ms, end_ms)}", timeout_seconds=10.0)


def _samples(columns: Columns) -> Buckets:
    """Samples by position, each as a bucket of its own."""
    offsets, ts, v = columns
    return samples_as_buckets(np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets)), ts, v)


def _stacked(parts: Sequence[Buckets], fields: Sequence[str] = FIELDS) -> Buckets:
    """Several blocks of buckets behind each other."""
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in fields}
    series, end = (np.concatenate([getattr(part, name) for part in parts]) for name in ("series", "end"))
    return Buckets(series, end, columns)
