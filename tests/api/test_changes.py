"""The deployments API: lists, senders, roles; a secret goes in and never comes out."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.utils import timezone

from tongchou.changes import actions, deliveries
from tongchou.changes.deployment import read
from tongchou.changes.told import Ignored
from tongchou.core.access import Actor, system
from tongchou.core.models import Event
from tongchou.inventory import actions as inventory

pytestmark = pytest.mark.django_db
TESTS = system("tests")


@pytest.fixture
def deployments() -> None:
    inventory.create_resource(actor=TESTS, kind="service", name="orders")
    now = timezone.now()
    for number, name in enumerate(["orders", "orders", "ghost"]):
        fields = {"service": name, "version": str(number), "delivery_id": f"d{number}"}
        told = read({**fields, "started_at": now.timestamp() - 100 + number}, now=now)
        actions.record_deployment(actor=TESTS, source="ci", report=told)


def test_deployments_are_listed_latest_first_and_filtered(api: Any, deployments: None) -> None:
    body = api.get("/api/v1/deployments").json()
    assert body["count"] == 3
    assert [item["service"] for item in body["items"]] == ["ghost", "orders", "orders"]
    assert [item["service_known"] for item in body["items"]] == [False, True, True]
    assert body["items"][1]["title"] == "orders 0 → 1"
    assert api.get("/api/v1/deployments", service="orders", limit=1).json()["count"] == 2
    assert api.get("/api/v1/deployments", since="2999-01-01T00:00:00Z").json()["count"] == 0
    assert api.get("/api/v1/deployments", since="never").status_code == 422
    one = api.get(f"/api/v1/deployments/{body['items'][0]['id']}").json()
    assert one == body["items"][0]
    assert api.get(f"/api/v1/deployments/{uuid.uuid4()}").json()["code"] == "deployment.unknown"


def test_the_list_costs_the_same_queries_whatever_its_length(
    api: Any, deployments: None, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(7):  # token, roles, last use, count, keys, page
        api.get("/api/v1/deployments")


def test_a_sender_is_made_and_its_secret_never_shown(api: Any) -> None:
    made = api.put("/api/v1/deployment-sources/ci", {"secret": "a long enough secret"})
    assert (made.status_code, made.json()["hook"]) == (200, "/hooks/deployments/ci")
    listed = api.get("/api/v1/deployment-sources")
    assert [item["name"] for item in listed.json()["items"]] == ["ci"]
    assert "a long enough secret" not in made.content.decode() + listed.content.decode()


def test_a_sender_that_does_not_fit_is_refused(api: Any) -> None:
    for name, body in (("ci", {}), ("ci", {"secret": "short"}), ("C", {"secret": "a" * 20}), ("ci", {"secret": 7})):
        assert api.put(f"/api/v1/deployment-sources/{name}", body).status_code == 422


def test_a_sender_has_a_format_and_rules_and_keeps_what_is_left_out(api: Any) -> None:
    first = {"secret": "a long enough secret", "format": "github", "rules": [{"name": "acme/*", "service": "orders"}]}
    assert api.put("/api/v1/deployment-sources/gh", first).status_code == 200
    changed = api.put("/api/v1/deployment-sources/gh", {"enabled": False}).json()
    assert (changed["format"], changed["enabled"], changed["rules"][0]["service"]) == ("github", False, "orders")
    for wrong in ({"format": "svn"}, {"rules": [{"version": "newest"}]}, {"rules": [{"repo": "x"}]}):
        assert api.put("/api/v1/deployment-sources/gh", wrong).status_code == 422


def test_deliveries_are_listed_with_their_verdicts(api: Any) -> None:
    row = actions.put_source(actor=TESTS, name="ci", secret="a long enough secret")
    told = Ignored("no_rule", "push")
    deliveries.note_ignored(actor=TESTS, sender=row, delivery_id="d-1", told=told, event="push")
    page = api.get("/api/v1/deployment-sources/ci/deliveries").json()
    assert page["count"] == 1
    assert (page["items"][0]["verdict"], page["items"][0]["reason"]) == ("ignored", "no_rule")
    assert page["items"][0]["text"] not in ("", "no_rule")
    assert api.get("/api/v1/deployment-sources/none/deliveries").status_code == 404


def test_a_deployment_is_marked_as_unplanned_and_back_again(api: Any, deployments: None, viewer_actor: Any) -> None:
    one = api.get("/api/v1/deployments").json()["items"][0]
    address = f"/api/v1/deployments/{one['id']}/mark"
    marked = api.post(address, {"unplanned": True, "incident": 7}).json()
    assert (marked["unplanned"], marked["incident"]) == (True, 7)
    back = api.post(address, {"unplanned": False}).json()
    assert (back["unplanned"], back["incident"]) == (False, None)
    assert Event.objects.filter(verb="deployment.marked").count() == 2
    assert api.post(address, {"unplanned": True, "incident": 0}).status_code == 422


def test_who_may_do_what(api_as: Any, approver_actor: Actor, viewer_actor: Actor, client: Any) -> None:
    assert api_as(viewer_actor).get("/api/v1/deployments").status_code == 200
    secret = {"secret": "a long enough secret"}
    assert api_as(approver_actor).put("/api/v1/deployment-sources/ci", secret).status_code == 403
    assert client.get("/api/v1/deployments").status_code == 401
