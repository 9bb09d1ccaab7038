"""The series both engines are asked about: everything that makes PromQL hard, from one seed.

Samples stand at odd milliseconds, queries and windows begin and end at whole seconds: Prometheus 2.42 counts a sample on
the left edge of a window and later ones do not, so none lies there. Values are multiples of 1/64 small enough for sums of
them to be exact in any order, and differ between the series of a metric, so that ranks have no ties.
"""

from __future__ import annotations

import math
import random

from tongchou.telemetry.series import STALE_NAN, Labels, labels_of

BEGIN = 1_700_000_000  # seconds
SPAN = 1800
Samples = dict[int, float]
NEGATIVE = -100_000.0
BOUNDS = ("0.1", "0.5", "1", "2.5", "10", "+Inf")


def generated(seed: int) -> dict[Labels, Samples]:
    """Counters, gauges, classic histograms, odd values, sparse series and a metric of many series."""
    chance = random.Random(seed)
    series: dict[Labels, Samples] = {}
    for number, (job, instance) in enumerate((j, i) for j in ("a", "b", "web") for i in ("1", "2", "10")):
        pair = {"job": job, "instance": instance}
        series[metric("c_total", **pair)] = counter(chance, chance.choice((15, 15, 30)))
        zone = chance.choice(("east", "west", ""))
        series[metric("g", zone=zone, **pair)] = gauge(chance, number)
        if chance.random() < 0.7:
            series[metric("g2", zone=zone, env="prod", **pair)] = gauge(chance, number + 20)
        version = chance.choice(("1.0", "1.1"))
        series[metric("meta_info", version=version, **pair)] = dict.fromkeys(times(chance, 60), 1.0)
        if instance != "10":
            histogram(chance, series, pair)
            growing_histogram(chance, series, pair)
    for kind in ("nan", "inf", "mixed", "flat"):
        series[metric("odd", kind=kind)] = {at: odd(chance, kind) for at in times(chance, 30)}
    for number in range(3):
        series[metric("sparse", n=str(number))] = {at: float(number + k) for k, at in enumerate(times(chance, 400))}
    for number in range(300):
        value = number + number / 512
        found = dict.fromkeys(times(chance, 120), value)
        series[metric("many", id=str(number), shard=str(number % 7))] = found
    return series


def metric(name: str, **labels: str) -> Labels:
    return labels_of({"__name__": name, **labels})


def times(chance: random.Random, every: int) -> list[int]:
    """When a series was scraped: on a jittered grid with holes; it may begin late and end early."""
    first, last = BEGIN, BEGIN + SPAN
    if chance.random() < 0.3:
        first += chance.randrange(SPAN // 2)
    if chance.random() < 0.3:
        last -= chance.randrange(SPAN // 2)
    phase = chance.randrange(1, every)
    found = []
    at = first + phase
    while at < last:
        if chance.random() > 0.03:
            found.append(at * 1000 + chance.choice((37, 41, 113, 897)))
        at += every if chance.random() > 0.02 else every * chance.randrange(2, 30)
    return found


def ended(chance: random.Random, samples: Samples) -> Samples:
    """Put staleness markers in the place of some samples."""
    return {at: STALE_NAN if chance.random() < 0.02 else value for at, value in samples.items()}


def counter(chance: random.Random, every: int) -> Samples:
    """A counter with resets, below zero: how far rate() looks back is bounded by where a counter was zero."""
    value, samples = NEGATIVE + chance.randrange(10_000), {}
    for at in times(chance, every):
        value = NEGATIVE + chance.randrange(3) if chance.random() < 0.03 else value + chance.randrange(64) / 4
        samples[at] = value
    return ended(chance, samples)


def gauge(chance: random.Random, number: int) -> Samples:
    """A walk whose fraction is its own: (number + 1)/64 over a whole number."""
    value, samples = chance.randrange(-50, 50), {}
    for at in times(chance, 15):
        value += chance.choice((-3, -1, 0, 0, 1, 2))
        samples[at] = value + (number + 1) / 64
    return ended(chance, samples)


def odd(chance: random.Random, kind: str) -> float:
    if kind == "flat":
        return 0.0
    if kind == "nan":
        return math.nan
    if kind == "inf":
        return chance.choice((math.inf, math.inf, -math.inf))
    return chance.choice((math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5, -2.25, 3.0))


def growing_histogram(chance: random.Random, series: dict[Labels, Samples], pair: dict[str, str]) -> None:
    """Buckets to take the rate of: below zero as counter() is, without resets."""
    counts = [NEGATIVE] * len(BOUNDS)
    for at in times(chance, 15):
        for _observed in range(chance.randrange(12)):
            for above in range(min(len(BOUNDS) - 1, int(chance.expovariate(0.6))), len(BOUNDS)):
                counts[above] += 1
        for bound, count in zip(BOUNDS, counts, strict=True):
            series.setdefault(metric("hr_bucket", le=bound, **pair), {})[at] = count


def histogram(chance: random.Random, series: dict[Labels, Samples], pair: dict[str, str]) -> None:
    counts, total = [0] * len(BOUNDS), 0.0
    bounds = [bound for bound in BOUNDS if bound == "+Inf" or chance.random() > 0.15]
    for at in times(chance, 15):
        if chance.random() < 0.02:
            counts, total = [0] * len(BOUNDS), 0.0
        for _observed in range(chance.randrange(12)):
            bucket = min(len(BOUNDS) - 1, int(chance.expovariate(0.6)))
            total += bucket / 4
            for above in range(bucket, len(BOUNDS)):
                counts[above] += 1
        for bound, count in zip(BOUNDS, counts, strict=True):
            if bound in bounds:
                series.setdefault(metric("h_bucket", le=bound, **pair), {})[at] = float(count)
        series.setdefault(metric("h_count", **pair), {})[at] = float(counts[-1])
        series.setdefault(metric("h_sum", **pair), {})[at] = total
