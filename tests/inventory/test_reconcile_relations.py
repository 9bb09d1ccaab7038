"""What reconcile does with relations: which ends a name means, when one is opened, weighed anew and closed."""

from __future__ import annotations

from tests.inventory.test_reconcile import World, carry, empty, plan_of, thing
from tongchou.inventory.observation import Observation, ObservedRelation, ObservedResource, service_key


def test_a_namesake_does_not_end_a_relation_that_stands() -> None:
    world = World()
    needs = ObservedRelation("depends_on", (("k:a", "name:cache-1"),))
    sheet = Observation((thing("a"), ObservedResource("cache", "cache-1", ("c",))), (needs,))
    world.look("sd", sheet)
    edges = set(world.own["sd"][0])
    assert len(edges) == 1
    world.look("strong", Observation((ObservedResource("container", "cache-1", ("box",)),)))
    plan = world.look("sd", sheet)
    assert not plan.changes_something
    assert not plan.deferred
    assert set(world.own["sd"][0]) == edges
    unsaid = world.look("sd", Observation((thing("a"), ObservedResource("cache", "cache-1", ("c",)))))
    assert len(unsaid.relations_closed) == 1


def test_a_name_means_the_thing_that_the_end_may_be() -> None:
    """Where none of that name may be it, the source is believed, as ever."""
    recorded = empty(ends={"mounted_in": (frozenset(), frozenset({"rack", "chassis"}))})
    twins = (ObservedResource("rack", "r1", ("r",)), ObservedResource("room", "r1", ("room",)))
    inside = ObservedRelation("mounted_in", (("k:a", "name:r1"),))
    carry(plan_of(Observation((thing("a"), *twins), (inside,)), recorded), recorded)
    assert set(recorded.relations) == {(recorded.by_key["k:a"], recorded.by_key["r"], "mounted_in")}
    other = empty(ends=recorded.ends)
    carry(plan_of(Observation((thing("a"), twins[1]), (inside,)), other), other)
    assert set(other.relations) == {(other.by_key["k:a"], other.by_key["room"], "mounted_in")}


def test_a_relation_that_is_surer_now_is_the_same_relation() -> None:
    recorded = empty()

    def said(confidence: float, origin: str = "observed") -> Observation:
        calls = ObservedRelation("calls", (("k:a", "k:b"),), origin=origin, confidence=confidence)
        return Observation((thing("a"), thing("b")), (calls,))

    carry(plan_of(said(0.6), recorded), recorded)
    plan = plan_of(said(0.9, "declared"), recorded)
    assert [(each.origin, each.confidence) for each in plan.relations_weighed] == [("declared", 0.9)]
    assert not plan.relations_added
    assert not plan.relations_closed
    carry(plan, recorded)
    assert not plan_of(said(0.9, "declared"), recorded).changes_something
    assert not plan_of(said(0.6), recorded).changes_something, "the other end is silent in this look alone"


def test_a_relation_waits_for_its_other_end_and_is_then_made() -> None:
    recorded = empty()
    calls = ObservedRelation("calls", (("k:a", "name:b"),))
    plan = plan_of(Observation((thing("a"),), (calls,)), recorded)
    assert plan.relations_added == []
    assert plan.deferred == ["k:a calls name:b"]
    carry(plan, recorded)
    carry(plan_of(Observation((thing("a"), thing("b")), (calls,)), recorded), recorded)
    assert set(recorded.relations) == {(recorded.by_key["k:a"], recorded.by_key["k:b"], "calls")}


def test_a_name_means_the_thing_before_the_service_and_a_kind_only_alone() -> None:
    recorded = empty()
    service = ObservedResource("service", "db", (service_key("db"),))
    host = ObservedResource("host", "box-7", ("h",))
    relations = (
        ObservedRelation("calls", (("k:a", "name:db"),)),
        ObservedRelation("runs_on", (("k:a", "name:host"),)),
    )
    carry(plan_of(Observation((thing("a"), thing("db"), service, host), relations), recorded), recorded)
    a = recorded.by_key["k:a"]
    assert set(recorded.relations) == {(a, recorded.by_key["k:db"], "calls"), (a, recorded.by_key["h"], "runs_on")}


def test_two_of_one_name_defer_a_relation_rather_than_guess() -> None:
    recorded = empty()
    twins = (ObservedResource("instance", "x", ("1",)), ObservedResource("instance", "x", ("2",)))
    plan = plan_of(Observation((thing("a"), *twins), (ObservedRelation("calls", (("k:a", "name:x"),)),)), recorded)
    assert plan.relations_added == []
    assert plan.deferred


def test_a_relation_no_longer_stated_ends_only_when_its_resource_was_seen() -> None:
    recorded = empty()
    full = Observation((thing("a"), thing("b")), (ObservedRelation("calls", (("k:a", "k:b"),)),))
    carry(plan_of(full, recorded), recorded)
    assert not plan_of(Observation((thing("b"),)), recorded).relations_closed
    assert len(plan_of(Observation((thing("a"), thing("b"))), recorded).relations_closed) == 1
