"""What no shape tells about the rows of tests.rows and the requests of tests.access.walk: what it takes to get through.

`prepare()` mends rows so that the API shows them. MEANT says, by operation, what stands in the address, the query and
the body, and in which state the rows must be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Model
from django.utils import timezone

from tongchou.changes.models import Deployment
from tongchou.changes.models_control import Change
from tongchou.changes.models_drift import Drift
from tongchou.changes.models_iac import Plan
from tongchou.changes.models_playbooks import PlaybookHost
from tongchou.changes.models_release import Artefact, Environment, Release, Rollout
from tongchou.changes.models_requirements import Decision, DesignNumber, Participant, Requirement
from tongchou.core import modules, retention
from tongchou.core.access import system
from tongchou.core.models import ApiToken, Job, Membership, User
from tongchou.core.models_backups import Backup
from tongchou.core.models_calendars import Calendar, Window
from tongchou.core.models_consent import Delegation
from tongchou.core.models_fields import ChoiceSet, FieldDefinition
from tongchou.core.models_lists import Batch, SavedView
from tongchou.core.models_talk import Attachment, Comment, InboxItem
from tongchou.incidents.models import Improvement, Incident, Numbering, Postmortem
from tongchou.inventory import actions
from tongchou.inventory.models import KindDefinition, RelationDefinition, Resource
from tongchou.runbooks.models import Procedure, ProcedureVersion, Run

NOUN = "inventory.resource"
TABLE = "incidents.incident"
DATED = {"time_zone": "UTC", "starts_at": "2026-03-01T22:00", "rule": "", "duration_seconds": 3600}
RATIO = {"error_query": "sum(increase(a[$window]))", "total_query": "sum(increase(b[$window]))"}
CHOICES = [{"value": "a", "en": "A", "zh": "", "colour": ""}]
THINGS: list[tuple[str, str, dict[str, object]]] = [
    ("prefix", "net", {"prefix": "10.0.0.0/16"}),
    ("ip_address", "one", {"address": "10.0.0.9/16"}),
    ("rack", "cabinet", {"rack_units": 42}),
    ("device", "box", {"u_height": 1}),
]
YAML = b"name: procedure-0\ntitle: {en: a, zh: b}\ngrade: read\nsteps: [{name: a, read: {query: up}}]\n"


@dataclass
class Meant:
    """What one operation needs; a value that is a function is asked when there are rows."""

    path: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = field(default_factory=dict)
    rows: list[tuple[type[Model], dict[str, Any]]] = field(default_factory=list)

    def stand(self) -> None:
        """Put the rows into the state the operation begins in."""
        for model, state in self.rows:
            model._default_manager.update(**state)


def asked(said: dict[str, Any]) -> dict[str, Any]:
    """The values, with what only rows know."""
    return {name: each() if callable(each) else each for name, each in said.items()}


def prepare(who: User) -> None:
    """Mend the rows that are of nobody's, about nothing, or in no time zone; `who` will ask."""
    User.objects.filter(username="robot").update(is_service=True, owner=who)
    Comment.objects.update(on=ref(), author=who, parent=None)
    Attachment.objects.update(on=ref(), uploaded_by=who, sha256="0" * 64)
    InboxItem.objects.filter(pk=first(InboxItem)()).update(user=who, ref=ref())
    SavedView.objects.filter(pk=first(SavedView)()).update(owner=who, kind=TABLE)
    Batch.objects.update(user=who, kind=NOUN)
    Delegation.objects.update(principal=who)
    Calendar.objects.update(time_zone="UTC", country="", week=[[["09:00", "18:00"]]] * 7)
    Window.objects.update(**DATED, kind="freeze", days="all", calendar=None, left_out=[], added=[], about=[])
    FieldDefinition.objects.update(kind=NOUN, type="text", label={"en": "a"}, choice_set=None, subkinds=[])
    ChoiceSet.objects.update(choices=CHOICES, label={"en": "a"})
    Postmortem.objects.update(summary="It broke.", edition=9)
    for version in ProcedureVersion.objects.order_by("number"):  # what is written next has a number of its own
        Procedure.objects.filter(pk=version.procedure_id).update(version_number=version.number)
    for kind, name, said in THINGS:
        actions.create_resource(actor=system("tests"), kind=kind, name=name, attributes=said)
    Participant.objects.filter(pk=first(Participant)()).update(user=who)
    for name in ("requirement", "decision", "scorecard"):
        DesignNumber.objects.update_or_create(name=name, defaults={"last": 1000})
    for counter in (1, 2):
        Numbering.objects.update_or_create(pk=counter, defaults={"last": 1000})


def ref() -> str:
    """The Ref of something that is there."""
    return f"{NOUN}:{first(Resource)()}"


def first(model: type[Model], column: str = "pk", **where: Any) -> Callable[[], str]:
    """A function that tells a column of the first row."""
    return lambda: str(model._default_manager.filter(**where).order_by("pk").values_list(column, flat=True)[0])


def left(model: type[Model], column: str = "pk", **where: Any) -> Callable[[], str]:
    """As `first`, where rows may go while they are asked about."""

    def found() -> str:
        rows = model._default_manager.filter(**where).order_by("pk").values_list(column, flat=True)
        return next((str(each) for each in rows[:1]), "00000000-0000-4000-8000-000000000000")

    return found


def soon() -> str:
    """In an hour."""
    return (timezone.now() + timedelta(hours=1)).isoformat()


SERVICE = Meant(path={"account_id": first(User, username="robot")})
REVIEWED = Meant(path={"line_id": first(Membership, user__username="another")})
ABOUT = Meant(query={"ref": ref}, body={"ref": ref})
FIELD = Meant(path={"kind": NOUN, "name": first(FieldDefinition, "name")}, body={"label": {"en": "a"}})
KIND, RELATION = {"name": left(KindDefinition, "name")}, {"name": left(RelationDefinition, "name")}
PREFIX, RACK = {"id": left(Resource, kind="prefix")}, {"id": left(Resource, kind="rack")}
CHANNEL = Meant(body={"kind": "webhook", "settings": {"url": "http://127.0.0.1:9/x"}, "secret": "a" * 32})
BATCH = Meant(path={"id": first(Batch)})
VIEW = Meant(path={"id": first(SavedView)}, body={"kind": TABLE, "name": "mine"})
IMPROVED = Meant(body={"kind": "detect", "owner": "root-of-tests", "check_query": "up", "check_is": "not_empty"})
CAUSE = Meant(body={"kind": "trigger"})
LASTING = Meant(body={"ends_at": soon})
LINE = Meant(path={"id": "1700000000000000000-1"})
WEEK = Meant(body={"time_zone": "UTC", "week": [[["09:00", "18:00"]]] * 7})

WANTED = {"owner": None, "owner_team": None, "services": [], "currency": "CNY", "budget": "5", "slo_percent": "99.9",
          "data_class": "", "mlps_level": None, "load": [], "wanted_on": None, "budget_months": 12}  # fmt: skip
OFFERED = {"resources": [], "changes": [], "risks": [], "structure": "", "currency": "", "sources": {},
           "capex": None, "opex_monthly": None, "energy_kwh_monthly": None, "co2e_kg_monthly": None,
           "lead_days": None}  # fmt: skip
RECORDED = {"requirement": None, "owner_team": None, "supersedes": None}
WEIGHED = RECORDED | {"criteria": [], "candidates": ["A"], "scores": {}}
WEIGHED.pop("supersedes")


def state(model: type[Model], value: str, **more: Any) -> Meant:
    """All rows of a model in a state."""
    return Meant(rows=[(model, {"state": value, **more})])


def deployed() -> str:
    """The Ref of a deployment."""
    return f"changes.deployment:{first(Deployment)()}"


def changed(value: str, *, body: dict[str, Any] | None = None, **more: Any) -> Meant:
    """All changes in a state, and what is said about one."""
    return Meant(body=body or {}, rows=[(Change, {"state": value, **more})])


def released(value: str, *, body: dict[str, Any] | None = None, **more: Any) -> Meant:
    """All releases in a state, and what is said about one."""
    return Meant(body=body or {}, rows=[(Release, {"state": value, **more})])


def rolled_out(column: str) -> Callable[[], str]:
    """A column of the rollout in the first environment."""
    return lambda: str(Rollout.objects.order_by("environment__position").values_list(column, flat=True)[0])


def items() -> list[dict[str, str]]:
    """A version of the service that is rolled out in the first environment."""
    rollout = Rollout.objects.order_by("environment__position").select_related("service")[0]
    version = Artefact.objects.filter(service=rollout.service).values_list("version", flat=True)[0]
    return [{"service": rollout.service.name, "version": version}]


PLAIN = [
    (Rollout, {"targets": {"from": "none"}, "params": {}, "retired_at": None}),
    (Environment, {"needs_previous": False}),
]
RELEASED_TO = {"environment": rolled_out("environment__name")}
MEANT: dict[str, Meant] = {
    "PUT /environments/{name}": Meant(body={"consent": "each"}),
    "POST /versions": Meant(body={"service": rolled_out("service__name"), "digest": "", "version": "new"}),
    "PUT /services/{service}/rollouts/{environment}": Meant(
        path={"service": rolled_out("service__name"), **RELEASED_TO},
        body={
            "procedure": "procedure-0",
            "on_failure": "pause",
            "batches": [1],
            "params": {},
            "checks": [],
            "targets": {"from": "none"},
            "rollback_procedure": "",
            "rollback_params": {},
        },
    ),
    "POST /releases": Meant(body={**RELEASED_TO, "items": items}, rows=PLAIN),
    "POST /releases/{number}/replan": Meant(rows=[*PLAIN, (Release, {"state": "draft"})]),
    "POST /releases/{number}/ask": released("draft"),
    "POST /releases/{number}/pause": released("running"),
    "POST /releases/{number}/resume": released("paused"),
    "POST /releases/{number}/leave": released("paused", body={"reason": "because"}),
    "POST /releases/{number}/cancel": released("ready", body={"reason": "because"}),
    "POST /incidents/{incident_id}/caused-by": Meant(body={"ref": deployed}),
    "POST /changes/{number}/cancel": changed("assess", body={"reason": "because"}),
    "POST /changes/{number}/finish": changed("implement", body={"backed_out": True}),
    "POST /changes/{number}/close": changed("review", body={"outcome": "successful"}),
    "PUT /change-templates/{name}": Meant(
        body={"tasks": [{"title": "Restart it"}], "backout": "x", "verification": "x"}
    ),
    "POST /gate/break-glass": Meant(body={"service": first(Resource, "name", kind="service")}),
    "POST /runs/{run_id}/pause": state(Run, "running"),
    "POST /dashboard-imports": Meant(body={"dashboard": {"title": "Words", "panels": []}}),
    "POST /backups": Meant(rows=[(Backup, {"state": "done"})]),
    "POST /service-accounts": Meant(body={"owner": "root-of-tests"}),
    "GET /service-accounts/{account_id}": SERVICE,
    "PATCH /service-accounts/{account_id}": SERVICE,
    "POST /service-accounts/{account_id}/tokens": SERVICE,
    "POST /tokens/{token_id}/rotate": Meant(path={"token_id": first(ApiToken, name="t")}),
    "POST /access-review/{line_id}/confirm": REVIEWED,
    "POST /access-review/{line_id}/withdraw": REVIEWED,
    "POST /channels": CHANNEL,
    "PUT /channels/{name}": CHANNEL,
    "PUT /approval-policies/{name}": Meant(
        body={"needs": [{"who": "role:approver", "count": 1}], "action": "runbooks.run"}
    ),
    "POST /delegations": Meant(body={"to": "another", "until": soon}),
    "POST /imports": Meant(query={"kind": NOUN}, body=b"kind,name\nservice,imported\n"),
    "POST /bulk": Meant(body={"kind": NOUN, "change": "retire"}),
    "GET /batches/{id}": BATCH,
    "POST /batches/{id}/run": BATCH,
    "POST /batches/{id}/undo": BATCH,
    "PUT /calendars/{name}": WEEK,
    "PUT /windows": Meant(body={**DATED, "kind": "freeze"}),
    "PUT /deployment-sources/{name}": Meant(body={"secret": "0123456789abcdef" * 4}),
    "PUT /build-servers/{name}": Meant(
        body={"url": "http://127.0.0.1:1/jenkins", "sender": "", "poll_every_seconds": 60}
    ),
    "POST /drift/{drift_id}": Meant(
        body={"decision": "revert", "reason": "because"}, rows=[(Drift, {"state": "open"})]
    ),
    "POST /playbook-checks/{check_id}/run": Meant(rows=[(PlaybookHost, {"state": "ok"})]),
    "POST /plans/{plan_id}/approval": state(Plan, "ready", sha256="0" * 64),
    "POST /plans/{plan_id}/discard": state(Plan, "ready"),
    "POST /plans/{plan_id}/change": state(Plan, "ready", sha256="0" * 64),
    "POST /drift-ignore-rules": Meant(body={"reason": "because", "path": "/etc/motd", "until": None}),
    "PUT /settings/{key}": Meant(body={"value": True}),
    "POST /jobs/{job_id}/retry": state(Job, "dead"),
    "GET /kinds/{name}": Meant(path={"name": "host"}),
    "POST /kinds": Meant(body={"name": "badge_reader", "label": {"en": "Badge reader"}}),
    "PUT /kinds/{name}": Meant(path=KIND, body={"label": {"en": "Badge reader"}}),
    "DELETE /kinds/{name}": Meant(path=KIND),
    "POST /kinds/{name}/retire": Meant(path=KIND, rows=[(KindDefinition, {"retired_at": None})]),
    "POST /kinds/{name}/restore": Meant(path=KIND, rows=[(KindDefinition, {"retired_at": timezone.now()})]),
    "POST /relation-types": Meant(
        body={"name": "guards", "label": {"en": "guards"}, "reverse_label": {"en": "is guarded by"}}
    ),
    "PUT /relation-types/{name}": Meant(
        path=RELATION, body={"label": {"en": "guards"}, "reverse_label": {"en": "is guarded by"}}
    ),
    "DELETE /relation-types/{name}": Meant(path=RELATION),
    "POST /relation-types/{name}/retire": Meant(path=RELATION, rows=[(RelationDefinition, {"retired_at": None})]),
    "POST /relation-types/{name}/restore": Meant(
        path=RELATION, rows=[(RelationDefinition, {"retired_at": timezone.now()})]
    ),
    "GET /ip/prefixes/{id}": Meant(path=PREFIX),
    "GET /ip/prefixes/{id}/addresses": Meant(path=PREFIX),
    "POST /ip/prefixes/{id}/addresses": Meant(path=PREFIX, body={"assigned_to": None}),
    "GET /ip/prefixes/{id}/next-free": Meant(path=PREFIX),
    "POST /ip/prefixes/{id}/prefixes": Meant(path=PREFIX, body={"length": 24}),
    "GET /ip/find": Meant(query={"q": "10.0.0.1"}),
    "POST /ip/{id}/release": Meant(path={"id": left(Resource, kind="ip_address")}),
    "GET /racks/{id}": Meant(path=RACK),
    "GET /racks/{id}/next-free": Meant(path=RACK, query={"height": 1}),
    "POST /racks/{id}/mounts": Meant(
        path=RACK, body={"resource_id": left(Resource, kind="device"), "position": 1, "height": 1}
    ),
    "POST /custom-fields": Meant(body={"kind": NOUN, "name": "rack", "type": "text", "label": {"en": "Rack"}}),
    "GET /custom-fields/{kind}/{name}": FIELD,
    "PUT /custom-fields/{kind}/{name}": FIELD,
    "DELETE /custom-fields/{kind}/{name}": FIELD,
    "POST /custom-fields/{kind}/{name}/restore": Meant(
        path=FIELD.path, rows=[(FieldDefinition, {"deleted_at": timezone.now()})]
    ),
    "PUT /custom-fields/{kind}": Meant(path={"kind": NOUN}),
    "PUT /choice-sets/{name}": Meant(body={"choices": CHOICES}),
    "GET /custom/{ref}": Meant(path={"ref": ref}),
    "PUT /custom/{ref}": Meant(path={"ref": ref}),
    "POST /postmortems/{postmortem_id}/improvements": IMPROVED,
    "PUT /improvements/{improvement_id}": IMPROVED,
    "POST /improvements/{improvement_id}/close": state(Improvement, "proving", no_check_reason="none", check_query=""),
    "POST /improvements/{improvement_id}/reopen": state(Improvement, "done"),
    "POST /improvement-checks/try": Meant(body={"check_is": "not_empty", "check_query": "up"}),
    "POST /incidents/{incident_id}/resolve": Meant(body={"force": True, "comment": "because"}),
    "POST /incidents/{incident_id}/reopen": state(Incident, "resolved", resolved_at=timezone.now()),
    "GET /resources/{id}/path": Meant(query={"to": first(Resource)}),
    "POST /views": VIEW,
    "PATCH /views/{id}": Meant(path=VIEW.path, body={"name": "mine"}),
    "DELETE /views/{id}": VIEW,
    "POST /views/{id}/restore": Meant(path=VIEW.path, rows=[(SavedView, {"deleted_at": timezone.now()})]),
    "PUT /modules/{name}": Meant(path={"name": lambda: modules.known()[0].name}),
    "POST /requirements": Meant(body=WANTED),
    "PUT /requirements/{requirement_id}": Meant(body=WANTED),
    "DELETE /requirements/{requirement_id}": state(Requirement, "draft"),
    "POST /requirements/{requirement_id}/submit": state(Requirement, "draft", need="It is needed."),
    "PUT /requirements/{requirement_id}/checklist": Meant(
        body={"answers": []}, rows=[(Requirement, {"state": "in_review"})]
    ),
    "POST /requirements/{requirement_id}/participants": Meant(body={"users": ["another"]}),
    "POST /requirements/{requirement_id}/opinion": Meant(body={"answer": "yes"}),
    "POST /requirements/{requirement_id}/request-acceptance": state(Requirement, "in_review"),
    "POST /requirements/{requirement_id}/reopen": state(Requirement, "withdrawn"),
    "POST /requirements/{requirement_id}/done": state(Requirement, "decided"),
    "POST /requirements/{requirement_id}/options": Meant(body=OFFERED | {"name": "another"}),
    "PUT /requirement-options/{option_id}": Meant(body=OFFERED | {"name": "another"}),
    "DELETE /requirement-options/{option_id}": Meant(rows=[(Decision, {"option": None})]),
    "POST /availability/compute": Meant(body={"structure": "series: s\n  a | 99% | vendor: v"}),
    "GET /availability/proposal": Meant(query={"resource_id": first(Resource, kind="service")}),
    "POST /decisions": Meant(body=RECORDED),
    "PUT /decisions/{decision_id}": Meant(body=RECORDED),
    "POST /scorecards": Meant(body=WEIGHED),
    "PUT /scorecards/{scorecard_id}": Meant(body=WEIGHED),
    "POST /postmortems/{postmortem_id}/return": state(Postmortem, "review"),
    "POST /postmortems/{postmortem_id}/publish": state(Postmortem, "review"),
    "POST /postmortems/{postmortem_id}/revise": state(Postmortem, "published", edition=1),
    "POST /postmortems/{postmortem_id}/causes": CAUSE,
    "PUT /postmortem-causes/{cause_id}": CAUSE,
    "PUT /procedures/{name}": Meant(path={"name": "procedure-0"}, body=YAML),
    "POST /runs/{run_id}/cancel": state(Run, "queued"),
    "POST /runs/{run_id}/retry": state(Run, "failed"),
    "POST /runs/{run_id}/resume": state(Run, "paused"),
    "POST /silences": LASTING,
    "POST /silences/{silence_id}/extend": LASTING,
    "PUT /slos/{name}": Meant(body={"title": {"en": "Fast"}, "target": 0.99, **RATIO}),
    "POST /sources": Meant(body={"kind": "host"}),
    "GET /logs/lines/{id}": LINE,
    "GET /logs/lines/{id}/context": LINE,
    "GET /storage/retention/{name}": Meant(path={"name": lambda: retention.classes()[0].name}),
    "GET /comments": ABOUT,
    "POST /comments": Meant(body={"ref": ref, "text": "words"}),
    "POST /comments/{comment_id}/restore": Meant(rows=[(Comment, {"deleted_at": timezone.now()})]),
    "POST /watches": ABOUT,
    "DELETE /watches": ABOUT,
    "PATCH /inbox/{item_id}": Meant(path={"item_id": first(InboxItem)}, body={"state": "read"}),
    "GET /attachments": ABOUT,
    "POST /attachments": Meant(body={"ref": ref, "file": b"some text"}),
    "POST /attachments/{attachment_id}/restore": Meant(rows=[(Attachment, {"deleted_at": timezone.now()})]),
}
