"""Plan: racks with space and power, and one rack as a picture of both faces; mounting where something fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.core.access import allows, allows_anywhere
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.inventory import kinds, rack_actions, rack_plan, rack_reads
from tongchou.inventory.models import Resource
from tongchou.inventory.rack_plan import HALVES, Mount
from tongchou.inventory.rack_reads import RackView
from tongchou.web.gate import PageRequest, page
from tongchou.web.plan import posted_id, resource_of

PAGE = 100
FACE_TITLES = {"front": gettext_lazy("Front"), "rear": gettext_lazy("Rear")}


@dataclass(frozen=True)
class Slot:
    """Something drawn at one face: from grid row `start`, over `span` rows (half units). Without `mount` it is free."""

    start: int
    span: int
    position: float
    height: float
    mount: Mount | None = None
    row: Resource | None = None
    icon: str = "circle"
    clash: bool = False
    lane: int = 0  # 1: beside another one that takes the same place
    behind: bool = False  # its front is at the other face


def _slot(view: RackView, position: float, height: float) -> tuple[int, int] | None:
    """Rows of the grid, from the top; None when nothing of it is inside."""
    total = view.units * HALVES
    low = max(0, round((position - 1) * HALVES))
    high = min(total, round((position - 1 + height) * HALVES))
    if high <= low:
        return None
    return (low + 1 if view.descending else total - high + 1), high - low


def face_of(view: RackView, face: rack_plan.Face) -> list[Slot]:
    """Return what one face shows, in the order of the units: mounted things, and between them what is free there."""
    here = [each for each in view.mounts if face in each.faces and each.places()]
    clashing = {one.id for pair in view.clashes for one in pair}
    later = {pair[1].id for pair in view.clashes}
    found: list[Slot] = []
    for each in here:
        rows = _slot(view, each.position or 1, each.height)
        if rows is None:
            continue
        row = view.resource(each)
        found.append(
            Slot(
                *rows, each.position or 1, each.height, each, row, kinds.kind(row.kind).icon if row else "lock",
                clash=each.id in clashing, lane=int(each.id in later), behind=each.face != face,
            )
        )  # fmt: skip
    for position, height in _free(view, here, face):
        rows = _slot(view, position, height)
        if rows is not None:
            found.append(Slot(*rows, position, height))
    return sorted(found, key=lambda slot: (slot.start, slot.lane))


def _free(view: RackView, here: Iterable[Mount], face: rack_plan.Face) -> list[tuple[float, float]]:
    one_face = [Mount(each.id, each.name, each.position, each.height, face, full_depth=True) for each in here]
    return rack_plan.free_runs(view.units, one_face)


@page("inventory.view")
def racks(request: PageRequest) -> HttpResponse:
    """The racks with the space and power that are taken."""
    q = request.GET.get("q", "").strip()[:200]
    found = rack_reads.racks(request.actor)
    found = found.filter(name__icontains=q) if q else found
    shown = Paginator(found, PAGE).get_page(request.GET.get("page"))
    context = {
        "rows": rack_reads.views(request.actor, shown.object_list),
        "count": shown.paginator.count,
        "page": shown,
        "q": q,
        "may_edit": allows_anywhere(request.actor, "inventory.edit"),
    }
    return render(request, "plan/racks.html", context)


@page("inventory.view")
def rack(request: PageRequest, rack_id: UUID) -> HttpResponse:
    """One rack: both faces as a picture, the same as a table; POST mounts or takes out (`do`)."""
    row = resource_of(request, rack_id)
    if row.kind != rack_reads.RACK:
        raise NotFound("rack.unknown", _("There is no rack of this id."), remedy=_("Choose one on the page of racks."))
    problem: Problem | None = None
    if request.method == "POST":
        try:
            return _done(request, row)
        except (Invalid, Conflict) as refused:
            problem = refused
    view = rack_reads.view(request.actor, row)
    q = request.GET.get("q", "").strip()[:200]
    may_edit = allows(request.actor, "inventory.edit", team=row.owner_id)
    context: dict[str, Any] = {
        "row": row,
        "view": view,
        "faces": [{"name": face, "title": FACE_TITLES[face], "slots": face_of(view, face)} for face in rack_plan.FACES],
        "numbers": _numbers(view),
        "rows": view.units * HALVES,
        "lines": [{"mount": each, "row": view.resource(each), "face": FACE_TITLES[each.face]} for each in view.mounts],
        "free": rack_plan.free_runs(view.units, view.mounts),
        "candidates": rack_reads.mountable(request.actor, q) if may_edit else [],
        "q": q,
        "typed": request.POST or {name: request.GET.get(name, "") for name in ("position", "face")},
        "may_edit": may_edit,
        "problem": problem,
    }
    return render(request, "plan/rack.html", context, status=problem.status if problem else 200)


def _numbers(view: RackView) -> list[dict[str, int]]:
    """Each unit's number with the row of the grid at which it begins."""
    found = []
    for unit in range(1, view.units + 1):
        start, span = _slot(view, unit, 1) or (1, HALVES)
        found.append({"unit": unit, "start": start, "span": span})
    return found


def _number(text: str) -> float | None:
    """A number that was typed; nan (which no range takes) for what is none; None for nothing."""
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _posted(request: PageRequest) -> Resource:
    asked = posted_id(request, "resource", "rack.resource", _("Choose what is to be mounted."))
    return resource_of(request, asked)


def _done(request: PageRequest, rack_row: Resource) -> HttpResponse:
    post, actor = request.POST, request.actor
    match post.get("do", ""):
        case "mount":
            depth = post.get("depth", "")
            made = rack_actions.mount(
                actor=actor,
                resource=_posted(request),
                rack=rack_row,
                position=_number(post.get("position", "")),
                face="rear" if post.get("face") == "rear" else "front",
                height=_number(post.get("height", "")),
                full_depth={"full": True, "half": False}.get(depth),
            )
            at = f"{made.attributes['rack_position']:g}"
            messages.success(request, _("%(name)s is mounted at unit %(at)s.") % {"name": made.name, "at": at})
        case "unmount":
            out = _posted(request)
            rack_actions.unmount(actor=actor, resource=out)
            messages.success(request, _("%(name)s is taken out.") % {"name": out.name})
        case _:
            raise NotFound("rack.act", _("There is no such act."), field="do", remedy=_("Reload the page."))
    return redirect("web:rack", rack_id=rack_row.pk)
