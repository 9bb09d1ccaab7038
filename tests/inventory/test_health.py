from __future__ import annotations

from uuid import UUID

from tongchou.inventory.graph import Edge, Graph, Node
from tongchou.inventory.health import statuses, worst

WEB, ORDERS, DB, OTHER = (UUID(int=i) for i in range(1, 5))
GRAPH = Graph(
    [Node(id_, "service", str(id_)) for id_ in (WEB, ORDERS, DB, OTHER)],
    [Edge(WEB, ORDERS, "calls"), Edge(ORDERS, DB, "stores_in")],
)


def test_a_failure_affects_who_needs_it_and_nobody_else() -> None:
    found = statuses(GRAPH, own={DB: "down", ORDERS: "warning", WEB: "ok", OTHER: "ok"})
    assert found == {DB: "down", ORDERS: "warning", WEB: "affected", OTHER: "ok"}


def test_no_data_is_never_a_pass() -> None:
    assert statuses(GRAPH, own={})[OTHER] == "unknown"
    assert worst([]) == "unknown"


def test_a_hold_shows_on_what_is_well_but_never_over_a_failure() -> None:
    found = statuses(GRAPH, own={DB: "critical", OTHER: "ok"}, held=[DB, OTHER])
    assert (found[DB], found[OTHER]) == ("critical", "held")


def test_a_warning_does_not_spread() -> None:
    assert statuses(GRAPH, own={DB: "warning", WEB: "ok"})[WEB] == "ok"


def test_worst_first() -> None:
    assert worst(["ok", "affected", "down"]) == "down"
