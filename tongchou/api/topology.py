"""What the graph of the inventory tells beyond one resource: what takes services down when it alone is lost."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from tongchou.api.core import Page, actor_of
from tongchou.core.access import check_anywhere
from tongchou.inventory import reads
from tongchou.inventory.graph import Node, load_graph
from tongchou.inventory.weakness import known_weak_points

router = Router(tags=["inventory"])


@router.get("/weak-points", response=Page)
def list_weak_points(request: HttpRequest, limit: int = 100) -> dict[str, Any]:
    """List single points of failure, those whose loss takes most services down first, with reasons; at most 200."""
    actor = actor_of(request)
    check_anywhere(actor, reads.VIEW)
    graph = load_graph()

    def seen(id_: Any) -> Node | None:
        node = graph.nodes.get(id_)
        return node if node is not None and reads.may_see(actor, node.owner_id) else None

    rows = [each for each in known_weak_points(graph) if seen(each.resource)]
    items = [
        {
            **_node(graph.nodes[each.resource]),
            "services_lost": each.count,
            "services": [_node(node) for id_ in each.services if (node := seen(id_))],
            "reasons": [
                {
                    "failed": node.name,
                    "why": cause.why,
                    "through": through.name if cause.through and (through := seen(cause.through)) else None,
                    "parts": cause.parts,
                    "least": cause.least,
                }
                for cause in each.causes
                if (node := seen(cause.failed))
            ],
        }
        for each in rows[: max(1, min(limit, 200))]
    ]
    return {"items": items, "count": len(rows)}


def _node(node: Node) -> dict[str, Any]:
    return {"id": node.id, "kind": node.kind, "name": node.name}
