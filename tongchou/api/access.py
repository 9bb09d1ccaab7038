"""Sessions, service accounts and the access review."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import TokenCreated, actor_of
from tongchou.api.paging import Offset
from tongchou.core import access_review, people, service_accounts, sessions, tokens
from tongchou.core.access import check
from tongchou.core.models import ApiToken, Membership, Role, Team, User
from tongchou.core.problems import Invalid, NotFound

router = Router(tags=["core"])


class SessionOut(Schema):
    """Where somebody is signed in. The session's key is never shown."""

    id: int
    username: str
    device: str
    address: str
    method: str
    signed_in_at: datetime
    last_seen_at: datetime


def _session(row: UserSession) -> dict[str, Any]:
    return {
        "id": row.pk,
        "username": row.user.username,
        "device": sessions.device_of(row.user_agent),
        "address": row.ip,
        "method": str(row.data.get("method", "")) if isinstance(row.data, dict) else "",
        "signed_in_at": row.created_at,
        "last_seen_at": row.last_seen_at,
    }


class SessionPage(Schema):
    """The live sessions of one account."""

    items: list[SessionOut]
    count: int


@router.get("/sessions", response=SessionPage)
def list_sessions(request: HttpRequest, username: str | None = None) -> dict[str, Any]:
    """List one's own sessions; an administrator names anybody."""
    actor = actor_of(request)
    if username is not None:
        check(actor, "access.manage")
        user = get_object_or_404(User, username=username)
    else:
        user = get_object_or_404(User, pk=actor.user_id)
    items = [_session(each) for each in sessions.of_user(user)]
    return {"items": items, "count": len(items)}


@router.delete("/sessions/{int:session_id}", response={204: None})
def end_session(request: HttpRequest, session_id: int) -> Status[None]:
    """End one session: one's own, or an administrator anybody's."""
    actor = actor_of(request)
    row = UserSession.objects.filter(pk=session_id).first()
    if row is None or row.user_id != actor.user_id:
        check(actor, "access.manage")
    sessions.end(actor=actor, session=sessions.find(session_id))
    return Status(204, None)


class ServiceAccountIn(Body):
    """A service account to make: `owner` is a user name, `team` a team's name; one of them is wanted."""

    username: str = Field(min_length=1, max_length=150)
    role: Role | None = None
    owner: str | None = Field(default=None, max_length=150)
    team: str | None = Field(default=None, max_length=120)
    purpose: str = Field(default="", max_length=service_accounts.MAX_PURPOSE)


class ServiceAccountChange(Body):
    """What may be changed: owner, team, purpose, whether it may be used. What is not given stays."""

    owner: str | None = Field(default=None, max_length=150)
    team: str | None = Field(default=None, max_length=120)
    purpose: str | None = Field(default=None, max_length=service_accounts.MAX_PURPOSE)
    active: bool | None = None


class ServiceAccountOut(Schema):
    """A service account as the API shows it."""

    id: UUID
    username: str
    owner: str | None
    team: str | None
    purpose: str
    is_active: bool
    created_at: datetime


class ServiceAccountPage(Schema):
    """A page of service accounts."""

    items: list[ServiceAccountOut]
    count: int


def _account(row: User) -> dict[str, Any]:
    return {
        "id": row.pk,
        "username": row.username,
        "owner": row.owner.username if row.owner else None,
        "team": row.owner_team.name if row.owner_team else None,
        "purpose": row.purpose,
        "is_active": row.is_active,
        "created_at": row.date_joined,
    }


def _owner(name: str | None) -> User | None:
    return None if name is None else people.person_named(name, "owner")


def _team(name: str | None) -> Team | None:
    if name is None:
        return None
    row = Team.objects.filter(name=name).first()
    if row is None:
        raise Invalid("team.unknown", _("There is no such team."), field="team", value=name)
    return row


@router.get("/service-accounts", response=ServiceAccountPage)
def list_service_accounts(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List service accounts by name."""
    check(actor_of(request), "access.view")
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    rows = service_accounts.all_of_them()
    return {"items": [_account(each) for each in rows[offset : offset + limit]], "count": rows.count()}


@router.post("/service-accounts", response={201: ServiceAccountOut})
def create_service_account(request: HttpRequest, body: ServiceAccountIn) -> Status[dict[str, Any]]:
    """Make a service account; its tokens are made apart."""
    actor = actor_of(request)
    check(actor, "access.manage")
    row = service_accounts.create(
        actor=actor,
        username=body.username,
        role=body.role,
        owner=_owner(body.owner),
        team=_team(body.team),
        purpose=body.purpose,
    )
    return Status(201, _account(row))


@router.get("/service-accounts/{uuid:account_id}", response=ServiceAccountOut)
def get_service_account(request: HttpRequest, account_id: UUID) -> dict[str, Any]:
    """Return one service account."""
    check(actor_of(request), "access.view")
    return _account(service_accounts.find(account_id))


@router.patch("/service-accounts/{uuid:account_id}", response=ServiceAccountOut)
def change_service_account(request: HttpRequest, account_id: UUID, body: ServiceAccountChange) -> dict[str, Any]:
    """Say who owns it and what it is for; `active: false` ends all its tokens at once and for good."""
    actor = actor_of(request)
    check(actor, "access.manage")
    row, given = service_accounts.find(account_id), body.model_fields_set
    if given & {"owner", "team", "purpose"}:
        row = service_accounts.describe(
            actor=actor,
            account=row,
            owner=_owner(body.owner) if "owner" in given else row.owner,
            team=_team(body.team) if "team" in given else row.owner_team,
            purpose=body.purpose or "" if "purpose" in given else row.purpose,
        )
    if body.active is not None:
        people.set_active(actor=actor, user=row, active=body.active)
    return _account(service_accounts.find(account_id))


class AccountTokenIn(Body):
    """A token of a service account."""

    name: str = Field(min_length=1, max_length=120)
    scopes: list[str] = ["read"]
    expires_in_days: float | None = Field(default=90, gt=0, le=tokens.MAX_DAYS)


def _made(row: ApiToken, text: str) -> Status[dict[str, Any]]:
    names = ("id", "name", "prefix", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    shown = {name: getattr(row, name) for name in names}
    return Status(201, {**shown, "username": row.user.username, "token": text})


@router.post("/service-accounts/{uuid:account_id}/tokens", response={201: TokenCreated})
def create_service_account_token(
    request: HttpRequest, account_id: UUID, body: AccountTokenIn
) -> Status[dict[str, Any]]:
    """Make a token; the answer is the only time it is shown."""
    actor = actor_of(request)
    check(actor, "access.manage")
    expires_at = timezone.now() + timedelta(days=body.expires_in_days) if body.expires_in_days else None
    made = tokens.create(
        actor=actor,
        user=service_accounts.find(account_id),
        name=body.name,
        scopes=body.scopes,
        expires_at=expires_at,
    )
    return _made(*made)


class Rotation(Body):
    """How long the old token goes on."""

    overlap_hours: float = Field(default=24, ge=0, le=tokens.MAX_OVERLAP.total_seconds() / 3600)


@router.post("/tokens/{uuid:token_id}/rotate", response={201: TokenCreated})
def rotate_token(request: HttpRequest, token_id: UUID, body: Rotation | None = None) -> Status[dict[str, Any]]:
    """Make the successor of a token; the old one goes on for the overlap. One's own, or an administrator anybody's."""
    actor = actor_of(request)
    row = ApiToken.objects.select_related("user").filter(pk=token_id).first()
    if row is None or row.user_id != actor.user_id:
        check(actor, "access.manage")
    if row is None:
        raise NotFound("token.unknown", _("There is no such token."))
    hours = body.overlap_hours if body else 24
    return _made(*tokens.rotate(actor=actor, token=row, overlap=timedelta(hours=hours)))


class ReviewLine(Schema):
    """One role of one account, and what tells whether it is still wanted."""

    id: UUID
    username: str
    is_service: bool
    role: str
    team: str | None
    source: str
    group: str | None
    last_sign_in: datetime | None
    last_used_token: datetime | None
    live_tokens: int
    second_factor: bool
    unused: bool
    reviewed_at: datetime | None
    reviewed_by: str


class ReviewPage(Schema):
    """A page of the access review."""

    items: list[ReviewLine]
    count: int


def _line(line: access_review.Line) -> dict[str, Any]:
    held: Membership = line.membership
    return {
        "id": held.pk,
        "username": line.user.username,
        "is_service": line.user.is_service,
        "role": held.role,
        "team": held.team.name if held.team else None,
        "source": held.source,
        "group": held.source_group or None,
        "last_sign_in": line.last_sign_in,
        "last_used_token": line.last_token,
        "live_tokens": line.live_tokens,
        "second_factor": line.second_factor,
        "unused": line.unused,
        "reviewed_at": held.reviewed_at,
        "reviewed_by": held.reviewed_by_name,
    }


@router.get("/access-review", response=ReviewPage)
def list_access(
    request: HttpRequest, reviewed: bool | None = None, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List who can do what; reviewed=false leaves the lines nobody has reviewed."""
    check(actor_of(request), "access.view")
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    rows = access_review.rows()
    if reviewed is not None:
        rows = rows.filter(reviewed_at__isnull=not reviewed)
    return {
        "items": [_line(each) for each in access_review.lines(rows[offset : offset + limit])],
        "count": rows.count(),
    }


@router.post("/access-review/{uuid:line_id}/confirm", response={204: None})
def confirm_access(request: HttpRequest, line_id: UUID) -> Status[None]:
    """Say that a role is still wanted; refused for one's own."""
    check(actor_of(request), "access.manage")
    access_review.confirm(actor=actor_of(request), membership=access_review.find(line_id))
    return Status(204, None)


@router.post("/access-review/{uuid:line_id}/withdraw", response={204: None})
def withdraw_access(request: HttpRequest, line_id: UUID) -> Status[None]:
    """Take a role away at review; refused for one that a group gives."""
    check(actor_of(request), "access.manage")
    access_review.withdraw(actor=actor_of(request), membership=access_review.find(line_id))
    return Status(204, None)
