"""Counters, gauges and histograms with labels, rendered as Prometheus text (version 0.0.4)."""

from __future__ import annotations

import bisect
import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# From a cached page (2 ms) to the longest timeout in the shop (3 s): an SLO of 250 ms and one of 500 ms sit on bounds.
LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _labels(names: Sequence[str], values: Sequence[str], extra: str = "") -> str:
    pairs = [f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True)]
    if extra:
        pairs.append(extra)
    return "{" + ",".join(pairs) + "}" if pairs else ""


class Metric:
    """A counter or gauge: one number per tuple of label values."""

    def __init__(self, kind: str, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.kind, self.name, self.help_text, self.labels = kind, name, help_text, tuple(labels)
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, amount: float = 1.0, *labels: str) -> None:
        """Add to the number under these label values."""
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def set(self, value: float, *labels: str) -> None:
        """Replace the number under these label values."""
        self.values[labels] = value

    def get(self, *labels: str) -> float:
        """The number under these label values, 0 when never touched."""
        return self.values.get(labels, 0.0)

    def lines(self) -> list[str]:
        """Sample lines, in first-use order."""
        return [f"{self.name}{_labels(self.labels, key)} {value:.17g}" for key, value in self.values.items()]


class Histogram:
    """A classic histogram: cumulative buckets, sum and count per tuple of label values."""

    kind = "histogram"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = (), buckets: Sequence[float] = ()) -> None:
        self.name, self.help_text, self.labels = name, help_text, tuple(labels)
        self.bounds = tuple(buckets) or LATENCY_BUCKETS
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count one observation."""
        counts = self._counts.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[bisect.bisect_left(self.bounds, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def lines(self) -> list[str]:
        """Sample lines; buckets are cumulative and end with +Inf, which equals _count."""
        out: list[str] = []
        for key, counts in self._counts.items():
            total = 0
            for bound, count in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
                total += count
                bucket = 'le="' + bound + '"'
                out.append(f"{self.name}_bucket{_labels(self.labels, key, bucket)} {total}")
            out.append(f"{self.name}_sum{_labels(self.labels, key)} {self._sums[key]:.17g}")
            out.append(f"{self.name}_count{_labels(self.labels, key)} {total}")
        return out


class Registry:
    """The metrics of one process. `before` callbacks refresh gauges right before a scrape is answered."""

    def __init__(self) -> None:
        self._metrics: list[Metric | Histogram] = []
        self.before: list[Callable[[], None]] = []

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Metric:
        """A number that only grows; its name ends in _total."""
        return self._keep(Metric("counter", name, help_text, labels))

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Metric:
        """A number that moves both ways."""
        return self._keep(Metric("gauge", name, help_text, labels))

    def histogram(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Histogram:
        """A distribution in seconds over LATENCY_BUCKETS."""
        metric = Histogram(name, help_text, labels)
        self._metrics.append(metric)
        return metric

    def _keep(self, metric: Metric) -> Metric:
        self._metrics.append(metric)
        return metric

    def render(self) -> bytes:
        """The exposition text."""
        for refresh in self.before:
            refresh()
        out: list[str] = []
        for metric in self._metrics:
            out += [f"# HELP {metric.name} {metric.help_text}", f"# TYPE {metric.name} {metric.kind}", *metric.lines()]
        return ("\n".join(out) + "\n").encode()


def resident_bytes() -> int:
    """Resident memory of this process; the peak where /proc does not exist."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def add_process_metrics(registry: Registry) -> None:
    """The process_* family under the names every Prometheus client library uses."""
    cpu = registry.counter("process_cpu_seconds_total", "User and system CPU time spent.")
    memory = registry.gauge("process_resident_memory_bytes", "Resident memory.")
    fds = registry.gauge("process_open_fds", "Open file descriptors.")
    limit = registry.gauge("process_max_fds", "Most file descriptors this process may open.")
    registry.gauge("process_start_time_seconds", "Start time since the epoch.").set(time.time())
    limit.set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    def refresh() -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu.set(usage.ru_utime + usage.ru_stime)
        memory.set(resident_bytes())
        try:
            fds.set(sum(1 for _ in Path("/proc/self/fd").iterdir()))
        except OSError:
            fds.set(0)

    registry.before.append(refresh)
