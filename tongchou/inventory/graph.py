"""Who needs whom: reads over a snapshot of resources and open relations.

Edges are turned so that they run from a resource to what it needs (kinds.dependency). Circles are legal: every walk
visits a resource once, at its least distance. A snapshot never changes; `load_graph` makes a new one, `Graph.changed`
one that shares with another what is the same in both.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet

from tongchou.inventory import stamps
from tongchou.inventory.kinds import dependency, flows
from tongchou.inventory.models import Relation, Resource, ResourceState, Stamp

log = logging.getLogger(__name__)
FETCHED = 5000  # rows at a time


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


Value = TypeVar("Value")
Key = tuple[UUID, UUID, str]  # of an edge: from, to, type


@dataclass(frozen=True, slots=True)
class Difference:
    """How a graph was made from another: what it lacks of it, has besides, and which relations may differ."""

    base: Graph
    without: frozenset[UUID]
    besides: frozenset[UUID]
    keys: frozenset[Key]


class Kept(Generic[Value]):
    """Answers that are worked out of a graph, at most so many of each graph, which go when the graph does.

    They lie with the graph, so that an answer may hold it: in a table beside it, it would never be let go.
    """

    def __init__(self, most: int) -> None:
        self._most = most

    def has(self, graph: Graph, question: Hashable) -> bool:
        """Whether the answer is there already."""
        return question in graph.kept.get(self, {})

    def of(self, graph: Graph, question: Hashable, work_out: Callable[[], Value]) -> Value:
        """Return the answer to a question, worked out once; two who ask at the same time may both work at it."""
        answers: dict[Hashable, Value] = graph.kept.setdefault(self, {})
        if question in answers:
            return answers[question]
        answer = work_out()
        if len(answers) >= self._most:
            answers.clear()
        answers[question] = answer
        return answer


class Graph:
    """An immutable dependency graph. Reads are O(resources + relations) at worst; unknown resources have no edges."""

    def __init__(self, nodes: Iterable[Node], edges: Iterable[Edge]) -> None:
        self.nodes: dict[UUID, Node] = {node.id: node for node in nodes}
        self._edges: tuple[Edge, ...] | None = tuple(
            edge for edge in edges if edge.from_id in self.nodes and edge.to_id in self.nodes
        )
        self._ids: list[UUID] = list(self.nodes)
        self._index: dict[UUID, int] = {id_: i for i, id_ in enumerate(self._ids)}
        self._needs, self._needed_by = self._adjacency()
        self._leaving: list[list[Edge]] | None = None
        self._typed: dict[str, tuple[Edge, ...]] | None = None
        self._parts: dict[UUID, tuple[UUID, ...]] | None = None
        self.difference: Difference | None = None
        self.kept: dict[Any, dict[Any, Any]] = {}  # see Kept

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The relations."""
        if self._edges is None:
            self._edges = tuple(chain.from_iterable(self._left()))
        return self._edges

    def typed(self, type_: str) -> tuple[Edge, ...]:
        """Return the relations of one type; after the first call without looking at the others."""
        if self._typed is None:
            found: dict[str, list[Edge]] = {}
            for edge in self.edges:
                found.setdefault(edge.type, []).append(edge)
            self._typed = {name: tuple(edges) for name, edges in found.items()}
        return self._typed.get(type_, ())

    def parts(self) -> Mapping[UUID, tuple[UUID, ...]]:
        """Return the parts of each whole; after the first call at once."""
        if self._parts is None:
            found: dict[UUID, list[UUID]] = {}
            for edge in self.typed("part_of"):
                found.setdefault(edge.to_id, []).append(edge.from_id)
            self._parts = {whole: tuple(parts) for whole, parts in found.items()}
        return self._parts

    def related(self) -> list[UUID]:
        """Return the resources that another needs, or that need another."""
        return [self._ids[at] for at in self._index.values() if self._needs[at] or self._needed_by[at]]

    def turned(self) -> set[str]:
        """Return the types of its relations whose "to" end is the dependant."""
        return {type_ for type_ in {edge.type for edge in self.edges} if dependency(type_, 0, 1) == (1, 0)}

    def _adjacency(self) -> tuple[list[list[int]], list[list[int]]]:
        needs: list[list[int]] = [[] for _ in self._ids]
        needed_by: list[list[int]] = [[] for _ in self._ids]
        index = self._index
        turned = self.turned()
        for edge in self.edges:
            a, b = index[edge.from_id], index[edge.to_id]
            if a != b:
                dependant, needed = (b, a) if edge.type in turned else (a, b)
                needs[dependant].append(needed)
                needed_by[needed].append(dependant)
        for lists in (needs, needed_by):  # two types of relation between the same two are one step
            for place, each in enumerate(lists):
                if len(each) > 1:
                    lists[place] = list(dict.fromkeys(each))
        return needs, needed_by

    def _left(self) -> list[list[Edge]]:
        """The relations that leave each resource, by its number."""
        if self._leaving is None:
            leaving: list[list[Edge]] = [[] for _ in self._ids]
            for edge in self._edges or ():
                leaving[self._index[edge.from_id]].append(edge)
            self._leaving = leaving
        return self._leaving

    def edge(self, key: Key) -> Edge | None:
        """Return a relation by its ends and type."""
        at = self._index.get(key[0])
        found = () if at is None else self._left()[at]
        return next((edge for edge in found if edge.to_id == key[1] and edge.type == key[2]), None)

    def changed(self, *, without: Collection[UUID], nodes: Iterable[Node], edges: Mapping[Key, Edge | None]) -> Graph:
        """Return this graph without some resources, with others, and with each of `edges` as given (None: not there).

        It costs what differs, and a copy of four lists: a tenth of a second at 100,000 resources, where reading them
        takes seconds. What leads to a resource that neither has is not in it, as always.
        """
        made = Graph((), ())
        made.nodes = dict(self.nodes)
        made._ids, made._index = list(self._ids), dict(self._index)
        # lists that both share are replaced, never written to
        made._needs, made._needed_by = list(self._needs), list(self._needed_by)
        made._leaving, made._edges = list(self._left()), None
        keys = set(edges)
        for node in nodes:
            made._add(node)
        for id_ in without:
            keys |= made._drop(id_)
        for key, edge in edges.items():
            made._put(key, edge)
        gone, besides = self.nodes.keys() - made.nodes.keys(), made.nodes.keys() - self.nodes.keys()
        made.difference = Difference(self, frozenset(gone), frozenset(besides), frozenset(keys))
        return made

    def _add(self, node: Node) -> None:
        leaving = self._left()
        self.nodes[node.id] = node
        if node.id not in self._index:
            self._index[node.id] = len(self._ids)
            self._ids.append(node.id)
            self._needs.append([])
            self._needed_by.append([])
            leaving.append([])

    def _drop(self, id_: UUID) -> set[Key]:
        """Take a resource out; return its relations."""
        leaving, keys = self._left(), set[Key]()
        if self.nodes.pop(id_, None) is None:
            return keys
        at = self._index[id_]
        keys.update((edge.from_id, edge.to_id, edge.type) for edge in leaving[at])
        for other in {*self._needs[at], *self._needed_by[at]}:
            keys.update((edge.from_id, id_, edge.type) for edge in leaving[other] if edge.to_id == id_)
            leaving[other] = [edge for edge in leaving[other] if edge.to_id != id_]
            self._needs[other] = [each for each in self._needs[other] if each != at]
            self._needed_by[other] = [each for each in self._needed_by[other] if each != at]
        leaving[at], self._needs[at], self._needed_by[at] = [], [], []
        del self._index[id_]
        return keys

    def _put(self, key: Key, edge: Edge | None) -> None:
        leaving = self._left()
        a, b = self._index.get(key[0]), self._index.get(key[1])
        if a is None or b is None:
            return
        leaving[a] = [each for each in leaving[a] if (each.to_id, each.type) != key[1:]]
        if edge is not None:
            leaving[a].append(edge)
        if a != b:
            between = [*((each, a, b) for each in leaving[a]), *((each, b, a) for each in leaving[b])]
            steps = {dependency(each.type, x, y) for each, x, y in between if each.to_id == self._ids[y]}
            for dependant, needed in ((a, b), (b, a)):
                there = (dependant, needed) in steps
                _hold(self._needs, dependant, needed, there)
                _hold(self._needed_by, needed, dependant, there)

    def __len__(self) -> int:
        return len(self.nodes)

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
        wanted = {id_: at for id_ in resources if (at := self._index.get(id_)) is not None}
        leaving = self._left()
        return [edge for at in wanted.values() for edge in leaving[at] if edge.to_id in wanted]

    def touching(self, resources: Collection[UUID]) -> list[Edge]:
        """Return the relations of which an end is in `resources`, each once."""
        leaving, found = self._left(), []
        wanted = {id_: at for id_ in resources if (at := self._index.get(id_)) is not None}
        for id_, at in wanted.items():
            found += leaving[at]
            for other in {*self._needs[at], *self._needed_by[at]}:
                if self._ids[other] not in wanted:
                    found += [edge for edge in leaving[other] if edge.to_id == id_]
        return found

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


def _hold(lists: list[list[int]], at: int, number: int, there: bool) -> None:
    """See to it that a list has a number, or has it not."""
    if (number in lists[at]) != there:
        lists[at] = [*lists[at], number] if there else [each for each in lists[at] if each != number]


ACTIVE = Q(state=ResourceState.ACTIVE)
LARGE = 20_000  # resources; from here on reading the graph takes longer than a page may
MOST_BEHIND_SECONDS = 30.0
_cache: dict[UUID, Graph] = {}  # at most one: the newest token's
_cache_lock = threading.Lock()
_reading: dict[str, float] = {}  # "since": when a thread began to read the graph anew, while it does


def load_graph() -> Graph:
    """Return the graph of active resources now; as it was: past.graph_at.

    One query when nothing changed since the last call in this process, else three. Of a large inventory (LARGE) the
    picture may be up to MOST_BEHIND_SECONDS old while a thread reads the new one: nobody waits for it.
    """
    # the token is read before the rows: a change in between costs one load more, and is never missed
    token = stamps.current(Stamp.GRAPH)
    if token is not None and (cached := _cache.get(token)) is not None:
        return cached
    old = next(iter(_cache.values()), None)
    if old is not None and len(old) >= LARGE and _read_aside():
        return old
    return _read_now(token)


def _read_now(token: UUID | None) -> Graph:
    graph = read(ACTIVE, Q(valid_to__isnull=True))
    if token is not None:
        with _cache_lock:
            _cache.clear()
            _cache[token] = graph
    return graph


def read_ahead() -> None:
    """Read the graph in a thread, so that the first page after a start does not wait for it."""
    _read_aside()


def _read_aside() -> bool:
    """See to it that a thread reads the graph; False when one has been at it for longer than anybody should wait."""
    with _cache_lock:
        since = _reading.get("since")
        if since is not None:
            return time.monotonic() - since < MOST_BEHIND_SECONDS
        _reading["since"] = time.monotonic()
    threading.Thread(target=_read_and_close, name="inventory-graph", daemon=True).start()
    return True


def _read_and_close() -> None:
    try:
        _read_now(stamps.current(Stamp.GRAPH))
    except DatabaseError:
        log.warning("the graph could not be read", exc_info=True)
    finally:
        connection.close()
        _reading.pop("since", None)


def read(alive: Q, held: Q) -> Graph:
    """Read the resources and relations that the conditions let through."""
    read_ = Rows()
    return Graph(read_.nodes(Resource.objects.filter(alive)), read_.edges(Relation.objects.filter(held)).values())


class Rows:
    """Rows as nodes and edges, as the driver gives them: each id becomes one UUID, however many relations name it."""

    def __init__(self) -> None:
        self._ids: dict[Any, UUID] = {}
        self._owners: dict[Any, UUID | None] = {None: None}
        self._words: dict[Any, Any] = {}
        self._flowing: dict[str, bool] = {}

    def nodes(self, query: QuerySet[Resource]) -> list[Node]:
        """Return the resources of a query."""
        found, owners, words = [], self._owners, self._words
        for raw, kind, name, owner in _rows(query.values_list("id", "kind", "name", "owner_id")):
            id_ = self._ids[raw] = _uuid(raw)
            if owner not in owners:
                owners[owner] = _uuid(owner)
            found.append(Node(id_, words.setdefault(kind, kind), name, owners[owner]))
        return found

    def edges(self, query: QuerySet[Relation], *, whole: bool = True) -> dict[Any, Edge]:
        """Return the best edge for each (from, to, type); with `whole`, only between resources that were read before.

        A relation along which failure does not flow (a contract covers, a cable connects) is no dependency.
        """
        fields = ("from_resource_id", "to_resource_id", "type", "origin", "confidence")
        ids, words, flowing = self._ids, self._words, self._flowing
        best: dict[tuple[Any, Any, str], Edge] = {}  # by what the driver gave: text and numbers hash faster than UUIDs
        for from_, to, type_, origin, sure in _rows(query.values_list(*fields)):
            if not whole:
                for raw in (from_, to):
                    if raw not in ids:
                        ids[raw] = _uuid(raw)
            if from_ in ids and to in ids and _flowing(type_, flowing):
                known = best.get((from_, to, type_))
                if known is None or (sure, origin) > (known.confidence, known.origin):
                    told = [words.setdefault(each, each) for each in (type_, origin, sure)]
                    best[from_, to, type_] = Edge(ids[from_], ids[to], *told)
        return best


def _flowing(type_: str, known: dict[str, bool]) -> bool:
    found = known.get(type_)
    if found is None:
        found = known[type_] = flows(type_)
    return found


def _rows(query: QuerySet[Any, Any]) -> Iterator[tuple[Any, ...]]:
    sql, params = (query if query.query.is_sliced else query.order_by()).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        while rows := cursor.fetchmany(FETCHED):
            yield from rows


def _uuid(raw: object) -> UUID:
    return raw if isinstance(raw, UUID) else UUID(str(raw))


def strongest(edges: Iterable[Edge]) -> Sequence[Edge]:
    """Return one edge for each (from, to, type): the one stated with most confidence."""
    best: dict[tuple[UUID, UUID, str], Edge] = {}
    for edge in edges:
        key = (edge.from_id, edge.to_id, edge.type)
        known = best.get(key)
        if known is None or (edge.confidence, edge.origin) > (known.confidence, known.origin):
            best[key] = edge
    return list(best.values())
