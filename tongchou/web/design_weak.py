"""Design: what takes services down when it alone is lost, and why."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from tongchou.inventory.graph import Graph, load_graph
from tongchou.inventory.reads import may_see
from tongchou.inventory.weakness import MOST, Cause, WeakPoint, weak_points_soon
from tongchou.web.gate import PageRequest, page


@page("inventory.view")
def weak_page(request: PageRequest) -> HttpResponse:
    """The list, ranked by how many services suffer; what the person may not see is left out.

    Of a very large inventory the page says that it is at work, and asks for itself until it is done.
    """
    graph = load_graph()
    found = weak_points_soon(graph)
    rows = [_row(request, graph, each) for each in found or () if _seen(request, graph, each.resource)]
    shown = {"rows": rows, "full": len(rows) >= MOST, "at_work": len(graph) if found is None else 0}
    return render(request, "design/weak_points.html", shown)


def _seen(request: PageRequest, graph: Graph, id_: UUID) -> bool:
    return may_see(request.actor, graph.nodes[id_].owner_id)


def _row(request: PageRequest, graph: Graph, weak: WeakPoint) -> dict[str, Any]:
    seen = [graph.nodes[id_] for id_ in weak.services if _seen(request, graph, id_)]
    query = urlencode({"show": "all", "focus": str(weak.resource), "depth": 3, "direction": "needed_by"})
    return {
        "node": graph.nodes[weak.resource],
        "count": weak.count,
        "url": reverse("web:resource", args=[weak.resource]),
        "map": f"{reverse('web:map')}?{query}",
        "services": seen,
        "more": weak.count - len(seen),
        "reasons": [_told(graph, cause) for cause in weak.causes if _seen(request, graph, cause.failed)],
    }


def _told(graph: Graph, cause: Cause) -> str:
    name = graph.nodes[cause.failed].name
    through = graph.nodes[cause.through].name if cause.through else ""
    words = {"name": name, "through": through, "parts": cause.parts, "least": cause.least}
    if cause.why == "only_part":
        return _("%(through)s is the only part of %(name)s") % words
    if cause.why == "too_few_left":
        return _("%(name)s needs %(least)s of its %(parts)s parts") % words
    if cause.why == "all_on_it":
        return _("all %(parts)s parts of %(name)s depend on it") % words
    return _("%(name)s needs %(through)s") % words
