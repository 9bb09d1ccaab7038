"""What of a graph is drawn."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tongchou.inventory.graph import Edge, Graph, Node
from tongchou.inventory.scene import Cluster, Layers, around, bundles, collapse, compare, layered

IDS = [UUID(int=i) for i in range(1, 31)]
TEAMS = [None, UUID(int=100), UUID(int=101)]
nodes_strategy = st.lists(
    st.tuples(st.sampled_from(["service", "host", "disk"]), st.sampled_from(TEAMS)), min_size=1, max_size=30
).map(lambda rows: [Node(IDS[n], kind, f"n{n}", owner) for n, (kind, owner) in enumerate(rows)])
edges_strategy = st.lists(
    st.builds(
        Edge,
        st.sampled_from(IDS),
        st.sampled_from(IDS),
        st.sampled_from(["calls", "runs_on"]),
        st.sampled_from(["declared", "observed", "inferred"]),
    ),
    max_size=40,
)


@given(nodes_strategy, edges_strategy, st.integers(3, 30), st.sets(st.sampled_from(IDS), max_size=3))
def test_every_resource_is_in_exactly_one_box_and_every_relation_in_one_bundle_or_inside_a_box(
    nodes: list[Node], edges: list[Edge], most: int, keep: set[UUID]
) -> None:
    boxes = collapse(nodes, most, keep)
    ids = [id_ for box in boxes for id_ in (box.members if isinstance(box, Cluster) else (box.id,))]
    assert sorted(ids) == sorted(node.id for node in nodes)
    assert len(boxes) <= max(most, 3 + len(keep & set(ids)))
    assert all({box.id for box in boxes if isinstance(box, Node)} >= {each} for each in keep & set(ids))
    assert all(len(box.members) > 1 or len(nodes) > most for box in boxes if isinstance(box, Cluster))
    place = {id_: n for n, box in enumerate(boxes) for id_ in (box.members if isinstance(box, Cluster) else (box.id,))}
    across = [e for e in edges if e.from_id in place and e.to_id in place and place[e.from_id] != place[e.to_id]]
    found = bundles(boxes, edges)
    assert sorted(map(str, across)) == sorted(str(edge) for each in found for edge in each.edges)
    assert len({(each.from_box, each.to_box, each.type) for each in found}) == len(found)


@given(nodes_strategy, nodes_strategy, edges_strategy, edges_strategy)
def test_two_times_on_one_picture_can_be_taken_apart_again(
    old: list[Node], new: list[Node], old_edges: list[Edge], new_edges: list[Edge]
) -> None:
    then, now = Graph(old, old_edges), Graph(new, new_edges)
    both = compare(then, now)
    assert {id_ for id_ in both.graph.nodes if both.nodes.get(id_, "") != "new"} == then.nodes.keys()
    assert {id_ for id_ in both.graph.nodes if both.nodes.get(id_, "") != "gone"} == now.nodes.keys()
    keys = {(e.from_id, e.to_id, e.type): both.mark(e) for e in both.graph.edges}
    assert {key for key, mark in keys.items() if mark != "new"} == {(e.from_id, e.to_id, e.type) for e in then.edges}
    assert {key for key, mark in keys.items() if mark != "gone"} == {(e.from_id, e.to_id, e.type) for e in now.edges}
    assert compare(now, now).nodes == compare(now, now).edges == {}


def test_layers_let_through_what_they_name() -> None:
    nodes = [Node(IDS[0], "service", "a"), Node(IDS[1], "service", "b"), Node(IDS[2], "host", "c")]
    edges = [Edge(IDS[0], IDS[1], "calls", "inferred", 0.4), Edge(IDS[0], IDS[2], "runs_on")]
    graph = Graph(nodes, edges)
    assert layered(graph, Layers()) is graph
    assert layered(graph, Layers(origins=frozenset({"declared"}))).edges == (edges[1],)
    assert layered(graph, Layers(kinds=frozenset({"service"}))).edges == (edges[0],)
    assert list(layered(graph, Layers(only=frozenset({IDS[2]}))).nodes) == [IDS[2]]
    assert around(graph, IDS[1], "needed_by", 1) == {IDS[0], IDS[1]}
    assert around(graph, IDS[1], "needs", 3) == {IDS[1]}
    assert around(graph, IDS[9], "both", 1) == set()
