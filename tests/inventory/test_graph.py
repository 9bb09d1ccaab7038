from __future__ import annotations

import gc
import itertools
import threading
import time
import uuid
import weakref
from typing import Any
from uuid import UUID

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.access import Actor
from tongchou.inventory import actions
from tongchou.inventory import graph as graphs
from tongchou.inventory.catalogue.everything import RELATION_TYPES
from tongchou.inventory.graph import Edge, Graph, Kept, Node, load_graph, strongest
from tongchou.inventory.kinds import dependency

IDS = [UUID(int=i) for i in range(1, 13)]
TYPES = sorted(RELATION_TYPES)
edges_strategy = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS), st.sampled_from(TYPES)), max_size=40)


def graph_of(edges: list[tuple[UUID, UUID, str]]) -> Graph:
    return Graph([Node(id_, "instance", str(id_)) for id_ in IDS], [Edge(*edge) for edge in edges])


def reference(edges: list[tuple[UUID, UUID, str]]) -> nx.DiGraph:
    found = nx.DiGraph()
    found.add_nodes_from(IDS)
    for a, b, type_ in edges:
        dependant, needed = (b, a) if RELATION_TYPES[type_].needed == "from" else (a, b)
        if dependant != needed:
            found.add_edge(dependant, needed)
    return found


@given(edges_strategy, st.sampled_from(IDS))
def test_walks_agree_with_networkx_circles_included(edges: list[tuple[UUID, UUID, str]], start: UUID) -> None:
    graph, expected = graph_of(edges), reference(edges)
    down = dict(nx.single_source_shortest_path_length(expected, start))
    up = dict(nx.single_source_shortest_path_length(expected.reverse(), start))
    del down[start], up[start]
    assert graph.downstream(start) == down
    assert graph.upstream(start) == graph.blast_radius(start) == up
    assert list(graph.downstream(start).values()) == sorted(down.values())


@given(edges_strategy, st.sampled_from(IDS), st.integers(1, 4))
def test_depth_cuts_the_walk(edges: list[tuple[UUID, UUID, str]], start: UUID, depth: int) -> None:
    graph = graph_of(edges)
    assert graph.downstream(start, depth) == {k: v for k, v in graph.downstream(start).items() if v <= depth}


@given(edges_strategy, st.sampled_from(IDS), st.sampled_from(IDS))
def test_a_path_is_a_shortest_chain_of_needs(edges: list[tuple[UUID, UUID, str]], a: UUID, b: UUID) -> None:
    graph, expected = graph_of(edges), reference(edges)
    found = graph.path(a, b)
    if not nx.has_path(expected, a, b):
        assert found is None
        assert graph.distance(a, b) is None
        return
    assert found is not None
    assert (found[0], found[-1]) == (a, b)
    assert all(expected.has_edge(x, y) for x, y in itertools.pairwise(found))
    assert graph.distance(a, b) == len(found) - 1 == nx.shortest_path_length(expected, a, b)


@given(edges_strategy, st.sampled_from(IDS))
def test_neighbours_are_one_relation_away(edges: list[tuple[UUID, UUID, str]], start: UUID) -> None:
    assert graph_of(edges).neighbours(start) == set(nx.all_neighbors(reference(edges), start))


KEYS = st.tuples(st.sampled_from(IDS), st.sampled_from(IDS), st.sampled_from(TYPES)).filter(
    lambda key: key[0] != key[1]
)


def told(graph: Graph) -> tuple[Any, ...]:
    """All that a graph says."""
    walks = {id_: (graph.downstream(id_), graph.upstream(id_)) for id_ in IDS}
    return (
        graph.nodes,
        set(graph.edges),
        walks,
        {whole: set(parts) for whole, parts in graph.parts().items()},
        {id_: set(graph.touching([id_])) for id_ in IDS},
        len(graph),
    )


@given(
    st.sets(st.sampled_from(IDS)),
    st.dictionaries(KEYS, st.sampled_from(["declared", "observed"]), max_size=30),
    st.sets(st.sampled_from(IDS)),
    st.sets(st.sampled_from(IDS)),
    st.dictionaries(KEYS, st.sampled_from(["declared", "inferred", None]), max_size=30),
)
def test_a_changed_graph_is_one_made_anew_and_the_other_stays(
    there: set[UUID], edges: dict[Any, str], without: set[UUID], besides: set[UUID], put: dict[Any, str | None]
) -> None:
    def made(ids: set[UUID], among: dict[Any, str]) -> Graph:
        return Graph([Node(id_, "x", "") for id_ in ids], [Edge(*key, origin) for key, origin in among.items()])

    before = made(there, edges)
    was = told(before)
    changed = before.changed(
        without=without - besides,
        nodes=[Node(id_, "x", "") for id_ in besides],
        edges={key: None if origin is None else Edge(*key, origin) for key, origin in put.items()},
    )
    ids = (there | besides) - (without - besides)
    known = {key: origin for key, origin in edges.items() if {*key[:2]} <= there}  # what led nowhere was never in it
    after = {key: origin for key, origin in (known | put).items() if origin is not None}
    assert told(changed) == told(made(ids, after))
    assert told(before) == was


@given(edges_strategy, st.sets(st.sampled_from(IDS)))
def test_relations_among_and_at_some_are_found(edges: list[tuple[UUID, UUID, str]], some: set[UUID]) -> None:
    graph = graph_of(sorted({edge for edge in edges if edge[0] != edge[1]}))
    assert sorted(graph.edges_among(some)) == sorted(e for e in graph.edges if {e.from_id, e.to_id} <= some)
    assert sorted(graph.touching(some)) == sorted(e for e in graph.edges if {e.from_id, e.to_id} & some)


def test_unknown_resources_have_no_edges() -> None:
    graph = graph_of([])
    stranger = uuid.uuid4()
    assert graph.downstream(stranger) == graph.upstream(stranger) == {}
    assert graph.path(stranger, IDS[0]) is None
    assert graph.neighbours(stranger) == set()
    assert stranger not in graph


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("calls", ("from", "to")),
        ("runs_on", ("from", "to")),
        ("stores_in", ("from", "to")),
        ("part_of", ("to", "from")),
        ("replicates_to", ("to", "from")),
        ("never heard of", ("from", "to")),
    ],
)
def test_failure_flows_from_what_is_needed(type_: str, expected: tuple[str, str]) -> None:
    assert dependency(type_, "from", "to") == expected


def test_an_edge_stated_twice_counts_once_with_the_best_confidence() -> None:
    a, b = IDS[:2]
    edges = [Edge(a, b, "calls", "inferred", 0.6), Edge(a, b, "calls", "observed", 0.9), Edge(a, b, "runs_on")]
    assert sorted((e.type, e.confidence) for e in strongest(edges)) == [("calls", 0.9), ("runs_on", 1.0)]


def test_a_chain_as_long_as_the_inventory_is_walked_without_recursion() -> None:
    ids = [UUID(int=i) for i in range(1, 20_001)]
    graph = Graph(
        [Node(id_, "instance", "x") for id_ in ids],
        [Edge(a, b, "calls") for a, b in zip(ids, [*ids[1:], ids[0]], strict=True)],
    )
    assert graph.distance(ids[0], ids[-1]) == 19_999
    assert len(graph.blast_radius(ids[0])) == 19_999


@pytest.mark.django_db
def test_the_loaded_graph_is_cached_until_something_changes(
    admin_actor: Actor, django_assert_num_queries: object
) -> None:
    a = actions.create_resource(actor=admin_actor, kind="service", name="a")
    b = actions.create_resource(actor=admin_actor, kind="service", name="b")
    assert load_graph().distance(a.pk, b.pk) is None
    with django_assert_num_queries(1):  # type: ignore[operator]
        load_graph()
    relation = actions.relate(actor=admin_actor, from_resource=a, to_resource=b, type="calls")
    with django_assert_num_queries(3):  # type: ignore[operator]
        assert load_graph().distance(a.pk, b.pk) == 1
    actions.unrelate(actor=admin_actor, relation=relation)
    assert load_graph().distance(a.pk, b.pk) is None
    actions.retire_resource(actor=admin_actor, resource=b)
    assert b.pk not in load_graph()


@pytest.mark.django_db(transaction=True)
def test_of_a_large_inventory_nobody_waits_for_the_new_picture(
    admin_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = actions.create_resource(actor=admin_actor, kind="service", name="first")
    assert first.pk in load_graph()
    monkeypatch.setattr(graphs, "LARGE", 1)
    second = actions.create_resource(actor=admin_actor, kind="service", name="second")
    load_graph()  # perhaps the old one; it begins to read
    for thread in [each for each in threading.enumerate() if each.name == "inventory-graph"]:
        thread.join(10)
    assert {first.pk, second.pk} <= load_graph().nodes.keys()


@pytest.mark.django_db
def test_when_a_thread_reads_for_too_long_one_waits_rather_than_be_shown_the_past(
    admin_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions.create_resource(actor=admin_actor, kind="service", name="first")
    load_graph()
    monkeypatch.setattr(graphs, "LARGE", 1)
    monkeypatch.setitem(graphs._reading, "since", time.monotonic() - 2 * graphs.MOST_BEHIND_SECONDS)
    second = actions.create_resource(actor=admin_actor, kind="service", name="second")
    assert second.pk in load_graph()


def test_answers_are_worked_out_once_and_go_with_their_graph_even_if_they_hold_it() -> None:
    kept: Kept[tuple[Graph, str]] = Kept(2)
    graph = graph_of([])
    worked: list[str] = []

    def of(question: str) -> tuple[Graph, str]:
        return kept.of(graph, question, lambda: (worked.append(question), (graph, question))[1])

    assert [of(each)[1] for each in "aabb"] == ["a", "a", "b", "b"]
    assert worked == ["a", "b"]
    assert [of(each)[1] for each in "cb"] == ["c", "b"]  # no more than two are kept
    assert len(graph.kept[kept]) == 2
    left = weakref.ref(graph)
    graph = graph_of([])
    gc.collect()
    assert left() is None
