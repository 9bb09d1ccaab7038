"""remote_write bodies into columns without a Python object per sample.

A series' raw label bytes are its key. A TimeSeries that is a known key followed by samples in the two shapes every
sender makes (with the value, or without it because proto3 leaves out a zero) is read by NumPy; anything else goes
through the exact walk of `wire.remote_write`. A known key is one the exact walk accepted as "labels and nothing else",
and a protobuf message has one parse, so a match cannot be wrong. Equality with the exact walk is proven by fuzzing.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tongchou.telemetry.series import Float64s, Int64s
from tongchou.wire.exposition import Meta
from tongchou.wire.protobuf import MalformedError
from tongchou.wire.remote_write import (
    MAX_SERIES,
    DecodedRequest,
    DecodedSeries,
    TooManyError,
    decode,
    decode_label_bytes,
    decode_series,
    encode_labels_as_given,
)

Bytes = npt.NDArray[np.uint8]

# tag 2, size, tag 1 (double), 8 bytes, tag 2 (varint), 6 bytes: timestamps of the years 1971 to 2109 take 6 bytes
FULL, ZERO = 18, 9
_FULL_HEAD = np.array([0x12, 0x10, 0x09], np.uint8)
_ZERO_HEAD = np.array([0x12, 0x07, 0x10], np.uint8)
_VARINT_SHIFTS = np.arange(0, 42, 7, dtype=np.int64)
_MAX_BACKWARD = 1024
_ELSEWHERE = np.iinfo(np.int64).min


@dataclass(slots=True)
class Columns:
    """A decoded request. `rows[i] >= 0` is a known row; `rows[i] == -1 - n` belongs to `unknown[n]`.

    `unknown` carries labels; samples are in the columns, whether their series is known or not.
    """

    rows: Int64s
    ts: Int64s
    v: Float64s
    unknown: list[DecodedSeries] = field(default_factory=list)
    series: int = 0
    histograms: int = 0
    histogram_series: list[tuple[str, str]] = field(default_factory=list)  # labels of the first that has some
    exemplars: int = 0
    metadata: dict[str, Meta] = field(default_factory=dict)  # by metric family


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie in a message of known series that is written as usual throughout.

    By series: `starts` and `ends` of its labels and samples (without the tag and size before), `label_ends`, `rows`.
    By sample, ascending: the series' place, where its field starts, whether it has a value.
    """

    starts: list[int]
    ends: list[int]
    label_ends: list[int]
    rows: Int64s
    block_series: Int64s
    block_start: Int64s
    block_full: npt.NDArray[np.bool_]


def decode_columns(
    body: bytes, known: Mapping[bytes, int], *, notice: Callable[[bytes, Layout], None] | None = None
) -> Columns:
    """Columns of an uncompressed WriteRequest 1.0; `known` maps raw label bytes to rows. Raises MalformedError.

    `notice` is told how the message lies when nothing in it is new or unusual.
    """
    bounds = _top_level(body)
    if bounds is None:
        return columns_of(decode(body), known)
    starts, ends = bounds
    if not len(starts):
        return _exact([], known)
    raw = np.frombuffer(body, np.uint8)
    low = np.array(starts, np.int64)
    label_end, block_series, block_start, block_full = _samples_backward(raw, low, np.array(ends, np.int64))
    lookup = known.get
    label_ends = label_end.tolist()
    rows = np.array([lookup(body[a:b], -1) for a, b in zip(starts, label_ends, strict=True)], np.int64)
    if notice is not None and rows.min() >= 0:
        order = np.argsort(block_start)
        blocks = (block_series[order], block_start[order], block_full[order])
        notice(body, Layout(starts, ends, label_ends, rows, *blocks))
    unusual: list[DecodedSeries] = []
    new: list[DecodedSeries] = []
    for at in np.flatnonzero(rows < 0).tolist():
        found = _new_series(body[starts[at] : label_end[at]])
        if found is None:
            unusual.append(decode_series(body, starts[at], ends[at]))
            rows[at] = _ELSEWHERE
        else:
            new.append(found)
            rows[at] = -len(new)
    return _together(raw, rows, (block_series, block_start, block_full), new, _exact(unusual, known))


def columns_of(request: DecodedRequest, known: Mapping[bytes, int]) -> Columns:
    """Columns of a request that the exact walk has read (all of 2.0, of 1.0 what is unusual)."""
    columns = _exact(request.series, known)
    columns.metadata, columns.exemplars = request.metadata, request.exemplars
    return columns


def _new_series(label_bytes: bytes) -> DecodedSeries | None:
    """A series that is new and written as usual; None when the bytes are not labels in their one usual form."""
    try:
        labels = decode_label_bytes(label_bytes)
    except MalformedError:
        return None
    return DecodedSeries(labels, [], 0, label_bytes) if encode_labels_as_given(labels) == label_bytes else None


def _together(
    raw: Bytes,
    rows: Int64s,
    blocks: tuple[Int64s, Int64s, npt.NDArray[np.bool_]],
    new: list[DecodedSeries],
    rest: Columns,
) -> Columns:
    """The samples NumPy reads and those of the exact walk as one; unknown series of the walk come after the new."""
    block_series, block_start, block_full = blocks
    block_rows = rows[block_series]
    here = block_rows != _ELSEWHERE
    if not here.all():
        block_rows, block_start, block_full = block_rows[here], block_start[here], block_full[here]
    ts, v = _read_blocks(raw, block_start, block_full)
    if not len(rest.rows) and not rest.unknown:
        return Columns(block_rows, ts, v, new, len(rows), rest.histograms, rest.histogram_series)
    rest.rows[rest.rows < 0] -= len(new)
    return Columns(
        np.concatenate([block_rows, rest.rows]),
        np.concatenate([ts, rest.ts]),
        np.concatenate([v, rest.v]),
        [*new, *rest.unknown],
        len(rows),
        rest.histograms,
        rest.histogram_series,
    )


def _top_level(body: bytes) -> tuple[list[int], list[int]] | None:
    """Where each TimeSeries starts and ends; None when the message holds anything but well-formed ones up to 2 MB.

    Raises TooManyError.
    """
    starts: list[int] = []
    ends: list[int] = []
    at, size = 0, len(body)
    try:
        for _series in range(MAX_SERIES + 1):
            if at >= size:
                break
            if body[at] != 0x0A:
                return None
            length = body[at + 1]
            at += 2
            if length & 0x80:
                second = body[at]
                at += 1
                length = (length & 0x7F) | ((second & 0x7F) << 7)
                if second & 0x80:
                    third = body[at]
                    at += 1
                    if third & 0x80:
                        return None
                    length |= third << 14
            starts.append(at)
            at += length
            ends.append(at)
    except IndexError:
        return None
    if len(starts) > MAX_SERIES:
        raise TooManyError(f"more than {MAX_SERIES} series")
    return (starts, ends) if at == size else None


def _samples_backward(raw: Bytes, low: Int64s, high: Int64s) -> tuple[Int64s, Int64s, Int64s, npt.NDArray[np.bool_]]:
    """Peel sample blocks off the end of every series at once.

    Returns where the labels of each series end if all that was peeled are samples, and per block: its series, start,
    and whether it has a value. Blocks come in an order that ascends in time within a series for well-behaved senders.
    """
    end = high.copy()
    alive = np.arange(len(low))
    series_parts: list[Int64s] = []
    start_parts: list[Int64s] = []
    full_parts: list[npt.NDArray[np.bool_]] = []
    for _step in range(_MAX_BACKWARD):
        at = end[alive]
        room = at - low[alive]
        full = (room >= FULL) & _ends_with(raw, at, FULL, _FULL_HEAD)
        full[full] &= raw[at[full] - 7] == 0x10
        zero = ~full & (room >= ZERO) & _ends_with(raw, at, ZERO, _ZERO_HEAD)
        peeled = (full | zero) & _six_byte_varint(raw, at)
        alive, full = alive[peeled], full[peeled]
        if not len(alive):
            break
        at = end[alive] - np.where(full, FULL, ZERO)
        end[alive] = at
        series_parts.append(alive)
        start_parts.append(at)
        full_parts.append(full)
    if not series_parts:
        none = np.zeros(0, np.int64)
        return end, none, none, np.zeros(0, np.bool_)
    series_parts.reverse()
    start_parts.reverse()
    full_parts.reverse()
    return end, np.concatenate(series_parts), np.concatenate(start_parts), np.concatenate(full_parts)


def _ends_with(raw: Bytes, at: Int64s, size: int, head: Bytes) -> npt.NDArray[np.bool_]:
    """Whether the `size` bytes before `at` begin with `head`; positions before the buffer count as no."""
    start = np.maximum(at - size, 0)
    hit: npt.NDArray[np.bool_] = raw[start] == head[0]
    inside = np.minimum(start + 2, len(raw) - 1)
    hit &= (raw[np.minimum(start + 1, len(raw) - 1)] == head[1]) & (raw[inside] == head[2])
    return hit


def _six_byte_varint(raw: Bytes, at: Int64s) -> npt.NDArray[np.bool_]:
    """Whether the six bytes before `at` are one varint: five that continue and one that ends it."""
    if not len(at):
        return np.zeros(0, np.bool_)
    found: npt.NDArray[np.bool_] = raw[np.maximum(at - 1, 0)] < 0x80
    for back in range(2, 7):
        found &= raw[np.maximum(at - back, 0)] >= 0x80
    return found


def _read_blocks(raw: Bytes, start: Int64s, full: npt.NDArray[np.bool_]) -> tuple[Int64s, Float64s]:
    time_at = start + np.where(full, FULL, ZERO) - 6
    groups = raw[time_at[:, None] + np.arange(6)].astype(np.int64) & 0x7F
    ts = (groups << _VARINT_SHIFTS).sum(axis=1)
    v = np.zeros(len(start), np.float64)
    value_bytes = raw[(start[full] + 3)[:, None] + np.arange(8)]
    v[full] = np.ascontiguousarray(value_bytes).view("<f8").ravel()
    return ts, v


def _exact(series: list[DecodedSeries], known: Mapping[bytes, int]) -> Columns:
    rows: list[int] = []
    ts: list[int] = []
    v: list[float] = []
    unknown: list[DecodedSeries] = []
    histograms = 0
    histogram_series: list[tuple[str, str]] = []
    for each in series:
        if each.histograms:
            histograms += each.histograms
            histogram_series = histogram_series or each.labels
        row = known.get(each.label_bytes)
        if row is None:
            unknown.append(each)
            row = -len(unknown)
        rows.extend([row] * len(each.samples))
        ts.extend([sample[0] for sample in each.samples])
        v.extend([sample[1] for sample in each.samples])
    return Columns(
        np.array(rows, np.int64),
        np.array(ts, np.int64),
        np.array(v, np.float64),
        unknown,
        len(series),
        histograms,
        histogram_series,
    )
