"""Generated series for property tests, and small ones for examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from tongchou.telemetry.memory import MemoryBackend
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import STALE_NAN, Clocks, LabelList, Labels, Matcher, SeriesBlock, labels_of

Samples = list[tuple[int, float]]


def backend_of(series: dict[Labels, Samples]) -> MemoryBackend:
    backend = MemoryBackend()
    for labels, samples in series.items():
        if samples:
            backend.add(labels, dict(samples))
    return backend


class SharingBackend(MemoryBackend):
    """A backend that tells which series share their timestamps, and hands out label lists that remember."""

    def __init__(self) -> None:
        super().__init__()
        self._lists: dict[tuple[Labels, ...], LabelList] = {}

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock:
        block = super().select(matchers, start_ms, end_ms, limits=limits)
        known: dict[tuple[int, ...], int] = {}
        of = [known.setdefault(tuple(block.samples(row)[0].tolist()), len(known)) for row in range(len(block))]
        offsets = np.concatenate(([0], np.cumsum([len(each) for each in known]))).astype(np.int64)
        ts = np.array([time for each in known for time in each], np.int64)
        labels = self._lists.setdefault(tuple(block.labels), LabelList(block.labels))
        return SeriesBlock(labels, block.offsets, None, block.v, clocks=Clocks(np.array(of, np.int64), offsets, ts))


def sharing(backend: MemoryBackend) -> SharingBackend:
    """The same samples in a backend that shares timestamps."""
    made = SharingBackend()
    for labels, samples in backend.everything():
        made.add(labels, samples)
    return made


def metric(name: str, **labels: str) -> Labels:
    return labels_of({"__name__": name, **labels})


def line(name: str, values: list[float], every_ms: int = 15_000, **labels: str) -> tuple[Labels, Samples]:
    return metric(name, **labels), [(k * every_ms, value) for k, value in enumerate(values)]


@st.composite
def counters(draw: st.DrawFn, stale: bool = True) -> Samples:
    """A counter on a jittered grid: gaps, resets, staleness markers, whole and fractional increments."""
    scale = draw(st.sampled_from([1.0, 0.1, 1000.0, 1 / 3]))
    samples: Samples = []
    value, at = float(draw(st.integers(0, 50))), draw(st.integers(0, 40_000))
    for _ in range(draw(st.integers(0, 40))):
        kind = draw(st.integers(0, 19))
        at += draw(st.sampled_from([1_000, 15_000, 15_000, 15_000, 14_900, 45_000]))
        if kind == 0:
            value = 0.0
        elif kind == 1 and stale:
            samples.append((at, STALE_NAN))
            continue
        elif kind == 2:
            continue
        else:
            value += draw(st.integers(0, 30)) * scale
        samples.append((at, value))
    return samples


@st.composite
def sets_of_counters(draw: st.DrawFn) -> dict[Labels, Samples]:
    """Up to four counters; half of the sets were scraped together, so that they share their timestamps."""
    found = draw(st.lists(counters(), min_size=1, max_size=4))
    if draw(st.booleans()):
        clock = [time for time, _value in max(found, key=len)]
        found = [
            [(time, samples[at % len(samples)][1] if samples else 1.0) for at, time in enumerate(clock)]
            for samples in found
        ]
    return {metric("requests_total", instance=str(k)): samples for k, samples in enumerate(found)}
