"""The promises of reconcile, on an in-memory inventory: carry() does to Recorded what actions do to the tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.inventory.observation import (
    Observation,
    ObservedEndpoint,
    ObservedRelation,
    ObservedResource,
)
from tongchou.inventory.plan import Plan
from tongchou.inventory.precedence import MANUAL, Weights, derived, effective, strongest
from tongchou.inventory.reconcile import Known, Policy, Recorded, Seen, reconcile

NOW = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
WEIGHTS = Weights({"sd": 100, "strong": 200})
POLICY = Policy(missing_after=2, grace_seconds=60)


def counter() -> Callable[[], UUID]:
    numbers = itertools.count(1)
    return lambda: UUID(int=next(numbers))


fresh = counter()


def plan_of(observation: Observation, recorded: Recorded, *, now: datetime = NOW, new_id: Any = None) -> Plan:
    return reconcile(observation, recorded, now=now, policy=POLICY, new_id=new_id or fresh)


def carry(plan: Plan, recorded: Recorded, now: datetime = NOW) -> None:
    source = recorded.source
    for new in plan.created:
        known = Known(new.id, new.kind, new.name, source, new.owner, source if new.owner else "")
        known.labels = {name: (value, source) for name, value in new.labels.items()}
        known.attributes = {name: {source: value} for name, value in new.attributes.items()}
        recorded.resources[new.id] = known
        recorded.by_key.update(dict.fromkeys(new.keys, new.id))
        recorded.names.setdefault(new.name, []).append((new.kind, new.id))
    for change in plan.changed:
        known = recorded.resources[change.id]
        if change.rename:
            known.kind, known.name = change.rename
            known.source = source
        if change.owner:
            known.owner, known.owner_source = change.owner[1], source if change.owner[1] else ""
        recorded.by_key.update(dict.fromkeys(change.keys, change.id))
        known.labels |= {name: (value, source) for name, value in change.labels_set.items()}
        for name in change.labels_removed:
            del known.labels[name]
        for name, value in change.attributes_set.items():
            known.attributes.setdefault(name, {})[source] = value
        for name in change.attributes_removed:
            del known.attributes[name][source]
        known.tombstone = known.tombstone and not change.returned
    for edge in plan.relations_added:
        recorded.relations[edge.from_id, edge.to_id, edge.type] = (edge.origin, edge.confidence)
    for edge in plan.relations_weighed:
        assert (edge.from_id, edge.to_id, edge.type) in recorded.relations
        recorded.relations[edge.from_id, edge.to_id, edge.type] = (edge.origin, edge.confidence)
    for edge in plan.relations_closed:
        del recorded.relations[edge.from_id, edge.to_id, edge.type]
    for each in plan.endpoints_set:
        rows = recorded.endpoints.setdefault(each.resource_id, [])
        rows[:] = [row for row in rows if row[0] != each.id]
        rows.append((each.id or fresh(), each.endpoint))
    for rows in recorded.endpoints.values():
        rows[:] = [row for row in rows if row[0] not in plan.endpoints_removed]
    for id_ in plan.seen:
        recorded.resources[id_].seen = Seen(now)
    for id_ in plan.sightings_missed:
        recorded.resources[id_].seen.missed += 1  # type: ignore[union-attr]
    for id_ in plan.sightings_gone:
        recorded.resources[id_].seen.gone = True  # type: ignore[union-attr]
    for id_ in plan.gone:
        recorded.resources[id_].tombstone = True


def words(known: Known) -> list[Any]:
    return [(name, sorted(by.items())) for name, by in sorted(known.attributes.items()) if by]


def essence(recorded: Recorded) -> Any:
    """The inventory without ids: resources by their keys."""
    keys: dict[UUID, list[str]] = {}
    for key, id_ in recorded.by_key.items():
        keys.setdefault(id_, []).append(key)
    name = {id_: tuple(sorted(found)) for id_, found in keys.items()}
    resources = sorted(
        (name[k.id], k.kind, k.name, k.owner, sorted(k.labels.items()), repr(words(k)))
        for k in recorded.resources.values()
    )
    relations = sorted((name[a], name[b], type_, said) for (a, b, type_), said in recorded.relations.items())
    endpoints = sorted((name[id_], row[1].url) for id_, rows in recorded.endpoints.items() for row in rows)
    return resources, relations, endpoints


keys = st.sampled_from([f"k{i}" for i in range(6)])
values = st.sampled_from([1, 2, "x", True, None, [1, 2]])
observed = st.builds(
    ObservedResource,
    kind=st.sampled_from(["host", "instance"]),
    name=st.sampled_from(["a", "b", "c"]),
    keys=st.lists(keys, min_size=1, max_size=3, unique=True).map(tuple),
    attributes=st.dictionaries(st.sampled_from(["os", "size"]), values, max_size=2),
    labels=st.dictionaries(st.sampled_from(["env", "zone"]), st.sampled_from(["x", "y"]), max_size=2),
    owner=st.sampled_from([None, "red", "blue", "nobody"]),
)
relations = st.builds(
    ObservedRelation,
    type=st.sampled_from(["calls", "runs_on"]),
    ends=st.lists(st.tuples(keys, keys), min_size=1, max_size=2).map(tuple),
)
endpoints = st.builds(
    ObservedEndpoint,
    resource_key=keys,
    url=st.sampled_from(["http://a/metrics", "http://b/metrics"]),
    labels=st.just({"job": "x", "instance": "a"}),
    interval_seconds=st.sampled_from([1.0, 15.0]),
)
observations = st.builds(
    Observation,
    resources=st.lists(observed, max_size=6).map(tuple),
    relations=st.lists(relations, max_size=5).map(tuple),
    endpoints=st.lists(endpoints, max_size=4).map(tuple),
    complete=st.booleans(),
)


def empty(source: str = "sd", **others: Any) -> Recorded:
    return Recorded(source, WEIGHTS, teams=frozenset({"red", "blue"}), **others)


@given(observations, st.randoms(use_true_random=False))
def test_the_order_of_what_is_seen_never_matters(seen: Observation, random: Any) -> None:
    parts = [list(seen.resources), list(seen.relations), list(seen.endpoints)]
    for part in parts:
        random.shuffle(part)
    shuffled = Observation(*map(tuple, parts), complete=seen.complete)  # type: ignore[arg-type]
    one, other = empty(), empty()
    carry(plan_of(seen, one), one)
    carry(plan_of(shuffled, other), other)
    assert essence(one) == essence(other)


@given(observations, observations)
def test_seen_twice_changes_nothing(before: Observation, seen: Observation) -> None:
    recorded = empty()
    new_id = counter()
    carry(plan_of(before, recorded, new_id=new_id), recorded)
    carry(plan_of(seen, recorded, new_id=new_id), recorded)
    again = plan_of(seen, recorded, new_id=new_id)
    assert not again.changes_something
    assert not again.sightings_new
    assert not again.sightings_again


@given(observations, observations)
def test_a_weaker_source_never_wins(strong: Observation, weak: Observation) -> None:
    """Whatever the strong one says of a resource stands, in either order of arrival."""
    new_id = counter()
    shared = empty("strong")
    carry(plan_of(strong, shared, new_id=new_id), shared)
    said = {id_: dict(known.labels) for id_, known in shared.resources.items()}
    named = {id_: (known.kind, known.name) for id_, known in shared.resources.items()}
    values = {id_: {n: by["strong"] for n, by in k.attributes.items()} for id_, k in shared.resources.items()}
    owners = {id_: known.owner for id_, known in shared.resources.items() if known.owner}
    for known in shared.resources.values():
        known.seen, known.seen_by_others = None, True
    shared.source = "sd"
    carry(plan_of(weak, shared, new_id=new_id), shared)
    for id_, labels in said.items():
        known = shared.resources[id_]
        assert {name: known.labels[name] for name in labels} == labels
        assert (known.kind, known.name) == named[id_]
        assert owners.get(id_) in (None, known.owner)
        for name, value in values[id_].items():
            assert effective(known.attributes[name], WEIGHTS.about(name)) == value


class World:
    """One inventory that several sources look at: what is whose is handed to each as its turn comes."""

    def __init__(self, weights: Weights = WEIGHTS) -> None:
        self.weights = weights
        self.recorded = empty()
        self.recorded.weights = weights
        self.new_id = counter()
        self.sightings: dict[str, dict[UUID, Seen]] = {}
        self.own: dict[str, tuple[Any, Any]] = {}
        self.gone: dict[UUID, list[str]] = {}
        self.derived: dict[UUID, dict[str, Any]] = {}

    def look(self, source: str, observation: Observation, now: datetime = NOW) -> Plan:
        recorded = self.recorded
        recorded.source = source
        recorded.relations, recorded.endpoints = self.own.setdefault(
            source, (type(recorded.relations)(), type(recorded.endpoints)())
        )
        mine = self.sightings.setdefault(source, {})
        others = [seen for by, seen in self.sightings.items() if by != source]
        recorded.names.clear()
        for id_, known in recorded.resources.items():
            known.seen = mine.get(id_)
            known.seen_by_others = any(id_ in seen and not seen[id_].gone for seen in others)
            known.gone = tuple(self.gone.get(id_, ()))
            if not known.tombstone:
                recorded.names.setdefault(known.name, []).append((known.kind, id_))
        plan = plan_of(observation, recorded, now=now, new_id=self.new_id)
        carry(plan, recorded, now)
        for id_ in plan.sightings_gone:
            self.gone.setdefault(id_, []).append(source)
        for id_ in plan.seen:
            self.gone[id_] = [by for by in self.gone.get(id_, ()) if by != source]
        self.check(plan)
        self.sightings[source] = {id_: known.seen for id_, known in recorded.resources.items() if known.seen}
        return plan

    def check(self, plan: Plan) -> None:
        """What is kept of a resource is what its words come to, whoever gave it up since."""
        words = {new.id: {name: {plan.source: value} for name, value in new.attributes.items()} for new in plan.created}
        self.derived.update({id_: derived(said, self.weights) for id_, said in words.items()})
        self.derived.update({each.id: each.derived for each in plan.changed if each.derived is not None})
        for id_, known in self.recorded.resources.items():
            expected = derived(known.attributes, self.weights, self.gone.get(id_, ()))
            assert self.derived[id_] == expected

    def value(self, key: str, name: str) -> Any:
        id_ = self.recorded.by_key[key]
        return self.derived[id_].get(name)

    def owner(self, key: str) -> tuple[str | None, str]:
        known = self.recorded.resources[self.recorded.by_key[key]]
        return known.owner, known.owner_source


apart = st.lists(
    st.builds(
        ObservedResource,
        kind=st.just("host"),
        name=st.sampled_from(["a", "b"]),
        keys=st.sampled_from([(f"k{i}",) for i in range(3)]),
        attributes=st.dictionaries(st.sampled_from(["os", "size"]), values, max_size=2),
        labels=st.dictionaries(st.sampled_from(["env", "zone"]), st.sampled_from(["x", "y"]), max_size=2),
        owner=st.sampled_from([None, "red", "blue", "nobody"]),
    ),
    max_size=3,
    unique_by=lambda each: each.keys,
).map(tuple)
whole = st.builds(Observation, resources=apart)


@given(st.lists(st.tuples(st.sampled_from(["sd", "strong"]), whole), max_size=3), whole, whole)
def test_two_sources_that_see_what_they_saw_change_nothing_in_turns(
    before: list[tuple[str, Observation]], weak: Observation, strong: Observation
) -> None:
    """Whoever begins, and whatever was said before: once each has spoken twice, all is as both say, for ever."""
    ends = []
    for turns in (("sd", "strong"), ("strong", "sd")):
        world = World()
        for source, seen in before:
            world.look(source, seen)
        says = {"sd": weak, "strong": strong}
        for source in turns * 2:
            world.look(source, says[source])
        for source in turns:
            assert not world.look(source, says[source]).changes_something, source
        ends.append(essence(world.recorded))
    assert ends[0] == ends[1], "who looked first does not matter"


@pytest.mark.parametrize("turns", [("sd", "strong"), ("strong", "sd")])
def test_who_says_nothing_of_an_owner_leaves_the_weaker_ones_word(turns: tuple[str, str]) -> None:
    world = World()
    says = {"sd": Observation((thing("a", owner="red"),)), "strong": Observation((thing("a"),))}
    for source in turns:
        world.look(source, says[source])
    assert world.owner("k:a") == ("red", "sd")
    for source in turns * 2:
        assert not world.look(source, says[source]).changes_something


def test_a_source_takes_back_the_owner_it_named_and_no_other() -> None:
    world = World()
    world.look("strong", Observation((thing("a", owner="red"),)))
    world.look("sd", Observation((thing("a", owner="blue"),)))
    assert world.owner("k:a") == ("red", "strong")
    world.look("strong", Observation((thing("a"),)))
    assert world.owner("k:a") == (None, "")
    world.look("sd", Observation((thing("a", owner="blue"),)))
    assert world.owner("k:a") == ("blue", "sd")


def test_an_owner_that_a_person_cleared_stays_cleared() -> None:
    world = World()
    seen = Observation((thing("a", owner="red"),))
    world.look("strong", seen)
    known = world.recorded.resources[world.recorded.by_key["k:a"]]
    known.owner, known.owner_source = None, MANUAL
    assert not world.look("strong", seen).changes_something
    assert world.owner("k:a") == (None, MANUAL)


def test_what_a_source_gave_up_counts_less_than_what_another_still_sees() -> None:
    world = World()
    old = Observation((thing("a", attributes={"ip": ".5"}, labels={"env": "old"}, owner="red"), thing("b")))
    new = Observation((thing("a", attributes={"ip": ".9"}, labels={"env": "new"}, owner="blue"),))
    world.look("strong", old)
    world.look("sd", new)
    assert (world.value("k:a", "ip"), world.owner("k:a")) == (".5", ("red", "strong"))
    for hours in (1, 2):
        plan = world.look("strong", Observation((thing("b"),)), NOW + timedelta(hours=hours))
    assert [each.effective for each in plan.changed] == [{"ip": (".5", ".9")}]
    assert world.value("k:a", "ip") == ".9"
    world.look("sd", new, NOW + timedelta(hours=2))
    known = world.recorded.resources[world.recorded.by_key["k:a"]]
    assert (known.owner, known.labels["env"]) == ("blue", ("new", "sd"))
    for source, seen in (("strong", Observation((thing("b"),))), ("sd", new)):
        assert not world.look(source, seen, NOW + timedelta(hours=3)).changes_something
    plan = world.look("strong", old, NOW + timedelta(hours=3))
    assert plan.changed[0].effective == {"ip": (".9", ".5"), "label env": ("new", "old")}
    assert (world.value("k:a", "ip"), world.owner("k:a")) == (".5", ("red", "strong"))


def test_a_tombstone_that_a_weak_source_brings_back_is_as_that_one_says() -> None:
    world = World()
    world.look("strong", Observation((thing("a", attributes={"ip": ".5"}), thing("b"))))
    world.look("sd", Observation((thing("a", attributes={"ip": ".9"}), thing("b"))))
    for source in ("sd", "strong"):
        for hours in (1, 2):
            world.look(source, Observation((thing("b"),)), NOW + timedelta(hours=hours))
    assert world.recorded.resources[world.recorded.by_key["k:a"]].tombstone
    assert world.value("k:a", "ip") == ".5", "what was known last stands"
    plan = world.look("sd", Observation((thing("a", attributes={"ip": ".9"}), thing("b"))), NOW + timedelta(hours=3))
    assert [(each.returned, each.effective) for each in plan.changed] == [(True, {"ip": (".5", ".9")})]


def test_what_a_source_gave_up_has_no_relations_by_its_word() -> None:
    world = World()
    runs = ObservedRelation("runs_on", (("k:vm", "k:h1"),))
    world.look("sd", Observation((thing("vm"), thing("h1")), (runs,)))
    edge = (world.recorded.by_key["k:vm"], world.recorded.by_key["k:h1"], "runs_on")
    world.look("strong", Observation((thing("vm"), thing("h2")), (ObservedRelation("runs_on", (("k:vm", "k:h2"),)),)))
    closed = []
    for hours in (1, 2, 3):
        plan = world.look("sd", Observation((thing("h1"),)), NOW + timedelta(hours=hours))
        closed.append([(each.from_id, each.to_id, each.type) for each in plan.relations_closed])
    assert closed == [[], [edge], []]
    back = world.look("sd", Observation((thing("vm"), thing("h1")), (runs,)), NOW + timedelta(hours=4))
    assert [(each.from_id, each.to_id, each.type) for each in back.relations_added] == [edge]


def test_what_was_given_up_while_its_relations_were_kept_loses_them_at_the_next_look() -> None:
    recorded = empty()
    calls = ObservedRelation("calls", (("k:a", "k:b"),))
    carry(plan_of(Observation((thing("a"), thing("b")), (calls,)), recorded), recorded)
    recorded.resources[recorded.by_key["k:a"]].seen = Seen(NOW - timedelta(days=1), 9, gone=True)
    assert not plan_of(Observation((thing("b"),), complete=False), recorded).relations_closed
    assert not plan_of(Observation((thing("b"),), (calls,)), recorded).relations_closed
    assert len(plan_of(Observation((thing("b"),)), recorded).relations_closed) == 1


turns_taken = st.lists(
    st.tuples(st.sampled_from(["sd", "strong"]), whole, st.sampled_from([0, 2])), min_size=1, max_size=8
)


@given(turns_taken, whole)
def test_of_all_who_see_it_the_strongest_is_believed_whoever_gave_it_up(
    history: list[tuple[str, Observation, int]], last: Observation
) -> None:
    world, now = World(), NOW
    for source, seen, hours in [*history, ("sd", last, 0)]:
        now += timedelta(hours=hours)
        world.look(source, seen, now)
        world.look(source, seen, now)
        assert not world.look(source, seen, now).changes_something, "the third look at the same is no news"
    for id_, known in world.recorded.resources.items():
        see = [by for by, seen in world.sightings.items() if id_ in seen and not seen[id_].gone]
        for name, by_source in known.attributes.items():
            living = {by: value for by, value in by_source.items() if by in see}
            if living:
                best = effective(living, WEIGHTS.about(name))
                assert world.derived[id_].get(name) == best


in_one_matter = st.dictionaries(
    st.sampled_from(["os", "size", "owner", "name"]),
    st.dictionaries(st.sampled_from(["sd", "strong"]), st.integers(1, 999), min_size=1),
    max_size=3,
)


@given(whole, whole, in_one_matter)
def test_in_each_matter_the_word_counts_of_who_is_strongest_there(
    weak: Observation, strong: Observation, special: dict[str, dict[str, int]]
) -> None:
    weights = Weights(WEIGHTS.sources, special)
    says, ends = {"sd": weak, "strong": strong}, []
    for turns in (("sd", "strong"), ("strong", "sd")):
        world = World(weights)
        for source in turns * 2:
            world.look(source, says[source])
        for source in turns:
            assert not world.look(source, says[source]).changes_something
        ends.append(
            (essence(world.recorded), [world.derived[id_] for _key, id_ in sorted(world.recorded.by_key.items())])
        )
    assert ends[0] == ends[1]
    for key, id_ in world.recorded.by_key.items():
        known = world.recorded.resources[id_]
        said = {by: each for by, seen in says.items() for each in seen.resources if each.keys == (key,)}
        named = {by: each.name for by, each in said.items()}
        owned = {by: each.owner for by, each in said.items() if each.owner in ("red", "blue")}
        assert known.name == effective(named, weights.about("name"))
        assert known.owner == effective(owned, weights.about("owner"))
        for name, by_source in known.attributes.items():
            assert world.derived[id_].get(name) == effective(by_source, weights.about(name))


def test_a_person_outweighs_every_source() -> None:
    assert strongest(["a", MANUAL, "b"], {"a": 999, "b": 1}) == MANUAL
    assert strongest(["a", "b"], {"a": 5, "b": 5}) == "b"
    assert strongest([], {}) is None


def thing(name: str, *more: str, **facts: Any) -> ObservedResource:
    return ObservedResource("instance", name, (f"k:{name}", *more), **facts)


def keyed(*found: str, **facts: Any) -> ObservedResource:
    return ObservedResource("host", "a", found, **facts)


def test_what_shares_a_key_is_one() -> None:
    recorded = empty()
    carry(plan_of(Observation((thing("a", "mac"), thing("b", "mac"), thing("c"))), recorded), recorded)
    assert sorted(known.name for known in recorded.resources.values()) == ["a", "c"]
    assert recorded.by_key["k:a"] == recorded.by_key["k:b"] == recorded.by_key["mac"]


def test_keys_of_two_known_resources_are_told_and_not_merged() -> None:
    recorded = empty()
    carry(plan_of(Observation((thing("a"), thing("b"))), recorded), recorded)
    plan = plan_of(Observation((ObservedResource("instance", "a", ("k:a", "k:b")),)), recorded)
    assert [(each.code, each.params["name"]) for each in plan.conflicts] == [("identity", "a")]
    assert not plan.created
    assert plan.seen == [recorded.by_key["k:a"]]


def test_a_new_key_among_keys_of_two_resources_is_not_recorded() -> None:
    """Recorded, it would decide the next look: found by test_seen_twice_changes_nothing, once in 20,000 cases."""
    recorded = empty()
    carry(plan_of(Observation((keyed("k0"), keyed("k1", "k5"))), recorded), recorded)
    seen = Observation((keyed("k0"), keyed("k2", "k1", "k0"), keyed("k5", labels={"env": "x"})))
    carry(plan_of(seen, recorded), recorded)
    assert "k2" not in recorded.by_key
    assert not plan_of(seen, recorded).changes_something


def test_absence_needs_both_enough_looks_and_enough_time() -> None:
    recorded = empty()
    both, one = Observation((thing("a"), thing("b"))), Observation((thing("a"),))
    carry(plan_of(both, recorded), recorded)
    b = recorded.by_key["k:b"]
    for seconds, gone in ((10, False), (20, False), (59, False), (61, True)):
        now = NOW + timedelta(seconds=seconds)
        plan = plan_of(one, recorded, now=now)
        assert (plan.gone == [b]) is gone, seconds
        carry(plan, recorded, now)
    back = plan_of(both, recorded)
    assert [(change.id, change.returned) for change in back.changed] == [(b, True)]
    assert not back.created


def test_what_another_source_still_sees_is_not_gone() -> None:
    recorded = empty()
    carry(plan_of(Observation((thing("a"), thing("b"))), recorded), recorded)
    b = recorded.resources[recorded.by_key["k:b"]]
    b.seen_by_others = True
    b.seen = Seen(NOW - timedelta(hours=1), missed=9)
    plan = plan_of(Observation((thing("a"),)), recorded)
    assert plan.sightings_gone == [b.id]
    assert plan.gone == []


@pytest.mark.parametrize("seen", [Observation(), Observation((thing("a"),), complete=False)])
def test_an_empty_or_partial_look_loses_nothing(seen: Observation) -> None:
    recorded = empty()
    full = Observation(
        (thing("a", attributes={"os": "x"}), thing("b")),
        (ObservedRelation("calls", (("k:a", "k:b"),)),),
        (ObservedEndpoint("k:b", "http://b/metrics", {"job": "b", "instance": "b"}),),
    )
    carry(plan_of(full, recorded), recorded)
    before = essence(recorded)
    for hours in range(1, 20):
        now = NOW + timedelta(hours=hours)
        plan = plan_of(seen, recorded, now=now)
        assert not plan.changes_something
        carry(plan, recorded, now)
    assert essence(recorded) == before
    assert not any(known.tombstone for known in recorded.resources.values())


def test_a_moved_endpoint_replaces_the_old_one_at_once() -> None:
    recorded = empty()

    def at(url: str) -> Observation:
        return Observation((thing("a"),), (), (ObservedEndpoint("k:a", url, {"job": "a", "instance": url}),))

    carry(plan_of(at("http://a:1/metrics"), recorded), recorded)
    carry(plan_of(at("http://a:2/metrics"), recorded), recorded)
    assert [row[1].url for row in recorded.endpoints[recorded.by_key["k:a"]]] == ["http://a:2/metrics"]


def test_an_owner_nobody_knows_is_told_and_left_open() -> None:
    plan = plan_of(Observation((thing("a", owner="ghosts"),)), empty())
    assert plan.created[0].owner is None
    assert (plan.warnings[0].code, plan.warnings[0].params["owner"]) == ("owner_unknown", "ghosts")


def test_only_what_a_reader_sees_differ_is_effective() -> None:
    recorded = empty()
    carry(plan_of(Observation((thing("a", attributes={"os": "weak"}),)), recorded), recorded)
    known = recorded.resources[recorded.by_key["k:a"]]
    known.attributes["os"]["strong"] = "strong"
    plan = plan_of(Observation((thing("a", attributes={"os": "other"}),)), recorded)
    assert plan.changed[0].attributes_set == {"os": "other"}
    assert plan.changed[0].effective == {}
