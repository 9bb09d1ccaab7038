"""Decision records (ADR) and scorecards for choices of technology."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.document import bytes_of
from tongchou.api.named import team
from tongchou.api.paging import Offset, page_of
from tongchou.changes import decision_actions as actions
from tongchou.changes import decision_document, stated
from tongchou.changes import requirement_reads as reads
from tongchou.changes.models_requirements import Decision
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.refs import ref

router = Router(tags=["decisions"])
KIND = "changes.decision"


class RecordIn(Body):
    """A decision record. `owner_team` is a team's name; one of a requirement is owned like it. Texts are Markdown."""

    title: str = Field(max_length=200)
    context: str = Field(default="", max_length=stated.MAX_TEXT)
    decision: str = Field(default="", max_length=stated.MAX_TEXT)
    consequences: str = Field(default="", max_length=stated.MAX_TEXT)
    requirement: UUID | None = None
    owner_team: str | None = None
    supersedes: UUID | None = None
    custom: dict[str, Any] = Field(default_factory=dict)

    def draft(self) -> actions.Draft:
        """The same for the action; Invalid for a team nobody knows."""
        told = self.model_dump(exclude={"owner_team", "custom", "version"})
        return actions.Draft(**told, owner_team=team(self.owner_team, "owner_team"))


class DecisionChange(RecordIn):
    """The whole record anew, while it is proposed; `version` is the one you read."""

    version: int


class DeprecateIn(Body):
    """Why it no longer holds."""

    note: str = Field(min_length=1, max_length=4000)


class DecisionOut(Schema):
    """A decision record in lists."""

    id: UUID
    ref: str
    number: int
    name: str
    title: str
    status: str
    version: int
    requirement_id: UUID | None
    option_id: UUID | None
    owner_team: str | None
    supersedes: str | None
    decided_at: datetime | None
    decided_by: str
    custom: dict[str, Any] = Field(default_factory=dict)


class DecisionPage(Schema):
    """A page of decision records."""

    items: list[DecisionOut]
    count: int


class DecisionDetail(DecisionOut):
    """All of it. `considered`: the options as they were then; `content_hash`: what it was decided on."""

    context: str
    considered: list[dict[str, Any]]
    decision: str
    consequences: str
    content_hash: str
    superseded_by: list[str]
    created_at: datetime
    created_by: str


def decision_out(row: Decision, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    """A record in lists."""
    same = ("id", "number", "name", "title", "status", "version", "requirement_id", "option_id", "decided_at")
    return {
        **{name: getattr(row, name) for name in same},
        "ref": ref(row),
        "owner_team": row.owner_team.name if row.owner_team else None,
        "supersedes": row.supersedes.name if row.supersedes else None,
        "decided_by": row.decided_by_name,
        "custom": shown(row, fields),
    }


def decision_detail(row: Decision) -> dict[str, Any]:
    """All of a record."""
    same = ("context", "considered", "decision", "consequences", "content_hash", "created_at")
    return {
        **decision_out(row),
        **{name: getattr(row, name) for name in same},
        "superseded_by": [each.name for each in row.superseded_by.all() if each.status != "proposed"],
        "created_by": row.created_by_name,
    }


@router.get("/decisions", response=DecisionPage)
def list_decisions(
    request: HttpRequest, status: str = "", q: str = "", limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List decision records, newest first; `status` one or several by commas. cf.<custom field> filters by a field."""
    rows = reads.decisions(actor_of(request))
    if status:
        rows = rows.filter(status__in=status.split(","))
    if q:
        rows = rows.filter(title__icontains=q)
    rows, fields = custom_values.filtered(request, rows, KIND), fields_of(KIND)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [decision_out(each, fields) for each in page_of(rows, offset, limit)], "count": rows.count()}


@router.post("/decisions", response={201: DecisionDetail})
def propose_decision(request: HttpRequest, body: RecordIn) -> Status[dict[str, Any]]:
    """Write a record down, as proposed."""
    actor = actor_of(request)
    with transaction.atomic():
        row = actions.propose(actor=actor, draft=body.draft())
        custom_values.start(actor, row, KIND, body.custom)
    return Status(201, decision_detail(reads.decision(actor, decision_id=row.pk)))


@router.get("/decisions/{uuid:decision_id}", response=DecisionDetail)
def get_decision(request: HttpRequest, decision_id: UUID) -> dict[str, Any]:
    """Return one record."""
    return decision_detail(reads.decision(actor_of(request), decision_id=decision_id))


@router.put("/decisions/{uuid:decision_id}", response=DecisionDetail)
def change_decision(request: HttpRequest, decision_id: UUID, body: DecisionChange) -> dict[str, Any]:
    """Write a proposed one anew; an accepted one is superseded by another instead."""
    actor = actor_of(request)
    row = reads.decision(actor, decision_id=decision_id)
    with transaction.atomic():
        row = actions.change(actor=actor, decision=row, version=body.version, draft=body.draft())
        custom_values.put(actor, row, body.custom)
    return decision_detail(reads.decision(actor, decision_id=decision_id))


@router.post("/decisions/{uuid:decision_id}/accept", response=DecisionDetail)
def accept_decision(request: HttpRequest, decision_id: UUID) -> dict[str, Any]:
    """Accept a proposed one; the record it names is superseded."""
    actor = actor_of(request)
    actions.accept(actor=actor, decision=reads.decision(actor, decision_id=decision_id))
    return decision_detail(reads.decision(actor, decision_id=decision_id))


@router.post("/decisions/{uuid:decision_id}/deprecate", response=DecisionDetail)
def deprecate_decision(request: HttpRequest, decision_id: UUID, body: DeprecateIn) -> dict[str, Any]:
    """Say that it no longer holds, without another in its place."""
    actor = actor_of(request)
    row = reads.decision(actor, decision_id=decision_id)
    actions.deprecate(actor=actor, decision=row, note=body.note)
    return decision_detail(reads.decision(actor, decision_id=decision_id))


@router.get("/decisions/{uuid:decision_id}.md", openapi_extra=bytes_of("text/markdown"))
def export_decision(request: HttpRequest, decision_id: UUID) -> HttpResponse:
    """Return the record as a Markdown document, in the caller's language."""
    row = reads.decision(actor_of(request), decision_id=decision_id)
    headers = {"Content-Disposition": f'inline; filename="{row.name}.md"'}
    return HttpResponse(decision_document.markdown(row), content_type="text/markdown; charset=utf-8", headers=headers)
