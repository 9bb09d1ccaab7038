from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.loki.logql import parse
from tongchou.telemetry.logs.query import BadQuery
from tongchou.wire.log_stream import Entry, Stream

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines(telemetry_db):
    now = telemetry_db.logs.clock_ns()
    bodies = ["GET /cart 200", "get /health 200", "GET /cart 500 (x)"]
    streams = [
        Stream([("service", name)], [Entry(now - i, body.encode()) for i, body in enumerate(bodies)])
        for name in ("shop", "orders")
    ]
    _rows, done = telemetry_db.logs.take(streams)
    done.result(60)
    return now


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ('{service="shop"}', ["GET /cart 200", "get /health 200", "GET /cart 500 (x)"]),
        ('{service=~"sh.*", service!="orders"} |= "GET"', ["GET /cart 200", "GET /cart 500 (x)"]),
        ('{service="shop"} |= `500 (x)`', ["GET /cart 500 (x)"]),
        ('{service="shop"} |~ "(?i)get" != "/cart"', ["get /health 200"]),
        ('{service="shop"} !~ "2..$" |= ""', ["GET /cart 500 (x)"]),
        ('{service="none"}', []),
    ],
)
def test_lines_by_selector_and_filters(api, lines, query, wanted):
    answer = api.get("/loki/api/v1/query_range", query=query).json()
    assert answer["data"]["resultType"] == "streams"
    assert [value[1] for stream in answer["data"]["result"] for value in stream["values"]] == wanted


def test_limit_direction_and_times(api, lines):
    query = '{service="shop"}'
    answer = api.get("/loki/api/v1/query_range", query=query, limit="1", direction="forward").json()
    assert answer["data"]["result"] == [
        {"stream": {"service": "shop"}, "values": [[str(lines - 2), "GET /cart 500 (x)"]]}
    ]
    answer = api.get("/loki/api/v1/query_range", query=query, start=str(lines), end=str(lines + 1)).json()
    assert [value[0] for value in answer["data"]["result"][0]["values"]] == [str(lines)]
    for bad in ({"limit": "x"}, {"start": "x"}, {"start": "9", "end": "5"}, {"limit": "0"}, {"end": "1" * 400}):
        assert api.get("/loki/api/v1/query_range", query=query, **bad).status_code in (400, 422), bad


def test_labels_values_and_series(api, lines):
    assert api.get("/loki/api/v1/labels").json() == {"status": "success", "data": ["service"]}
    assert api.get("/loki/api/v1/label/service/values").json()["data"] == ["orders", "shop"]
    assert api.get("/loki/api/v1/series", match='{service="shop"}').json()["data"] == [{"service": "shop"}]


@pytest.mark.parametrize(
    "query", ["", "up", "{", '{a="b"', '{a="b"} | json', 'rate({a="b"}[5m])', '{a=~"("}', '{a="b"} |= x', '{a="\\q"}']
)
def test_what_is_not_read_is_refused_with_its_place(api, telemetry_db, query):
    answer = api.get("/loki/api/v1/query_range", query=query)
    assert answer.status_code == 422
    assert answer.json()["position"] >= 0


@given(st.text('{}ab="|~!`\\, (', max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        parse(text)
    except BadQuery:
        pass
