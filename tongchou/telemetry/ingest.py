"""Samples on their way in: acknowledged once they are in the journal, moved into the tables in large batches.

Who submits writes to the journal and shows to readers (window, index, `pending`) what it brings when nothing has to be
waited for: waking another thread takes longer than that. Else the writer, a thread, gathers what waits, does the same
for all of it as one group, and answers every waiter; it also lays samples into the window's pages. The flusher, another
thread, moves what is pending into the tables every few seconds: ClickHouse wants few, large inserts (20 ms of CPU for
5,000 rows as for 50,000) and few parts to merge. A killed process loses nothing acknowledged: the next start takes the
journal up as pending. Samples may reach the tables twice; equal samples count once when read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Problem, TooMany, Unavailable
from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.series import Float64s, Int64s, Labels
from tongchou.telemetry.store.journal import Journal, Replayed
from tongchou.telemetry.store.tables import MS_PER_DAY, ROW_MASK, Tables
from tongchou.telemetry.window import Window

FUTURE_TOLERANCE_MS = 10 * 60 * 1000
MAX_PENDING_SAMPLES = 10_000_000  # 24 bytes each
FLUSH_SAMPLES = 4_000_000  # an hour of 16,000 series that a sender saved up is taken before the store is asked
KEEP_UP_SAMPLES = 6_000_000  # from here on answers wait for the store, so long at most
FOLLOW_SECONDS = 10.0
SLOW_WRITE_SECONDS = 0.05  # a disk that takes longer keeps the writer waiting for a while, and nobody else
SLOW_DISK_SECONDS = 60.0
BUSY_SECONDS = 0.003  # what should take 0.3 ms takes longer where another thread has Python's lock: better that the
BUSY_PAUSE_TIMES = 20  # writer waits than the event loop, which gives a twentieth of its time at most
FLUSH_SECONDS = 5.0
BURST_SAMPLES = 500_000  # so many go into the tables as soon as no more follow: queries wait for them
_LOOK_SECONDS = 1.0
_TOGETHER = 32  # groups that are pending are laid together, so many at a time: each is looked at by every read
MAX_INSERT_SAMPLES = 1_000_000
_RETRY_SECONDS = 5.0

Samples = tuple[Int64s, Int64s, Float64s]  # rows, ts in ms, values

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """Samples of known rows that wait for the journal."""

    rows: Int64s
    ts: Int64s
    v: Float64s
    done: Future[None] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.done.set_running_or_notify_cancel()  # who waits may go; what is under way cannot be called off


@dataclass(slots=True)
class _Group:
    """Batches as they go into the journal, and what the store has to learn beside the samples."""

    rows: Int64s
    ts: Int64s
    v: Float64s
    sids: Int64s
    series: list[tuple[int, Labels]]
    days: list[tuple[int, Int64s]]


@dataclass(slots=True)
class Pending:
    """What is in the journal and not in the tables yet."""

    series: list[tuple[int, Labels]] = field(default_factory=list)
    days: list[tuple[int, Int64s]] = field(default_factory=list)
    samples: list[Samples] = field(default_factory=list)
    count: int = 0
    apart: int = 0  # the last so many samples are groups as they came

    def add(self, rows: Int64s, ts: Int64s, v: Float64s) -> None:
        """One more group."""
        self.samples.append((rows, ts, v))
        self.count += len(rows)
        self.apart += 1
        if self.apart >= _TOGETHER:
            self.samples[-self.apart :] = [_laid_together(self.samples[-self.apart :])]
            self.apart = 0


@dataclass(slots=True)
class Counts:
    """What ingest did since the start of the process."""

    samples: int = 0
    groups: int = 0
    inserts: int = 0
    failed_inserts: int = 0
    refused_samples: int = 0
    insert_seconds: float = 0.0


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Ingest:
    """The way in of one database. Thread-safe."""

    def __init__(
        self,
        tables: Tables,
        index: LabelIndex,
        window: Window,
        journal: Journal,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._tables = tables
        self._index = index
        self._window = window
        self._journal = journal
        self._flush_seconds = flush_seconds
        self._clock = clock
        self._wake_writer = threading.Condition()
        self._waiting: list[Batch] = []
        self._waiting_samples = 0
        self._window_is_due = False
        self._stopping = False
        self._lock = threading.Lock()  # the journal and what is pending change together
        self._leave_to_writer_until = 0.0
        self._flush_lock = threading.Lock()  # one flush at a time
        self._pending = Pending()
        self._flushing = Pending()
        self._flush_problem: Problem | None = None
        self._wake_flusher = threading.Event()
        self.counts = Counts()
        self._writer = threading.Thread(target=self._write_loop, name="telemetry-ingest", daemon=True)
        self._flusher = threading.Thread(target=self._flush_loop, name="telemetry-flush", daemon=True)

    def start(self, found: Replayed) -> None:
        """Take up what an earlier process left in the journal (its series are in the index already), then run."""
        while found.samples:
            sid, ts, v = found.samples.pop(0)  # not held any longer: what is pending is laid together meanwhile
            rows = sid & ROW_MASK
            self._show(rows, ts, v, self._index.missing_days(rows, ts))
            self._window.tidy(self._clock())
        self._pending.series = list(found.series)
        self._writer.start()
        self._flusher.start()

    def submit(self, rows: Int64s, ts: Int64s, v: Float64s) -> Future[None]:
        """Queue samples; the future is done when they cannot be lost any more, or carries the Problem why not.

        Raises TooMany (or what keeps the tables from taking more) when too much is pending, Unavailable when closing.
        """
        batch = Batch(rows, ts, v)
        if not len(rows):
            batch.done.set_result(None)
            return batch.done
        self._check_room(len(rows))
        if not self._written_at_once(batch):
            with self._wake_writer:
                self._check_room(len(rows))
                self._waiting.append(batch)
                self._waiting_samples += len(rows)
                self._wake_writer.notify()
        return batch.done

    def _check_room(self, samples: int) -> None:
        if self._stopping:
            raise Unavailable("telemetry.closing", _("The telemetry store is shutting down."))
        behind = self._waiting_samples + self.pending_samples
        if behind and behind + samples > MAX_PENDING_SAMPLES:
            self._wake_flusher.set()
            raise self._flush_problem or TooMany(
                "telemetry.busy",
                _("%(count)d samples wait to be written; send again later.") % {"count": behind},
            )

    def _written_at_once(self, batch: Batch) -> bool:
        """Write a batch in the thread that brought it; False, and nothing is done, when it would have to wait."""
        began = time.monotonic()
        if self._journal.sync or began < self._leave_to_writer_until:
            return False
        if self.pending_samples >= KEEP_UP_SAMPLES or not self._lock.acquire(blocking=False):
            return False
        try:
            if self._stopping:
                return False  # who queues learns of it
            with self._index.held_now() as held:
                group = self._group([batch]) if held else None
            if group is None or group.series or group.days:
                return False  # to teach the index means to wait for those who read it
            self._commit([batch], group)
        finally:
            self._lock.release()
        took = time.monotonic() - began
        undisturbed = took < BUSY_SECONDS
        if not undisturbed:
            self._leave_to_writer_until = max(self._leave_to_writer_until, began + BUSY_PAUSE_TIMES * took)
        if self._window_is_due:
            # Some fifty calls of NumPy, each of which lets go of Python's lock.
            if undisturbed and self._tidy(at_once=True):
                self._window_is_due = False
            else:
                with self._wake_writer:
                    self._wake_writer.notify()
        return True

    def _tidy(self, *, at_once: bool) -> bool:
        try:
            return self._window.tidy(self._clock(), at_once=at_once)
        except MemoryError:  # what it could not hold is read from the store
            log.exception("the window has no memory")
            return True

    @property
    def pending_samples(self) -> int:
        """Samples that are in the journal and not in the tables."""
        return self._pending.count + self._flushing.count

    def pending(self) -> list[Samples]:
        """Samples that may be missing in the tables. Take it before reading them; what is in both counts once."""
        with self._lock:
            return [*self._flushing.samples, *self._pending.samples]

    def close(self) -> None:
        """Take nothing more, write what waits, move everything into the tables (or leave it to the journal)."""
        with self._lock, self._wake_writer:  # who is writing has written when this goes on, and who comes next sees it
            self._stopping = True
            self._wake_writer.notify()
        self._writer.join()
        self._wake_flusher.set()
        self._flusher.join()
        try:
            self.flush()
        except Problem as problem:
            log.warning("%d samples stay in the journal: %s", self.pending_samples, problem)
        with self._lock:
            self._journal.close()

    def _write_loop(self) -> None:
        while True:
            with self._wake_writer:
                while not (self._waiting or self._window_is_due or self._stopping):
                    self._wake_writer.wait()
                if not self._waiting and self._stopping:
                    return
                batches = self._next_group()
                due, self._window_is_due = self._window_is_due, False
            if batches:
                self._let_the_store_follow()
                with self._lock:
                    self._commit(batches)
            if due:
                self._tidy(at_once=False)

    def _let_the_store_follow(self) -> None:
        """Answer later while too much is pending: who waits sends no more. A 429 makes many senders drop samples."""
        until = time.monotonic() + FOLLOW_SECONDS
        while self.pending_samples >= KEEP_UP_SAMPLES and time.monotonic() < until:
            if self._stopping or self._flush_problem is not None:
                return
            self._wake_flusher.set()
            time.sleep(0.01)

    def _next_group(self) -> list[Batch]:
        """Take what waits, about as much as an insert at most: what is one group is in memory several times."""
        count = samples = 0
        while count < len(self._waiting) and (not count or samples < MAX_INSERT_SAMPLES):
            samples += len(self._waiting[count].rows)
            count += 1
        batches, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_samples -= samples
        return batches

    def _commit(self, batches: list[Batch], group: _Group | None = None) -> None:
        """Write one group and answer its waiters, whatever happens. The caller holds the lock."""
        failure: BaseException | None = None
        try:
            self._write(group or self._group(batches))
        except Problem as problem:
            failure = problem
            log.warning("%d batches were not taken: %s", len(batches), problem)
        except BaseException as error:
            failure = error
            if not isinstance(error, Exception):
                raise
            log.exception("%d batches were not taken", len(batches))  # the waiters learn of it; others may succeed
        finally:
            for batch in batches:
                if failure is None:
                    batch.done.set_result(None)
                else:
                    batch.done.set_exception(failure)

    def _group(self, batches: list[Batch]) -> _Group:
        rows, ts, v = _end_to_end([(batch.rows, batch.ts, batch.v) for batch in batches])
        index = self._index
        return _Group(rows, ts, v, index.sids(rows), index.unwritten(), index.missing_days(rows, ts))

    def _write(self, group: _Group) -> None:
        self._journal.append(group.series, group.sids, group.ts, group.v)
        if self._journal.write_seconds > SLOW_WRITE_SECONDS:
            self._leave_to_writer_until = time.monotonic() + SLOW_DISK_SECONDS
        if group.series:
            self._pending.series += group.series
            self._index.written(group.series)
        self._show(group.rows, group.ts, group.v, group.days)
        self.counts.samples += len(group.rows)
        self.counts.groups += 1

    def _show(self, rows: Int64s, ts: Int64s, v: Float64s, days: list[tuple[int, Int64s]]) -> None:
        """Let readers see samples that are in the journal."""
        if days:
            self._index.mark_days(days)
            self._pending.days += days
        self._pending.add(rows, ts, v)
        if self._window.queue(rows, ts, v, now_ms=self._clock()):
            self._window_is_due = True
        if self._pending.count >= FLUSH_SAMPLES:
            self._wake_flusher.set()

    def _flush_loop(self) -> None:
        while not self._stopping:
            if self._flush_problem is not None:
                self._wake_flusher.wait(_RETRY_SECONDS)
            else:
                self._wait_for_a_burst_to_end(self._flush_seconds)
            self._wake_flusher.clear()
            try:
                self.flush()
            except Problem as problem:
                log.warning("%d samples wait in the journal: %s", self.pending_samples, problem)

    def _wait_for_a_burst_to_end(self, seconds: float) -> None:
        """Return after so long, when woken, or when many samples are pending and none came since the last look."""
        until, before = time.monotonic() + seconds, -1
        while (left := until - time.monotonic()) > 0 and not self._wake_flusher.wait(min(left, _LOOK_SECONDS)):
            now = self._pending.count
            if now >= BURST_SAMPLES and now == before:
                return
            before = now

    def flush(self) -> None:
        """Move what is pending now into the tables. Raises the Problem that prevented it; then it stays pending."""
        with self._flush_lock:
            with self._lock:
                if not (self._pending.count or self._flushing.count):
                    return
                taken, self._pending = self._pending, Pending()
                self._flushing = _joined(self._flushing, taken)
                segment = self._journal.rotate()
            began = time.monotonic()
            try:
                self._insert(self._flushing)
                self._flush_problem = None
            except Problem as problem:
                self._flush_problem = problem
                self.counts.failed_inserts += 1
                raise
            finally:
                self.counts.inserts += 1
                self.counts.insert_seconds += time.monotonic() - began
            with self._lock:
                self._flushing = Pending()
                self._journal.drop(segment)

    def _insert(self, what: Pending) -> None:
        if what.series:
            self._tables.insert_series(what.series)
        if what.days:
            day = np.concatenate([np.full(len(rows), day, np.int64) for day, rows in what.days])
            self._tables.insert_days(day, self._index.sids(np.concatenate([rows for _day, rows in what.days])))
            self._index.forget_days_before(self._clock() // MS_PER_DAY - self._tables.label_days - 1)
        for rows, ts, v in _portions(what.samples, MAX_INSERT_SAMPLES):
            self._tables.insert_samples(self._index.sids(rows), ts, v)


def _portions(groups: list[Samples], most: int) -> Iterator[Samples]:
    """The samples in the same order, at most so many at a time: what fits the allocator's memory is used again."""
    held: list[Samples] = []
    room = most
    for rows, ts, v in groups:
        first = 0
        while len(rows) - first > room:
            part = slice(first, first + room)
            yield _end_to_end([*held, (rows[part], ts[part], v[part])])
            held, first, room = [], first + room, most
        held.append((rows[first:], ts[first:], v[first:]))
        room -= len(rows) - first
    if held and room < most:
        yield _end_to_end(held)


def _end_to_end(groups: list[Samples]) -> Samples:
    if len(groups) == 1:
        return groups[0]
    rows, ts, v = (np.concatenate(column) for column in zip(*groups, strict=True))
    return rows, ts, v


def _laid_together(groups: list[Samples]) -> Samples:
    """As `_end_to_end`, but Python's lock is let go once a column, not once a piece: a busy one keeps it 5 ms."""
    rows, ts, v = (b"".join(np.ascontiguousarray(each).data for each in column) for column in zip(*groups, strict=True))
    return np.frombuffer(rows, np.int64), np.frombuffer(ts, np.int64), np.frombuffer(v, np.float64)


def _joined(first: Pending, second: Pending) -> Pending:
    return Pending(
        first.series + second.series,
        first.days + second.days,
        first.samples + second.samples,
        first.count + second.count,
    )
