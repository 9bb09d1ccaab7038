"""Samples on their way into a store that other processes write too: acknowledged once the store has them.

There is no journal here: a node may vanish with its disk, so nothing that was acknowledged may lie on it. One writer
gathers what waits, gets numbers for new series, and inserts series, days, samples and the feed, in this order, each
under a token of the group: what is inserted again after a lost answer or a failed later step is dropped by the store.
While the store does not answer, a group waits for it up to RETRY_SECONDS; then its senders are told to send again.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Problem, TooMany, Unavailable
from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.ingest import MAX_INSERT_SAMPLES, MAX_PENDING_SAMPLES, Batch, Counts, Samples, now_ms
from tongchou.telemetry.numbering import Numbering
from tongchou.telemetry.series import Float64s, Int64s
from tongchou.telemetry.store.feed import Feed
from tongchou.telemetry.store.tables import MS_PER_DAY, Tables
from tongchou.telemetry.window import Window

RETRY_SECONDS = 10.0
RETRY_PAUSE_SECONDS = 0.5
OWN_BATCH_SECONDS = 120.0

log = logging.getLogger(__name__)


class SharedIngest:
    """The way in of one process. Thread-safe; the same to its callers as `ingest.Ingest`."""

    def __init__(
        self,
        tables: Tables,
        feed: Feed,
        index: LabelIndex,
        window: Window,
        numbering: Numbering,
        *,
        linger_seconds: float = 0.2,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._tables = tables
        self._feed = feed
        self._index = index
        self._window = window
        self._numbering = numbering
        self._linger_seconds = linger_seconds
        self._clock = clock
        self._wake = threading.Condition()
        self._waiting: list[Batch] = []
        self._waiting_samples = 0
        self._writing_samples = 0
        self._stopping = False
        self._closing = threading.Event()
        self._own_batches: dict[int, float] = {}
        self._own_lock = threading.Lock()
        self.counts = Counts()
        self._writer = threading.Thread(target=self._write_loop, name="telemetry-ingest", daemon=True)
        self._writer.start()

    def submit(self, rows: Int64s, ts: Int64s, v: Float64s) -> Future[None]:
        """Queue samples; the future is done when the store has them, or carries the Problem why not.

        Raises TooMany when too much is waiting, Unavailable when closing.
        """
        batch = Batch(rows, ts, v)
        if not len(rows):
            batch.done.set_result(None)
            return batch.done
        with self._wake:
            if self._stopping:
                raise Unavailable("telemetry.closing", _("The telemetry store is shutting down."))
            behind = self.pending_samples
            if behind and behind + len(rows) > MAX_PENDING_SAMPLES:
                raise TooMany(
                    "telemetry.busy",
                    _("%(count)d samples wait to be written; send again later.") % {"count": behind},
                )
            self._waiting.append(batch)
            self._waiting_samples += len(rows)
            self._wake.notify()
        return batch.done

    @property
    def pending_samples(self) -> int:
        """Samples that wait for the store; none of them is acknowledged."""
        return self._waiting_samples + self._writing_samples

    def pending(self) -> list[Samples]:
        """Acknowledged samples that may be missing in the tables: none."""
        return []

    def own_batches(self) -> list[int]:
        """Names of the inserts of this process that a reader of the feed has seen by other ways."""
        horizon = time.monotonic() - OWN_BATCH_SECONDS
        with self._own_lock:
            for old in [batch for batch, at in self._own_batches.items() if at < horizon]:
                del self._own_batches[old]
            return list(self._own_batches)

    def flush(self) -> None:
        """Nothing to do: what is acknowledged is in the tables."""

    def close(self) -> None:
        """Take nothing more and write what waits; a store that does not answer is not waited for."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._closing.set()
        self._writer.join()

    def _write_loop(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._stopping:
                    self._wake.wait()
                if not self._waiting:
                    return
            if self._linger_seconds:
                self._closing.wait(self._linger_seconds)  # others join: the store wants few, large inserts
            with self._wake:
                batches, self._waiting = self._waiting, []
                self._writing_samples, self._waiting_samples = self._waiting_samples, 0
            self._commit(batches)
            self._writing_samples = 0

    def _commit(self, batches: list[Batch]) -> None:
        failure: BaseException | None = None
        try:
            self._write_until(batches, time.monotonic() + RETRY_SECONDS)
        except Problem as problem:
            failure = problem
            log.warning("%d samples were not taken: %s", self._writing_samples, problem)
        except BaseException as error:  # the waiters must learn of it whatever it is; it is raised again below
            failure = error
            raise
        finally:
            self.counts.failed_inserts += failure is not None
            for batch in batches:
                if failure is None:
                    batch.done.set_result(None)
                else:
                    batch.done.set_exception(failure)

    def _write_until(self, batches: list[Batch], deadline: float) -> None:
        rows, ts, v = (
            np.concatenate(part) for part in zip(*((each.rows, each.ts, each.v) for each in batches), strict=True)
        )
        token, number = secrets.token_hex(16), secrets.randbits(63)
        with self._own_lock:
            self._own_batches[number] = time.monotonic() + RETRY_SECONDS
        while True:
            began = time.monotonic()
            try:
                self._write(rows, ts, v, token, number)
            except Unavailable as problem:
                if time.monotonic() + RETRY_PAUSE_SECONDS >= deadline or self._closing.is_set():
                    raise
                log.info("the store is asked again: %s", problem)
                self._closing.wait(RETRY_PAUSE_SECONDS)
            else:
                return
            finally:
                self.counts.inserts += 1
                self.counts.insert_seconds += time.monotonic() - began

    def _write(self, rows: Int64s, ts: Int64s, v: Float64s, token: str, number: int) -> None:
        self._agree()
        fresh = self._index.unwritten()
        if fresh:
            # not under the group's token: which series are new may differ when it is tried again
            self._tables.insert_series(fresh)
            self._index.written(fresh)
        days = self._index.missing_days(rows, ts)
        sids = self._index.sids(rows)
        if days:
            day = np.concatenate([np.full(len(some), day, np.int64) for day, some in days])
            self._tables.insert_days(day, self._index.sids(np.concatenate([some for _day, some in days])))
        for at, first in enumerate(range(0, len(rows), MAX_INSERT_SAMPLES)):
            part = slice(first, first + MAX_INSERT_SAMPLES)
            self._tables.insert_samples(sids[part], ts[part], v[part], token=f"{token}-s{at}")
            self._feed.insert(number, sids[part], ts[part], v[part], token=f"{token}-f{at}")
        self._index.mark_days(days)
        self._index.forget_days_before(self._clock() // MS_PER_DAY - self._tables.label_days - 1)
        self._window.append(rows, ts, v, now_ms=self._clock())
        self.counts.samples += len(rows)
        self.counts.groups += 1

    def _agree(self) -> None:
        """Get the numbers of series that have none."""
        unnumbered = self._index.unnumbered()
        if unnumbered:
            numbers = self._numbering([labels for _row, labels in unnumbered], self._index.next_number)
            self._index.number(zip([row for row, _labels in unnumbered], numbers, strict=True))
