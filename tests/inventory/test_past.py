"""The graph as it was."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tongchou.core.access import Actor, system
from tongchou.core.models import Event
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.inventory import actions, merge, past, sources
from tongchou.inventory import graph as graphs
from tongchou.inventory.graph import Graph, load_graph
from tongchou.inventory.models import Identity, Relation, Resource, ResourceState, SourceConfig
from tongchou.inventory.models_queues import Merge
from tongchou.inventory.observation import Observation, ObservedResource
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


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("see"), st.sets(st.integers(0, 3))),
        st.tuples(st.sampled_from(["create", "retire", "restore", "undo"]), st.integers(0, 3)),
        st.tuples(st.just("merge"), st.permutations(range(4)).map(lambda order: order[:2])),
    ),
    max_size=14,
)
ACTOR = system("tests")


def thing(number: int) -> ObservedResource:
    return ObservedResource("service", f"s{number}", (f"k:{number}",))


def step(source: SourceConfig, ids: list[UUID], what: str, which: Any) -> None:
    """Do one thing to the world, as far as it can be done."""

    def row(number: int) -> Resource:
        return Resource.objects.get(pk=ids[number])

    if what == "see":
        sources.apply_sync(actor=ACTOR, source=source, observation=Observation(tuple(map(thing, sorted(which)))))
    elif what == "create":
        keys = (f"k:{which}",)
        actions.create_resource(actor=ACTOR, kind="service", name=f"s{which}", keys=keys)
    elif what == "merge":
        merge.merge_resources(actor=ACTOR, kept=row(which[0]), absorbed=row(which[1]))
    elif what == "undo":
        merge.undo_merge(actor=ACTOR, merge=Merge.objects.filter(undone_at=None).latest("at"))
    else:
        act = actions.retire_resource if what == "retire" else actions.restore_resource
        act(actor=ACTOR, resource=row(which))


def replayed() -> dict[int, set[str]]:
    """Who was there after each event, by all that the ledger tells."""
    there: set[str] = set()
    before: dict[str, bool] = {}
    found: dict[int, set[str]] = {}
    for event in Event.objects.filter(verb__startswith="resource.").order_by("pk"):
        if event.verb in ("resource.created", "resource.returned"):
            there.add(event.subject)
        elif event.verb == "resource.gone":
            there.discard(event.subject)
        elif event.verb == "resource.merged":
            before[event.subject] = event.subject in there
            there.discard(event.subject)
        elif event.verb == "resource.unmerged" and before[event.subject]:
            there.add(event.subject)
        found[event.pk] = set(there)
    return found


class ComeAndGone(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(STEPS)
    def test_who_was_there_is_what_the_ledger_tells_of_every_moment(self, steps: list[Any]) -> None:
        source = SourceConfig.objects.create(name="eyes", kind="fake", missing_after=1, grace_seconds=0)
        moments: list[tuple[datetime, int, set[str]]] = []
        ids: list[UUID] = []
        for what, which in [("see", set(range(4))), *steps]:
            with contextlib.suppress(Conflict, Merge.DoesNotExist):
                step(source, ids, what, which)
            ids = ids or [Identity.objects.get(key=f"k:{number}").resource_id for number in range(4)]
            newest = Event.objects.filter(verb__startswith="resource.").latest("pk").pk
            now = {ref(row) for row in Resource.objects.filter(state=ResourceState.ACTIVE)}
            moments.append((timezone.now(), newest, now))
        then = replayed()
        for at, newest, active in moments:
            read = graphs.read(past._alive(at), past._held(at))
            back = past._taken_back(load_graph(), at)
            assert back is not None
            told = {f"inventory.resource:{id_}" for id_ in graph_at(at).nodes}
            assert told == then[newest] == active
            assert read.nodes == back.nodes


@pytest.mark.django_db
def test_what_was_gone_and_came_back_was_not_there_in_between(admin_actor: Actor) -> None:
    row = actions.create_resource(actor=admin_actor, kind="service", name="shop")
    other = actions.create_resource(actor=admin_actor, kind="service", name="store")
    actions.relate(actor=admin_actor, from_resource=row, to_resource=other, type="calls")
    before = timezone.now()
    actions.retire_resource(actor=admin_actor, resource=row)
    between = timezone.now()
    actions.restore_resource(actor=admin_actor, resource=row)
    assert graph_at(before).distance(row.pk, other.pk) == 1
    assert set(graph_at(between).nodes) == {other.pk}
    assert graph_at(timezone.now()).distance(row.pk, other.pk) == 1


@pytest.mark.django_db
def test_the_past_costs_as_many_queries_however_many_were_away(
    admin_actor: Actor, django_assert_max_num_queries: Any
) -> None:
    for number in (2, 40):
        rows = [actions.create_resource(actor=admin_actor, kind="service", name=f"{number}-{n}") for n in range(number)]
        for row in rows:
            actions.retire_resource(actor=admin_actor, resource=row)
        at = timezone.now()
        for row in rows:
            actions.restore_resource(actor=admin_actor, resource=row)
        load_graph()
        with django_assert_max_num_queries(7):
            assert not {row.pk for row in rows} & set(graph_at(at).nodes)


@pytest.mark.django_db
def test_a_look_that_finds_many_back_writes_them_down_at_once() -> None:
    source = SourceConfig.objects.create(name="eyes", kind="fake", missing_after=1, grace_seconds=0)
    counts, others = [], Observation((thing(999),))
    for number in (2, 150):
        everything = Observation(tuple(map(thing, [*range(number), 999])))
        sources.apply_sync(actor=ACTOR, source=source, observation=everything)
        sources.apply_sync(actor=ACTOR, source=source, observation=others)
        at = timezone.now()
        with CaptureQueriesContext(connection) as queries:
            sources.apply_sync(actor=ACTOR, source=source, observation=everything)
        counts.append(sum("inventory_absence" in query["sql"] for query in queries))
        assert [node.name for node in graph_at(at).nodes.values()] == ["s999"]
        assert len(graph_at(timezone.now())) == number + 1
    assert counts == [1, 1]


@pytest.mark.django_db
def test_where_much_changed_all_is_read(admin_actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "MOST", 1)
    at = timezone.now()
    rows = [actions.create_resource(actor=admin_actor, kind="service", name=name) for name in "abc"]
    assert past._taken_back(load_graph(), at) is None
    assert graph_at(at).nodes == {}
    assert graph_at(timezone.now()).nodes.keys() == {row.pk for row in rows}
