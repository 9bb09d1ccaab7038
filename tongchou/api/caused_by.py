"""Which deployments caused an incident, as somebody said; the link that DORA's failures are counted by."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.incidents import caused_by, reads
from tongchou.incidents.models_caused import CausedBy

router = Router(tags=["incidents"])


class CausedByIn(Body):
    """The Ref of a deployment, changes.deployment:<id>."""

    ref: str = Field(min_length=1, max_length=140)


class CausedByOut(Schema):
    """A deployment an incident names; `via`: person or postmortem."""

    ref: str
    title: str
    via: str
    named_at: datetime
    named_by: str


class CausedByPage(Schema):
    """The deployments an incident names."""

    items: list[CausedByOut]
    count: int


def _row(row: CausedBy) -> dict[str, Any]:
    names = ("ref", "title", "via", "named_at")
    return {**{name: getattr(row, name) for name in names}, "named_by": row.named_by_name}


@router.get("/incidents/{uuid:incident_id}/caused-by", response=CausedByPage)
def list_causes(request: HttpRequest, incident_id: UUID) -> dict[str, Any]:
    """List the deployments that an incident names as its cause."""
    rows = list(CausedBy.objects.filter(incident=reads.get(actor_of(request), incident_id)))
    return {"items": [_row(each) for each in rows], "count": len(rows)}


@router.post("/incidents/{uuid:incident_id}/caused-by", response={201: CausedByOut})
def name_cause(request: HttpRequest, incident_id: UUID, body: CausedByIn) -> Status[dict[str, Any]]:
    """Say that a deployment caused it. Saying it again changes nothing."""
    actor = actor_of(request)
    incident = reads.get(actor, incident_id)
    return Status(201, _row(caused_by.name_cause(actor=actor, incident=incident, deployment=body.ref)))


@router.delete("/incidents/{uuid:incident_id}/caused-by", response={204: None})
def withdraw_cause(request: HttpRequest, incident_id: UUID, ref: str) -> Status[None]:
    """Take back that a deployment (its Ref) caused it."""
    actor = actor_of(request)
    caused_by.withdraw_cause(actor=actor, incident=reads.get(actor, incident_id), deployment=ref[:140])
    return Status(204, None)
