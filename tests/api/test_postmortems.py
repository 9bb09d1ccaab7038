"""The API of postmortems and improvements: the whole way, what is refused, who sees what, SQL counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Api
from tests.incidents.learning import draft, outage, resolved, shop_outage, written
from tests.incidents.scene import TESTS, Shop, resource, run_jobs
from tests.web.foreign import MARKER, member_of, plant
from tongchou.core import people
from tongchou.core.access import Actor
from tongchou.core.models import Event, Role, User
from tongchou.incidents import improvements_actions
from tongchou.incidents.models import Incident, Postmortem

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
BASE = "/api/v1"
IMPROVEMENT = {
    "title": "Warn before the disk is full",
    "kind": "detect",
    "due_on": "2026-06-01",
    "owner": "operator",
    "check_query": 'node_filesystem_avail_bytes{mountpoint="/"}',
    "check_is": "> 1e9",
    "green_days": 7,
}


@pytest.fixture
def incident(operator_actor: Actor) -> Incident:
    """A resolved critical incident."""
    _shop, found = shop_outage(timezone.now() - timedelta(minutes=15))
    return resolved(operator_actor, found)


@pytest.fixture
def operator(api_as: Any, operator_actor: Actor) -> Api:
    """The operator's client."""
    found = api_as(operator_actor)
    assert isinstance(found, Api)
    return found


def begun(operator: Api, incident: Incident) -> dict[str, Any]:
    response = operator.post(f"{BASE}/incidents/{incident.pk}/postmortem")
    assert response.status_code == 201
    told: dict[str, Any] = response.json()
    return told


def test_from_missing_to_published(operator: Api, approver_actor: Actor, api_as: Any, incident: Incident) -> None:
    [missing] = operator.get(f"{BASE}/postmortems/missing").json()["items"]
    assert (missing["incident"], missing["postmortem_id"], missing["overdue"]) == (incident.name, None, False)
    row = begun(operator, incident)
    assert row["needs_second_person"]
    path = f"{BASE}/postmortems/{row['id']}"
    event = row["facts"]["timeline"][0]["id"]
    body = {"version": row["version"], "summary": "disks", "marks": {str(event): {"note": "seen on the phone"}}}
    edited = operator.patch(path, body).json()
    assert (edited["summary"], edited["version"]) == ("disks", 2)
    stale = operator.patch(path, {"version": 1, "lessons": "mine"})
    assert stale.status_code == 409
    problem = stale.json()
    assert (problem["code"], problem["version"], problem["current"]["summary"]) == ("postmortem.version", 2, "disks")
    cause = operator.post(f"{path}/causes", {"kind": "latent", "description": "nobody looked at the disk"})
    assert cause.status_code == 201
    changed = {"kind": "detection", "description": "no alert", "evidence_kind": "logs", "evidence": "full"}
    assert operator.put(f"{BASE}/postmortem-causes/{cause.json()['id']}", changed).json()["kind"] == "detection"
    assert operator.post(f"{path}/submit").json()["state"] == "review"
    own = operator.post(f"{path}/publish")
    assert (own.status_code, own.json()["code"]) == (403, "postmortem.own_review")
    published = api_as(approver_actor).post(f"{path}/publish").json()
    assert (published["state"], published["edition"]) == ("published", 1)
    [edition] = operator.get(f"{path}/editions").json()
    assert edition["content_hash"] == published["content_hash"]
    assert operator.get(f"{BASE}/postmortems/missing").json()["count"] == 0
    assert operator.get(f"{BASE}/postmortems?state=published").json()["count"] == 1
    for language, word in (("en", "Contributing causes"), ("zh", "促成原因")):
        text = operator.get(f"{path}.md", lang=language)
        assert text.headers["Content-Type"] == "text/markdown; charset=utf-8"
        assert f"## {word}" in text.content.decode()
        assert "seen on the phone" in text.content.decode()


def test_an_improvement_is_not_closed_before_its_days_are_over(
    operator: Api, incident: Incident, telemetry_db: object
) -> None:
    row = begun(operator, incident)
    wrong = operator.post(f"{BASE}/postmortems/{row['id']}/improvements", IMPROVEMENT | {"check_is": "fine"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "check_is")
    wrong = operator.post(f"{BASE}/postmortems/{row['id']}/improvements", IMPROVEMENT | {"owner": "nobody"})
    assert (wrong.status_code, wrong.json()["field"], wrong.json()["value"]) == (422, "owner", "nobody")
    made = operator.post(f"{BASE}/postmortems/{row['id']}/improvements", IMPROVEMENT)
    assert made.status_code == 201
    path = f"{BASE}/improvements/{made.json()['id']}"
    early = operator.post(f"{path}/close")
    assert (early.status_code, early.json()["code"]) == (409, "improvement.state")
    assert operator.post(f"{path}/begin").json()["state"] == "in_progress"
    assert operator.post(f"{path}/prove").json()["days_left"] == 7
    refused = operator.post(f"{path}/close")
    assert (refused.status_code, refused.json()["code"]) == (409, "improvement.unproven")
    assert (refused.json()["days_left"], refused.json()["days_needed"]) == (7, 7)
    page = operator.get(f"{BASE}/improvements?queue=proving&owner=me&sort=-left").json()
    assert [each["name"] for each in page["items"]] == ["IMP-1"]
    assert page["queues"]["open"] == 1
    version = operator.get(path).json()["version"]
    put = operator.put(path, IMPROVEMENT | {"version": version, "due_on": "2026-07-01"})
    assert put.json()["due_on"] == "2026-07-01"
    assert operator.put(path, IMPROVEMENT | {"version": version}).json()["code"] == "improvement.version"
    assert operator.post(f"{path}/reopen", {"comment": "not yet"}).json()["state"] == "open"
    assert operator.delete(path).status_code == 409
    days = operator.post(f"{BASE}/improvement-checks/try", {"check_query": "up", "check_is": "== 1"}).json()
    assert len(days) in (7, 8)
    assert {each["state"] for each in days} <= {"no_data", ""}


def test_filters_name_the_word_they_do_not_know(operator: Api) -> None:
    for path, field in (
        ("postmortems?state=lost", "state"),
        ("improvements?queue=x", "queue"),
        ("improvements?sort=x", "sort"),
    ):
        refused = operator.get(f"{BASE}/{path}")
        assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_another_team_sees_nothing_of_it(api_as: Any) -> None:
    foreign = plant()
    ours = people.create_team(actor=TESTS, name="ours")
    stranger = api_as(member_of(ours, Role.OPERATOR))
    owner = api_as(member_of(foreign.team, Role.OPERATOR, "owner"))
    row = Postmortem.objects.get()
    improvement = row.improvements.get()
    lists = ["postmortems", "postmortems/missing", "improvements?queue=all"]
    for path in lists:
        assert MARKER not in stranger.get(f"{BASE}/{path}").content.decode()
    ones = [f"postmortems/{row.pk}", f"postmortems/{row.pk}.md", f"postmortems/{row.pk}/editions"]
    for path in [*ones, f"improvements/{improvement.pk}"]:
        assert stranger.get(f"{BASE}/{path}").status_code == 404, path
        assert owner.get(f"{BASE}/{path}").status_code == 200, path
    for path in (f"postmortems/{row.pk}/submit", f"improvements/{improvement.pk}/begin"):
        assert stranger.post(f"{BASE}/{path}").status_code == 404
    assert owner.post(f"{BASE}/improvements/{improvement.pk}/begin").status_code == 200
    assert api_as(member_of(foreign.team, Role.VIEWER, "viewer")).post(
        f"{BASE}/improvements/{improvement.pk}/prove"
    ).status_code == 403  # fmt: skip


def test_one_that_will_not_be_done_is_asked_for_shown_and_turned_back(
    operator: Api, approver_actor: Actor, api_as: Any, incident: Incident, client: Client, admin_user: User
) -> None:
    row = begun(operator, incident)
    made = operator.post(f"{BASE}/postmortems/{row['id']}/improvements", IMPROVEMENT).json()
    one = f"{BASE}/improvements/{made['id']}"
    assert operator.post(f"{one}/begin").status_code == 200
    assert operator.post(f"{one}/drop", {"reason": ""}).status_code == 422
    asked = operator.post(f"{one}/drop", {"reason": "the machine is sold"}).json()
    assert (asked["state"], asked["drop_reason"]) == ("in_progress", "the machine is sold")
    admin_user.language = "en"
    admin_user.save()
    client.force_login(admin_user)
    assert "Another person is asked to agree that it will not be done" in client.get(
        f"/improvements/{made['number']}"
    ).content.decode()  # fmt: skip
    agreed = api_as(approver_actor).post(f"{BASE}/approvals/{asked['approval_id']}/approve", {"comment": ""})
    assert agreed.status_code == 200
    run_jobs(timedelta())
    assert operator.get(one).json()["state"] == "dropped"
    [listed] = operator.get(f"{BASE}/improvements?queue=dropped").json()["items"]
    assert (listed["name"], listed["overdue"]) == (made["name"], False)
    assert made["name"] in client.get("/improvements?queue=dropped").content.decode()
    assert made["name"] not in client.get("/improvements?queue=open").content.decode()
    assert operator.post(f"{one}/reopen", {"comment": "the sale fell through"}).json()["state"] == "open"


def test_a_role_in_a_team_attaches_only_what_it_sees_and_writes_no_query(
    api_as: Any, operator: Api, operator_actor: Actor
) -> None:
    foreign = plant()
    path = f"{BASE}/postmortems/{Postmortem.objects.get().pk}/improvements"
    member = api_as(member_of(foreign.team, Role.OPERATOR, "owner"))
    ours = resource("service", "not-theirs")
    unproven = {
        **IMPROVEMENT, "check_query": "", "check_is": "", "no_check_reason": "the contract was signed, no metric tells",
    }  # fmt: skip
    refused = member.post(path, unproven | {"resource": str(ours.pk)})
    assert (refused.status_code, refused.json()["field"]) == (422, "resource")
    assert not Event.objects.filter(abouts__ref=f"inventory.resource:{ours.pk}", verb="improvement.added").exists()
    refused = member.post(path, IMPROVEMENT)
    assert (refused.status_code, refused.json()["field"]) == (403, "check_query")
    assert refused.json()["remedy"]
    assert member.post(path, unproven | {"resource": str(foreign.resource.pk)}).status_code == 201
    # what somebody else wrote there stays when the member changes the rest
    made = operator.post(path, IMPROVEMENT | {"resource": str(ours.pk)}).json()
    whole = {**IMPROVEMENT, "resource": str(ours.pk), "version": made["version"], "title": "Another title"}
    changed = member.put(f"{BASE}/improvements/{made['id']}", whole)
    assert changed.status_code == 200
    whole |= {"version": changed.json()["version"], "check_query": "other_metric"}
    assert member.put(f"{BASE}/improvements/{made['id']}", whole).json()["field"] == "check_query"


@pytest.mark.parametrize("path", ["postmortems", "postmortems/missing", "improvements?queue=all"])
def test_the_number_of_queries_does_not_grow_with_the_list(
    operator: Api, operator_actor: Actor, path: str, django_assert_max_num_queries: Any
) -> None:
    shop = Shop()
    for number in range(6):
        found = outage(
            "CheckoutFails", shop.orders_1, at=timezone.now() - timedelta(hours=30 - 4 * number), key=f"k{number}"
        )
        row = written(operator_actor, resolved(operator_actor, found))
        for _each in range(3):
            improvements_actions.add(actor=operator_actor, postmortem=row, draft=draft(operator_actor))
    with django_assert_max_num_queries(12):
        page = operator.get(f"{BASE}/{path}").json()
    assert page["count"] == (18 if "improvements" in path else 6)
