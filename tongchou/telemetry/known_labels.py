"""Label lists of earlier selections, handed out again while the same series are found: see `series.LabelList`.

Panels and rules ask the same selectors again and again; what was made of the labels the first time is kept with them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.series import Int64s, LabelList, Matcher

MAX_SERIES = 400_000  # of all lists together; some 300 bytes each with what was made of them
LIST_COSTS = 10  # a list and its selector take as much memory as so many series, be it empty
LISTS_A_SELECTOR = 2  # an instant query and a range query may find different series


class KnownLabels:
    """The lists of one telemetry database. Thread-safe; rows are never reused, so nothing here grows stale."""

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        self._max_series = max_series
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[Matcher, ...], list[tuple[Int64s, LabelList]]] = OrderedDict()
        self._series = 0

    def of(self, matchers: Sequence[Matcher], rows: Int64s, index: LabelIndex) -> LabelList:
        """The labels of the rows that a selector found."""
        key = tuple(matchers)
        with self._lock:
            known = self._found.get(key, [])
            for some, labels in known:
                if len(some) == len(rows) and bool((some == rows).all()):
                    self._found.move_to_end(key)
                    return labels
        made = LabelList(index.labels(rows))
        if len(rows) <= self._max_series // 4:
            self._keep(key, rows, made)
        return made

    def _keep(self, key: tuple[Matcher, ...], rows: Int64s, labels: LabelList) -> None:
        with self._lock:
            known = self._found.setdefault(key, [])
            known.append((rows, labels))
            self._series += len(rows) + LIST_COSTS
            if len(known) > LISTS_A_SELECTOR:
                self._series -= len(known.pop(0)[0]) + LIST_COSTS
            self._found.move_to_end(key)
            while self._series > self._max_series:
                _key, dropped = self._found.popitem(last=False)
                self._series -= sum(len(some) + LIST_COSTS for some, _labels in dropped)
