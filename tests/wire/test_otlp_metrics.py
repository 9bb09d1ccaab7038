"""OTLP metrics: an encoder that is not ours in both encodings, bytes by hand out of the proto files, hostile bytes."""

from __future__ import annotations

import json
import math
import random
import struct
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.descriptors import messages
from tongchou.wire import otlp_metrics
from tongchou.wire.otlp_metrics import Buckets, decode, decode_json
from tongchou.wire.protobuf import MalformedError, message, number_field, varint

BASE = "2 start_time_unix_nano fixed64, 3 time_unix_nano fixed64,"
SPEC = {
    "ExportMetricsServiceRequest": "1 resource_metrics *ResourceMetrics",
    "ResourceMetrics": "1 resource Resource, 2 scope_metrics *ScopeMetrics, 3 schema_url string",
    "Resource": "1 attributes *KeyValue",
    "KeyValue": "1 key string, 2 value AnyValue",
    "AnyValue": "1 string_value ?string, 2 bool_value ?bool, 3 int_value ?int64, 4 double_value ?double,"
    "5 array_value ?ArrayValue",
    "ArrayValue": "1 values *AnyValue",
    "ScopeMetrics": "1 scope Scope, 2 metrics *Metric, 3 schema_url string",
    "Scope": "1 name string, 2 version string, 3 attributes *KeyValue",
    "Metric": "1 name string, 2 description string, 3 unit string, 5 gauge ?Gauge, 7 sum ?Sum, 9 histogram ?Histogram,"
    "10 exponential_histogram ?ExponentialHistogram, 11 summary ?Summary, 12 metadata *KeyValue",
    "Gauge": "1 data_points *NumberDataPoint",
    "Sum": "1 data_points *NumberDataPoint, 2 aggregation_temporality int32, 3 is_monotonic bool",
    "Histogram": "1 data_points *HistogramDataPoint, 2 aggregation_temporality int32",
    "ExponentialHistogram": "1 data_points *ExponentialPoint, 2 aggregation_temporality int32",
    "Summary": "1 data_points *SummaryDataPoint",
    "NumberDataPoint": f"{BASE} 7 attributes *KeyValue, 4 as_double ?double, 6 as_int ?sfixed64, 5 exemplars *Exemplar,"
    "8 flags uint32",
    "HistogramDataPoint": f"{BASE} 9 attributes *KeyValue, 4 count fixed64, 5 sum ?double, 6 bucket_counts *fixed64,"
    "7 explicit_bounds *double, 8 exemplars *Exemplar, 10 flags uint32, 11 min double, 12 max double",
    "ExponentialPoint": f"{BASE} 1 attributes *KeyValue, 4 count fixed64, 5 sum ?double, 6 scale sint32,"
    "7 zero_count fixed64, 8 positive Buckets, 9 negative Buckets, 10 flags uint32, 11 exemplars *Exemplar,"
    "14 zero_threshold double",
    "Buckets": "1 offset sint32, 2 bucket_counts *uint64",
    "SummaryDataPoint": f"{BASE} 7 attributes *KeyValue, 4 count fixed64, 5 sum ?double,"
    "6 quantile_values *Quantile, 8 flags uint32",
    "Quantile": "1 quantile double, 2 value double",
    "Exemplar": "3 as_double double, 4 span_id bytes",
}

texts = st.text(max_size=5)
u64 = st.integers(0, 2**64 - 1)
doubles = st.floats(allow_nan=True)
values = st.one_of(
    texts.map(lambda v: {"string_value": v}),
    st.booleans().map(lambda v: {"bool_value": v}),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: {"int_value": v}),
    st.floats(allow_nan=False).map(lambda v: {"double_value": v}),
    st.lists(texts.map(lambda v: {"string_value": v}), max_size=2).map(lambda v: {"array_value": {"values": v}}),
)
attributes = st.dictionaries(texts, values, max_size=3).map(
    lambda held: [{"key": key, "value": value} for key, value in held.items()]
)
base = {
    "attributes": attributes,
    "start_time_unix_nano": u64,
    "time_unix_nano": u64,
    "flags": st.integers(0, 2**32 - 1),
}
distribution = base | {"count": u64}


def points(required, **optional):
    held = st.fixed_dictionaries(required, optional=optional)
    return st.lists(held, max_size=3)


number_points = points(base, as_double=doubles) | points(base, as_int=st.integers(-(2**63), 2**63 - 1))
exemplars = st.just([{"as_double": 1.0, "span_id": b"12345678"}])
histogram_points = points(
    distribution,
    sum=doubles,
    bucket_counts=st.lists(u64, max_size=4),
    explicit_bounds=st.lists(doubles, max_size=4),
    exemplars=exemplars,
    min=doubles,
)
buckets = st.fixed_dictionaries(
    {"offset": st.integers(-(2**31), 2**31 - 1), "bucket_counts": st.lists(u64, max_size=4)}
)
exponential_points = points(
    distribution | {"scale": st.integers(-(2**31), 2**31 - 1), "zero_count": u64},
    sum=doubles,
    positive=buckets,
    negative=buckets,
    zero_threshold=doubles,
)
quantiles = st.lists(st.fixed_dictionaries({"quantile": doubles, "value": doubles}), max_size=3)
summary_points = points(distribution, sum=doubles, quantile_values=quantiles)
temporality = st.integers(0, 2)


def data(name, of, **more):
    return st.fixed_dictionaries({"data_points": of, **more}).map(lambda held: {name: held})


kinds = st.one_of(
    data("gauge", number_points),
    data("sum", number_points, aggregation_temporality=temporality, is_monotonic=st.booleans()),
    data("histogram", histogram_points, aggregation_temporality=temporality),
    data("exponential_histogram", exponential_points, aggregation_temporality=temporality),
    data("summary", summary_points),
    st.just({}),
)
metrics = st.tuples(st.fixed_dictionaries({"name": texts, "description": texts, "unit": texts}), kinds).map(
    lambda parts: parts[0] | parts[1]
)
requests = st.lists(
    st.fixed_dictionaries(
        {
            "resource": st.fixed_dictionaries({"attributes": attributes}),
            "scope_metrics": st.lists(
                st.fixed_dictionaries(
                    {
                        "scope": st.fixed_dictionaries({"name": texts, "version": texts, "attributes": attributes}),
                        "metrics": st.lists(metrics, max_size=3),
                    }
                ),
                max_size=2,
            ),
        }
    ),
    max_size=2,
).map(lambda found: {"resource_metrics": found})


def flat(groups):
    """What was decoded as text that tells NaN, infinity and every bit of a float."""
    return json.dumps([asdict(each) for each in groups], sort_keys=True, default=str)


@settings(deadline=None)  # the first call builds the other encoder's messages
@given(requests)
def test_both_encodings_of_another_encoder_mean_the_same(sent):
    kind = messages("otlp", SPEC)["ExportMetricsServiceRequest"]
    from google.protobuf import json_format

    request = kind(**sent)
    groups = decode(request.SerializeToString())
    told = json_format.MessageToJson(request).encode()
    assert flat(groups) == flat(decode_json(told))
    inner = [(each["resource"], scope) for each in sent["resource_metrics"] for scope in each["scope_metrics"]]
    assert [(each.scope, each.version) for each in groups] == [
        (scope["scope"]["name"], scope["scope"]["version"]) for _resource, scope in inner
    ]
    for group, (resource, scope) in zip(groups, inner, strict=True):
        assert group.resource == {each["key"]: plain(each["value"]) for each in resource["attributes"]}
        for metric, told in zip(group.metrics, scope["metrics"], strict=True):
            compare(metric, told)


def plain(value):
    (held,) = value.values()
    return [plain(each) for each in held["values"]] if isinstance(held, dict) else held


def same(found, sent):
    return found == sent or (math.isnan(found) and math.isnan(sent))


def compare(metric, told):
    assert (metric.name, metric.description, metric.unit) == (told["name"], told["description"], told["unit"])
    name = next((each for each in told if isinstance(told[each], dict)), "")
    assert metric.kind == name.removesuffix("_histogram")
    if not name:
        return
    held = told[name]
    assert metric.temporality == held.get("aggregation_temporality", 0)
    assert metric.monotonic == held.get("is_monotonic", False)
    for point, sent in zip(metric.points, held["data_points"], strict=True):
        assert point.attributes == {each["key"]: plain(each["value"]) for each in sent["attributes"]}
        assert (point.time_ns, point.start_ns) == (sent["time_unix_nano"], sent["start_time_unix_nano"])
        assert (point.flags, point.count) == (sent["flags"], sent.get("count", 0))
        value = sent.get("as_double", sent.get("as_int"))
        assert (point.value is None) == (value is None)
        assert value is None or same(point.value, float(value))
        assert (point.sum is None) == ("sum" not in sent)
        assert point.sum is None or same(point.sum, sent["sum"])
        assert point.counts == sent.get("bucket_counts", [])
        assert all(map(same, point.bounds, sent.get("explicit_bounds", [])))
        assert (point.scale, point.zero_count) == (sent.get("scale", 0), sent.get("zero_count", 0))
        for found, side in ((point.positive, "positive"), (point.negative, "negative")):
            expected = sent.get(side, {"offset": 0, "bucket_counts": []})
            assert found == Buckets(expected["offset"], expected["bucket_counts"])
        assert len(point.quantiles) == len(sent.get("quantile_values", []))


# resource k = 5, scope a 1, metric x in s: a cumulative monotonic sum of one point, -2 at 7 ns, no value recorded
GOLDEN = bytes.fromhex(
    "0a39"
    "0a09" "0a07" "0a016b" "1202" "1805"
    "122c"
    "0a06" "0a0161" "120131"
    "1222" "0a0178" "1a0173" "3a1a"
    "0a14" "190700000000000000" "31feffffffffffffff" "4001"
    "1002" "1801"
)  # fmt: skip


def test_bytes_of_the_proto_files():
    (group,) = decode(GOLDEN)
    assert (group.resource, group.scope, group.version) == ({"k": 5}, "a", "1")
    (found,) = group.metrics
    assert (found.name, found.unit, found.kind, found.temporality, found.monotonic) == ("x", "s", "sum", 2, True)
    assert [(each.time_ns, each.value, each.flags) for each in found.points] == [(7, -2.0, 1)]


def test_numbers_may_be_unpacked():
    counts = b"".join(b"\x31" + struct.pack("<Q", each) for each in (1, 2))
    bounds = b"\x39" + struct.pack("<d", 0.5)
    buckets = message(8, number_field(1, 3) + number_field(2, 300) + message(2, varint(0) + varint(400)))
    body = message(1, message(2, message(2, message(9, message(1, counts + bounds)))))
    body += message(1, message(2, message(2, message(10, message(1, buckets + number_field(6, 1))))))
    first, second = (each.metrics[0].points[0] for each in decode(body))
    assert (first.counts, first.bounds) == ([1, 2], [0.5])
    assert (second.positive, second.scale) == (Buckets(-2, [300, 0, 400]), -1)


def test_json_as_sdks_write_it():
    point = {"timeUnixNano": "1790000000000000000", "asInt": "42", "attributes": None, "flags": 1}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "x", "gauge": {"dataPoints": [point]}}]}]}]}
    (group,) = decode_json(json.dumps(body).encode())
    assert group.metrics[0].points[0].value == 42.0
    assert group.metrics[0].points[0].time_ns == 1_790_000_000_000_000_000


@pytest.mark.parametrize(
    "point",
    [
        {"timeUnixNano": "-1"},
        {"timeUnixNano": "x"},
        {"asDouble": "x"},
        {"asDouble": []},
        {"asInt": 1e400},
        {"count": 2**64},
        {"bucketCounts": [-1]},
        {"bucketCounts": {}},
        {"explicitBounds": ["x"]},
        {"positive": []},
        {"positive": {"offset": 10**400}},
        {"scale": 2**31},
        {"attributes": [{"key": 5}]},
        {"quantileValues": [1]},
        {"bucketCounts": [0] * (otlp_metrics.MAX_BUCKETS + 1)},
    ],
)
def test_json_that_is_wrong_is_refused(point):
    metric = {"name": "x", "histogram": {"dataPoints": [point]}}
    with pytest.raises(MalformedError):
        decode_json(json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode())


def test_a_request_cannot_grow_without_bound(monkeypatch):
    monkeypatch.setattr(otlp_metrics, "MAX_PARTS", 5)
    for body in (
        message(1, b"") * 6,
        message(1, message(2, b"") * 6),
        message(1, message(2, message(2, b"") * 6)),
        message(1, message(2, message(2, message(5, message(1, b"") * 6)))),
    ):
        with pytest.raises(MalformedError, match="more than"):
            decode(body)
    decode(message(1, message(2, message(2, message(5, message(1, b"") * 2)))))
    for kind, counts in (
        (9, message(6, bytes(8 * 2001))),
        (9, message(7, bytes(8 * 1001)) * 2),
        (10, message(8, message(2, b"\x01" * 2001))),
        (10, message(8, b"\x10\x01" * 2001)),
        (11, message(6, b"") * 2001),
    ):
        with pytest.raises(MalformedError, match="buckets"):
            decode(message(1, message(2, message(2, message(kind, message(1, counts))))))


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body):
    for read in (decode, decode_json):
        try:
            read(body)
        except MalformedError:
            pass


def test_a_broken_request_is_decoded_or_refused():
    number = b"\x19" + bytes(8) + b"\x31" + bytes(8) + message(7, message(1, b"k") + message(2, b"\x18\x05"))
    whole = message(
        1,
        message(1, message(1, message(1, b"k") + message(2, message(1, b"v"))))
        + message(
            2,
            message(1, message(1, b"a"))
            + message(2, message(1, b"x") + message(7, message(1, number) + b"\x10\x02"))
            + message(2, message(1, b"h") + message(9, message(1, message(6, bytes(16)) + message(7, bytes(8)))))
            + message(2, message(1, b"e") + message(10, message(1, message(8, b"\x08\x03" + message(2, b"\x01\x02")))))
            + message(2, message(1, b"s") + message(11, message(1, message(6, b"\x09" + bytes(8))))),
        ),
    )
    assert [each.kind for each in decode(whole)[0].metrics] == ["sum", "histogram", "exponential", "summary"]
    rng = random.Random(4)
    for _try in range(5000):
        broken = bytearray(whole)
        for _flip in range(rng.randrange(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        if rng.random() < 0.3:
            del broken[rng.randrange(len(broken)) :]
        try:
            decode(bytes(broken))
        except MalformedError:
            pass
