"""Prometheus remote_write 1.0: encode and exactly decode `prometheus.WriteRequest` (protobuf, without compression).

The bytes here are the uncompressed message; the snappy block around it belongs to whoever owns the connection.
Message (field numbers): WriteRequest{1 timeseries, 3 metadata}; TimeSeries{1 labels, 2 samples, 3 exemplars,
4 histograms}; Label{1 name, 2 value}; Sample{1 value double, 2 timestamp int64 ms}. Source: prometheus/prompb.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Label = tuple[str, str]
Sample = tuple[int, float]
Series = tuple[Sequence[Label], Sequence[Sample]]

_DOUBLE = struct.Struct("<d")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_INT64_WRAP = 1 << 64


class MalformedError(ValueError):
    """The bytes are not a WriteRequest; the text says what was wrong and at which byte."""


@dataclass(slots=True)
class DecodedSeries:
    """One TimeSeries as sent: labels in the order of the message, samples as (timestamp in ms, value)."""

    labels: list[Label]
    samples: list[Sample]
    histograms: int = 0
    label_bytes: bytes = b""


@dataclass(slots=True)
class DecodedRequest:
    """A whole WriteRequest. Exemplars are left out; native histograms and metadata entries are only counted."""

    series: list[DecodedSeries] = field(default_factory=list)
    metadata: int = 0


def _varint(value: int) -> bytes:
    if value < 0:
        value += _INT64_WRAP
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(tag: int, payload: bytes) -> bytes:
    return bytes((tag,)) + _varint(len(payload)) + payload


def encode_labels(labels: Iterable[Label]) -> bytes:
    """The label fields of one TimeSeries, sorted by name as remote_write wants; encode once, reuse per request."""
    return encode_labels_as_given(sorted(labels))


def encode_labels_as_given(labels: Iterable[Label]) -> bytes:
    """The label fields of one TimeSeries in the order given."""
    return b"".join(_field(0x0A, _field(0x0A, name.encode()) + _field(0x12, value.encode())) for name, value in labels)


def encode_samples(samples: Iterable[Sample]) -> bytes:
    """The sample fields of one TimeSeries; zeros are left out on the wire as proto3 senders do."""
    out = bytearray()
    for ts_ms, value in samples:
        raw = _DOUBLE.pack(value)
        body = (b"" if raw == b"\0" * 8 else b"\x09" + raw) + (b"" if ts_ms == 0 else b"\x10" + _varint(ts_ms))
        out += bytes((0x12, len(body))) + body
    return bytes(out)


def encode_series(label_bytes: bytes, samples: Iterable[Sample]) -> bytes:
    """One framed TimeSeries out of `encode_labels` and samples; a WriteRequest is the concatenation of these."""
    return _field(0x0A, label_bytes + encode_samples(samples))


def encode(series: Iterable[Series]) -> bytes:
    """A WriteRequest of (labels, samples) pairs."""
    return b"".join(encode_series(encode_labels(labels), samples) for labels, samples in series)


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The unsigned 64-bit varint at `at` and the position after it; bits beyond 64 are cut, as protobuf does."""
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (_INT64_WRAP - 1), at
        shift += 7
        if shift >= 70:
            raise MalformedError(f"varint of more than 10 bytes before byte {at}")
    raise MalformedError(f"message ends inside a varint at byte {at}")


def _signed(value: int) -> int:
    return value - _INT64_WRAP if value >= 1 << 63 else value


def _fields(data: bytes, at: int, end: int) -> Iterable[tuple[int, int, int, int]]:
    """Walk one message: (field number, wire type, start, end of the value); for varints start is the value itself."""
    while at < end:
        tag, at = read_varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if number == 0 or tag >> 32:
            raise MalformedError(f"invalid field number before byte {at}")
        if kind == _VARINT:
            value, at = read_varint(data, at, end)
            yield number, kind, value, at
            continue
        if kind == _BYTES:
            size, at = read_varint(data, at, end)
        elif kind == _FIXED64:
            size = 8
        elif kind == _FIXED32:
            size = 4
        else:
            raise MalformedError(f"wire type {kind} is not supported before byte {at}")
        if size > end - at:
            raise MalformedError(f"field of {size} bytes at byte {at} runs over the end of its message at byte {end}")
        yield number, kind, at, at + size
        at += size


def _expect(kind: int, wanted: int, what: str, at: int) -> None:
    if kind != wanted:
        raise MalformedError(f"{what} has wire type {kind} instead of {wanted} near byte {at}")


def _text(data: bytes, start: int, end: int) -> str:
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise MalformedError(f"label at byte {start} is not UTF-8") from None


def _label(data: bytes, start: int, end: int) -> Label:
    name = value = ""
    for number, kind, low, high in _fields(data, start, end):
        if number == 1:
            _expect(kind, _BYTES, "label name", low)
            name = _text(data, low, high)
        elif number == 2:
            _expect(kind, _BYTES, "label value", low)
            value = _text(data, low, high)
    return name, value


def _plain_labels(data: bytes) -> list[Label] | None:
    """Labels whose every length is one byte and whose fields are name, value: what senders make; else None."""
    labels = []
    at, size = 0, len(data)
    try:
        while at < size:
            end = at + 2 + data[at + 1]
            name_end = at + 4 + data[at + 3]
            value_end = name_end + 2 + data[name_end + 1]
            usual = data[at] == 0x0A and data[at + 2] == 0x0A and data[name_end] == 0x12
            short = data[at + 1] < 0x80 and data[at + 3] < 0x80 and data[name_end + 1] < 0x80
            if not (usual and short and value_end == end and end <= size):
                return None
            labels.append((data[at + 4 : name_end].decode(), data[name_end + 2 : end].decode()))
            at = end
    except (IndexError, UnicodeDecodeError):
        return None
    return labels


def decode_label_bytes(label_bytes: bytes) -> list[Label]:
    """The labels out of the label fields of one TimeSeries (what `encode_labels` makes). Raises MalformedError."""
    plain = _plain_labels(label_bytes)
    if plain is not None:
        return plain
    labels = []
    for number, kind, low, high in _fields(label_bytes, 0, len(label_bytes)):
        if number != 1:
            raise MalformedError(f"field {number} among labels near byte {low}")
        _expect(kind, _BYTES, "label", low)
        labels.append(_label(label_bytes, low, high))
    return labels


def _sample(data: bytes, start: int, end: int) -> Sample:
    value, ts_ms = 0.0, 0
    for number, kind, low, _high in _fields(data, start, end):
        if number == 1:
            _expect(kind, _FIXED64, "sample value", low)
            value = _DOUBLE.unpack_from(data, low)[0]
        elif number == 2:
            _expect(kind, _VARINT, "sample timestamp", start)
            ts_ms = _signed(low)
    return ts_ms, value


def decode_series(data: bytes, start: int, end: int) -> DecodedSeries:
    """One TimeSeries between two byte positions. Raises MalformedError."""
    series = DecodedSeries([], [])
    label_parts = []
    for number, kind, low, high in _fields(data, start, end):
        if number in (1, 2, 3, 4):
            _expect(kind, _BYTES, "time series field", low if kind != _VARINT else start)
        if number == 1:
            series.labels.append(_label(data, low, high))
            label_parts.append(_field(0x0A, data[low:high]))
        elif number == 2:
            series.samples.append(_sample(data, low, high))
        elif number == 4:
            series.histograms += 1
    series.label_bytes = b"".join(label_parts)
    return series


def decode(data: bytes) -> DecodedRequest:
    """Walk a WriteRequest byte by byte: exact, slow, the reference for faster decoders. Raises MalformedError."""
    request = DecodedRequest()
    for number, kind, low, high in _fields(data, 0, len(data)):
        if number == 1:
            _expect(kind, _BYTES, "time series", low if kind != _VARINT else 0)
            request.series.append(decode_series(data, low, high))
        elif number == 3:
            _expect(kind, _BYTES, "metadata", low if kind != _VARINT else 0)
            request.metadata += 1
    return request
