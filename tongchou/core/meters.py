"""The platform measures itself: counters and histograms of this process, and figures each room reads when asked.

A room adds families in its `self_metrics.py`; /metrics writes them as Prometheus text. Names follow Prometheus's
conventions (promtool checks them in a test): base units, `_total` for counters.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from django.db import DatabaseError

from tongchou.core.problems import Problem

log = logging.getLogger(__name__)

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MOST_LABEL_SETS = 500  # of one meter; what comes later counts under "other"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: name, kind, help, and (suffix, labels, value) of each sample."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[tuple[str, Labels, float]]


def gauge(name: str, help_: str, value: float) -> Family:
    """Return a gauge with one value."""
    return Family(name, "gauge", help_, [("", (), value)])


def counter(name: str, help_: str, value: float) -> Family:
    """Return a counter with one value."""
    return Family(name, "counter", help_, [("", (), value)])


def by(kind: Kind, name: str, help_: str, label: str, values: Mapping[str, float]) -> Family:
    """Return a family with one label."""
    return Family(name, kind, help_, [("", ((label, key),), value) for key, value in values.items()])


class Counter:
    """A counter of this process with fixed label names; with `down` also a gauge. Thread-safe."""

    def __init__(self, name: str, help_: str, *labels: str, kind: Kind = "counter") -> None:
        self._name, self._help, self._labels, self._kind = name, help_, labels, kind
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}
        self._lock = threading.Lock()
        _meters.append(self.family)

    def add(self, *values: str, amount: float = 1.0) -> None:
        """Add to the value of these label values (in the order of the names)."""
        with self._lock:
            key = _bounded(self._values, values)
            self._values[key] = self._values.get(key, 0.0) + amount

    def family(self) -> Family:
        """Return what was counted."""
        with self._lock:
            found = dict(self._values)
        samples = [("", tuple(zip(self._labels, key, strict=True)), value) for key, value in sorted(found.items())]
        return Family(self._name, self._kind, self._help, samples)


class Histogram:
    """Durations in seconds by label values, in the buckets SECONDS. Thread-safe."""

    def __init__(self, name: str, help_: str, *labels: str) -> None:
        self._name, self._help, self._labels = name, help_, labels
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()
        _meters.append(self.family)

    def observe(self, *values: str, seconds: float) -> None:
        """Count one duration."""
        place = bisect_left(SECONDS, seconds)
        with self._lock:
            key = _bounded(self._counts, values)
            self._counts.setdefault(key, [0] * (len(SECONDS) + 1))[place] += 1
            self._sums[key] = self._sums.get(key, 0.0) + seconds

    @contextmanager
    def time(self, *values: str) -> Iterator[None]:
        """Observe how long the block takes, whether it ends well or not."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.observe(*values, seconds=time.monotonic() - started)

    def family(self) -> Family:
        """Return cumulative buckets, sums and counts."""
        with self._lock:
            found = [(key, list(counts), self._sums[key]) for key, counts in sorted(self._counts.items())]
        samples: list[tuple[str, Labels, float]] = []
        for key, counts, total in found:
            labels = tuple(zip(self._labels, key, strict=True))
            running = 0
            for edge, count in zip((*map(str, SECONDS), "+Inf"), counts, strict=True):
                running += count
                samples.append(("_bucket", (*labels, ("le", edge)), running))
            samples += [("_sum", labels, total), ("_count", labels, running)]
        return Family(self._name, "histogram", self._help, samples)


def _bounded(known: Mapping[tuple[str, ...], object], values: tuple[str, ...]) -> tuple[str, ...]:
    return values if values in known or len(known) < MOST_LABEL_SETS else ("other",) * len(values)


_meters: list[Callable[[], Family]] = []
_collectors: dict[str, Callable[[], Iterable[Family]]] = {}

REQUESTS = Histogram(
    "tongchou_http_request_duration_seconds",
    "Time until the answer, or a stream's beginning, by part of the platform and class of the status.",
    "part", "status",
)  # fmt: skip
STREAMS = Counter("tongchou_http_streams", "Live streams (server-sent events) open now.", kind="gauge")
JOBS = Histogram("tongchou_job_duration_seconds", "Time a job ran, by its name.", "name")
JOB_FAILURES = Counter("tongchou_job_failures_total", "Tries of jobs that failed, by name of the job.", "name")
UNREADABLE = Counter("tongchou_self_metrics_unreadable_total", "Rooms whose figures could not be read.", "room")


def collector(room: str) -> Callable[[Callable[[], Iterable[Family]]], Callable[[], Iterable[Family]]]:
    """Register what a room tells of itself whenever /metrics is asked; it must be quick (a few small queries)."""

    def register(function: Callable[[], Iterable[Family]]) -> Callable[[], Iterable[Family]]:
        _collectors[room] = function
        return function

    return register


def families() -> list[Family]:
    """Return every family. A room that cannot be read is counted and left out, and the others are still told."""
    found: list[Family] = []
    for room, collect in sorted(_collectors.items()):
        try:
            found += list(collect())
        except (Problem, DatabaseError, OSError) as error:
            log.warning("the figures of %s could not be read: %s", room, error)
            UNREADABLE.add(room)
    return [*(each() for each in _meters), *found]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))


def text(found: Iterable[Family]) -> str:
    """Return the families as Prometheus text, format 0.0.4."""
    lines = []
    for family in found:
        told = family.help.replace("\\", "\\\\").replace("\n", " ")
        lines += [f"# HELP {family.name} {told}", f"# TYPE {family.name} {family.kind}"]
        for suffix, labels, value in family.samples:
            inside = ",".join(f'{name}="{_escaped(each)}"' for name, each in labels)
            lines.append(f"{family.name}{suffix}{f'{{{inside}}}' if inside else ''} {_number(value)}")
    return "\n".join(lines) + "\n"
