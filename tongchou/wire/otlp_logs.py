"""OTLP logs: decode `ExportLogsServiceRequest`, protobuf and JSON, into plain values.

Field numbers: request{1 resource_logs}; ResourceLogs{1 resource, 2 scope_logs}; Resource{1 attributes};
ScopeLogs{1 scope, 2 log_records}; Scope{1 name, 2 version}; LogRecord{1 time fixed64, 2 severity number,
3 severity text, 5 body, 6 attributes, 9 trace id, 10 span id, 11 observed time fixed64, 12 event name}.
In JSON ids are hex. Source: open-telemetry/opentelemetry-proto 1.x.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tongchou.wire.otlp import (
    Attributes,
    any_value,
    attributes,
    json_attributes,
    json_request,
    json_value,
    spans,
    wanted,
    whole,
)
from tongchou.wire.protobuf import BYTES, FIXED64, VARINT, MalformedError, expect, fields, text


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


def _record(data: bytes, start: int, end: int) -> Record:
    record, places = Record(), []
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
            record.body = any_value(data, low, high)
        elif number == 6:
            places.append((low, high))
        elif number == 9:
            record.trace_id = data[low:high].hex()
        elif number == 10:
            record.span_id = data[low:high].hex()
        elif number == 12:
            record.event_name = text(data, low, high, "event name")
    record.attributes = attributes(data, places)
    return record


def decode(data: bytes) -> list[Group]:
    """The groups of a protobuf request. Raises MalformedError."""
    groups = []
    for start, end in spans(data, 0, len(data), 1):
        resource: Attributes = {}
        for low, high in spans(data, start, end, 1):
            resource = attributes(data, spans(data, low, high, 1))
        for low, high in spans(data, start, end, 2):
            name = ""
            for scope_low, scope_high in spans(data, low, high, 1):
                for name_low, name_high in spans(data, scope_low, scope_high, 1):
                    name = text(data, name_low, name_high, "scope name")
            records = [_record(data, *span) for span in spans(data, low, high, 2)]
            groups.append(Group(resource, name, records))
    return groups


def _json_id(value: object, what: str) -> str:
    found: str = wanted(value, str, what).lower()
    if any(character not in "0123456789abcdef" for character in found):
        raise MalformedError(f"{what} is not hexadecimal")
    return found


def _json_record(value: object) -> Record:
    held = wanted(value, dict, "log record")
    number = held.get("severityNumber")
    return Record(
        time_ns=whole(held.get("timeUnixNano"), "timeUnixNano"),
        observed_ns=whole(held.get("observedTimeUnixNano"), "observedTimeUnixNano"),
        severity_number=whole(number, "severityNumber"),
        severity_text=wanted(held.get("severityText"), str, "severityText"),
        body=json_value(held.get("body")),
        attributes=json_attributes(held.get("attributes")),
        trace_id=_json_id(held.get("traceId"), "traceId"),
        span_id=_json_id(held.get("spanId"), "spanId"),
        event_name=wanted(held.get("eventName"), str, "eventName"),
    )


def decode_json(data: bytes) -> list[Group]:
    """The groups of a JSON request. Raises MalformedError."""
    held = json_request(data)
    groups = []
    for each in wanted(held.get("resourceLogs"), list, "resourceLogs"):
        outer = wanted(each, dict, "resourceLogs")
        resource = json_attributes(wanted(outer.get("resource"), dict, "resource").get("attributes"))
        for inner in wanted(outer.get("scopeLogs"), list, "scopeLogs"):
            scope_logs = wanted(inner, dict, "scopeLogs")
            scope = wanted(wanted(scope_logs.get("scope"), dict, "scope").get("name"), str, "scope name")
            records = [_json_record(one) for one in wanted(scope_logs.get("logRecords"), list, "logRecords")]
            groups.append(Group(resource, scope, records))
    return groups
