"""What a failing resource needs: the graph's edges, and for an instance what its service calls."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tongchou.incidents import topology
from tongchou.inventory.graph import Edge, Graph, Node

STOREFRONT, ORDERS, ORDERS_1, ORDERS_2, DATABASE, PRIMARY, STANDBY, HOST = (UUID(int=n) for n in range(1, 9))
KINDS = {ORDERS_1: "instance", ORDERS_2: "instance", PRIMARY: "instance", STANDBY: "instance", HOST: "host"}
SHOP = Graph(
    [
        Node(id_, KINDS.get(id_, "service"), str(id_.int))
        for id_ in (STOREFRONT, ORDERS, ORDERS_1, ORDERS_2, DATABASE, PRIMARY, STANDBY, HOST)
    ],
    [
        Edge(STOREFRONT, ORDERS, "calls"),
        Edge(ORDERS, DATABASE, "calls"),
        Edge(ORDERS_1, ORDERS, "part_of"),
        Edge(ORDERS_2, ORDERS, "part_of"),
        Edge(PRIMARY, DATABASE, "part_of"),
        Edge(STANDBY, DATABASE, "part_of"),
        Edge(PRIMARY, STANDBY, "replicates_to"),
        *(Edge(each, HOST, "runs_on") for each in (ORDERS_1, ORDERS_2, PRIMARY, STANDBY)),
    ],
)


def test_a_service_needs_its_instances_and_what_it_calls() -> None:
    found = topology.needs(SHOP, [STOREFRONT])[STOREFRONT]
    assert found == {ORDERS: 1, ORDERS_1: 1, ORDERS_2: 1, DATABASE: 2, PRIMARY: 2, STANDBY: 2, HOST: 2}


def test_calls_stated_by_instances_give_the_same_distances_as_calls_stated_by_services() -> None:
    stated = [
        Edge(ORDERS_1, DATABASE, "calls") if edge == Edge(ORDERS, DATABASE, "calls") else edge for edge in SHOP.edges
    ]
    found = topology.needs(Graph(SHOP.nodes.values(), stated), [STOREFRONT, ORDERS, ORDERS_1])
    assert found[STOREFRONT][PRIMARY] == 2
    assert found[ORDERS][PRIMARY] == found[ORDERS_1][PRIMARY] == 1


def test_parts_are_one_step_at_least() -> None:
    assert topology.needs(SHOP, [DATABASE])[DATABASE][PRIMARY] == 1


def test_an_instance_needs_what_its_service_calls_but_not_its_siblings() -> None:
    found = topology.needs(SHOP, [ORDERS_1])[ORDERS_1]
    assert found == {HOST: 1, DATABASE: 1, PRIMARY: 1, STANDBY: 1}


def test_the_copy_needs_its_origin_and_not_the_other_way_round() -> None:
    found = topology.needs(SHOP, [PRIMARY, STANDBY])
    assert found[STANDBY][PRIMARY] == 1
    assert STANDBY not in found[PRIMARY]


def test_hops_answer_what_correlation_asks() -> None:
    hops = topology.hops_in(topology.needs(SHOP, [STOREFRONT, PRIMARY]))
    assert hops(STOREFRONT, PRIMARY) == 2
    assert hops(PRIMARY, STOREFRONT) is None


def test_callers_are_who_needs_a_symptom_nearest_first_and_bounded() -> None:
    assert topology.callers(SHOP, [PRIMARY, ORDERS]) == {DATABASE: 1, STANDBY: 1, STOREFRONT: 1}
    assert topology.callers(SHOP, [PRIMARY]) == {DATABASE: 1, STANDBY: 1, ORDERS: 1, STOREFRONT: 2}
    assert list(topology.callers(SHOP, [PRIMARY], limit=3).values()) == [1, 1, 1]


ids = st.integers(1, 7).map(lambda n: UUID(int=n))
edges = st.builds(Edge, ids, ids, st.sampled_from(["calls", "part_of", "runs_on", "replicates_to", "stores_in"]))


@given(st.lists(edges, max_size=25), st.sets(ids, min_size=1), st.integers(1, 8))
def test_any_graph_is_walked_within_its_hops_and_nobody_needs_itself(
    relations: list[Edge], wanted: set[UUID], max_hops: int
) -> None:
    graph = Graph([Node(UUID(int=n), "service", str(n)) for n in range(1, 8)], relations)
    for resource, found in topology.needs(graph, wanted, max_hops=max_hops).items():
        assert resource not in found
        assert all(1 <= hops <= max_hops for hops in found.values())
        for other, hops in graph.downstream(resource, max_hops).items():
            assert found[other] <= hops
        assert set(topology.needs(graph, [resource], max_hops=max_hops + 1)[resource]) >= set(found)
