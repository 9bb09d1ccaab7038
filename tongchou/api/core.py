"""People, tokens, approvals, settings, secrets, events and jobs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.paging import Offset, page_of
from tongchou.core import job_control, ledger, people, seal, secrets, settings_store, tokens
from tongchou.core.access import Actor, check
from tongchou.core.models import ApiToken, Event, Job, Membership, Role, User

router = Router(tags=["core"])


def actor_of(request: HttpRequest) -> Actor:
    """Return who acts in this request."""
    actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    if not isinstance(actor, Actor):
        raise TypeError("actor_middleware has not run")
    return actor


class Me(Schema):
    """Who the caller is."""

    kind: str
    name: str
    user_id: UUID | None
    role: str | None
    scopes: list[str]


@router.get("/me", response=Me)
def me(request: HttpRequest) -> dict[str, Any]:
    """Return the caller: kind, role, token scopes."""
    actor = actor_of(request)
    return {
        "kind": actor.kind,
        "name": actor.name,
        "user_id": actor.user_id,
        "role": actor.global_role.value if actor.global_role else None,
        "scopes": list(actor.scopes),
    }


class UserIn(Body):
    """A person to create; without a password a service account."""

    username: str = Field(min_length=1, max_length=150)
    password: str | None = Field(default=None, max_length=200)
    role: Role | None = Role.VIEWER
    display_name: str = Field(default="", max_length=120)
    must_change_password: bool = False


class UserOut(Schema):
    """A person as the API shows them."""

    id: UUID
    username: str
    display_name: str
    is_active: bool
    is_service: bool
    role: str | None
    last_login: datetime | None


def _user(user: User, role: str | None) -> dict[str, Any]:
    return {
        "id": user.pk,
        "username": user.username,
        "display_name": user.display_name,
        "is_active": user.is_active,
        "is_service": user.is_service,
        "role": role,
        "last_login": user.last_login,
    }


class Page(Schema):
    """The envelope of lists."""

    items: list[dict[str, Any]]
    count: int


class UserPage(Schema):
    """A page of people."""

    items: list[UserOut]
    count: int


@router.get("/users", response=UserPage)
def list_users(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List people with their global role."""
    check(actor_of(request), "access.view")
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    users = User.objects.order_by("username")
    rows = list(users[offset : offset + limit])
    roles = dict(Membership.objects.filter(team__isnull=True, user__in=rows).values_list("user_id", "role"))
    return {"items": [_user(each, roles.get(each.pk)) for each in rows], "count": users.count()}


@router.post("/users", response={201: UserOut})
def create_user(request: HttpRequest, body: UserIn) -> Status[dict[str, Any]]:
    """Create a person or a service account."""
    user = people.create_user(
        actor=actor_of(request),
        username=body.username,
        password=body.password,
        role=body.role,
        display_name=body.display_name,
        is_service=body.password is None,
        must_change_password=body.must_change_password,
    )
    return Status(201, _user(user, body.role.value if body.role else None))


class TokenIn(Body):
    """A token to create; `username` defaults to the caller."""

    name: str
    username: str | None = None
    scopes: list[str] = ["read"]
    expires_in_days: float | None = Field(default=90, gt=0, le=tokens.MAX_DAYS)


class TokenOut(Schema):
    """A token as lists show it: never the token itself."""

    id: UUID
    name: str
    prefix: str
    username: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class TokenCreated(TokenOut):
    """The one answer that carries the token."""

    token: str


def _token(row: ApiToken) -> dict[str, Any]:
    names = ("id", "name", "prefix", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    return {**{name: getattr(row, name) for name in names}, "username": row.user.username}


class TokenPage(Schema):
    """A page of tokens."""

    items: list[TokenOut]
    count: int


@router.get("/tokens", response=TokenPage)
def list_tokens(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List tokens: one's own; an administrator sees all."""
    actor = actor_of(request)
    rows: QuerySet[ApiToken] = ApiToken.objects.select_related("user").order_by("-created_at")
    if actor.global_role is not Role.ADMIN:
        rows = rows.filter(user__pk=actor.user_id) if actor.user_id else rows.none()
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_token(each) for each in rows[offset : offset + limit]], "count": rows.count()}


@router.post("/tokens", response={201: TokenCreated})
def create_token(request: HttpRequest, body: TokenIn) -> Status[dict[str, Any]]:
    """Make a token; the answer is the only time it is shown."""
    actor = actor_of(request)
    user = (
        get_object_or_404(User, username=body.username) if body.username else get_object_or_404(User, pk=actor.user_id)
    )
    expires_at = timezone.now() + timedelta(days=body.expires_in_days) if body.expires_in_days else None
    row, token = tokens.create(actor=actor, user=user, name=body.name, scopes=body.scopes, expires_at=expires_at)
    return Status(201, {**_token(row), "token": token})


@router.delete("/tokens/{uuid:token_id}", response={204: None})
def revoke_token(request: HttpRequest, token_id: UUID) -> Status[None]:
    """Revoke a token."""
    actor = actor_of(request)
    row = get_object_or_404(ApiToken, pk=token_id)
    tokens.revoke(actor=actor, token=row)
    return Status(204, None)


class SettingOut(Schema):
    """A run-time setting."""

    key: str
    value: Any


class DescribedSetting(SettingOut):
    """A run-time setting and what it means."""

    type: str
    default: Any
    help: str


class SettingPage(Schema):
    """All run-time settings."""

    items: list[DescribedSetting]
    count: int


@router.get("/settings", response=SettingPage)
def list_settings(request: HttpRequest) -> dict[str, Any]:
    """List run-time settings with their values, defaults and meaning."""
    check(actor_of(request), "settings.view")
    changes = settings_store.newest()
    items = [
        {
            "key": each.key,
            "type": each.type.__name__,
            "value": changes[each.key].value if each.key in changes else each.default,
            "default": each.default,
            "help": str(each.help),
        }
        for each in settings_store.known()
    ]
    return {"items": items, "count": len(items)}


class SettingIn(Body):
    """A new value."""

    value: Any


@router.get("/settings/{key}", response=SettingOut)
def get_setting(request: HttpRequest, key: str) -> dict[str, Any]:
    """Return one run-time setting."""
    check(actor_of(request), "settings.view")
    return {"key": key, "value": settings_store.get(key)}


@router.put("/settings/{key}", response=SettingOut)
def put_setting(request: HttpRequest, key: str, body: SettingIn) -> dict[str, Any]:
    """Change a run-time setting; its history stays."""
    row = settings_store.put(actor=actor_of(request), key=key, value=body.value)
    return {"key": row.key, "value": row.value}


class SecretIn(Body):
    """A secret's value; it is never returned."""

    value: str


@router.get("/secrets", response=Page)
def list_secrets(request: HttpRequest) -> dict[str, Any]:
    """List the names of secrets; values are never shown."""
    check(actor_of(request), "secrets.manage")
    found = secrets.names()
    return {"items": [{"name": each} for each in found], "count": len(found)}


@router.put("/secrets/{name}", response={204: None})
def put_secret(request: HttpRequest, name: str, body: SecretIn) -> Status[None]:
    """Store or replace a secret."""
    secrets.put(actor=actor_of(request), name=name, value=body.value)
    return Status(204, None)


class EventOut(Schema):
    """One row of the ledger."""

    id: int
    at: datetime
    actor_kind: str
    actor_name: str
    verb: str
    subject: str
    payload: dict[str, Any]
    correlation_id: str


class EventPage(Schema):
    """A page of the ledger."""

    items: list[EventOut]
    count: int


@router.get("/events", response=EventPage)
def list_events(
    request: HttpRequest,
    about: str | None = None,
    verb: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int | None = None,
    limit: int = 100,
) -> dict[str, Any]:
    """List ledger events, newest first; with `after` the ones after that id, oldest first."""
    check(actor_of(request), "ledger.view")
    rows: list[Event] = list(
        ledger.events(
            about=about,
            verbs=[verb] if verb else None,
            since=since,
            until=until,
            after_id=after,
            limit=max(1, min(limit, 500)),
        )
    )
    return {"items": rows, "count": len(rows)}


class FindingOut(Schema):
    """One place where the chain does not hold."""

    segment: str
    position: int
    event_id: int | None
    what: str


class VerifiedOut(Schema):
    """What the check of the chain found, and how many events wait for their seal."""

    findings: list[FindingOut]
    unsealed: int


@router.get("/ledger/verify", response=VerifiedOut)
def verify_ledger(request: HttpRequest) -> dict[str, Any]:
    """Recompute the chain of sealed events; `findings` is empty when it holds."""
    check(actor_of(request), "settings.edit")
    return {"findings": [each.__dict__ for each in seal.verify()], "unsealed": seal.unsealed_count()}


class JobOut(Schema):
    """A job as the API shows it."""

    id: UUID
    name: str
    state: str
    attempts: int
    max_attempts: int
    run_at: datetime
    finished_at: datetime | None
    error: str


class JobPage(Schema):
    """A page of jobs."""

    items: list[JobOut]
    count: int


@router.get("/jobs", response=JobPage)
def list_jobs(
    request: HttpRequest, state: str | None = None, name: str | None = None, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List jobs, newest first; state=dead are the ones a person must look at."""
    check(actor_of(request), "jobs.view")
    rows = Job.objects.order_by("-created_at")
    if state:
        rows = rows.filter(state=state)
    if name:
        rows = rows.filter(name=name)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": page_of(rows, offset, limit), "count": rows.count()}


@router.post("/jobs/{uuid:job_id}/retry", response=dict[str, bool])
def retry_job(request: HttpRequest, job_id: UUID) -> dict[str, Any]:
    """Put a dead job back in the queue."""
    job_control.retry(actor=actor_of(request), job_id=job_id)
    return {"queued": True}


@router.post("/jobs/{uuid:job_id}/cancel", response=JobOut)
def cancel_job(request: HttpRequest, job_id: UUID) -> Job:
    """Take back a job that has not begun; it stays visible as dead."""
    return job_control.cancel(actor=actor_of(request), job_id=job_id)
