"""Exponential histograms as classic ones: fewer buckets, each upper edge a label. Pure.

A bucket of scale s with index i holds the values in (base^i, base^(i+1)], base = 2^(2^-s). Halving the scale joins
neighbours in pairs exactly, so nothing is counted wrongly; only how finely a quantile can be told is lost.
"""

from __future__ import annotations

from tongchou.wire.otlp_metrics import Buckets, Point

CLASSIC_SCALE = 1  # at most two buckets for each doubling of the value
MAX_CLASSIC_BUCKETS = 160
MIN_SCALE, MAX_SCALE = -10, 20


def problem(point: Point) -> str:
    """Why the point cannot be read, "" when it can."""
    if not MIN_SCALE <= point.scale <= MAX_SCALE:
        return f"the scale of an exponential histogram is not from {MIN_SCALE} to {MAX_SCALE}"
    if not point.zero_threshold >= 0:
        return "the zero threshold of an exponential histogram is negative"
    return ""


def cumulative(point: Point) -> dict[float, float]:
    """The counts of observations up to each upper edge, ascending; +Inf is left to the count of the point.

    The edge 0 (or the zero threshold) is always there; buckets within the threshold, which nobody should send, count
    below it. A negative bucket's closed side is the lower one, a classic one's the upper one: an observation exactly on
    a negative edge is counted one bucket too low.
    """
    scale = point.scale
    positive, negative = _by_index(point.positive), _by_index(point.negative)
    while scale > CLASSIC_SCALE or (len(positive) + len(negative) > MAX_CLASSIC_BUCKETS and scale > MIN_SCALE):
        scale -= 1
        positive, negative = _halved(positive), _halved(negative)
    counts: dict[float, int] = {point.zero_threshold: point.zero_count}
    for index, count in negative.items():
        edge = -_edge(index, scale) + 0.0  # no minus before a zero: it would be another label
        counts[edge] = counts.get(edge, 0) + count
    for index, count in positive.items():
        edge = _edge(index + 1, scale)
        counts[edge] = counts.get(edge, 0) + count
    found: dict[float, float] = {}
    running = 0
    for edge in sorted(counts):
        running += counts[edge]
        found[edge] = float(running)
    found.pop(float("inf"), None)
    found.pop(float("-inf"), None)
    return found


def _by_index(buckets: Buckets) -> dict[int, int]:
    """Counts by index, from the first to the last that is not empty."""
    filled = [at for at, count in enumerate(buckets.counts) if count]
    if not filled:
        return {}
    return {buckets.offset + at: buckets.counts[at] for at in range(filled[0], filled[-1] + 1)}


def _halved(counts: dict[int, int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for index, count in counts.items():
        found[index >> 1] = found.get(index >> 1, 0) + count
    return found


def _edge(index: int, scale: int) -> float:
    """base^index; infinite where a float ends."""
    exponent = index * 2.0**-scale
    return float("inf") if exponent >= 1024 else 2.0**exponent
