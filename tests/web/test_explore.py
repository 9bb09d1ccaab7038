"""The metrics explorer behind the page: what completion offers from a real store, comparison, marks, the file."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import numpy as np
import pytest

from tongchou.core import ledger
from tongchou.core.access import system
from tongchou.core.models import Event, Role
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.series import labels_of
from tongchou.web.charts import marks_of
from tongchou.web.operate_explore import OFFERED, table
from tongchou.web.telemetry_reads import Columns

SYSTEM = system("tests")


def write(telemetry: Telemetry, labels: dict[str, str], samples: list[tuple[int, float]]) -> None:
    """Put samples (ms, value) of one series into the store."""
    row = telemetry.row(labels_of(labels))
    ts = np.array([at for at, _value in samples], np.int64)
    values = np.array([value for _at, value in samples], np.float64)
    telemetry.submit(np.full(len(ts), row, np.int64), ts, values).result()


@pytest.fixture
def shop(telemetry_db: Telemetry) -> int:
    """Two services' requests an hour ago and now, now (ms) is returned."""
    now = round(time.time()) * 1000
    for service, code, value in (("checkout", "200", 7.0), ("checkout", "500", 1.0), ("search", "200", 9.0)):
        labels = {"__name__": "shop_requests_total", "service": service, "code": code}
        hour = [(now - 3_600_000 - 1000 * back, value / 2) for back in range(600, -1, -5)]
        fresh = [(now - 1000 * back, value) for back in range(600, -1, -5)]
        write(telemetry_db, labels, hour + fresh)
    write(telemetry_db, {"__name__": "shop_up", "service": "=cmd|'/c calc'"}, [(now - 1000, 1.0), (now, -2.5)])
    return now


def offered(browser: Any, marked: str) -> dict[str, Any]:
    text, _bar, rest = marked.partition("|")
    answer = browser(Role.VIEWER).get("/explore/complete", {"text": text + rest, "cursor": str(len(text))})
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def names(body: dict[str, Any]) -> list[str]:
    return [item["text"] for item in body["items"]]


def test_names_of_metrics_and_functions_are_offered_with_what_they_do(browser: Any, shop: int) -> None:
    assert names(offered(browser, "shop|"))[:2] == ["shop_up", "shop_requests_total"]
    rate = next(item for item in offered(browser, "rat|")["items"] if item["text"] == "rate")
    assert (rate["kind"], rate["insert"], rate["back"]) == ("function", "rate()", 1)
    assert "per second" in rate["help"]
    assert len(offered(browser, "|")["items"]) <= OFFERED < offered(browser, "|")["count"]


def test_labels_and_values_are_those_of_the_series_that_are_left(browser: Any, shop: int) -> None:
    assert names(offered(browser, "shop_requests_total{|")) == ["code", "service"]
    assert names(offered(browser, 'shop_requests_total{code="|')) == ["200", "500"]
    assert names(offered(browser, 'shop_requests_total{service="search", code="|')) == ["200"]
    assert names(offered(browser, 'shop_requests_total{code="|", service="search"}')) == ["200"]
    assert names(offered(browser, "sum by (c|) (rate(shop_requests_total[5m]))")) == ["code", "service"]


def test_a_regular_expression_that_is_not_finished_is_no_accident(browser: Any, shop: int) -> None:
    body = offered(browser, 'shop_requests_total{service=~"(", code="|')
    assert body["items"] == []
    assert body["note"]


def test_an_hour_ago_is_drawn_under_the_times_of_now(browser: Any, shop: int) -> None:
    asked = {"query": "sum(shop_requests_total)", "start": str(shop - 300_000), "end": str(shop), "points": "60"}
    client = browser(Role.VIEWER)
    now = client.get("/panels/query", asked).json()
    then = client.get("/panels/query", asked | {"offset": "3600"}).json()
    assert now["times"] == then["times"]
    assert now["series"][0]["values"][10] == 17.0
    assert then["series"][0]["values"][10] == 8.5
    rate = client.get("/panels/query", asked | {"query": "rate(shop_requests_total[1m])"}).json()
    assert rate["unit"] == "per_second"


def test_more_series_than_the_limit_are_counted(browser: Any, shop: int) -> None:
    asked = {"query": "shop_requests_total", "start": str(shop - 60_000), "end": str(shop), "limit": "2"}
    body = browser(Role.VIEWER).get("/panels/query", asked).json()
    assert (len(body["series"]), body["dropped"]) == (2, 1)
    assert {each["labels"]["service"] for each in body["series"]} == {"checkout", "search"}  # the greatest stay


@pytest.mark.parametrize(("query", "column"), [("sum(rate(x[5m])", 3), ("up{", 2), ("sum(rate(up))", 9)])
def test_a_mistake_has_a_place_also_when_the_parser_does_not_tell_it(
    browser: Any, telemetry_db: Telemetry, query: str, column: int
) -> None:
    asked = {"query": query, "start": "0", "end": "60000"}
    body = browser(Role.VIEWER).get("/panels/query", asked, headers={"Accept": "application/json"}).json()
    assert body["position"] == column
    assert body["field"] == "query"


def test_a_histogram_is_answered_as_the_cells_of_a_heatmap(browser: Any, shop: int, telemetry_db: Telemetry) -> None:
    rates = {"0.1": 2.0, "1": 5.0, "+Inf": 6.0}
    for handler in ("a", "b"):
        for le, rate in rates.items():
            labels = {"__name__": "shop_seconds_bucket", "handler": handler, "le": le}
            write(telemetry_db, labels, [(shop - 1000 * back, (600 - back) * rate) for back in range(600, -1, -5)])
    query = "rate(shop_seconds_bucket[1m])"
    asked = {"query": query, "start": str(shop - 300_000), "end": str(shop), "heat": "1", "points": "60", "limit": "1"}
    body = browser(Role.VIEWER).get("/panels/query", asked).json()
    assert (body["series"], body["count"], body["dropped"]) == ([], 6, 0)
    assert (body["unit"], body["heat"]["unit"]) == ("per_second", "seconds")
    assert body["heat"]["bounds"] == [0.1, 1.0, "inf"]
    middle = [round(row[len(body["times"]) // 2], 6) for row in body["heat"]["counts"]]
    assert middle == [4.0, 6.0, 2.0]  # both handlers, the parts of the whole
    bare = browser(Role.VIEWER).get("/panels/query", asked | {"query": "shop_requests_total"}).json()
    assert (bare["count"], bare["heat"]) == (3, {"bounds": [], "counts": [], "unit": ""})


@pytest.mark.parametrize("heat", [{}, {"heat": "1"}])
def test_an_answer_of_rollups_tells_their_width(
    browser: Any, shop: int, telemetry_db: Telemetry, heat: dict[str, str]
) -> None:
    for le, rate in (("1", 2.0), ("+Inf", 3.0)):
        past = [(shop - 60_000 * back, (2880 - back) * 60 * rate) for back in range(2880, 120, -1)]
        write(telemetry_db, {"__name__": "shop_seconds_bucket", "le": le}, past)
    telemetry_db.flush()
    telemetry_db.rollups.lag_seconds = 0.0
    while telemetry_db.rollups.roll_due():
        pass
    asked = {"query": "rate(shop_seconds_bucket[1h])", "start": str(shop - 2 * 86_400_000), "end": str(shop)} | heat
    hours = browser(Role.VIEWER).get("/panels/query", asked | {"points": "49"}).json()
    assert (hours["step"], hours["resolution"]) == (3600.0, "1h")
    fine = browser(Role.VIEWER).get("/panels/query", asked | {"query": "rate(shop_seconds_bucket[7m])"}).json()
    assert fine["resolution"] == ""


def test_the_file_has_a_column_for_each_series_and_no_formula(browser: Any, shop: int) -> None:
    asked = {"query": ["shop_up", "shop_requests_total"], "start": str(shop - 1000), "end": str(shop)}
    answer = browser(Role.VIEWER).get("/explore/csv", asked)
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="metrics-')
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows[0]) == 1 + 4
    assert [row[1] for row in rows[1:]][-1] == "-2.5"  # a number stays a number
    alone = table([Columns([0], [{"labels": {"__name__": "=x"}, "values": [1.0]}], 0, 1.0)])
    assert ',"{""=x""}"' in alone  # quoted as PromQL has it, which is no formula
    assert browser(Role.VIEWER).get("/explore/csv", {"start": "0", "end": "1000"}).status_code == 422


def test_marks_are_what_the_ledger_says_of_changes(browser: Any, db: None) -> None:
    event = ledger.record(
        actor=SYSTEM, verb="deployment.finished", subject="changes.deployment:x", payload={"version": "1.4.2"}
    )
    at = round(event.at.timestamp() * 1000)
    client = browser(Role.VIEWER)
    found = client.get("/panels/marks", {"start": str(at - 5000), "end": str(at + 5000)}).json()["marks"]
    assert [(mark["title"], mark["at"]) for mark in found] == [("1.4.2", at)]
    assert found[0]["text"]
    assert client.get("/panels/marks", {"start": str(at + 1), "end": str(at + 5000)}).json()["marks"] == []
    assert marks_of(Event.objects.none()) == []


def test_the_page_carries_the_names_and_the_ways_to_compare(browser: Any, shop: int) -> None:
    text = browser(Role.VIEWER).get("/explore?query=shop_up").content.decode()
    assert 'data-name="shop_requests_total"' in text
    assert "a week ago" in text
    assert "<script>" not in text
