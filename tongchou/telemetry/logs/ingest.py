"""Lines on their way in: many senders wait together for one insert, and each is told only when it is on disk.

A killed process loses nothing that was acknowledged. A write with a `token` is alone in its insert, and the store
forgets it when the same token was written before: a sender that does not know whether it was heard may send again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import pyarrow as pa
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Problem, TooMany, Unavailable
from tongchou.telemetry.logs.encode import Rows
from tongchou.telemetry.store.log_tables import NS, LogTables

MAX_WAITING_BYTES = 128 * 1024 * 1024
MAX_INSERT_BYTES = 32 * 1024 * 1024
SETTLE_NS = 5 * NS

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """Rows that wait for the next insert."""

    rows: Rows
    token: str = ""
    done: Future[None] = field(default_factory=Future)


@dataclass(slots=True)
class Counts:
    """What log ingest did since the start of the process."""

    lines: int = 0
    bytes: int = 0
    inserts: int = 0
    failed_inserts: int = 0
    refused_lines: int = 0


class LogIngest:
    """Group commit by one thread. `written` is the place, in the order of arrival, of the newest readable line."""

    def __init__(
        self, tables: LogTables, *, linger_seconds: float = 0.1, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._tables = tables
        self._linger_seconds = linger_seconds
        self._clock_ns = clock_ns
        self._condition = threading.Condition()
        self._waiting: list[Batch] = []
        self._waiting_bytes = 0
        self._stopping = False
        self.written = tables.newest_place()
        self.counts = Counts()
        self._thread = threading.Thread(target=self._run, name="log-ingest", daemon=True)
        self._thread.start()

    @property
    def readable(self) -> int:
        """The place up to which every line can be read that will ever be: what comes later has a greater one.

        Where several processes write, that of SETTLE_NS ago: an insert that takes longer than this is missed by
        those who ask for what arrived, not by searches.
        """
        return self._clock_ns() - SETTLE_NS if self._tables.engine.shared else self.written

    def submit(self, rows: Rows, *, token: str = "") -> Future[None]:
        """Queue rows; the future is done when they are on disk, or carries the Problem why they are not.

        Raises TooMany when too much is waiting already, Unavailable when the store is closing.
        """
        batch = Batch(rows, token)
        if not len(rows):
            batch.done.set_result(None)
            return batch.done
        with self._condition:
            if self._stopping:
                raise Unavailable("telemetry.closing", _("The telemetry store is shutting down."))
            if self._waiting_bytes + rows.size > MAX_WAITING_BYTES and self._waiting:
                raise TooMany(
                    "logs.busy",
                    _("%(size)d bytes of log lines are waiting to be written; send again later.")
                    % {"size": self._waiting_bytes},
                )
            self._waiting.append(batch)
            self._waiting_bytes += rows.size
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
                    while not self._stopping and self._waiting_bytes < MAX_INSERT_BYTES:
                        left = deadline - time.monotonic()
                        if left <= 0:
                            break
                        self._condition.wait(left)
                batches = self._take()
            self._commit(batches)

    def _take(self) -> list[Batch]:
        """The oldest batches, up to one insert's worth; a batch with a token goes alone."""
        taken, size = 0, 0
        for batch in self._waiting:
            if taken and (batch.token or size + batch.rows.size > MAX_INSERT_BYTES):
                break
            taken += 1
            size += batch.rows.size
            if batch.token:
                break
        batches, self._waiting = self._waiting[:taken], self._waiting[taken:]
        self._waiting_bytes -= size
        return batches

    def _commit(self, batches: list[Batch]) -> None:
        failure: BaseException | None = None
        try:
            self._write(batches)
        except Problem as problem:
            failure = problem
            log.warning("insert of %d log batches failed: %s", len(batches), problem)
        except BaseException as error:  # the waiters must learn of it whatever it is; it is raised again below
            failure = error
            raise
        finally:
            self.counts.inserts += 1
            self.counts.failed_inserts += failure is not None
            for batch in batches:
                if failure is None:
                    batch.done.set_result(None)
                else:
                    batch.done.set_exception(failure)

    def _write(self, batches: list[Batch]) -> None:
        first = max(self.written + 1, self._clock_ns())  # grows over a restart too, even when the clock was set back
        tables, place = [], first
        for batch in batches:
            tables.append(batch.rows.table(place))
            place += len(batch.rows)
        self._tables.insert(pa.concat_tables(tables), token=batches[0].token)
        self.written = place - 1
        self.counts.lines += place - first
        self.counts.bytes += sum(batch.rows.size for batch in batches)
