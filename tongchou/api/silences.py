"""Silences: what they match, create, extend, end."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.alerting import matchers as matching
from tongchou.alerting import silences
from tongchou.alerting.models import Silence
from tongchou.api.bodies import Body
from tongchou.api.paging import Offset
from tongchou.core.access import Actor, check_anywhere
from tongchou.telemetry.series import Matcher

router = Router(tags=["alerting"])


def _actor(request: HttpRequest) -> Actor:
    actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    return cast("Actor", actor)


class MatcherRow(Schema):
    """One condition on one label; patterns are RE2 and match the whole value."""

    name: str = Field(max_length=250)
    op: Literal["=", "!=", "=~", "!~"] = "="
    value: str = Field(max_length=matching.MAX_VALUE)


class MatchersIn(Body):
    """All of them have to match."""

    matchers: list[MatcherRow]


class SilenceIn(MatchersIn):
    """A silence to create; without ``starts_at`` it starts now. ``about``: the Ref of a change or an incident."""

    starts_at: datetime | None = None
    ends_at: datetime
    comment: str = Field(max_length=silences.MAX_COMMENT)
    about: str = Field(default="", max_length=120)


class EndIn(Body):
    """A new end of a silence."""

    ends_at: datetime
    comment: str | None = Field(default=None, max_length=silences.MAX_COMMENT)


class SilenceOut(Schema):
    """A silence and its state now."""

    id: UUID
    state: str
    matchers: list[MatcherRow]
    starts_at: datetime
    ends_at: datetime
    comment: str
    about: str
    created_by: str
    created_at: datetime
    updated_at: datetime


class SilenceList(Schema):
    """Silences, those that end last first."""

    items: list[SilenceOut]
    count: int


class MatchedAlert(Schema):
    """An active alert that would be silenced."""

    id: UUID
    name: str
    state: str
    severity: str
    labels: dict[str, str]
    group_id: UUID | None


class PreviewOut(Schema):
    """What matchers match now: all counted, the first hundred listed; and what ended in the last day, by alert name.

    ``looked_back`` false: the day had so many alerts that only the latest 20,000 were looked at.
    """

    count: int
    items: list[MatchedAlert]
    ended_count: int
    ended: dict[str, int]
    looked_back: bool


def _matchers(rows: list[MatcherRow]) -> list[Matcher]:
    return [Matcher(row.name, row.op, row.value) for row in rows]


def _silence(row: Silence) -> dict[str, Any]:
    return {
        "id": row.pk,
        "state": row.state_at(timezone.now()),
        "matchers": row.matchers,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "comment": row.comment,
        "about": row.about,
        "created_by": row.created_by_name,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


@router.get("/silences", response=SilenceList)
def list_silences(
    request: HttpRequest,
    state: Literal["pending", "active", "expired"] | None = None,
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List silences."""
    check_anywhere(_actor(request), "alerting.view")
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    rows = silences.silences(state=state)
    return {"items": [_silence(row) for row in rows[offset : offset + limit]], "count": rows.count()}


@router.post("/silences/preview", response=PreviewOut)
def preview_silence(request: HttpRequest, body: MatchersIn) -> dict[str, Any]:
    """Say what a silence with these matchers would hold now, and would have held in the last day; create nothing."""
    found = silences.preview(actor=_actor(request), matchers=_matchers(body.matchers))
    items = [
        {
            "id": alert.pk,
            "name": alert.name,
            "state": alert.state,
            "severity": alert.severity,
            "labels": alert.labels,
            "group_id": alert.group_id,
        }
        for alert in found.alerts
    ]
    return {
        "count": found.count,
        "items": items,
        "ended_count": found.ended_count,
        "ended": found.ended,
        "looked_back": found.looked_back,
    }


@router.post("/silences", response={201: SilenceOut})
def create_silence(request: HttpRequest, body: SilenceIn) -> Status[dict[str, Any]]:
    """Create a silence."""
    row = silences.create_silence(
        actor=_actor(request),
        matchers=_matchers(body.matchers),
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        comment=body.comment,
        about=body.about,
    )
    return Status(201, _silence(row))


@router.get("/silences/{silence_id}", response=SilenceOut)
def get_silence(request: HttpRequest, silence_id: UUID) -> dict[str, Any]:
    """One silence."""
    check_anywhere(_actor(request), "alerting.view")
    row = Silence.objects.filter(pk=silence_id).first()
    if row is None:
        raise silences.unknown_silence(silence_id)
    return _silence(row)


@router.post("/silences/{silence_id}/extend", response=SilenceOut)
def extend_silence(request: HttpRequest, silence_id: UUID, body: EndIn) -> dict[str, Any]:
    """Give a silence another end; refused once it has ended."""
    return _silence(
        silences.extend_silence(
            actor=_actor(request), silence_id=silence_id, ends_at=body.ends_at, comment=body.comment
        )
    )


@router.post("/silences/{silence_id}/expire", response=SilenceOut)
def expire_silence(request: HttpRequest, silence_id: UUID) -> dict[str, Any]:
    """End a silence now."""
    return _silence(silences.expire_silence(actor=_actor(request), silence_id=silence_id))
