"""Prometheus's remote_read: raw samples of a closed interval, staleness markers included, as protobuf.

A QueryResult is written as a WriteRequest 1.0 is: TimeSeries of labels and samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cramjam
import numpy as np

from tongchou.telemetry.series import Float64s, Int64s, Labels, Matcher, labels_of
from tongchou.wire.protobuf import BYTES, MalformedError, fields, message, varint
from tongchou.wire.remote_write import decode_label_bytes, decode_series

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "Accept-Encoding": "snappy",
    "X-Prometheus-Remote-Read-Version": "0.1.0",
}
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
_TYPES = {"=": 0, "!=": 1, "=~": 2, "!~": 3}
_SAMPLE, _ZERO_SAMPLE = 18, 9  # of times that take six bytes, with a value and (as proto3 leaves a zero out) without
_SHIFTS = np.arange(0, 42, 7, dtype=np.int64)

Row = tuple[Labels, Int64s, Float64s]


def encode_query(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> bytes:
    """A ReadRequest for one closed interval, as it is sent."""
    conditions = b"".join(
        message(3, b"\x08" + varint(_TYPES[each.op]) + message(2, each.name.encode()) + message(3, each.value.encode()))
        for each in matchers
    )
    query = b"\x08" + varint(max(0, start_ms)) + b"\x10" + varint(max(0, end_ms)) + conditions
    return bytes(cramjam.snappy.compress_raw(message(1, query)))


def decode_answer(packed: bytes) -> list[Row]:
    """(labels, times in ms, values) of a ReadResponse with one result. Raises MalformedError."""
    try:
        size = cramjam.snappy.decompress_raw_len(packed)
        if size > MAX_UNPACKED_BYTES:
            raise MalformedError(f"{size} bytes unpacked")
        body = bytes(cramjam.snappy.decompress_raw(packed))
    except cramjam.DecompressionError as error:
        raise MalformedError(str(error)) from error
    rows = []
    for number, kind, low, high in fields(body, 0, len(body)):
        if number != 1 or kind != BYTES:
            continue
        for inner, inner_kind, start, end in fields(body, low, high):
            if inner == 1 and inner_kind == BYTES:
                rows.append(_series(body, start, end))
    return rows


def _series(body: bytes, start: int, end: int) -> Row:
    at = start
    for number, _kind, _low, high in fields(body, start, end):
        if number != 1:
            break
        at = high
    quick = _equal_samples(body, at, end)
    if quick is not None:
        return labels_of(decode_label_bytes(body[start:at])), *quick
    walked = decode_series(body, start, end)
    ts, v = zip(*walked.samples, strict=True) if walked.samples else ((), ())
    return labels_of(walked.labels), np.array(ts, np.int64), np.array(v, np.float64)


def _equal_samples(body: bytes, start: int, end: int) -> tuple[Int64s, Float64s] | None:
    """Samples that are all written in one of the two usual shapes; None when they are not."""
    for size, head in ((_SAMPLE, (0x12, 16, 0x09)), (_ZERO_SAMPLE, (0x12, 7, 0x10))):
        if (end - start) % size:
            continue
        rows = np.frombuffer(body, np.uint8, end - start, start).reshape(-1, size)
        times = rows[:, size - 6 :]
        usual = (rows[:, :3] == head).all() and (rows[:, size - 7] == 0x10).all()
        if not (usual and (times[:, :5] >= 0x80).all() and (times[:, 5] < 0x80).all()):
            continue
        ts = ((times.astype(np.int64) & 0x7F) << _SHIFTS).sum(axis=1)
        v = np.zeros(len(rows)) if size == _ZERO_SAMPLE else np.ascontiguousarray(rows[:, 3:11]).view("<f8").ravel()
        return ts, v
    return None


def slices(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """The two halves of a closed interval."""
    middle = (start_ms + end_ms) // 2
    yield start_ms, middle
    yield middle + 1, end_ms
