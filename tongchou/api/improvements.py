"""Improvements: what postmortems demand, and the checks that prove it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body, Day
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset
from tongchou.core.access import check
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.models import Team, User
from tongchou.core.problems import Invalid
from tongchou.core.refs import ref
from tongchou.incidents import improvements_actions as actions
from tongchou.incidents import improvements_check, improvements_dropping, improvements_proving
from tongchou.incidents import postmortem_reads as found
from tongchou.incidents.improvements_draft import INTERVALS, MAX_DAYS, MAX_DETAILS, MIN_DAYS, Draft
from tongchou.incidents.models import Improvement

router = Router(tags=["improvements"])
KIND = "incidents.improvement"
Text = str


class ImprovementIn(Body):
    """What will be better. One owner: `owner` is a username, `owner_team` a team's name.

    Either a check (`check_query`, `check_is`: not_empty, empty, or a comparison; green for `green_days` whole days,
    looked at every `interval_seconds`), or `no_check_reason`.
    """

    title: str = Field(max_length=200)
    kind: str
    due_on: Day
    priority: str = "2"
    details: str = Field(default="", max_length=MAX_DETAILS)
    owner: str | None = None
    owner_team: str | None = None
    cause: UUID | None = None
    resource: UUID | None = None
    check_query: str = ""
    check_is: str = ""
    green_days: int = Field(default=14, ge=MIN_DAYS, le=MAX_DAYS)
    interval_seconds: int = Field(default=300, ge=INTERVALS[0], le=INTERVALS[1])
    no_check_reason: str = Field(default="", max_length=MAX_DETAILS)
    custom: dict[str, Any] = Field(default_factory=dict)

    def draft(self) -> Draft:
        """The same for the action; Invalid for an owner nobody knows."""
        told = self.model_dump(exclude={"owner", "owner_team", "custom"})
        return Draft(**told, owner=_person(self.owner), owner_team=_team(self.owner_team))


class ChangeIn(ImprovementIn):
    """The whole improvement anew; `version` is the one you read. Custom fields that are left out stay."""

    version: int


class ReopenIn(Body):
    """Why it is not done after all."""

    comment: str = Field(min_length=1, max_length=actions.MAX_COMMENT)


class DropIn(Body):
    """Why it will not be done."""

    reason: str = Field(min_length=1, max_length=actions.MAX_COMMENT)


class CheckIn(Body):
    """A check to be tried."""

    check_query: str
    check_is: str
    interval_seconds: int = Field(default=300, ge=INTERVALS[0], le=INTERVALS[1])


class CheckDayOut(Schema):
    """A day of a check: green only when every look was. `complete`: all of its looks are past. "": no look yet."""

    day: date
    state: str
    green: int
    red: int
    no_data: int
    complete: bool


class ImprovementOut(Schema):
    """An improvement in lists. `days_left`: whole green days still wanted while it is being proven."""

    id: UUID
    ref: str
    number: int
    name: str
    title: str
    kind: str
    priority: str
    state: str
    version: int
    incident: str
    postmortem_id: UUID
    owner: str | None
    owner_team: str | None
    due_on: date
    overdue: bool
    has_check: bool
    days_left: int | None
    reopened_count: int
    reopened_in: str | None
    done_at: datetime | None
    custom: dict[str, Any] = Field(default_factory=dict)


class ImprovementPage(Schema):
    """A page of improvements, and how many stand in each queue."""

    items: list[ImprovementOut]
    count: int
    queues: dict[str, int]


class ImprovementDetail(ImprovementOut):
    """All of it, with the days of its check, oldest first."""

    details: str
    cause: UUID | None
    resource: str | None
    check_query: str
    check_is: str
    green_days: int
    interval_seconds: int
    no_check_reason: str
    drop_reason: str
    approval_id: UUID | None
    check_problem: str
    checked_until: datetime | None
    proving_since: datetime | None
    done_by: str
    days: list[CheckDayOut]
    created_at: datetime
    created_by: str


def _person(username: str | None) -> UUID | None:
    if not username:
        return None
    pk = User.objects.filter(username=username, is_active=True).values_list("pk", flat=True).first()
    if pk is None:
        raise Invalid("improvement.owner", _("There is no such person."), field="owner", value=username)
    return pk


def _team(name: str | None) -> UUID | None:
    if not name:
        return None
    pk = Team.objects.filter(name=name).values_list("pk", flat=True).first()
    if pk is None:
        raise Invalid("improvement.owner", _("There is no such team."), field="owner_team", value=name)
    return pk


def _row(row: Improvement, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    same = ("id", "number", "name", "title", "kind", "priority", "state", "version", "postmortem_id", "due_on")
    return {
        **{name: getattr(row, name) for name in (*same, "has_check", "reopened_count", "done_at")},
        "ref": ref(row),
        "incident": row.postmortem.incident.name,
        "owner": row.owner.username if row.owner else None,
        "owner_team": row.owner_team.name if row.owner_team else None,
        "overdue": not row.ended and row.due_on < found.today(),
        "days_left": row.green_left if row.state == "proving" else None,
        "reopened_in": row.reopened_by.name if row.reopened_by else None,
        "custom": shown(row, fields),
    }


def _detail(row: Improvement) -> dict[str, Any]:
    same = (
        "details",
        "check_query",
        "check_is",
        "green_days",
        "interval_seconds",
        "no_check_reason",
        "drop_reason",
        "approval_id",
        "check_problem",
        "checked_until",
        "proving_since",
        "created_at",
    )
    return {
        **_row(row),
        **{name: getattr(row, name) for name in same},
        "cause": row.cause_id,
        "resource": f"inventory.resource:{row.resource_id}" if row.resource_id else None,
        "done_by": row.done_by_name,
        "created_by": row.created_by_name,
        "days": improvements_proving.strip(row).days,
    }


@router.get("/improvements", response=ImprovementPage)
def list_improvements(
    request: HttpRequest,
    queue: Text = "open",
    owner: Text = "",
    kind: Text = "",
    priority: Text = "",
    q: Text = "",
    sort: Text = "due",
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List improvements.

    `queue`: open (neither done nor dropped), overdue, proving, reopened, done, dropped, all. `owner`: me, a username,
    or team:NAME. `sort`: due, priority, number, left; "-" in front turns it round. cf.<custom field>
    filters by a custom field.
    """
    actor, today = actor_of(request), found.today()
    rows = found.improvement_listing(
        actor, today=today, queue=queue, owner=owner, kind=kind, priority=priority, search=q, sort=sort
    )
    rows, fields = custom_values.filtered(request, rows, KIND), fields_of(KIND)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {
        "items": [_row(each, fields) for each in rows[offset : offset + limit]],
        "count": rows.count(),
        "queues": found.queue_counts(actor, today),
    }


@router.post("/postmortems/{uuid:postmortem_id}/improvements", response={201: ImprovementDetail})
def add_improvement(request: HttpRequest, postmortem_id: UUID, body: ImprovementIn) -> Status[dict[str, Any]]:
    """Add an improvement to a postmortem in any state."""
    actor = actor_of(request)
    postmortem, draft = found.get(actor, postmortem_id), body.draft()
    with transaction.atomic():
        row = actions.add(actor=actor, postmortem=postmortem, draft=draft)
        custom_values.start(actor, row, KIND, body.custom, subkind=row.kind)
    return Status(201, _detail(found.improvement(actor, improvement_id=row.pk)))


@router.get("/improvements/{uuid:improvement_id}", response=ImprovementDetail)
def get_improvement(request: HttpRequest, improvement_id: UUID) -> dict[str, Any]:
    """Return an improvement with the days of its check."""
    return _detail(found.improvement(actor_of(request), improvement_id=improvement_id))


@router.put("/improvements/{uuid:improvement_id}", response=ImprovementDetail)
def change_improvement(request: HttpRequest, improvement_id: UUID, body: ChangeIn) -> dict[str, Any]:
    """Write it anew; another check begins the count anew. 409 improvement.version when somebody wrote in between."""
    actor = actor_of(request)
    row = found.improvement(actor, improvement_id=improvement_id)
    told = ImprovementIn(**body.model_dump(exclude={"version"}))
    with transaction.atomic():
        row = actions.change(actor=actor, improvement=row, version=body.version, draft=told.draft())
        custom_values.put(actor, row, body.custom)
    return _detail(found.improvement(actor, improvement_id=improvement_id))


@router.delete("/improvements/{uuid:improvement_id}", response={204: None})
def remove_improvement(request: HttpRequest, improvement_id: UUID) -> Status[None]:
    """Take back one that nobody began."""
    actor = actor_of(request)
    actions.remove(actor=actor, improvement=found.improvement(actor, improvement_id=improvement_id))
    return Status(204, None)


@router.post("/improvements/{uuid:improvement_id}/begin", response=ImprovementDetail)
def begin_improvement(request: HttpRequest, improvement_id: UUID) -> dict[str, Any]:
    """Work on it begins."""
    actor = actor_of(request)
    actions.begin(actor=actor, improvement=found.improvement(actor, improvement_id=improvement_id))
    return _detail(found.improvement(actor, improvement_id=improvement_id))


@router.post("/improvements/{uuid:improvement_id}/prove", response=ImprovementDetail)
def prove_improvement(request: HttpRequest, improvement_id: UUID) -> dict[str, Any]:
    """The work is done: its green days count from now on; without a check another person is asked to agree."""
    actor = actor_of(request)
    actions.finish_work(actor=actor, improvement=found.improvement(actor, improvement_id=improvement_id))
    return _detail(found.improvement(actor, improvement_id=improvement_id))


@router.post("/improvements/{uuid:improvement_id}/close", response=ImprovementDetail)
def close_improvement(request: HttpRequest, improvement_id: UUID) -> dict[str, Any]:
    """Close one that is proven; it also closes by itself. 409 improvement.unproven with `days_left` before that."""
    actor = actor_of(request)
    improvements_proving.close(actor=actor, improvement=found.improvement(actor, improvement_id=improvement_id))
    return _detail(found.improvement(actor, improvement_id=improvement_id))


@router.post("/improvements/{uuid:improvement_id}/reopen", response=ImprovementDetail)
def reopen_improvement(request: HttpRequest, improvement_id: UUID, body: ReopenIn) -> dict[str, Any]:
    """Say that one that is done, or being proven, is not done after all, or that a dropped one shall be done."""
    actor = actor_of(request)
    row = found.improvement(actor, improvement_id=improvement_id)
    actions.reopen(actor=actor, improvement=row, comment=body.comment)
    return _detail(found.improvement(actor, improvement_id=improvement_id))


@router.post("/improvements/{uuid:improvement_id}/drop", response=ImprovementDetail)
def drop_improvement(request: HttpRequest, improvement_id: UUID, body: DropIn) -> dict[str, Any]:
    """Ask another person to agree (`approval_id`) that it will not be done; reopen turns it back."""
    actor = actor_of(request)
    row = found.improvement(actor, improvement_id=improvement_id)
    improvements_dropping.drop(actor=actor, improvement=row, reason=body.reason)
    return _detail(found.improvement(actor, improvement_id=improvement_id))


@router.post("/improvement-checks/try", response=list[CheckDayOut])
def try_check(request: HttpRequest, body: CheckIn) -> list[Any]:
    """Say what a check would have seen in the last seven days. Keeps nothing."""
    check(actor_of(request), "telemetry.view")  # metrics have no owner
    wrong = improvements_check.mistake(body.check_query, body.check_is)
    if wrong is not None:
        raise Invalid("improvement.invalid", wrong[1], field=wrong[0], remedy=wrong[2] or None)
    if 86_400 % body.interval_seconds:
        raise Invalid(
            "improvement.invalid",
            _("A day has a whole number of looks."),
            field="interval_seconds",
            value=body.interval_seconds,
            remedy=_("For example 300."),
        )
    return improvements_proving.preview(
        query=body.check_query, is_=body.check_is, interval=body.interval_seconds, now=timezone.now()
    )
