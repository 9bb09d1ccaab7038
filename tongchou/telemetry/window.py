"""The newest samples in memory: small queries, rules and live panels read them without touching the store.

Samples lie in pages of PAGE samples; each series owns a chain of pages from its oldest to its newest. Appending and
reading are NumPy over all series at once. Memory is 16 bytes a sample plus on average half a page a series.

Invariant, proven against the store by test: the window holds every accepted sample with ts >= `covered_from_ms`.
Pure: no database, no clock (the caller says what time it is). Thread-safe.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from tongchou.telemetry.series import Bools, Float64s, Int64s

PAGE = 32
_PAGE_BYTES = PAGE * 16 + 32
_NEVER = np.iinfo(np.int64).min
_GROWTH_PAGES = 256


class Window:
    """Samples of the newest `length_seconds`, at most about `max_bytes` of them."""

    def __init__(self, *, length_seconds: int, max_bytes: int) -> None:
        self.length_ms = length_seconds * 1000
        self.max_pages = max(16, max_bytes // _PAGE_BYTES)
        self.covered_from_ms: int = np.iinfo(np.int64).max
        self._lock = threading.RLock()
        self._ts: npt.NDArray[np.int64] = np.empty((0, PAGE), np.int64)
        self._v: npt.NDArray[np.float64] = np.empty((0, PAGE), np.float64)
        self._newer: Int64s = np.empty(0, np.int64)  # page -> the next page of its series, -1 at the end
        self._older: Int64s = np.empty(0, np.int64)
        self._newest_ts: Int64s = np.empty(0, np.int64)  # page -> greatest ts in it
        self._free: list[int] = []
        self._head: Int64s = np.empty(0, np.int64)  # row -> newest page, -1 when the series has none
        self._tail: Int64s = np.empty(0, np.int64)
        self._fill: Int64s = np.empty(0, np.int64)  # row -> samples in the newest page
        self._last: Int64s = np.empty(0, np.int64)  # row -> greatest ts appended
        self._disorder: Bools = np.empty(0, np.bool_)  # row -> samples are not ascending, or repeat a ts
        self._samples = 0

    def start(self, now_ms: int) -> None:
        """Begin to cover the last `length_seconds` before `now_ms`; the caller then appends what the store holds."""
        with self._lock:
            self.covered_from_ms = now_ms - self.length_ms

    @property
    def bytes_used(self) -> int:
        """Memory of all pages, free ones included."""
        return len(self._newer) * _PAGE_BYTES

    @property
    def sample_count(self) -> int:
        """Samples held, about: what expiry has not swept yet counts."""
        return self._samples

    def covers(self, start_ms: int) -> bool:
        """Whether every accepted sample from `start_ms` on is here."""
        return start_ms >= self.covered_from_ms

    def append(self, rows: Int64s, ts: Int64s, v: Float64s, *, now_ms: int) -> None:
        """Add samples in any order. Older ones than the window are left to the store."""
        with self._lock:
            self._expire(now_ms - self.length_ms)
            recent = ts >= self.covered_from_ms
            if not recent.all():
                rows, ts, v = rows[recent], ts[recent], v[recent]
            if len(rows):
                self._grow_rows(int(rows.max()) + 1)
                self._append(rows, ts, v)

    def _append(self, rows: Int64s, ts: Int64s, v: Float64s) -> None:
        order = np.lexsort((ts, rows))
        rows, ts, v = rows[order], ts[order], v[order]
        first = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
        if len(first) == len(rows):
            self._append_one_each(rows, ts, v)
            return
        # The n-th sample of every series together: at most one sample a series in each step.
        rank = np.arange(len(rows)) - np.repeat(first, np.diff(np.r_[first, len(rows)]))
        by_rank = np.argsort(rank, kind="stable")
        bounds = np.cumsum(np.bincount(rank))
        for part in np.split(by_rank, bounds[:-1]):
            self._append_one_each(rows[part], ts[part], v[part])

    def _append_one_each(self, rows: Int64s, ts: Int64s, v: Float64s) -> None:
        """Append one sample to each of distinct rows."""
        while True:
            needs = (self._head[rows] < 0) | (self._fill[rows] == PAGE)
            wanted = int(needs.sum())
            if len(self._free) >= wanted:
                break
            if not self._make_room(wanted):
                # The cap is below one page a series: nothing can be kept, all is read from the store.
                self._expire(max(int(ts.max()), int(self._newest_ts.max(initial=_NEVER))) + 1)
                return
            recent = ts >= self.covered_from_ms  # making room may have moved the start of the window
            rows, ts, v = rows[recent], ts[recent], v[recent]
        if wanted:
            self._new_pages(rows[needs], wanted)
        self._disorder[rows] |= ts <= self._last[rows]
        page, at = self._head[rows], self._fill[rows]
        self._ts[page, at] = ts
        self._v[page, at] = v
        self._fill[rows] = at + 1
        self._last[rows] = np.maximum(self._last[rows], ts)
        self._newest_ts[page] = np.maximum(self._newest_ts[page], ts)
        self._samples += len(rows)

    def _new_pages(self, rows: Int64s, count: int) -> None:
        pages = np.array(self._free[-count:], dtype=np.int64)
        del self._free[-count:]
        self._newest_ts[pages] = _NEVER
        self._ts[pages] = _NEVER
        old = self._head[rows]
        self._newer[pages] = -1
        self._older[pages] = old
        linked = old >= 0
        self._newer[old[linked]] = pages[linked]
        self._tail[rows[~linked]] = pages[~linked]
        self._head[rows] = pages
        self._fill[rows] = 0

    def _make_room(self, pages: int) -> bool:
        """Have `pages` free pages: grow up to the cap, then give up the oldest part of the window."""
        if pages > self.max_pages:
            return False
        total = len(self._newer)
        wanted = total + pages - len(self._free)
        self._grow_pages(min(self.max_pages, max(wanted, total + total // 2, _GROWTH_PAGES)))
        while len(self._free) < pages:
            tails = self._newest_ts[self._tail[self._tail >= 0]]
            # An eighth of the chains' oldest pages at least, so that the cap is not met again at once.
            cut = int(np.partition(tails, len(tails) // 8)[len(tails) // 8]) + 1
            self._expire(max(cut, self.covered_from_ms + 1))
        return True

    def _expire(self, from_ms: int) -> None:
        """Stop covering what is older than `from_ms` and free the pages that hold nothing younger."""
        self.covered_from_ms = max(self.covered_from_ms, from_ms)
        while True:
            rows = np.flatnonzero(self._tail >= 0)
            rows = rows[self._newest_ts[self._tail[rows]] < self.covered_from_ms]
            if not len(rows):
                return
            pages = self._tail[rows]
            following = self._newer[pages]
            self._samples -= int(np.where(following >= 0, PAGE, self._fill[rows]).sum())
            self._tail[rows] = following
            ended = following < 0
            self._older[following[~ended]] = -1
            self._head[rows[ended]] = -1
            self._fill[rows[ended]] = 0
            self._last[rows[ended]] = _NEVER
            self._disorder[rows[ended]] = False
            self._free.extend(pages.tolist())

    def _grow_rows(self, count: int) -> None:
        have = len(self._head)
        if count <= have:
            return
        extra = max(count, have + have // 2, 256) - have
        self._head = np.r_[self._head, np.full(extra, -1, np.int64)]
        self._tail = np.r_[self._tail, np.full(extra, -1, np.int64)]
        self._fill = np.r_[self._fill, np.zeros(extra, np.int64)]
        self._last = np.r_[self._last, np.full(extra, _NEVER, np.int64)]
        self._disorder = np.r_[self._disorder, np.zeros(extra, np.bool_)]

    def _grow_pages(self, count: int) -> None:
        have = len(self._newer)
        extra = count - have
        if extra <= 0:
            return
        self._ts = np.concatenate([self._ts, np.full((extra, PAGE), _NEVER, np.int64)])
        self._v = np.concatenate([self._v, np.empty((extra, PAGE), np.float64)])
        self._newer = np.r_[self._newer, np.full(extra, -1, np.int64)]
        self._older = np.r_[self._older, np.full(extra, -1, np.int64)]
        self._newest_ts = np.r_[self._newest_ts, np.full(extra, _NEVER, np.int64)]
        self._free.extend(range(count - 1, have - 1, -1))

    def select(self, rows: Int64s, start_ms: int, end_ms: int) -> tuple[Int64s, Int64s, Float64s] | None:
        """Samples of the closed interval for ascending rows, as (offsets, ts, v) in compressed sparse rows.

        Timestamps ascend and are unique within a series. None when the window does not cover `start_ms` (it may have
        moved since `covers` was asked).
        """
        with self._lock:
            if not self.covers(start_ms):
                return None
            known = int(np.searchsorted(rows, len(self._head)))
            disordered = rows[:known][self._disorder[rows[:known]]]
            if len(disordered):
                self._put_in_order(disordered)
            counts, ts, v = self._gather(rows[:known], start_ms, end_ms)
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(counts, out=offsets[1 : known + 1])
        offsets[known + 1 :] = offsets[known]
        return offsets, ts, v

    def _gather(self, rows: Int64s, start_ms: int, end_ms: int) -> tuple[Int64s, Int64s, Float64s]:
        """(samples per row, ts, v) of the interval in the order of arrival, which is that of time unless disordered."""
        steps: list[Int64s] = []
        pages = self._head[rows]
        while (pages >= 0).any():
            steps.append(pages)
            older = np.where(pages >= 0, self._older[np.maximum(pages, 0)], -1)
            pages = np.where((older >= 0) & (self._newest_ts[np.maximum(older, 0)] >= start_ms), older, -1)
        if not steps:
            return np.zeros(len(rows), np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64)
        chain = np.stack(steps[::-1], axis=1)  # [series x pages], oldest first, -1 where a chain is shorter
        present = np.maximum(chain, 0)
        ts = self._ts[present]
        inside = (ts >= start_ms) & (ts <= end_ms)
        if (chain < 0).any():
            inside &= (chain >= 0)[:, :, None]
        return inside.sum(axis=(1, 2), dtype=np.int64), ts[inside], self._v[present][inside]

    def _put_in_order(self, rows: Int64s) -> None:
        """Rewrite the chains of these rows with ascending, unique timestamps (late or repeated samples came in)."""
        counts, ts, v = self._gather(rows, _NEVER + 1, np.iinfo(np.int64).max)
        offsets, ts, v = in_order(np.repeat(np.arange(len(rows), dtype=np.int64), counts), ts, v, len(rows))
        pages = self._tail[rows]
        while True:
            pages = pages[pages >= 0]
            if not len(pages):
                break
            self._free.extend(pages.tolist())
            pages = self._newer[pages]
        self._head[rows] = self._tail[rows] = -1
        self._fill[rows] = 0
        self._last[rows] = _NEVER
        self._disorder[rows] = False
        self._samples -= int(counts.sum())
        self._append(np.repeat(rows, np.diff(offsets)), ts, v)


def in_order(series: Int64s, ts: Int64s, v: Float64s, count: int) -> tuple[Int64s, Int64s, Float64s]:
    """(offsets, ts, v) in compressed sparse rows out of samples in any order, each (series, ts) once.

    Where one timestamp came with several values, the one whose bits are the greatest unsigned number stays: a rule
    that does not depend on the order of arrival, so the window and the store agree.
    """
    counts = np.bincount(series, minlength=count)
    if len(ts):
        low = int(ts.min())
        key = series * (int(ts.max()) - low + 1) + (ts - low)
        if (key[1:] <= key[:-1]).any():
            order = np.argsort(key, kind="stable")
            key, ts, v = key[order], ts[order], v[order]
            if (key[1:] == key[:-1]).any():
                series = series[order]
                order = np.lexsort((v.view(np.uint64), key))
                last = order[np.r_[key[1:] != key[:-1], True]]
                ts, v, counts = ts[last], v[last], np.bincount(series[last], minlength=count)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets, ts, v
