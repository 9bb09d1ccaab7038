"""Racks: space and power, what is mounted where, mounting and taking out."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.inventory import seen_resource
from tongchou.api.paging import Offset
from tongchou.core.access import Actor, check_anywhere
from tongchou.core.problems import NotFound
from tongchou.inventory import rack_actions, rack_plan, rack_reads
from tongchou.inventory.models import Resource
from tongchou.inventory.rack_plan import Mount
from tongchou.inventory.rack_reads import RackView

router = Router(tags=["racks"])
VIEW = "inventory.view"


class MountIn(Body):
    """What is mounted where; without `position` the lowest place that is free. Heights are in units, halves too."""

    resource_id: UUID
    position: float | None = Field(default=None, ge=1, le=rack_plan.MAX_UNITS)
    face: Literal["front", "rear"] = "front"
    height: float | None = Field(default=None, ge=0, le=rack_plan.MAX_UNITS)
    full_depth: bool | None = None


def _rack(view: RackView) -> dict[str, Any]:
    return {
        "id": view.row.pk,
        "name": view.row.name,
        "site": view.site.name if view.site else None,
        "units": view.units,
        "units_taken": view.taken,
        "taken_percent": view.percent,
        "power_draw_watts": view.draw_watts,
        "power_draw_unknown": view.unknown_draw,
        "power_capacity_watts": view.capacity_watts,
        "power_percent": view.power_percent,
        "clashes": len(view.clashes),
    }


def _mount(each: Mount) -> dict[str, Any]:
    """A mounted thing that the caller may not see has a place and no name."""
    seen = bool(each.name)
    return {
        "id": each.id if seen else None,
        "name": each.name or None,
        "position": each.position,
        "height": each.height,
        "face": each.face,
        "full_depth": each.full_depth,
    }


def _seen_rack(actor: Actor, id_: UUID) -> Resource:
    row = seen_resource(actor, id_)
    if row.kind != rack_reads.RACK:
        raise NotFound(
            "rack.unknown",
            _("There is no rack of this id."),
            field="id",
            value=id_,
            remedy=_("Look it up with GET /api/v1/racks."),
        )
    return row


@router.get("/racks", response=Page)
def list_racks(
    request: HttpRequest,
    q: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List racks by name with space and power taken."""
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    found = rack_reads.racks(actor)
    found = found.filter(name__icontains=q) if q else found
    start = max(offset, 0)
    rows = rack_reads.views(actor, found[start : start + limit])
    return {"items": [_rack(each) for each in rows], "count": found.count()}


@router.get("/racks/{id}", response=dict[str, Any])
def get_rack(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Return a rack: what is mounted where, what clashes, what is free at both faces."""
    actor = actor_of(request)
    view = rack_reads.view(actor, _seen_rack(actor, id))
    return {
        **_rack(view),
        "mounts": [_mount(each) for each in view.mounts],
        "clashing": [[_mount(one), _mount(other)] for one, other in view.clashes],
        "beyond": [_mount(each) for each in view.beyond],
        "free": [
            {"position": position, "height": height}
            for position, height in rack_plan.free_runs(view.units, view.mounts)
        ],
    }


@router.get("/racks/{id}/next-free", response=dict[str, Any])
def next_position(
    request: HttpRequest,
    id: UUID,  # noqa: A002  # the path's own name
    height: Annotated[float, Query(ge=0.5, le=rack_plan.MAX_UNITS)] = 1.0,
    face: Literal["front", "rear"] = "front",
    full_depth: bool = True,
) -> dict[str, Any]:
    """Return the positions at which something of this height fits, lowest first; `position` is the first, or null."""
    actor = actor_of(request)
    view = rack_reads.view(actor, _seen_rack(actor, id))
    wanted = Mount("", "", None, round(height * rack_plan.HALVES) / rack_plan.HALVES, face, full_depth)
    found = rack_plan.positions(view.units, view.mounts, wanted)
    return {"position": found[0] if found else None, "positions": found}


@router.post("/racks/{id}/mounts", response={201: dict[str, Any]})
def mount(request: HttpRequest, id: UUID, body: MountIn) -> Status[dict[str, Any]]:  # noqa: A002  # the path's own name
    """Mount a resource where it fits; 409 tells what is in the way, and where it would fit."""
    actor = actor_of(request)
    rack = _seen_rack(actor, id)
    row = rack_actions.mount(
        actor=actor,
        resource=seen_resource(actor, body.resource_id),
        rack=rack,
        position=body.position,
        face=body.face,
        height=body.height,
        full_depth=body.full_depth,
    )
    placed = {"position": row.attributes.get("rack_position"), "face": row.attributes.get("rack_face")}
    return Status(201, {"id": row.pk, "name": row.name, "rack_id": rack.pk, **placed})


@router.post("/resources/{id}/unmount", response=dict[str, Any])
def unmount(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Take a resource out of the rack in which a person mounted it."""
    actor = actor_of(request)
    row = rack_actions.unmount(actor=actor, resource=seen_resource(actor, id))
    return {"id": row.pk, "name": row.name}
