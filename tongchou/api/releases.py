"""Releases: versions, environments, how services are rolled out, and the releases themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.changes.models_release import Artefact, Environment, Release, ReleaseBatch, ReleaseItem, Rollout
from tongchou.changes.release import actions, artefacts, reads, setup
from tongchou.changes.release.artefacts import Told
from tongchou.changes.release.draft import RolloutDraft
from tongchou.changes.release.words import sentence
from tongchou.core.access import Actor
from tongchou.core.problems import NotFound
from tongchou.core.refs import ref
from tongchou.inventory import reads as inventory
from tongchou.inventory.models import Resource, ResourceState

router = Router(tags=["changes"])


class EnvironmentIn(Body):
    """A step of the way of a version. `soak_seconds`: its stay in the one before; `consent`: each or standing."""

    position: int = Field(default=100, ge=0, le=10_000)
    needs_previous: bool = True
    soak_seconds: int = Field(default=0, ge=0, le=setup.MAX_SOAK)
    consent: str = "each"


class EnvironmentOut(Schema):
    """An environment; versions go from low positions to high ones."""

    name: str
    ref: str
    position: int
    needs_previous: bool
    soak_seconds: int
    consent: str
    retired: bool


class ArtefactIn(Body):
    """A version of a service, as a pipeline tells it. `digest`: SHA-256 of what was built."""

    service: str = Field(max_length=253)
    version: str = Field(max_length=120)
    reference: str = Field(default="", max_length=500)
    digest: str = Field(default="", max_length=80)
    commit_sha: str = Field(default="", max_length=64)
    commit_at: datetime | None = None
    url: str = Field(default="", max_length=2000)
    notes: str = Field(default="", max_length=20_000)


class ArtefactOut(Schema):
    """A version of a service that can be rolled out, unless it was withdrawn."""

    id: UUID
    ref: str
    service: str
    version: str
    reference: str
    digest: str
    commit_sha: str
    commit_at: datetime | None
    url: str
    notes: str
    source: str
    created_at: datetime
    created_by: str
    withdrawn_at: datetime | None
    withdrawn_reason: str


class ArtefactPage(Schema):
    """Versions, the newest first."""

    items: list[ArtefactOut]
    count: int


class WithdrawIn(Body):
    """Why the version must not be rolled out; empty: it may be again."""

    reason: str = Field(default="", max_length=500)


def _sizes() -> list[int | str]:
    return [1, "25%", "100%"]


class RolloutIn(Body):
    """How a service is rolled out in an environment. ${version}, ${previous_version} and so on stand in `params`."""

    procedure: str = Field(max_length=63)
    params: dict[str, Any] = Field(default_factory=lambda: {"version": "${version}"})
    targets: dict[str, Any] = Field(default_factory=lambda: {"from": "service"})
    batches: list[int | str] = Field(default_factory=_sizes, min_length=1, max_length=20)
    bake_seconds: int = Field(default=60, ge=0, le=604_800)
    confirm_after: int = Field(default=0, ge=0, le=1000)
    checks: list[dict[str, Any]] = Field(default_factory=list, max_length=20)
    on_failure: str = "rollback"
    rollback_procedure: str = Field(default="", max_length=63)
    rollback_params: dict[str, Any] = Field(default_factory=dict)


class RolloutOut(Schema):
    """How a service is rolled out. `agreed`: standing consent was given to what it says now."""

    id: UUID
    ref: str
    service: str
    environment: str
    procedure: str
    params: dict[str, Any]
    targets: dict[str, Any]
    batches: list[int | str]
    bake_seconds: int
    confirm_after: int
    checks: list[dict[str, Any]]
    on_failure: str
    rollback_procedure: str
    rollback_params: dict[str, Any]
    version: int
    content_hash: str
    agreed: bool
    approval: UUID | None
    retired: bool


class RolloutPage(Schema):
    """Rollouts, by service and environment."""

    items: list[RolloutOut]
    count: int


class ReleaseItemIn(Body):
    """A version of a service."""

    service: str = Field(max_length=253)
    version: str = Field(max_length=120)


class ReleaseDraftIn(Body):
    """Versions that go into an environment together, in this order. `skip_promotion`: why one is passed over."""

    environment: str = Field(max_length=80)
    items: list[ReleaseItemIn] = Field(min_length=1, max_length=20)
    title: str = Field(default="", max_length=200)
    together: bool = True
    skip_promotion: str = Field(default="", max_length=500)


class BatchOut(Schema):
    """Targets that are done together: how far they are, with which runs, what checks said."""

    number: int
    state: str
    targets: list[str]
    attempt: int
    run: str | None
    rollback_run: str | None
    started_at: datetime | None
    bakes_since: datetime | None
    finished_at: datetime | None
    checks: list[dict[str, Any]]
    reason: str


class ReleaseItemOut(Schema):
    """A service of a release."""

    position: int
    service: str
    version: str
    previous_version: str
    state: str
    started_at: datetime | None
    finished_at: datetime | None
    deployment: str | None
    batches: list[BatchOut]


class ReleaseLine(Schema):
    """A release, as a list has it. `reason`: why it paused, failed or went back."""

    number: int
    name: str
    ref: str
    title: str
    environment: str
    state: str
    reason: str
    reason_code: str
    together: bool
    skip_promotion: str
    change: str | None
    approval: UUID | None
    content_hash: str
    requested_by: str
    started_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ReleaseOut(ReleaseLine):
    """A release with everything. `content`: what consent covers, run by run."""

    items: list[ReleaseItemOut]
    content: dict[str, Any]


class ReleasePage(Schema):
    """Releases, the newest first."""

    items: list[ReleaseLine]
    count: int


class ReleaseReasonIn(Body):
    """Why; a sentence for who reads it later."""

    reason: str = Field(default="", max_length=2000)


class RefusalsOut(Schema):
    """Why it may not begin now; empty when it may."""

    refusals: list[dict[str, str]]


class WhereOut(Schema):
    """What is where: the last deployment of a service in an environment that succeeded."""

    service: str
    environment: str
    version: str | None
    since: datetime | None
    deployment: str | None
    newest: str | None


# --- answers --------------------------------------------------------------------------------------------------------


def _environment(row: Environment) -> dict[str, Any]:
    same = ("name", "position", "needs_previous", "soak_seconds", "consent")
    return {**{name: getattr(row, name) for name in same}, "ref": ref(row), "retired": row.retired_at is not None}


def _version(row: Artefact) -> dict[str, Any]:
    same = ("id", "version", "reference", "digest", "commit_sha", "commit_at", "url", "notes", "source", "created_at")
    more = {"service": row.service.name, "created_by": row.created_by_name, "ref": ref(row)}
    gone = {"withdrawn_at": row.withdrawn_at, "withdrawn_reason": row.withdrawn_reason}
    return {**{name: getattr(row, name) for name in same}, **more, **gone}


def _rollout(row: Rollout) -> dict[str, Any]:
    same = ("id", "params", "targets", "batches", "bake_seconds", "confirm_after", "checks", "on_failure")
    content = reads.hash_of_rollout(row)
    return {
        **{name: getattr(row, name) for name in same},
        "ref": ref(row),
        "service": row.service.name,
        "environment": row.environment.name,
        "procedure": row.procedure.name,
        "rollback_procedure": row.rollback_procedure.name if row.rollback_procedure else "",
        "rollback_params": row.rollback_params,
        "version": row.version_number,
        "content_hash": content,
        "agreed": row.approved_hash == content,
        "approval": row.approval_id,
        "retired": row.retired_at is not None,
    }


def _line(row: Release) -> dict[str, Any]:
    same = ("number", "name", "title", "state", "together", "skip_promotion", "content_hash", "created_at")
    return {
        **{name: getattr(row, name) for name in (*same, "started_at", "finished_at")},
        "ref": ref(row),
        "environment": row.environment.name,
        "reason": sentence(row.outcome),
        "reason_code": row.outcome.get("code", ""),
        "change": ref(row.change) if row.change else None,
        "approval": row.approval_id,
        "requested_by": row.requested_by_name,
        "started_by": row.started_by_name,
    }


def _release(row: Release) -> dict[str, Any]:
    return {**_line(row), "items": [_item(each) for each in reads.items(row)], "content": row.content}


def _item(row: ReleaseItem) -> dict[str, Any]:
    return {
        "position": row.position,
        "service": row.service.name,
        "version": row.artefact.version,
        "previous_version": row.previous_version,
        "state": row.state,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "deployment": f"changes.deployment:{row.deployment_id}" if row.deployment_id else None,
        "batches": [_batch(each) for each in reads.batches_of(row)],
    }


def _batch(row: ReleaseBatch) -> dict[str, Any]:
    same = ("number", "state", "attempt", "started_at", "bakes_since", "finished_at", "checks")
    return {
        **{name: getattr(row, name) for name in same},
        "targets": [each["name"] for each in row.targets],
        "run": f"runbooks.run:{row.run_id}" if row.run_id else None,
        "rollback_run": f"runbooks.run:{row.rollback_run_id}" if row.rollback_run_id else None,
        "reason": sentence(row.reason),
    }


def _service(actor: Actor, name: str) -> Resource:
    """The active service of this name that the actor may see."""
    rows = inventory.visible(actor).filter(name=name, state=ResourceState.ACTIVE)
    found = rows.filter(kind="service").first() or rows.first()
    if found is None:
        raise NotFound("release.service", _("There is no such service."), field="service", value=name[:253])
    return found


# --- environments ---------------------------------------------------------------------------------------------------


@router.get("/environments", response=list[EnvironmentOut])
def list_environments(request: HttpRequest, retired: bool = False) -> list[dict[str, Any]]:
    """List the environments in the order a version passes them."""
    return [_environment(each) for each in reads.environments(actor_of(request), retired=retired)]


@router.put("/environments/{name}", response=EnvironmentOut)
def put_environment(request: HttpRequest, name: str, body: EnvironmentIn) -> dict[str, Any]:
    """Make an environment or change it. Its name is the one deployments are told with."""
    return _environment(setup.put_environment(actor=actor_of(request), name=name, **body.model_dump()))


@router.delete("/environments/{name}", response={204: None})
def retire_environment(request: HttpRequest, name: str) -> Status[None]:
    """Take an environment out of use; what was deployed there stays."""
    actor = actor_of(request)
    setup.retire_environment(actor=actor, environment=reads.environment(actor, name))
    return Status(204, None)


# --- versions -------------------------------------------------------------------------------------------------------


@router.get("/versions", response=ArtefactPage)
def list_versions(request: HttpRequest, service: str = "", limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List versions of services, the newest first; with `service` of that one."""
    rows = reads.artefacts(actor_of(request))
    rows = rows.filter(service__name=service) if service else rows
    found = page_of(rows, max(0, offset), max(1, min(limit, 500)))
    return {"items": [_version(each) for each in found], "count": rows.count()}


@router.post("/versions", response={200: ArtefactOut, 201: ArtefactOut})
def register_version(request: HttpRequest, body: ArtefactIn) -> Status[dict[str, Any]]:
    """Tell of a version that was built. The same again changes nothing; another digest of a known one is refused."""
    actor = actor_of(request)
    said = body.model_dump(exclude={"service"})
    row, created = artefacts.register(
        actor=actor, service=_service(actor, body.service), told=Told(**said), source=actor.name
    )
    return Status(201 if created else 200, _version(row))


@router.get("/versions/{uuid:artefact_id}", response=ArtefactOut)
def get_version(request: HttpRequest, artefact_id: UUID) -> dict[str, Any]:
    """Return one version."""
    return _version(reads.artefact(actor_of(request), artefact_id))


@router.post("/versions/{uuid:artefact_id}/withdraw", response=ArtefactOut)
def withdraw_version(request: HttpRequest, artefact_id: UUID, body: WithdrawIn) -> dict[str, Any]:
    """Say that a version must not be rolled out any more; without a reason: that it may be again."""
    actor = actor_of(request)
    row = artefacts.withdraw(actor=actor, artefact=reads.artefact(actor, artefact_id), reason=body.reason)
    return _version(row)


@router.get("/versions/where", response=list[WhereOut])
def list_where(request: HttpRequest) -> list[dict[str, Any]]:
    """Tell which version of each service is in each environment it is rolled out in."""
    actor = actor_of(request)
    rows = list(reads.rollouts(actor))
    lines = {each.service.pk: each for each in reads.grid(rows)}
    out = []
    for each in rows:
        line = lines[each.service_id]
        there = line.where.get(each.environment_id)
        out.append(
            {
                "service": each.service.name,
                "environment": each.environment.name,
                "version": there.version if there else None,
                "since": there.finished_at if there else None,
                "deployment": ref(there) if there else None,
                "newest": line.newest.version if line.newest else None,
            }
        )
    return out


# --- how services are rolled out ------------------------------------------------------------------------------------


@router.get("/rollouts", response=RolloutPage)
def list_rollouts(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List how services are rolled out."""
    rows = reads.rollouts(actor_of(request))
    found = page_of(rows, max(0, offset), max(1, min(limit, 500)))
    return {"items": [_rollout(each) for each in found], "count": rows.count()}


@router.put("/services/{service}/rollouts/{environment}", response=RolloutOut)
def put_rollout(request: HttpRequest, service: str, environment: str, body: RolloutIn) -> dict[str, Any]:
    """Say how a service is rolled out in an environment; standing consent to something else lapses."""
    actor = actor_of(request)
    row = setup.put_rollout(
        actor=actor,
        service=_service(actor, service),
        environment=reads.environment(actor, environment),
        draft=RolloutDraft(**{**body.model_dump(), "batches": tuple(body.batches), "checks": tuple(body.checks)}),
    )
    return _rollout(row)


@router.get("/rollouts/{uuid:rollout_id}", response=RolloutOut)
def get_rollout(request: HttpRequest, rollout_id: UUID) -> dict[str, Any]:
    """Return how one service is rolled out in one environment."""
    return _rollout(reads.rollout(actor_of(request), rollout_id))


@router.delete("/rollouts/{uuid:rollout_id}", response={204: None})
def retire_rollout(request: HttpRequest, rollout_id: UUID) -> Status[None]:
    """Take a rollout out of use."""
    actor = actor_of(request)
    setup.retire_rollout(actor=actor, rollout=reads.rollout(actor, rollout_id))
    return Status(204, None)


@router.post("/rollouts/{uuid:rollout_id}/ask", response=RolloutOut)
def ask_standing(request: HttpRequest, rollout_id: UUID) -> dict[str, Any]:
    """Ask for consent to every release that is rolled out exactly like this."""
    actor = actor_of(request)
    return _rollout(setup.ask_standing(actor=actor, rollout=reads.rollout(actor, rollout_id)))


# --- releases -------------------------------------------------------------------------------------------------------


@router.get("/releases", response=ReleasePage)
def list_releases(
    request: HttpRequest, state: str = "", environment: str = "", limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List releases, the newest first."""
    rows = reads.visible(actor_of(request))
    rows = rows.filter(state=state) if state else rows
    rows = rows.filter(environment__name=environment) if environment else rows
    found = page_of(rows.defer("content"), max(0, offset), max(1, min(limit, 500)))
    return {"items": [_line(each) for each in found], "count": rows.count()}


@router.post("/releases", response={201: ReleaseOut})
def create_release(request: HttpRequest, body: ReleaseDraftIn) -> Status[dict[str, Any]]:
    """Plan a release: every run it will request is planned now. Conflict with every reason in `problems`."""
    actor = actor_of(request)
    wanted = [_known_version(actor, each.service, each.version) for each in body.items]
    row = actions.create(
        actor=actor,
        environment=reads.environment(actor, body.environment),
        artefacts=wanted,
        title=body.title,
        together=body.together,
        skip_promotion=body.skip_promotion,
    )
    return Status(201, _release(row))


def _known_version(actor: Actor, service: str, version: str) -> Artefact:
    found = reads.artefacts(actor).filter(service=_service(actor, service), version=version).first()
    if found is None:
        raise NotFound(
            "release.artefact",
            _("There is no such version."),
            field="version",
            value=version[:120],
            remedy=_("POST /api/v1/versions tells of one."),
        )
    return found


@router.get("/releases/{int:number}", response=ReleaseOut)
def get_release(request: HttpRequest, number: int) -> dict[str, Any]:
    """Return a release: how far each batch is, and what consent covers."""
    return _release(reads.get(actor_of(request), number))


@router.get("/releases/{int:number}/refusals", response=RefusalsOut)
def list_refusals(request: HttpRequest, number: int) -> dict[str, Any]:
    """Return why a release may not begin now; empty when it may."""
    return {"refusals": actions.refusals(reads.get(actor_of(request), number))}


@router.post("/releases/{int:number}/replan", response=ReleaseOut)
def replan_release(request: HttpRequest, number: int) -> dict[str, Any]:
    """Plan a release that has not begun anew, as everything is now; what differs is agreed on anew."""
    actor = actor_of(request)
    return _release(actions.replan(actor=actor, release=reads.get(actor, number)))


@router.post("/releases/{int:number}/ask", response=ReleaseOut)
def ask_release(request: HttpRequest, number: int, body: ReleaseReasonIn) -> dict[str, Any]:
    """Have a release agreed on, exactly as it is planned."""
    actor = actor_of(request)
    return _release(actions.ask(actor=actor, release=reads.get(actor, number), reason=body.reason))


@router.post("/releases/{int:number}/change", response={201: dict[str, Any]})
def make_release_change(request: HttpRequest, number: int) -> Status[dict[str, Any]]:
    """Make the change that carries a release out, bound to its content; asked again, the same one."""
    actor = actor_of(request)
    change = actions.make_change(actor=actor, release=reads.get(actor, number))
    return Status(201, {"change": ref(change), "number": change.number, "name": change.name})


@router.post("/releases/{int:number}/start", response=ReleaseOut)
def start_release(request: HttpRequest, number: int) -> dict[str, Any]:
    """Begin a release that was agreed on. Conflict with every reason in `refusals`."""
    actor = actor_of(request)
    return _release(actions.start(actor=actor, release=reads.get(actor, number)))


@router.post("/releases/{int:number}/pause", response=ReleaseOut)
def pause_release(request: HttpRequest, number: int) -> dict[str, Any]:
    """Hold a release: the run under way is brought to its end, no other begins."""
    actor = actor_of(request)
    return _release(actions.pause(actor=actor, release=reads.get(actor, number)))


@router.post("/releases/{int:number}/resume", response=ReleaseOut)
def resume_release(request: HttpRequest, number: int) -> dict[str, Any]:
    """Go on: what failed is tried again, what was watched is watched anew."""
    actor = actor_of(request)
    return _release(actions.resume(actor=actor, release=reads.get(actor, number)))


@router.post("/releases/{int:number}/rollback", response=ReleaseOut)
def roll_back_release(request: HttpRequest, number: int, body: ReleaseReasonIn) -> dict[str, Any]:
    """Take back what was touched, the last first."""
    actor = actor_of(request)
    return _release(actions.roll_back(actor=actor, release=reads.get(actor, number), reason=body.reason))


@router.post("/releases/{int:number}/leave", response=ReleaseOut)
def leave_release(request: HttpRequest, number: int, body: ReleaseReasonIn) -> dict[str, Any]:
    """End a release that is paused and leave everything as it is."""
    actor = actor_of(request)
    return _release(actions.leave(actor=actor, release=reads.get(actor, number), reason=body.reason))


@router.post("/releases/{int:number}/cancel", response=ReleaseOut)
def cancel_release(request: HttpRequest, number: int, body: ReleaseReasonIn) -> dict[str, Any]:
    """Withdraw a release that has not begun."""
    actor = actor_of(request)
    return _release(actions.cancel(actor=actor, release=reads.get(actor, number), reason=body.reason))
