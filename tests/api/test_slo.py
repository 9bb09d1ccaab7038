"""Objectives over the API: put, list, measure, delete; refusals name the field."""

from __future__ import annotations

import pytest

from tongchou.demo.rules import objectives

pytestmark = pytest.mark.django_db

BODY = {
    "title": {"en": "Orders answers", "zh": "订单服务可用"},
    "service": "orders",
    "error_query": 'sum(increase(http_requests_total{code=~"5.."}[$window])) or vector(0)',
    "total_query": "sum(increase(http_requests_total[$window]))",
    "target": 0.999,
    "window": "30d",
}


def test_an_objective_comes_with_its_rules_and_goes_with_them(api):
    made = api.put("/api/v1/slos/orders-answers", BODY)
    assert made.status_code == 200, made.content
    body = made.json()
    assert body["allowed_seconds"] == pytest.approx(2592)
    assert (body["window"], body["budget"], body["rule_file"]) == ("30d", None, "slo-orders-answers")
    assert [each["name"] for each in api.get("/api/v1/slos").json()["items"]] == ["orders-answers"]
    rules = api.get("/api/v1/rules").json()["items"]
    assert [rule["name"] for rule in rules] == ["ErrorBudgetBurn"] * 4 + ["ObjectiveWithoutData"]
    assert api.delete("/api/v1/slos/orders-answers").status_code == 204
    assert api.get("/api/v1/slos/orders-answers").status_code == 404
    assert api.get("/api/v1/rules").json()["count"] == 0


def test_status_without_a_sample_is_no_data(api, telemetry_db):
    api.put("/api/v1/slos/orders-answers", BODY)
    status = api.get("/api/v1/slos/orders-answers/status").json()
    assert status["budget"]["state"] == "no_data"
    assert [each["long_rate"] for each in status["burn"]] == [None] * 4
    assert [each["factor"] for each in status["burn"]] == [14.4, 6, 3, 1]
    down = api.get("/api/v1/slos/orders-answers/burn-down").json()
    assert len(down["times"]) == len(down["left_ratio"]) == 120
    assert set(down["left_ratio"]) == {None}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target": 99.9}, "target"),
        ({"window": "a month"}, "window"),
        ({"window": "5s"}, "window"),
        ({"error_query": "sum(increase(x[5m]))"}, "error_query"),
        ({"total_query": "sum(increase(x[$window])"}, "total_query"),
    ],
)
def test_a_refusal_names_the_field(api, change, field):
    refused = api.put("/api/v1/slos/orders-answers", BODY | change)
    assert refused.status_code == 422
    assert refused.json()["field"] == field
    assert api.get("/api/v1/slos").json()["count"] == 0


def test_the_shop_has_one_objective_for_each_service_that_serves_requests(api):
    wanted = objectives()
    assert {each["service"] for each in wanted.values()} == {
        "load-balancer",
        "storefront",
        "catalogue",
        "orders",
        "payments",
        "cache",
        "database",
    }
    for name, body in wanted.items():
        assert api.put(f"/api/v1/slos/{name}", body).status_code == 200
        assert set(body["title"]) == {"en", "zh"}
    assert api.get("/api/v1/slos").json()["count"] == len(wanted)
