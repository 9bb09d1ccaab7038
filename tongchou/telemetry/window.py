"""The newest samples in memory: small queries, rules and live panels read them without touching the store.

Samples lie in pages of PAGE samples; each series owns a chain of pages from its oldest to its newest. Appending and
reading are NumPy over all series at once. Memory is 16 bytes a sample plus on average half a page a series.

Invariant, proven against the store by test: the window holds every accepted sample with ts >= `covered_from_ms`.
Pure: no database, no clock (the caller says what time it is). Thread-safe.
"""

from __future__ import annotations

import os
import threading

import numpy as np
import numpy.typing as npt

from tongchou.telemetry.block_cache import BlockCache
from tongchou.telemetry.series import Bools, Clocks, Float64s, Int64s, mixed, run_starts

PAGE = 32
_PAGE_BYTES = PAGE * 16 + 40
_NEVER = np.iinfo(np.int64).min
_GROWTH_PAGES = 256
_RUN = 64 * PAGE  # samples of one series that are appended together
_TOGETHER = 32_768  # queued samples that are put into pages though nobody reads
_MOST_QUEUED = 1_000  # so many groups too
_SWEEPS = 256  # in the length of the window
# Random, so that nobody can make timestamps that look alike; odd, so that no bit is lost.
_KEYS = np.frombuffer(os.urandom(8 * 1024), np.uint64) | np.uint64(1)


class Window:
    """Samples of the newest `length_seconds`, at most about `max_bytes` of them."""

    def __init__(
        self, *, length_seconds: int, max_bytes: int, older: BlockCache | None = None, together: int = _TOGETHER
    ) -> None:
        self.older = older if older is not None else BlockCache(max_bytes=0)  # learns of late samples
        self.length_ms = length_seconds * 1000
        self.max_pages = max(16, max_bytes // _PAGE_BYTES)
        self._covered_from_ms: int = np.iinfo(np.int64).max
        self._queued: list[tuple[Int64s, Int64s, Float64s]] = []  # in order of arrival; every reader settles them first
        self._queued_samples = 0
        self._queueing = threading.Lock()  # for a moment only: who appends does not wait for who reads
        self._together = together
        self._lock = threading.RLock()
        # Reserved for all pages there may be: the system gives memory to what is written, and nothing is ever moved.
        self._ts: npt.NDArray[np.int64] = np.empty((self.max_pages, PAGE), np.int64)
        self._v: npt.NDArray[np.float64] = np.empty((self.max_pages, PAGE), np.float64)
        self._newer: Int64s = np.empty(self.max_pages, np.int64)  # page -> the next of its series, -1 at the end
        self._older: Int64s = np.empty(self.max_pages, np.int64)
        self._newest_ts: Int64s = np.empty(self.max_pages, np.int64)  # page -> greatest ts in it
        self._times: npt.NDArray[np.uint64] = np.empty(self.max_pages, np.uint64)  # page -> stands for its timestamps
        self._pages = 0  # so many were ever used, or are about to be
        self._free: list[int] = []
        self._head: Int64s = np.empty(0, np.int64)  # row -> newest page, -1 when the series has none
        self._tail: Int64s = np.empty(0, np.int64)
        self._fill: Int64s = np.empty(0, np.int64)  # row -> samples in the newest page
        self._last: Int64s = np.empty(0, np.int64)  # row -> greatest ts appended
        self._disorder: Bools = np.empty(0, np.bool_)  # row -> samples are not ascending, or repeat a ts
        self._samples = 0
        self._expires_ms: int = np.iinfo(np.int64).max  # no series' oldest page ends before

    def start(self, now_ms: int) -> None:
        """Begin to cover the last `length_seconds` before `now_ms`; the caller then appends what the store holds."""
        with self._lock:
            self._covered_from_ms = now_ms - self.length_ms

    @property
    def covered_from_ms(self) -> int:
        """Every accepted sample from this time on is here."""
        with self._lock:
            self._settle()
            return self._covered_from_ms

    @property
    def bytes_used(self) -> int:
        """Memory of all pages, free ones included."""
        with self._lock:
            self._settle()
            return self._pages * _PAGE_BYTES

    @property
    def page_count(self) -> int:
        """Pages that hold samples."""
        with self._lock:
            self._settle()
            return self._pages - len(self._free)

    def rows_since(self, from_ms: int) -> int:
        """How many series have a sample at or after a time within the window."""
        with self._lock:
            self._settle()
            return int(np.count_nonzero(self._last >= from_ms))

    @property
    def sample_count(self) -> int:
        """Samples held, about: what expiry has not swept yet counts."""
        with self._lock:
            self._settle()
            return self._samples

    def covers(self, start_ms: int) -> bool:
        """Whether every accepted sample from `start_ms` on is here."""
        return start_ms >= self.covered_from_ms

    def append(self, rows: Int64s, ts: Int64s, v: Float64s, *, now_ms: int) -> None:
        """Add samples in any order; the arrays are the window's from now on. Older ones are left to the store."""
        if self.queue(rows, ts, v, now_ms=now_ms):
            self.tidy(now_ms)

    def queue(self, rows: Int64s, ts: Int64s, v: Float64s, *, now_ms: int) -> bool:
        """As `append`, without waiting for who reads; True when somebody should `tidy` soon."""
        self.older.forget(ts)
        with self._queueing:
            if len(rows):
                self._queued.append((rows, ts, v))
                self._queued_samples += len(rows)
            many = self._queued_samples >= self._together or len(self._queued) >= _MOST_QUEUED
        return many or self._outlived(now_ms)

    def tidy(self, now_ms: int, *, at_once: bool = False) -> bool:
        """Put what is queued into pages, and free those that are too old now and then: a walk over all series.

        `at_once`: if that takes a few milliseconds and waits for nobody; else False, and nothing is done.
        """
        if at_once and (self._queued_samples > 2 * self._together or self._outlived(now_ms)):
            return False
        if not self._lock.acquire(blocking=not at_once):
            return False
        try:
            self._settle()
            if self._outlived(now_ms):
                self._expire(now_ms - self.length_ms)
        finally:
            self._lock.release()
        return True

    def _outlived(self, now_ms: int) -> bool:
        return now_ms - self.length_ms - self._covered_from_ms >= self.length_ms // _SWEEPS

    def _settle(self) -> None:
        """Put what is queued into pages, many groups at once: of a few thousand samples half the work is calling NumPy.

        But not too many: what leaves the processor's cache takes four times as long.
        """
        if not self._queued:
            return
        with self._queueing:
            queued, self._queued, self._queued_samples = self._queued, [], 0
        at = 0
        try:
            while at < len(queued):
                upto, samples = at + 1, len(queued[at][0])
                while upto < len(queued) and samples + len(queued[upto][0]) <= 2 * self._together:
                    samples += len(queued[upto][0])
                    upto += 1
                self._put(queued[at:upto])
                at = upto
        finally:
            if at < len(queued):  # no memory: they are in the store, or about to be, and must be read there
                left = (int(ts.max()) + 1 for _rows, ts, _v in queued[at:])
                self._covered_from_ms = max(self._covered_from_ms, *left)

    def _put(self, groups: list[tuple[Int64s, Int64s, Float64s]]) -> None:
        rows, ts, v = groups[0] if len(groups) == 1 else map(np.concatenate, zip(*groups, strict=True))
        recent = ts >= self._covered_from_ms
        if not recent.all():
            rows, ts, v = rows[recent], ts[recent], v[recent]
        if len(rows):
            self._grow_rows(int(rows.max()) + 1)
            self._append(rows, ts, v)

    def _append(self, rows: Int64s, ts: Int64s, v: Float64s) -> None:
        if not (rows[1:] > rows[:-1]).all():
            order = np.argsort(rows, kind="stable")
            by_row, in_time = rows[order], ts[order]
            if ((by_row[1:] == by_row[:-1]) & (in_time[1:] < in_time[:-1])).any():
                order = np.lexsort((ts, rows))
                by_row, in_time = rows[order], ts[order]
            rows, ts, v = by_row, in_time, v[order]
        first = run_starts(rows)
        counts = np.diff(np.r_[first, len(rows)])
        most = int(counts.max())
        if most <= _RUN:
            self._append_sorted(rows, ts, v)
            return
        # page by page over all that is left: of one long series that would be quadratic
        rank = np.arange(len(rows)) - np.repeat(first, counts)
        for begin in range(0, most, _RUN):
            part = (rank >= begin) & (rank < begin + _RUN)
            self._append_sorted(rows[part], ts[part], v[part])

    def _append_sorted(self, rows: Int64s, ts: Int64s, v: Float64s) -> None:
        while len(rows):
            rows, ts, v = self._with_room(rows, ts, v)
            first = run_starts(rows)
            if len(first) == len(rows):
                self._append_one_each(rows, ts, v)
                return
            rows, ts, v = self._append_runs(rows, ts, v, first)

    def _with_room(self, rows: Int64s, ts: Int64s, v: Float64s) -> tuple[Int64s, Int64s, Float64s]:
        """Have room for one sample of each of ascending rows at least; return the samples that are recent even then."""
        while True:
            each = rows[run_starts(rows)]
            needs = (self._head[each] < 0) | (self._fill[each] == PAGE)
            wanted = int(needs.sum())
            if len(self._free) >= wanted:
                if wanted:
                    self._new_pages(each[needs], wanted)
                return rows, ts, v
            if not self._make_room(wanted):
                # The cap is below one page a series: nothing can be kept, all is read from the store.
                self._expire(max(int(ts.max()), int(self._newest_ts[: self._pages].max(initial=_NEVER))) + 1)
                return rows[:0], ts[:0], v[:0]
            recent = ts >= self._covered_from_ms  # making room may have moved the start of the window
            rows, ts, v = rows[recent], ts[recent], v[recent]

    def _append_one_each(self, rows: Int64s, ts: Int64s, v: Float64s) -> None:
        """Append one sample to each of distinct rows."""
        self._expires_ms = min(self._expires_ms, int(ts.min(initial=self._expires_ms)))
        self._disorder[rows] |= ts <= self._last[rows]
        page, at = self._head[rows], self._fill[rows]
        where = page * PAGE + at
        self._ts.reshape(-1)[where] = ts  # one index is half the work of two
        self._v.reshape(-1)[where] = v
        self._times[page] += mixed(ts)
        self._fill[rows] = at + 1
        self._last[rows] = np.maximum(self._last[rows], ts)
        self._newest_ts[page] = np.maximum(self._newest_ts[page], ts)
        self._samples += len(rows)

    def _append_runs(self, rows: Int64s, ts: Int64s, v: Float64s, first: Int64s) -> tuple[Int64s, Int64s, Float64s]:
        """Append to ascending rows what fits their newest pages; return the rest.

        Each row's samples are in order of time; `first` is where they begin.
        """
        each, counts = rows[first], np.diff(np.r_[first, len(rows)])
        page, at = self._head[each], self._fill[each]
        take = np.minimum(counts, PAGE - at)
        begin = np.cumsum(take) - take
        left = rows[:0], ts[:0], v[:0]
        if (take < counts).any():
            rest = np.arange(len(rows)) >= np.repeat(first + take, counts)
            left = rows[rest], ts[rest], v[rest]
            ts, v = ts[~rest], v[~rest]
        where = np.repeat(page * PAGE + at - begin, take) + np.arange(len(ts))
        self._ts.reshape(-1)[where] = ts
        self._v.reshape(-1)[where] = v
        repeated = np.zeros(len(ts), np.bool_)
        repeated[1:] = ts[1:] <= ts[:-1]
        repeated[begin] = ts[begin] <= self._last[each]
        self._disorder[each] |= np.logical_or.reduceat(repeated, begin)
        self._expires_ms = min(self._expires_ms, int(ts.min()))
        self._times[page] += np.add.reduceat(mixed(ts), begin)
        self._fill[each] = at + take
        newest = ts[begin + take - 1]
        self._last[each] = np.maximum(self._last[each], newest)
        self._newest_ts[page] = np.maximum(self._newest_ts[page], newest)
        self._samples += len(ts)
        return left

    def _new_pages(self, rows: Int64s, count: int) -> None:
        pages = np.array(self._free[-count:], dtype=np.int64)
        del self._free[-count:]
        self._newest_ts[pages] = _NEVER
        self._times[pages] = 0
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
        total = self._pages
        wanted = total + pages - len(self._free)
        self._grow_pages(min(self.max_pages, max(wanted, total + total // 8, _GROWTH_PAGES)))
        while len(self._free) < pages:
            tails = self._newest_ts[self._tail[self._tail >= 0]]
            # An eighth of the chains' oldest pages at least, so that the cap is not met again at once.
            cut = int(np.partition(tails, len(tails) // 8)[len(tails) // 8]) + 1
            self._expire(max(cut, self._covered_from_ms + 1))
        return True

    def _expire(self, from_ms: int) -> None:
        """Stop covering what is older than `from_ms` and free the pages that hold nothing younger."""
        self._covered_from_ms = max(self._covered_from_ms, from_ms)
        while self._expires_ms < self._covered_from_ms:  # else there is no need to look at every series
            rows = np.flatnonzero(self._tail >= 0)
            ends = self._newest_ts[self._tail[rows]]
            self._expires_ms = int(ends.min(initial=np.iinfo(np.int64).max))
            rows = rows[ends < self._covered_from_ms]
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
        if count > self._pages:
            self._free.extend(range(count - 1, self._pages - 1, -1))
            self._newest_ts[self._pages : count] = _NEVER  # free ones are looked at too
            self._pages = count

    def select(self, rows: Int64s, start_ms: int, end_ms: int) -> tuple[Int64s, Int64s, Float64s] | None:
        """Samples of the closed interval for ascending rows, as (offsets, ts, v) in compressed sparse rows.

        As `select_shared`, with a timestamp for every sample.
        """
        found = self.select_shared(rows, start_ms, end_ms)
        if found is None:
            return None
        offsets, clocks, v = found
        return offsets, clocks.every_ts(offsets), v

    def select_shared(self, rows: Int64s, start_ms: int, end_ms: int) -> tuple[Int64s, Clocks, Float64s] | None:
        """Samples of the closed interval for ascending rows: (offsets, timestamps that rows share, values).

        Timestamps ascend and are unique within a series. None when the window does not cover `start_ms` (it may have
        moved since `covers` was asked).
        """
        with self._lock:
            if not self.covers(start_ms):  # which settles what is queued
                return None
            known = int(np.searchsorted(rows, len(self._head)))
            disordered = rows[:known][self._disorder[rows[:known]]]
            if len(disordered):
                self._put_in_order(disordered)
            counts, clocks, v = self._gather_shared(rows, known, start_ms, end_ms)
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        return offsets, clocks, v

    def _chains(self, rows: Int64s, start_ms: int) -> Int64s:
        """The pages of these rows that may hold samples from `start_ms` on, [rows x pages], oldest first.

        -1 stands where a chain is shorter.
        """
        steps: list[Int64s] = []
        pages = self._head[rows]
        while (pages >= 0).any():
            steps.append(pages)
            older = np.where(pages >= 0, self._older[np.maximum(pages, 0)], -1)
            pages = np.where((older >= 0) & (self._newest_ts[np.maximum(older, 0)] >= start_ms), older, -1)
        if not steps:
            return np.zeros((len(rows), 0), np.int64)
        return np.stack(steps[::-1], axis=1)

    def _gather(self, rows: Int64s, start_ms: int, end_ms: int) -> tuple[Int64s, Int64s, Float64s]:
        """(samples per row, ts, v) of the interval in the order of arrival, which is that of time unless disordered."""
        chain = self._chains(rows, start_ms)
        present = np.maximum(chain, 0)
        ts = self._ts[present]
        inside = (ts >= start_ms) & (ts <= end_ms) & (chain >= 0)[:, :, None]
        return inside.sum(axis=(1, 2), dtype=np.int64), ts[inside], self._v[present][inside]

    def _gather_shared(self, rows: Int64s, known: int, start_ms: int, end_ms: int) -> tuple[Int64s, Clocks, Float64s]:
        """(samples per row, timestamps that rows share, v) of rows in order; from the row `known` on there are none."""
        chain = self._chains(rows[:known], start_ms)
        present = np.maximum(chain, 0)
        # Rows whose pages hold the same timestamps, page by page, share a clock.
        times = np.where(chain >= 0, self._times[present], np.uint64(0))
        alike = (times * _KEYS[np.arange(chain.shape[1]) % len(_KEYS)]).sum(axis=1, dtype=np.uint64)
        of = np.zeros(len(rows), np.int64)
        if len(rows) == known and known and (alike == alike[0]).all():
            chosen = np.zeros(1, np.int64)
        else:
            _alike, chosen, of[:known] = np.unique(alike, return_index=True, return_inverse=True)
            of[known:] = len(chosen)  # an empty clock of their own
        ts = self._ts[present[chosen]]
        inside = (ts >= start_ms) & (ts <= end_ms) & (chain[chosen] >= 0)[:, :, None]
        counts = inside.sum(axis=(1, 2), dtype=np.int64)
        if known < len(rows):
            counts = np.append(counts, 0)
        clocks = Clocks(of, np.concatenate(([0], np.cumsum(counts))), ts[inside])
        if len(chosen) == 1 and len(rows) == known:
            return counts[of], clocks, self._matrix(present, inside[0])
        return counts[of], clocks, self._v[present][inside[of[:known]]]

    def _matrix(self, pages: Int64s, inside: Bools) -> Float64s:
        """Values of rows of one clock, page by page of each: `inside` is [pages x PAGE]; flat, row after row."""
        out = np.empty((len(pages), int(inside.sum())))
        at = 0
        for turn in range(pages.shape[1]):
            columns = np.flatnonzero(inside[turn])
            if len(columns):
                first, last = int(columns[0]), int(columns[-1]) + 1  # in order of time, so without gaps
                out[:, at : at + last - first] = self._v[pages[:, turn], first:last]
                at += last - first
        return out.ravel()

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
