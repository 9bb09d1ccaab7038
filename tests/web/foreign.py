"""What belongs to a team, with a word planted in all of it: nobody of another team may ever read that word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from tests.conftest import make_user
from tongchou.alerting import actions as alerting
from tongchou.alerting.models import Alert, AlertGroup, AlertResource, Rule
from tongchou.changes.models import Deployment
from tongchou.changes.models_drift import Drift
from tongchou.changes.models_iac import Plan, Workspace
from tongchou.changes.models_release import Artefact, Environment, Release, ReleaseBatch, ReleaseItem, Rollout
from tongchou.changes.models_requirements import Decision, Option, Requirement, Scorecard
from tongchou.core import approvals, ledger, people, search
from tongchou.core.access import system
from tongchou.core.models import Approval, Membership, Role, Team, User
from tongchou.core.refs import ref
from tongchou.incidents import postmortem_prefill
from tongchou.incidents.models import (
    AffectedResource,
    Cause,
    Improvement,
    Incident,
    IncidentGroup,
    Postmortem,
    Suspect,
)
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions as runbooks
from tongchou.runbooks.models import Procedure, Run, RunStep, RunTarget

MARKER = "zanzibar"
SYSTEM = system("tests")
RULES = """groups:
  - name: g
    rules:
      - alert: TargetDown
        expr: up == 0
"""
PROCEDURE = """name: restart
title: {en: Restart, zh: 重启}
grade: reversible
max_targets: 1
steps:
  - name: call
    http: {method: POST, url: "${target.control_url}/restart", expect_status: [200], idempotent: true}
"""


@dataclass(frozen=True)
class Foreign:
    """The other team's nouns."""

    team: Team
    resource: Resource
    service: Resource
    group: AlertGroup
    incident: Incident
    approval: Approval
    run: Run
    artefact: Artefact
    rollout: Rollout


def member_of(team: Team, role: Role, name: str = "member") -> User:
    """Create a person whose only role is in this team."""
    user = make_user(f"{name}-{role.value}", None)
    Membership.objects.create(user=user, team=team, role=role)
    return user


def plant() -> Foreign:
    """Create a team that owns two resources, and an outage, a release, a run and an approval about them."""
    now = timezone.now()
    team = people.create_team(actor=SYSTEM, name="theirs")
    url = {"control_url": f"http://127.0.0.1:9/{MARKER}"}
    resource = inventory.create_resource(
        actor=SYSTEM, kind="host", name=f"{MARKER}-host", owner=team, attributes=url, labels={"where": MARKER}
    )
    service = inventory.create_resource(actor=SYSTEM, kind="service", name=f"{MARKER}-service", owner=team)
    inventory.relate(actor=SYSTEM, from_resource=service, to_resource=resource, type="runs_on")
    group = _outage(team, resource, now)
    incident = Incident.objects.create(number=7, title=f"{MARKER} is down", severity="critical", started_at=now)
    IncidentGroup.objects.create(incident=incident, group=group, started_at=now, reason_code="opened")
    AffectedResource.objects.create(incident=incident, resource=resource, role="cause")
    Suspect.objects.create(
        incident=incident, rank=1, ref=ref(resource), kind="resource", title=resource.name, score=1.0, reasons=[]
    )
    Deployment.objects.create(
        source="ci", delivery_id="1", service=service, service_name=service.name, version=MARKER, started_at=now
    )
    mine = Workspace.objects.create(name=f"{MARKER}-net", owner=team, directory=f"/srv/{MARKER}")
    Plan.objects.create(workspace=mine, number=1, requested_by_name=MARKER, reason=MARKER, output=MARKER)
    Drift.objects.create(
        key="0" * 64, source_kind="playbook", source_ref="changes.playbook:1", source_name=MARKER, resource=resource,
        subject=resource.name, path=f"/etc/{MARKER}", observed=MARKER, state="open", first_seen_at=now, last_seen_at=now,
    )  # fmt: skip
    run = _run(resource, incident)
    _postmortem(incident, resource, team, now)
    _design(team, service)
    artefact, rollout = _release(service)
    with transaction.atomic():
        approval = approvals.request(
            actor=SYSTEM,
            subject=ref(run),
            action="runbooks.run",
            content_hash="0" * 64,
            scope={"procedure": "restart", "targets": [resource.name]},
            reason=f"because of {MARKER}",
            expires_at=now + timedelta(hours=1),
            about=[ref(resource)],
        )
        payload: dict[str, Any] = {"number": 7, "title": incident.title, "procedure": MARKER, "name": MARKER}
        for verb, subject in (("incident.opened", incident), ("run.failed", run), ("resource.gone", resource)):
            ledger.record(actor=SYSTEM, verb=verb, subject=ref(subject), about=[ref(resource)], payload=payload)
    Run.objects.filter(pk=run.pk).update(approval=approval)
    while not search.go_on():
        continue
    return Foreign(team, resource, service, group, incident, approval, run, artefact, rollout)


def _postmortem(incident: Incident, resource: Resource, team: Team, now: datetime) -> None:
    row = Postmortem.objects.create(
        incident=incident,
        facts=postmortem_prefill.gather(incident, now=now),
        facts_at=now,
        summary=f"{MARKER} stopped",
        created_by_name="tests",
        updated_by_name="tests",
    )
    cause = Cause.objects.create(
        postmortem=row, position=1, kind="trigger", description=f"{MARKER} was full", ref=ref(resource)
    )
    Improvement.objects.create(
        number=incident.number,
        postmortem=row,
        cause=cause,
        resource=resource,
        title=f"watch {MARKER}",
        kind="detect",
        due_on=now.date() - timedelta(days=3),
        owner_team=team,
        no_check_reason=f"{MARKER} has no metric",
        created_by_name="tests",
    )


def _design(team: Team, service: Resource) -> None:
    """A requirement with an option, a decision and a scorecard; numbered like the incident."""
    row = Requirement.objects.create(
        number=7, title=f"more {MARKER}", need=MARKER, drivers=[MARKER], owner_team=team, created_by_name="tests"
    )
    row.services.add(service)
    option = Option.objects.create(
        requirement=row, position=1, name=f"{MARKER} twice", structure=f"series: {MARKER}\n  {MARKER} | ? |",
        created_by_name="tests",
    )  # fmt: skip
    Decision.objects.create(
        number=7, title=f"take {MARKER}", requirement=row, option=option, owner_team=team, decision=MARKER,
        created_by_name="tests",
    )  # fmt: skip
    Scorecard.objects.create(
        number=7, title=f"which {MARKER}", owner_team=team, candidates=[MARKER], winner=MARKER, created_by_name="tests"
    )


def _release(service: Resource) -> tuple[Artefact, Rollout]:
    """A version, how it is rolled out, and a release with it; numbered like the incident."""
    environment = Environment.objects.create(name="production", position=10)
    artefact = Artefact.objects.create(service=service, version=MARKER, source=MARKER, created_by_name=MARKER)
    rollout = Rollout.objects.create(
        service=service, environment=environment, procedure=Procedure.objects.get(), targets={"from": "service"},
        batches=[1], params={"version": MARKER},
    )  # fmt: skip
    release = Release.objects.create(
        number=7, title=f"{MARKER} goes out", environment=environment, state="paused", requested_by_name=MARKER,
        outcome={"code": "by_person", "params": {"by": MARKER, "comment": MARKER}},
    )  # fmt: skip
    item = ReleaseItem.objects.create(release=release, position=1, service=service, artefact=artefact, rollout=rollout)
    ReleaseBatch.objects.create(item=item, number=1, targets=[{"ref": ref(service), "name": MARKER}])
    return artefact, rollout


def _outage(team: Team, resource: Resource, now: Any) -> AlertGroup:
    alerting.put_rule_file(actor=SYSTEM, name="g.yml", text=RULES)
    labels = {"alertname": "TargetDown", "service": MARKER}
    group = AlertGroup.objects.create(key=MARKER, labels=labels, severity="critical", started_at=now, team=team)
    alert = Alert.objects.create(
        rule=Rule.objects.get(),
        group=group,
        fingerprint="0" * 16,
        name="TargetDown",
        severity="critical",
        state="firing",
        active_at=now,
        labels=labels,
        annotations={"summary": f"{MARKER} is down"},
    )
    AlertResource.objects.create(alert=alert, resource=resource)
    return group


def _run(resource: Resource, incident: Incident) -> Run:
    runbooks.put_procedure(actor=SYSTEM, name="restart", text=PROCEDURE)
    procedure = Procedure.objects.get()
    run = Run.objects.create(
        procedure=procedure,
        version=procedure.versions.get(),
        grade="reversible",
        content_hash="0" * 64,
        state="waiting",
        reason=f"because of {MARKER}",
        about_ref=ref(incident),
        incident_number=incident.number,
        requested_by_name="tests",
        params={"what": MARKER},
        targets=[{"ref": ref(resource), "name": resource.name}],
    )
    RunTarget.objects.create(run=run, procedure=procedure, resource=resource)
    call = {"method": "POST", "url": f"http://127.0.0.1:9/{MARKER}", "expect_status": [200], "timeout_seconds": 10}
    RunStep.objects.create(run=run, position=0, name="call", kind="http", state="pending", input=call)
    return run
