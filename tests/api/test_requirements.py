"""The requirements API: from a draft to the choice of an option and its record; scorecards; structures worked out."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.conftest import make_user
from tongchou.changes import requirement_actions
from tongchou.changes.models_control import Change
from tongchou.core import approvals
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Approval, Role
from tongchou.inventory import actions as inventory

pytestmark = pytest.mark.django_db
BASE = "/api/v1"
TESTS = system("tests")
WANTED = {"title": "Sale", "need": "Orders triple", "budget": "1000", "currency": "CNY", "slo_percent": "99.9",
          "load": [{"metric": "orders", "unit": "/s", "baseline": "100", "uplift_percent": "200"}]}  # fmt: skip
OPTION = {"name": "two servers", "structure": "parallel: web, beta 5%\n  web x2 | 99% | vendor: sheet",
          "capex": "600", "opex_monthly": "10.5", "currency": "CNY",
          "sources": {"capex": "offer 12", "opex_monthly": "bill of March"},
          "changes": [{"title": "Add a server"}], "risks": [{"risk": "late", "likelihood": 2, "impact": 4}]}  # fmt: skip


def made(api: Any, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(f"{BASE}{path}", body)
    assert answer.status_code in (200, 201), answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_from_a_draft_to_a_choice(api: Any) -> None:
    row = made(api, "/requirements", WANTED)
    assert (row["name"], row["state"], row["load"][0]["value"]) == ("REQ-1", "draft", "300")
    at = f"/requirements/{row['id']}"
    option = made(api, f"{at}/options", OPTION)
    assert option["computed"]["downtime_minutes_per_year"] == pytest.approx(525_600 * (0.0005 + 0.0095**2))
    assert option["computed"]["weakest"][0]["name"] == "web"
    questions = made(api, f"{at}/submit", {})["checklist"]
    refused = api.post(f"{BASE}{at}/request-acceptance", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "requirement.unanswered")
    body = {"answers": [{"answer": "yes"} for _each in questions]}
    assert api.put(f"{BASE}{at}/checklist", body).status_code == 200
    asked = made(api, f"{at}/request-acceptance", {})
    approval = Approval.objects.get(pk=asked["approval_id"])
    assert approval.content_hash == asked["content_hash"]
    refused = api.post(f"{BASE}/requirement-options/{option['id']}/choose", {})
    assert refused.json()["code"] == "design.state"
    approvals.approve(actor=actor_for_user(make_user("boss", Role.APPROVER)), approval=approval)
    requirement_actions.acceptance_decided(approval=approval)
    record = made(api, f"/requirement-options/{option['id']}/choose", {"decision": "Two of them"})
    assert (record["name"], record["status"], record["decision"]) == ("ADR-1", "accepted", "Two of them")
    assert made(api, f"/requirement-options/{option['id']}/choose", {})["id"] == record["id"]
    seen = api.get(f"{BASE}{at}").json()
    assert seen["state"] == "decided"
    assert [each["title"] for each in seen["changes"]] == ["Add a server"]
    assert api.post(f"{BASE}{at}/done", {"note": "built"}).json()["code"] == "requirement.under_way"
    Change.objects.update(state="closed")
    (compared,) = seen["options"]
    assert (compared["cost"], compared["exposure"], compared["chosen"]) == ("726", 8, True)
    assert {each["criterion"]: each["met"] for each in compared["verdicts"]} == {"slo": True, "budget": True}
    text = api.get(f"{BASE}/decisions/{record['id']}.md")
    assert text.headers["Content-Type"].startswith("text/markdown")
    assert "two servers" in text.content.decode()
    assert made(api, f"{at}/done", {"note": "built"})["state"] == "done"


def test_people_are_asked_and_say_what_they_think(api: Any, api_as: Any, viewer_actor: Actor) -> None:
    row = made(api, "/requirements", WANTED)
    at = f"{BASE}/requirements/{row['id']}"
    assert api.post(f"{at}/participants", {"users": ["nobody"]}).json()["field"] == "users"
    made(api, f"/requirements/{row['id']}/participants", {"users": [viewer_actor.name]})
    said = api_as(viewer_actor).post(f"{at}/opinion", {"answer": "no", "comment": "too soon"})
    assert said.json()["participants"][0] | {"asked_at": "", "said_at": ""} == {
        "user": viewer_actor.name, "answer": "no", "comment": "too soon", "asked_at": "", "said_at": "", "current": True
    }  # fmt: skip
    assert api_as(viewer_actor).post(f"{at}/submit", {}).status_code == 403


def test_a_requirement_is_listed_changed_and_removed(api: Any, django_assert_max_num_queries: Any) -> None:
    row = made(api, "/requirements", WANTED)
    made(api, "/requirements", WANTED | {"title": "Archive"})
    with django_assert_max_num_queries(12):
        assert api.get(f"{BASE}/requirements", q="sale").json()["count"] == 1
    changed = api.put(f"{BASE}/requirements/{row['id']}", WANTED | {"title": "Sales", "version": 1})
    assert (changed.json()["title"], changed.json()["version"]) == ("Sales", 2)
    assert api.put(f"{BASE}/requirements/{row['id']}", WANTED | {"version": 1}).json()["code"] == "design.version"
    assert api.delete(f"{BASE}/requirements/{row['id']}").status_code == 204
    assert api.get(f"{BASE}/requirements/{row['id']}").json()["code"] == "requirement.unknown"
    assert api.post(f"{BASE}/requirements", WANTED | {"colour": "red"}).status_code == 422


def test_a_figure_without_a_source_is_refused(api: Any) -> None:
    row = made(api, "/requirements", WANTED)
    answer = api.post(f"{BASE}/requirements/{row['id']}/options", OPTION | {"sources": {"capex": "offer"}})
    assert (answer.status_code, answer.json()["field"]) == (422, "sources.opex_monthly")


def test_an_option_is_changed_and_removed(api: Any) -> None:
    row = made(api, "/requirements", WANTED)
    option = made(api, f"/requirements/{row['id']}/options", OPTION)
    at = f"{BASE}/requirement-options/{option['id']}"
    assert api.put(at, OPTION | {"name": "one", "version": 1}).json()["name"] == "one"
    assert [each["name"] for each in api.get(f"{BASE}/requirements/{row['id']}/options").json()] == ["one"]
    assert api.delete(at).status_code == 204
    assert api.get(at).status_code == 404


def test_structures_are_worked_out_and_proposed(api: Any) -> None:
    answer = made(api, "/availability/compute", {"structure": "series: s\n  a | 99.9% | vendor: v\n  b | ? |"})
    assert (answer["availability"], answer["missing"]) == (None, ["b"])
    wrong = api.post(f"{BASE}/availability/compute", {"structure": "series: s\n  a | 120% | vendor: v"})
    assert wrong.json()["field"] == "structure[2]"
    shop = inventory.create_resource(actor=TESTS, kind="service", name="shop")
    db = inventory.create_resource(actor=TESTS, kind="database", name="db")
    inventory.relate(actor=TESTS, from_resource=shop, to_resource=db, type="calls")
    found = api.get(f"{BASE}/availability/proposal", resource_id=str(shop.pk)).json()
    assert found == {"structure": "series: shop\n  shop | ? |\n  db | ? |", "left_out": 0}
    assert api.get(f"{BASE}/availability/proposal", resource_id=str(uuid.uuid4())).status_code == 404


def test_a_scorecard_is_weighed(api: Any) -> None:
    body = {"title": "Database", "criteria": [{"name": "cost", "weight": "3"}, {"name": "fit", "weight": "1"}],
            "candidates": ["A", "B"],
            "scores": {"A": {"cost": {"score": "4"}, "fit": {"score": "2"}},
                       "B": {"cost": {"score": "2"}, "fit": {"score": "5", "note": "made for it"}}}}  # fmt: skip
    card = made(api, "/scorecards", body)
    assert (card["winner"], card["result"]["totals"]) == ("A", {"A": 14.0, "B": 11.0})
    cost, fit = card["result"]["intervals"]
    assert (cost["low"], cost["high"], fit["high"], fit["high_rival"]) == (1.5, None, 2.0, "B")
    at = f"{BASE}/scorecards/{card['id']}"
    assert api.put(at, body | {"scores": {}, "version": 1}).json()["winner"] == ""
    assert api.get(f"{BASE}/scorecards").json()["count"] == 1
    assert api.delete(at).status_code == 204


def test_a_record_is_proposed_changed_and_ends(api: Any) -> None:
    row = made(api, "/decisions", {"title": "Use PostgreSQL", "decision": "Yes"})
    at = f"{BASE}/decisions/{row['id']}"
    assert api.put(at, {"title": "Use PG", "decision": "Yes", "version": 1}).json()["title"] == "Use PG"
    assert api.post(f"{at}/accept", {}).json()["status"] == "accepted"
    assert api.put(at, {"title": "x", "version": 3}).json()["code"] == "design.state"
    later = made(api, "/decisions", {"title": "Use MySQL", "decision": "Yes", "supersedes": row["id"]})
    made(api, f"/decisions/{later['id']}/accept", {})
    seen = api.get(at).json()
    assert (seen["status"], seen["superseded_by"]) == ("superseded", [later["name"]])
    assert made(api, f"/decisions/{later['id']}/deprecate", {"note": "over"})["status"] == "deprecated"
    assert api.get(f"{BASE}/decisions", status="deprecated").json()["count"] == 1
