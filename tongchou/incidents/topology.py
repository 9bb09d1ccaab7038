"""What a failing resource needs, as the reasoning about causes sees it. Pure.

One step goes beyond the graph: what a service calls, each of its instances calls too. Without it an instance that errs
because the database is gone would look as if nothing that it needs had failed.
"""

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from tongchou.inventory.graph import Graph

MAX_HOPS = 6
MAX_CALLERS = 200
PART_OF = "part_of"
CALL_TYPES = frozenset({"calls", "stores_in"})


def needs(graph: Graph, resources: Iterable[UUID], *, max_hops: int = MAX_HOPS) -> dict[UUID, dict[UUID, int]]:
    """Return for each resource what it needs within `max_hops` -> number of steps, without itself.

    O(relations) once, then one walk for each resource and each thing its services call.
    """
    wanted = set(resources)
    services: dict[UUID, list[UUID]] = {}
    for edge in graph.edges:
        if edge.type == PART_OF and edge.from_id in wanted:
            services.setdefault(edge.from_id, []).append(edge.to_id)
    calls: dict[UUID, list[UUID]] = {}
    whole = {service for each in services.values() for service in each}
    for edge in graph.edges:
        if edge.from_id in whole and edge.type in CALL_TYPES:
            calls.setdefault(edge.from_id, []).append(edge.to_id)
    found = {}
    for resource in wanted:
        reached = dict(graph.downstream(resource, max_hops))
        for service in services.get(resource, ()):
            for called in calls.get(service, ()):
                _nearer(reached, called, 1)
                for other, hops in graph.downstream(called, max_hops - 1).items():
                    _nearer(reached, other, hops + 1)
        reached.pop(resource, None)
        found[resource] = reached
    return found


def _nearer(reached: dict[UUID, int], resource: UUID, hops: int) -> None:
    reached[resource] = min(hops, reached.get(resource, hops))


def hops_in(found: Mapping[UUID, Mapping[UUID, int]]) -> Callable[[UUID, UUID], int | None]:
    """Return the function hops(a, b) that `correlate.find` asks, over the answer of `needs`."""
    return lambda a, b: found.get(a, {}).get(b)


def callers(graph: Graph, symptoms: Iterable[UUID], *, limit: int = MAX_CALLERS) -> dict[UUID, int]:
    """Return who needs any symptom -> steps to the nearest one, without the symptoms; the nearest `limit` of them."""
    failing = set(symptoms)
    found: dict[UUID, int] = {}
    for symptom in failing:
        for other, hops in graph.upstream(symptom, MAX_HOPS).items():
            if other not in failing:
                _nearer(found, other, hops)
    nearest = sorted(found.items(), key=lambda entry: (entry[1], str(entry[0])))[:limit]
    return dict(nearest)
