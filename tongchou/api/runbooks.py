"""Procedures, their dry runs, and runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import AfterValidator, Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.document import bytes_of
from tongchou.api.paging import Offset, page_of
from tongchou.core.access import Actor, check_anywhere
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.problems import BadRequest, TooLarge
from tongchou.core.refs import ref
from tongchou.incidents import reads as incidents
from tongchou.runbooks import actions, history, reads, transcript
from tongchou.runbooks.definition import every
from tongchou.runbooks.document import MAX_BYTES
from tongchou.runbooks.installed import previewer
from tongchou.runbooks.models import Procedure, Run, RunStep
from tongchou.runbooks.parameters import Parameter
from tongchou.runbooks.planned import PlannedStep
from tongchou.runbooks.prepare import Prepared, definition_of, prepare
from tongchou.runbooks.reasons import Reason, in_language, say

router = Router(tags=["runbooks"])
PROCEDURE, RUN = "runbooks.procedure", "runbooks.run"


def _keepable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains a NUL character, which no database keeps")
    return text


Text = Annotated[str, AfterValidator(_keepable)]


class ProcedureOut(Schema):
    """A procedure in lists; title in the caller's language."""

    id: UUID
    ref: str
    name: str
    title: str
    titles: dict[str, str]
    grade: str
    state: str
    version: int
    content_hash: str
    matches: list[dict[str, list[str]]]
    updated_at: datetime
    updated_by: str
    custom: dict[str, Any] = Field(default_factory=dict)


class ParameterOut(Schema):
    """A declared parameter."""

    name: str
    type: str
    title: str
    required: bool
    default: Any
    choices: list[str]
    min: float | None
    max: float | None
    pattern: str
    kind: str
    unit: str


class ProcedureDetail(ProcedureOut):
    """A procedure with its text, and what a form needs to ask for a run."""

    text: str
    description: str
    max_targets: int
    parameters: list[ParameterOut]
    steps: list[dict[str, Any]]


class ProcedurePage(Schema):
    """A page of procedures."""

    items: list[ProcedureOut]
    count: int


class RunIn(Body):
    """A request for a run, or for its dry run. `incident` is an incident's id.

    The approval it needs ends after `expires_in_seconds`.
    """

    params: dict[str, Any] = Field(default_factory=dict, max_length=100)
    targets: list[Text] = Field(default_factory=list, max_length=500)
    incident: UUID | None = None
    reason: Text = Field(default="", max_length=actions.MAX_COMMENT)
    expires_in_seconds: int = 3600


class WhyNotOut(Schema):
    """Why not; the detail is in the caller's language."""

    code: str
    detail: str


class PlanOut(Schema):
    """A dry run: every step resolved but for secrets, whether the preconditions hold now, and why it may not run."""

    procedure: str
    version: int
    grade: str
    needs_approval: bool
    content_hash: str
    targets: list[dict[str, Any]]
    checks: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    refusals: list[WhyNotOut]


class StepOut(Schema):
    """One line of a run's journal."""

    position: int
    name: str
    kind: str
    state: str
    target: str
    target_name: str
    alters: bool
    repeatable: bool
    input: dict[str, Any]
    output: dict[str, Any]
    reason: str
    reason_code: str
    idempotency_key: str
    parent: int | None
    branch: str
    flow: dict[str, Any]
    preview: dict[str, Any]
    previewed_at: datetime | None
    attempts: int
    retries: int
    next_try_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    answered_by: str
    answers: list[str]


class RunOut(Schema):
    """A run in lists."""

    id: UUID
    ref: str
    procedure: str
    title: str
    version: int
    grade: str
    state: str
    outcome: str
    outcome_code: str
    params: dict[str, Any]
    targets: list[dict[str, Any]]
    about_ref: str
    incident_number: int | None
    reason: str
    requested_by: str
    approved_by: str
    approval: UUID | None
    approval_state: str
    approval_expires_at: datetime | None
    content_hash: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    custom: dict[str, Any] = Field(default_factory=dict)


class RunDetail(RunOut):
    """A run with its journal and the text it runs."""

    text: str
    lock: str
    lock_held: bool
    lock_holder: UUID | None
    steps: list[StepOut]


class RunPage(Schema):
    """A page of runs."""

    items: list[RunOut]
    count: int


class StepFailuresOut(Schema):
    """How often a step was done and failed."""

    name: str
    done: int
    failed: int


class HistoryOut(Schema):
    """How a procedure has fared, over the newest 200 runs that began and ended. `success_rate` is 0 to 1."""

    runs: int
    succeeded: int
    failed: int
    cancelled: int
    success_rate: float | None
    median_seconds: float | None
    last_proved_at: datetime | None
    last_proved_by: str
    steps: list[StepFailuresOut]


class CancelIn(Body):
    """Why a run is cancelled."""

    comment: Text = Field(default="", max_length=actions.MAX_COMMENT)


class AnswerIn(Body):
    """An answer to the step at `position`: continue or stop; done, repeat or stop for an uncertain one."""

    position: int = Field(ge=0)
    answer: Literal["continue", "stop", "done", "repeat"]
    comment: Text = Field(default="", max_length=actions.MAX_COMMENT)


class RetryIn(Body):
    """How long the new approval is good for, if one is needed."""

    expires_in_seconds: int = 3600


# --- shapes


def procedure_out(row: Procedure, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    """The members of ProcedureOut."""
    return {
        "id": row.pk,
        "ref": ref(row),
        "name": row.name,
        "title": in_language(row.title),
        "titles": row.title,
        "grade": row.grade,
        "state": row.state,
        "version": row.version_number,
        "content_hash": row.content_hash,
        "matches": row.matches,
        "updated_at": row.updated_at,
        "updated_by": row.updated_by_name,
        "custom": shown(row, fields),
    }


def _parameter_out(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "type": parameter.type,
        "title": in_language(parameter.title),
        "required": parameter.required,
        "default": parameter.default,
        "choices": list(parameter.choices),
        "min": parameter.least,
        "max": parameter.most,
        "pattern": parameter.pattern,
        "kind": parameter.kind,
        "unit": parameter.unit,
    }


def procedure_detail(row: Procedure) -> dict[str, Any]:
    """The members of ProcedureDetail."""
    definition = definition_of(row.text)
    steps = [
        {"name": step.name, "kind": step.kind, "alters": step.alters, "repeatable": step.repeatable, **step.body}
        for step in every(definition.steps)
    ]
    return {
        **procedure_out(row),
        "text": row.text,
        "description": in_language(definition.description),
        "max_targets": definition.max_targets,
        "parameters": [_parameter_out(parameter) for parameter in definition.parameters.values()],
        "steps": steps,
    }


def _reasons(refusals: Sequence[Reason]) -> list[dict[str, str]]:
    return [{"code": reason.code, "detail": str(reason)} for reason in refusals]


def plan_out(prepared: Prepared) -> dict[str, Any]:
    """The members of PlanOut."""
    plan = prepared.plan
    return {
        "procedure": prepared.definition.name,
        "version": prepared.version.number,
        "grade": prepared.definition.grade,
        "needs_approval": prepared.definition.grade != "read",
        "content_hash": plan.content_hash,
        "targets": [target.as_json() for target in prepared.targets],
        "checks": [{**each.as_json(), "says": in_language(each.says)} for each in plan.checks],
        "steps": [{**step.as_json(), "target_name": step.target_name, **_pending_preview(step)} for step in plan.steps],
        "refusals": _reasons(plan.refusals),
    }


def _pending_preview(step: PlannedStep) -> dict[str, str]:
    """A dry run alters nothing and asks nobody: what such a step would change is shown once the run is requested."""
    return {"preview": "pending"} if previewer(step.kind) is not None else {}


def run_out(row: Run, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    """The members of RunOut."""
    approval = row.approval
    return {
        "id": row.pk,
        "ref": ref(row),
        "procedure": row.procedure.name,
        "title": in_language(row.procedure.title),
        "version": row.version.number,
        "grade": row.grade,
        "state": row.state,
        "outcome": say(row.outcome),
        "outcome_code": row.outcome.get("code", ""),
        "params": row.params,
        "targets": row.targets,
        "about_ref": row.about_ref,
        "incident_number": row.incident_number,
        "reason": row.reason,
        "requested_by": row.requested_by_name,
        "approved_by": approval.decided_by_name if approval and approval.state == "approved" else "",
        "approval": approval.pk if approval else None,
        "approval_state": approval.state if approval else "",
        "approval_expires_at": approval.expires_at if approval else None,
        "content_hash": row.content_hash,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "custom": shown(row, fields),
    }


def step_out(step: RunStep) -> dict[str, Any]:
    """The members of StepOut."""
    return {
        "position": step.position,
        "name": step.name,
        "kind": step.kind,
        "state": step.state,
        "target": step.target,
        "target_name": step.target_name,
        "alters": step.alters,
        "repeatable": step.repeatable,
        "input": step.input,
        "output": step.output,
        "reason": say(step.reason),
        "reason_code": step.reason.get("code", ""),
        "idempotency_key": step.idempotency_key,
        "parent": step.parent,
        "branch": step.branch,
        "flow": step.flow,
        "preview": step.preview,
        "previewed_at": step.previewed_at,
        "attempts": step.attempts,
        "retries": step.retries,
        "next_try_at": step.poll_at if step.state == "pending" else None,
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "deadline_at": step.deadline_at,
        "answered_by": step.answered_by_name,
        "answers": list(actions.possible_answers(step)),
    }


def run_detail(actor: Actor, row: Run) -> dict[str, Any]:
    """The members of RunDetail. The run that holds the lock is named only to whom may see it."""
    steps = sorted(row.steps.all(), key=lambda step: step.position)
    held, holder = reads.lock_holder(actor, row)
    return {
        **run_out(row),
        "text": row.version.text,
        "lock": row.lock,
        "lock_held": held,
        "lock_holder": holder.pk if holder else None,
        "steps": [step_out(step) for step in steps],
    }


def _text_of(request: HttpRequest) -> str:
    if len(request.body) > MAX_BYTES:
        raise TooLarge("procedure.too_large", "A procedure is at most 128 KiB.", remedy="Split it.")
    try:
        return request.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("procedure.encoding", "The text is not UTF-8.", remedy="Send YAML in UTF-8.") from error


def _incident(request: HttpRequest, body: RunIn) -> tuple[str, int | None]:
    if body.incident is None:
        return "", None
    found = incidents.get(actor_of(request), body.incident)
    return ref(found), found.number


# --- procedures


@router.get("/procedures", response=ProcedurePage)
def list_procedures(
    request: HttpRequest, retired: bool = False, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List procedures by name; cf.<custom field> filters by a custom field, here and in runs."""
    found = custom_values.filtered(request, reads.procedures(actor_of(request), retired=retired), PROCEDURE)
    fields = fields_of(PROCEDURE)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [procedure_out(row, fields) for row in found[offset : offset + limit]], "count": found.count()}


@router.get("/procedures/{name}", response=ProcedureDetail)
def get_procedure(request: HttpRequest, name: Text) -> dict[str, Any]:
    """Return one procedure with its text, parameters and steps."""
    return procedure_detail(reads.procedure(actor_of(request), name))


@router.put(
    "/procedures/{name}",
    response=ProcedureDetail,
    openapi_extra={"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "object"}}}}},
)
def put_procedure(request: HttpRequest, name: Text) -> dict[str, Any]:
    """Save the YAML text in the body as the newest version; a text with a defect is refused whole, with its place."""
    row = actions.put_procedure(actor=actor_of(request), name=name, text=_text_of(request))
    return procedure_detail(row)


@router.delete("/procedures/{name}", response=ProcedureOut)
def retire_procedure(request: HttpRequest, name: Text) -> dict[str, Any]:
    """Take a procedure out of use; its runs and versions stay."""
    actor = actor_of(request)
    return procedure_out(actions.retire_procedure(actor=actor, procedure=reads.procedure(actor, name)))


@router.get("/procedures/{name}/versions", response=Page)
def list_versions(request: HttpRequest, name: Text, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List the saved texts, newest first."""
    versions = reads.procedure(actor_of(request), name).versions.order_by("-number")
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    items = [
        {
            "number": row.number,
            "text": row.text,
            "content_hash": row.content_hash,
            "created_at": row.created_at,
            "created_by": row.created_by_name,
        }
        for row in versions[offset : offset + limit]
    ]
    return {"items": items, "count": versions.count()}


@router.post("/procedures/{name}/plan", response=PlanOut)
def plan_run(request: HttpRequest, name: Text, body: RunIn) -> dict[str, Any]:
    """Dry run: what would be done with these parameters and targets, and why not. Changes nothing."""
    actor = actor_of(request)
    row = reads.procedure(actor, name)
    check_anywhere(actor, "runbooks.request")
    _ref, number = _incident(request, body)
    return plan_out(prepare(row, actor=actor, params=body.params, target_names=body.targets, incident_number=number))


@router.post("/procedures/{name}/runs", response={201: RunDetail})
def request_run(request: HttpRequest, name: Text, body: RunIn) -> Status[dict[str, Any]]:
    """Ask for a run. It waits for another person's approval unless the procedure only reads."""
    actor = actor_of(request)
    about_ref, number = _incident(request, body)
    run = actions.request_run(
        actor=actor,
        procedure=reads.procedure(actor, name),
        params=body.params,
        targets=body.targets,
        about_ref=about_ref,
        incident_number=number,
        reason=body.reason,
        expires_in_seconds=body.expires_in_seconds,
    )
    return Status(201, run_detail(actor, run))


# --- runs


@router.get("/runs", response=RunPage)
def list_runs(
    request: HttpRequest,
    state: Text | None = None,
    procedure: Text | None = None,
    incident: UUID | None = None,
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List runs, newest first; `state` may be several, separated by commas."""
    actor = actor_of(request)
    about_ref = ref(incidents.get(actor, incident)) if incident else None
    found = reads.runs(actor, states=state.split(",") if state else None, procedure=procedure, about_ref=about_ref)
    found, fields = custom_values.filtered(request, found, RUN), fields_of(RUN)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [run_out(row, fields) for row in page_of(found, offset, limit)], "count": found.count()}


@router.get("/runs/{run_id}", response=RunDetail)
def get_run(request: HttpRequest, run_id: UUID) -> dict[str, Any]:
    """Return a run with its journal."""
    return run_detail(actor_of(request), reads.run(actor_of(request), run_id))


@router.post("/runs/{run_id}/cancel", response=RunDetail)
def cancel_run(request: HttpRequest, run_id: UUID, body: CancelIn) -> dict[str, Any]:
    """Stop a run before its next step."""
    actor = actor_of(request)
    actions.cancel(actor=actor, run=reads.run(actor, run_id), comment=body.comment)
    return run_detail(actor, reads.run(actor, run_id))


@router.post("/runs/{run_id}/answer", response=RunDetail)
def answer_run(request: HttpRequest, run_id: UUID, body: AnswerIn) -> dict[str, Any]:
    """Answer the step a run waits for."""
    actor = actor_of(request)
    run = reads.run(actor, run_id)
    actions.answer(actor=actor, run=run, position=body.position, answer=body.answer, comment=body.comment)
    return run_detail(actor, reads.run(actor, run_id))


@router.post("/runs/{run_id}/retry", response=RunDetail)
def retry_run(request: HttpRequest, run_id: UUID, body: RetryIn) -> dict[str, Any]:
    """Go on with a failed run from the step that failed."""
    actor = actor_of(request)
    actions.retry(actor=actor, run=reads.run(actor, run_id), expires_in_seconds=body.expires_in_seconds)
    return run_detail(actor, reads.run(actor, run_id))


@router.post("/runs/{run_id}/resume", response=RunDetail)
def resume_run(request: HttpRequest, run_id: UUID) -> dict[str, Any]:
    """Go on with a run that is paused."""
    actor = actor_of(request)
    actions.resume(actor=actor, run=reads.run(actor, run_id))
    return run_detail(actor, reads.run(actor, run_id))


@router.post("/runs/{run_id}/pause", response=RunDetail)
def pause_run(request: HttpRequest, run_id: UUID) -> dict[str, Any]:
    """Hold a run before its next step, until it is resumed."""
    actor = actor_of(request)
    actions.pause(actor=actor, run=reads.run(actor, run_id))
    return run_detail(actor, reads.run(actor, run_id))


@router.get("/runs/{run_id}/transcript", openapi_extra=bytes_of("text/plain", "application/json"))
def get_transcript(
    request: HttpRequest,
    run_id: UUID,
    format: Literal["text", "json"] = "text",  # noqa: A002  # the query's name
) -> HttpResponse:
    """Return everything that was asked, shown, answered, approved and done, secrets masked: text, or JSON."""
    found = transcript.of(reads.run(actor_of(request), run_id))
    if format == "json":
        return HttpResponse(json.dumps(found, ensure_ascii=False), content_type="application/json")
    return HttpResponse(transcript.as_text(found), content_type="text/plain; charset=utf-8")


@router.get("/procedures/{name}/history", response=HistoryOut)
def get_history(request: HttpRequest, name: Text) -> dict[str, Any]:
    """Return how a procedure has fared: success rate, median duration, when it was last proved, where it fails."""
    actor = actor_of(request)
    return asdict(history.of(actor, reads.procedure(actor, name).name))
