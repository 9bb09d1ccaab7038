"""Which series exist, in memory: labels to row numbers, matchers to rows, and the days on which a series has samples.

A row is the dense number of a series in this process, counted from 0 and never reused. The low half of its id in the
store is a number, too: the row itself where one process owns the store; where several write (`shared`), the number all
of them agreed on, which a new series gets only before it is written (`unnumbered`, `number`).
Pure: no database, no clock. Thread-safe; every method takes one lock for a short time.
"""

from __future__ import annotations

import threading
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter

import numpy as np
import numpy.typing as npt
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import TooMany
from tongchou.telemetry.series import Bools, Int64s, Labels, Matcher, metric_name, run_starts
from tongchou.telemetry.store.tables import MS_PER_DAY, ROW_BITS, ROW_MASK

Bits = npt.NDArray[np.uint8]
_NONE = np.zeros(0, np.int64)


def shared_sid(name: str, number: int) -> int:
    """The store id of a series with an agreed number: the metric's hash above keeps its series together."""
    return ((zlib.crc32(name.encode()) & 0x7FFF_FFFF) << ROW_BITS) | number


class _Posting:
    """The rows that carry one label value, ascending because rows are only ever added at the end."""

    __slots__ = ("_cached", "_rows")

    def __init__(self) -> None:
        self._rows = array("q")
        self._cached = _NONE

    def add(self, row: int) -> None:
        self._rows.append(row)

    def rows(self) -> Int64s:
        if len(self._cached) != len(self._rows):
            self._cached = np.array(self._rows, dtype=np.int64)
        return self._cached

    def __len__(self) -> int:
        return len(self._rows)


_ROWS = attrgetter("_rows")


class LabelIndex:
    """The label index of one telemetry database."""

    def __init__(self, *, max_series: int = 2_000_000, shared: bool = False) -> None:
        self.max_series = max_series
        self.shared = shared
        self._row_of_number = np.full(1024 if shared else 0, -1, np.int64)
        self._unnumbered: dict[int, None] = {}
        self.next_number = 0  # one more than the greatest agreed number seen
        self._lock = threading.RLock()
        self._labels: list[Labels] = []  # by row; () where a row was pruned
        self._sids = array("q")
        self._row_of: dict[Labels, int] = {}
        self._row_of_bytes: dict[bytes, int] = {}
        self._postings: dict[str, dict[str, _Posting]] = {}
        self._metric_numbers: dict[str, int] = {}
        self._next_metric = 0
        self._unwritten: dict[int, None] = {}
        self._days: dict[int, Bits] = {}

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def row_count(self) -> int:
        """One more than the greatest row."""
        return len(self._labels)

    @property
    def known_bytes(self) -> dict[bytes, int]:
        """Raw label fields of remote_write to row; read it without the lock, a miss is answered by `row`."""
        return self._row_of_bytes

    @contextmanager
    def held_now(self) -> Iterator[bool]:
        """Keep others out meanwhile, whom no call of this thread then waits for; False when another is in."""
        held = self._lock.acquire(blocking=False)
        try:
            yield held
        finally:
            if held:
                self._lock.release()

    def load(self, series: Iterable[tuple[int, Labels]], day: Int64s, day_sid: Int64s) -> None:
        """Fill an empty index with what the store holds: (sid, labels) by ascending row, and the (day, sid) pairs."""
        with self._lock:
            if self.shared:
                self.learn(series)
                for one_day in np.unique(day).tolist():
                    rows = self.rows_of(day_sid[day == one_day])
                    self._mark(one_day, rows[rows >= 0])
                return
            for sid, labels in series:
                row = sid & ROW_MASK
                while len(self._labels) < row:
                    self._labels.append(())
                    self._sids.append(-1)
                number = sid >> ROW_BITS
                self._metric_numbers.setdefault(metric_name(labels), number)
                self._next_metric = max(self._next_metric, number + 1)
                self._put(labels, sid)
            for one_day in np.unique(day).tolist():
                self._mark(one_day, day_sid[day == one_day] & ROW_MASK)

    def row(self, labels: Labels, label_bytes: bytes = b"") -> int:
        """The row of these (canonical) labels, made when they are new. Raises TooMany at the limit of series.

        A new series is not durable until it was handed out by `unwritten` and confirmed by `written`.
        """
        with self._lock:
            row = self._row_of.get(labels)
            if row is None:
                if len(self._row_of) >= self.max_series:
                    raise TooMany(
                        "telemetry.too_many_series",
                        _("The store holds %(count)d series, the most it may; new ones are refused.")
                        % {"count": len(self._row_of)},
                        remedy=_("Drop labels that take many values, or raise TONGCHOU_TELEMETRY_MAX_SERIES."),
                    )
                row = len(self._labels)
                if self.shared:
                    self._put(labels, -1)
                    self._unnumbered[row] = None
                else:
                    self._put(labels, self._own_sid(metric_name(labels), row))
                self._unwritten[row] = None
            # Senders may order labels in many ways; the cache of raw bytes stays in proportion to the series.
            if label_bytes and len(self._row_of_bytes) < 2 * len(self._labels) + 1024:
                self._row_of_bytes[label_bytes] = row
            return row

    def known(self, labels: Labels) -> int:
        """The row of these (canonical) labels, -1 when there is none."""
        return self._row_of.get(labels, -1)

    def _own_sid(self, name: str, row: int) -> int:
        number = self._metric_numbers.get(name)
        if number is None:
            number = self._metric_numbers[name] = self._next_metric
            self._next_metric += 1
        return (number << ROW_BITS) | row

    def unnumbered(self) -> list[tuple[int, Labels]]:
        """(row, labels) of the series that have no number all processes agreed on yet. Empty unless `shared`."""
        with self._lock:
            return [(row, self._labels[row]) for row in self._unnumbered]

    def number(self, numbers: Iterable[tuple[int, int]]) -> None:
        """Give rows their agreed numbers: (row, number)."""
        with self._lock:
            for row, number in numbers:
                if self._sids[row] < 0:
                    self._set_sid(row, shared_sid(metric_name(self._labels[row]), number))

    def learn(self, series: Iterable[tuple[int, Labels]]) -> None:
        """Take over series that another process wrote; the limit of series does not hold here. Only when `shared`."""
        with self._lock:
            for sid, labels in series:
                row = self._row_of.get(labels)
                if row is None:
                    row = len(self._labels)
                    self._put(labels, -1)
                if self._sids[row] < 0:
                    self._set_sid(row, sid)
                    self._unwritten.pop(row, None)

    def _set_sid(self, row: int, sid: int) -> None:
        number = sid & ROW_MASK
        if number >= len(self._row_of_number):
            grown = np.full(max(number + 1, 2 * len(self._row_of_number)), -1, np.int64)
            grown[: len(self._row_of_number)] = self._row_of_number
            self._row_of_number = grown
        self._sids[row] = sid
        self._row_of_number[number] = row
        self.next_number = max(self.next_number, number + 1)
        self._unnumbered.pop(row, None)

    def rows_of(self, sids: Int64s) -> Int64s:
        """Rows of store ids; -1 for one that is not known (yet), which happens only when `shared`."""
        numbers = sids & ROW_MASK
        if not self.shared:
            return numbers
        table = self._row_of_number
        inside = numbers < len(table)
        return np.where(inside, table[np.where(inside, numbers, 0)], -1)

    def _put(self, labels: Labels, sid: int) -> None:
        row = len(self._labels)
        self._labels.append(labels)
        self._sids.append(sid)
        self._row_of[labels] = row
        for name, value in labels:
            by_value = self._postings.setdefault(name, {})
            posting = by_value.get(value)
            if posting is None:
                posting = by_value[value] = _Posting()
            posting.add(row)

    def unwritten(self) -> list[tuple[int, Labels]]:
        """(sid, labels) of the series that are not durable yet."""
        with self._lock:
            return [(self._sids[row], self._labels[row]) for row in self._unwritten if row not in self._unnumbered]

    def written(self, series: Iterable[tuple[int, Labels]]) -> None:
        """The store has these now."""
        with self._lock:
            for sid, _labels in series:
                number = sid & ROW_MASK
                self._unwritten.pop(int(self._row_of_number[number]) if self.shared else number, None)

    def sids(self, rows: Int64s) -> Int64s:
        """Store ids of rows."""
        if not len(rows):
            return _NONE
        with self._lock:  # nothing may be added while the buffer is looked at
            found: Int64s = np.frombuffer(self._sids, dtype=np.int64)[rows]
            return found

    def labels(self, rows: Int64s) -> list[Labels]:
        """Labels of rows, in the order given."""
        labels = self._labels
        return [labels[row] for row in rows.tolist()]

    def find(self, matchers: Sequence[Matcher]) -> Int64s:
        """Rows that satisfy every matcher, ascending. Raises re2.error for a pattern RE2 refuses."""
        with self._lock:
            included: Int64s | None = None
            excluded: list[Int64s] = []
            for matcher in sorted(matchers, key=lambda each: (each.op != "=", each.value == "")):
                absent_counts = matcher.matches("")
                rows = self._rows_where(matcher, not absent_counts)
                if absent_counts:
                    excluded.append(rows)
                elif included is None:
                    included = rows
                else:
                    included = np.intersect1d(included, rows, assume_unique=True)
                if included is not None and not len(included):
                    return _NONE
            if included is None:
                included = self._everything()
            for rows in excluded:
                if len(rows):
                    included = included[~np.isin(included, rows, assume_unique=True)]
            return included

    def _everything(self) -> Int64s:
        return np.flatnonzero(np.array(self._sids, dtype=np.int64) >= 0).astype(np.int64)

    def _rows_where(self, matcher: Matcher, wanted: bool) -> Int64s:
        """Rows that carry the label with a value for which the matcher's answer is `wanted`."""
        by_value = self._postings.get(matcher.name, {})
        if matcher.op in ("=", "!=") and (matcher.op == "=") == wanted and matcher.value:
            found = by_value.get(matcher.value)
            return found.rows() if found is not None else _NONE
        parts = [posting.rows() for value, posting in by_value.items() if matcher.matches(value) == wanted]
        if not parts:
            return _NONE
        return parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))

    def label_values(self, name: str) -> list[str]:
        """All values one label takes, sorted."""
        with self._lock:
            return sorted(self._postings.get(name, {}))

    def label_names(self) -> list[str]:
        """All label names, sorted."""
        with self._lock:
            return sorted(self._postings)

    def label_sizes(self) -> tuple[dict[str, list[str]], list[Int64s]]:
        """(values by label name, for each name how many series carry each of its values)."""
        with self._lock:
            values = {name: list(by_value) for name, by_value in self._postings.items()}
            sizes = [
                np.fromiter(map(len, map(_ROWS, by_value.values())), np.int64, len(by_value))
                for by_value in self._postings.values()
            ]
        return values, sizes

    def new_since(self, day: int) -> int:
        """How many series have a sample on this day (since the epoch) or later, and none before."""
        with self._lock:
            size = max((len(bits) for bits in self._days.values()), default=0)
            later, earlier = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
            for each, bits in self._days.items():
                side = later if each >= day else earlier
                side[: len(bits)] |= bits
        return int(np.bitwise_count(later & ~earlier).sum())

    def missing_days(self, rows: Int64s, ts_ms: Int64s) -> list[tuple[int, Int64s]]:
        """(day, rows) pairs among these samples that are not marked yet."""
        if not len(rows):
            return []
        first, last = int(ts_ms.min()) // MS_PER_DAY, int(ts_ms.max()) // MS_PER_DAY
        days = ts_ms // MS_PER_DAY if last > first else None
        if days is None:
            rows = rows[run_starts(rows)]  # samples of a series often come together
        missing = []
        with self._lock:
            for day in [first] if days is None else np.unique(days).tolist():
                candidates = rows if days is None else rows[days == day]
                fresh = candidates[~self._has(day, candidates)]
                if len(fresh):
                    missing.append((day, np.unique(fresh)))
        return missing

    def mark_days(self, pairs: Iterable[tuple[int, Int64s]]) -> None:
        """These (day, rows) pairs are durable now."""
        with self._lock:
            for day, rows in pairs:
                self._mark(day, rows)

    def active(self, rows: Int64s, start_ms: int, end_ms: int) -> Int64s:
        """Those of the rows that have a sample on a day which the closed interval touches (a superset of exact)."""
        first, last = start_ms // MS_PER_DAY, end_ms // MS_PER_DAY
        with self._lock:
            left = np.arange(len(rows))
            # From the newest day on: most series have samples on it, and are not looked for on others.
            for day in sorted(self._days, reverse=True):
                if first <= day <= last and len(left):
                    left = left[~self._has(day, rows[left])]
        return np.delete(rows, left)

    def day_span(self) -> tuple[int, int] | None:
        """First and last day (since the epoch) with samples."""
        with self._lock:
            return (min(self._days), max(self._days)) if self._days else None

    @property
    def day_count(self) -> int:
        """On how many UTC days there are samples."""
        return len(self._days)

    def forget_days_before(self, day: int) -> None:
        """The retention took all days before this one."""
        with self._lock:
            for old in [each for each in self._days if each < day]:
                del self._days[old]

    def _has(self, day: int, rows: Int64s) -> Bools:
        bits = self._days.get(day)
        if bits is None:
            return np.zeros(len(rows), np.bool_)
        at = rows >> 3
        inside = at < len(bits)
        found: Bools = (bits[np.where(inside, at, 0)] >> (rows & 7).astype(np.uint8)) & 1 == 1
        return found & inside

    def _mark(self, day: int, rows: Int64s) -> None:
        if not len(rows):
            return
        bits = self._days.get(day)
        needed = (int(rows.max()) >> 3) + 1
        if bits is None or len(bits) < needed:
            grown = np.zeros(max(needed, 64, 0 if bits is None else 2 * len(bits)), np.uint8)
            if bits is not None:
                grown[: len(bits)] = bits
            bits = self._days[day] = grown
        np.bitwise_or.at(bits, rows >> 3, np.left_shift(1, rows & 7).astype(np.uint8))
