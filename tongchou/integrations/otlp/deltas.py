"""Delta points added up to what a cumulative sender would have sent, by series.

What was added up is in memory. A series seen for the first time goes on from its newest sample in the window in memory
(which a restart fills from the store), or from zero, which a rate takes for a restarted counter. What a request adds
counts from the moment its samples are on disk: a request that failed and is sent again adds once, and a point sent
again after it was taken repeats its sample instead of being added.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tongchou.integrations.otlp.points import Made
from tongchou.telemetry.series import Labels, Matcher

MAX_SERIES = 100_000  # histograms count once; the one that was silent longest is forgotten first
OLD = "a delta older than the one before of its series"

Newest = Callable[[Sequence[Matcher]], list[tuple[Labels, int, float]]]
Key = tuple[str, Labels]


@dataclass(frozen=True, slots=True)
class Total:
    """What a series adds up to, as of a time."""

    time_ms: int
    values: dict[str, float]
    buckets: dict[float, float] | None


class Totals:
    """The totals of this process. Hold `lock` from `add` until `keep`."""

    def __init__(self, newest: Newest) -> None:
        self.lock = threading.Lock()
        self._newest = newest
        self._held: OrderedDict[Key, Total] = OrderedDict()

    def add(self, points: list[Made]) -> tuple[list[Made | None], dict[Key, Total]]:
        """(the points with their totals, None for one that comes too late; what to `keep` once they are on disk)."""
        staged: dict[Key, Total] = {}
        done: list[Made | None] = []
        for made in points:
            key = (made.name, made.labels)
            before = staged.get(key) or self._held.get(key) or self._restored(made)
            if before is not None and made.time_ms < before.time_ms:
                done.append(None)
                continue
            if before is None:
                total = Total(made.time_ms, made.values, made.buckets)
            elif made.time_ms == before.time_ms:
                total = before
            else:
                total = _sum(before, made)
            staged[key] = total
            done.append(replace(made, values=total.values, buckets=total.buckets, delta=False))
        return done, staged

    def keep(self, staged: dict[Key, Total]) -> None:
        """These are on disk."""
        for key, total in staged.items():
            self._held[key] = total
            self._held.move_to_end(key)
        while len(self._held) > MAX_SERIES:
            self._held.popitem(last=False)

    def _restored(self, made: Made) -> Total | None:
        """The total out of the newest samples of the series; None when one is missing or has ended."""
        values: dict[str, float] = {}
        times = set()
        for suffix in made.values:
            found = self._own(made, suffix, "")
            if len(found) != 1:
                return None
            values[suffix] = found[0][2]
            times.add(found[0][1])
        buckets: dict[float, float] | None = None
        if made.buckets is not None:
            buckets = {}
            for edge, ts, value in self._own(made, "_bucket", "le"):
                if ts in times and edge not in ("", "+Inf"):
                    buckets[float(edge)] = value
            if not made.exponential and buckets.keys() != made.buckets.keys():
                return None
        whole = [*values.values(), *(buckets or {}).values()]
        if len(times) != 1 or not all(math.isfinite(each) for each in whole):
            return None
        return Total(times.pop(), values, buckets)

    def _own(self, made: Made, suffix: str, extra: str) -> list[tuple[str, int, float]]:
        """(value of the label `extra`, ts, value) of the newest samples of series with exactly these labels."""
        matchers = [Matcher("__name__", "=", made.name + suffix)]
        matchers += [Matcher(name, "=", value) for name, value in made.labels]
        found = []
        for labels, ts, value in self._newest(matchers):
            rest = tuple(pair for pair in labels if pair[0] not in ("__name__", extra))
            if rest == made.labels:
                found.append((dict(labels).get(extra, ""), ts, value))
        return found


def _sum(before: Total, made: Made) -> Total:
    """What was added, added. Buckets of other bounds cannot be: the series begin anew, as of a restarted counter."""
    if before.values.keys() != made.values.keys() or (before.buckets is None) != (made.buckets is None):
        return Total(made.time_ms, made.values, made.buckets)
    buckets = None
    if before.buckets is not None and made.buckets is not None:
        edges = sorted(before.buckets.keys() | made.buckets.keys())
        if not made.exponential and len(edges) != len(made.buckets):
            return Total(made.time_ms, made.values, made.buckets)
        buckets = {edge: _at(before.buckets, edge) + _at(made.buckets, edge) for edge in edges}
    values = {suffix: before.values[suffix] + value for suffix, value in made.values.items()}
    return Total(made.time_ms, values, buckets)


def _at(buckets: dict[float, float], edge: float) -> float:
    """How many observations lie up to an edge, which need not be one of the buckets'."""
    found = buckets.get(edge)
    if found is None:
        found = max((count for known, count in buckets.items() if known < edge), default=0.0)
    return found
