"""Incidents: list, detail with timeline and suspects, and what people do about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import get_language
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.refs import ref
from tongchou.incidents import actions, reads
from tongchou.incidents.models import Incident, IncidentGroup, IncidentState
from tongchou.incidents.timeline import Entry
from tongchou.runbooks.suggest import Suggestion

router = Router(tags=["incidents"])
KIND = "incidents.incident"
MAX_COMMENT = actions.MAX_NOTE


class IncidentOut(Schema):
    """An incident in lists."""

    id: UUID
    ref: str
    number: int
    name: str
    title: str
    severity: str
    state: str
    started_at: datetime
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str
    mitigated_at: datetime | None
    recovered_at: datetime | None
    resolved_at: datetime | None
    commander: str | None
    group_count: int | None = None
    symptom_count: int | None = None
    custom: dict[str, Any] = Field(default_factory=dict)


class IncidentPage(Schema):
    """A page of incidents."""

    items: list[IncidentOut]
    count: int


class ReasonOut(Schema):
    """Why a suspect has points; `text` is in the caller's language."""

    code: str
    text: str
    weight: float


class SuspectOut(Schema):
    """A resource or a change that may be the cause; the score is the sum of the reasons' weights."""

    rank: int
    ref: str
    kind: str
    name: str
    resource_kind: str
    score: float
    reasons: list[ReasonOut]
    about: list[str]


class BaselineOut(Schema):
    """One answer of a baseline: a change with its time, or a resource with its z-score (standard deviations)."""

    ref: str
    name: str
    rank: int
    at: datetime | None = None
    z: float | None = None


class BaselinesOut(Schema):
    """What two simple methods would have answered to the same evidence, best first, at most five each."""

    latest_change: list[BaselineOut]
    largest_z: list[BaselineOut]


class GroupAlertOut(Schema):
    """An alert of a group."""

    id: UUID
    name: str
    state: str
    severity: str
    labels: dict[str, Any]
    annotations: dict[str, Any]
    active_at: datetime
    fired_at: datetime | None
    resolved_at: datetime | None


class GroupOut(Schema):
    """An alert group, and why it belongs here."""

    id: UUID
    ref: str
    key: str
    labels: dict[str, Any]
    state: str
    started_at: datetime
    joined_at: datetime
    closed_at: datetime | None
    reason: str
    reason_code: str
    alerts: list[GroupAlertOut]


class AffectedOut(Schema):
    """A resource the incident touches; `distance` is hops to the nearest symptom."""

    ref: str
    kind: str
    name: str
    role: str
    distance: int
    owner: str | None


class SuggestionOut(Schema):
    """A procedure whose matchers fit the alerts, filled in as far as they tell; `targets` are refs."""

    name: str
    title: str
    grade: str
    targets: list[str]
    target_names: list[str]
    params: dict[str, Any]
    max_targets: int


class EntryOut(Schema):
    """A line of the timeline, in the caller's language."""

    event_id: int
    at: datetime
    actor: str
    verb: str
    kind: str
    icon: str
    tone: str
    text: str
    ref: str


class TimelineOut(Schema):
    """Entries, newest first, and the cursor for older ones."""

    items: list[EntryOut]
    next_cursor: str | None


class IncidentDetail(IncidentOut):
    """An incident with all that belongs to it and the newest page of its timeline."""

    previous: str | None
    suspects: list[SuspectOut]
    baselines: BaselinesOut
    ranked_at: datetime | None
    groups: list[GroupOut]
    affected: list[AffectedOut]
    suggested_procedures: list[SuggestionOut]
    timeline: TimelineOut


class CommentIn(Body):
    """What the person says about it."""

    comment: str = Field(default="", max_length=MAX_COMMENT)


class ResolveIn(CommentIn):
    """`force` resolves while alerts fire; it needs a comment."""

    force: bool = False


class NoteIn(Body):
    """A line for the timeline."""

    text: str = Field(min_length=1, max_length=MAX_COMMENT)


def _incident(row: Incident, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    same = ("id", "number", "name", "title", "severity", "state", "started_at", "opened_at", "acknowledged_at")
    times = ("mitigated_at", "recovered_at", "resolved_at")
    return {
        **{name: getattr(row, name) for name in (*same, *times)},
        "ref": ref(row),
        "acknowledged_by": row.acknowledged_by_name,
        "commander": row.commander.username if row.commander else None,
        "group_count": getattr(row, "group_count", None),
        "symptom_count": getattr(row, "symptom_count", None),
        "custom": shown(row, fields),
    }


def _group(link: IncidentGroup) -> dict[str, Any]:
    group = link.group
    return {
        "id": group.pk,
        "ref": ref(group),
        "key": group.key,
        "labels": group.labels,
        "state": group.state,
        "started_at": link.started_at,
        "joined_at": link.joined_at,
        "closed_at": group.closed_at,
        "reason": reads.join_reason(link),
        "reason_code": link.reason_code,
        "alerts": list(group.alerts.all()),
    }


def _entry(row: Entry) -> dict[str, Any]:
    return {name: getattr(row, name) for name in EntryOut.model_fields}


def _timeline(incident: Incident, cursor: str | None, limit: int) -> dict[str, Any]:
    page = reads.timeline_page(incident, cursor=cursor, limit=limit)
    return {"items": [_entry(each) for each in page.items], "next_cursor": page.next_cursor}


@router.get("/incidents", response=IncidentPage)
def list_incidents(
    request: HttpRequest, state: str | None = None, severity: str | None = None, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List incidents, newest first.

    `state` is open, acknowledged, mitigated or resolved, several by commas; `unresolved` is all but the last.
    cf.<custom field> filters by a custom field.
    """
    states = _states(state)
    rows = reads.listing(actor_of(request), states=states)
    if severity:
        rows = rows.filter(severity__in=severity.split(","))
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    rows, fields = custom_values.filtered(request, rows, KIND), fields_of(KIND)
    return {"items": [_incident(each, fields) for each in page_of(rows, offset, limit)], "count": rows.count()}


def _states(state: str | None) -> list[str] | None:
    if not state:
        return None
    if state == "unresolved":
        return [each for each in IncidentState.values if each != IncidentState.RESOLVED]
    return state.split(",")


@router.get("/incidents/{uuid:incident_id}", response=IncidentDetail)
def get_incident(request: HttpRequest, incident_id: UUID, timeline_limit: int = 100) -> dict[str, Any]:
    """Return an incident with suspects, groups, affected resources, suggested procedures and timeline."""
    incident = reads.get(actor_of(request), incident_id)
    links = reads.groups(incident)
    return {
        **_incident(incident),
        "previous": ref(incident.previous) if incident.previous else None,
        "ranked_at": incident.ranked_at,
        "suspects": [_suspect(each) for each in reads.suspects(incident)],
        "baselines": reads.baselines(incident),
        "groups": [_group(each) for each in links],
        "affected": [
            {
                "ref": ref(row.resource),
                "kind": row.resource.kind,
                "name": row.resource.name,
                "role": row.role,
                "distance": row.distance,
                "owner": row.resource.owner.name if row.resource.owner else None,
            }
            for row in reads.affected(incident)
        ],
        "suggested_procedures": [_suggestion(each) for each in reads.suggested_procedures(links)],
        "timeline": _timeline(incident, None, timeline_limit),
    }


def _suggestion(each: Suggestion) -> dict[str, Any]:
    language = "zh" if (get_language() or "").startswith("zh") else "en"
    title = each.title.get(language) or next(iter(each.title.values()), each.name)
    names = ("name", "grade", "targets", "target_names", "params", "max_targets")
    return {**{name: getattr(each, name) for name in names}, "title": title}


def _suspect(row: reads.SuspectView) -> dict[str, Any]:
    names = ("rank", "ref", "kind", "name", "resource_kind", "score", "about")
    return {
        **{name: getattr(row, name) for name in names},
        "reasons": [{"code": each.code, "text": each.text, "weight": each.weight} for each in row.reasons],
    }


@router.get("/incidents/{uuid:incident_id}/timeline", response=TimelineOut)
def get_timeline(
    request: HttpRequest, incident_id: UUID, cursor: str | None = None, limit: int = 100
) -> dict[str, Any]:
    """Return a page of the timeline, newest first; `cursor` is the `next_cursor` of the page before."""
    return _timeline(reads.get(actor_of(request), incident_id), cursor, limit)


@router.post("/incidents/{uuid:incident_id}/acknowledge", response=IncidentOut)
def acknowledge(request: HttpRequest, incident_id: UUID) -> dict[str, Any]:
    """Take care of an open incident."""
    actor = actor_of(request)
    return _incident(actions.acknowledge(actor=actor, incident=reads.get(actor, incident_id)))


@router.post("/incidents/{uuid:incident_id}/command", response=IncidentOut)
def take_command(request: HttpRequest, incident_id: UUID) -> dict[str, Any]:
    """Become its commander."""
    actor = actor_of(request)
    return _incident(actions.take_command(actor=actor, incident=reads.get(actor, incident_id)))


@router.post("/incidents/{uuid:incident_id}/mitigate", response=IncidentOut)
def mitigate(request: HttpRequest, incident_id: UUID, body: CommentIn | None = None) -> dict[str, Any]:
    """Say that the impact has ended."""
    actor, comment = actor_of(request), body.comment if body else ""
    return _incident(actions.mitigate(actor=actor, incident=reads.get(actor, incident_id), comment=comment))


@router.post("/incidents/{uuid:incident_id}/resolve", response=IncidentOut)
def resolve(request: HttpRequest, incident_id: UUID, body: ResolveIn | None = None) -> dict[str, Any]:
    """Close an incident for good."""
    actor, told = actor_of(request), body or ResolveIn()
    incident = reads.get(actor, incident_id)
    return _incident(actions.resolve(actor=actor, incident=incident, comment=told.comment, force=told.force))


@router.post("/incidents/{uuid:incident_id}/reopen", response=IncidentOut)
def reopen(request: HttpRequest, incident_id: UUID, body: CommentIn | None = None) -> dict[str, Any]:
    """Open a mitigated or resolved incident again."""
    actor, comment = actor_of(request), body.comment if body else ""
    return _incident(actions.reopen(actor=actor, incident=reads.get(actor, incident_id), comment=comment))


@router.post("/incidents/{uuid:incident_id}/notes", response={201: EntryOut})
def add_note(request: HttpRequest, incident_id: UUID, body: NoteIn) -> Status[dict[str, Any]]:
    """Write a line on the timeline; the answer is that line."""
    actor = actor_of(request)
    event = actions.add_note(actor=actor, incident=reads.get(actor, incident_id), text=body.text)
    return Status(201, _entry(reads.entries([event])[0]))
