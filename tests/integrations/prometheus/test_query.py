from __future__ import annotations

import math

import pytest
from django.test import Client

from tongchou.core.access import system
from tongchou.telemetry.actions import append
from tongchou.telemetry.series import SeriesBlock, labels_of

BASE = "/prometheus/api/v1/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def now(telemetry_db):
    now = telemetry_db.clock() // 1000 * 1000
    rows = [
        (labels_of({"__name__": "up", "job": "a", "instance": f"{i}"}), [now - 1000, now], [1.0, float(i)])
        for i in range(3)
    ]
    rows.append(
        (labels_of({"__name__": "odd"}), [now - 3000, now - 2000, now - 1000, now], [math.nan, math.inf, 0.1, 1e-9])
    )
    append(SeriesBlock.build(rows), actor=system("tests"))
    return now / 1000


def data(answer):
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["status"] == "success"
    return body["data"]


def test_an_instant_query_gives_a_vector(api, now):
    got = data(api.get(BASE + "query", query='up{instance="2"}', time=now))
    assert got == {
        "resultType": "vector",
        "result": [{"metric": {"__name__": "up", "job": "a", "instance": "2"}, "value": [now, "2"]}],
    }


def test_it_takes_a_form_as_well(api, now):
    got = data(api.post(BASE + "query", f"query=count(up)&time={now}", "application/x-www-form-urlencoded"))
    assert got["result"] == [{"metric": {}, "value": [now, "3"]}]


def test_scalars_strings_and_range_vectors(api, now):
    assert data(api.get(BASE + "query", query="1+0.5", time=now)) == {"resultType": "scalar", "result": [now, "1.5"]}
    assert data(api.get(BASE + "query", query='"x"', time=now)) == {"resultType": "string", "result": [now, "x"]}
    matrix = data(api.get(BASE + "query", query="odd[10s]", time=now))
    assert matrix["resultType"] == "matrix"
    assert [value for _t, value in matrix["result"][0]["values"]] == ["NaN", "+Inf", "0.1", "1e-9"]
    assert [t for t, _value in matrix["result"][0]["values"]] == [now - 3, now - 2, now - 1, now]


@pytest.mark.parametrize(
    "query",
    ["up @ -5", "up @ 1e12", "up @ 1700000000000", "up @ 9.3e15", "up[5m] @ -1e12", "rate(up[292y] @ 1e12 offset -292y)",
     "up offset 292y", "max_over_time(up[5m:1m] @ -9.3e15)", "timestamp(up @ 1e12)", "sum(up @ 9.3e15) by (job)"],
)  # fmt: skip
def test_a_time_far_from_any_sample_finds_nothing(api, now, query):
    assert data(api.get(BASE + "query", query=query, time=now))["result"] == []
    if "up[5m] @" not in query:
        assert data(api.get(BASE + "query_range", query=query, start=now - 60, end=now, step=15))["result"] == []


@pytest.mark.parametrize("query", ["up offset 1e20", "up[1e20]", "up @ 1e300", "up offset -300y"])
def test_a_number_beyond_all_bounds_is_told_in_the_envelope(api, now, query):
    answer = api.get(BASE + "query", query=query)
    assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")
    assert " parse error: " in answer.json()["error"]


def test_nothing_found_is_an_empty_vector(api, now):
    assert data(api.get(BASE + "query", query="nothing", time=now)) == {"resultType": "vector", "result": []}


def test_a_range_query_gives_a_matrix(api, now):
    got = data(api.get(BASE + "query_range", query='up{instance="1"}', start=now - 2, end=now, step="1s"))
    assert got["resultType"] == "matrix"
    assert got["result"][0]["values"] == [[now - 1, "1"], [now, "1"]]


def test_times_may_be_rfc3339_and_steps_durations(api, now):
    got = data(
        api.get(
            BASE + "query_range", query="1", start="2026-01-01T00:00:00Z", end="2026-01-01T01:00:00+00:00", step="30m"
        )
    )
    assert [t for t, _v in got["result"][0]["values"]] == [1767225600, 1767227400, 1767229200]


@pytest.mark.parametrize(
    ("path", "parameters", "status", "kind"),
    [
        ("query", {}, 400, "bad_data"),
        ("query", {"query": "sum("}, 400, "bad_data"),
        ("query", {"query": "up", "time": "yesterday"}, 400, "bad_data"),
        ("query", {"query": "up", "time": "1e400"}, 400, "bad_data"),
        ("query", {"query": "up", "timeout": "x"}, 400, "bad_data"),
        ("query", {"query": 'up{a=~"("}'}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": "2", "end": "1", "step": "1"}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": "1", "end": "2", "step": "-1"}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": "0", "end": "11001", "step": "1"}, 400, "bad_data"),
        ("series", {}, 400, "bad_data"),
        ("series", {"match[]": "rate(up[5m])"}, 400, "bad_data"),
        ("labels", {"limit": "x"}, 400, "bad_data"),
        ("labels", {"limit": "\u00b2"}, 400, "bad_data"),
        ("labels", {"limit": "9" * 5000}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": 0, "end": 1, "step": "9" * 5000 + "s"}, 400, "bad_data"),
    ],
)
def test_bad_requests_are_told_in_the_envelope(api, now, path, parameters, status, kind):
    answer = api.get(BASE + path, **parameters)
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert (body["status"], body["errorType"]) == ("error", kind)
    assert body["error"]


def test_labels_values_and_series(api, now):
    assert data(api.get(BASE + "labels")) == ["__name__", "instance", "job"]
    assert data(api.get(BASE + "labels", **{"match[]": "odd"})) == ["__name__"]
    assert data(api.get(BASE + "label/__name__/values")) == ["odd", "up"]
    assert data(api.get(BASE + "label/instance/values", **{"match[]": 'up{instance!="0"}'})) == ["1", "2"]
    found = data(api.get(BASE + "series", **{"match[]": ["odd", 'up{instance="1"}']}))
    assert found == [{"__name__": "odd"}, {"__name__": "up", "instance": "1", "job": "a"}]
    limited = api.get(BASE + "label/instance/values", limit=1).json()
    assert (limited["data"], len(limited["warnings"])) == (["0"], 1)


def test_without_a_start_all_that_is_kept_is_listed(api, telemetry_db):
    now = telemetry_db.clock() // 1000 * 1000
    times = [now - 40 * 86_400_000, now - 86_400_000, now]
    rows = [(labels_of({"__name__": "aged", "k8s_pod": str(i)}), [time], [1.0]) for i, time in enumerate(times)]
    append(SeriesBlock.build(rows), actor=system("tests"))
    assert [each["k8s_pod"] for each in data(api.get(BASE + "series", **{"match[]": "aged"}))] == ["0", "1", "2"]
    assert data(api.get(BASE + "label/k8s_pod/values", **{"match[]": "aged"})) == ["0", "1", "2"]
    assert data(api.get(BASE + "label/U__k8s__pod/values", **{"match[]": "aged"})) == ["0", "1", "2"]
    assert data(api.get(BASE + "labels", **{"match[]": 'aged{k8s_pod="0"}'})) == ["__name__", "k8s_pod"]
    recent = data(api.get(BASE + "series", **{"match[]": "aged", "start": now / 1000 - 3600}))
    assert "0" not in [each["k8s_pod"] for each in recent]


def test_an_address_that_is_none_is_told_in_the_envelope(api, now):
    answer = api.get(BASE + "status/nothing")
    assert (answer.status_code, answer.json()["errorType"]) == (404, "not_found")
    assert answer.json()["error"] == "no such address: api/v1/status/nothing"


def test_the_other_endpoints_answer(api, now):
    assert data(api.get(BASE + "status/buildinfo"))["version"]
    assert data(api.get(BASE + "targets"))["droppedTargets"] == []
    assert data(api.get(BASE + "metadata")) == {}
    assert data(api.get(BASE + "format_query", query="sum(up)by(job)")) == "sum by (job) (up)"


def test_nobody_reads_without_signing_in(telemetry_db, api_as, operator_actor):
    assert Client().get(BASE + "query", {"query": "1"}).status_code == 401
    ingest_only = api_as(operator_actor, ["ingest"])
    answer = ingest_only.get(BASE + "query", query="1")
    assert (answer.status_code, answer.json()["errorType"]) == (403, "forbidden")


def test_only_get_and_post(api, now):
    assert api.delete(BASE + "query").status_code == 405
