"""Who sends samples, how much, and what of it was refused: by API token, by scraped target, by part of the platform.

Kept in memory since the start of the process, for what came in through it. A series belongs to whoever sent its newest
sample, and is active for an hour after that. Pure but for `clock`; thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tongchou.telemetry.admit import Refusals
from tongchou.telemetry.series import Bools, Int64s

ACTIVE_MINUTES = 60
BURST_SECONDS = 60.0
MAX_SOURCES = 20_000  # what comes after these counts under OTHER
MAX_REASONS = 50  # of one source
OTHER = "other"
_COUNT_EVERY_MS = 5_000
_MINUTE_MS = 60_000


@dataclass(slots=True)
class Rejected:
    """What was refused of one source for one reason: how many samples, the last example and when (ms)."""

    reason: str
    samples: int = 0
    example: str = ""
    at_ms: int = 0


@dataclass(slots=True)
class Source:
    """One sender. `active` is counted now and then, `samples` are those accepted since the start of the process."""

    name: str
    number: int
    samples: int = 0
    active: int = 0
    last_ms: int = 0
    rejected: dict[str, Rejected] = field(default_factory=dict)
    tokens: float = 0.0  # samples it may send at once
    filled_ms: int = 0

    @property
    def rejected_samples(self) -> int:
        """All refused samples."""
        return sum(each.samples for each in self.rejected.values())


class Sources:
    """The senders of one telemetry database, as this process knows them."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._by_name: dict[str, Source] = {}
        self._of_row: npt.NDArray[np.int32] = np.full(1024, -1, np.int32)
        self._minute_of_row: npt.NDArray[np.int32] = np.zeros(1024, np.int32)
        self._counted_ms = 0

    def _source(self, name: str) -> Source:
        found = self._by_name.get(name)
        if found is None:
            if len(self._by_name) >= MAX_SOURCES and name != OTHER:
                return self._source(OTHER)
            found = self._by_name[name] = Source(name, len(self._by_name))
        return found

    def seen(self, name: str, rows: Int64s, samples: int) -> None:
        """These rows had so many samples from this source."""
        if not len(rows):
            return
        now = self._clock()
        with self._lock:
            source = self._source(name)
            source.samples += samples
            source.last_ms = now
            needed = int(rows.max()) + 1
            if needed > len(self._of_row):
                grown = max(needed, 2 * len(self._of_row))
                self._of_row = np.r_[self._of_row, np.full(grown - len(self._of_row), -1, np.int32)]
                self._minute_of_row = np.r_[self._minute_of_row, np.zeros(grown - len(self._minute_of_row), np.int32)]
            minute = now // _MINUTE_MS
            if (self._of_row[rows] == source.number).all() and (self._minute_of_row[rows] == minute).all():
                return  # as a moment ago
            fresh = self._inactive(source.number, rows)
            if fresh.any():  # counted at once, so that a flood of new series meets the limit within one message
                source.active += len(np.unique(rows[fresh]))
            self._of_row[rows] = source.number
            self._minute_of_row[rows] = minute

    def inactive(self, name: str, rows: Int64s) -> Bools:
        """Which of the rows would become active series of this source: they were not, or another's."""
        with self._lock:
            return self._inactive(self._source(name).number, rows)

    def _inactive(self, number: int, rows: Int64s) -> Bools:
        inside = rows < len(self._of_row)
        at = np.where(inside, rows, 0)
        recent = self._minute_of_row[at] > self._clock() // _MINUTE_MS - ACTIVE_MINUTES
        found: Bools = ~(inside & recent & (self._of_row[at] == number))
        return found

    def room(self, name: str, limit: int) -> int:
        """How many more series the source may make active; a great number when `limit` is 0.

        Series that go, or become another's, make room within seconds.
        """
        if not limit:
            return 1 << 62
        with self._lock:
            self._count()
            return max(0, limit - self._source(name).active)

    def spend(self, name: str, samples: int, per_second: int) -> bool:
        """Take `samples` from what the source may send: `per_second`, saved up for a minute. False: too many now.

        A source that has a whole minute saved up may send more than that at once, and waits the longer afterwards.
        """
        if not per_second:
            return True
        now = self._clock()
        most = per_second * BURST_SECONDS
        with self._lock:
            source = self._source(name)
            passed = (now - source.filled_ms) / 1000
            source.tokens = most if not source.filled_ms else min(most, source.tokens + max(0.0, passed) * per_second)
            source.filled_ms = now
            if samples > source.tokens and source.tokens < most:
                return False
            source.tokens -= samples
            return True

    def reject(self, name: str, refused: Refusals) -> None:
        """Remember what was refused."""
        now = self._clock()
        with self._lock:
            source = self._source(name)
            for reason, count in refused.counts.items():
                key = reason if reason in source.rejected or len(source.rejected) < MAX_REASONS else OTHER
                held = source.rejected.setdefault(key, Rejected(key))
                held.samples += count
                held.example = refused.examples.get(reason, "") or held.example
                held.at_ms = now

    def all(self) -> list[Source]:
        """Every source as it is now, those with most active series first."""
        with self._lock:
            self._counted_ms = 0
            self._count()
            found = [
                Source(each.name, each.number, each.samples, each.active, each.last_ms, dict(each.rejected))
                for each in self._by_name.values()
            ]
        return sorted(found, key=lambda each: (-each.active, -each.samples, each.name))

    def active(self) -> int:
        """Series that had a sample from any source of this process within the last hour."""
        with self._lock:
            return int(np.count_nonzero(self._recent()))

    def _recent(self) -> Bools:
        recent: Bools = self._minute_of_row > self._clock() // _MINUTE_MS - ACTIVE_MINUTES
        return recent

    def _count(self) -> None:
        now = self._clock()
        if now - self._counted_ms < _COUNT_EVERY_MS:
            return
        self._counted_ms = now
        counts = np.bincount(self._of_row[self._recent()], minlength=len(self._by_name))
        for source in self._by_name.values():
            source.active = int(counts[source.number])
