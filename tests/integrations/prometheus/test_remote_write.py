from __future__ import annotations

import base64

import cramjam
import pytest
from django.test import Client, override_settings
from django.utils import translation

from tongchou.core import tokens
from tongchou.core.access import system
from tongchou.core.models import User
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher
from tongchou.wire.protobuf import message as field
from tongchou.wire.protobuf import number_field, varint
from tongchou.wire.remote_write import encode, encode_labels, encode_samples

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
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", 415),
        ("application/x-protobuf; proto=io.prometheus.write.v2.Request", "snappy", 400),  # a body of 1.0 is none
        ("application/x-protobuf; charset=utf-8; PROTO=prometheus.WriteRequest", "snappy", 204),
        ("application/json", "snappy", 415),
        ("application/json;proto=io.prometheus.write.v2.Request", "snappy", 415),
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


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\x0a\x00" * 100_001, PROTO),
        (b"\x1a\x00" + b"\x0a\x00" * 100_001, PROTO),  # by the exact walk, because of the metadata
        (b"\x22\x00" + b"\x2a\x00" * 100_001, f"{PROTO};proto=io.prometheus.write.v2.Request"),
    ],
)
def test_a_small_body_of_very_many_series_is_refused(telemetry_db, send, body, content_type):
    answer = send(body, content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (413, "telemetry.too_much_in_request")
    assert "100000 series" in answer.json()["detail"]
    assert send(body[: 2 * 100_000], content_type=content_type).status_code == 204


def test_a_body_over_the_limit_of_the_server_is_refused(telemetry_db, send):
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000):
        answer = send(b"x" * 2000, compress=False)
    assert answer.status_code == 413
    answer = send(b"x", compress=False, **{"Content-Length": str(17 * 1024 * 1024)})
    assert answer.status_code in (400, 413)


def test_bad_series_and_times_are_refused_by_name_and_the_rest_is_written(telemetry_db, send):
    now = telemetry_db.clock()
    good = ([("__name__", "up")], [(now, 1.0), (now + 11 * 60_000, 9.0)])
    bad = [([("__name__", "up"), ("", "b")], [(now, 1.0)]), ([("job", "x")], [(now, 1.0)])]
    answer = send(encode([good, *bad]))
    assert answer.status_code == 400
    detail = answer.json()["detail"]
    assert "future" in detail
    assert "not a label name" in detail
    assert "no metric name" in detail
    assert stored(telemetry_db).v.tolist() == [1.0]


def test_native_histograms_are_refused_visibly_and_the_rest_is_written(telemetry_db, send):
    native = encode_labels([("__name__", "h"), ("job", "shop")]) + b"\x22\x02\x08\x01" * 3
    answer = send(b"\x0a" + bytes((len(native),)) + native + message(telemetry_db, 1.0))
    assert answer.status_code == 400
    told = answer.json()
    assert "3 samples: native histograms are not supported (e.g. {__name__='h', job='shop'})" in told["detail"]
    assert "scrape_native_histograms: false" in told["remedy"]
    assert stored(telemetry_db).v.tolist() == [1.0]
    assert "h" not in telemetry_db.index.label_values("__name__")  # nor is there an empty series of it


def test_metadata_is_kept_and_told(telemetry_db, send, api_as, viewer_actor):
    meta = b"\x08\x01" + b"\x12\x08rw_total" + b"\x22\x04Help"
    assert send(b"\x1a" + bytes((len(meta),)) + meta).status_code == 204
    told = api_as(viewer_actor, ["read"]).get("/prometheus/api/v1/metadata?metric=rw_total").json()["data"]
    assert told == {"rw_total": [{"type": "counter", "help": "Help", "unit": ""}]}


# --- 2.0 -------------------------------------------------------------------------------------------------------------
PROTO_2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


def in_2(series, extra=b""):
    """A 2.0 message of (labels, samples); `extra` is put into every TimeSeries."""
    symbols = [""]
    parts = []
    for labels, samples in series:
        refs = b""
        for text in (text for pair in labels for text in pair):
            if text not in symbols:
                symbols.append(text)
            refs += varint(symbols.index(text))
        parts.append(field(5, field(1, refs) + encode_samples(samples) + extra))
    return b"".join(field(4, text.encode()) for text in symbols) + b"".join(parts)


def written(answer):
    names = ("Samples", "Histograms", "Exemplars")
    return [answer.headers.get(f"X-Prometheus-Remote-Write-{name}-Written") for name in names]


def test_a_message_of_2_0_is_written_and_counted(telemetry_db, send, api_as, viewer_actor):
    now = telemetry_db.clock()
    labels = [("__name__", "up"), ("job", "订单")]
    extra = field(5, number_field(1, 2))  # a gauge
    body = in_2([(labels, [(now - 1000, 1.0), (now, 0.0)]), ([("__name__", "down")], [(now, 2.0)])], extra)
    for _again in range(2):  # the second time by the bytes the first has left in the cache
        answer = send(body, content_type=PROTO_2, **{"X-Prometheus-Remote-Write-Version": "2.0.0"})
        assert (answer.status_code, answer.content, written(answer)) == (204, b"", ["3", "0", "0"])
    block = stored(telemetry_db)
    assert (block.labels, block.v.tolist()) == ([tuple(labels)], [1.0, 0.0])
    told = api_as(viewer_actor, ["read"]).get("/prometheus/api/v1/metadata?metric=down").json()["data"]
    assert told["down"][0]["type"] == "gauge"


def test_both_versions_write_the_same_series(telemetry_db, send):
    now = telemetry_db.clock()
    labels = [("__name__", "up"), ("job", "a")]
    assert send(encode([(labels, [(now - 2000, 1.0)])])).status_code == 204
    assert send(in_2([(labels, [(now - 1000, 2.0)])]), content_type=PROTO_2).status_code == 204
    assert send(in_2([(labels[::-1], [(now, 3.0)])]), content_type=PROTO_2).status_code == 204
    block = stored(telemetry_db)
    assert (len(block), block.v.tolist()) == (1, [1.0, 2.0, 3.0])


def test_a_partial_write_of_2_0_tells_what_was_written(telemetry_db, send):
    now = telemetry_db.clock()
    series = [([("__name__", "up")], [(now, 1.0), (now + 11 * 60_000, 9.0)]), ([("job", "x")], [(now, 1.0)])]
    answer = send(in_2(series), content_type=PROTO_2)
    assert (answer.status_code, written(answer)) == (400, ["1", "0", "0"])
    assert "future" in answer.json()["detail"]
    assert "no metric name" in answer.json()["detail"]
    native = in_2([([("__name__", "h")], [])], field(3, number_field(1, 3)))
    answer = send(native, content_type=PROTO_2)
    assert (answer.status_code, written(answer)) == (400, ["0", "0", "0"])
    assert "1 samples: native histograms are not supported (e.g. {__name__='h'})" in answer.json()["detail"]
    assert "send_native_histograms: false" in answer.json()["remedy"]


def test_exemplars_are_left_out_and_the_answer_says_so(telemetry_db, send):
    body = in_2([([("__name__", "up")], [(telemetry_db.clock(), 1.0)])], field(4, field(1, b"")))
    answer = send(body, content_type=PROTO_2)
    assert (answer.status_code, written(answer)) == (204, ["1", "0", "0"])


def test_refusals_of_2_0_count_nothing_as_written(telemetry_db, send):
    telemetry_db.index.max_series = 0
    body = in_2([([("__name__", "up")], [(telemetry_db.clock(), 1.0)])])
    for answer, status in [
        (send(body, content_type=PROTO_2), 400),
        (send(body[:-1], content_type=PROTO_2), 400),
        (send(b"\xff\xff", content_type=PROTO_2, compress=False), 400),
        (send(b"\xff\xff\xff\xff\x0f", content_type=PROTO_2, compress=False), 413),
    ]:
        assert (answer.status_code, written(answer)) == (status, ["0", "0", "0"])
    answer = send(body, content_type="application/x-protobuf;proto=x.Y")
    assert answer.status_code == 415
    assert "io.prometheus.write.v2.Request" in answer.json()["detail"]
    assert written(send(message(telemetry_db), content_type=PROTO)) == [None] * 3  # 1.0 has no such headers


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


def test_names_may_be_any_text(telemetry_db, send, api_as, viewer_actor):
    now = telemetry_db.clock()
    labels = [("__name__", "http.server/duration"), ("k8s.pod", "p-1"), ("größe", 'a"b')]
    assert send(encode([(labels, [(now, 5.0)])])).status_code == 204
    assert telemetry_db.flush() is None
    reader = api_as(viewer_actor, ["read"])
    base = "/prometheus/api/v1/"
    query = '{"http.server/duration", "k8s.pod"="p-1"}'
    found = reader.get(base + "query", query=query).json()["data"]["result"]
    assert [each["metric"] for each in found] == [dict(labels)]
    grouped = reader.get(base + "query", query=f'sum by ("größe") ({query})').json()["data"]["result"]
    assert grouped[0]["metric"] == {"größe": 'a"b'}
    assert reader.get(base + "label/U__k8s_2e_pod/values").json()["data"] == ["p-1"]
    assert reader.get(base + "label/k8s.pod/values").json()["data"] == ["p-1"]
    assert "größe" in reader.get(base + "labels").json()["data"]
    again = reader.get(base + "format_query", query=query).json()["data"]
    assert reader.get(base + "query", query=again).json()["data"]["result"][0]["metric"] == dict(labels)


def test_a_refusal_is_in_one_language(telemetry_db, send):
    with translation.override("zh-hans"):
        answer = send(encode([([("job", "x")], [(telemetry_db.clock(), 1.0)])]), **{"Accept-Language": "zh-hans"})
    assert answer.status_code == 400
    assert answer.content.isascii()
    assert "\\u" not in answer.content.decode()
