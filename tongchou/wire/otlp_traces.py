"""OTLP traces: decode of `ExportTraceServiceRequest`, protobuf and JSON, the few things that edges are made of.

Field numbers: request{1 resource_spans}; ResourceSpans{1 resource, 2 scope_spans}; ScopeSpans{2 spans};
Span{1 trace id, 2 span id, 4 parent span id, 6 kind, 9 attributes}. Kinds: 1 internal, 2 server, 3 client, 4 producer,
5 consumer. Source: open-telemetry/opentelemetry-proto 1.x.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tongchou.wire.otlp import Attributes, attributes, json_attributes, json_request, spans, wanted, whole
from tongchou.wire.protobuf import BYTES, VARINT, MalformedError, expect, fields

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
_NAMES = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
KINDS = {f"SPAN_KIND_{name}": number for number, name in enumerate(_NAMES)}


@dataclass(slots=True)
class Span:
    """What of a span tells who uses what."""

    kind: int = 0
    span_id: bytes = b""
    attributes: Attributes = field(default_factory=dict)


@dataclass(slots=True)
class Spans:
    """The spans of one resource."""

    resource: Attributes
    spans: list[Span]


def _span(data: bytes, start: int, end: int) -> Span:
    found, places = Span(), []
    for number, kind, low, high in fields(data, start, end):
        if number == 2:
            expect(kind, BYTES, "span id")
            found.span_id = data[low:high]
        elif number == 6:
            expect(kind, VARINT, "span kind")
            found.kind = low
        elif number == 9:
            expect(kind, BYTES, "span attributes")
            places.append((low, high))
    found.attributes = attributes(data, places)
    return found


def decode(data: bytes) -> list[Spans]:
    """The spans of a protobuf request. Raises MalformedError."""
    groups = []
    for start, end in spans(data, 0, len(data), 1):
        resource: Attributes = {}
        for low, high in spans(data, start, end, 1):
            resource = attributes(data, spans(data, low, high, 1))
        found = [_span(data, *each) for low, high in spans(data, start, end, 2) for each in spans(data, low, high, 2)]
        groups.append(Spans(resource, found))
    return groups


def _json_kind(value: object) -> int:
    return KINDS.get(value, 0) if isinstance(value, str) and not value.isdigit() else whole(value, "kind")


def _json_span(value: object) -> Span:
    held = wanted(value, dict, "span")
    try:
        span_id = bytes.fromhex(wanted(held.get("spanId"), str, "spanId"))
    except ValueError:
        raise MalformedError("spanId is not hexadecimal") from None
    return Span(_json_kind(held.get("kind")), span_id, json_attributes(held.get("attributes")))


def decode_json(data: bytes) -> list[Spans]:
    """The spans of a JSON request. Raises MalformedError."""
    groups = []
    for each in wanted(json_request(data).get("resourceSpans"), list, "resourceSpans"):
        outer = wanted(each, dict, "resourceSpans")
        resource = json_attributes(wanted(outer.get("resource"), dict, "resource").get("attributes"))
        found = [
            _json_span(one)
            for inner in wanted(outer.get("scopeSpans"), list, "scopeSpans")
            for one in wanted(wanted(inner, dict, "scopeSpans").get("spans"), list, "spans")
        ]
        groups.append(Spans(resource, found))
    return groups
