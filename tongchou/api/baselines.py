"""Configuration baselines: what they expect, host against baseline, host against host."""

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
from tongchou.changes import baseline_actions, baseline_reads
from tongchou.changes.baseline_actions import Draft
from tongchou.changes.models_baselines import Baseline
from tongchou.core.access import check_anywhere
from tongchou.core.models import Team
from tongchou.core.problems import Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory.bulk import team_named

router = Router(tags=["changes"])
SAID = (
    "title", "hosts", "watch", "showable", "expected", "ssh_key", "accept_new", "become", "check_every_seconds",
    "drift_after", "tolerance_seconds",
)  # fmt: skip


class BaselineIn(Body):
    """A baseline. `watch`: sections with lists of names; `expected`: sections of things with their values."""

    hosts: str = Field(max_length=2000)
    watch: dict[str, Any]
    expected: dict[str, Any] = Field(default_factory=dict)
    showable: list[str] = Field(default_factory=list, max_length=50)
    title: str = Field(default="", max_length=150)
    owner: str | None = None
    ssh_key: str = Field(default="", max_length=120)
    accept_new: bool = False
    become: bool = False
    check_every_seconds: int = Field(default=0, ge=0)
    drift_after: int = Field(default=2, ge=1, le=100)
    tolerance_seconds: int = Field(default=0, ge=0)
    version: int | None = None


class GoldenIn(Body):
    """The host whose last look becomes what is expected."""

    resource_id: UUID


def _baseline(row: Baseline) -> dict[str, Any]:
    facts = ("id", "name", "version", "looked_at", "problem", "next_check_at", "updated_at", "updated_by_name")
    more = {"owner": row.owner.name if row.owner else None, "retired": row.retired_at is not None, "ref": ref(row)}
    more["taken_from"] = f"inventory.resource:{row.taken_from_id}" if row.taken_from_id else None
    return {**{key: getattr(row, key) for key in (*facts, *SAID)}, **more}


def _rows(found: list[baseline_reads.Row], one: str, other: str) -> list[dict[str, str]]:
    return [{"path": path, one: left, other: right} for path, left, right in found]


def _team(name: str | None) -> Team | None:
    found = team_named(name) if name is not None else None
    if name is not None and found is None:
        raise Invalid("inventory.owner", _("No team is named."), field="owner", remedy=_("Choose a team."))
    return found


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(
            "baseline.snapshot", _("Nobody has looked at this host yet."), field="host", value=text
        ) from None


@router.get("/baselines", response=Page)
def list_baselines(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List baselines by name."""
    rows = baseline_reads.visible(actor_of(request))
    listed = page_of(rows, max(0, offset), max(1, min(limit, 500)))
    return {"items": [_baseline(each) for each in listed], "count": rows.count()}


@router.get("/baselines/{name}", response=dict[str, Any])
def get_baseline(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return one baseline."""
    return _baseline(baseline_reads.one(actor_of(request), name))


@router.put("/baselines/{name}", response=dict[str, Any])
def put_baseline(request: HttpRequest, name: str, body: BaselineIn) -> dict[str, Any]:
    """Make a baseline, or change it; with `version`, only if nobody else has changed it meanwhile."""
    actor = actor_of(request)
    check_anywhere(actor, baseline_actions.EDIT)
    said = body.model_dump(exclude={"owner", "version", "showable"})
    draft = Draft(**said, showable=tuple(body.showable))
    row = baseline_actions.put(actor=actor, name=name, draft=draft, owner=_team(body.owner), version=body.version)
    return _baseline(row)


@router.delete("/baselines/{name}", response={204: None})
def retire_baseline(request: HttpRequest, name: str) -> Status[None]:
    """Take a baseline out of use."""
    actor = actor_of(request)
    baseline_actions.retire(actor=actor, row=baseline_reads.one(actor, name))
    return Status(204, None)


@router.post("/baselines/{name}/look", response={202: None})
def ask_look(request: HttpRequest, name: str) -> Status[None]:
    """Have its hosts looked at, soon."""
    actor = actor_of(request)
    baseline_actions.ask_look(actor=actor, row=baseline_reads.one(actor, name))
    return Status(202, None)


@router.post("/baselines/{name}/golden", response=dict[str, Any])
def take(request: HttpRequest, name: str, body: GoldenIn) -> dict[str, Any]:
    """Expect what a host looked like at the last look."""
    actor = actor_of(request)
    row = baseline_reads.one(actor, name)
    return _baseline(baseline_actions.take(actor=actor, row=row, resource_id=body.resource_id))


@router.get("/baselines/{name}/hosts", response=Page)
def list_hosts(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return every host that was looked at, with what is not as expected."""
    found = baseline_reads.hosts(baseline_reads.one(actor_of(request), name))
    items = [
        {
            "resource": f"inventory.resource:{each.snapshot.resource_id}",
            "name": each.snapshot.resource.name,
            "taken_at": each.snapshot.taken_at,
            "problem": each.snapshot.problem,
            "differences": _rows(each.differences, "expected", "observed"),
        }
        for each in found
    ]
    return {"items": items, "count": len(items)}


@router.get("/baselines/{name}/compare", response=dict[str, Any])
def compare(request: HttpRequest, name: str, one: str, other: str) -> dict[str, Any]:
    """Return in what two hosts differ, of what the baseline watches."""
    row = baseline_reads.one(actor_of(request), name)
    left, right, found = baseline_reads.between(row, _id(one), _id(other))
    named = {"one": left.resource.name, "other": right.resource.name}
    return {**named, "differences": _rows(found, "one", "other")}
