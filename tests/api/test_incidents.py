"""The incidents API: shapes, refusals, roles, languages, bounded queries."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.incidents import scene
from tests.incidents.scene import Shop
from tongchou.core.access import Actor
from tongchou.core.refs import ref
from tongchou.incidents.models import Incident

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def incident(shop: Shop) -> Incident:
    now = timezone.now()
    scene.deployed(shop.orders, now - timedelta(minutes=1), "2", shop.orders_1)
    scene.opened("ErrorRatioHigh", shop.orders_1, shop.orders, at=now - timedelta(seconds=20), instance="orders:1")
    scene.run_jobs()
    return scene.only_incident()


def path(incident: Incident, *rest: str) -> str:
    return "/".join(["/api/v1/incidents", str(incident.pk), *rest])


def test_the_list_filters_by_state_and_severity(api: Any, incident: Incident) -> None:
    (item,) = api.get("/api/v1/incidents").json()["items"]
    assert (item["name"], item["state"], item["severity"]) == ("INC-1", "open", "critical")
    assert (item["group_count"], item["symptom_count"]) == (1, 2)
    for query, count in (
        ({"state": "open"}, 1),
        ({"state": "unresolved"}, 1),
        ({"state": "mitigated,resolved"}, 0),
        ({"severity": "critical"}, 1),
        ({"severity": "info"}, 0),
        ({"limit": "0", "offset": "-3"}, 1),
    ):
        assert api.get("/api/v1/incidents", **query).json()["count"] == count


def test_the_detail_carries_all_that_belongs_to_it(api: Any, incident: Incident, shop: Shop) -> None:
    body = api.get(path(incident)).json()
    assert body["ref"] == ref(incident)
    first = body["suspects"][0]
    assert (first["rank"], first["kind"], first["name"]) == (1, "event", "orders 1 → 2")
    assert {reason["code"] for reason in first["reasons"]} >= {"deployment", "just_before", "version_changed"}
    assert all(reason["text"] for reason in first["reasons"])
    (group,) = body["groups"]
    assert group["alerts"][0]["labels"]["instance"] == "orders:1"
    assert {each["name"]: each["role"] for each in body["affected"]}["storefront"] == "caller"
    assert body["suggested_procedures"] == []
    assert body["timeline"]["items"][-1]["at"] <= body["timeline"]["items"][0]["at"]


def test_the_detail_speaks_the_callers_language(api: Any, incident: Incident) -> None:
    def said(language: str) -> str:
        response = api._client.get(path(incident), headers={"Accept-Language": language})
        return str(response.json()["suspects"][0]["reasons"][0]["text"])

    assert said("en") == "A service was deployed."
    assert said("zh-hans") == "部署了一个服务。"


def test_the_detail_costs_the_same_queries_whatever_its_size(
    api: Any, incident: Incident, shop: Shop, django_assert_max_num_queries: Any
) -> None:
    group = incident.groups.get().group
    for number in range(40):
        scene.alert(group, f"More{number}", shop.orders, at=timezone.now())
        scene.deployed(shop.orders, timezone.now() - timedelta(minutes=number), f"v{number}")
    scene.tell(group, "group_changed")
    scene.run_jobs()
    with django_assert_max_num_queries(16):
        assert len(api.get(path(incident)).json()["groups"][0]["alerts"]) == 41


def test_the_timeline_is_paged(api: Any, incident: Incident) -> None:
    first = api.get(path(incident, "timeline"), limit=1).json()
    second = api.get(path(incident, "timeline"), limit=1, cursor=first["next_cursor"]).json()
    assert first["items"][0]["event_id"] != second["items"][0]["event_id"]
    refused = api.get(path(incident, "timeline"), cursor="nonsense")
    assert (refused.status_code, refused.json()["code"]) == (422, "incident.cursor")


def test_the_life_of_an_incident_over_the_api(api: Any, incident: Incident) -> None:
    assert api.post(path(incident, "acknowledge")).json()["state"] == "acknowledged"
    refused = api.post(path(incident, "acknowledge"))
    assert (refused.status_code, refused.json()["acknowledged_by"]) == (409, "admin")
    assert refused["Content-Type"] == "application/problem+json"
    assert api.post(path(incident, "mitigate"), {"comment": "rolled back"}).json()["state"] == "mitigated"
    assert api.post(path(incident, "resolve")).json()["code"] == "incident.alerts_firing"
    scene.close(incident.groups.get().group)
    scene.run_jobs()
    assert api.post(path(incident, "resolve"), {"comment": "done"}).json()["state"] == "resolved"
    assert api.post(path(incident, "reopen"), {}).json()["state"] == "open"
    note = api.post(path(incident, "notes"), {"text": "hello"})
    assert (note.status_code, note.json()["text"]) == (201, "hello")


BAD_BODIES: list[tuple[str, Any, int]] = [
    ("notes", {}, 422),
    ("notes", {"text": ""}, 422),
    ("notes", {"text": "x" * 9000}, 422),
    ("notes", {"text": 7}, 422),
    ("notes", "{", 400),
    ("notes", b"\xff\xfe", 400),
    ("mitigate", {"comment": ["x"]}, 422),
    ("resolve", {"force": "perhaps"}, 422),
]


def test_bodies_that_do_not_fit_are_refused(api: Any, incident: Incident) -> None:
    for rest, body, status in BAD_BODIES:
        response = api.post(path(incident, rest), body)
        assert (rest, body, response.status_code) == (rest, body, status)
        assert response["Content-Type"] == "application/problem+json"
    assert Incident.objects.get().state == "open"


def test_an_unknown_incident_is_not_found(api: Any) -> None:
    for rest in ((), ("timeline",)):
        response = api.get("/".join(["/api/v1/incidents", str(uuid.uuid4()), *rest]))
        assert (response.status_code, response.json()["code"]) == (404, "incident.unknown")


def test_a_viewer_reads_and_may_not_act_and_nobody_sees_nothing(
    api_as: Any, viewer_actor: Actor, incident: Incident, client: Any
) -> None:
    viewer = api_as(viewer_actor)
    assert viewer.get(path(incident)).status_code == 200
    for rest in ("acknowledge", "mitigate", "resolve", "reopen"):
        assert viewer.post(path(incident, rest)).status_code == 403
    assert viewer.post(path(incident, "notes"), {"text": "x"}).status_code == 403
    assert client.get(path(incident)).status_code == 401


def test_why_suspects_rank_where_they_do(api: Any, incident: Incident) -> None:
    told = api.get(path(incident, "suspects")).json()
    first, second = told["suspects"][:2]
    assert (first["rank"], first["name"]) == (1, "orders 1 → 2")
    assert first["score"] == pytest.approx(sum(reason["weight"] for reason in first["reasons"]), abs=0.06)
    assert first["lead"] == pytest.approx(first["score"] - second["score"], abs=0.06)
    assert second["behind"] == first["lead"]
    assert told["facts"] is True
    assert told["looked"]["changes"] == 1
    assert [each["name"] for each in told["baselines"]["latest_change"]] == ["orders 1 → 2"]
    detail = api.get(path(incident)).json()
    assert detail["baselines"] == told["baselines"]


def test_the_way_of_the_harm_is_named(api: Any, shop: Shop) -> None:
    now = timezone.now()
    scene.opened("TargetDown", shop.primary, shop.database, at=now - timedelta(seconds=30))
    scene.opened("ErrorRatioHigh", shop.storefront, at=now - timedelta(seconds=24))
    scene.run_jobs()
    (first, *_rest) = api.get(path(scene.only_incident(), "suspects")).json()["suspects"]
    assert (first["name"], first["path"]) == (
        "database-primary",
        ["storefront", "orders", "database", "database-primary"],
    )


def test_a_person_takes_command_over_the_api(api: Any, incident: Incident) -> None:
    answer = api.post(path(incident, "command"))
    assert answer.status_code == 200
    assert answer.json()["commander"]
    assert api.post(path(incident, "command")).status_code == 409
