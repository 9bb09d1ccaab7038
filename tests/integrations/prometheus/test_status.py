from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tongchou.core.access import system
from tongchou.telemetry.actions import append
from tongchou.telemetry.series import SeriesBlock, labels_of

URL = "/prometheus/api/v1/status/tsdb"
pytestmark = pytest.mark.django_db


def test_it_has_prometheuss_shape_and_counts(telemetry_db, api_as, viewer_actor):
    now = telemetry_db.clock()
    series = [("up", "a"), ("up", "b"), ("down", "a")]
    block = SeriesBlock.build((labels_of({"__name__": name, "job": job}), [now], [1.0]) for name, job in series)
    append(block, actor=system("tests"))
    told = api_as(viewer_actor, ["read"]).get(URL).json()
    assert told["status"] == "success"
    head = told["data"].pop("headStats")
    assert (head["numSeries"], head["numLabelPairs"]) == (3, 4)
    assert head["chunkCount"] == 3
    assert head["minTime"] < now <= head["maxTime"]
    assert told["data"] == {
        "seriesCountByMetricName": [{"name": "up", "value": 2}, {"name": "down", "value": 1}],
        "labelValueCountByLabelName": [{"name": "__name__", "value": 2}, {"name": "job", "value": 2}],
        "memoryInBytesByLabelName": [{"name": "__name__", "value": 8}, {"name": "job", "value": 3}],
        "seriesCountByLabelValuePair": [
            {"name": "__name__=up", "value": 2},
            {"name": "job=a", "value": 2},
            {"name": "__name__=down", "value": 1},
            {"name": "job=b", "value": 1},
        ],
    }
    one = api_as(viewer_actor, ["read"]).get(f"{URL}?limit=1").json()["data"]
    assert [len(one[name]) for name in told["data"]] == [1] * 4


@pytest.mark.parametrize("limit", ["0", "x", "10001", "-1", "²", "9" * 5000])
def test_a_limit_that_is_none_is_refused(telemetry_db, api_as, viewer_actor, limit):
    answer = api_as(viewer_actor, ["read"]).get(f"{URL}?{urlencode({'limit': limit})}")
    assert answer.status_code == 400
    assert answer.json()["errorType"] == "bad_data"


def test_nobody_sees_it(telemetry_db, client):
    assert client.get(URL).status_code == 401
