"""Change control: changes from the wish to the review, what they collide with, the catalogue of standard changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.changes import catalogue_actions, control, control_reads, control_work, covered_runs, risk
from tongchou.changes.draft import MAX_RESOURCES, MAX_TASKS, MAX_TEXT, Draft, TaskDraft
from tongchou.changes.models_control import Change, ChangeTask, ChangeTemplate
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.refs import ref

router = Router(tags=["changes"])
KIND = "changes.change"
LONG = Field(default="", max_length=MAX_TEXT)


class TaskIn(Body):
    """A step: by hand, or the procedure of this name. `targets`: names of resources; none: those the change touches."""

    title: str = Field(max_length=200)
    procedure: str = Field(default="", max_length=63)
    params: dict[str, Any] = Field(default_factory=dict)
    targets: list[str] = Field(default_factory=list, max_length=500)

    def draft(self) -> TaskDraft:
        """Return it as the actions take it."""
        return TaskDraft(self.title, self.procedure, self.params, tuple(self.targets))


class ChangeDraftIn(Body):
    """A change as it is wanted. `kind`: standard (then `template`), normal, emergency; `team`: a team's name.

    `answers`: question of the questionnaire -> answer, see GET /change-questions. `because`: a Ref, of an incident
    for example. `quiet`: alerts of what it touches are held back in its window.
    """

    title: str = Field(max_length=200)
    kind: str = "normal"
    description: str = LONG
    template: str = Field(default="", max_length=63)
    team: str = Field(default="", max_length=120)
    assignee: str = Field(default="", max_length=150)
    environment: str = Field(default="", max_length=80)
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    resources: list[UUID] = Field(default_factory=list, max_length=MAX_RESOURCES)
    tasks: list[TaskIn] = Field(default_factory=list, max_length=MAX_TASKS)
    backout: str = LONG
    backout_procedure: str = Field(default="", max_length=63)
    verification: str = LONG
    quiet: bool = True
    exclude_slo: bool = True
    answers: dict[str, str] = Field(default_factory=dict)
    because: str = Field(default="", max_length=140)
    custom: dict[str, Any] = Field(default_factory=dict)

    def draft(self) -> Draft:
        """Return it as the actions take it."""
        fields = self.model_dump(exclude={"custom", "tasks", "team"})
        return Draft(**fields, tasks=[each.draft() for each in self.tasks], team=control_reads.team_called(self.team))


class TaskOut(Schema):
    """A task and what became of it. `covered`: consent to the change is consent to its run, while it is the same."""

    position: int
    title: str
    procedure: str
    params: dict[str, Any]
    targets: list[str]
    state: str
    run: str | None
    note: str
    done_by: str
    done_at: datetime | None
    covered: bool


class ConflictOut(Schema):
    """A collision (resource, related, assignee, freeze, no_maintenance, hold): with what, when, over what.

    `accepted`: `conflicts_accepted` was said of it.
    """

    kind: str
    ref: str
    name: str
    starts_at: datetime
    ends_at: datetime
    resources: list[str]
    accepted: bool


class RiskPart(Schema):
    """A part of the sum that makes the risk, and how it reads."""

    code: str
    points: int
    params: dict[str, Any]
    text: str


class ChangeOut(Schema):
    """A change without its long parts."""

    id: UUID
    ref: str
    number: int
    name: str
    title: str
    kind: str
    state: str
    risk: str
    template: str
    team: str
    assignee: str
    environment: str
    starts_at: datetime | None
    ends_at: datetime | None
    began_at: datetime | None
    finished_at: datetime | None
    late_since: datetime | None
    closed_at: datetime | None
    outcome: str
    requested_by: str
    created_at: datetime
    origin: str
    because: str
    broke_glass: str
    custom: dict[str, Any] = Field(default_factory=dict)


class ChangeDetail(ChangeOut):
    """A change with everything. `missing`: what is lacking before consent can be asked for.

    `refusals`: why the work may not begin now. `content_hash`: of what it says now; consent is bound to `asked_hash`.
    """

    description: str
    resources: list[str]
    tasks: list[TaskOut]
    backout: str
    backout_procedure: str
    backout_run: str | None
    backout_covered: bool
    verification: str
    quiet: bool
    exclude_slo: bool
    answers: dict[str, str]
    risk_reasons: list[RiskPart]
    conflicts: list[ConflictOut]
    conflicts_accepted: str
    approval: UUID | None
    content_hash: str
    asked_hash: str
    agreed: bool
    missing: list[str]
    refusals: list[str]
    review: str
    reviewed_by: str
    cancel_reason: str


class ChangePage(Schema):
    """A page of changes."""

    items: list[ChangeOut]
    count: int


class ReasonIn(Body):
    """Why."""

    reason: str = Field(default="", max_length=2000)


class BeginIn(Body):
    """`broke_glass`: why an emergency cannot wait for consent."""

    broke_glass: str = Field(default="", max_length=2000)


class FinishIn(Body):
    """Whether it was taken back; open tasks are then skipped."""

    backed_out: bool = False


class CloseIn(Body):
    """How it went: successful, with_issues, backed_out, failed; what is to be known of it."""

    outcome: str
    review: str = LONG


class TaskDoneIn(Body):
    """done, failed or skipped; the last two with a note."""

    state: str = "done"
    note: str = Field(default="", max_length=4000)


class RiskAnswerOut(Schema):
    """An answer and its points."""

    answer: str
    text: str
    points: int


class RiskQuestionOut(Schema):
    """A question of the questionnaire."""

    name: str
    text: str
    answers: list[RiskAnswerOut]


class TemplateIn(Body):
    """A standard change: what it may touch, how long it may take, what is done, how to go back."""

    title: str = Field(max_length=200)
    description: str = LONG
    team: str = Field(default="", max_length=120)
    kinds: list[str] = Field(default_factory=list, max_length=100)
    max_resources: int = Field(default=10, ge=1, le=500)
    max_minutes: int = Field(default=240, ge=1, le=44_640)
    tasks: list[TaskIn] = Field(max_length=MAX_TASKS)
    backout: str = LONG
    backout_procedure: str = Field(default="", max_length=63)
    verification: str = LONG
    covers_runs: bool = False  # consent to the entry is consent to the runs of its procedures, too


class TemplateOut(Schema):
    """An entry of the catalogue. It may be used while `agreed`: it reads as it did when it was approved."""

    name: str
    ref: str
    title: str
    description: str
    team: str
    kinds: list[str]
    max_resources: int
    max_minutes: int
    tasks: list[dict[str, Any]]
    backout: str
    backout_procedure: str
    verification: str
    covers_runs: bool
    agreed: bool
    content_hash: str
    approval: UUID | None
    retired_at: datetime | None


def _task(row: ChangeTask, covered: frozenset[str]) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("position", "title", "params", "targets", "state", "note", "done_at")},
        "procedure": row.procedure.name if row.procedure else "",
        "run": f"runbooks.run:{row.run_id}" if row.run_id else None,
        "done_by": row.done_by_name,
        "covered": str(row.position) in covered,
    }


def _brief(row: Change, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    same = (
        *("id", "number", "name", "title", "kind", "state", "risk", "environment", "starts_at", "ends_at", "began_at"),
        *("finished_at", "late_since", "closed_at", "outcome", "created_at", "origin", "because", "broke_glass"),
    )
    return {
        **{name: getattr(row, name) for name in same},
        "ref": ref(row),
        "template": row.template.name if row.template else "",
        "team": row.team.name if row.team else "",
        "assignee": row.assignee.username if row.assignee else "",
        "requested_by": row.requested_by_name,
        "custom": shown(row, fields),
    }


def _detail(row: Change) -> dict[str, Any]:
    seen, covered = control_reads.standing(row), covered_runs.keys_of(row)
    known = control_reads.accepted(row)
    same = ("description", "backout", "verification", "quiet", "exclude_slo", "answers")
    more = ("conflicts_accepted", "asked_hash", "review", "cancel_reason")
    return {
        **_brief(row),
        **{name: getattr(row, name) for name in (*same, *more)},
        "conflicts": [{**each, "accepted": (each["kind"], each["ref"]) in known} for each in row.conflicts],
        "resources": [f"inventory.resource:{each.resource_id}" for each in row.touched.all()],
        "tasks": [_task(each, covered) for each in row.tasks.select_related("procedure")],
        "backout_procedure": row.backout_procedure.name if row.backout_procedure else "",
        "backout_run": f"runbooks.run:{row.backout_run_id}" if row.backout_run_id else None,
        "backout_covered": covered_runs.BACK in covered,
        "risk_reasons": [{**each, "text": risk.in_words(each)} for each in row.risk_reasons],
        "approval": row.approval_id,
        "content_hash": seen.content_hash,
        "agreed": seen.agreed,
        "missing": control.lacks(row),
        "refusals": [str(each.text) for each in control_work.refusals_now(row, seen)],
        "reviewed_by": row.reviewed_by_name,
    }


def _template(row: ChangeTemplate) -> dict[str, Any]:
    same = ("name", "title", "description", "kinds", "max_resources", "max_minutes", "tasks", "backout", "verification")
    return {
        **{name: getattr(row, name) for name in (*same, "covers_runs")},
        "ref": ref(row),
        "team": row.team.name if row.team else "",
        "backout_procedure": row.backout_procedure.name if row.backout_procedure else "",
        "agreed": control_reads.template_agreed(row),
        "content_hash": control_reads.hash_of_template(row),
        "approval": row.approval_id,
        "retired_at": row.retired_at,
    }


@router.get("/changes", response=ChangePage)
def list_changes(
    request: HttpRequest,
    state: str | None = None,
    kind: str | None = None,
    resource: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List changes, the newest first: by state, kind, a resource they touch, and a time their window meets."""
    rows = control_reads.find(actor_of(request), state=state, kind=kind, resource=resource, since=since, until=until)
    rows, fields = custom_values.filtered(request, rows, KIND), fields_of(KIND)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_brief(each, fields) for each in page_of(rows, offset, limit)], "count": rows.count()}


@router.post("/changes", response={201: ChangeDetail})
def create_change(request: HttpRequest, body: ChangeDraftIn) -> Status[dict[str, Any]]:
    """Make a change."""
    actor = actor_of(request)
    with transaction.atomic():
        row = control.create(actor=actor, draft=body.draft())
        custom_values.start(actor, row, KIND, body.custom, subkind=row.kind)
    return Status(201, _detail(control_reads.get(actor, row.number)))


@router.get("/changes/{int:number}", response=ChangeDetail)
def get_change(request: HttpRequest, number: int) -> dict[str, Any]:
    """Return one change."""
    return _detail(control_reads.get(actor_of(request), number))


@router.put("/changes/{int:number}", response=ChangeDetail)
def edit_change(request: HttpRequest, number: int, body: ChangeDraftIn) -> dict[str, Any]:
    """Let a change say something else; consent to another content is lost."""
    actor = actor_of(request)
    row = control_reads.get(actor, number)
    with transaction.atomic():
        control.edit(actor=actor, change=row, draft=body.draft())
        custom_values.put(actor, row, body.custom)
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/assess", response=ChangeDetail)
def assess_change(request: HttpRequest, number: int) -> dict[str, Any]:
    """Work out risk and collisions."""
    actor = actor_of(request)
    control.assess(actor=actor, change=control_reads.get(actor, number))
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/accept-conflicts", response=ChangeDetail)
def accept_conflicts(request: HttpRequest, number: int, body: ReasonIn) -> dict[str, Any]:
    """Say why it may be done in spite of what it collides with."""
    actor = actor_of(request)
    control.accept_conflicts(actor=actor, change=control_reads.get(actor, number), reason=body.reason)
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/ask", response=ChangeDetail)
def ask_change(request: HttpRequest, number: int) -> dict[str, Any]:
    """Ask for consent to what it says now, anew where that has lapsed; a standard change is scheduled at once."""
    actor = actor_of(request)
    control.ask(actor=actor, change=control_reads.get(actor, number))
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/cancel", response=ChangeDetail)
def cancel_change(request: HttpRequest, number: int, body: ReasonIn) -> dict[str, Any]:
    """Withdraw it before the work begins."""
    actor = actor_of(request)
    control.cancel(actor=actor, change=control_reads.get(actor, number), reason=body.reason)
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/begin", response=ChangeDetail)
def begin_change(request: HttpRequest, number: int, body: BeginIn) -> dict[str, Any]:
    """Begin the work, in its window."""
    actor = actor_of(request)
    control_work.begin(actor=actor, change=control_reads.get(actor, number), broke_glass=body.broke_glass)
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/finish", response=ChangeDetail)
def finish_change(request: HttpRequest, number: int, body: FinishIn) -> dict[str, Any]:
    """Say that the work is done, or was taken back."""
    actor = actor_of(request)
    control_work.finish(actor=actor, change=control_reads.get(actor, number), backed_out=body.backed_out)
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/close", response=ChangeDetail)
def close_change(request: HttpRequest, number: int, body: CloseIn) -> dict[str, Any]:
    """Say how it went."""
    actor = actor_of(request)
    row = control_reads.get(actor, number)
    control_work.close(actor=actor, change=row, outcome=body.outcome, review=body.review)
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/back-out", response=ChangeDetail)
def back_out_change(request: HttpRequest, number: int) -> dict[str, Any]:
    """Request the run of the procedure that takes it back."""
    actor = actor_of(request)
    control_work.back_out(actor=actor, change=control_reads.get(actor, number))
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/tasks/{int:position}/done", response=ChangeDetail)
def do_task(request: HttpRequest, number: int, position: int, body: TaskDoneIn) -> dict[str, Any]:
    """Say what became of a task that is done by hand."""
    actor = actor_of(request)
    row = control_reads.get(actor, number)
    control_work.do_task(actor=actor, change=row, position=position, state=body.state, note=body.note)
    return _detail(control_reads.get(actor, number))


@router.post("/changes/{int:number}/tasks/{int:position}/run", response=ChangeDetail)
def run_task(request: HttpRequest, number: int, position: int) -> dict[str, Any]:
    """Request the run of a task's procedure."""
    actor = actor_of(request)
    control_work.run_task(actor=actor, change=control_reads.get(actor, number), position=position)
    return _detail(control_reads.get(actor, number))


@router.get("/change-questions", response=list[RiskQuestionOut])
def list_questions(request: HttpRequest) -> list[dict[str, Any]]:
    """List the questionnaire with the points of each answer."""
    control_reads.visible(actor_of(request))
    return [
        {
            "name": each.name,
            "text": str(each.text),
            "answers": [
                {"answer": name, "text": str(text), "points": points} for name, (text, points) in each.answers.items()
            ],
        }
        for each in risk.QUESTIONS
    ]


@router.get("/change-templates", response=list[TemplateOut])
def list_templates(request: HttpRequest, retired: bool = False) -> list[dict[str, Any]]:
    """List the catalogue of standard changes."""
    return [_template(each) for each in control_reads.templates(actor_of(request), retired=retired)]


@router.get("/change-templates/{slug:name}", response=TemplateOut)
def get_template(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return one entry of the catalogue."""
    return _template(control_reads.template(actor_of(request), name))


@router.put("/change-templates/{slug:name}", response=TemplateOut)
def put_template(request: HttpRequest, name: str, body: TemplateIn) -> dict[str, Any]:
    """Make an entry or replace what it says; it then is to be agreed on anew."""
    fields = body.model_dump(exclude={"tasks", "team"})
    row = catalogue_actions.put_template(
        actor=actor_of(request),
        name=name,
        team=control_reads.team_called(body.team),
        tasks=[each.draft() for each in body.tasks],
        **fields,
    )
    return _template(row)


@router.post("/change-templates/{slug:name}/ask", response=TemplateOut)
def ask_template(request: HttpRequest, name: str) -> dict[str, Any]:
    """Ask for consent to an entry as it reads now."""
    actor = actor_of(request)
    catalogue_actions.ask_template(actor=actor, template=control_reads.template(actor, name))
    return _template(control_reads.template(actor, name))


@router.post("/change-templates/{slug:name}/retire", response=TemplateOut)
def retire_template(request: HttpRequest, name: str) -> dict[str, Any]:
    """Take an entry out of the catalogue."""
    actor = actor_of(request)
    return _template(catalogue_actions.retire_template(actor=actor, template=control_reads.template(actor, name)))
