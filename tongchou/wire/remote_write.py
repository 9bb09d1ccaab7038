"""Prometheus remote_write 1.0: encode and exactly decode `prometheus.WriteRequest` (protobuf, without compression).

The bytes here are the uncompressed message; the snappy block around it belongs to whoever owns the connection.
Message (field numbers): WriteRequest{1 timeseries, 3 metadata}; TimeSeries{1 labels, 2 samples, 3 exemplars,
4 histograms}; Label{1 name, 2 value}; Sample{1 value double, 2 timestamp int64 ms}; MetricMetadata{1 type,
2 family name, 4 help, 5 unit}. Source: prometheus/prompb.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tongchou.wire.exposition import Meta
from tongchou.wire.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    MalformedError,
    expect,
    fields,
    message,
    signed,
    text,
    text_pair,
    varint,
)

Label = tuple[str, str]
Sample = tuple[int, float]
Series = tuple[Sequence[Label], Sequence[Sample]]

MAX_SERIES = 100_000  # of one message: two bytes on the wire are a series, and some hundred in memory

_DOUBLE = struct.Struct("<d")
# MetricMetadata.MetricType by number; the names are those of the exposition formats
METRIC_TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")


class TooManyError(MalformedError):
    """The message may be well-formed, and holds more than is read at once."""


@dataclass(slots=True)
class DecodedSeries:
    """One TimeSeries as sent: labels in the order of the message, samples as (timestamp in ms, value)."""

    labels: list[Label]
    samples: list[Sample]
    histograms: int = 0
    label_bytes: bytes = b""


@dataclass(slots=True)
class DecodedRequest:
    """A whole request. Exemplars are left out (2.0: counted); native histograms are only counted, per series."""

    series: list[DecodedSeries] = field(default_factory=list)
    metadata: dict[str, Meta] = field(default_factory=dict)  # by metric family
    exemplars: int = 0


def encode_labels(labels: Iterable[Label]) -> bytes:
    """The label fields of one TimeSeries, sorted by name as remote_write wants; encode once, reuse per request."""
    return encode_labels_as_given(sorted(labels))


def encode_labels_as_given(labels: Iterable[Label]) -> bytes:
    """The label fields of one TimeSeries in the order given."""
    return b"".join(message(1, message(1, name.encode()) + message(2, value.encode())) for name, value in labels)


def encode_samples(samples: Iterable[Sample]) -> bytes:
    """The sample fields of one TimeSeries; zeros are left out on the wire as proto3 senders do."""
    out = bytearray()
    for ts_ms, value in samples:
        raw = _DOUBLE.pack(value)
        body = (b"" if raw == b"\0" * 8 else b"\x09" + raw) + (b"" if ts_ms == 0 else b"\x10" + varint(ts_ms))
        out += bytes((0x12, len(body))) + body
    return bytes(out)


def encode_series(label_bytes: bytes, samples: Iterable[Sample]) -> bytes:
    """One framed TimeSeries out of `encode_labels` and samples; a WriteRequest is the concatenation of these."""
    return message(1, label_bytes + encode_samples(samples))


def encode(series: Iterable[Series]) -> bytes:
    """A WriteRequest of (labels, samples) pairs."""
    return b"".join(encode_series(encode_labels(labels), samples) for labels, samples in series)


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
    for number, kind, low, high in fields(label_bytes, 0, len(label_bytes)):
        if number != 1:
            raise MalformedError(f"field {number} among labels near byte {low}")
        expect(kind, BYTES, "label", 0)
        labels.append(text_pair(label_bytes, low, high, "label"))
    return labels


def sample(data: bytes, start: int, end: int) -> Sample:
    """One Sample between two byte positions; 1.0 and 2.0 write it alike. Raises MalformedError."""
    value, ts_ms = 0.0, 0
    for number, kind, low, _high in fields(data, start, end):
        if number == 1:
            expect(kind, FIXED64, "sample value", start)
            value = _DOUBLE.unpack_from(data, low)[0]
        elif number == 2:
            expect(kind, VARINT, "sample timestamp", start)
            ts_ms = signed(low)
    return ts_ms, value


def decode_series(data: bytes, start: int, end: int) -> DecodedSeries:
    """One TimeSeries between two byte positions. Raises MalformedError."""
    series = DecodedSeries([], [])
    label_parts = []
    for number, kind, low, high in fields(data, start, end):
        if number in (1, 2, 3, 4):
            expect(kind, BYTES, "time series field", start)
        if number == 1:
            series.labels.append(text_pair(data, low, high, "label"))
            label_parts.append(message(1, data[low:high]))
        elif number == 2:
            series.samples.append(sample(data, low, high))
        elif number == 4:
            series.histograms += 1
    series.label_bytes = b"".join(label_parts)
    return series


def metric_type(number: int) -> str:
    """The name of a metric type; what a newer sender may know counts as unknown."""
    return METRIC_TYPES[number] if number < len(METRIC_TYPES) else METRIC_TYPES[0]


def _metadata(data: bytes, start: int, end: int) -> tuple[str, Meta]:
    kind, texts = 0, {2: "", 4: "", 5: ""}
    for number, wire_type, low, high in fields(data, start, end):
        if number == 1:
            expect(wire_type, VARINT, "metric type", start)
            kind = low
        elif number in texts:
            expect(wire_type, BYTES, "metadata field", start)
            texts[number] = text(data, low, high, "metadata")
    return texts[2], Meta(metric_type(kind), texts[4], texts[5])


def decode(data: bytes) -> DecodedRequest:
    """Walk a WriteRequest byte by byte: exact, slow, the reference for faster decoders.

    Raises MalformedError, TooManyError.
    """
    request = DecodedRequest()
    for number, kind, low, high in fields(data, 0, len(data)):
        if number == 1:
            expect(kind, BYTES, "time series", 0)
            if len(request.series) == MAX_SERIES:
                raise TooManyError(f"more than {MAX_SERIES} series")
            request.series.append(decode_series(data, low, high))
        elif number == 3:
            expect(kind, BYTES, "metadata", 0)
            family, meta = _metadata(data, low, high)
            if family:
                request.metadata[family] = meta
    return request
