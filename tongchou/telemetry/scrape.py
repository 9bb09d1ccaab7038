"""What a scrape becomes: labels, staleness markers and the series a scrape says about itself. No I/O, no clock.

Semantics are Prometheus's (scrape/scrape.go): target labels win and a metric's own label of the same name moves to
exported_<name>; a series that was there and is not any more ends with a staleness marker, and so do all of a target
that fails or goes; series with timestamps of their own are not tracked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tongchou.core.problems import TooMany
from tongchou.telemetry.admit import SERIES_LIMIT, canonical
from tongchou.telemetry.series import STALE_NAN, Float64s, Int64s, Labels, labels_of
from tongchou.wire.exposition import Exposition, ExpositionError, parse_series

RowOf = Callable[[Labels], int]
MAX_SERIES_PER_TARGET = 50_000
_CACHE_FACTOR = 3
_REPORTS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)


@dataclass(slots=True)
class Batch:
    """Samples of one scrape, ready to be written."""

    rows: Int64s
    ts: Int64s
    v: Float64s
    scraped: int = 0
    added: int = 0
    refused: dict[str, int] = field(default_factory=dict)


def first_due(key: str, interval_seconds: float, now: float) -> float:
    """The next time (Unix seconds) that is this target's turn: a stable offset within the interval spreads targets."""
    digest = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
    offset = interval_seconds * (digest / 2**64)
    turn = (now // interval_seconds) * interval_seconds + offset
    return turn if turn >= now else turn + interval_seconds


def next_due(due: float, interval_seconds: float, now: float) -> float:
    """The turn after `due` that is not past; turns missed while a scrape took long are left out, not made up for."""
    following = due + interval_seconds
    if following < now:
        following += np.ceil((now - following) / interval_seconds) * interval_seconds
    return float(following)


def stamp_ms(due: float, started: float, interval_seconds: float) -> int:
    """The time samples carry: the turn itself when we were at most 2 ms or 1 % of the interval late, else the start.

    Even distances compress to almost nothing, and a rate over them is exact.
    """
    late = started - due
    return round((due if 0 <= late <= max(0.002, interval_seconds / 100) else started) * 1000)


def full_labels(own: Sequence[tuple[str, str]], target: Mapping[str, str]) -> list[tuple[str, str]]:
    """A scraped series' labels with the target's; a clash moves the scraped one to exported_<name>."""
    names = {name for name, _value in own} | set(target)
    labels = list(target.items())
    for name, value in own:
        if name in target:
            moved = f"exported_{name}"
            while moved in names:
                moved = f"exported_{moved}"
            names.add(moved)
            labels.append((moved, value))
        else:
            labels.append((name, value))
    return labels


class TargetSeries:
    """The series of one target: remembers which text means which row, and which rows the last scrape had."""

    def __init__(self, target_labels: Mapping[str, str], row_of: RowOf) -> None:
        self.target_labels = {n: v for n, v in target_labels.items() if not n.startswith("__") and v}
        self._row_of = row_of
        self._rows: dict[str, int] = {}
        self._live: set[int] = set()
        self._reports = [row_of(labels_of({"__name__": name, **self.target_labels})) for name in _REPORTS]

    @property
    def known(self) -> Container[str]:
        """Texts of series that earlier scrapes had."""
        return self._rows

    def scraped(self, found: Exposition, at_ms: int, duration_seconds: float) -> Batch:
        """Samples of a scrape that succeeded. Raises ExpositionError when the target has too many series."""
        if len(found.samples) > MAX_SERIES_PER_TARGET:
            raise ExpositionError(0, f"more than {MAX_SERIES_PER_TARGET} samples")
        rows: list[int] = []
        ts: list[int] = []
        values: list[float] = []
        live: set[int] = set()
        refused: dict[str, int] = {}
        known = self._rows
        if len(known) > _CACHE_FACTOR * len(found.samples) + 1000:
            known.clear()
        for text, value, own_ms in found.samples:
            row = known.get(text)
            if row is None:
                row = self._resolve(text, refused)
                if row < 0:
                    continue
            if own_ms is None:
                if row in live:
                    continue  # the same series twice in one answer: the first one counts
                live.add(row)
            rows.append(row)
            ts.append(at_ms if own_ms is None else own_ms)
            values.append(value)
        added = len(live - self._live)
        gone = self._live - live
        self._live = live
        kept = len(rows)
        rows.extend(gone)
        ts.extend([at_ms] * len(gone))
        values.extend([STALE_NAN] * len(gone))
        report = (1.0, duration_seconds, float(len(found.samples)), float(kept), float(added))
        batch = self._with_report(rows, ts, values, at_ms, report)
        batch.scraped, batch.added, batch.refused = len(found.samples), added, refused
        return batch

    def failed(self, at_ms: int, duration_seconds: float) -> Batch:
        """Samples of a scrape that failed: up is 0, and every series of the last scrape ends."""
        gone = sorted(self._live)
        self._live = set()
        report = (0.0, duration_seconds, 0.0, 0.0, 0.0)
        return self._with_report(gone, [at_ms] * len(gone), [STALE_NAN] * len(gone), at_ms, report)

    def ended(self, at_ms: int) -> Batch:
        """Samples when the target is not scraped any more: all its series end."""
        gone = sorted(self._live)
        self._live = set()
        return self._with_report(
            gone, [at_ms] * len(gone), [STALE_NAN] * len(gone), at_ms, (STALE_NAN,) * len(_REPORTS)
        )

    def _resolve(self, text: str, refused: dict[str, int]) -> int:
        labels = canonical(full_labels(parse_series(text), self.target_labels))
        if isinstance(labels, str):
            refused[labels] = refused.get(labels, 0) + 1
            return -1
        try:
            row = self._row_of(labels)
        except TooMany:
            refused[SERIES_LIMIT] = refused.get(SERIES_LIMIT, 0) + 1
            return -1
        self._rows[text] = row
        return row

    def _with_report(
        self, rows: list[int], ts: list[int], values: list[float], at_ms: int, report: Sequence[float]
    ) -> Batch:
        rows = [*rows, *self._reports]
        ts = [*ts, *([at_ms] * len(report))]
        values = [*values, *report]
        return Batch(np.array(rows, np.int64), np.array(ts, np.int64), np.array(values, np.float64))
