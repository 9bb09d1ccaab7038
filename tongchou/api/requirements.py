"""Requirements: what is wanted, its review, its options, and the choice."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body, Day
from tongchou.api.core import actor_of
from tongchou.api.decisions import DecisionOut, decision_out
from tongchou.api.named import people_named, person, team
from tongchou.api.paging import Offset, page_of
from tongchou.changes import chosen_changes, stated
from tongchou.changes import requirement_actions as actions
from tongchou.changes import requirement_reads as reads
from tongchou.changes.models_requirements import Participant, Requirement
from tongchou.changes.requirement_draft import Draft, answered
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.refs import ref

router = Router(tags=["requirements"])
KIND = "changes.requirement"


class LoadRow(Body):
    """An expected load. `value` is stated, or follows from `baseline` and `uplift_percent`; all decimal texts."""

    metric: str = Field(max_length=120)
    unit: str = Field(default="", max_length=40)
    value: str = ""
    baseline: str = ""
    uplift_percent: str = ""


class RequirementIn(Body):
    """What is wanted. `owner` is a username, `owner_team` a team's name, `services` ids of resources.

    Amounts and percentages are decimal texts. The budget covers the purchase and `budget_months` of running.
    """

    title: str = Field(max_length=200)
    need: str = Field(default="", max_length=stated.MAX_TEXT)
    drivers: list[str] = Field(default_factory=list)
    wanted_on: Day | None = None
    owner: str | None = None
    owner_team: str | None = None
    load: list[LoadRow] = Field(default_factory=list)
    budget: str | None = None
    currency: str = ""
    budget_months: int = 12
    services: list[UUID] = Field(default_factory=list)
    slo_percent: str | None = None
    rto_minutes: int | None = None
    rpo_minutes: int | None = None
    data_class: str = ""
    mlps_level: int | None = None
    custom: dict[str, Any] = Field(default_factory=dict)

    def draft(self) -> Draft:
        """The same for the action; Invalid for an owner nobody knows."""
        told = self.model_dump(exclude={"owner", "owner_team", "custom", "version"})
        return Draft(**told, owner=person(self.owner, "owner"), owner_team=team(self.owner_team, "owner_team"))


class RequirementChange(RequirementIn):
    """The whole requirement anew; `version` is the one you read. Custom fields that are left out stay."""

    version: int


class ReviewAnswerIn(Body):
    """An answer to a question of the review: yes, no (says why) or n-a."""

    answer: Literal["", "yes", "no", "n-a"]
    note: str = Field(default="", max_length=2000)


class AnswersIn(Body):
    """Answers to all questions, in their order."""

    answers: list[ReviewAnswerIn]


class AskIn(Body):
    """Who is asked for an opinion, by user names."""

    users: list[str] = Field(min_length=1)


class SayIn(Body):
    """What one who was asked says: yes, no or comment; the latter two with words."""

    answer: Literal["yes", "no", "comment"]
    comment: str = Field(default="", max_length=4000)


class WhyIn(Body):
    """Why."""

    note: str = Field(min_length=1, max_length=4000)


class QuestionOut(Schema):
    """A question of the review; `current` is false when it was answered about an earlier content."""

    text: str
    answer: str
    note: str
    by: str
    at: str
    current: bool


class ParticipantOut(Schema):
    """Who was asked, and what they said; `current` as of a question."""

    user: str
    answer: str
    comment: str
    asked_at: datetime
    said_at: datetime | None
    current: bool


class RequirementOut(Schema):
    """A requirement in lists."""

    id: UUID
    ref: str
    number: int
    name: str
    title: str
    state: str
    version: int
    owner: str | None
    owner_team: str | None
    wanted_on: date | None
    budget: str | None
    currency: str
    slo_percent: str | None
    created_at: datetime
    custom: dict[str, Any] = Field(default_factory=dict)


class RequirementPage(Schema):
    """A page of requirements."""

    items: list[RequirementOut]
    count: int


class VerdictOut(Schema):
    """Whether an option meets one criterion (slo, date, budget); `met` null: it cannot be told. With the reason."""

    criterion: str
    met: bool | None
    reason: str


class ComparedOut(Schema):
    """An option beside the others; null: nobody stated it. `exposure`: the largest likelihood times impact."""

    id: UUID
    name: str
    availability: float | None
    downtime_minutes_per_year: float | None
    capex: str | None
    opex_monthly: str | None
    cost: str | None
    currency: str
    energy_kwh_monthly: str | None
    co2e_kg_monthly: str | None
    lead_days: int | None
    exposure: int
    meets: bool | None
    verdicts: list[VerdictOut]
    chosen: bool


class MadeChange(Schema):
    """A change made for an option that was chosen."""

    ref: str
    name: str
    title: str
    state: str


class RequirementDetail(RequirementOut):
    """All of it: review, options side by side, decisions, changes. `content_hash` is what an acceptance is bound to."""

    need: str
    drivers: list[str]
    load: list[dict[str, Any]]
    budget_months: int
    services: list[UUID]
    services_hidden: int
    rto_minutes: int | None
    rpo_minutes: int | None
    data_class: str
    mlps_level: int | None
    content_hash: str
    approval_id: UUID | None
    accepted_hash: str
    accepted_at: datetime | None
    accepted_by: str
    ended_note: str
    checklist: list[QuestionOut]
    participants: list[ParticipantOut]
    options: list[ComparedOut]
    decisions: list[DecisionOut]
    changes: list[MadeChange]
    created_by: str


def number_text(value: Decimal | None) -> str | None:
    """A number as a text, None of nothing."""
    return None if value is None else stated.plain(value)


def _row(row: Requirement, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    same = ("id", "number", "name", "title", "state", "version", "wanted_on", "currency", "created_at")
    return {
        **{name: getattr(row, name) for name in same},
        "ref": ref(row),
        "owner": row.owner.username if row.owner else None,
        "owner_team": row.owner_team.name if row.owner_team else None,
        "budget": number_text(row.budget),
        "slo_percent": number_text(row.slo_percent),
        "custom": shown(row, fields),
    }


def _participant(row: Participant, now: str) -> dict[str, Any]:
    same = ("answer", "comment", "asked_at", "said_at")
    said = {name: getattr(row, name) for name in same}
    return {**said, "user": row.user.username, "current": row.about_hash == now}


def _compared(each: reads.Compared) -> dict[str, Any]:
    row = each.option
    figures = ("capex", "opex_monthly", "energy_kwh_monthly", "co2e_kg_monthly")
    minutes = None if row.availability is None else (1 - row.availability) * 525_600
    return {
        **{name: getattr(row, name) for name in ("id", "name", "availability", "currency", "lead_days")},
        **{name: number_text(getattr(row, name)) for name in figures},
        "downtime_minutes_per_year": minutes,
        "cost": number_text(each.cost),
        "exposure": each.exposure,
        "meets": each.meets,
        "verdicts": [{"criterion": v.criterion, "met": v.met, "reason": str(v.reason)} for v in each.verdicts],
        "chosen": each.chosen,
    }


def _detail(request: HttpRequest, requirement_id: UUID) -> dict[str, Any]:
    actor = actor_of(request)
    row = reads.requirement(actor, requirement_id=requirement_id)
    now = reads.content_hash(row)
    seen, hidden = reads.services_seen(actor, row)
    same = ("need", "drivers", "load", "budget_months", "rto_minutes", "rpo_minutes", "data_class", "mlps_level")
    ends = ("approval_id", "accepted_hash", "accepted_at", "ended_note")
    return {
        **_row(row),
        **{name: getattr(row, name) for name in (*same, *ends)},
        "services": [each.pk for each in seen],
        "services_hidden": hidden,
        "content_hash": now,
        "accepted_by": row.accepted_by_name,
        "checklist": [{**each, "current": answered(each, now)} for each in row.checklist],
        "participants": [_participant(each, now) for each in reads.participants(row)],
        "options": [_compared(each) for each in reads.compared(row)],
        "decisions": [decision_out(each) for each in reads.decisions(actor).filter(requirement=row)],
        "changes": [
            {"ref": ref(each), "name": each.name, "title": each.title, "state": each.state}
            for each in chosen_changes.of_requirement(actor, row)
        ],
        "created_by": row.created_by_name,
    }


@router.get("/requirements", response=RequirementPage)
def list_requirements(
    request: HttpRequest, state: str = "", owner_team: str = "", q: str = "", limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List requirements, newest first.

    `state`: one or several by commas; `open`: neither ended nor done. cf.<custom field> filters by a custom field.
    """
    rows = reads.requirements(actor_of(request))
    if state:
        rows = rows.filter(state__in=reads.LATE_STATES if state == "open" else state.split(","))
    if owner_team:
        rows = rows.filter(owner_team__name=owner_team)
    if q:
        rows = rows.filter(title__icontains=q)
    rows, fields = custom_values.filtered(request, rows, KIND), fields_of(KIND)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_row(each, fields) for each in page_of(rows, offset, limit)], "count": rows.count()}


@router.post("/requirements", response={201: RequirementDetail})
def add_requirement(request: HttpRequest, body: RequirementIn) -> Status[dict[str, Any]]:
    """Write a new one down, as a draft."""
    actor = actor_of(request)
    with transaction.atomic():
        row = actions.add(actor=actor, draft=body.draft())
        custom_values.start(actor, row, KIND, body.custom)
    return Status(201, _detail(request, row.pk))


@router.get("/requirements/{uuid:requirement_id}", response=RequirementDetail)
def get_requirement(request: HttpRequest, requirement_id: UUID) -> dict[str, Any]:
    """Return one with its review, its options side by side and its decisions."""
    return _detail(request, requirement_id)


@router.put("/requirements/{uuid:requirement_id}", response=RequirementDetail)
def change_requirement(request: HttpRequest, requirement_id: UUID, body: RequirementChange) -> dict[str, Any]:
    """Write it anew. What was accepted goes back to review. 409 design.version when somebody wrote in between."""
    actor = actor_of(request)
    row = reads.requirement(actor, requirement_id=requirement_id)
    with transaction.atomic():
        row = actions.change(actor=actor, requirement=row, version=body.version, draft=body.draft())
        custom_values.put(actor, row, body.custom)
    return _detail(request, requirement_id)


@router.delete("/requirements/{uuid:requirement_id}", response={204: None})
def remove_requirement(request: HttpRequest, requirement_id: UUID) -> Status[None]:
    """Take back a draft that nobody reviewed."""
    actor = actor_of(request)
    actions.remove(actor=actor, requirement=reads.requirement(actor, requirement_id=requirement_id))
    return Status(204, None)


@router.post("/requirements/{uuid:requirement_id}/submit", response=RequirementDetail)
def submit_requirement(request: HttpRequest, requirement_id: UUID) -> dict[str, Any]:
    """Begin its review, with the questions of the setting changes.review_checklist."""
    actor = actor_of(request)
    actions.submit(actor=actor, requirement=reads.requirement(actor, requirement_id=requirement_id))
    return _detail(request, requirement_id)


@router.put("/requirements/{uuid:requirement_id}/checklist", response=RequirementDetail)
def answer_requirement(request: HttpRequest, requirement_id: UUID, body: AnswersIn) -> dict[str, Any]:
    """Answer its questions about the content as it is now."""
    actor = actor_of(request)
    row = reads.requirement(actor, requirement_id=requirement_id)
    actions.answer(actor=actor, requirement=row, answers=[each.model_dump() for each in body.answers])
    return _detail(request, requirement_id)


@router.post("/requirements/{uuid:requirement_id}/participants", response=RequirementDetail)
def ask_participants(request: HttpRequest, requirement_id: UUID, body: AskIn) -> dict[str, Any]:
    """Ask people for their opinion; they see it then, whosever it is."""
    actor = actor_of(request)
    row = reads.requirement(actor, requirement_id=requirement_id)
    actions.ask(actor=actor, requirement=row, users=people_named(body.users, "users"))
    return _detail(request, requirement_id)


@router.post("/requirements/{uuid:requirement_id}/opinion", response=RequirementDetail)
def say_opinion(request: HttpRequest, requirement_id: UUID, body: SayIn) -> dict[str, Any]:
    """Say what one thinks of it, as one who was asked."""
    actor = actor_of(request)
    row = reads.requirement(actor, requirement_id=requirement_id)
    actions.say(actor=actor, requirement=row, answer=body.answer, comment=body.comment)
    return _detail(request, requirement_id)


@router.post("/requirements/{uuid:requirement_id}/request-acceptance", response=RequirementDetail)
def request_acceptance(request: HttpRequest, requirement_id: UUID) -> dict[str, Any]:
    """Ask others to accept it as it is now (`approval_id`); 409 requirement.unanswered names the open questions."""
    actor = actor_of(request)
    actions.request_acceptance(actor=actor, requirement=reads.requirement(actor, requirement_id=requirement_id))
    return _detail(request, requirement_id)


@router.post("/requirements/{uuid:requirement_id}/withdraw", response=RequirementDetail)
def withdraw_requirement(request: HttpRequest, requirement_id: UUID, body: WhyIn) -> dict[str, Any]:
    """Say that it is not wanted any more."""
    actor = actor_of(request)
    row = reads.requirement(actor, requirement_id=requirement_id)
    actions.withdraw(actor=actor, requirement=row, note=body.note)
    return _detail(request, requirement_id)


@router.post("/requirements/{uuid:requirement_id}/reopen", response=RequirementDetail)
def reopen_requirement(request: HttpRequest, requirement_id: UUID, body: WhyIn) -> dict[str, Any]:
    """Take it up again, as a draft; a decision that was made holds until another one supersedes it."""
    actor = actor_of(request)
    row = reads.requirement(actor, requirement_id=requirement_id)
    actions.reopen(actor=actor, requirement=row, note=body.note)
    return _detail(request, requirement_id)


@router.post("/requirements/{uuid:requirement_id}/done", response=RequirementDetail)
def finish_requirement(request: HttpRequest, requirement_id: UUID, body: WhyIn) -> dict[str, Any]:
    """Say that what was decided is done."""
    actor = actor_of(request)
    row = reads.requirement(actor, requirement_id=requirement_id)
    actions.finish(actor=actor, requirement=row, note=body.note)
    return _detail(request, requirement_id)
