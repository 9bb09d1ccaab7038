"""Teams: who owns what."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset
from tongchou.core import people
from tongchou.core.access import check
from tongchou.core.models import Team

router = Router(tags=["core"])


class TeamIn(Body):
    """A team to create."""

    name: str = Field(min_length=1, max_length=120)


class TeamOut(Schema):
    """A team."""

    id: UUID
    name: str
    created_at: datetime


class TeamPage(Schema):
    """A page of teams."""

    items: list[TeamOut]
    count: int


@router.get("/teams", response=TeamPage)
def list_teams(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List teams by name."""
    check(actor_of(request), "access.view")
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    rows = Team.objects.order_by("name")
    return {"items": list(rows[offset : offset + limit]), "count": rows.count()}


@router.post("/teams", response={201: TeamOut})
def create_team(request: HttpRequest, body: TeamIn) -> Status[Team]:
    """Create a team; 409 when there is one of this name."""
    return Status(201, people.create_team(actor=actor_of(request), name=body.name))
