"""Samples in columns: labels, matchers and the block of series that the store, the window in memory and PromQL share.

Pure NumPy: no database, no clock, no Django.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

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
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.op}"{quoted}"'


def matches_all(matchers: Sequence[Matcher], labels: Labels) -> bool:
    """Whether the labels satisfy every matcher."""
    found = dict(labels)
    return all(matcher.matches(found.get(matcher.name, "")) for matcher in matchers)


@dataclass(slots=True)
class SeriesBlock:
    """Many series in compressed sparse rows.

    Series i has the labels `labels[i]` and the samples `ts[offsets[i]:offsets[i+1]]` (int64 milliseconds since the
    epoch, strictly ascending) with the values `v[...]` (float64). Staleness markers are kept as values.
    st, where a store has them, are the start timestamps of cumulative samples in ms, 0 for unknown.
    """

    labels: list[Labels]
    offsets: Int64s
    ts: Int64s
    v: Float64s
    st: Int64s | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def sample_count(self) -> int:
        """All samples of all series, staleness markers included."""
        return len(self.ts)

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

    def series_index(self) -> Int64s:
        """For every sample the index of the series it belongs to."""
        return np.repeat(np.arange(len(self.labels), dtype=np.int64), np.diff(self.offsets))

    def keep(self, mask: Bools) -> SeriesBlock:
        """The same series with only the samples where the mask is true; a series may end up empty."""
        kept = np.zeros(len(mask) + 1, np.int64)
        np.cumsum(mask, out=kept[1:])
        st = None if self.st is None else self.st[mask]
        return SeriesBlock(self.labels, kept[self.offsets], self.ts[mask], self.v[mask], st)

    def without_stale(self) -> SeriesBlock:
        """The block with its staleness markers left out."""
        stale = is_stale(self.v)
        return self.keep(~stale) if stale.any() else self
