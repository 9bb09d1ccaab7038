"""Samples on their way in: many writers wait together for one insert, and each is told only when it is on disk.

A killed process loses nothing that was acknowledged: series, then their days, then samples are written, then the
window in memory learns them, then every waiter is answered. A writer whose answer was lost may send again: equal
samples count once when read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Problem, TooMany, Unavailable
from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.series import Float64s, Int64s
from tongchou.telemetry.store.tables import MS_PER_DAY, Tables
from tongchou.telemetry.window import Window

FUTURE_TOLERANCE_MS = 10 * 60 * 1000
MAX_WAITING_SAMPLES = 5_000_000
MAX_INSERT_SAMPLES = 500_000

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """Samples of known rows that wait for the next insert."""

    rows: Int64s
    ts: Int64s
    v: Float64s
    done: Future[None] = field(default_factory=Future)


@dataclass(slots=True)
class Counts:
    """What ingest did since the start of the process."""

    samples: int = 0
    inserts: int = 0
    failed_inserts: int = 0
    refused_samples: int = 0
    insert_seconds: float = 0.0


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Ingest:
    """Group commit: one thread inserts what gathered while the last insert ran, and at least for `linger_seconds`."""

    def __init__(
        self,
        tables: Tables,
        index: LabelIndex,
        window: Window,
        *,
        linger_seconds: float = 0.1,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._tables = tables
        self._index = index
        self._window = window
        self._linger_seconds = linger_seconds
        self._clock = clock
        self._condition = threading.Condition()
        self._waiting: list[Batch] = []
        self._waiting_samples = 0
        self._stopping = False
        self.counts = Counts()
        self._thread = threading.Thread(target=self._run, name="telemetry-ingest", daemon=True)
        self._thread.start()

    def submit(self, rows: Int64s, ts: Int64s, v: Float64s) -> Future[None]:
        """Queue samples; the future is done when they are on disk, or carries the Problem why they are not.

        Raises TooMany when too much is waiting already, Unavailable when the store is closing.
        """
        batch = Batch(rows, ts, v)
        if not len(rows):
            batch.done.set_result(None)
            return batch.done
        with self._condition:
            if self._stopping:
                raise Unavailable("telemetry.closing", _("The telemetry store is shutting down."))
            if self._waiting_samples + len(rows) > MAX_WAITING_SAMPLES and self._waiting:
                raise TooMany(
                    "telemetry.busy",
                    _("%(count)d samples are waiting to be written; send again later.")
                    % {"count": self._waiting_samples},
                )
            self._waiting.append(batch)
            self._waiting_samples += len(rows)
            self._condition.notify()
        return batch.done

    def close(self) -> None:
        """Write what is waiting, then stop."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._stopping:
                    self._condition.wait()
                if not self._waiting:
                    return
                if not self._stopping and self._linger_seconds:
                    deadline = time.monotonic() + self._linger_seconds
                    while not self._stopping and self._waiting_samples < MAX_INSERT_SAMPLES:
                        left = deadline - time.monotonic()
                        if left <= 0:
                            break
                        self._condition.wait(left)
                batches = self._take()
            self._commit(batches)

    def _take(self) -> list[Batch]:
        taken, samples = 0, 0
        for batch in self._waiting:
            if taken and samples + len(batch.rows) > MAX_INSERT_SAMPLES:
                break
            taken += 1
            samples += len(batch.rows)
        batches, self._waiting = self._waiting[:taken], self._waiting[taken:]
        self._waiting_samples -= samples
        return batches

    def _commit(self, batches: list[Batch]) -> None:
        started = time.monotonic()
        failure: BaseException | None = None
        try:
            self._write(batches)
        except Problem as problem:
            failure = problem
            log.warning("insert of %d batches failed: %s", len(batches), problem)
        except BaseException as error:  # the waiters must learn of it whatever it is; it is raised again below
            failure = error
            raise
        finally:
            self.counts.inserts += 1
            self.counts.failed_inserts += failure is not None
            self.counts.insert_seconds += time.monotonic() - started
            for batch in batches:
                if failure is None:
                    batch.done.set_result(None)
                else:
                    batch.done.set_exception(failure)

    def _write(self, batches: list[Batch]) -> None:
        rows = np.concatenate([batch.rows for batch in batches])
        ts = np.concatenate([batch.ts for batch in batches])
        v = np.concatenate([batch.v for batch in batches])
        fresh = self._index.unwritten()
        if fresh:
            self._tables.insert_series(fresh)
            self._index.written(fresh)
        days = self._index.missing_days(rows, ts)
        if days:
            day = np.concatenate([np.full(len(some), each, np.int64) for each, some in days])
            self._tables.insert_days(day, self._index.sids(np.concatenate([some for _day, some in days])))
            self._index.mark_days(days)
            self._index.forget_days_before(self._clock() // MS_PER_DAY - self._tables.retention_days - 1)
        self._tables.insert_samples(self._index.sids(rows), ts, v)
        self._window.append(rows, ts, v, now_ms=self._clock())
        self.counts.samples += len(rows)
