"""What a failing resource needs, as the reasoning about causes sees it. Pure.

Two things differ from the plain graph. An instance and its service are one thing at two resolutions, so the step
between them costs nothing: otherwise a chain of four services would look eight steps long. And what a service calls,
each of its instances calls too: otherwise an instance that errs because the database is gone would look as if all that
it needs were well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from uuid import UUID

from tongchou.inventory.graph import Graph
from tongchou.inventory.kinds import dependency

MAX_HOPS = 6
MAX_CALLERS = 200
PART_OF = "part_of"

Steps = dict[UUID, dict[UUID, int]]


def needs(graph: Graph, resources: Iterable[UUID], *, max_hops: int = MAX_HOPS) -> Steps:
    """Return for each resource what it needs within `max_hops` -> number of steps (>= 1), without itself.

    O(relations) once, and one walk for each resource.
    """
    wanted = set(resources)
    if not wanted:
        return {}
    down = _steps(graph)
    parts = [(edge.from_id, edge.to_id) for edge in graph.edges if edge.type == PART_OF]
    called = {whole: [other for other, cost in down.get(whole, {}).items() if cost] for _part, whole in parts}
    for part, whole in parts:
        mine = down.setdefault(part, {})
        for other in called[whole]:
            mine.setdefault(other, 1)
    return {resource: _walk(down, {resource}, max_hops) for resource in wanted}


def _steps(graph: Graph, *, upwards: bool = False) -> Steps:
    """The cost of each single step from a resource to what it needs (or, upwards, to who needs it)."""
    found: Steps = {}
    for edge in graph.edges:
        turned = (dependency(edge.type, 0, 1) == (1, 0)) is not upwards
        a, b = (edge.to_id, edge.from_id) if turned else (edge.from_id, edge.to_id)
        cost = 0 if edge.type == PART_OF else 1
        row = found.setdefault(a, {})
        row[b] = min(cost, row.get(b, cost))
    return found


def _walk(steps: Steps, starts: Collection[UUID], max_hops: int) -> dict[UUID, int]:
    """Least costs from any start by steps that cost 0 or 1 (so a deque will do), at least 1; without the starts."""
    best = dict.fromkeys(starts, 0)
    queue = deque(starts)
    while queue:
        node = queue.popleft()
        for other, cost in steps.get(node, {}).items():
            reached = best[node] + cost
            if reached <= max_hops and reached < best.get(other, max_hops + 1):
                best[other] = reached
                if cost:
                    queue.append(other)
                else:
                    queue.appendleft(other)
    return {other: max(1, hops) for other, hops in best.items() if other not in starts}


def hops_in(found: Mapping[UUID, Mapping[UUID, int]]) -> Callable[[UUID, UUID], int | None]:
    """Return the function hops(a, b) that `correlate.find` asks, over the answer of `needs`."""
    return lambda a, b: found.get(a, {}).get(b)


def callers(graph: Graph, symptoms: Iterable[UUID], *, limit: int = MAX_CALLERS) -> dict[UUID, int]:
    """Return who needs any symptom -> steps to the nearest one, without the symptoms; the nearest `limit` of them."""
    failing = set(symptoms)
    if not failing:
        return {}
    found = _walk(_steps(graph, upwards=True), failing, MAX_HOPS)
    nearest = sorted(found.items(), key=lambda entry: (entry[1], str(entry[0])))[:limit]
    return dict(nearest)


def wholes(graph: Graph, resources: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
    """Return for each of these resources that is a part of others (an instance of its service) those others."""
    found: dict[UUID, set[UUID]] = {}
    for edge in graph.edges:
        if edge.type == PART_OF and edge.from_id in resources:
            found.setdefault(edge.from_id, set()).add(edge.to_id)
    return {part: frozenset(of) for part, of in found.items()}
