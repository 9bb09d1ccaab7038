from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import pytest

from tongchou.core.access import system
from tongchou.core.meters import families
from tongchou.core.settings_store import put
from tongchou.integrations.otlp import deltas, metrics
from tongchou.telemetry import reads, target_snapshot
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher, is_stale
from tongchou.wire.otlp_metrics import decode
from tongchou.wire.protobuf import message, number_field

URL = "/otlp/v1/metrics"
PROTO, JSON = "application/x-protobuf", "application/json"
RESOURCE = {"service.namespace": "shop", "service.name": "orders", "service.instance.id": "o-1", "host.arch": "arm64"}
SAME = {"job": "shop/orders", "instance": "o-1"}
SAME_SDK = {"job": "shop/orders", "instance": "orders-1"}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_totals(monkeypatch):
    monkeypatch.setattr(metrics, "totals", deltas.Totals(reads.newest))


def attributes(**held):
    return [{"key": key, "value": {"stringValue": value}} for key, value in held.items()]


def request(*sent, resource=None):
    held = RESOURCE if resource is None else resource
    scope = {"scope": {"name": "lib", "version": "2"}, "metrics": sent}
    return json.dumps({"resourceMetrics": [{"resource": {"attributes": attributes(**held)}, "scopeMetrics": [scope]}]})


def at(telemetry, back_seconds=0):
    return str((telemetry.clock() - 1000 * back_seconds) * 1_000_000)


def point(telemetry, back_seconds=0, attrs=None, **held):
    return {"timeUnixNano": at(telemetry, back_seconds), "attributes": attributes(**(attrs or {})), **held}


def stored(telemetry, name, **labels):
    """Values by the labels that are not those of the resource."""
    now = telemetry.clock()
    matchers = [Matcher("__name__", "=", name), *(Matcher(key, "=", value) for key, value in labels.items())]
    block = telemetry.select(matchers, now - 3_600_000, now + 3_600_000, limits=Limits())
    found = {}
    for index, series in enumerate(block.labels):
        rest = tuple(pair for pair in series if pair[0] not in ("__name__", "job", "instance"))
        found[rest[0][1] if len(rest) == 1 else rest] = block.samples(index)[1].tolist()
    return found


def partial(answer):
    assert answer.status_code == 200, answer.content
    held = answer.json().get("partialSuccess", {})
    return int(held.get("rejectedDataPoints", 0)), held.get("errorMessage", "")


def test_every_kind_becomes_series_of_prometheus(telemetry_db, sender):
    def made(**held):
        return [point(telemetry_db, **held)]

    body = request(
        {"name": "queue.length", "gauge": {"dataPoints": made(asInt="7", attrs={"queue.name": "mail"})}},
        {
            "name": "http.requests",
            "description": "Served.",
            "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": made(asInt="9")},
        },
        {"name": "open", "sum": {"aggregationTemporality": 2, "dataPoints": made(asDouble=-2.5)}},
        {
            "name": "http.server.request.duration",
            "unit": "s",
            "histogram": {
                "aggregationTemporality": 2,
                "dataPoints": made(count="6", sum=4.5, bucketCounts=["1", "2", "3"], explicitBounds=[0.005, 10]),
            },
        },
        {
            "name": "rpc",
            "summary": {
                "dataPoints": made(
                    count="3", sum=1.5, quantileValues=[{"quantile": 0.99, "value": 0.7}, {"value": 0.1}]
                )
            },
        },
    )
    assert partial(sender(URL, body, JSON)) == (0, "")
    assert stored(telemetry_db, "queue_length", **SAME) == {"mail": [7.0]}
    assert stored(telemetry_db, "http_requests_total", **SAME) == {(): [9.0]}
    assert stored(telemetry_db, "open", **SAME) == {(): [-2.5]}
    buckets = {"0.005": [1.0], "10": [3.0], "+Inf": [6.0]}
    assert stored(telemetry_db, "http_server_request_duration_seconds_bucket", **SAME) == buckets
    assert stored(telemetry_db, "http_server_request_duration_seconds_count", **SAME) == {(): [6.0]}
    assert stored(telemetry_db, "http_server_request_duration_seconds_sum", **SAME) == {(): [4.5]}
    assert stored(telemetry_db, "rpc", **SAME) == {"0.99": [0.7], "0": [0.1]}
    assert stored(telemetry_db, "rpc_count", **SAME) == {(): [3.0]}
    assert stored(telemetry_db, "target_info", **SAME, host_arch="arm64") == {"arm64": [1.0]}
    told = target_snapshot.metadata()
    assert (told["http_requests_total"].type, told["http_requests_total"].help) == ("counter", "Served.")
    assert told["open"].type == "gauge"
    assert told["http_server_request_duration_seconds"].unit == "seconds"


def test_protobuf_with_gzip_and_its_own_answer(telemetry_db, sender):
    ns = telemetry_db.clock() * 1_000_000
    number = b"\x19" + struct.pack("<Q", ns) + b"\x21" + struct.pack("<d", 1.5)
    metric = message(1, b"load") + message(5, message(1, number) + message(1, number_field(8, 0)))
    body = gzip.compress(message(1, message(2, message(2, metric))))
    answer = sender(URL, body, PROTO, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer["Content-Type"]) == (200, PROTO)
    assert answer.content.startswith(b"\x0a")
    assert b"\x08\x01\x12" in answer.content  # one point rejected: it has no value
    assert b"no value" in answer.content
    assert stored(telemetry_db, "load") == {(): [1.5]}
    assert stored(telemetry_db, "target_info") == {}  # nothing tells what the target is


def test_exponential_histograms_are_downgraded_and_it_is_said(telemetry_db, sender):
    def count():
        return next(each for each in families() if each.name == metrics.DOWNGRADED.family().name).samples[0][2]

    before = count()
    held = {"count": "5", "sum": 9, "scale": 1, "zeroCount": "1", "positive": {"offset": 0, "bucketCounts": ["1", "3"]}}
    data = {"aggregationTemporality": 2, "dataPoints": [point(telemetry_db, **held)]}
    rejected, told = partial(sender(URL, request({"name": "size", "exponentialHistogram": data}), JSON))
    assert rejected == 0
    assert "1 exponential histograms were written as classic buckets" in told
    assert stored(telemetry_db, "size_bucket", **SAME) == {
        "0": [1.0],
        "1.4142135623730951": [2.0],
        "2": [5.0],
        "+Inf": [5.0],
    }
    assert count() == before + 1


def test_deltas_add_up_and_go_on_after_a_restart(telemetry_db, sender, monkeypatch):
    def send(back, value, **more):
        points = [point(telemetry_db, back, asInt=str(value))]
        data = {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": points}
        body = request({"name": "jobs", "sum": data})
        return [partial(sender(URL, body, JSON)) for _each in range(more.get("times", 1))]

    assert send(60, 3) == [(0, "")]
    assert send(50, 4, times=3) == [(0, "")] * 3
    assert stored(telemetry_db, "jobs_total") == {(): [3.0, 7.0]}
    monkeypatch.setattr(metrics, "totals", deltas.Totals(reads.newest))
    assert send(40, 5) == [(0, "")]
    rejected, told = send(45, 100)[0]
    assert (rejected, "older than the one before" in told) == (1, True)
    assert stored(telemetry_db, "jobs_total") == {(): [3.0, 7.0, 12.0]}


def test_a_delta_that_was_not_written_is_added_once_when_it_is_sent_again(telemetry_db, sender, monkeypatch):
    points = [point(telemetry_db, 30, asInt="3")]
    body = request(
        {"name": "jobs", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": points}},
        resource={"service.name": "x"},
    )
    with monkeypatch.context() as broken:
        broken.setattr(telemetry_db.ingest, "_stopping", True)
        answer = sender(URL, body, JSON)
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert partial(sender(URL, body, JSON)) == (0, "")
    assert stored(telemetry_db, "jobs_total", job="x") == {(): [3.0]}


def test_deltas_wait_for_each_other_but_not_for_ever(telemetry_db, sender, monkeypatch):
    monkeypatch.setattr(metrics, "LOCK_SECONDS", 0.01)
    points = [point(telemetry_db, asInt="3")]
    body = request({"name": "jobs", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": points}})
    with metrics.totals.lock:
        assert sender(URL, body, JSON).status_code == 503
    assert sender(URL, body, JSON).status_code == 200


def test_where_several_processes_write_deltas_are_refused_and_the_rest_is_taken(telemetry_db, sender, monkeypatch):
    monkeypatch.setattr(type(telemetry_db.engine), "shared", True)
    held = [point(telemetry_db, asInt="3")]
    body = request(
        {"name": "jobs", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": held}},
        {"name": "load", "gauge": {"dataPoints": held}},
    )
    rejected, told = partial(sender(URL, body, JSON))
    assert (rejected, "use cumulative temporality" in told) == (1, True)
    assert (stored(telemetry_db, "jobs_total"), stored(telemetry_db, "load")) == ({}, {(): [3.0]})


def test_what_cannot_be_taken_is_counted_in_points_and_named(telemetry_db, sender):
    good = point(telemetry_db, asInt="1")

    def histogram(**held):
        return {"aggregationTemporality": 2, "dataPoints": [point(telemetry_db, **held)]}

    body = request(
        {"name": "good", "gauge": {"dataPoints": [good]}},
        {"name": "订单", "gauge": {"dataPoints": [good, good]}},
        {"name": "key", "gauge": {"dataPoints": [point(telemetry_db, asInt="1", attrs={"键": "x"})]}},
        {"name": "none", "sum": {"isMonotonic": True, "dataPoints": [good]}},
        {"name": "falls", "sum": {"aggregationTemporality": 1, "dataPoints": [good]}},
        {"name": "h1", "histogram": histogram(count="1", bucketCounts=["1"], explicitBounds=[1])},
        {"name": "h2", "histogram": histogram(count="1", bucketCounts=["1", "0", "0"], explicitBounds=[2, 1])},
        {"name": "e", "exponentialHistogram": histogram(count="1", scale=30)},
        {"name": "old", "histogram": histogram(count="1", timeUnixNano="1000000")},  # two series, one point
        {"name": "empty", "gauge": {"dataPoints": [point(telemetry_db)]}},
    )
    rejected, told = partial(sender(URL, body, JSON))
    assert rejected == 10
    for reason in (
        "2 data points: no metric name is left of its name (e.g. 订单)",
        "no label name is left of the attribute '键' (e.g. key)",
        "no aggregation temporality (e.g. none)",
        "a delta of a sum that may fall",
        "one bucket more than it has bounds (e.g. h1)",
        "do not ascend (e.g. h2)",
        "scale",
        "no value (e.g. empty)",
        "older than the retention",
    ):
        assert reason in told
    assert stored(telemetry_db, "good", **SAME) == {(): [1.0]}


def test_no_recorded_value_ends_the_series(telemetry_db, sender):
    def send(flags, back, **held):
        points = [point(telemetry_db, back, flags=flags, explicitBounds=[1], **held)]
        body = request({"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": points}})
        assert partial(sender(URL, body, JSON)) == (0, "")

    send(0, 10, count="2", sum=3, bucketCounts=["1", "1"])
    send(1, 5)
    now = telemetry_db.clock()
    for name, series in (("h_bucket", 2), ("h_count", 1), ("h_sum", 1)):
        found = telemetry_db.select([Matcher("__name__", "=", name)], now - 60_000, now, limits=Limits())
        assert len(found) == series
        assert is_stale(found.v).tolist() == [False, True] * series


def test_the_scope_is_in_the_labels_when_it_is_asked_for(telemetry_db, sender):
    body = request({"name": "load", "gauge": {"dataPoints": [point(telemetry_db, asInt="1")]}})
    put(actor=system("tests"), key="metrics.otlp_scope_labels", value=True)
    assert partial(sender(URL, body, JSON)) == (0, "")
    assert stored(telemetry_db, "load", **SAME) == {(("otel_scope_name", "lib"), ("otel_scope_version", "2")): [1.0]}


def test_keys_that_become_one_name_keep_both_values_and_the_resource_wins(telemetry_db, sender):
    attrs = {"a.b": "1", "a_b": "2", "job": "mine", "__name__": "x", "bad": "\ud800", "none": ""}
    body = request({"name": "load", "gauge": {"dataPoints": [point(telemetry_db, asInt="1", attrs=attrs)]}})
    assert partial(sender(URL, body, JSON)) == (0, "")
    assert stored(telemetry_db, "load", **SAME) == {(("a_b", "1;2"), ("bad", "?"), ("key__name__", "x")): [1.0]}


def test_what_cannot_be_read_is_refused_in_the_senders_encoding(telemetry_db, sender):
    for body, kind, encoding, status in [
        (b"{", JSON, "", 400),
        (b"\x0a\xff", PROTO, "", 400),
        (b"x", PROTO, "gzip", 400),
        (b"{}", "text/plain", "", 415),
        (b"{}", JSON, "snappy", 415),
    ]:
        answer = sender(URL, body, kind, **{"Content-Encoding": encoding})
        assert (answer.status_code, answer["Content-Type"]) == (status, PROTO if kind == PROTO else JSON)
    assert sender(URL, "{}", JSON).json() == {}


def test_a_reader_may_not_send(telemetry_db, api_as, viewer_actor, client):
    assert api_as(viewer_actor).post(URL, "{}").status_code == 403
    assert client.post(URL, data="{}", content_type=JSON).status_code == 401


RECORDED = Path(__file__).parent / "data"


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_what_a_real_sdk_sends_in_either_temporality_is_the_same_in_the_end(
    telemetry_db, sender, monkeypatch, temporality
):
    """The bodies are recorded (data/README.md), so the clock is that of their making."""
    bodies = [(RECORDED / f"{temporality}_{number}.pb.gz").read_bytes() for number in (1, 2)]
    last = max(
        point.time_ns
        for group in decode(gzip.decompress(bodies[1]))
        for metric in group.metrics
        for point in metric.points
    )
    monkeypatch.setattr(telemetry_db, "clock", lambda: last // 1_000_000 + 1000)
    for body in bodies:
        answer = sender(URL, body, PROTO, **{"Content-Encoding": "gzip"})
        assert answer.status_code == 200
        assert b"1 exponential histograms were written as classic buckets" in answer.content

    def final(name):
        return {key: values[-1] for key, values in stored(telemetry_db, name, **SAME_SDK).items()}

    assert final("http_server_requests_total") == {"GET": 9.0, "POST": 2.0}
    assert final("queue_size") == {(): 3.0}
    duration = "http_server_request_duration_seconds"
    assert final(f"{duration}_bucket") == {"0.1": 2.0, "0.5": 4.0, "1": 5.0, "+Inf": 8.0}
    assert final(f"{duration}_count") == {(): 8.0}
    assert final(f"{duration}_sum")[()] == pytest.approx(11.85)
    assert final("cpu_utilization_ratio") == {"user": 0.25}
    sizes = [100, 200, 400, 1000, 200, 400, 800, 2000]
    found = final("payload_size_bytes_bucket")
    assert len(found) > 8
    assert {edge: sum(size <= float(edge) for size in sizes) for edge in found} == found
    assert final("payload_size_bytes_sum") == {(): 5100.0}
    assert final("target_info") == {"test": 1.0}
