"""OTLP metrics: decode `ExportMetricsServiceRequest`, protobuf and JSON, into plain values. Exemplars are read past.

Field numbers: request{1 resource_metrics}; ResourceMetrics{1 resource, 2 scope_metrics}; ScopeMetrics{1 scope,
2 metrics}; Scope{1 name, 2 version, 3 attributes}; Metric{1 name, 2 description, 3 unit, 5 gauge, 7 sum, 9 histogram,
10 exponential histogram, 11 summary}, each of these {1 data points, 2 aggregation temporality, 3 is monotonic}.
Points: number {7 attributes, 2 start, 3 time, 4 double, 6 sfixed64, 8 flags}; histogram {9 attributes, 2, 3, 4 count,
5 sum, 6 bucket counts, 7 explicit bounds, 10 flags}; exponential {1 attributes, 2, 3, 4, 5, 6 scale sint32, 7 zero
count, 8 positive, 9 negative {1 offset sint32, 2 counts varint}, 10 flags, 14 zero threshold}; summary {7 attributes,
2, 3, 4 count, 5 sum, 6 {1 quantile, 2 value}, 8 flags}. Counts and times are fixed64. Source: opentelemetry-proto 1.x.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Literal

from tongchou.wire.otlp import Attributes, attributes, double, json_attributes, json_request, spans, wanted, whole
from tongchou.wire.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    MalformedError,
    expect,
    fields,
    packed_varints,
    signed,
    text,
)

Kind = Literal["", "gauge", "sum", "histogram", "exponential", "summary"]
DELTA, CUMULATIVE = 1, 2
NO_RECORDED_VALUE = 1
MAX_BUCKETS = 2000  # of one point; SDKs make at most a few hundred
MAX_PARTS = 200_000  # resources, scopes, metrics and points of one request together

_DOUBLE = struct.Struct("<d")
_KINDS: dict[int, Kind] = {5: "gauge", 7: "sum", 9: "histogram", 10: "exponential", 11: "summary"}
_JSON_KINDS: dict[str, Kind] = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponentialHistogram": "exponential",
    "summary": "summary",
}
_ATTRIBUTES = {"gauge": 7, "sum": 7, "histogram": 9, "exponential": 1, "summary": 7}
_FLAGS = {"gauge": 8, "sum": 8, "histogram": 10, "exponential": 10, "summary": 8}


@dataclass(slots=True)
class Buckets:
    """Counts of neighbouring exponential buckets; the first has the index `offset`."""

    offset: int = 0
    counts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Point:
    """One data point of any kind: what its kind does not have stays empty. `value` and `sum` are None when not sent."""

    attributes: Attributes = field(default_factory=dict)
    start_ns: int = 0
    time_ns: int = 0
    flags: int = 0
    value: float | None = None
    count: int = 0
    sum: float | None = None
    counts: list[int] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)
    scale: int = 0
    zero_count: int = 0
    zero_threshold: float = 0.0
    positive: Buckets = field(default_factory=Buckets)
    negative: Buckets = field(default_factory=Buckets)
    quantiles: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class Metric:
    """A metric as sent; `kind` is "" when it holds no data of a kind known here."""

    name: str = ""
    description: str = ""
    unit: str = ""
    kind: Kind = ""
    temporality: int = 0
    monotonic: bool = False
    points: list[Point] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """The metrics of one scope of one resource."""

    resource: Attributes
    scope: str = ""
    version: str = ""
    scope_attributes: Attributes = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)


# --- protobuf ------------------------------------------------------------------------------------------------------
def _fixed(data: bytes, kind: int, low: int, high: int) -> int:
    expect(kind, FIXED64, "fixed64")
    return int.from_bytes(data[low:high], "little")


def _double(data: bytes, kind: int, low: int) -> float:
    expect(kind, FIXED64, "double")
    value: float = _DOUBLE.unpack_from(data, low)[0]
    return value


def _eights(data: bytes, kind: int, low: int, high: int, form: Literal["Q", "d"]) -> tuple[Any, ...]:
    """The numbers of one occurrence of a repeated 8-byte field: packed, or one alone."""
    if kind != FIXED64:
        expect(kind, BYTES, "packed numbers")
    count, rest = divmod(high - low, 8)
    if rest:
        raise MalformedError(f"packed numbers at byte {low} have {high - low} bytes, which are not eights")
    _bound(count)
    return struct.unpack_from(f"<{count}{form}", data, low)


def _zigzag(value: int) -> int:
    value &= 0xFFFF_FFFF
    return (value >> 1) ^ -(value & 1)


def _bound(count: int) -> None:
    if count > MAX_BUCKETS:
        raise MalformedError(f"a point has more than {MAX_BUCKETS} buckets or quantiles")


def _buckets(data: bytes, start: int, end: int) -> Buckets:
    found = Buckets()
    for number, kind, low, high in fields(data, start, end):
        if number == 1:
            expect(kind, VARINT, "offset", start)
            found.offset = _zigzag(low)
        elif number == 2 and kind == VARINT:
            found.counts.append(low)
        elif number == 2:
            expect(kind, BYTES, "bucket counts", start)
            _bound(high - low if high - low > 10 * MAX_BUCKETS else 0)
            found.counts += packed_varints(data, low, high)
        _bound(len(found.counts))
    return found


def _quantile(data: bytes, start: int, end: int) -> tuple[float, float]:
    pair = [0.0, 0.0]
    for number, kind, low, _high in fields(data, start, end):
        if number in (1, 2):
            pair[number - 1] = _double(data, kind, low)
    return pair[0], pair[1]


def _number_field(point: Point, data: bytes, number: int, kind: int, low: int, high: int) -> None:
    if number == 4:
        point.value = _double(data, kind, low)
    elif number == 6:
        point.value = float(signed(_fixed(data, kind, low, high)))


def _distribution_field(point: Point, data: bytes, number: int, kind: int, low: int, high: int) -> None:
    if number == 4:
        point.count = _fixed(data, kind, low, high)
    elif number == 5:
        point.sum = _double(data, kind, low)


def _histogram_field(point: Point, data: bytes, number: int, kind: int, low: int, high: int) -> None:
    if number == 6:
        point.counts += _eights(data, kind, low, high, "Q")
        _bound(len(point.counts))
    elif number == 7:
        point.bounds += _eights(data, kind, low, high, "d")
        _bound(len(point.bounds))
    else:
        _distribution_field(point, data, number, kind, low, high)


def _exponential_field(point: Point, data: bytes, number: int, kind: int, low: int, high: int) -> None:
    if number == 6:
        expect(kind, VARINT, "scale")
        point.scale = _zigzag(low)
    elif number == 7:
        point.zero_count = _fixed(data, kind, low, high)
    elif number in (8, 9):
        expect(kind, BYTES, "buckets")
        found = _buckets(data, low, high)
        if number == 8:
            point.positive = found
        else:
            point.negative = found
    elif number == 14:
        point.zero_threshold = _double(data, kind, low)
    else:
        _distribution_field(point, data, number, kind, low, high)


def _summary_field(point: Point, data: bytes, number: int, kind: int, low: int, high: int) -> None:
    if number == 6:
        expect(kind, BYTES, "quantile")
        point.quantiles.append(_quantile(data, low, high))
        _bound(len(point.quantiles))
    else:
        _distribution_field(point, data, number, kind, low, high)


_OWN_FIELDS = {
    "gauge": _number_field,
    "sum": _number_field,
    "histogram": _histogram_field,
    "exponential": _exponential_field,
    "summary": _summary_field,
}


def _point(data: bytes, start: int, end: int, of: Kind) -> Point:
    point, places, own = Point(), [], _OWN_FIELDS[of]
    attributes_at, flags_at = _ATTRIBUTES[of], _FLAGS[of]
    for number, kind, low, high in fields(data, start, end):
        if number == attributes_at:
            expect(kind, BYTES, "attribute", start)
            places.append((low, high))
        elif number == 2:
            point.start_ns = _fixed(data, kind, low, high)
        elif number == 3:
            point.time_ns = _fixed(data, kind, low, high)
        elif number == flags_at:
            expect(kind, VARINT, "flags", start)
            point.flags = low
        else:
            own(point, data, number, kind, low, high)
    point.attributes = attributes(data, places)
    return point


def _metric(data: bytes, start: int, end: int) -> Metric:
    metric = Metric()
    for number, kind, low, high in fields(data, start, end):
        if number in (1, 2, 3):
            expect(kind, BYTES, "metric", start)
            told = text(data, low, high, "metric")
            if number == 1:
                metric.name = told
            elif number == 2:
                metric.description = told
            else:
                metric.unit = told
        elif number in _KINDS:
            expect(kind, BYTES, "data", start)
            if metric.kind != _KINDS[number]:  # of several kinds the last counts, as for any oneof
                metric.kind, metric.points = _KINDS[number], []
            _data(metric, data, low, high)
    return metric


def _data(metric: Metric, data: bytes, start: int, end: int) -> None:
    for number, kind, low, high in fields(data, start, end):
        if number == 1:
            expect(kind, BYTES, "data point", start)
            metric.points.append(_point(data, low, high, metric.kind))
            if len(metric.points) > MAX_PARTS:
                raise MalformedError(f"more than {MAX_PARTS} data points")
        elif number in (2, 3):
            expect(kind, VARINT, "data", start)
            if number == 2:
                metric.temporality = low
            else:
                metric.monotonic = bool(low)


class _Parts:
    """Counts what a request holds, for a small one may stand for very many empty parts."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, count: int) -> None:
        """Raises MalformedError when it is too much."""
        self._count += count
        if self._count > MAX_PARTS:
            raise MalformedError(f"more than {MAX_PARTS} resources, scopes, metrics and data points")


def decode(data: bytes) -> list[Group]:
    """The groups of a protobuf request. Raises MalformedError."""
    groups = []
    parts = _Parts()
    for start, end in spans(data, 0, len(data), 1):
        resource: Attributes = {}
        parts.add(1)
        for low, high in spans(data, start, end, 1):
            resource = attributes(data, spans(data, low, high, 1))
        for low, high in spans(data, start, end, 2):
            group = Group(resource)
            for scope_low, scope_high in spans(data, low, high, 1):
                group.scope = _text(data, scope_low, scope_high, 1)
                group.version = _text(data, scope_low, scope_high, 2)
                group.scope_attributes = attributes(data, spans(data, scope_low, scope_high, 3))
            parts.add(1)
            for metric_low, metric_high in spans(data, low, high, 2):
                group.metrics.append(_metric(data, metric_low, metric_high))
                parts.add(1 + len(group.metrics[-1].points))
            groups.append(group)
    return groups


def _text(data: bytes, start: int, end: int, number: int) -> str:
    found = spans(data, start, end, number)
    return text(data, *found[-1], "scope") if found else ""


# --- JSON ----------------------------------------------------------------------------------------------------------
def _numbers(value: object, what: str) -> list[Any]:
    found: list[Any] = wanted(value, list, what)
    _bound(len(found))
    return found


def _json_double(value: object) -> float:
    return 0.0 if value is None else double(value)


def _json_buckets(value: object) -> Buckets:
    held = wanted(value, dict, "buckets")
    counts = [_unsigned(each, "bucketCounts") for each in _numbers(held.get("bucketCounts"), "bucketCounts")]
    return Buckets(_int32(held.get("offset"), "offset"), counts)


def _int32(value: object, what: str) -> int:
    found = whole(value, what)
    if not -(1 << 31) <= found < 1 << 31:
        raise MalformedError(f"{what} is not a 32-bit number")
    return found


def _unsigned(value: object, what: str) -> int:
    found = whole(value, what)
    if not 0 <= found < 1 << 64:
        raise MalformedError(f"{what} is not an unsigned 64-bit number")
    return found


def _json_point(value: object) -> Point:
    held = wanted(value, dict, "data point")
    point = Point(
        attributes=json_attributes(held.get("attributes")),
        start_ns=_unsigned(held.get("startTimeUnixNano"), "startTimeUnixNano"),
        time_ns=_unsigned(held.get("timeUnixNano"), "timeUnixNano"),
        flags=_unsigned(held.get("flags"), "flags"),
        value=None if held.get("asDouble") is None else double(held["asDouble"]),
        count=_unsigned(held.get("count"), "count"),
        sum=None if held.get("sum") is None else double(held["sum"]),
        counts=[_unsigned(each, "bucketCounts") for each in _numbers(held.get("bucketCounts"), "bucketCounts")],
        bounds=[double(each) for each in _numbers(held.get("explicitBounds"), "explicitBounds")],
        scale=_int32(held.get("scale"), "scale"),
        zero_count=_unsigned(held.get("zeroCount"), "zeroCount"),
        zero_threshold=_json_double(held.get("zeroThreshold")),
        positive=_json_buckets(held.get("positive")),
        negative=_json_buckets(held.get("negative")),
    )
    if held.get("asInt") is not None:
        point.value = float(signed(whole(held["asInt"], "asInt") % (1 << 64)))
    for each in _numbers(held.get("quantileValues"), "quantileValues"):
        pair = wanted(each, dict, "quantileValues")
        point.quantiles.append((_json_double(pair.get("quantile")), _json_double(pair.get("value"))))
    return point


def _json_metric(value: object) -> Metric:
    held = wanted(value, dict, "metric")
    metric = Metric(*(wanted(held.get(name), str, name) for name in ("name", "description", "unit")))
    for name, kind in _JSON_KINDS.items():
        if held.get(name) is not None:
            inner = wanted(held[name], dict, name)
            metric.kind = kind
            metric.temporality = whole(inner.get("aggregationTemporality"), "aggregationTemporality")
            metric.monotonic = bool(inner.get("isMonotonic"))
            metric.points = [_json_point(each) for each in wanted(inner.get("dataPoints"), list, "dataPoints")]
    return metric


def decode_json(data: bytes) -> list[Group]:
    """The groups of a JSON request. Raises MalformedError."""
    groups = []
    for each in wanted(json_request(data).get("resourceMetrics"), list, "resourceMetrics"):
        outer = wanted(each, dict, "resourceMetrics")
        resource = json_attributes(wanted(outer.get("resource"), dict, "resource").get("attributes"))
        for inner in wanted(outer.get("scopeMetrics"), list, "scopeMetrics"):
            held = wanted(inner, dict, "scopeMetrics")
            scope = wanted(held.get("scope"), dict, "scope")
            group = Group(
                resource,
                wanted(scope.get("name"), str, "scope name"),
                wanted(scope.get("version"), str, "scope version"),
                json_attributes(scope.get("attributes")),
                [_json_metric(one) for one in wanted(held.get("metrics"), list, "metrics")],
            )
            groups.append(group)
    return groups
