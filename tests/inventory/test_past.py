"""The graph as it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tongchou.core.access import Actor
from tongchou.inventory import actions, past
from tongchou.inventory import graph as graphs
from tongchou.inventory.graph import Graph, load_graph
from tongchou.inventory.models import Relation, Resource, ResourceState
from tongchou.inventory.past import graph_at
from tongchou.inventory.scene import compare


@pytest.mark.django_db
def test_the_graph_as_it_was(admin_actor: Actor) -> None:
    now = timezone.now()
    a, b = (
        Resource.objects.create(kind="service", name=n, source="x", created_at=now - timedelta(days=9)) for n in "ab"
    )
    Resource.objects.filter(pk=b.pk).update(gone_at=now - timedelta(days=1), state="tombstone")
    Relation.objects.create(
        from_resource=a,
        to_resource=b,
        type="calls",
        source="x",
        valid_from=now - timedelta(days=5),
        valid_to=now - timedelta(days=2),
    )
    assert a.pk not in graph_at(now - timedelta(days=10))
    assert graph_at(now - timedelta(days=6)).distance(a.pk, b.pk) is None
    assert graph_at(now - timedelta(days=3)).distance(a.pk, b.pk) == 1
    assert graph_at(now - timedelta(days=1, hours=12)).distance(a.pk, b.pk) is None
    assert b.pk not in graph_at(now)


@pytest.mark.django_db
def test_a_time_gone_by_is_read_once(admin_actor: Actor, django_assert_num_queries: Any) -> None:
    actions.create_resource(actor=admin_actor, kind="service", name="first")
    at = timezone.now()
    graph_at(at)
    with django_assert_num_queries(1):
        graph_at(at)


NOW = timezone.now()
DAYS = st.integers(0, 9)
LIVES = st.lists(st.tuples(DAYS, st.none() | DAYS), min_size=2, max_size=6)  # came so many days ago, and went
HOLDS = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 5), st.sampled_from(["calls", "part_of"]), DAYS, st.none() | DAYS,
        st.sampled_from(["a", "b"]), st.sampled_from([0.5, 0.9]),
    ),
    max_size=12,
)  # fmt: skip


def ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


def told(graph: Graph, ids: list[UUID]) -> tuple[Any, ...]:
    return graph.nodes, set(graph.edges), {id_: (graph.downstream(id_), graph.upstream(id_)) for id_ in ids}


class AnyHistory(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(LIVES, HOLDS, st.integers(0, 10))
    def test_taken_back_is_what_reading_it_gives(self, lives: list[Any], holds: list[Any], days: int) -> None:
        rows = [
            Resource.objects.create(
                kind="service", name=str(n), source="x", created_at=ago(max(came, went or 0)),
                gone_at=None if went is None else ago(went),
                state=ResourceState.ACTIVE if went is None else ResourceState.TOMBSTONE,
            )
            for n, (came, went) in enumerate(lives)
        ]  # fmt: skip
        for a, b, type_, opened, closed, source, sure in holds:
            if a != b and max(a, b) < len(rows):
                row = {"from_resource": rows[a], "to_resource": rows[b], "type": type_, "source": source}
                if closed is None and Relation.objects.filter(**row, valid_to=None).exists():
                    continue
                ends = None if closed is None else ago(min(opened, closed))
                Relation.objects.create(**row, valid_from=ago(opened), valid_to=ends, confidence=sure)
        at = ago(days) + timedelta(hours=1)
        now = graphs.read(graphs.ACTIVE, graphs.Q(valid_to__isnull=True))
        back = past._taken_back(now, at)
        read = graphs.read(past._alive(at), past._held(at))
        ids = [row.pk for row in rows]
        assert back is not None
        assert told(back, ids) == told(read, ids)
        quick, slow = compare(back, now), compare(read, now)
        assert (quick.nodes, quick.edges) == (slow.nodes, slow.edges)
        assert told(quick.graph, ids) == told(slow.graph, ids)


@pytest.mark.django_db
def test_where_much_changed_all_is_read(admin_actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "MOST", 1)
    at = timezone.now()
    rows = [actions.create_resource(actor=admin_actor, kind="service", name=name) for name in "abc"]
    assert past._taken_back(load_graph(), at) is None
    assert graph_at(at).nodes == {}
    assert graph_at(timezone.now()).nodes.keys() == {row.pk for row in rows}
