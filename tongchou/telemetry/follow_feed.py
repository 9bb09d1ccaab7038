"""Keeps the newest window and the label index true to what other processes write: reads the feed twice a second.

What one process acknowledged, another one reads after at most: the pause between two looks, plus the time of the look.
`lag_seconds` says how old the last complete look is. Beyond MAX_LAG_SECONDS reads are refused instead of answered from
an old window: a rule that sees nothing where there is something would resolve alerts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Problem, Unavailable
from tongchou.telemetry.series import Float64s, Int64s
from tongchou.telemetry.store.feed import KEEP_SECONDS, Feed

EVERY_SECONDS = 0.5
GAP_MS = 10_000  # an insert that takes longer than this from its first to its last moment may be missed
SLICE_MS = 30_000
MAX_LAG_SECONDS = 15.0
REBUILD_AFTER_SECONDS = KEEP_SECONDS / 2

log = logging.getLogger(__name__)

Take = Callable[[Int64s, Int64s, Float64s], None]


class FeedFollower:
    """Follows the feed in a thread of its own. `take(sid, ts, v)` gets each foreign sample at least once.

    `rebuild()` is called instead when the last look is too long ago to be caught up with.
    """

    def __init__(
        self, feed: Feed, take: Take, own_batches: Callable[[], list[int]], rebuild: Callable[[], None]
    ) -> None:
        self._feed, self._take, self._own_batches, self._rebuild = feed, take, own_batches, rebuild
        self._seen: dict[int, int] = {}
        self._from_ms = 0
        self._looked_at = time.monotonic()
        self._stop = threading.Event()
        self._look_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="telemetry-follow", daemon=True)

    @property
    def lag_seconds(self) -> float:
        """How long ago the last look began that came to its end."""
        return time.monotonic() - self._looked_at

    def begin(self) -> None:
        """Remember where the feed is now. Call before the window is filled from the tables."""
        self._from_ms = self._feed.now_ms() - GAP_MS
        self._looked_at = time.monotonic()

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise Unavailable when what this process knows is too old to be answered from."""
        lag = self.lag_seconds
        if lag > MAX_LAG_SECONDS:
            raise Unavailable(
                "telemetry.behind",
                _("This node has not heard from ClickHouse for %(seconds)d s; an answer could be wrong.")
                % {"seconds": lag},
                remedy=_("Look at the ClickHouse server and the network; it goes on by itself when that is back."),
            )

    def look(self) -> None:
        """Take what arrived since the last look. Raises the engine's Problems; the next look begins there again."""
        with self._look_lock:
            if self.lag_seconds > REBUILD_AFTER_SECONDS:
                self.begin()
                self._rebuild()
            began = time.monotonic()
            now = self._feed.now_ms()
            while self._from_ms < now:
                self._take_slice(min(self._from_ms + SLICE_MS, now + 1))
                if self._from_ms + SLICE_MS >= now:
                    break
                self._from_ms += SLICE_MS - GAP_MS
            self._from_ms = max(self._from_ms, now - GAP_MS)
            self._looked_at = began
            for batch in [each for each, at in self._seen.items() if at < self._from_ms]:
                del self._seen[batch]

    def _take_slice(self, upto_ms: int) -> None:
        found = self._feed.read(self._from_ms, upto_ms, [*self._own_batches(), *self._seen])
        if len(found.ts):
            self._take(found.sid, found.ts, found.v)
            self._seen.update(zip(found.batch.tolist(), found.arrived_ms.tolist(), strict=True))

    def _run(self) -> None:
        failing = False
        while not self._stop.wait(EVERY_SECONDS):
            try:
                self.look()
            except Problem as problem:
                if not failing:
                    log.warning("the feed of new samples cannot be read: %s", problem)
                failing = True
            else:
                if failing:
                    log.warning("the feed of new samples is read again")
                failing = False
