"""Many selectors answered by one read of the window in memory: what the rules of a group ask, again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.ports import MEMBER, Limits, ManyMatchers
from tongchou.telemetry.promql.errors import limit_exceeded
from tongchou.telemetry.series import Int64s, LabelList, SeriesBlock
from tongchou.telemetry.window import Window


@dataclass(slots=True)
class _Found:
    """The series of every selector while no new ones come: rows are never reused, so nothing here grows stale."""

    row_count: int  # of the index
    rows: Int64s  # ascending, each once
    back: Int64s | None  # position in `rows` of every series of every selector; None: they are `rows` themselves
    member: Int64s  # of every series of every selector
    filled: Int64s | None = None  # those that had samples the last time, and their labels
    labels: LabelList | None = None


def select_each(
    index: LabelIndex, window: Window, many: ManyMatchers, between_ms: tuple[int, int], *, limits: Limits
) -> SeriesBlock | None:
    """See `ports.EachBackend`; None where the window does not cover the (closed) interval."""
    start_ms, end_ms = between_ms
    if not window.covers(start_ms):
        return None
    found: _Found | None = many.memo
    if found is None or found.row_count != index.row_count:
        found = many.memo = _find(index, many)
    if len(found.member) > limits.max_series:
        raise limit_exceeded("max_series", len(found.member), limits.max_series, "TONGCHOU_TELEMETRY_MAX_QUERY_SERIES")
    read = window.select_shared(found.rows, start_ms, end_ms)
    if read is None:  # the window has moved on since
        return None
    offsets, clocks, v = read
    block = SeriesBlock([()] * len(found.rows), offsets, None, v, clocks=clocks)
    if found.back is not None:
        block = block.take(found.back)
    filled = np.flatnonzero(np.diff(block.offsets))
    if len(filled) < len(block):
        block = block.take(filled)
    if found.labels is None or found.filled is None or not np.array_equal(filled, found.filled):
        rows = (found.rows if found.back is None else found.rows[found.back])[filled]
        pairs = zip(found.member[filled].tolist(), index.labels(rows), strict=True)
        found.filled, found.labels = filled, LabelList(((MEMBER, str(member)), *labels) for member, labels in pairs)
    block.labels = found.labels
    return block


def _find(index: LabelIndex, many: ManyMatchers) -> _Found:
    row_count = index.row_count  # before the search: series that come meanwhile make it look again
    each = [index.find(matchers) for matchers in many.sets]
    member = np.repeat(np.arange(len(each), dtype=np.int64), [len(rows) for rows in each])
    every = np.concatenate(each) if each else np.zeros(0, np.int64)
    if (every[1:] > every[:-1]).all():
        return _Found(row_count, every, None, member)
    rows, back = np.unique(every, return_inverse=True)
    return _Found(row_count, rows, back.astype(np.int64), member)
