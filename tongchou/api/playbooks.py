"""Ansible projects: what they are, checks of them, runs out of a check, how far each host is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Router, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.changes import playbook_actions, playbook_reads
from tongchou.changes.models_playbooks import Playbook, PlaybookCheck, PlaybookHost
from tongchou.changes.playbook_actions import Draft
from tongchou.core.access import check_anywhere
from tongchou.core.models import Team
from tongchou.core.problems import Invalid
from tongchou.core.refs import ref
from tongchou.inventory.bulk import team_named

router = Router(tags=["changes"])
SAID = (
    "title", "folder", "playbook", "hosts", "extra_vars", "ssh_key", "accept_new", "become", "idempotent",
    "irreversible", "ask_between", "batches", "max_fail_percent", "forks", "timeout_seconds", "check_every_seconds",
    "drift_after", "tolerance_seconds",
)  # fmt: skip


def _batches() -> list[int | str]:
    return [1, "10%", "100%"]


class PlaybookIn(Body):
    """A project. `hosts`: the query of the list of resources; `ssh_key`: the name of a secret; `owner`: a team."""

    folder: str = Field(max_length=500)
    playbook: str = Field(max_length=200)
    hosts: str = Field(max_length=2000)
    title: str = Field(default="", max_length=150)
    owner: str | None = None
    extra_vars: dict[str, Any] = Field(default_factory=dict)
    ssh_key: str = Field(default="", max_length=120)
    accept_new: bool = False
    become: bool = False
    idempotent: bool = False
    irreversible: bool = False
    ask_between: bool = False
    batches: list[int | str] = Field(default_factory=_batches, min_length=1, max_length=20)
    max_fail_percent: int = Field(default=0, ge=0, le=100)
    forks: int = Field(default=5, ge=1, le=50)
    timeout_seconds: int = Field(default=900, ge=5, le=3600)
    check_every_seconds: int = Field(default=0, ge=0)
    drift_after: int = Field(default=2, ge=1, le=100)
    tolerance_seconds: int = Field(default=0, ge=0)
    version: int | None = None


class PlaybookRunIn(Body):
    """Why, and how long the approval is good for."""

    reason: str = Field(default="", max_length=2000)
    expires_in_seconds: int = Field(default=3600, ge=60, le=7 * 86_400)


def _project(row: Playbook) -> dict[str, Any]:
    more = {"owner": row.owner.name if row.owner else None, "retired": row.retired_at is not None, "ref": ref(row)}
    times = ("id", "name", "version", "next_check_at", "updated_at", "updated_by_name")
    return {**{key: getattr(row, key) for key in (*times, *SAID)}, **more}


def _check(row: PlaybookCheck) -> dict[str, Any]:
    facts = ("id", "drift", "state", "content_sha256", "problem", "requested_by_name", "created_at", "finished_at")
    return {key: getattr(row, key) for key in facts}


def _host(row: PlaybookHost) -> dict[str, Any]:
    facts = ("name", "batch", "state", "counts", "tasks", "diff", "message", "started_at", "finished_at")
    resource = f"inventory.resource:{row.resource_id}" if row.resource_id else None
    return {**{key: getattr(row, key) for key in facts}, "resource": resource}


def _team(name: str | None) -> Team | None:
    if name is None:
        return None
    found = team_named(name)
    if found is None:
        raise Invalid("inventory.owner", _("No team is named."), field="owner", remedy=_("Choose a team."))
    return found


@router.get("/playbooks", response=Page)
def list_playbooks(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List projects by name; those that are out of use too."""
    rows = playbook_reads.visible(actor_of(request))
    return {
        "items": [_project(each) for each in page_of(rows, max(0, offset), max(1, min(limit, 500)))],
        "count": rows.count(),
    }


@router.get("/playbooks/{name}", response=dict[str, Any])
def get_playbook(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return one project."""
    return _project(playbook_reads.project(actor_of(request), name))


@router.put("/playbooks/{name}", response=dict[str, Any])
def put_playbook(request: HttpRequest, name: str, body: PlaybookIn) -> dict[str, Any]:
    """Make a project, or change it; with `version`, only if nobody else has changed it meanwhile."""
    said = body.model_dump(exclude={"owner", "version", "batches"})
    actor = actor_of(request)
    check_anywhere(actor, playbook_actions.EDIT)
    draft = Draft(**said, batches=tuple(body.batches))
    row = playbook_actions.put(actor=actor, name=name, draft=draft, owner=_team(body.owner), version=body.version)
    return _project(row)


@router.delete("/playbooks/{name}", response={204: None})
def retire_playbook(request: HttpRequest, name: str) -> Status[None]:
    """Take a project out of use; what it found stays."""
    actor = actor_of(request)
    playbook_actions.retire(actor=actor, row=playbook_reads.project(actor, name))
    return Status(204, None)


@router.get("/playbooks/{name}/checks", response=Page)
def list_checks(request: HttpRequest, name: str, limit: int = 20, offset: Offset = 0) -> dict[str, Any]:
    """List the checks of a project, the newest first."""
    rows = playbook_reads.checks(playbook_reads.project(actor_of(request), name))
    return {
        "items": [_check(each) for each in page_of(rows, max(0, offset), max(1, min(limit, 100)))],
        "count": rows.count(),
    }


@router.post("/playbooks/{name}/checks", response={202: dict[str, Any]})
def ask_check(request: HttpRequest, name: str, drift: bool = False) -> Status[dict[str, Any]]:
    """Have `--check --diff` made, soon; with `drift` what it finds is written down as drift."""
    actor = actor_of(request)
    row = playbook_reads.project(actor, name)
    return Status(202, _check(playbook_actions.ask_check(actor=actor, row=row, drift=drift)))


@router.get("/playbook-checks/{uuid:check_id}", response=dict[str, Any])
def get_check(request: HttpRequest, check_id: UUID) -> dict[str, Any]:
    """Return one check: the inventory it was made with, and of each host what would change."""
    row = playbook_reads.check(actor_of(request), check_id)
    return {**_check(row), "inventory": row.setup.get("inventory"), "hosts": [_host(each) for each in row.hosts.all()]}


@router.post("/playbook-checks/{uuid:check_id}/run", response={201: dict[str, Any]})
def run_check(request: HttpRequest, check_id: UUID, body: PlaybookRunIn) -> Status[dict[str, Any]]:
    """Ask for a run of exactly what the check showed, batch by batch. Follow it at /runs/{id}."""
    actor = actor_of(request)
    playbook_reads.check(actor, check_id)
    run = playbook_actions.request_run(
        actor=actor, check_id=check_id, reason=body.reason, expires_in_seconds=body.expires_in_seconds
    )
    return Status(201, {"run": str(run.pk), "ref": ref(run), "state": run.state})


@router.get("/playbook-runs/{uuid:run_id}/hosts", response=Page)
def list_run_hosts(request: HttpRequest, run_id: UUID) -> dict[str, Any]:
    """Return how far each host of a run is, batch by batch."""
    actor = actor_of(request)
    check_anywhere(actor, playbook_reads.VIEW)
    _run, rows = playbook_reads.run_hosts(actor, run_id)
    return {"items": [_host(each) for each in rows], "count": len(rows)}
