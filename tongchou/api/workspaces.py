"""Workspaces of Terraform and OpenTofu, their plans, approvals and applies."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.changes import iac_applying, iac_change, iac_lines, iac_planning, iac_reads, iac_workspaces
from tongchou.changes.iac_workspaces import Wanted
from tongchou.changes.models_iac import Plan, PlanKind, PlanState, Workspace
from tongchou.core.custom_fields import shown
from tongchou.core.refs import ref

router = Router(tags=["changes"])
Kind = Literal["plan", "drift", "destroy"]


class WorkspaceIn(Body):
    """What a workspace is; see the guide. Secrets by their names. Intervals of 0: never."""

    directory: str = Field(min_length=1, max_length=1000)
    owner: UUID | None = None
    program: Literal["terraform", "tofu"] = "terraform"
    terraform_workspace: str = Field(default="default", max_length=90)
    var_files: list[str] = Field(default_factory=list, max_length=20)
    secret_variables: dict[str, str] = Field(default_factory=dict)
    secret_environment: dict[str, str] = Field(default_factory=dict)
    plan_interval_seconds: int = Field(default=0, ge=0, le=2_678_400)
    drift_interval_seconds: int = Field(default=0, ge=0, le=2_678_400)
    alarm_after: int = Field(default=2, ge=1, le=100)
    policy: list[dict[str, Any]] = Field(default_factory=list, max_length=50)
    run_checker: bool = False
    state_source: str = Field(default="", max_length=120)
    lock_timeout_seconds: int = Field(default=60, ge=0, le=600)
    timeout_seconds: int = Field(default=1800, ge=60, le=7200)
    enabled: bool = True


class PlanIn(Body):
    """What is planned, and why."""

    kind: Kind = "plan"
    reason: str = Field(default="", max_length=2000)


class ApprovalAskedIn(Body):
    """Why the plan is to be applied, and how long the request waits."""

    reason: str = Field(default="", max_length=2000)
    expires_in_seconds: int = Field(default=86_400, ge=60, le=604_800)


def _workspace(row: Workspace) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in WorkspaceIn.model_fields if name != "owner"}
    more = ("id", "name", "lineage", "serial", "resources", "drift_checked_at", "next_plan_at", "next_drift_at")
    owner = {"id": row.owner.pk, "name": row.owner.name} if row.owner else None
    return {
        **{name: getattr(row, name) for name in more},
        **told,
        "owner": owner,
        "ref": ref(row),
        "custom": shown(row),
    }


def _plan(row: Plan, *, whole: bool = False) -> dict[str, Any]:
    same = (
        *("id", "number", "name", "kind", "state", "sha256", "format_version", "counts", "verdict", "findings"),
        *("lineage", "serial", "reason", "requested_by_name", "created_at", "started_at", "finished_at"),
        *("applied_by_name", "apply_started_at", "apply_finished_at", "stopped_by_name", "outcome"),
    )
    out = {name: getattr(row, name) for name in same}
    approval = row.approval
    out |= {"ref": ref(row), "workspace": row.workspace.name}
    out["approval"] = (
        {"id": approval.pk, "state": approval.state, "expires_at": approval.expires_at} if approval else None
    )
    out["change"] = {"ref": ref(row.change), "number": row.change.number} if row.change else None
    if whole:
        lines = [line.text for line in iac_lines.lines(row.summary)]
        out |= {"summary": row.summary, "lines": lines, "output": row.output, "custom": shown(row)}
    return out


@router.get("/workspaces", response=Page)
def list_workspaces(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List workspaces, by name."""
    rows = iac_reads.workspaces(actor_of(request))
    found = page_of(rows, offset, max(1, min(limit, 500)))
    return {"items": [_workspace(each) for each in found], "count": rows.count()}


@router.get("/workspaces/{slug:name}", response=dict[str, Any])
def get_workspace(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return one workspace."""
    return _workspace(iac_reads.workspace(actor_of(request), name))


@router.put("/workspaces/{slug:name}", response=dict[str, Any])
def put_workspace(request: HttpRequest, name: str, body: WorkspaceIn) -> dict[str, Any]:
    """Make a workspace, or replace what is said of it; plans that were made otherwise are outdated."""
    wanted = Wanted(**body.model_dump())
    return _workspace(iac_workspaces.put_workspace(actor=actor_of(request), name=name, wanted=wanted))


@router.delete("/workspaces/{slug:name}", response={204: None})
def remove_workspace(request: HttpRequest, name: str) -> Status[None]:
    """Remove a workspace with its plans; what it made stays, and so does its state."""
    actor = actor_of(request)
    iac_workspaces.remove_workspace(actor=actor, workspace=iac_reads.workspace(actor, name))
    return Status(204, None)


@router.post("/workspaces/{slug:name}/plans", response={202: dict[str, Any]})
def request_plan(request: HttpRequest, name: str, body: PlanIn) -> Status[dict[str, Any]]:
    """Ask for a plan (of the configuration, of drift, or to destroy all); a job makes it."""
    actor = actor_of(request)
    row = iac_reads.workspace(actor, name)
    return Status(202, _plan(iac_planning.request_plan(actor=actor, workspace=row, kind=body.kind, reason=body.reason)))


@router.get("/plans", response=Page)
def list_plans(
    request: HttpRequest,
    workspace: str | None = None,
    kind: PlanKind | None = None,
    state: PlanState | None = None,
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List plans, the newest first."""
    rows = iac_reads.plans(actor_of(request), workspace=workspace, kind=kind)
    rows = rows.filter(state=state) if state else rows
    found = page_of(rows, offset, max(1, min(limit, 500)))
    return {"items": [_plan(each) for each in found], "count": rows.count()}


@router.get("/plans/{uuid:plan_id}", response=dict[str, Any])
def get_plan(request: HttpRequest, plan_id: UUID) -> dict[str, Any]:
    """Return one plan with its changes, its lines and what the program said, without anything sensitive."""
    return _plan(iac_reads.plan(actor_of(request), plan_id), whole=True)


@router.post("/plans/{uuid:plan_id}/approval", response={201: dict[str, Any]})
def ask_approval(request: HttpRequest, plan_id: UUID, body: ApprovalAskedIn) -> Status[dict[str, Any]]:
    """Ask that exactly this plan file may be applied."""
    actor = actor_of(request)
    row = iac_reads.plan(actor, plan_id)
    iac_applying.ask_approval(actor=actor, plan=row, reason=body.reason, expires_in_seconds=body.expires_in_seconds)
    return Status(201, _plan(iac_reads.plan(actor, plan_id)))


@router.post("/plans/{uuid:plan_id}/apply", response={202: dict[str, Any]})
def apply_plan(request: HttpRequest, plan_id: UUID) -> Status[dict[str, Any]]:
    """Apply an approved plan; a job does it, GET follows it."""
    actor = actor_of(request)
    return Status(202, _plan(iac_applying.apply_plan(actor=actor, plan=iac_reads.plan(actor, plan_id))))


@router.post("/plans/{uuid:plan_id}/change", response={201: dict[str, Any]})
def make_change(request: HttpRequest, plan_id: UUID) -> Status[dict[str, Any]]:
    """Make the change that carries the plan out: then it is applied only while that is being implemented."""
    actor = actor_of(request)
    iac_change.make_change(actor=actor, plan=iac_reads.plan(actor, plan_id))
    return Status(201, _plan(iac_reads.plan(actor, plan_id)))


@router.post("/plans/{uuid:plan_id}/stop", response=dict[str, Any])
def stop_plan(request: HttpRequest, plan_id: UUID) -> dict[str, Any]:
    """Let what is under way end in good order."""
    actor = actor_of(request)
    row = iac_reads.plan(actor, plan_id)
    iac_applying.stop_apply(actor=actor, plan=row)
    return _plan(row)


@router.post("/plans/{uuid:plan_id}/discard", response=dict[str, Any])
def discard_plan(request: HttpRequest, plan_id: UUID) -> dict[str, Any]:
    """Let a plan go that waits."""
    actor = actor_of(request)
    row = iac_reads.plan(actor, plan_id)
    iac_applying.discard_plan(actor=actor, plan=row)
    return _plan(row)
