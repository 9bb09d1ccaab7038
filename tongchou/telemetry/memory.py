"""A backend that keeps its samples in a dictionary: the plainest store there can be, for tests of rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Float64s, Int64s, Labels, Matcher, SeriesBlock, matches_all


class MemoryBackend:
    """Samples by series; a later sample at the same time replaces the earlier one. A `ports.Backend`."""

    def __init__(self) -> None:
        self._samples: dict[Labels, dict[int, float]] = {}
        self._starts: dict[Labels, dict[int, int]] = {}
        self._sorted: dict[Labels, tuple[Int64s, Float64s]] = {}

    def add(self, labels: Labels, samples: Mapping[int, float], starts: Mapping[int, int] | None = None) -> None:
        """Keep samples (time in ms -> value), and when their counters started (time in ms -> start in ms)."""
        self._starts.setdefault(labels, {}).update(starts or {})
        self._samples.setdefault(labels, {}).update(samples)
        self._sorted.pop(labels, None)

    def everything(self) -> Iterator[tuple[Labels, dict[int, float]]]:
        """Every series with its samples (time in ms -> value)."""
        yield from self._samples.items()

    def clear(self) -> None:
        """Forget everything."""
        self._samples.clear()
        self._starts.clear()
        self._sorted.clear()

    def _columns(self, labels: Labels) -> tuple[Int64s, Float64s]:
        if labels not in self._sorted:
            samples = self._samples[labels]
            ts = np.array(sorted(samples), dtype=np.int64)
            self._sorted[labels] = ts, np.array([samples[int(t)] for t in ts], dtype=np.float64)
        return self._sorted[labels]

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock:
        """See `ports.Backend`; limits are not watched here."""
        rows = []
        for labels in sorted(self._samples):
            if matches_all(matchers, labels):
                ts, v = self._columns(labels)
                low, high = np.searchsorted(ts, start_ms, "left"), np.searchsorted(ts, end_ms, "right")
                if high > low:
                    rows.append((labels, ts[low:high], v[low:high]))
        block = SeriesBlock.build(rows)
        if any(self._starts.get(labels) for labels in block.labels):
            starts = [self._starts[labels].get(int(t), 0) for labels, ts, _v in rows for t in ts]
            block.st = np.array(starts, dtype=np.int64)
        return block

    def series(
        self, matcher_sets: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int, *, limits: Limits
    ) -> list[Labels]:
        """Labels of the series with samples in the interval that satisfy any of the sets."""
        sets = matcher_sets or [[]]
        found = {labels for set_ in sets for labels in self.select(set_, start_ms, end_ms, limits=limits).labels}
        return sorted(found)

    def label_names(
        self, matcher_sets: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int, *, limits: Limits
    ) -> list[str]:
        """Sorted names of their labels."""
        series = self.series(matcher_sets, start_ms, end_ms, limits=limits)
        return sorted({name for labels in series for name, _ in labels})

    def label_values(
        self, name: str, matcher_sets: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int, *, limits: Limits
    ) -> list[str]:
        """Sorted values of one of their labels."""
        series = self.series(matcher_sets, start_ms, end_ms, limits=limits)
        return sorted({value for labels in series for found, value in labels if found == name})
