from __future__ import annotations

import gzip
import json
from datetime import timedelta

import cramjam
import pytest
from django.test import Client
from django.utils import timezone

from tongchou.telemetry import log_reads
from tongchou.wire.log_stream import Entry
from tongchou.wire.loki import encode

URL = "/loki/api/v1/push"
PROTO, JSON = "application/x-protobuf", "application/json"
pytestmark = pytest.mark.django_db


def found(query=""):
    now = timezone.now()
    return log_reads.search(query, now - timedelta(hours=1), now + timedelta(hours=1)).lines


def text(telemetry, *lines, **labels):
    now = telemetry.logs.clock_ns()
    values = [[str(now + i), *(line if isinstance(line, list) else [line])] for i, line in enumerate(lines)]
    return json.dumps({"streams": [{"stream": labels or {"service": "shop"}, "values": values}]})


def snapped(body):
    return bytes(cramjam.snappy.compress_raw(body))


def test_json_is_readable_when_the_sender_is_told(telemetry_db, sender):
    body = text(telemetry_db, "one", ["two", {"user": "7", "level": "error"}])
    assert sender(URL, body, "application/json; charset=utf-8").status_code == 204
    two, one = found()
    assert (one.body, two.body, two.fields, two.level, two.resource) == (
        "one",
        "two",
        {"user": "7", "level": "error"},
        "error",
        "shop",
    )


def test_protobuf_and_gzip_are_taken(telemetry_db, sender):
    now = telemetry_db.logs.clock_ns()
    push = encode([([("service", "shop")], [Entry(now, "订单 placed".encode(), [("user", "7")])])])
    assert sender(URL, snapped(push), PROTO).status_code == 204
    assert (
        sender(URL, snapped(push), PROTO, **{"Content-Encoding": "snappy", "X-Scope-OrgID": "one"}).status_code == 204
    )
    assert sender(URL, gzip.compress(push), PROTO, **{"Content-Encoding": "gzip"}).status_code == 204
    assert (
        sender(
            URL, gzip.compress(text(telemetry_db, "zipped").encode()), JSON, **{"Content-Encoding": "gzip"}
        ).status_code
        == 204
    )
    assert [line.fields for line in found("placed")] == [
        {"user": "7"},
        {"user": "7"},
    ]  # the same bytes twice count once
    assert len(found("zipped")) == 1


def test_a_request_sent_again_is_written_once(telemetry_db, sender):
    body = text(telemetry_db, "one", "two")
    for _again in range(3):
        assert sender(URL, body, JSON).status_code == 204
    assert len(found()) == 2


def test_good_lines_of_a_bad_request_are_written_and_the_answer_says_so(telemetry_db, sender):
    now = telemetry_db.logs.clock_ns()
    values = [[str(now), "good"], [str(now + 10**15), "future"], ["1", "old"]]
    answer = sender(URL, json.dumps({"streams": [{"stream": {"a": "b"}, "values": values}]}), JSON)
    assert answer.status_code == 400
    assert answer.json()["code"] == "logs.lines_refused"
    assert [line.body for line in found()] == ["good"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"streams": 1}',
        '{"streams": [{"stream": {"a": 1}, "values": []}]}',
        '{"streams": [{"stream": {"a": "b"}, "values": [["x", "line"]]}]}',
        '{"streams": [{"stream": {"a": "b"}, "values": [["1"]]}]}',
        '{"streams": [{"stream": {"a": "b"}, "values": [[true, "line"]]}]}',
        '{"streams": [{"stream": {"a": "b"}, "values": [["1", 2]]}]}',
        '{"streams": [{"stream": {"a": "b"}, "values": [["1", "l", {"a": 1}]]}]}',
        '{"streams": [{"stream": {"a": "b"}, "values": [["' + "9" * 5000 + '", "l"]]}]}',
    ],
)
def test_json_that_is_no_push_is_refused(telemetry_db, sender, body):
    assert sender(URL, body, JSON).status_code == 400
    assert found() == []


def test_broken_large_and_foreign_bodies_are_refused(telemetry_db, sender):
    push = encode([([("service", "shop")], [Entry(telemetry_db.logs.clock_ns(), b"x")])])
    bomb = gzip.compress(b"\0" * 80_000_000)
    for body, kind, encoding, status in [
        (b"junk", PROTO, "", 400),
        (snapped(push)[:-3], PROTO, "", 400),
        (snapped(push[:-1]), PROTO, "", 400),
        (b"\xff\xff\xff\xff\x0f" + b"x", PROTO, "snappy", 413),
        (gzip.compress(push)[:-9], PROTO, "gzip", 400),
        (bomb, PROTO, "gzip", 413),
        (bomb, JSON, "gzip", 413),
        (b"x", "text/plain", "", 415),
        (b"x", PROTO, "br", 415),
        (b"x" * (16 * 1024 * 1024 + 1), JSON, "", 413),
    ]:
        assert sender(URL, body, kind, **{"Content-Encoding": encoding}).status_code == status, (kind, encoding)
    assert found() == []


def test_only_a_token_that_may_write_writes(telemetry_db, sender, api_as, viewer_actor, client, admin_user):
    body = text(telemetry_db, "one")
    assert Client().post(URL, data=body, content_type=JSON).status_code == 401
    client.force_login(admin_user)
    assert client.post(URL, data=body, content_type=JSON).status_code == 401
    assert api_as(viewer_actor).post(URL, body).status_code == 403
    assert Client(headers={"Authorization": f"Bearer {sender.token}"}).get("/loki/api/v1/labels").status_code == 403
    assert found() == []
