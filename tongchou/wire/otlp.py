"""What the signals of OTLP share: attributes out of protobuf and JSON, the parts of a message, and the answers.

AnyValue{1 string, 2 bool, 3 int, 4 double, 5 array, 6 kvlist, 7 bytes}; KeyValue{1 key, 2 value}. JSON is
lowerCamelCase, 64-bit numbers are strings or numbers. Source: open-telemetry/opentelemetry-proto 1.x.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any

from tongchou.wire.protobuf import (
    BYTES,
    FIXED64,
    MAX_DEPTH,
    VARINT,
    MalformedError,
    expect,
    fields,
    message,
    number_field,
    signed,
    text,
)

Attributes = dict[str, Any]  # values are what AnyValue holds: str, bool, int, float, list, dict


def any_value(data: bytes, start: int, end: int, depth: int = 0) -> Any:
    """One AnyValue. Raises MalformedError."""
    if depth > MAX_DEPTH:
        raise MalformedError(f"values are nested more than {MAX_DEPTH} deep")
    found: Any = ""
    for number, kind, low, high in fields(data, start, end):
        if number in (1, 5, 6, 7):
            expect(kind, BYTES, "value")
        if number == 1:
            found = text(data, low, high, "string value")
        elif number in (2, 3):
            expect(kind, VARINT, "value")
            found = bool(low) if number == 2 else signed(low)
        elif number == 4:
            expect(kind, FIXED64, "double value")
            found = struct.unpack_from("<d", data, low)[0]
        elif number == 5:
            found = []
            for inner, inner_kind, inner_low, inner_high in fields(data, low, high):
                if inner == 1:
                    expect(inner_kind, BYTES, "array value")
                    found.append(any_value(data, inner_low, inner_high, depth + 1))
        elif number == 6:
            found = attributes(data, spans(data, low, high, 1), depth + 1)
        elif number == 7:
            found = base64.b64encode(data[low:high]).decode()
    return found


def spans(data: bytes, start: int, end: int, field_number: int) -> list[tuple[int, int]]:
    """Where each occurrence of a field of bytes begins and ends. Raises MalformedError."""
    found = []
    for number, kind, low, high in fields(data, start, end):
        if number == field_number:
            expect(kind, BYTES, f"field {field_number}")
            found.append((low, high))
    return found


def attributes(data: bytes, places: list[tuple[int, int]], depth: int = 0) -> Attributes:
    """The KeyValues that stand at these places. Raises MalformedError."""
    found: Attributes = {}
    for start, end in places:
        key, value = "", ""
        for number, kind, low, high in fields(data, start, end):
            if number in (1, 2):
                expect(kind, BYTES, "attribute")
            if number == 1:
                key = text(data, low, high, "attribute key")
            elif number == 2:
                value = any_value(data, low, high, depth)
        found[key] = value
    return found


def wanted(value: object, kind: type, what: str) -> Any:
    """A value out of JSON that is of this type, or the type's empty value for null. Raises MalformedError."""
    if value is None:
        return kind()
    if not isinstance(value, kind) or isinstance(value, bool):
        raise MalformedError(f"{what} is not of type {kind.__name__}")
    return value


def whole(value: object, what: str) -> int:
    """A 64-bit number: JSON senders write it as text, some as a number. Raises MalformedError."""
    if value is None or value == "":
        return 0
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise MalformedError(f"{what} is not a number")
    try:
        return int(value)
    except (ValueError, OverflowError):
        raise MalformedError(f"{what} is not a whole number") from None


def json_value(value: object, depth: int = 0) -> Any:
    """One AnyValue out of JSON. Raises MalformedError."""
    if depth > MAX_DEPTH:
        raise MalformedError(f"values are nested more than {MAX_DEPTH} deep")
    held: Mapping[str, Any] = wanted(value, dict, "value")
    for key, found in held.items():
        if key == "stringValue":
            return wanted(found, str, key)
        if key == "boolValue":
            return bool(found)
        if key == "intValue":
            return whole(found, key)
        if key == "doubleValue":
            return double(found)
        if key == "bytesValue":
            return wanted(found, str, key)
        if key == "arrayValue":
            inner = wanted(wanted(found, dict, key).get("values"), list, "values")
            return [json_value(each, depth + 1) for each in inner]
        if key == "kvlistValue":
            return json_attributes(wanted(found, dict, key).get("values"), depth + 1)
    return ""


def double(value: object) -> float:
    """A double out of JSON: a number, or NaN, Infinity, -Infinity as text. Raises MalformedError."""
    try:
        return float(value)  # type: ignore[arg-type]  # whatever JSON held; what float() refuses is malformed
    except (TypeError, ValueError, OverflowError):
        raise MalformedError("a double is not a number") from None


def json_attributes(value: object, depth: int = 0) -> Attributes:
    """The KeyValues of a JSON list. Raises MalformedError."""
    found: Attributes = {}
    for each in wanted(value, list, "attributes"):
        pair = wanted(each, dict, "attribute")
        found[wanted(pair.get("key"), str, "key")] = json_value(pair.get("value"), depth)
    return found


def encode_response(rejected: int = 0, reason: str = "") -> bytes:
    """Export...ServiceResponse{1 partial_success{1 rejected, 2 error_message}}; empty when all is well."""
    if not rejected and not reason:
        return b""
    return message(1, number_field(1, rejected) + (message(2, reason.encode()) if reason else b""))


def json_request(data: bytes) -> Any:
    """The object of a JSON request. Raises MalformedError."""
    try:
        return wanted(json.loads(data), dict, "request")
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {error}") from None


def encode_status(detail: str) -> bytes:
    """google.rpc.Status{2 message}: the body of a refusal."""
    return message(2, detail.encode())
