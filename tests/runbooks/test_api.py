"""Procedures and runs over the API, from saving to the journal. Fixtures are this folder's, so it stands here."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Api
from tests.runbooks.conftest import PROMOTE, TESTS, Effects, make_resource
from tongchou.core import jobs, settings_store
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Membership, Role, Team
from tongchou.core.people import create_user
from tongchou.inventory.models import Resource
from tongchou.runbooks.models import Procedure, Run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

YAML = "application/yaml"


def body(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    return response.json()


def test_from_saving_to_the_journal(
    api_as: Any, operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    operator, approver = api_as(operator_actor), api_as(approver_actor)
    saved = body(operator.put("/api/v1/procedures/promote", PROMOTE, YAML))
    assert (saved["version"], saved["grade"], [step["kind"] for step in saved["steps"]]) == (
        1,
        "reversible",
        ["http"] * 2,
    )
    assert saved["parameters"][0]["name"] == "count"
    assert body(operator.get("/api/v1/procedures"))["count"] == 1

    wish = {"params": {"count": 2}, "targets": ["db-b"], "reason": "primary is down"}
    plan = body(operator.post("/api/v1/procedures/promote/plan", {**wish}))
    assert (plan["refusals"], plan["needs_approval"]) == ([], True)
    assert plan["steps"][0]["input"]["url"] == f"{effects.url}/promote"
    assert not Run.objects.exists()

    run = body(operator.post("/api/v1/procedures/promote/runs", wish), 201)
    assert (run["state"], run["requested_by"], run["content_hash"]) == (
        "awaiting_approval",
        "operator",
        plan["content_hash"],
    )
    refused = body(operator.post(f"/api/v1/approvals/{run['approval']}/approve", {"comment": ""}), 403)
    assert refused["status"] == 403
    body(approver.post(f"/api/v1/approvals/{run['approval']}/approve", {"comment": "go"}))
    jobs.run_due()
    done = body(operator.get(f"/api/v1/runs/{run['id']}"))
    assert (done["state"], done["approved_by"]) == ("succeeded", "approver")
    assert [(step["state"], step["output"]["status"]) for step in done["steps"]] == [("succeeded", 200)] * 2
    assert body(operator.get("/api/v1/runs", state="succeeded,failed", procedure="promote"))["count"] == 1
    assert body(operator.get("/api/v1/runs", state="queued"))["items"] == []


def test_a_plan_with_everything_wrong_says_everything(api: Api, promote: Procedure, standby: Resource) -> None:
    plan = body(api.post("/api/v1/procedures/promote/plan", {"params": {"count": 9, "x": 1}, "targets": ["db-b"]}))
    assert [each["code"] for each in plan["refusals"]] == [
        "execution_off",
        "target_not_allowed",
        "parameter_unknown",
        "parameter_wrong",
    ]
    refused = body(api.post("/api/v1/procedures/promote/runs", {"targets": ["db-b"]}), 409)
    assert (refused["code"], refused["refusals"][0]["code"]) == ("run.refused", "execution_off")


@pytest.mark.parametrize(
    ("text", "field", "status"),
    [
        (PROMOTE.replace("grade: reversible", "grade: read"), "grade", 422),
        (PROMOTE.replace("name: promote\ntitle", "name: other\ntitle"), "name", 422),
        (b"\xff\xfe", None, 400),
        (b"", "text", 422),
        (b"x" * 200_000, None, 413),
        (b"[" * 100_000, "text", 422),
    ],
)
def test_a_bad_text_is_refused_with_its_place(api: Api, text: str | bytes, field: str | None, status: int) -> None:
    problem = body(api.put("/api/v1/procedures/promote", text, YAML), status)
    assert problem.get("field") == field
    assert problem["remedy"]
    assert not Procedure.objects.exists()


@pytest.mark.parametrize(
    "wish",
    [
        {"targets": "db-b"},
        {"targets": [1]},
        {"params": []},
        {"incident": "seven"},
        {"reason": "x" * 5000},
        {"expires_in_seconds": "soon"},
        {"targets": ["x"] * 501},
        {"targets": ["a\x00b"]},
        {"reason": "\x00"},
        {"reason": "\ud800"},
    ],
)
def test_a_request_of_the_wrong_shape_is_a_422(api: Api, promote: Procedure, wish: Any) -> None:
    assert api.post("/api/v1/procedures/promote/runs", wish).status_code == 422


def test_what_is_not_there_is_a_404_and_an_unknown_target_a_422(
    api: Api, promote: Procedure, standby: Resource
) -> None:
    assert api.get("/api/v1/procedures/none").status_code == 404
    assert api.get(f"/api/v1/runs/{uuid4()}").status_code == 404
    assert api.post("/api/v1/procedures/promote/plan", {"incident": str(uuid4())}).status_code == 404
    problem = body(api.post("/api/v1/procedures/promote/runs", {"targets": ["db-x"]}), 422)
    assert (problem["code"], problem["field"], problem["value"]) == ("run.target_unknown", "targets[0]", "db-x")
    make_resource("db-b", kind="service")
    problem = body(api.post("/api/v1/procedures/promote/runs", {"targets": ["db-b"]}), 422)
    assert problem["code"] == "run.target_ambiguous"
    problem = body(api.post("/api/v1/procedures/promote/runs", {"expires_in_seconds": 5}), 422)
    assert problem["field"] == "expires_in_seconds"


def test_a_viewer_sees_and_does_nothing(
    api_as: Any, viewer_actor: Actor, promote: Procedure, standby: Resource
) -> None:
    viewer = api_as(viewer_actor)
    assert viewer.get("/api/v1/procedures/promote").status_code == 200
    for response in (
        viewer.put("/api/v1/procedures/promote", PROMOTE, YAML),
        viewer.delete("/api/v1/procedures/promote"),
        viewer.post("/api/v1/procedures/promote/plan", {"targets": ["db-b"]}),
        viewer.post("/api/v1/procedures/promote/runs", {"targets": ["db-b"]}),
    ):
        assert response.status_code == 403


def test_a_team_acts_on_and_sees_what_it_owns(
    api_as: Any, operator_actor: Actor, promote: Procedure, execution_on: None, standby: Resource
) -> None:
    own, other = Team.objects.create(name="own"), Team.objects.create(name="other")
    user = create_user(actor=system("tests"), username="teamster", password="correct horse battery", role=None)
    Membership.objects.create(user=user, team=own, role=Role.OPERATOR)
    teamster = api_as(actor_for_user(user))
    make_resource("db-o", control_url="http://127.0.0.1:1")
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    Resource.objects.filter(name="db-o").update(owner=own)
    Resource.objects.filter(name="db-b").update(owner=other)
    assert teamster.post("/api/v1/procedures/promote/runs", {"targets": ["db-b"]}).status_code == 422
    mine = body(teamster.post("/api/v1/procedures/promote/runs", {"targets": ["db-o"]}), 201)
    theirs = body(api_as(operator_actor).post("/api/v1/procedures/promote/runs", {"targets": ["db-b"]}), 201)
    assert [run["id"] for run in body(teamster.get("/api/v1/runs"))["items"]] == [mine["id"]]
    assert teamster.get(f"/api/v1/runs/{theirs['id']}").status_code == 404
    assert teamster.post(f"/api/v1/runs/{theirs['id']}/cancel", {}).status_code == 404
    assert body(teamster.post(f"/api/v1/runs/{mine['id']}/cancel", {"comment": "no"}))["state"] == "cancelled"


@pytest.fixture
def teamster(api_as: Any, execution_on: None) -> Api:
    """An operator of the team own, which owns db-o."""
    own = Team.objects.create(name="own")
    user = create_user(actor=TESTS, username="teamster", password="correct horse battery", role=None)
    Membership.objects.create(user=user, team=own, role=Role.OPERATOR)
    Resource.objects.filter(pk=make_resource("db-o", control_url="http://127.0.0.1:1").pk).update(owner=own)
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    return api_as(actor_for_user(user))  # type: ignore[no-any-return]  # the fixture says what it is


@pytest.mark.parametrize("path", ["plan", "runs"])
def test_what_one_may_not_see_is_answered_like_what_is_not_there(
    path: str, teamster: Api, api: Api, promote: Procedure, execution_on: None, standby: Resource
) -> None:
    text = (
        "{name: pick, title: P, grade: read, max_targets: 0, parameters: {host: {type: resource}}, "
        "steps: [{name: a, ask: {question: '${params.host}'}}]}"
    )
    body(api.put("/api/v1/procedures/pick", text, YAML))
    for foreign in (standby.name, str(standby.pk), f"inventory.resource:{standby.pk}"):
        absent = foreign.replace(str(standby.pk), str(uuid4())) if foreign != standby.name else "db-z"
        for name, given in (("promote", "targets"), ("pick", "params")):
            answers = []
            for each in (foreign, absent):
                asked = {"targets": [each]} if given == "targets" else {"params": {"host": each}, "targets": []}
                answer = teamster.post(f"/api/v1/procedures/{name}/{path}", asked)
                answers.append((answer.status_code, unnamed(answer.content.decode().replace(each, "NAME"))))
            assert answers[0] == answers[1]
            assert "db-b" not in answers[0][1]
    assert teamster.post(f"/api/v1/procedures/promote/{path}", {"targets": ["db-o"]}).status_code in (200, 201)


def unnamed(text: str) -> str:
    """The answer without the hash, which is over the name that was given too."""
    return re.sub(r'"content_hash": *"[^"]*"', "", text)


def test_who_holds_a_lock_is_named_to_those_who_may_see_that_run(
    teamster: Api, api: Api, execution_on: None, standby: Resource
) -> None:
    text = "{name: l, title: L, grade: reversible, lock: shared, steps: [{name: a, ask: {question: 'ok?'}}]}"
    body(api.put("/api/v1/procedures/l", text, YAML))
    theirs = body(api.post("/api/v1/procedures/l/runs", {"targets": ["db-b"]}), 201)["id"]
    mine = body(teamster.post("/api/v1/procedures/l/runs", {"targets": ["db-o"]}), 201)["id"]
    Run.objects.filter(pk=theirs).update(state="running")
    Run.objects.filter(pk=mine).update(state="queued")
    seen = body(teamster.get(f"/api/v1/runs/{mine}"))
    assert (seen["lock_held"], seen["lock_holder"]) == (True, None)
    seen = body(api.get(f"/api/v1/runs/{mine}"))
    assert (seen["lock_held"], seen["lock_holder"]) == (True, theirs)


def test_a_question_is_answered_over_the_api(api: Api) -> None:
    text = "{name: q, title: Q, grade: read, max_targets: 0, steps: [{name: a, ask: {question: 'ok?'}}]}"
    body(api.put("/api/v1/procedures/q", text, YAML))
    run = body(api.post("/api/v1/procedures/q/runs", {}), 201)
    jobs.run_due()
    waiting = body(api.get(f"/api/v1/runs/{run['id']}"))
    assert (waiting["state"], waiting["steps"][0]["answers"]) == ("waiting", ["continue", "stop"])
    path = f"/api/v1/runs/{run['id']}/answer"
    assert api.post(path, {"position": 0, "answer": "maybe"}).status_code == 422
    assert api.post(path, {"position": 9, "answer": "continue"}).status_code == 409
    body(api.post(path, {"position": 0, "answer": "continue"}))
    jobs.run_due()
    assert body(api.get(f"/api/v1/runs/{run['id']}"))["state"] == "succeeded"
    assert api.post(f"/api/v1/runs/{run['id']}/retry", {}).status_code == 409


def test_versions_keep_every_text(api: Api, promote: Procedure) -> None:
    body(api.put("/api/v1/procedures/promote", PROMOTE + "# more\n", YAML))
    found = body(api.get("/api/v1/procedures/promote/versions"))
    assert [(each["number"], each["text"]) for each in found["items"]] == [(2, PROMOTE + "# more\n"), (1, PROMOTE)]


def test_a_page_of_runs_costs_the_same_number_of_queries_however_many_there_are(
    api: Api, promote: Procedure, execution_on: None, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        make_resource(f"db-{number}", control_url="http://127.0.0.1:1")
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    for number in range(12):
        body(api.post("/api/v1/procedures/promote/runs", {"targets": [f"db-{number}"]}), 201)
    with django_assert_max_num_queries(8):
        assert len(body(api.get("/api/v1/runs"))["items"]) == 12


@pytest.mark.parametrize("name", ["\x00", "\ud800", "x" * 300, "${params.x}", "%s"])
def test_a_parameter_of_any_name_or_value_is_refused_in_words(
    api: Api, promote: Procedure, execution_on: None, name: str
) -> None:
    for params in ({name: 1}, {"count": name}, {"count": {name: [name]}}):
        problem = body(api.post("/api/v1/procedures/promote/runs", {"targets": ["db-b"], "params": params}), 422)
        assert problem["code"] == ("api.text" if name in ("\x00", "\ud800") else "run.refused")


def test_a_name_no_database_keeps_is_refused(api: Api) -> None:
    for path in ("/api/v1/procedures/a%00b", "/api/v1/runs?procedure=a%00", "/api/v1/runs?state=%00"):
        answer = api.get(path)
        assert answer.status_code in (400, 422), path
        assert answer.json()["code"].endswith(".text"), path
