"""The pages of operation: alerts and rule files, the incident room, procedures, runs, approvals; thin over actions."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from tests.web.foreign import member_of
from tongchou.alerting import actions as alerting
from tongchou.alerting.models import Alert, AlertGroup, AlertResource, Rule, RuleFile
from tongchou.core import ledger, people
from tongchou.core.access import actor_for_user, system
from tongchou.core.models import Approval, Event, Role
from tongchou.core.refs import ref
from tongchou.incidents.models import AffectedResource, Incident, IncidentGroup
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions as runbooks
from tongchou.runbooks.models import Procedure, Run

SYSTEM = system("tests")
RULES = """groups:
  - name: g
    rules:
      - alert: TargetDown
        expr: up == 0
        labels: {severity: critical}
"""
READ = """name: look
title: {en: Look, zh: 查看}
grade: read
matches: [{alertname: TargetDown}]
parameters:
  who: {type: string, required: false}
steps:
  - name: go on
    ask: {question: {en: "Go on?", zh: "继续？"}}
"""
ALTER = """name: restart
title: {en: Restart, zh: 重启}
grade: reversible
max_targets: 1
steps:
  - name: call
    http: {method: POST, url: "${target.control_url}/restart", expect_status: [200], idempotent: true}
"""


@pytest.fixture
def outage(db: None) -> Incident:
    """An open incident with one firing alert about one resource."""
    alerting.put_rule_file(actor=SYSTEM, name="g.yml", text=RULES)
    rule = Rule.objects.get()
    now = timezone.now()
    resource = inventory.create_resource(
        actor=SYSTEM, kind="host", name="web-1", attributes={"control_url": "http://127.0.0.1:9"}
    )
    group = AlertGroup.objects.create(
        key="k", labels={"alertname": "TargetDown", "service": "shop"}, severity="critical", started_at=now
    )
    alert = Alert.objects.create(
        rule=rule,
        group=group,
        fingerprint="0" * 16,
        name="TargetDown",
        severity="critical",
        state="firing",
        active_at=now,
        labels={"alertname": "TargetDown", "instance": "<web>"},
        annotations={"summary": "it is down"},
    )
    AlertResource.objects.create(alert=alert, resource=resource)
    incident = Incident.objects.create(number=1, title="TargetDown · shop", severity="critical", started_at=now)
    IncidentGroup.objects.create(incident=incident, group=group, started_at=now, reason_code="opened")
    return incident


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_every_alert_page_shows_the_outage(browser: Any, outage: Incident) -> None:
    client = browser(Role.VIEWER)
    group = AlertGroup.objects.get()
    for path in (
        "/alerts",
        "/alerts/all",
        f"/alerts/groups/{group.pk}",
        "/alerts/rules",
        "/",
        "/incidents",
        "/incidents/1",
    ):
        text = client.get(path).content.decode()
        assert "TargetDown" in text, path
        assert "<web>" not in text
    assert "web-1" in client.get("/alerts").content.decode()
    for path in (
        "/alerts?part=live",
        "/alerts/all?part=live",
        f"/alerts/groups/{group.pk}?part=live",
        "/incidents?part=live",
    ):
        assert b"<html" not in client.get(path).content


def test_a_group_is_acknowledged_once(browser: Any, outage: Incident) -> None:
    group = AlertGroup.objects.get()
    client = browser(Role.OPERATOR)
    client.post(f"/alerts/groups/{group.pk}/acknowledge", {"note": "mine"})
    group.refresh_from_db()
    assert group.acknowledged_by_name == client.user.username
    assert browser(Role.VIEWER).post(f"/alerts/groups/{group.pk}/acknowledge").status_code == 403
    client.post(f"/alerts/groups/{group.pk}/acknowledge", {"undo": "1"})
    group.refresh_from_db()
    assert group.acknowledged_at is None
    client.post(f"/alerts/groups/{group.pk}/acknowledge", {"hours": "4"})
    group.refresh_from_db()
    assert (group.acknowledged_until - group.acknowledged_at).total_seconds() == 4 * 3600


def test_a_rule_file_with_a_mistake_is_shown_at_its_line_and_changes_nothing(browser: Any, outage: Incident) -> None:
    client = browser(Role.OPERATOR)
    wrong = RULES.replace("up == 0", "up ==")
    response = client.post("/alerts/rule-files/g.yml", {"text": wrong})
    text = response.content.decode()
    assert response.status_code == 422
    assert "Line 5" in text
    assert 'class="bad"' in text
    assert RuleFile.objects.get().text == RULES
    response = client.post(
        "/alerts/rule-files/new", {"name": "two.yml", "text": RULES.replace("name: g", "name: h").replace("\n", "\r\n")}
    )
    assert response.status_code == 302
    assert "\r" not in RuleFile.objects.get(name="two.yml").text
    client.post("/alerts/rule-files/two.yml", {"delete": "1"})
    assert not RuleFile.objects.filter(name="two.yml").exists()


def test_a_rule_file_is_uploaded(browser: Any, db: None) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    client = browser(Role.OPERATOR)
    good = SimpleUploadedFile("r.yml", b"\xef\xbb\xbf" + RULES.encode())
    assert client.post("/alerts/rule-files/new", {"name": "r.yml", "text": "", "file": good}).status_code == 302
    bad = SimpleUploadedFile("r.yml", b"\xff\xfe\x00")
    assert client.post("/alerts/rule-files/new", {"name": "s.yml", "text": "", "file": bad}).status_code == 422
    huge = SimpleUploadedFile("r.yml", b"#" * 2_000_001)
    assert client.post("/alerts/rule-files/new", {"name": "t.yml", "text": "", "file": huge}).status_code == 413
    assert RuleFile.objects.count() == 1


# --- the incident room --------------------------------------------------------------------------------------------------


def test_the_room_goes_through_its_states(browser: Any, outage: Incident) -> None:
    client = browser(Role.OPERATOR)
    for act, state in (("acknowledge", "acknowledged"), ("mitigate", "mitigated"), ("reopen", "open")):
        assert client.post(f"/incidents/1/{act}", {"comment": "so"}).status_code == 302
        outage.refresh_from_db()
        assert outage.state == state
    firing = client.post("/incidents/1/resolve", {"comment": ""})
    assert firing.status_code == 409
    assert "What to do now" in firing.content.decode()
    client.post("/incidents/1/resolve", {"comment": "gave up the host", "force": "1"})
    outage.refresh_from_db()
    assert outage.state == "resolved"
    assert outage.commander == client.user
    assert "TargetDown" in client.get("/incidents?state=resolved").content.decode()


def test_an_act_or_a_number_nobody_knows_is_not_found(browser: Any, outage: Incident) -> None:
    client = browser(Role.OPERATOR)
    assert client.post("/incidents/1/dance").status_code == 404
    assert client.get("/incidents/99").status_code == 404
    assert client.get("/incidents/99999999999999999999").status_code == 404


def test_a_viewer_sees_the_room_and_no_button(browser: Any, outage: Incident) -> None:
    client = browser(Role.VIEWER)
    text = client.get("/incidents/1").content.decode()
    assert "/incidents/1/acknowledge" not in text
    assert client.post("/incidents/1/acknowledge").status_code == 403
    outage.refresh_from_db()
    assert outage.state == "open"


def part_of(client: Any, name: str, number: int = 1) -> str:
    """One part of the room, as its script asks for it."""
    answer = client.get(f"/incidents/{number}?part={name}", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    text: str = answer.content.decode()
    return text


def test_the_room_offers_the_procedure_that_fits(browser: Any, outage: Incident) -> None:
    runbooks.put_procedure(actor=SYSTEM, name="look", text=READ)
    text = part_of(browser(Role.OPERATOR), "procedures")
    assert "/procedures/look?incident=1" in text
    assert "because TargetDown fires" in text
    assert "/procedures/look/plan" in text
    assert "/procedures/look/plan" not in part_of(browser(Role.VIEWER), "procedures")


def test_a_part_that_reads_as_before_is_not_sent_again(browser: Any, outage: Incident) -> None:
    client = browser(Role.VIEWER)
    first = client.get("/incidents/1?part=alerts")
    again = client.get("/incidents/1", {"part": "alerts", "seen": first.headers["X-Part"]})
    assert again.status_code == 204
    Alert.objects.update(state="resolved", resolved_at=timezone.now())
    changed = client.get("/incidents/1", {"part": "alerts", "seen": first.headers["X-Part"]})
    assert changed.status_code == 200
    assert "0 firing" in changed.content.decode()


def test_what_has_no_owner_is_shut_for_a_role_in_a_team_and_says_so(browser: Any, outage: Incident) -> None:
    ours = people.create_team(actor=SYSTEM, name="ours")
    resource = Resource.objects.get(name="web-1")
    Resource.objects.filter(pk=resource.pk).update(owner=ours)
    AffectedResource.objects.create(incident=outage, resource=resource, role="symptom", distance=0)
    client = browser(member_of(ours, Role.VIEWER))
    for name in ("metrics", "logs"):
        assert "not limited to a team" in part_of(client, name)
    assert "web-1" in part_of(client, "map")
    assert "TargetDown" in part_of(client, "alerts")


def test_a_part_that_cannot_be_read_says_why_and_the_others_are_there(browser: Any, outage: Incident) -> None:
    client = browser(Role.VIEWER)  # no telemetry store in this test
    assert "data-part-again" in part_of(client, "logs")
    assert "TargetDown" in part_of(client, "metrics")


def test_the_room_tells_what_an_alert_explains_and_what_is_silenced(browser: Any, outage: Incident) -> None:
    group = AlertGroup.objects.get()
    other = AlertGroup.objects.create(
        key="k2", labels={"alertname": "Slow"}, severity="warning", started_at=outage.started_at
    )
    AlertGroup.objects.filter(pk=group.pk).update(explains=1)
    own = Alert.objects.get()
    Alert.objects.create(
        rule=own.rule, group=other, fingerprint="1" * 16, name="Slow", severity="warning", state="firing",
        active_at=own.active_at, labels={}, annotations={}, suppressed="explained", suppressed_by=[ref(group)],
    )  # fmt: skip
    Alert.objects.filter(pk=own.pk).update(suppressed="silenced")
    text = part_of(browser(Role.VIEWER), "alerts")
    assert "1 alert explained by TargetDown" in text
    assert "1 alert is told to nobody" in text


def test_command_is_taken_by_a_person_and_once(browser: Any, outage: Incident) -> None:
    client = browser(Role.OPERATOR)
    assert "/incidents/1/command" in client.get("/incidents/1").content.decode()
    client.post("/incidents/1/command")
    outage.refresh_from_db()
    assert outage.commander == client.user
    assert Event.objects.filter(verb="incident.commander_changed").count() == 1
    assert "/incidents/1/command" not in client.get("/incidents/1").content.decode()
    assert client.post("/incidents/1/command").status_code == 409
    assert browser(Role.VIEWER).post("/incidents/1/command").status_code == 403


def test_marks_are_of_the_affected_resources_and_the_incident(browser: Any, outage: Incident) -> None:
    resource = Resource.objects.get(name="web-1")
    AffectedResource.objects.create(incident=outage, resource=resource, role="symptom", distance=0)
    for about, version in ((resource, "1.4.2"), (outage, "none of it")):
        ledger.record(
            actor=SYSTEM, verb="deployment.finished", subject=f"changes.deployment:{uuid4()}",
            about=[ref(about)] if about is resource else [], payload={"version": version},
        )  # fmt: skip
    at = round(timezone.now().timestamp() * 1000)
    asked = {"part": "marks", "start": str(at - 60_000), "end": str(at + 60_000)}
    found = browser(Role.VIEWER).get("/incidents/1", asked).json()["marks"]
    assert [mark["title"] for mark in found] == ["1.4.2"]


# --- procedures and runs ------------------------------------------------------------------------------------------------


def test_a_procedure_is_written_and_each_mistake_shown_at_its_line(browser: Any, db: None) -> None:
    client = browser(Role.OPERATOR)
    wrong = client.post(
        "/procedures/new", {"text": READ.replace("grade: read", "grade: wild").replace("name: go on", "nam: x")}
    )
    assert wrong.status_code == 422
    assert wrong.content.decode().count('class="bad"') >= 2
    assert client.post("/procedures/new", {"text": READ}).status_code == 302
    assert client.post("/procedures/look/edit", {"text": READ + "# changed\n"}).status_code == 302
    assert "Look" in client.get("/procedures").content.decode()
    assert "Go on?" in client.get("/procedures/look").content.decode()
    client.post("/procedures/look/edit", {"retire": "1"})
    assert Procedure.objects.get().state == "retired"


def test_a_dry_run_shows_every_reason_and_alters_nothing(browser: Any, outage: Incident) -> None:
    runbooks.put_procedure(actor=SYSTEM, name="restart", text=ALTER)
    client = browser(Role.OPERATOR)
    text = client.post("/procedures/restart/plan", {"targets": "web-1"}).content.decode()
    assert "would be refused" in text
    assert "execution.enabled" in text
    assert "http://127.0.0.1:9/restart" in text
    assert "There is no resource" in client.post("/procedures/restart/plan", {"targets": "nobody"}).content.decode()
    assert Run.objects.count() == 0
    refused = client.post("/procedures/restart/run", {"targets": "web-1"})
    assert refused.status_code == 409
    assert Run.objects.count() == 0


def test_a_run_that_only_reads_is_asked_for_watched_and_answered(browser: Any, outage: Incident) -> None:
    runbooks.put_procedure(actor=SYSTEM, name="look", text=READ)
    client = browser(Role.OPERATOR)
    response = client.post("/procedures/look/run", {"incident": "1", "reason": "why not", "param-who": "me"})
    run = Run.objects.get()
    assert response.headers["Location"] == f"/runs/{run.pk}"
    assert run.incident_number == 1
    assert run.params == {"who": "me"}
    run.steps.update(state="waiting")
    Run.objects.update(state="waiting")
    assert "Continue" in client.get(f"/runs/{run.pk}").content.decode()
    assert 'value="continue"' not in browser(Role.VIEWER).get(f"/runs/{run.pk}").content.decode()
    assert client.post(f"/runs/{run.pk}/answer", {"position": "0", "answer": "dance"}).status_code == 422
    position = run.steps.get().position
    assert client.post(f"/runs/{run.pk}/answer", {"position": str(position), "answer": "continue"}).status_code == 302
    assert run.steps.get().answered_by_name == client.user.username
    assert client.post(f"/runs/{run.pk}/cancel").status_code == 302
    assert Run.objects.get().state == "cancelled"
    assert client.post(f"/runs/{run.pk}/cancel").status_code == 409
    assert client.get(f"/runs/{uuid4()}").status_code == 404


@pytest.fixture
def request_of(outage: Incident, browser: Any) -> Any:
    """A function that asks for the altering run as a person, and returns (run, client)."""
    from tongchou.core import settings_store

    runbooks.put_procedure(actor=SYSTEM, name="restart", text=ALTER)
    settings_store.put(actor=SYSTEM, key="execution.enabled", value=True)
    settings_store.put(actor=SYSTEM, key="execution.targets", value=["web-1"])

    def ask(role: Role) -> tuple[Run, Any]:
        client = browser(role)
        actor = actor_for_user(client.user)
        run = runbooks.request_run(
            actor=actor, procedure=Procedure.objects.get(), params={}, targets=["web-1"], reason="it hangs"
        )
        return run, client

    return ask


def test_the_inbox_shows_exactly_what_would_run_and_to_what_it_is_bound(request_of: Any, browser: Any) -> None:
    run, _asker = request_of(Role.OPERATOR)
    text = browser(Role.APPROVER).get("/approvals").content.decode()
    for word in (run.content_hash, "http://127.0.0.1:9/restart", "web-1", "it hangs", "POST", "Approve"):
        assert word in text


def test_nobody_approves_their_own_request_and_the_page_says_why(request_of: Any) -> None:
    run, asker = request_of(Role.APPROVER)
    text = asker.get("/approvals").content.decode()
    assert "Nobody approves their own request" in text
    assert 'value="approve" disabled' in text
    refused = asker.post(f"/approvals/{run.approval_id}", {"do": "approve"})
    assert refused.status_code == 403
    assert Approval.objects.get().state == "pending"
    asker.post(f"/approvals/{run.approval_id}", {"do": "cancel"})
    assert Approval.objects.get().state == "cancelled"


def test_another_person_approves_or_rejects(request_of: Any, browser: Any) -> None:
    run, asker = request_of(Role.OPERATOR)
    assert asker.post(f"/approvals/{run.approval_id}", {"do": "approve"}).status_code == 403
    approver = browser(Role.APPROVER)
    response = approver.post(f"/approvals/{run.approval_id}", {"do": "approve", "comment": "go"})
    assert response.headers["Location"] == f"/runs/{run.pk}"
    assert Approval.objects.get().decided_by == approver.user
    assert approver.post(f"/approvals/{run.approval_id}", {"do": "reject"}).status_code == 409
    assert "go" in approver.get("/approvals?state=decided").content.decode()
    assert Event.objects.filter(verb="approval.approved").count() == 1
