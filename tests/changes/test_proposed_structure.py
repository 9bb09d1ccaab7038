"""A structure proposed by the graph: what all need is written once, what stands in for each other is parallel."""

from __future__ import annotations

import uuid

from tongchou.changes import outline
from tongchou.changes.availability import Group, Node, answer, leaves
from tongchou.changes.proposed_structure import Measured, Proposal, propose
from tongchou.inventory.graph import Edge, Graph
from tongchou.inventory.graph import Node as Thing


def ids(names: str) -> dict[str, uuid.UUID]:
    return {name: uuid.uuid5(uuid.NAMESPACE_URL, name) for name in names.split()}


def proposed(kinds: dict[str, str], edges: list[tuple[str, str, str]], *, hidden: str = "", **more: float) -> Proposal:
    known = ids(" ".join(kinds))
    graph = Graph(
        [Thing(known[name], kind, name) for name, kind in kinds.items()],
        [Edge(known[a], known[b], type_) for a, type_, b in edges],
    )
    measured = {known[name]: Measured(value, f"objective {name}") for name, value in more.items()}
    seen = frozenset(id_ for name, id_ in known.items() if name != hidden)
    return propose(graph, known["shop"], least={}, measured=measured, seen=seen)


def names(node: Node) -> list[str]:
    return [each.name for each in leaves(node)]


SHOP = {"shop": "service", "web1": "instance", "web2": "instance", "h1": "host", "h2": "host", "db": "database"}
CALLS = [("web1", "part_of", "shop"), ("web2", "part_of", "shop"), ("shop", "calls", "db"), ("web1", "runs_on", "h1")]


def test_instances_on_two_hosts_are_parallel_and_the_database_is_in_series() -> None:
    found = proposed(SHOP, [*CALLS, ("web2", "runs_on", "h2")])
    assert found.left_out == 0
    assert isinstance(found.node, Group)
    db, pair = found.node.parts
    assert db.name == "db"
    assert isinstance(pair, Group)
    assert pair.k == 1
    assert [names(each) for each in pair.parts] == [["web1", "h1"], ["web2", "h2"]]


def test_a_host_under_both_instances_stands_above_them_once() -> None:
    found = proposed(SHOP, [*CALLS, ("web2", "runs_on", "h1")])
    assert names(found.node) == ["db", "h1", "web1", "web2"]


def test_a_measured_dependency_stands_for_all_it_needs_and_nothing_else_has_a_figure() -> None:
    found = proposed(SHOP, [*CALLS, ("web2", "runs_on", "h2"), ("db", "runs_on", "h2")], db=0.999, shop=0.9)
    figures = {each.name: each.availability for each in leaves(found.node)}
    assert figures.pop("db") == 0.999
    assert set(figures.values()) == {None}
    assert set(answer(found.node).missing) == set(figures)


def test_what_the_reader_may_not_see_is_left_out_and_counted() -> None:
    found = proposed(SHOP, [*CALLS, ("web2", "runs_on", "h2")], hidden="db")
    assert "db" not in outline.write(found.node)
    assert found.left_out == 1


def test_a_circle_ends_and_the_proposal_is_an_outline() -> None:
    found = proposed({"shop": "service", "a": "service", "b": "service"},
                     [("shop", "calls", "a"), ("a", "calls", "b"), ("b", "calls", "a")])  # fmt: skip
    assert names(found.node) == ["shop", "a", "b"]
    assert outline.read(outline.write(found.node)) == found.node
