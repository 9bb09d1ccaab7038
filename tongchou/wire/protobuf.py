"""A walk over protobuf messages without generated classes: for the few messages that senders of telemetry speak."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_DEPTH = 32
WRAP = 1 << 64


class MalformedError(ValueError):
    """The bytes are not the message they should be; the text says what was wrong and at which byte."""


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The unsigned 64-bit varint at `at` and the position after it; bits beyond 64 are cut, as protobuf does."""
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (WRAP - 1), at
        shift += 7
        if shift >= 70:
            raise MalformedError(f"varint of more than 10 bytes before byte {at}")
    raise MalformedError(f"message ends inside a varint at byte {at}")


def signed(value: int) -> int:
    """The int64 a varint holds in two's complement."""
    return value - WRAP if value >= 1 << 63 else value


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Walk one message: (field number, wire type, start, end of the value); for varints start is the value itself.

    Raises MalformedError where the bytes are not a message.
    """
    while at < end:
        tag = data[at]
        if tag < 0x80:  # nearly every tag and size is one byte; a call for each would be half of the walk
            at += 1
        else:
            tag, at = read_varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if number == 0 or tag >> 32:
            raise MalformedError(f"invalid field number before byte {at}")
        if kind == VARINT:
            value, at = read_varint(data, at, end)
            yield number, kind, value, at
            continue
        if kind == BYTES:
            if at < end and data[at] < 0x80:
                size, at = data[at], at + 1
            else:
                size, at = read_varint(data, at, end)
        elif kind == FIXED64:
            size = 8
        elif kind == FIXED32:
            size = 4
        else:
            raise MalformedError(f"wire type {kind} is not supported before byte {at}")
        if size > end - at:
            raise MalformedError(f"field of {size} bytes at byte {at} runs over the end of its message at byte {end}")
        yield number, kind, at, at + size
        at += size


def expect(kind: int, wanted: int, what: str, message_at: int | None = None) -> None:
    """Raise MalformedError unless a field has the wire type its message (which begins at `message_at`) gives it."""
    if kind != wanted:
        where = "" if message_at is None else f" in the message at byte {message_at}"
        raise MalformedError(f"{what} has wire type {kind} instead of {wanted}{where}")


def text(data: bytes, start: int, end: int, what: str) -> str:
    """The UTF-8 text between two positions. Raises MalformedError."""
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise MalformedError(f"{what} at byte {start} is not UTF-8") from None


def text_pair(data: bytes, start: int, end: int, what: str) -> tuple[str, str]:
    """A message of two texts, field 1 a name and field 2 its value: a label, a fact. Raises MalformedError."""
    name = value = ""
    for number, kind, low, high in fields(data, start, end):
        if number == 1:
            expect(kind, BYTES, what)
            name = text(data, low, high, what)
        elif number == 2:
            expect(kind, BYTES, what)
            value = text(data, low, high, what)
    return name, value


def packed_varints(data: bytes, start: int, end: int) -> list[int]:
    """The unsigned numbers of a packed repeated field. Raises MalformedError."""
    plain = data[start:end]
    if plain.isascii():  # all of one byte, as nearly always
        return list(plain)
    found = []
    while start < end:
        value, start = read_varint(data, start, end)
        found.append(value)
    return found


def varint(value: int) -> bytes:
    """An unsigned (or two's complement 64-bit) number as a varint."""
    if 0 <= value <= 0x7F:
        return bytes((value,))
    if value < 0:
        value += WRAP
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    if number < 16 and len(payload) <= 0x7F:
        return bytes((number << 3 | BYTES, len(payload))) + payload
    return varint(number << 3 | BYTES) + varint(len(payload)) + payload


def number_field(number: int, value: int) -> bytes:
    """A varint field; zero is left out, as proto3 senders do."""
    return varint(number << 3) + varint(value) if value else b""
