"""What the series are made of, how their number grows, and who sends them: of what this process knows.

Counted over every series of the index, also those that no longer come; `active` are those with a sample within the
last hour. Nothing is asked of the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tongchou.telemetry.backend import backend
from tongchou.telemetry.series import Int64s
from tongchou.telemetry.sources import Source
from tongchou.telemetry.store.tables import MS_PER_DAY

ACTIVE_MS = 3_600_000

Counts = list[tuple[str, int]]  # the greatest first


@dataclass(frozen=True, slots=True)
class Cardinality:
    """`memory` is bytes of a label's values over all series, as Prometheus counts them; pairs are "name=value"."""

    series: int
    pairs_in_all: int
    metrics: Counts
    labels: Counts
    memory: Counts
    pairs: Counts


@dataclass(frozen=True, slots=True)
class Growth:
    """Series by when they last or first had a sample; days are UTC. `first_day` is the oldest that is kept."""

    active: int
    new_today: int
    new_in_7_days: int
    first_day: int | None


def measure(count: int) -> Cardinality:
    """The `count` greatest of each. Some 100 ms at a million series."""
    index = backend().index
    values, sizes = index.label_sizes()
    metrics: Counts = []
    labels: list[int] = []
    memory: list[int] = []
    pairs: Counts = []
    for name, texts, series in zip(values, values.values(), sizes, strict=True):
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        labels.append(len(texts))
        memory.append(int((lengths * series).sum()))
        top = [(texts[at], int(series[at])) for at in _greatest(series, count)]
        pairs += [(f"{name}={value}", number) for value, number in top]
        if name == "__name__":
            metrics = sorted(top, key=_order)[:count]
    return Cardinality(
        len(index),
        sum(labels),
        metrics,
        _top(zip(values, labels, strict=True), count),
        _top(zip(values, memory, strict=True), count),
        _top(pairs, count),
    )


def _order(each: tuple[str, int]) -> tuple[int, str]:
    return -each[1], each[0]


def _top(found: Sequence[tuple[str, int]] | zip[tuple[str, int]], count: int) -> Counts:
    return sorted(found, key=_order)[:count]


def _greatest(sizes: Int64s, count: int) -> list[int]:
    """Places of the `count` greatest numbers, in no order; which of those equal to the least is left open."""
    if len(sizes) <= count:
        return list(range(len(sizes)))
    places: list[int] = np.argpartition(sizes, -count)[-count:].tolist()
    return places


def growth() -> Growth:
    """How many series come, and how many came newly."""
    telemetry = backend()
    now = telemetry.clock()
    today = now // MS_PER_DAY
    span = telemetry.index.day_span()
    return Growth(
        telemetry.window.rows_since(now - ACTIVE_MS),
        telemetry.index.new_since(today),
        telemetry.index.new_since(today - 6),
        span[0] if span else None,
    )


def senders() -> list[Source]:
    """Who sent samples to this process since its start, those with most active series first."""
    return backend().sources.all()


@dataclass(frozen=True, slots=True)
class Head:
    """The newest window, in the words Prometheus has for its head block; times in ms."""

    series: int
    label_pairs: int
    chunks: int
    min_ms: int
    max_ms: int


def head(found: Cardinality) -> Head:
    """What the window in memory holds; its pages stand for chunks."""
    telemetry = backend()
    now = telemetry.clock()
    window = telemetry.window
    return Head(found.series, found.pairs_in_all, window.page_count, min(window.covered_from_ms, now), now)
