"""OpenTelemetry's records as streams of lines. Pure.

Resource attributes that tell sources apart become labels; everything else stands beside the line as fields.
"""

from __future__ import annotations

import json
from typing import Any

from tongchou.telemetry.logs.detect import UNKNOWN, level_named, level_of_severity
from tongchou.wire.log_stream import Entry, Label, Stream
from tongchou.wire.otlp_logs import Group, Record

LABELS = {
    "service.name": "service",
    "service.namespace": "namespace",
    "service.instance.id": "instance",
    "deployment.environment.name": "env",
    "deployment.environment": "env",
    "host.name": "host",
    "k8s.namespace.name": "k8s_namespace",
    "k8s.pod.name": "pod",
    "k8s.container.name": "container",
    "container.name": "container",
}


def text_of(value: Any) -> str:
    """An attribute or body as text: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def streams(groups: list[Group], *, now_ns: int) -> list[Stream]:
    """The streams of a request. A record without a time has the time it was observed, or `now_ns`."""
    found = []
    for group in groups:
        labels: dict[str, str] = {}
        beside: list[Label] = []
        for key, value in group.resource.items():
            name = LABELS.get(key)
            if name and text_of(value):
                labels.setdefault(name, text_of(value)[:4096])
            elif key:
                beside.append((key, text_of(value)))
        labels.setdefault("service", "unknown_service")  # the name OpenTelemetry gives a service that tells none
        if group.scope:
            beside.append(("scope", group.scope))
        found.append(Stream(sorted(labels.items()), [_entry(each, beside, now_ns) for each in group.records]))
    return found


def _entry(record: Record, beside: list[Label], now_ns: int) -> Entry:
    facts = dict(beside)
    facts.update((key, text_of(value)) for key, value in record.attributes.items() if key)
    if record.span_id.strip("0"):
        facts["span_id"] = record.span_id
    if record.event_name:
        facts["event_name"] = record.event_name
    level = level_of_severity(record.severity_number)
    if level == UNKNOWN and record.severity_text:
        level = level_named(record.severity_text)
    if record.severity_text:
        facts.setdefault("severity_text", record.severity_text)
    ts_ns = record.time_ns or record.observed_ns or now_ns
    told = "" if level == UNKNOWN else level
    return Entry(ts_ns, text_of(record.body).encode(errors="replace"), list(facts.items()), told, record.trace_id)
