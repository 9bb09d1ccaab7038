"""Procedures, their dry runs, and runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import AfterValidator, Field

from tongchou.api.core import actor_of
from tongchou.api.paging import Offset
from tongchou.core.access import check_anywhere
from tongchou.core.problems import BadRequest, TooLarge
from tongchou.core.refs import ref
from tongchou.incidents import reads as incidents
from tongchou.runbooks import actions, reads
from tongchou.runbooks.document import MAX_BYTES
from tongchou.runbooks.models import Procedure, Run, RunStep
from tongchou.runbooks.parameters import Parameter
from tongchou.runbooks.prepare import Prepared, definition_of, prepare
from tongchou.runbooks.reasons import Reason, in_language, say

router = Router(tags=["runbooks"])


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


class PlanIn(Schema):
    """What a run would be given. `incident` is an incident's id."""

    params: dict[str, Any] = Field(default_factory=dict, max_length=100)
    targets: list[Text] = Field(default_factory=list, max_length=500)
    incident: UUID | None = None


class RunIn(PlanIn):
    """A request for a run; the approval it needs ends after `expires_in_seconds`."""

    reason: Text = Field(default="", max_length=actions.MAX_COMMENT)
    expires_in_seconds: int = 3600


class ReasonOut(Schema):
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
    refusals: list[ReasonOut]


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
    attempts: int
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


class RunDetail(RunOut):
    """A run with its journal and the text it runs."""

    text: str
    steps: list[StepOut]


class RunPage(Schema):
    """A page of runs."""

    items: list[RunOut]
    count: int


class CancelIn(Schema):
    """Why a run is cancelled."""

    comment: Text = Field(default="", max_length=actions.MAX_COMMENT)


class AnswerIn(Schema):
    """An answer to the step at `position`: continue or stop; done, repeat or stop for an uncertain one."""

    position: int = Field(ge=0)
    answer: Literal["continue", "stop", "done", "repeat"]
    comment: Text = Field(default="", max_length=actions.MAX_COMMENT)


class RetryIn(Schema):
    """How long the new approval is good for, if one is needed."""

    expires_in_seconds: int = 3600


# --- shapes


def procedure_out(row: Procedure) -> dict[str, Any]:
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
    }


def procedure_detail(row: Procedure) -> dict[str, Any]:
    """The members of ProcedureDetail."""
    definition = definition_of(row.text)
    steps = [
        {"name": step.name, "kind": step.kind, "alters": step.alters, "repeatable": step.repeatable, **step.body}
        for step in definition.steps
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
        "steps": [{**step.as_json(), "target_name": step.target_name} for step in plan.steps],
        "refusals": _reasons(plan.refusals),
    }


def run_out(row: Run) -> dict[str, Any]:
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
        "attempts": step.attempts,
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "deadline_at": step.deadline_at,
        "answered_by": step.answered_by_name,
        "answers": list(actions.possible_answers(step)),
    }


def run_detail(row: Run) -> dict[str, Any]:
    """The members of RunDetail."""
    steps = sorted(row.steps.all(), key=lambda step: step.position)
    return {**run_out(row), "text": row.version.text, "steps": [step_out(step) for step in steps]}


def _text_of(request: HttpRequest) -> str:
    if len(request.body) > MAX_BYTES:
        raise TooLarge("procedure.too_large", "A procedure is at most 128 KiB.", remedy="Split it.")
    try:
        return request.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("procedure.encoding", "The text is not UTF-8.", remedy="Send YAML in UTF-8.") from error


def _incident(request: HttpRequest, body: PlanIn) -> tuple[str, int | None]:
    if body.incident is None:
        return "", None
    found = incidents.get(actor_of(request), body.incident)
    return ref(found), found.number


# --- procedures


@router.get("/procedures", response=ProcedurePage)
def list_procedures(
    request: HttpRequest, retired: bool = False, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List procedures by name."""
    found = reads.procedures(actor_of(request), retired=retired)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [procedure_out(row) for row in found[offset : offset + limit]], "count": found.count()}


@router.get("/procedures/{name}", response=ProcedureDetail)
def get_procedure(request: HttpRequest, name: Text) -> dict[str, Any]:
    """Return one procedure with its text, parameters and steps."""
    return procedure_detail(reads.procedure(actor_of(request), name))


@router.put(
    "/procedures/{name}",
    response=ProcedureDetail,
    openapi_extra={"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}},
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


@router.get("/procedures/{name}/versions")
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
def plan_run(request: HttpRequest, name: Text, body: PlanIn) -> dict[str, Any]:
    """Dry run: what would be done with these parameters and targets, and why not. Changes nothing."""
    actor = actor_of(request)
    row = reads.procedure(actor, name)
    check_anywhere(actor, "runbooks.request")
    _ref, number = _incident(request, body)
    return plan_out(prepare(row, params=body.params, target_names=body.targets, incident_number=number))


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
    return Status(201, run_detail(run))


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
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [run_out(row) for row in found[offset : offset + limit]], "count": found.count()}


@router.get("/runs/{run_id}", response=RunDetail)
def get_run(request: HttpRequest, run_id: UUID) -> dict[str, Any]:
    """Return a run with its journal."""
    return run_detail(reads.run(actor_of(request), run_id))


@router.post("/runs/{run_id}/cancel", response=RunDetail)
def cancel_run(request: HttpRequest, run_id: UUID, body: CancelIn) -> dict[str, Any]:
    """Stop a run before its next step."""
    actor = actor_of(request)
    actions.cancel(actor=actor, run=reads.run(actor, run_id), comment=body.comment)
    return run_detail(reads.run(actor, run_id))


@router.post("/runs/{run_id}/answer", response=RunDetail)
def answer_run(request: HttpRequest, run_id: UUID, body: AnswerIn) -> dict[str, Any]:
    """Answer the step a run waits for."""
    actor = actor_of(request)
    run = reads.run(actor, run_id)
    actions.answer(actor=actor, run=run, position=body.position, answer=body.answer, comment=body.comment)
    return run_detail(reads.run(actor, run_id))


@router.post("/runs/{run_id}/retry", response=RunDetail)
def retry_run(request: HttpRequest, run_id: UUID, body: RetryIn) -> dict[str, Any]:
    """Go on with a failed run from the step that failed."""
    actor = actor_of(request)
    actions.retry(actor=actor, run=reads.run(actor, run_id), expires_in_seconds=body.expires_in_seconds)
    return run_detail(reads.run(actor, run_id))
