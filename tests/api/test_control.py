"""Changes through the API: everything a page can do, and refusals that name all that is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.changes.test_control import GOOD
from tests.conftest import make_user
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.inventory import actions as inventory

pytestmark = pytest.mark.django_db
TESTS = system("tests")


def test_a_change_by_machine(api_as: Any) -> None:
    host = inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    now = timezone.now()
    body = {
        "title": "New kernel",
        "resources": [str(host.pk)],
        "starts_at": (now - timedelta(minutes=1)).isoformat(),
        "ends_at": (now + timedelta(hours=1)).isoformat(),
        "tasks": [{"title": "reboot"}],
    }
    client = api_as(make_user("ops", Role.OPERATOR))
    made = client.post("/api/v1/changes", body)
    assert made.status_code == 201, made.content
    assert (made.json()["name"], made.json()["state"]) == ("CHG-1", "new")
    refused = client.post("/api/v1/changes/1/ask", {})
    assert refused.status_code == 409
    assert {"backout", "verification"} <= set(refused.json()["missing"])
    body |= {"backout": "boot the old one", "verification": "uname -r", "answers": GOOD}
    assert client.put("/api/v1/changes/1", body).json()["missing"] == []
    asked = client.post("/api/v1/changes/1/ask", {}).json()
    assert asked["state"] == "authorize"
    assert asked["content_hash"] == asked["asked_hash"]
    assert sum(each["points"] for each in asked["risk_reasons"]) < 6
    early = client.post("/api/v1/changes/1/begin", {})
    assert (early.status_code, early.json()["code"]) == (409, "change.not_now")
    assert client.post("/api/v1/changes/1/cancel", {"reason": "not wanted"}).json()["state"] == "cancelled"
    assert client.get("/api/v1/changes?state=cancelled").json()["count"] == 1
    assert client.get(f"/api/v1/changes?resource={host.pk}&kind=normal").json()["count"] == 1
    assert client.get("/api/v1/changes?state=new").json()["count"] == 0
    assert len(client.get("/api/v1/change-questions").json()) == len(GOOD)


def test_what_is_wrong_is_named(api_as: Any) -> None:
    client = api_as(make_user("ops", Role.OPERATOR))
    for more, field in (
        ({"title": " "}, "title"),
        ({"kind": "odd"}, "kind"),
        ({"answers": {"tested": "perhaps"}}, "answers.tested"),
        ({"kind": "standard", "template": "gone"}, "template"),
        ({"tasks": [{"title": "x", "procedure": "gone"}]}, "tasks[0].procedure"),
        ({"team": "gone"}, "team"),
        ({"starts_at": "2026-03-02T12:00:00Z", "ends_at": "2026-03-02T11:00:00Z"}, "ends_at"),
        ({"starts_at": "2026-03-02T12:00:00Z"}, "ends_at"),
        ({"because": "odd"}, "because"),
    ):
        answer = client.post("/api/v1/changes", {"title": "x", **more})
        assert answer.status_code in (404, 422), (more, answer.content)
        assert answer.json()["field"] == field
    assert api_as(make_user("reads", Role.VIEWER)).post("/api/v1/changes", {"title": "x"}).status_code == 403
    assert client.get("/api/v1/changes/99").status_code == 404


def test_the_catalogue_by_machine(api_as: Any) -> None:
    client = api_as(make_user("ops", Role.OPERATOR))
    body = {"title": "Reboot", "kinds": ["host"], "tasks": [{"title": "reboot"}], "backout": "none is needed"}
    made = client.put("/api/v1/change-templates/reboot", body)
    assert (made.status_code, made.json()["agreed"]) == (200, False)
    assert client.post("/api/v1/change-templates/reboot/ask", {}).json()["approval"]
    assert [each["name"] for each in client.get("/api/v1/change-templates").json()] == ["reboot"]
    assert client.post("/api/v1/change-templates/reboot/retire", {}).json()["retired_at"]
    assert client.get("/api/v1/change-templates").json() == []
    assert len(client.get("/api/v1/change-templates?retired=true").json()) == 1


def test_a_pipeline_asks_the_gate(api_as: Any) -> None:
    inventory.create_resource(actor=TESTS, kind="service", name="orders")
    admin, ops = api_as(make_user("boss", Role.ADMIN)), api_as(make_user("ops", Role.OPERATOR))
    assert ops.get("/api/v1/gate", service="orders").json()["allowed"] is True
    rule = {"needs_change": True, "environment": "production"}
    assert admin.put("/api/v1/gate/rules/prod", rule).status_code == 200
    assert ops.put("/api/v1/gate/rules/prod", rule).status_code == 403
    answer = ops.get("/api/v1/gate", service="orders", environment="production", version="1.4").json()
    assert (answer["allowed"], answer["rule"]) == (False, "prod")
    assert [each["code"] for each in answer["reasons"]] == ["no_change"]
    assert all(each["text"] and each["remedy"] for each in answer["reasons"])
    body = {"service": "orders", "reason": "it burns", "minutes": 5}
    assert ops.post("/api/v1/gate/break-glass", body).status_code == 201
    assert ops.get("/api/v1/gate", service="orders", environment="production").json()["overridden"] is True
    told = ops.get("/api/v1/gate/answers").json()
    assert (told["asked"], told["refused"], told["overridden"]) == (3, 1, 1)
    assert [each["name"] for each in ops.get("/api/v1/gate/rules").json()] == ["prod"]
    assert ops.get("/api/v1/gate").status_code == 422
    assert admin.delete("/api/v1/gate/rules/prod").status_code == 204
