"""What of a graph is drawn: its layers, the surroundings of one resource, two times on one picture, many as one.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from tongchou.inventory.graph import Difference, Edge, Graph, Key, Node, strongest

Direction = Literal["both", "needs", "needed_by"]
Mark = Literal["", "gone", "new"]


@dataclass(frozen=True, slots=True)
class Layers:
    """What is let through: origins of relations, kinds of resources and, of all resources, these; None is all."""

    origins: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    only: frozenset[UUID] | None = None


def layered(graph: Graph, layers: Layers) -> Graph:
    """Return what the layers let through; the graph itself when that is everything."""
    if layers == Layers():
        return graph
    nodes = [
        node
        for node in graph.nodes.values()
        if (layers.kinds is None or node.kind in layers.kinds) and (layers.only is None or node.id in layers.only)
    ]
    edges = graph.edges
    if layers.origins is not None:
        edges = tuple(edge for edge in edges if edge.origin in layers.origins)
    return Graph(nodes, edges)


@dataclass(frozen=True, slots=True)
class Both:
    """A graph of two times at once, with what is in one of them alone: gone since then, or new since then."""

    graph: Graph
    nodes: Mapping[UUID, Mark]
    edges: Mapping[Key, Mark]

    def mark(self, edge: Edge) -> Mark:
        """Tell whether an edge is in one of the two alone."""
        return self.edges.get((edge.from_id, edge.to_id, edge.type), "")


def compare(then: Graph, now: Graph) -> Both:
    """Lay two times on each other. A resource that was renamed bears the name it has now.

    Where the one was made from the other (past.graph_at), only what differs is looked at.
    """
    if then.difference is not None and then.difference.base is now:
        return _compared(then, now, then.difference)
    nodes: dict[UUID, Mark] = dict.fromkeys(then.nodes.keys() - now.nodes.keys(), "gone")
    nodes |= dict.fromkeys(now.nodes.keys() - then.nodes.keys(), "new")
    before, after = _keys(then), _keys(now)
    edges: dict[Key, Mark] = dict.fromkeys(before - after, "gone")
    edges |= dict.fromkeys(after - before, "new")
    both = Graph({**then.nodes, **now.nodes}.values(), strongest([*then.edges, *now.edges]))
    return Both(both, nodes, edges)


def _compared(then: Graph, now: Graph, difference: Difference) -> Both:
    nodes: dict[UUID, Mark] = dict.fromkeys(difference.besides, "gone")
    nodes |= dict.fromkeys(difference.without, "new")
    edges: dict[Key, Mark] = {}
    put: dict[Key, Edge] = {}
    for key in difference.keys:
        before, after = then.edge(key), now.edge(key)
        if before is not None:
            put[key] = before if after is None else strongest([before, after])[0]
        if (before is None) != (after is None):
            edges[key] = "gone" if after is None else "new"
    return Both(now.changed(without=(), nodes=[then.nodes[id_] for id_ in difference.besides], edges=put), nodes, edges)


def _keys(graph: Graph) -> set[Key]:
    return {(edge.from_id, edge.to_id, edge.type) for edge in graph.edges}


def around(graph: Graph, focus: UUID, direction: Direction, depth: int) -> set[UUID]:
    """Return the resource with what is at most so many steps away, in the direction asked for."""
    found = {focus} if focus in graph else set()
    if direction in ("both", "needs"):
        found |= graph.downstream(focus, depth).keys()
    if direction in ("both", "needed_by"):
        found |= graph.upstream(focus, depth).keys()
    return found


@dataclass(frozen=True, slots=True)
class Cluster:
    """Many resources of one kind, of one team or (`owner_id` None and `mixed`) of any, drawn as one box."""

    kind: str
    owner_id: UUID | None
    mixed: bool
    members: tuple[UUID, ...]


def collapse(nodes: Sequence[Node], most: int, keep: Collection[UUID] = ()) -> list[Node | Cluster]:
    """Return at most about `most` boxes: where there are more nodes, the largest groups of a kind become one each.

    First groups of one kind and team, the largest first, until it is few enough; then whole kinds. What is in `keep`
    stands for itself, and so does a group of one.
    """
    if len(nodes) <= most:
        return list(nodes)
    kept: list[Node | Cluster] = [node for node in nodes if node.id in keep]
    groups: dict[tuple[str, UUID | None], list[Node]] = {}
    for node in nodes:
        if node.id not in keep:
            groups.setdefault((node.kind, node.owner_id), []).append(node)
    left = len(nodes)
    clusters: dict[tuple[str, UUID | None], list[Node]] = {}
    for key in sorted(groups, key=lambda each: (-len(groups[each]), each[0], str(each[1]))):
        if left <= most:
            break
        clusters[key] = groups.pop(key)
        left -= len(clusters[key]) - 1
    single: list[Node | Cluster] = [node for group in groups.values() for node in group]
    single += [group[0] for group in clusters.values() if len(group) == 1]
    many = {key: group for key, group in clusters.items() if len(group) > 1}
    if left <= most:
        return [*kept, *single, *(_cluster(*key, group, mixed=False) for key, group in many.items())]
    by_kind: dict[str, list[Node]] = {}
    for (kind, _owner), group in clusters.items():
        by_kind.setdefault(kind, []).extend(group)
    return [*kept, *(_cluster(kind, None, group, mixed=True) for kind, group in by_kind.items())]


def _cluster(kind: str, owner_id: UUID | None, nodes: Sequence[Node], *, mixed: bool) -> Cluster:
    return Cluster(kind, owner_id, mixed, tuple(node.id for node in nodes))


@dataclass(frozen=True, slots=True)
class Bundle:
    """All relations of a type between two boxes, told by their places in the list of boxes; `edges` is never empty."""

    from_box: int
    to_box: int
    type: str
    edges: tuple[Edge, ...]


def bundles(boxes: Sequence[Node | Cluster], edges: Iterable[Edge]) -> list[Bundle]:
    """Return the relations between different boxes, those of one type between the same two as one."""
    at: dict[UUID, int] = {}
    for place, box in enumerate(boxes):
        for id_ in box.members if isinstance(box, Cluster) else (box.id,):
            at[id_] = place
    found: dict[tuple[int, int, str], list[Edge]] = {}
    last, a = None, None
    for edge in edges:
        if edge.from_id is not last:  # mostly several of one follow each other
            last, a = edge.from_id, at.get(edge.from_id)
        if a is not None and (b := at.get(edge.to_id)) is not None and a != b:
            found.setdefault((a, b, edge.type), []).append(edge)
    return [Bundle(*key, tuple(each)) for key, each in found.items()]
