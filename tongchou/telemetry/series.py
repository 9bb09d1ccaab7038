"""Samples in columns: labels, matchers and the block of series that the store, the window in memory and PromQL share.

Pure NumPy: no database, no clock, no Django.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import re2

# Sorted by name, each name once, no empty value; includes ("__name__", ...) when the series has a metric name.
Labels = tuple[tuple[str, str], ...]
MatchOp = Literal["=", "!=", "=~", "!~"]

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

METRIC_NAME = "__name__"
MAX_MEMOS = 16  # of one list: queries choose their keys, and each may be as large as the list

T = TypeVar("T")

# The bit pattern by which Prometheus says "this series has ended here"; any other NaN is a value.
STALE_BITS = np.int64(0x7FF0000000000002)
STALE_NAN: float = float(np.array([STALE_BITS], dtype=np.int64).view(np.float64)[0])


def is_stale(values: Float64s) -> Bools:
    """True where a value is the staleness marker, told from ordinary NaN by its bits."""
    stale: Bools = np.ascontiguousarray(values, dtype=np.float64).view(np.int64) == STALE_BITS
    return stale


def labels_of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Labels in their one canonical form: sorted by name, pairs with an empty value left out."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple(sorted((name, value) for name, value in items if value != ""))


def metric_name(labels: Labels) -> str:
    """The value of `__name__`, or "" for a nameless series."""
    for name, value in labels:
        if name == METRIC_NAME:
            return value
    return ""


_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def quoted(text: str) -> str:
    """A string literal of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def written_name(name: str) -> str:
    """A label name as PromQL has it: in quotes when it is not of letters, digits and underscores."""
    return name if _LABEL_NAME.fullmatch(name) else quoted(name)


def written_series(labels: Mapping[str, str]) -> str:
    """A series as PromQL has it: name{label="value", ...}, or {"the name", label="value", ...}; "" for none."""
    name = labels.get(METRIC_NAME, "")
    inside = [f"{written_name(key)}={quoted(value)}" for key, value in sorted(labels.items()) if key != METRIC_NAME]
    if name and not _METRIC.fullmatch(name):
        return "{" + ", ".join([quoted(name), *inside]) + "}"
    return f"{name}{{{', '.join(inside)}}}" if inside else name


@lru_cache(maxsize=4096)
def full_match(pattern: str) -> Callable[[str], Any]:
    """The test a matcher's expression makes: RE2 (linear time), the whole value must match, `.` matches newlines.

    Raises re2.error when RE2 refuses the pattern. (Any: google-re2 ships no types.)
    """
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    # Compiled as written, not wrapped in ^(?:...)$: a pattern such as "a)|(b" would break out of the wrapping.
    test: Callable[[str], Any] = re2.compile(pattern, options).fullmatch
    return test


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a label that is not there counts as the empty string."""

    name: str
    op: MatchOp
    value: str

    def matches(self, value: str) -> bool:
        """Whether a label with this value (empty: the label is not there) satisfies the condition."""
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        hit = full_match(self.value)(value) is not None
        return hit if self.op == "=~" else not hit

    def __str__(self) -> str:
        return f"{written_name(self.name)}{self.op}{quoted(self.value)}"


def matches_all(matchers: Sequence[Matcher], labels: Labels) -> bool:
    """Whether the labels satisfy every matcher."""
    found = dict(labels)
    return all(matcher.matches(found.get(matcher.name, "")) for matcher in matchers)


class LabelList(list[Labels]):
    """Labels of many series that are not changed any more, with what was once made of them (`memo`).

    A store hands the same list to every query that finds the same series: grouping, sorting and writing them out is
    then done once. The key of a memo names what was made and with which parameters.
    """

    __slots__ = ("memo",)

    def __init__(self, labels: Iterable[Labels] = ()) -> None:
        super().__init__(labels)
        self.memo: dict[Hashable, Any] = {}


def remembered(labels: Sequence[Labels], key: Hashable, make: Callable[[Sequence[Labels]], T]) -> T:
    """What `make` makes of the labels, made once where they are a LabelList."""
    if not isinstance(labels, LabelList):
        return make(labels)
    found: T | None = labels.memo.get(key)
    if found is None:
        found = make(labels)
        if len(labels.memo) >= MAX_MEMOS:
            labels.memo.clear()
        labels.memo[key] = found
    return found


@dataclass(frozen=True, slots=True)
class Clocks:
    """Timestamps that series share, as those do that one scrape brings.

    Series i has exactly the timestamps `ts[offsets[of[i]]:offsets[of[i] + 1]]` (ms, strictly ascending).
    """

    of: Int64s
    offsets: Int64s
    ts: Int64s

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def every_ts(self, offsets: Int64s) -> Int64s:
        """The timestamp of every sample of series that lie at these offsets in compressed sparse rows."""
        shift = np.repeat(self.offsets[self.of] - offsets[:-1], np.diff(offsets))
        every: Int64s = self.ts[np.arange(len(shift), dtype=np.int64) + shift]
        return every


class SeriesBlock:
    """Many series in compressed sparse rows.

    Series i has the labels `labels[i]` and the samples `ts[offsets[i]:offsets[i+1]]` (int64 milliseconds since the
    epoch, strictly ascending) with the values `v[...]` (float64). Staleness markers are kept as values.
    st, where a store has them, are the start timestamps of cumulative samples in ms, 0 for unknown.
    Where a store knows which series share their timestamps it gives `clocks` instead of ts.
    """

    __slots__ = ("_clocks", "_ts", "labels", "offsets", "st", "v")

    def __init__(
        self,
        labels: list[Labels],
        offsets: Int64s,
        ts: Int64s | None,
        v: Float64s,
        st: Int64s | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        if ts is None and clocks is None:
            raise ValueError("a block has timestamps or clocks")
        self.labels = labels
        self.offsets = offsets
        self.v = v
        self.st = st
        self._ts = ts
        self._clocks = clocks

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ts(self) -> Int64s:
        """Timestamps of every sample, [samples]."""
        if self._ts is None:
            self._ts = self.clocks.every_ts(self.offsets)
        return self._ts

    @property
    def clocks(self) -> Clocks:
        """Which series share their timestamps; each has its own where that is not known."""
        if self._clocks is None:
            self._clocks = Clocks(np.arange(len(self.labels), dtype=np.int64), self.offsets, self.ts)
        return self._clocks

    @property
    def sample_count(self) -> int:
        """All samples of all series, staleness markers included."""
        return len(self.v)

    @classmethod
    def empty(cls) -> SeriesBlock:
        """A block without series."""
        return cls([], np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64))

    @classmethod
    def build(cls, rows: Iterable[tuple[Labels, Sequence[int] | Int64s, Sequence[float] | Float64s]]) -> SeriesBlock:
        """A block out of (labels, timestamps in ms, values) per series, in the order given."""
        labels: list[Labels] = []
        times: list[Int64s] = []
        values: list[Float64s] = []
        for series_labels, ts, v in rows:
            labels.append(series_labels)
            times.append(np.asarray(ts, dtype=np.int64))
            values.append(np.asarray(v, dtype=np.float64))
        if not labels:
            return cls.empty()
        offsets = np.zeros(len(labels) + 1, np.int64)
        np.cumsum([len(ts) for ts in times], out=offsets[1:])
        return cls(labels, offsets, np.concatenate(times), np.concatenate(values))

    def samples(self, index: int) -> tuple[Int64s, Float64s]:
        """Timestamps (ms) and values of one series, as views."""
        low, high = self.offsets[index], self.offsets[index + 1]
        return self.ts[low:high], self.v[low:high]

    def take(self, rows: Int64s) -> SeriesBlock:
        """Only these series (indices), in this order, with all their samples; -1 is a series that has none."""
        clocks, labels = self.clocks, self.labels
        counts = np.where(rows >= 0, np.diff(self.offsets)[rows], 0)
        offsets = np.concatenate(([0], np.cumsum(counts)))
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][rows] - offsets[:-1], counts)
        of, edges = clocks.of[rows], clocks.offsets
        if len(rows) and rows.min() < 0:
            of, edges = np.where(rows >= 0, of, len(clocks)), np.append(edges, edges[-1])
        return SeriesBlock(
            [labels[row] if row >= 0 else () for row in rows.tolist()],
            offsets,
            None,
            self.v[index],
            None if self.st is None else self.st[index],
            Clocks(of, edges, clocks.ts),
        )

    def between(self, start_ms: int, end_ms: int) -> SeriesBlock:
        """The same series with the samples of the closed interval only."""
        clocks = self.clocks
        if not len(clocks.ts) or (int(clocks.ts.min()) >= start_ms and int(clocks.ts.max()) <= end_ms):
            return self
        inside = (clocks.ts >= start_ms) & (clocks.ts <= end_ms)
        kept = np.concatenate(([0], np.cumsum(inside)))
        before = np.concatenate(([0], np.cumsum(clocks.ts < start_ms)))
        skipped = (before[clocks.offsets[1:]] - before[clocks.offsets[:-1]])[clocks.of]
        cut = Clocks(clocks.of, kept[clocks.offsets], clocks.ts[inside])
        counts = np.diff(cut.offsets)[clocks.of]
        offsets = np.concatenate(([0], np.cumsum(counts)))
        if len(clocks) == 1 and len(self.labels):
            first = int(skipped[0])
            v = self.v.reshape(len(self.labels), -1)[:, first : first + len(cut.ts)].ravel()
        else:
            v = self.v[np.arange(offsets[-1]) + np.repeat(self.offsets[:-1] + skipped - offsets[:-1], counts)]
        return SeriesBlock(self.labels, offsets, None, v, clocks=cut)

    def keep(self, mask: Bools) -> SeriesBlock:
        """The same series with only the samples where the mask is true; a series may end up empty."""
        kept = np.zeros(len(mask) + 1, np.int64)
        np.cumsum(mask, out=kept[1:])
        st = None if self.st is None else self.st[mask]
        offsets = kept[self.offsets]
        return SeriesBlock(self.labels, offsets, self.ts[mask], self.v[mask], st, self._clocks_but(mask, offsets))

    def _clocks_but(self, mask: Bools, offsets: Int64s) -> Clocks | None:
        """Clocks after `keep`: who lost a sample gets one of its own, the others share theirs as before."""
        if self._clocks is None:
            return None
        clocks = self._clocks
        lost = np.flatnonzero(np.diff(offsets) != np.diff(self.offsets))
        of = clocks.of.copy()
        of[lost] = len(clocks) + np.arange(len(lost))
        rows = (
            self.ts[low:high][mask[low:high]]
            for low, high in zip(self.offsets[lost], self.offsets[lost + 1], strict=True)
        )
        parts = [clocks.ts, *rows]
        lengths = np.concatenate((np.diff(clocks.offsets), np.diff(offsets)[lost]))
        return Clocks(of, np.concatenate(([0], np.cumsum(lengths))), np.concatenate(parts))

    def without_stale(self) -> SeriesBlock:
        """The block with its staleness markers left out."""
        with np.errstate(all="ignore"):
            if not np.isnan(np.add.reduce(self.v)):  # one NaN makes the sum NaN, and most blocks have none
                return self
        stale = is_stale(self.v)
        return self.keep(~stale) if stale.any() else self


# Random, so that nobody can make timestamps that look alike; odd, so that no bit is lost.
_KEYS = np.frombuffer(os.urandom(24), np.uint64) | np.uint64(1)


def run_starts(rows: Int64s) -> Int64s:
    """Where each run of equal rows begins."""
    begins = np.ones(len(rows), np.bool_)
    np.not_equal(rows[1:], rows[:-1], out=begins[1:])
    return np.flatnonzero(begins)


def mixed(ts: Int64s) -> npt.NDArray[np.uint64]:
    """A number for each timestamp; sums of them stand for sets of timestamps (wrong once in 2**64)."""
    # Added first, or the timestamp 0 would be the number 0, and a set with it the same as one without.
    scattered: npt.NDArray[np.uint64] = (ts.view(np.uint64) + _KEYS[2]) * _KEYS[0]
    scattered ^= scattered >> np.uint64(29)
    scattered *= _KEYS[1]
    scattered ^= scattered >> np.uint64(32)
    return scattered


def clocks_of(offsets: Int64s, ts: Int64s) -> Clocks:
    """Which of these series share their timestamps, found by looking at all of them."""
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(mixed(ts), dtype=np.uint64)))
    # The sum of a series is a difference of running sums, which wrap around as unsigned numbers do.
    alike = sums[offsets[1:]] - sums[offsets[:-1]]
    _alike, chosen, of = np.unique(alike, return_index=True, return_inverse=True)
    counts = np.diff(offsets)[chosen]
    starts = np.concatenate(([0], np.cumsum(counts)))
    index = np.arange(starts[-1]) + np.repeat(offsets[:-1][chosen] - starts[:-1], counts)
    return Clocks(of.astype(np.int64), starts, ts[index])


def end_to_end(parts: Sequence[SeriesBlock]) -> SeriesBlock:
    """Blocks of the same series, the samples of each later than those of the one before, as one block."""
    if len(parts) == 1:
        return parts[0]
    counts = np.stack([np.diff(part.offsets) for part in parts], axis=1)
    offsets = np.concatenate(([0], np.cumsum(counts.sum(axis=1))))
    begins = offsets[:-1, None] + np.cumsum(counts, axis=1) - counts  # [series x parts]
    labels = parts[0].labels
    v = np.empty(int(offsets[-1]))
    if len(labels) and all(len(part.clocks) == 1 for part in parts):
        matrix = v.reshape(len(labels), -1)
        for at, part in enumerate(parts):
            matrix[:, begins[0, at] : begins[0, at] + counts[0, at]] = part.v.reshape(len(labels), -1)
        ts = np.concatenate([part.clocks.ts for part in parts])
        return SeriesBlock(labels, offsets, None, v, clocks=Clocks(parts[0].clocks.of, np.array([0, len(ts)]), ts))
    for at, part in enumerate(parts):
        v[np.arange(len(part.v)) + np.repeat(begins[:, at] - part.offsets[:-1], counts[:, at])] = part.v
    return SeriesBlock(labels, offsets, None, v, clocks=_clocks_end_to_end(parts))


def _clocks_end_to_end(parts: Sequence[SeriesBlock]) -> Clocks:
    """The clocks of `end_to_end`: series share one when they share one in every part."""
    of = parts[0].clocks.of
    for part in parts[1:]:
        _pairs, of = np.unique(of * (len(part.clocks) + 1) + part.clocks.of, return_inverse=True)
    _clocks, chosen = np.unique(of, return_index=True)
    pieces: list[Int64s] = []
    lengths = np.zeros(len(chosen), np.int64)
    for at, row in enumerate(chosen.tolist()):
        for part in parts:
            clocks = part.clocks
            piece = clocks.ts[clocks.offsets[clocks.of[row]] : clocks.offsets[clocks.of[row] + 1]]
            lengths[at] += len(piece)
            pieces.append(piece)
    return Clocks(of, np.concatenate(([0], np.cumsum(lengths))), np.concatenate(pieces or [np.zeros(0, np.int64)]))
