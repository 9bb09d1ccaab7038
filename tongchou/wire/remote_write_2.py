"""Prometheus remote_write 2.0: exactly decode `io.prometheus.write.v2.Request` (protobuf, without compression).

Texts are sent once, in a table; everything else names them by their place in it. Message (field numbers):
Request{4 symbols, 5 timeseries}; TimeSeries{1 labels_refs, 2 samples, 3 histograms, 4 exemplars, 5 metadata};
Sample{1 value double, 2 timestamp int64 ms, 3 start timestamp}; Exemplar{1 labels_refs, 2 value, 3 timestamp};
Metadata{1 type, 3 help_ref, 4 unit_ref}. Source: the specification, 2.0-rc.4; rc.3 had a created timestamp at
TimeSeries{6}. Start timestamps are read past: the platform keeps none.
"""

from __future__ import annotations

from tongchou.wire.exposition import Meta
from tongchou.wire.protobuf import BYTES, VARINT, MalformedError, expect, fields, message, packed_varints, text
from tongchou.wire.remote_write import (
    MAX_SERIES,
    DecodedRequest,
    DecodedSeries,
    Sample,
    TooManyError,
    metric_type,
    sample,
)

# A text is sent once and may be named often: these bound what a small message can become in memory.
MAX_SYMBOLS = 500_000
MAX_SAMPLES = 1_000_000
MAX_LABEL_BYTES = 128 * 1024 * 1024
MAX_LABEL_PAIRS = 4_000_000

_PARTS = ("_bucket", "_sum", "_count")  # of a histogram or summary: their family is named without
_IN_PARTS = ("histogram", "gaugehistogram", "summary")


class _Symbols:
    """The table of texts, and the labels made of them as 1.0 writes them."""

    def __init__(self, texts: list[str]) -> None:
        self.label_bytes_left = MAX_LABEL_BYTES
        self.pairs_left = MAX_LABEL_PAIRS
        if not texts or texts[0]:
            raise MalformedError("the table of symbols does not begin with the empty text (near byte 0)")
        self.texts = texts
        self._encoded = [each.encode() for each in texts]
        self._fields: dict[tuple[int, int], bytes] = {}  # label fields by the references of name and value

    def labels(self, refs: list[int], at: int) -> list[tuple[str, str]]:
        """The pairs of a list of references; `at` is where it was, for the message."""
        texts = self.texts
        if len(refs) % 2:
            raise MalformedError(f"{len(refs)} label references at byte {at} are not pairs of name and value")
        self.pairs_left -= len(refs) // 2
        if self.pairs_left < 0:
            raise TooManyError(f"more than {MAX_LABEL_PAIRS} labels")
        try:
            return [(texts[name], texts[value]) for name, value in zip(refs[::2], refs[1::2], strict=True)]
        except IndexError:
            raise self._outside(max(refs), at) from None

    def label_bytes(self, refs: list[int]) -> bytes:
        """The same as label fields of 1.0, which are the key of a series; `labels` has checked the references."""
        fields_of = self._fields
        parts = []
        for pair in zip(refs[::2], refs[1::2], strict=True):
            found = fields_of.get(pair)
            if found is None:
                name, value = pair
                found = message(1, message(1, self._encoded[name]) + message(2, self._encoded[value]))
                fields_of[pair] = found
            parts.append(found)
            self.label_bytes_left -= len(found)
            if self.label_bytes_left < 0:
                raise TooManyError(f"more than {MAX_LABEL_BYTES} bytes of labels when they are written out")
        return b"".join(parts)

    def text(self, ref: int, at: int) -> str:
        """One text."""
        if ref >= len(self.texts):
            raise self._outside(ref, at)
        return self.texts[ref]

    def _outside(self, ref: int, at: int) -> MalformedError:
        return MalformedError(f"reference {ref} at byte {at} is outside of the {len(self.texts)} symbols")


def _references(data: bytes, kind: int, low: int, high: int, refs: list[int]) -> None:
    """Add the numbers of one occurrence of a repeated number: packed, or one alone."""
    if kind == VARINT:
        refs.append(low)
    else:
        expect(kind, BYTES, "label references")
        refs.extend(packed_varints(data, low, high))


def _metadata(data: bytes, start: int, end: int, symbols: _Symbols) -> Meta:
    kind, help_ref, unit_ref = 0, 0, 0
    for number, wire_type, low, _high in fields(data, start, end):
        if number in (1, 3, 4):
            expect(wire_type, VARINT, "metadata field", start)
        if number == 1:
            kind = low
        elif number == 3:
            help_ref = low
        elif number == 4:
            unit_ref = low
    return Meta(metric_type(kind), symbols.text(help_ref, start), symbols.text(unit_ref, start))


def _check_exemplar(data: bytes, start: int, end: int, symbols: _Symbols) -> None:
    refs: list[int] = []
    for number, kind, low, high in fields(data, start, end):
        if number == 1:
            _references(data, kind, low, high, refs)
    symbols.labels(refs, start)


def _family(labels: list[tuple[str, str]], meta: Meta) -> str:
    """The metric family that a series' metadata is about."""
    name = next((value for label, value in labels if label == "__name__"), "")
    if meta.type in _IN_PARTS:
        for part in _PARTS:
            if name.endswith(part):
                return name.removesuffix(part)
    return name


def _series(data: bytes, start: int, end: int, symbols: _Symbols, request: DecodedRequest) -> DecodedSeries:
    refs: list[int] = []
    samples: list[Sample] = []
    histograms = 0
    meta: Meta | None = None
    for number, kind, low, high in fields(data, start, end):
        if number == 1:
            _references(data, kind, low, high, refs)
            continue
        if number in (2, 3, 4, 5):
            expect(kind, BYTES, "time series field", start)
        if number == 2:
            samples.append(sample(data, low, high))
        elif number == 3:
            histograms += 1
        elif number == 4:
            _check_exemplar(data, low, high, symbols)
            request.exemplars += 1
        elif number == 5:
            meta = _metadata(data, low, high, symbols)
    labels = symbols.labels(refs, start)
    if meta is not None and meta != Meta():
        family = _family(labels, meta)
        if family:
            request.metadata[family] = meta
    return DecodedSeries(labels, samples, histograms, symbols.label_bytes(refs))


def decode(data: bytes) -> DecodedRequest:
    """Walk a Request byte by byte. Raises MalformedError when a part of it is not what it should be, TooManyError."""
    texts: list[str] = []
    spans: list[tuple[int, int]] = []
    for number, kind, low, high in fields(data, 0, len(data)):
        if number == 4:
            expect(kind, BYTES, "symbol", low)
            texts.append(text(data, low, high, "symbol"))
            _bound(len(texts), MAX_SYMBOLS, "symbols")
        elif number == 5:
            expect(kind, BYTES, "time series", low)
            spans.append((low, high))
            _bound(len(spans), MAX_SERIES, "series")
    symbols = _Symbols(texts)
    request = DecodedRequest()
    samples = 0
    for start, end in spans:
        found = _series(data, start, end, symbols, request)
        request.series.append(found)
        samples += len(found.samples)
        _bound(samples, MAX_SAMPLES, "samples")
    return request


def _bound(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise TooManyError(f"more than {limit} {what}")
