"""A walk over protobuf messages without generated classes: for the few messages that log senders speak."""

from __future__ import annotations

from collections.abc import Iterator

from tongchou.wire.remote_write import MalformedError, read_varint

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_DEPTH = 32


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Walk one message: (field number, wire type, start, end of the value); for varints start is the value itself.

    Raises MalformedError where the bytes are not a message.
    """
    while at < end:
        tag, at = read_varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if number == 0 or tag >> 32:
            raise MalformedError(f"invalid field number before byte {at}")
        if kind == VARINT:
            value, at = read_varint(data, at, end)
            yield number, kind, value, at
            continue
        if kind == BYTES:
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


def expect(kind: int, wanted: int, what: str) -> None:
    """Raise MalformedError unless a field has the wire type its message gives it."""
    if kind != wanted:
        raise MalformedError(f"{what} has wire type {kind} instead of {wanted}")


def text(data: bytes, start: int, end: int, what: str) -> str:
    """The UTF-8 text between two positions. Raises MalformedError."""
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise MalformedError(f"{what} at byte {start} is not UTF-8") from None


def varint(value: int) -> bytes:
    """An unsigned (or two's complement 64-bit) number as a varint."""
    if value < 0:
        value += 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | BYTES) + varint(len(payload)) + payload


def number_field(number: int, value: int) -> bytes:
    """A varint field; zero is left out, as proto3 senders do."""
    return varint(number << 3) + varint(value) if value else b""
