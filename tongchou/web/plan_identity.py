"""Plan: what a resource is recognised by; merging another one into it, undoing that, splitting it, moving keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from tongchou.core.access import allows
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.inventory import kinds, merge, reads
from tongchou.inventory.models import Resource, ResourceState
from tongchou.web.gate import PageRequest, page
from tongchou.web.plan import posted_id, resource_of

MOST_FOUND = 20


def _candidates(request: PageRequest, row: Resource) -> list[Resource]:
    """Whom this one could be the same as: by what was typed, else by its own name."""
    asked = request.GET.get("q", "").strip()[:200]
    found = reads.visible(request.actor).filter(state=ResourceState.ACTIVE).exclude(pk=row.pk)
    found = found.filter(name__icontains=asked) if asked else found.filter(name=row.name)
    return list(found.select_related("owner").order_by("name", "id")[:MOST_FOUND])


@page("inventory.view")
def resource_identity(request: PageRequest, resource_id: UUID) -> HttpResponse:
    """The keys and merges of a resource; POST merges, undoes, splits or moves keys (`do`)."""
    row = resource_of(request, resource_id)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            return _done(request, row)
        except (Invalid, Conflict) as refused:
            problem = refused
    context: dict[str, Any] = {
        "row": row,
        "kind": kinds.kind(row.kind),
        "keys": list(row.identities.order_by("key").values_list("key", flat=True)),
        "merges": merge.merges_of(row),
        "candidates": _candidates(request, row),
        "q": request.GET.get("q", ""),
        "may_edit": allows(request.actor, "inventory.edit", team=row.owner_id),
        "problem": problem,
    }
    return render(request, "plan/identity.html", context, status=problem.status if problem else 200)


def _done(request: PageRequest, row: Resource) -> HttpResponse:
    post, actor = request.POST, request.actor
    match post.get("do", ""):
        case "merge":
            other = resource_of(request, posted_id(request, "other", "identity.id"))
            merge.merge_resources(actor=actor, kept=row, absorbed=other, reason=post.get("reason", ""))
            messages.success(request, _("They are one now. The old address leads here."))
        case "undo":
            found = merge.get_merge(posted_id(request, "merge", "identity.id"))
            resource_of(request, found.kept_id)
            merge.undo_merge(actor=actor, merge=found)
            messages.success(request, _("They are two again."))
        case "split":
            keys, reason = post.getlist("key"), post.get("reason", "")
            if post.get("into"):
                other = resource_of(request, posted_id(request, "into", "identity.id"))
                merge.move_keys(actor=actor, resource=row, to=other, keys=keys, reason=reason)
                messages.success(request, _("The keys are of %(name)s now.") % {"name": other.name})
                return redirect("web:resource-identity", resource_id=row.pk)
            made = merge.split_resource(actor=actor, resource=row, keys=keys, name=post.get("name", ""), reason=reason)
            messages.success(request, _("A new resource has these keys now."))
            return redirect("web:resource", resource_id=made.pk)
        case _:
            raise NotFound("identity.act", _("There is no such act."), field="do", remedy=_("Reload the page."))
    return redirect("web:resource-identity", resource_id=row.pk)
