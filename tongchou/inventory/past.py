"""The graph as it was: the one of now with what has changed since taken back.

Reading a large inventory takes seconds, and between two days little of it changes; so what was opened, closed, came or
went since is read, and the rest is shared with the graph of now. Where much changed, all of it is read as it was.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, Q

from tongchou.inventory import absences
from tongchou.inventory import graph as graphs
from tongchou.inventory.graph import ACTIVE, Edge, Graph, Kept, Key, Rows, load_graph
from tongchou.inventory.models import Relation, Resource

MOST = 20_000  # resources and relations that may differ: more are read anew
_graphs: Kept[Graph] = Kept(2)


def graph_at(at: datetime) -> Graph:
    """Return the graph as it was at a time: at most seven queries, one when asked for before and nothing changed.

    Names and owners are those of now: the past of a relation is kept, not that of a name.
    """
    now = load_graph()

    def work_out() -> Graph:
        found = _taken_back(now, at)
        return graphs.read(_alive(at), _held(at)) if found is None else found

    return _graphs.of(now, at, work_out)


def _alive(at: datetime) -> Q:
    there = Q(created_at__lte=at) & (Q(gone_at__isnull=True) | Q(gone_at__gt=at))
    return there & Q(~Exists(absences.of_row(at)))


def _held(at: datetime) -> Q:
    return Q(valid_from__lte=at) & (Q(valid_to__isnull=True) | Q(valid_to__gt=at))


def _taken_back(now: Graph, at: datetime) -> Graph | None:
    """The graph of now without what happened since; None when that is more than MOST.

    `now` may lag: whatever happened after it was read, happened after `at` too, and is taken back like the rest, but
    for what came back in that time and was there at `at`: it is missing until `now` has it.
    """
    since = Relation.objects.filter(Q(valid_from__gt=at) | Q(valid_to__gt=at))
    went = Resource.objects.filter(_alive(at)).exclude(ACTIVE)
    came = Resource.objects.filter(ACTIVE, created_at__gt=at)
    keys = list(since.values_list("from_resource_id", "to_resource_id", "type")[: MOST + 1])
    without = list(came.values_list("id", flat=True)[: MOST + 1])
    without += absences.over(at).values_list("resource_id", flat=True)[: MOST + 1]
    rows = Rows()
    besides = rows.nodes(went[: MOST + 1])
    if len(keys) + len(without) + len(besides) > MOST:
        return None
    edges: dict[Key, Edge | None] = dict.fromkeys(keys)
    if keys:
        near = Relation.objects.filter(_held(at), from_resource__in=since.values("from_resource"))
        held = {(edge.from_id, edge.to_id, edge.type): edge for edge in rows.edges(near, whole=False).values()}
        edges = {key: held.get(key) for key in edges}
    if besides:  # not every relation of what went was closed
        ends = Q(from_resource__in=went.values("id")) | Q(to_resource__in=went.values("id"))
        found = rows.edges(Relation.objects.filter(_held(at)).filter(ends), whole=False).values()
        edges |= {(edge.from_id, edge.to_id, edge.type): edge for edge in found}
    return now.changed(without=without, nodes=besides, edges=edges)
