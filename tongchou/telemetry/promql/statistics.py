"""What a query cost, told on request: samples found at every step, and where the time went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from tongchou.telemetry.series import Bools, Int64s


@dataclass(slots=True)
class Statistics:
    """Filled while one query is evaluated.

    Samples count as in Prometheus: one for every series and step of an instant selector, every sample of every window
    of a range (one for a window read from rollups); what happens inside a subquery does not count, its points do.
    peak_samples is what is held against the limit of samples: samples read and points of intermediate results.
    Times in seconds.
    """

    wanted: bool = False  # whether samples are counted: adding them up costs a little
    per_step: dict[int, int] = field(default_factory=dict)
    peak_samples: int = 0
    queue_seconds: float = 0.0
    prepare_seconds: float = 0.0
    sort_seconds: float = 0.0
    total_seconds: float = 0.0
    _inside: int = 0

    @property
    def samples(self) -> int:
        """Samples found at all steps."""
        return sum(self.per_step.values())

    def found(self, present: Bools, times_ms: Int64s) -> None:
        """Count what an instant selector found, [series x times]."""
        if self.wanted and not self._inside:
            self._add(present.sum(axis=0), times_ms)

    def windows(self, counts: Int64s, times_ms: Int64s) -> None:
        """Count the samples of windows, [series x times], or [series x 1] when they do not move."""
        if self.wanted and not self._inside:
            self._add(counts.sum(axis=0), times_ms)

    def _add(self, counts: Int64s, times_ms: Int64s) -> None:
        for at, count in zip(times_ms.tolist(), np.broadcast_to(counts, (len(times_ms),)).tolist(), strict=True):
            self.per_step[at] = self.per_step.get(at, 0) + count

    @contextmanager
    def subquery(self) -> Iterator[None]:
        """Count nothing within."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Time what is read from the store."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.prepare_seconds += time.perf_counter() - started
