"""Single points of failure, against what happens when each resource is really taken away."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tongchou.inventory.graph import Edge, Graph, Node
from tongchou.inventory.kinds import dependency
from tongchou.inventory.weakness import ALONE, SERVICES, asking, at_least, falls, fatal, needs_of, weak_points

KINDS = ("service", "instance", "host", "disk", "database", "load_balancer")
IDS = [UUID(int=i) for i in range(1, 10)]
TYPES = ("calls", "depends_on", "hosts", "part_of", "replicates_to", "runs_on", "stores_in")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, dict[UUID, int]]:
    nodes = [Node(id_, draw(st.sampled_from(KINDS)), f"n{id_.int}") for id_ in IDS]
    ends = st.sampled_from(IDS)
    edges = draw(st.lists(st.tuples(ends, ends, st.sampled_from(TYPES)), max_size=24))
    least = draw(st.dictionaries(ends, st.integers(1, 3), max_size=3))
    return Graph(nodes, [Edge(*each) for each in edges]), least


def left_after(graph: Graph, least: dict[UUID, int], lost: UUID) -> set[UUID]:
    """What still works without `lost`: the words of the module's docstring, tried until nothing more fails."""
    failed = {lost}
    while True:
        before = len(failed)
        for id_ in graph.nodes:
            mine = [edge for edge in graph.edges if edge.from_id != edge.to_id and edge.type != "replicates_to"]
            parts = {e.from_id for e in mine if e.type == "part_of" and e.to_id == id_}
            parts = {each for each in parts if graph.nodes[each].kind not in ALONE}
            hosts = {e.to_id for e in mine if e.type == "runs_on" and e.from_id == id_}
            every = {dependency(e.type, e.from_id, e.to_id) for e in mine if e.type != "runs_on"}
            needed = {other for who, other in every if who == id_ and other not in parts}
            also = {e.to_id for e in mine if e.from_id == id_ and e.type in ("calls", "stores_in", "depends_on")}
            working = len(parts - failed)
            if (
                (needed | also) & failed
                or (parts & failed and working < least.get(id_, 1))
                or (hosts and not hosts - failed)
            ):
                failed.add(id_)
        if len(failed) == before:
            return set(graph.nodes) - failed


@given(graphs())
def test_the_sets_are_what_happens_when_each_is_taken_away(drawn: tuple[Graph, dict[UUID, int]]) -> None:
    graph, least = drawn
    needs = needs_of(graph, least)
    sets = fatal(needs, range(len(IDS)))
    above = asking(needs)
    for number, lost in enumerate(needs.ids):
        works = left_after(graph, least, lost)
        assert {id_ for n, id_ in enumerate(needs.ids) if not sets[n] >> number & 1} == works
        assert {cause.failed for cause in falls(needs, above, number).values()} == set(IDS) - works - {lost}


@given(graphs())
def test_the_list_is_ranked_by_the_services_that_suffer(drawn: tuple[Graph, dict[UUID, int]]) -> None:
    graph, least = drawn
    found = weak_points(graph, least=least)
    assert [each.count for each in found] == sorted((each.count for each in found), reverse=True)
    listed = {each.resource: each for each in found}
    wholes = {e.to_id for e in graph.edges if e.type == "part_of" and graph.nodes[e.from_id].kind not in ALONE}
    wholes = {id_ for id_ in wholes if any(e.to_id == id_ and e.from_id != id_ and e.type == "part_of" for e in graph.edges)}  # fmt: skip
    for id_ in IDS:
        down = {each for each in set(IDS) - left_after(graph, least, id_) if graph.nodes[each].kind in SERVICES}
        if id_ in listed:
            assert listed[id_].count == len(down - {id_})
            assert set(listed[id_].services) == down - {id_}
        elif not any(e.to_id == id_ and e.from_id != id_ for e in graph.edges if e.type == "part_of"):
            assert not down - {id_}


@given(st.lists(st.integers(0, 63), max_size=6), st.integers(0, 7))
def test_at_least_counts_bits(sets: list[int], count: int) -> None:
    expected = sum(1 << bit for bit in range(6) if sum(each >> bit & 1 for each in sets) >= max(count, 1))
    assert at_least(sets, count) == expected


def small(*edges: tuple[str, str, str], **kinds: str) -> Graph:
    ids = {name: UUID(int=n + 1) for n, name in enumerate(kinds)}
    return Graph(
        [Node(ids[name], kind, name) for name, kind in kinds.items()], [Edge(ids[a], ids[b], t) for a, b, t in edges]
    )


def told(graph: Graph, least: dict[str, int] | None = None) -> dict[str, tuple[int, list[str]]]:
    ids = {node.name: id_ for id_, node in graph.nodes.items()}
    found = weak_points(graph, least={ids[name]: count for name, count in (least or {}).items()})
    return {graph.nodes[e.resource].name: (e.count, [cause.why for cause in e.causes]) for e in found}


def test_one_of_two_instances_is_none_both_on_one_host_is() -> None:
    shop = {"shop": "service", "a": "instance", "b": "instance", "one": "host", "two": "host"}
    parts = (("a", "shop", "part_of"), ("b", "shop", "part_of"), ("a", "one", "runs_on"))
    assert told(small(*parts, ("b", "two", "runs_on"), **shop)) == {}
    assert told(small(*parts, ("b", "one", "runs_on"), **shop)) == {"one": (1, ["all_on_it"])}
    assert told(small(*parts, ("b", "two", "runs_on"), **shop), {"shop": 2}) == {
        name: (1, ["too_few_left"]) for name in ("a", "b")
    } | {"one": (1, ["too_few_left"]), "two": (1, ["too_few_left"])}


def test_what_everybody_needs_comes_first() -> None:
    graph = small(
        ("web", "db", "stores_in"),
        ("api", "db", "stores_in"),
        ("api", "cache", "stores_in"),
        ("db", "host", "runs_on"),
        ("disk", "host", "part_of"),
        web="service", api="service", db="database", cache="cache", host="host", disk="disk",
    )  # fmt: skip
    assert told(graph) == {
        "disk": (3, ["needed"] * 3),
        "host": (3, ["needed"] * 3),
        "db": (2, ["needed"] * 2),
        "cache": (1, ["needed"]),
    }
