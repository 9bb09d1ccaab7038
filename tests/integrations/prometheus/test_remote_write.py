from __future__ import annotations

import base64

import cramjam
import pytest
from django.test import Client, override_settings

from tongchou.core import tokens
from tongchou.core.access import system
from tongchou.core.models import User
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher
from tongchou.wire.remote_write import encode, encode_labels

URL = "/prometheus/api/v1/write"
HEADERS = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
PROTO = "application/x-protobuf"
pytestmark = pytest.mark.django_db


@pytest.fixture
def send(operator_actor):
    who = User.objects.get(pk=operator_actor.user_id)
    _row, token = tokens.create(actor=system("tests"), user=who, name="sender", scopes=["ingest"], expires_at=None)

    def post(body, *, content_type=PROTO, compress=True, **headers):
        client = Client(headers={"Authorization": f"Bearer {token}", **HEADERS, **headers})
        data = bytes(cramjam.snappy.compress_raw(body)) if compress else body
        return client.post(URL, data=data, content_type=content_type)

    post.token = token
    return post


def stored(telemetry, name="up"):
    now = telemetry.clock()
    return telemetry.select([Matcher("__name__", "=", name)], now - 3_600_000, now + 3_600_000, limits=Limits())


def message(telemetry, *values, name="up", **labels):
    now = telemetry.clock()
    pairs = [("__name__", name), *labels.items()]
    return encode([(pairs, [(now - 1000 * (len(values) - i), v) for i, v in enumerate(values)])])


def test_samples_are_readable_when_the_sender_is_told(telemetry_db, send):
    for value in (1.0, 0.0, 2.5):
        body = message(telemetry_db, value, i=str(value))
        assert send(body).status_code == 204
    assert sorted(stored(telemetry_db).v.tolist()) == [0.0, 1.0, 2.5]


def test_a_repeated_request_changes_nothing(telemetry_db, send):
    body = message(telemetry_db, 1.0, 2.0)
    for _again in range(3):
        assert send(body).status_code == 204
    assert stored(telemetry_db).v.tolist() == [1.0, 2.0]


def test_basic_auth_takes_the_token_as_password(telemetry_db, send):
    client = Client(headers=HEADERS)
    credentials = base64.b64encode(f"anybody:{send.token}".encode()).decode()
    body = bytes(cramjam.snappy.compress_raw(message(telemetry_db, 1.0)))
    answer = client.post(URL, data=body, content_type=PROTO, headers={"Authorization": f"Basic {credentials}"})
    assert answer.status_code == 204


def test_nobody_and_a_read_token_may_not_write(telemetry_db, api_as, viewer_actor):
    body = bytes(cramjam.snappy.compress_raw(message(telemetry_db, 1.0)))
    assert Client(headers=HEADERS).post(URL, data=body, content_type=PROTO).status_code == 401
    reader = api_as(viewer_actor, ["read"])
    assert reader._client.post(URL, data=body, content_type=PROTO, headers=HEADERS).status_code == 403


@pytest.mark.parametrize(
    ("content_type", "encoding", "status"),
    [
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", 415),
        ("application/json", "snappy", 415),
        (PROTO, "gzip", 415),
        (PROTO, "", 415),
        ("application/x-protobuf;proto=prometheus.WriteRequest", "snappy", 204),
    ],
)
def test_other_protocols_are_refused_and_not_read_as_empty(telemetry_db, send, content_type, encoding, status):
    answer = send(message(telemetry_db, 1.0), content_type=content_type, **{"Content-Encoding": encoding})
    assert answer.status_code == status
    assert len(stored(telemetry_db)) == (1 if status == 204 else 0)


@pytest.mark.parametrize("cut", [0, 1, 5, -1])
def test_truncated_and_malformed_bodies_are_refused(telemetry_db, send, cut):
    whole = bytes(cramjam.snappy.compress_raw(message(telemetry_db, 1.0)))
    answer = send(whole[:cut], compress=False)
    assert answer.status_code == 400
    assert answer.json()["code"] == "telemetry.malformed"
    inside = message(telemetry_db, 1.0)[:-3]
    assert send(inside).status_code == 400
    assert send(b"hello").status_code == 400
    assert len(stored(telemetry_db)) == 0


def test_an_oversized_body_is_refused_before_it_is_unpacked(telemetry_db, send):
    bomb = bytes(cramjam.snappy.compress_raw(b"\0" * (33 * 1024 * 1024)))
    answer = send(bomb, compress=False)
    assert answer.status_code == 413
    lie = b"\xff\xff\xff\xff\x0f" + b"abc"
    assert send(lie, compress=False).status_code == 413


def test_a_body_over_the_limit_of_the_server_is_refused(telemetry_db, send):
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000):
        answer = send(b"x" * 2000, compress=False)
    assert answer.status_code == 413
    answer = send(b"x", compress=False, **{"Content-Length": str(17 * 1024 * 1024)})
    assert answer.status_code in (400, 413)


def test_bad_series_and_times_are_refused_by_name_and_the_rest_is_written(telemetry_db, send):
    now = telemetry_db.clock()
    good = ([("__name__", "up")], [(now, 1.0), (now + 11 * 60_000, 9.0)])
    bad = [([("__name__", "a b")], [(now, 1.0)]), ([("job", "x")], [(now, 1.0)])]
    answer = send(encode([good, *bad]))
    assert answer.status_code == 400
    detail = answer.json()["detail"]
    assert "future" in detail
    assert "not a metric name" in detail
    assert "no metric name" in detail
    assert stored(telemetry_db).v.tolist() == [1.0]


def test_native_histograms_are_refused_visibly(telemetry_db, send):
    series = encode_labels([("__name__", "h")]) + b"\x22\x02\x08\x01"
    answer = send(b"\x0a" + bytes((len(series),)) + series)
    assert answer.status_code == 400
    assert "histogram" in answer.json()["detail"]


def test_the_limit_of_series_is_told(telemetry_db, send):
    telemetry_db.index.max_series = 1
    assert send(message(telemetry_db, 1.0, i="1")).status_code == 204
    answer = send(message(telemetry_db, 1.0, i="2"))
    assert answer.status_code == 400
    assert "as many series as it may" in answer.json()["detail"]
    assert send(message(telemetry_db, 2.0, i="1")).status_code == 204


def test_history_with_old_timestamps_is_taken(telemetry_db, send):
    now = telemetry_db.clock()
    old = now - 3 * 86_400_000
    assert (
        send(encode([([("__name__", "old")], [(old + i * 15_000, float(i)) for i in range(500)])])).status_code == 204
    )
    block = telemetry_db.select([Matcher("__name__", "=", "old")], old, now, limits=Limits())
    assert block.v.tolist() == [float(i) for i in range(500)]
