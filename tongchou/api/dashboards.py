"""Dashboards: list, read, write whole, delete, earlier versions, import and export."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.core.access import check
from tongchou.core.problems import Conflict
from tongchou.telemetry import dashboard_actions as actions
from tongchou.telemetry import dashboard_files as files
from tongchou.telemetry import dashboard_reads as reads
from tongchou.telemetry.models import Dashboard, DashboardVersion

router = Router(tags=["dashboards"])
Word = Annotated[str, Query(max_length=200)]


class DashboardIn(Body):
    """A dashboard, whole. `version`: the one that is changed; not wanted for a new dashboard."""

    title: str = Field(min_length=1, max_length=200)
    definition: dict[str, Any]
    folder: str = Field(default="", max_length=100)
    tags: list[str] = Field(default_factory=list, max_length=actions.MAX_TAGS)
    description: str = Field(default="", max_length=20_000)
    version: int | None = Field(default=None, ge=1, le=2_000_000_000)
    note: str = Field(default="", max_length=200)


class DashboardLine(Schema):
    """A dashboard as lists show it."""

    name: str
    title: str
    folder: str
    tags: list[str]
    panels: int
    version: int
    owner: str | None
    origin: str
    updated_at: datetime
    updated_by: str


class DashboardOut(DashboardLine):
    """A dashboard with what it shows."""

    description: str
    definition: dict[str, Any]


class DashboardList(Schema):
    """Dashboards by title; `count` of all that fit."""

    items: list[DashboardLine]
    count: int


class VersionOut(Schema):
    """One change of a dashboard."""

    number: int
    note: str
    at: datetime
    by: str


class VersionList(Schema):
    """The versions that are kept, the newest first."""

    items: list[VersionOut]
    count: int


class RestoreIn(Body):
    """`number` is had back; `version` is the newest one as far as the caller knows."""

    number: int = Field(ge=1, le=2_000_000_000)
    version: int = Field(ge=1, le=2_000_000_000)


class ImportIn(Body):
    """A file's JSON. `name`: of the new dashboard, from its title when empty."""

    dashboard: dict[str, Any]
    name: str = Field(default="", max_length=80)
    folder: str | None = Field(default=None, max_length=100)
    note: str = Field(default="", max_length=200)
    dry_run: bool = False


class NoteOut(Schema):
    """What of a file was not taken over (lost), or differently (changed), or only looks different (look)."""

    weight: str
    where: str
    what: str
    why: str


class ImportOut(Schema):
    """What a file became; no name when nothing was made."""

    name: str
    title: str
    panels: int
    definition: dict[str, Any]
    notes: list[NoteOut]


def _line(row: Dashboard) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "folder": row.folder,
        "tags": row.tags,
        "panels": row.panel_count,
        "version": row.version,
        "owner": row.owner.name if row.owner else None,
        "origin": row.origin,
        "updated_at": row.updated_at,
        "updated_by": row.updated_by_name,
    }


def _whole(row: Dashboard) -> dict[str, Any]:
    return {**_line(row), "description": row.description, "definition": row.definition}


@router.get("/dashboards", response=DashboardList)
def dashboards(
    request: HttpRequest,
    q: Word = "",
    folder: Word | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List dashboards, narrowed by a part of the title and by folder."""
    rows = reads.visible(actor_of(request)).filter(title__icontains=q).order_by("title", "id")
    if folder is not None:
        rows = rows.filter(folder=folder)
    listed = rows.select_related("owner").defer(*reads.LISTED_WITHOUT)
    return {"items": [_line(row) for row in page_of(listed, max(0, offset), limit)], "count": rows.count()}


@router.get("/dashboards/{name}", response=DashboardOut)
def dashboard(request: HttpRequest, name: str) -> dict[str, Any]:
    """Read one dashboard."""
    return _whole(reads.get(actor_of(request), name))


@router.put("/dashboards/{name}", response=DashboardOut)
def put_dashboard(request: HttpRequest, name: str, body: DashboardIn) -> dict[str, Any]:
    """Make a dashboard, or change the one of this name when `version` is its newest; 409 otherwise."""
    actor = actor_of(request)
    check(actor, actions.EDIT)
    said = body.model_dump(include={"title", "definition", "folder", "tags", "description"})
    row = reads.visible(actor).select_related("owner").filter(name=name).first()
    if row is None:
        return _whole(actions.create(actor=actor, made=actions.content(said), name=name, note=body.note))
    if body.version is None:
        raise Conflict(
            "dashboard.version_wanted",
            _("There is a dashboard of this name, at version %(number)d.") % {"number": row.version},
            field="version",
            remedy=_("Say which version you change."),
        )
    made = actions.content(said, owner=row.owner)
    return _whole(actions.update(actor=actor, dashboard=row, version=body.version, made=made, note=body.note))


@router.delete("/dashboards/{name}", response={204: None})
def delete_dashboard(request: HttpRequest, name: str) -> Status[None]:
    """Delete a dashboard. The page of dashboards offers to bring it back."""
    actor = actor_of(request)
    check(actor, actions.EDIT)
    actions.delete(actor=actor, dashboard=reads.get(actor, name))
    return Status(204, None)


@router.get("/dashboards/{name}/export")
def export_dashboard(request: HttpRequest, name: str, form: Annotated[files.Form, Query()] = "own") -> dict[str, Any]:
    """Give a dashboard as a file that the import reads: our own form, or Grafana's."""
    return files.dump(reads.get(actor_of(request), name), form)


@router.post("/dashboard-imports", response=ImportOut)
def import_dashboard(request: HttpRequest, body: ImportIn) -> dict[str, Any]:
    """Read a dashboard of ours or of Grafana and make it; with `dry_run` only tell what would be lost or changed."""
    actor = actor_of(request)
    check(actor, actions.EDIT)
    loaded = files.load_value(body.dashboard)
    made = replace(loaded.made, folder=body.folder if body.folder is not None else loaded.made.folder)
    row = None
    if not body.dry_run:
        row = actions.create(actor=actor, made=made, name=body.name, origin=loaded.origin, note=body.note)
    return {
        "name": row.name if row else "",
        "title": made.title,
        "panels": sum(1 for _each in made.definition.panels()),
        "definition": made.definition.as_json(),
        "notes": [
            {"weight": each.weight, "where": each.where, "what": each.what, "why": str(each.why)}
            for each in loaded.notes
        ],
    }


@router.get("/dashboards/{name}/versions", response=VersionList)
def dashboard_versions(request: HttpRequest, name: str) -> dict[str, Any]:
    """List the versions of a dashboard that are kept."""
    rows = reads.versions(reads.get(actor_of(request), name)).defer("content")
    items = [_version(row) for row in rows]
    return {"items": items, "count": len(items)}


def _version(row: DashboardVersion) -> dict[str, Any]:
    return {"number": row.number, "note": row.note, "at": row.created_at, "by": row.created_by_name}


@router.post("/dashboards/{name}/restore", response=DashboardOut)
def restore_dashboard(request: HttpRequest, name: str, body: RestoreIn) -> dict[str, Any]:
    """Make an earlier version the newest one."""
    actor = actor_of(request)
    check(actor, actions.EDIT)
    row = reads.get(actor, name)
    return _whole(actions.restore(actor=actor, dashboard=row, version=body.version, number=body.number))
