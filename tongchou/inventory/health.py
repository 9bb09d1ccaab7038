"""Joins what others know to the graph: the inventory itself knows only holds; who knows alerts passes them in.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal
from uuid import UUID

from tongchou.inventory.graph import Graph

Status = Literal["down", "critical", "warning", "affected", "held", "ok", "unknown"]
# worst first: what an engineer must look at before the rest
ORDER: tuple[Status, ...] = ("down", "critical", "warning", "affected", "held", "unknown", "ok")
FAILING: frozenset[Status] = frozenset({"down", "critical"})


def worst(statuses: Collection[Status]) -> Status:
    """Return the worst of `statuses`; "unknown" of none: no data is never a pass."""
    return min(statuses, key=ORDER.index, default="unknown")


def statuses(
    graph: Graph,
    *,
    own: Mapping[UUID, Status],
    held: Collection[UUID] = (),
    spread: bool = True,
    only: Collection[UUID] | None = None,
) -> dict[UUID, Status]:
    """Return the status of each resource of the graph, or of `only` these of it (a page of a large inventory).

    `own` is what measurements say of a resource itself. With `spread`, who needs a failing one and is itself fine or
    unknown is "affected". A hold shows on what is fine or unknown, never over a failure.
    """
    wanted = graph.nodes if only is None else only
    result: dict[UUID, Status] = {id_: own.get(id_, "unknown") for id_ in wanted if id_ in graph}
    if spread:
        for id_ in [each for each, status in own.items() if status in FAILING and each in graph]:
            for other in graph.upstream(id_):
                if result.get(other) in ("ok", "unknown"):
                    result[other] = "affected"
    for id_ in held:
        if result.get(id_) in ("ok", "unknown"):
            result[id_] = "held"
    return result
