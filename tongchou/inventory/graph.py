"""Who needs whom: reads over a snapshot of resources and open relations.

Edges are turned so that they run from a resource to what it needs (kinds.dependency). Circles are legal: every walk
visits a resource once, at its least distance. A snapshot never changes; `load_graph` makes a new one.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q

from tongchou.inventory.kinds import dependency
from tongchou.inventory.models import Relation, Resource, ResourceState, Stamp


class Node(NamedTuple):
    """A resource as the graph knows it."""

    id: UUID
    kind: str
    name: str
    owner_id: UUID | None = None


class Edge(NamedTuple):
    """A relation as it was stated: from -> to, with the best origin and confidence any source gives it."""

    from_id: UUID
    to_id: UUID
    type: str
    origin: str = "declared"
    confidence: float = 1.0


class Graph:
    """An immutable dependency graph. Reads are O(resources + relations) at worst; unknown resources have no edges."""

    def __init__(self, nodes: Iterable[Node], edges: Iterable[Edge]) -> None:
        self.nodes: dict[UUID, Node] = {node.id: node for node in nodes}
        self.edges: tuple[Edge, ...] = tuple(
            edge for edge in edges if edge.from_id in self.nodes and edge.to_id in self.nodes
        )
        self._ids: list[UUID] = list(self.nodes)
        self._index: dict[UUID, int] = {id_: i for i, id_ in enumerate(self._ids)}
        self._needs, self._needed_by = self._adjacency()

    def _adjacency(self) -> tuple[list[list[int]], list[list[int]]]:
        needs: list[list[int]] = [[] for _ in self._ids]
        needed_by: list[list[int]] = [[] for _ in self._ids]
        index = self._index
        turned = {type_ for type_ in {edge.type for edge in self.edges} if dependency(type_, 0, 1) == (1, 0)}
        pairs: dict[tuple[int, int], None] = {}
        for edge in self.edges:
            a, b = index[edge.from_id], index[edge.to_id]
            if a != b:
                pairs[(b, a) if edge.type in turned else (a, b)] = None
        for dependant, needed in pairs:
            needs[dependant].append(needed)
            needed_by[needed].append(dependant)
        return needs, needed_by

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, resource: object) -> bool:
        return resource in self._index

    def _walk(self, start: UUID, adjacency: list[list[int]], depth: int | None) -> dict[UUID, int]:
        """Distances from `start`, nearest first, without itself."""
        at = self._index.get(start)
        if at is None:
            return {}
        distance = {at: 0}
        frontier, steps = [at], 0
        while frontier and (depth is None or steps < depth):
            steps += 1
            reached: list[int] = []
            for node in frontier:
                for other in adjacency[node]:
                    if other not in distance:
                        distance[other] = steps
                        reached.append(other)
            frontier = reached
        del distance[at]
        ids = self._ids
        return {ids[node]: hops for node, hops in distance.items()}

    def downstream(self, resource: UUID, depth: int | None = None) -> dict[UUID, int]:
        """Return what `resource` needs, directly or not -> steps (>= 1), nearest first; `depth` limits steps."""
        return self._walk(resource, self._needs, depth)

    def upstream(self, resource: UUID, depth: int | None = None) -> dict[UUID, int]:
        """Return who needs `resource`, directly or not -> steps (>= 1), nearest first; `depth` limits steps."""
        return self._walk(resource, self._needed_by, depth)

    def blast_radius(self, resource: UUID) -> dict[UUID, int]:
        """Return everything that may suffer when `resource` fails -> number of steps: all of its upstream."""
        return self.upstream(resource)

    def neighbours(self, resource: UUID) -> set[UUID]:
        """Return what is one relation away, in either direction."""
        at = self._index.get(resource)
        if at is None:
            return set()
        return {self._ids[other] for other in (*self._needs[at], *self._needed_by[at])}

    def edges_among(self, resources: Collection[UUID]) -> list[Edge]:
        """Return the relations whose both ends are in `resources`."""
        wanted = set(resources)
        return [edge for edge in self.edges if edge.from_id in wanted and edge.to_id in wanted]

    def distance(self, a: UUID, b: UUID) -> int | None:
        """Return the least number of steps from `a` to `b` along what is needed; 0 for itself, None when not needed."""
        route = self.path(a, b)
        return None if route is None else len(route) - 1

    def path(self, a: UUID, b: UUID) -> list[UUID] | None:
        """Return a shortest chain [a, ..., b] in which each needs the next; None when `a` does not need `b`."""
        start, goal = self._index.get(a), self._index.get(b)
        if start is None or goal is None:
            return None
        before = {start: start}
        frontier = [start]
        while frontier and goal not in before:
            reached: list[int] = []
            for node in frontier:
                for other in self._needs[node]:
                    if other not in before:
                        before[other] = node
                        reached.append(other)
            frontier = reached
        if goal not in before:
            return None
        route = [goal]
        while route[-1] != start:
            route.append(before[route[-1]])
        return [self._ids[node] for node in reversed(route)]


_cache: dict[UUID, Graph] = {}  # at most one: the newest token's
_cache_lock = threading.Lock()


def load_graph(at: datetime | None = None) -> Graph:
    """Return the graph of active resources now, or as it was `at` a time.

    One query when nothing changed since the last call in this process, else three; `at` is not cached (two).
    """
    if at is not None:
        alive = Q(created_at__lte=at) & (Q(gone_at__isnull=True) | Q(gone_at__gt=at))
        held = Q(valid_from__lte=at) & (Q(valid_to__isnull=True) | Q(valid_to__gt=at))
        return _load(alive, held)
    # the token is read before the rows: a change in between costs one load more, and is never missed
    token = Stamp.objects.filter(pk=Stamp.GRAPH).values_list("token", flat=True).first()
    if token is not None and (cached := _cache.get(token)) is not None:
        return cached
    graph = _load(Q(state=ResourceState.ACTIVE), Q(valid_to__isnull=True))
    if token is not None:
        with _cache_lock:
            _cache.clear()
            _cache[token] = graph
    return graph


def _load(alive: Q, held: Q) -> Graph:
    nodes = [Node(*row) for row in Resource.objects.filter(alive).values_list("id", "kind", "name", "owner_id")]
    rows = Relation.objects.filter(held).values_list(
        "from_resource_id", "to_resource_id", "type", "origin", "confidence"
    )
    return Graph(nodes, strongest(Edge(*row) for row in rows))


def strongest(edges: Iterable[Edge]) -> Sequence[Edge]:
    """Return one edge for each (from, to, type): the one stated with most confidence."""
    best: dict[tuple[UUID, UUID, str], Edge] = {}
    for edge in edges:
        key = (edge.from_id, edge.to_id, edge.type)
        known = best.get(key)
        if known is None or (edge.confidence, edge.origin) > (known.confidence, known.origin):
            best[key] = edge
    return list(best.values())
