"""What stands in what, and whose alerts are quiet by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core.access import system
from tongchou.core.spans import Span
from tongchou.inventory import actions, holds
from tongchou.inventory.graph import Edge, Graph, Node, load_graph

TESTS = system("tests")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
IDS = [UUID(int=each) for each in range(1, 8)]
TYPES = st.sampled_from(["runs_on", "part_of", "mounted_in", "located_in", "hosts", "depends_on", "calls"])
EDGES = st.lists(
    st.builds(Edge, st.sampled_from(IDS), st.sampled_from(IDS), TYPES).filter(lambda e: e.from_id != e.to_id),
    max_size=14,
)


def naive(edges: list[Edge], resource: UUID) -> set[UUID]:
    """By trying every relation until nothing is new."""
    found: set[UUID] = set()
    while True:
        at = found | {resource}
        more = {e.to_id for e in edges if e.type in holds.INSIDE and e.from_id in at}
        more |= {e.from_id for e in edges if e.type == "hosts" and e.to_id in at}
        if more <= at:
            return found
        found |= more - {resource}


@settings(max_examples=120)
@given(EDGES)
def test_containers_are_what_a_walk_over_every_relation_finds_circles_included(edges: list[Edge]) -> None:
    graph = Graph([Node(each, "host", str(each)) for each in IDS], edges)
    for each in IDS:
        assert holds.containers(graph, each) == naive(edges, each)


def test_all_that_an_alert_is_about_has_to_be_quiet_but_not_the_service_of_an_instance() -> None:
    host, instance, service, other = IDS[:4]
    graph = Graph(
        [Node(each, "x", "") for each in IDS[:4]],
        [Edge(instance, host, "runs_on"), Edge(instance, service, "part_of"), Edge(service, other, "depends_on")],
    )
    hold = uuid4()
    quiet = {host: [hold]}
    assert holds.held_through(graph, [host], quiet) == (hold,)
    assert holds.held_through(graph, [instance], quiet) == (hold,)
    assert holds.held_through(graph, [instance, service], quiet) == (hold,)  # as an alert of an instance names them
    assert holds.held_through(graph, [service], quiet) == ()  # it may be more than that host
    assert holds.held_through(graph, [instance, other], quiet) == ()
    assert holds.held_through(graph, [other], {service: [hold]}) == ()


@pytest.mark.django_db
def test_time_that_objectives_leave_out() -> None:
    with time_machine.travel(NOON, tick=False):
        shop = actions.create_resource(actor=TESTS, kind="service", name="shop")
        actions.create_resource(actor=TESTS, kind="host", name="other")
        hold = actions.place_hold(
            actor=TESTS, resource=shop, kind=holds.SLO_EXCLUDED, reason="x", until=NOON + timedelta(hours=2)
        )
        assert holds.quiet_by(NOON) == {}
        actions.place_hold(actor=TESTS, resource=shop, kind="maintenance", reason="x", until=NOON + timedelta(hours=1))
        assert set(holds.quiet_by(NOON)) == {shop.pk}
        assert holds.quiet_by(NOON + timedelta(hours=1)) == {}
    with time_machine.travel(NOON + timedelta(minutes=30), tick=False):
        actions.lift_hold(actor=TESTS, hold=hold)
    day = (NOON - timedelta(days=1), NOON + timedelta(days=1))
    assert holds.excluded_spans("shop", *day) == [Span(NOON, NOON + timedelta(minutes=30))]
    assert holds.excluded_spans("shop", NOON + timedelta(minutes=10), NOON + timedelta(minutes=20)) == [
        Span(NOON + timedelta(minutes=10), NOON + timedelta(minutes=20))
    ]
    assert holds.excluded_spans("other", *day) == []
    assert len(load_graph().nodes) == 2
