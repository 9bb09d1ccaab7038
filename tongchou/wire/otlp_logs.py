"""OTLP logs: decode `ExportLogsServiceRequest`, protobuf and JSON, into plain values; encode the answer.

Field numbers: request{1 resource_logs}; ResourceLogs{1 resource, 2 scope_logs}; Resource{1 attributes};
ScopeLogs{1 scope, 2 log_records}; Scope{1 name, 2 version}; LogRecord{1 time fixed64, 2 severity number,
3 severity text, 5 body, 6 attributes, 9 trace id, 10 span id, 11 observed time fixed64, 12 event name};
AnyValue{1 string, 2 bool, 3 int, 4 double, 5 array, 6 kvlist, 7 bytes}. JSON is lowerCamelCase, ids are hex, 64-bit
numbers are strings or numbers. Source: open-telemetry/opentelemetry-proto 1.x.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Record:
    """One log record as sent; ids are lower-case hex, "" when there is none."""

    time_ns: int = 0
    observed_ns: int = 0
    severity_number: int = 0
    severity_text: str = ""
    body: Any = ""
    attributes: Attributes = field(default_factory=dict)
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""


@dataclass(slots=True)
class Group:
    """The records of one scope of one resource."""

    resource: Attributes
    scope: str
    records: list[Record]


def _value(data: bytes, start: int, end: int, depth: int = 0) -> Any:
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
                    found.append(_value(data, inner_low, inner_high, depth + 1))
        elif number == 6:
            found = _attributes(data, _spans(data, low, high, 1), depth + 1)
        elif number == 7:
            found = base64.b64encode(data[low:high]).decode()
    return found


def _spans(data: bytes, start: int, end: int, wanted: int) -> list[tuple[int, int]]:
    spans = []
    for number, kind, low, high in fields(data, start, end):
        if number == wanted:
            expect(kind, BYTES, f"field {wanted}")
            spans.append((low, high))
    return spans


def _attributes(data: bytes, spans: list[tuple[int, int]], depth: int = 0) -> Attributes:
    found: Attributes = {}
    for start, end in spans:
        key, value = "", ""
        for number, kind, low, high in fields(data, start, end):
            if number in (1, 2):
                expect(kind, BYTES, "attribute")
            if number == 1:
                key = text(data, low, high, "attribute key")
            elif number == 2:
                value = _value(data, low, high, depth)
        found[key] = value
    return found


def _record(data: bytes, start: int, end: int) -> Record:
    record, attributes = Record(), []
    for number, kind, low, high in fields(data, start, end):
        if number in (3, 5, 6, 9, 10, 12):
            expect(kind, BYTES, f"log record field {number}")
        if number in (1, 11):
            expect(kind, FIXED64, "time")
            value = int.from_bytes(data[low:high], "little")
            if number == 1:
                record.time_ns = value
            else:
                record.observed_ns = value
        elif number == 2:
            expect(kind, VARINT, "severity number")
            record.severity_number = low
        elif number == 3:
            record.severity_text = text(data, low, high, "severity text")
        elif number == 5:
            record.body = _value(data, low, high)
        elif number == 6:
            attributes.append((low, high))
        elif number == 9:
            record.trace_id = data[low:high].hex()
        elif number == 10:
            record.span_id = data[low:high].hex()
        elif number == 12:
            record.event_name = text(data, low, high, "event name")
    record.attributes = _attributes(data, attributes)
    return record


def decode(data: bytes) -> list[Group]:
    """The groups of a protobuf request. Raises MalformedError."""
    groups = []
    for start, end in _spans(data, 0, len(data), 1):
        resource: Attributes = {}
        for low, high in _spans(data, start, end, 1):
            resource = _attributes(data, _spans(data, low, high, 1))
        for low, high in _spans(data, start, end, 2):
            name = ""
            for scope_low, scope_high in _spans(data, low, high, 1):
                for name_low, name_high in _spans(data, scope_low, scope_high, 1):
                    name = text(data, name_low, name_high, "scope name")
            records = [_record(data, *span) for span in _spans(data, low, high, 2)]
            groups.append(Group(resource, name, records))
    return groups


def _wanted(value: object, kind: type, what: str) -> Any:
    if value is None:
        return kind()
    if not isinstance(value, kind) or isinstance(value, bool):
        raise MalformedError(f"{what} is not of type {kind.__name__}")
    return value


def _whole(value: object, what: str) -> int:
    """A 64-bit number: JSON senders write it as text, some as a number."""
    if value is None or value == "":
        return 0
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise MalformedError(f"{what} is not a number")
    try:
        return int(value)
    except (ValueError, OverflowError):
        raise MalformedError(f"{what} is not a whole number") from None


def _json_value(value: object, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise MalformedError(f"values are nested more than {MAX_DEPTH} deep")
    held: Mapping[str, Any] = _wanted(value, dict, "value")
    for key, found in held.items():
        if key == "stringValue":
            return _wanted(found, str, key)
        if key == "boolValue":
            return bool(found)
        if key == "intValue":
            return _whole(found, key)
        if key == "doubleValue":
            return _double(found)
        if key == "bytesValue":
            return _wanted(found, str, key)
        if key == "arrayValue":
            inner = _wanted(_wanted(found, dict, key).get("values"), list, "values")
            return [_json_value(each, depth + 1) for each in inner]
        if key == "kvlistValue":
            return _json_attributes(_wanted(found, dict, key).get("values"), depth + 1)
    return ""


def _double(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # whatever JSON held; what float() refuses is malformed
    except (TypeError, ValueError):
        raise MalformedError("doubleValue is not a number") from None


def _json_attributes(value: object, depth: int = 0) -> Attributes:
    found: Attributes = {}
    for each in _wanted(value, list, "attributes"):
        pair = _wanted(each, dict, "attribute")
        found[_wanted(pair.get("key"), str, "key")] = _json_value(pair.get("value"), depth)
    return found


def _json_id(value: object, what: str) -> str:
    found: str = _wanted(value, str, what).lower()
    if any(character not in "0123456789abcdef" for character in found):
        raise MalformedError(f"{what} is not hexadecimal")
    return found


def _json_record(value: object) -> Record:
    held = _wanted(value, dict, "log record")
    number = held.get("severityNumber")
    return Record(
        time_ns=_whole(held.get("timeUnixNano"), "timeUnixNano"),
        observed_ns=_whole(held.get("observedTimeUnixNano"), "observedTimeUnixNano"),
        severity_number=_whole(number, "severityNumber"),
        severity_text=_wanted(held.get("severityText"), str, "severityText"),
        body=_json_value(held.get("body")),
        attributes=_json_attributes(held.get("attributes")),
        trace_id=_json_id(held.get("traceId"), "traceId"),
        span_id=_json_id(held.get("spanId"), "spanId"),
        event_name=_wanted(held.get("eventName"), str, "eventName"),
    )


def decode_json(data: bytes) -> list[Group]:
    """The groups of a JSON request. Raises MalformedError."""
    try:
        held = _wanted(json.loads(data), dict, "request")
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {error}") from None
    groups = []
    for each in _wanted(held.get("resourceLogs"), list, "resourceLogs"):
        outer = _wanted(each, dict, "resourceLogs")
        resource = _json_attributes(_wanted(outer.get("resource"), dict, "resource").get("attributes"))
        for inner in _wanted(outer.get("scopeLogs"), list, "scopeLogs"):
            scope_logs = _wanted(inner, dict, "scopeLogs")
            scope = _wanted(_wanted(scope_logs.get("scope"), dict, "scope").get("name"), str, "scope name")
            records = [_json_record(one) for one in _wanted(scope_logs.get("logRecords"), list, "logRecords")]
            groups.append(Group(resource, scope, records))
    return groups


def encode_response(rejected: int = 0, reason: str = "") -> bytes:
    """ExportLogsServiceResponse{1 partial_success{1 rejected_log_records, 2 error_message}}; empty when all is well."""
    if not rejected and not reason:
        return b""
    return message(1, number_field(1, rejected) + (message(2, reason.encode()) if reason else b""))


def encode_status(detail: str) -> bytes:
    """google.rpc.Status{2 message}: the body of a refusal."""
    return message(2, detail.encode())
