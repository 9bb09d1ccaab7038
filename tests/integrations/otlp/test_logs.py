from __future__ import annotations

import gzip
import json
import struct
from datetime import timedelta

import pytest
from django.utils import timezone

from tongchou.telemetry import log_reads
from tongchou.wire.protobuf import message, number_field, varint

URL = "/otlp/v1/logs"
PROTO, JSON = "application/x-protobuf", "application/json"
TRACE = "0af7651916cd43dd8448eb211c80319c"
pytestmark = pytest.mark.django_db


def found():
    now = timezone.now()
    return log_reads.search("", now - timedelta(hours=1), now + timedelta(hours=1)).lines


def as_json(*records):
    attributes = [
        {"key": "service.name", "value": {"stringValue": "orders"}},
        {"key": "service.instance.id", "value": {"stringValue": "orders-1"}},
        {"key": "os.type", "value": {"stringValue": "linux"}},
    ]
    return json.dumps(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": attributes},
                    "scopeLogs": [{"scope": {"name": "lib"}, "logRecords": records}],
                }
            ]
        }
    )


def record(telemetry, **more):
    now = telemetry.logs.clock_ns()
    return {
        "timeUnixNano": str(now),
        "severityNumber": 17,
        "body": {"stringValue": "it broke"},
        "attributes": [{"key": "http.status", "value": {"intValue": "500"}}],
        "traceId": TRACE,
        "spanId": "b7ad6b7169203331",
        **more,
    }


def test_a_record_becomes_a_line(telemetry_db, sender):
    answer = sender(URL, as_json(record(telemetry_db)), JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    (line,) = found()
    assert (line.body, line.level, line.trace_id, line.resource) == ("it broke", "error", TRACE, "orders-1")
    assert line.labels == {"service": "orders", "instance": "orders-1"}
    assert line.fields == {"os.type": "linux", "scope": "lib", "http.status": "500", "span_id": "b7ad6b7169203331"}


def test_protobuf_with_gzip(telemetry_db, sender):
    now = telemetry_db.logs.clock_ns()
    body = varint(1 << 3 | 1) + struct.pack("<Q", now) + number_field(2, 13) + message(5, message(1, "订单".encode()))
    request = message(1, message(2, message(2, body)))
    answer = sender(URL, gzip.compress(request), PROTO, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.content) == (200, b"")
    (line,) = found()
    assert (line.body, line.level, line.labels) == ("订单", "warning", {"service": "unknown_service"})


def test_times_bodies_and_levels_that_are_missing_or_odd(telemetry_db, sender):
    records = [
        record(telemetry_db, timeUnixNano="0", severityNumber=0, severityText="FATAL"),
        record(
            telemetry_db,
            body={"kvlistValue": {"values": [{"key": "level", "value": {"stringValue": "debug"}}]}},
            severityNumber=0,
        ),
        record(telemetry_db, body=None, traceId="", severityNumber=99),
    ]
    assert sender(URL, as_json(*records), JSON).status_code == 200
    assert sorted((line.body, line.level) for line in found()) == [
        ("", "unknown"),
        ("it broke", "critical"),
        ('{"level":"debug"}', "debug"),
    ]


def test_refused_records_are_a_partial_success(telemetry_db, sender):
    old = record(telemetry_db, timeUnixNano="1")
    answer = sender(URL, as_json(record(telemetry_db), old), JSON)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedLogRecords"] == "1"
    assert "older than the retention" in partial["errorMessage"]
    assert len(found()) == 1


def test_what_cannot_be_read_is_refused_in_the_senders_encoding(telemetry_db, sender):
    for body, kind, encoding, status in [
        (b"{", JSON, "", 400),
        (b"\x0a\xff", PROTO, "", 400),
        (gzip.compress(b"x" * 100)[:-9], JSON, "gzip", 400),
        (gzip.compress(b"\0" * 80_000_000), PROTO, "gzip", 413),
        (b"{}", "text/plain", "", 415),
        (b"{}", JSON, "snappy", 415),
    ]:
        answer = sender(URL, body, kind, **{"Content-Encoding": encoding})
        assert answer.status_code == status
        assert answer["Content-Type"] == (PROTO if kind == PROTO else JSON)
        assert answer.content
    assert found() == []


def test_a_reader_may_not_send(telemetry_db, api_as, viewer_actor, client):
    assert api_as(viewer_actor).post(URL, as_json()).status_code == 403
    assert client.post(URL, data=as_json(), content_type=JSON).status_code == 401
