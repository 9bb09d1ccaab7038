"""A query of the API on its way: its limits, its place among those that run, and whether somebody still waits for it.

No more than TONGCHOU_TELEMETRY_MAX_QUERIES run at once, so that heavy ones leave room for pages; the others wait, at
most as long as a query may run. Who goes away gives up the place, or the wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from tongchou.core.problems import Problem
from tongchou.integrations.prometheus.parameters import duration_ms
from tongchou.integrations.prometheus.request import value_of
from tongchou.telemetry.backend import default_limits
from tongchou.telemetry.meters import API_QUERIES, RUNNING_QUERIES
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.promql.errors import canceled, limit_exceeded
from tongchou.telemetry.promql.statistics import Statistics
from tongchou.wire.asgi import CLIENT_GONE

_POINT_BYTES = 100  # of a point while it is written: its text, three times, and what it is made of
_LOOK_SECONDS = 0.1  # how often one that waits looks whether its client has gone


class Places:
    """So many at once; the number may change between queries. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0

    def take(self, most: int, seconds: float) -> bool:
        """Take a place when there is one of `most` within so many seconds."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._taken < max(1, most), seconds)
            self._taken += found
            return found

    def give_back(self) -> None:
        """Free a place."""
        with self._changed:
            self._taken -= 1
            self._changed.notify()


_places = Places()


@dataclass(slots=True)
class Running:
    """One query while it runs: what the evaluator is given."""

    limits: Limits
    statistics: Statistics
    gone: threading.Event
    started: float  # by time.monotonic()
    deadline: float

    def check(self) -> None:
        """Stop the writing of an answer that takes too long, or that nobody waits for. Raises QueryError."""
        if self.cancelled():
            raise canceled()
        if time.monotonic() > self.deadline:
            allowed = self.limits.timeout_seconds
            raise limit_exceeded("timeout_seconds", allowed, allowed, "TONGCHOU_TELEMETRY_MAX_QUERY_SECONDS")

    def afford(self, points: int) -> None:
        """Refuse an answer of so many points before it is written. Raises QueryError."""
        needed, allowed = points * _POINT_BYTES, self.limits.max_memory_bytes
        if needed > allowed:
            raise limit_exceeded("max_memory_bytes", needed, allowed, "TONGCHOU_TELEMETRY_MAX_QUERY_BYTES")

    def cancelled(self) -> bool:
        """Whether the client has gone away."""
        return self.gone.is_set()


def limits_of(request: HttpRequest) -> Limits:
    """The operator's limits, and a shorter `timeout` when one is asked for. Raises BadRequest."""
    limits = default_limits()
    text = value_of(request, "timeout")
    if not text:
        return limits
    wanted = max(0.001, duration_ms("timeout", text) / 1000)
    return replace(limits, timeout_seconds=min(wanted, limits.timeout_seconds))


@contextmanager
def running(request: HttpRequest) -> Iterator[Running]:
    """A place among the queries that run. Raises Problem when there is none in time, or when the client has gone."""
    limits, started = limits_of(request), time.monotonic()
    scope: dict[str, object] = getattr(request, "scope", {})
    gone = scope.get(CLIENT_GONE)
    statistics = Statistics(wanted=bool(value_of(request, "stats")))
    gone = gone if isinstance(gone, threading.Event) else threading.Event()
    query = Running(limits, statistics, gone, started, started + limits.timeout_seconds)
    _wait(query, started)
    RUNNING_QUERIES.add()
    ended = "refused"
    try:
        query.statistics.queue_seconds = time.monotonic() - started
        # What was waited counts, as the client's patience does.
        left = limits.timeout_seconds - query.statistics.queue_seconds
        query.limits = replace(limits, timeout_seconds=max(0.0, left))
        yield query
        ended = "done"
    except Problem as error:
        ended = {499: "canceled", 503: "timeout"}.get(error.status, ended)
        raise
    finally:
        query.statistics.total_seconds = time.monotonic() - started
        _places.give_back()
        RUNNING_QUERIES.add(amount=-1)
        API_QUERIES.add(ended)


def _wait(query: Running, started: float) -> None:
    while not _places.take(settings.TELEMETRY_MAX_QUERIES, _LOOK_SECONDS):
        if query.cancelled():
            API_QUERIES.add("canceled")
            raise canceled()
        if time.monotonic() - started > query.limits.timeout_seconds:
            API_QUERIES.add("queue")
            raise _no_place()


def _no_place() -> Problem:
    error = Problem(
        "telemetry.query_queue",
        _("query timed out in query queue"),
        remedy=_("Ask again later, or raise %(setting)s.") % {"setting": "TONGCHOU_TELEMETRY_MAX_QUERIES"},
    )
    error.status = 503
    return error
