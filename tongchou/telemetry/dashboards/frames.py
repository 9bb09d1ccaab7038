"""What answers of queries become on a panel: a table joined by labels, the cells of a heatmap. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Values = list[float | None]


@dataclass(frozen=True, slots=True)
class Joined:
    """Rows of a table: the labels that differ or are there, and a value for each query."""

    labels: tuple[str, ...]
    rows: tuple[tuple[dict[str, str], tuple[float | None, ...]], ...]
    dropped: int


def joined(answers: Sequence[Sequence[tuple[Mapping[str, str], float]]], *, most: int) -> Joined:
    """Join instant answers by their labels but the metric's name; `answers`: (labels, value) of each query."""
    cells: dict[tuple[tuple[str, str], ...], list[float | None]] = {}
    for place, answer in enumerate(answers):
        for labels, value in answer:
            key = tuple(sorted((name, text) for name, text in labels.items() if name != "__name__"))
            row = cells.setdefault(key, [None] * len(answers))
            row[place] = value if math.isfinite(value) else None
    names = sorted({name for key in cells for name, _text in key})
    rows = tuple((dict(key), tuple(values)) for key, values in sorted(cells.items()))
    return Joined(tuple(names), rows[:most], max(0, len(rows) - most))


@dataclass(frozen=True, slots=True)
class Heat:
    """Cells of a heatmap: `bounds` are the upper ends of the bands, ascending; `counts[band][time]`."""

    bounds: tuple[float, ...]
    counts: tuple[Values, ...]


def heat(series: Sequence[tuple[Mapping[str, str], Values]]) -> Heat:
    """Turn the cumulative buckets of a classic histogram (`sum by (le)`) into what fell into each band.

    Series of one `le` are added up. Buckets read at different moments may run backwards: a band is never below zero.
    """
    found: dict[float, Values] = {}
    for labels, values in series:
        bound = _bound(labels.get("le", ""))
        if bound is None:
            continue
        before = found.get(bound)
        found[bound] = list(values) if before is None else [_added(a, b) for a, b in zip(before, values, strict=True)]
    bounds = sorted(found)
    counts: list[Values] = []
    below: Values = []
    for bound in bounds:
        now = found[bound]
        counts.append([_between(b, a) for b, a in zip(below or [0.0] * len(now), now, strict=True)])
        below = [a if b is None else b if a is None else max(a, b) for a, b in zip(now, below or now, strict=True)]
    return Heat(tuple(bounds), tuple(counts))


def heat_as_json(found: Heat) -> dict[str, Any]:
    """Return what heatmap.js draws; JSON has no infinity: the end of the last band is "inf"."""
    bounds = [str(bound) if math.isinf(bound) else bound for bound in found.bounds]
    return {"bounds": bounds, "counts": [list(each) for each in found.counts]}


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _added(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else a + b


def _between(below: float | None, now: float | None) -> float | None:
    if now is None:
        return None
    return max(0.0, now - (below or 0.0))


def as_json(found: Joined) -> dict[str, Any]:
    """Return what dashboards.js reads of a table."""
    return {
        "labels": list(found.labels),
        "rows": [[*(labels.get(name, "") for name in found.labels), *values] for labels, values in found.rows],
        "dropped": found.dropped,
    }
