"""Generated series for property tests, and small ones for examples."""

from __future__ import annotations

from hypothesis import strategies as st

from tongchou.telemetry.memory import MemoryBackend
from tongchou.telemetry.series import STALE_NAN, Labels, labels_of

Samples = list[tuple[int, float]]


def backend_of(series: dict[Labels, Samples]) -> MemoryBackend:
    backend = MemoryBackend()
    for labels, samples in series.items():
        if samples:
            backend.add(labels, dict(samples))
    return backend


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
    found = draw(st.lists(counters(), min_size=1, max_size=4))
    return {metric("requests_total", instance=str(k)): samples for k, samples in enumerate(found)}
