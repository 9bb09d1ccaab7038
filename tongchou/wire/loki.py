"""Loki's push: encode and decode `logproto.PushRequest` (protobuf, without compression) and the text form of labels.

Message (field numbers): PushRequest{1 streams}; Stream{1 labels text, 2 entries, 3 hash}; Entry{1 timestamp, 2 line,
3 structured metadata}; Timestamp{1 seconds, 2 nanos}; metadata{1 name, 2 value}. Source: grafana/loki pkg/push.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tongchou.wire.log_stream import Entry, Label, Stream
from tongchou.wire.protobuf import (
    BYTES,
    VARINT,
    MalformedError,
    expect,
    fields,
    message,
    number_field,
    signed,
    text,
    text_pair,
)

_PAIR = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`)\s*', re.DOTALL)
_ESCAPE = re.compile(r'\\(?:([abfnrtv\\"\'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))')
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_MAX_SECONDS = 1 << 62


def _unescape(found: re.Match[str]) -> str:
    plain, two, four, eight, octal = found.groups()
    if plain:
        return _PLAIN.get(plain, plain)
    code = int(octal, 8) if octal else int(two or four or eight, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise MalformedError(f"labels name no character by {found.group()!r}")
    return chr(code)


def unquote(quoted: str) -> str:
    """The text inside a Go string literal, "interpreted" or `raw`. Raises MalformedError."""
    if quoted.startswith("`"):
        return quoted[1:-1]
    inside = quoted[1:-1]
    if "\\" in _ESCAPE.sub("", inside):
        raise MalformedError(f"unknown escape in the label value {quoted[:60]}")
    return _ESCAPE.sub(_unescape, inside)


def quote(value: str) -> str:
    """A label value as Go's strconv.Quote would write it, as far as a reader must agree."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def parse_labels(source: str) -> list[Label]:
    """The labels out of `{name="value", ...}`. Raises MalformedError."""
    stripped = source.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")):
        raise MalformedError(f"labels are not written in braces: {source[:80]!r}")
    inside, at, labels = stripped[1:-1], 0, []
    while inside[at:].strip():
        found = _PAIR.match(inside, at)
        if found is None:
            raise MalformedError(f'labels are not name="value" pairs at character {at + 1}: {source[:80]!r}')
        labels.append((found[1], unquote(found[2])))
        at = found.end()
        if at < len(inside):
            if inside[at] != ",":
                raise MalformedError(f"a comma is missing between labels at character {at + 1}: {source[:80]!r}")
            at += 1
    return labels


def format_labels(labels: Iterable[Label]) -> str:
    """Labels in the text form a Stream carries, sorted by name."""
    return "{" + ", ".join(f"{name}={quote(value)}" for name, value in sorted(labels)) + "}"


def encode(streams: Iterable[tuple[Sequence[Label], Sequence[Entry]]]) -> bytes:
    """A PushRequest."""
    out = bytearray()
    for labels, entries in streams:
        body = bytearray(message(1, format_labels(labels).encode()))
        for entry in entries:
            seconds, nanos = divmod(entry.ts_ns, 1_000_000_000)
            stamp = message(1, number_field(1, seconds) + number_field(2, nanos))
            facts = b"".join(
                message(3, message(1, name.encode()) + message(2, value.encode())) for name, value in entry.fields
            )
            body += message(2, stamp + message(2, entry.line) + facts)
        out += message(1, bytes(body))
    return bytes(out)


def _timestamp(data: bytes, start: int, end: int) -> int:
    seconds = nanos = 0
    for number, kind, low, _high in fields(data, start, end):
        if number == 1:
            expect(kind, VARINT, "seconds")
            seconds = signed(low)
        elif number == 2:
            expect(kind, VARINT, "nanos")
            nanos = signed(low)
    if abs(seconds) > _MAX_SECONDS:
        raise MalformedError(f"timestamp of {seconds} seconds")
    return seconds * 1_000_000_000 + nanos


def _entry(data: bytes, start: int, end: int) -> Entry:
    ts_ns, line, facts = 0, b"", []
    for number, kind, low, high in fields(data, start, end):
        if number in (1, 2, 3):
            expect(kind, BYTES, "entry field")
        if number == 1:
            ts_ns = _timestamp(data, low, high)
        elif number == 2:
            line = data[low:high]
        elif number == 3:
            facts.append(text_pair(data, low, high, "metadata"))
    return Entry(ts_ns, line, facts)


def decode(data: bytes) -> list[Stream]:
    """The streams of a PushRequest. Raises MalformedError."""
    streams = []
    for number, kind, low, high in fields(data, 0, len(data)):
        if number != 1:
            continue
        expect(kind, BYTES, "stream")
        stream = Stream([])
        for inner, inner_kind, inner_low, inner_high in fields(data, low, high):
            if inner in (1, 2):
                expect(inner_kind, BYTES, "stream field")
            if inner == 1:
                stream.labels = parse_labels(text(data, inner_low, inner_high, "labels"))
            elif inner == 2:
                stream.entries.append(_entry(data, inner_low, inner_high))
        streams.append(stream)
    return streams
