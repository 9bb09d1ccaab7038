"""Whatever two sources see and people decide, in whatever order: one key is one thing, and nothing flaps."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tongchou.core.access import system
from tongchou.core.models import Team
from tongchou.core.problems import Problem
from tongchou.inventory import actions, merge, sources
from tongchou.inventory.apply import bump
from tongchou.inventory.models import (
    AttributeValue,
    Identity,
    Resource,
    ResourceLabel,
    ResourceState,
    Sighting,
    SourceConfig,
)
from tongchou.inventory.models_queues import Merge
from tongchou.inventory.observation import Observation, ObservedResource
from tongchou.inventory.precedence import derived, effective
from tongchou.inventory.recorded import given_up, weights

pytestmark = pytest.mark.both_databases
ACTOR = system("tests")
FEW = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])

things = st.sets(st.integers(0, 3), max_size=4)
looks = st.tuples(st.just("look"), st.sampled_from(["weak", "strong"]), things, st.booleans(), st.sampled_from("xy"))
pairs = st.tuples(st.integers(0, 5), st.integers(0, 5))
decisions = st.tuples(st.sampled_from(["merge", "undo", "split", "move", "disown", "retire", "restore"]), pairs)
steps = st.lists(st.one_of(looks, decisions), max_size=14)


def observation(source: str, seen: set[int], complete: bool, word: str) -> Observation:
    """Each thing has a key of its own; the odd ones have a second one as well. Of owners only the weak one knows."""
    found = []
    for n in sorted(seen):
        keys = (f"k:{n}", f"serial:{n}") if n % 2 else (f"k:{n}",)
        facts: dict[str, Any] = {"attributes": {"os": f"{source}-{word}"}, "labels": {"env": f"{source}-{word}"}}
        owner = f"team-{word}" if source == "weak" else None
        found.append(ObservedResource("host", f"{source}-{n}", keys, owner=owner, **facts))
    return Observation(tuple(found), complete=complete)


class NoFlapping(TestCase):
    """Each example in a transaction of its own."""

    def _begin(self) -> None:
        for team in ("team-x", "team-y"):
            Team.objects.get_or_create(name=team)
        for name, precedence in (("weak", 10), ("strong", 20)):
            policy = {"missing_after": 1, "grace_seconds": 0}
            SourceConfig.objects.get_or_create(name=name, defaults={"kind": "x", "precedence": precedence, **policy})

    def _look(self, source: str, seen: set[int], complete: bool, word: str) -> None:
        config = SourceConfig.objects.get(name=source)
        what = observation(source, seen, complete, word)
        sources.apply_sync(actor=ACTOR, source=config, observation=what)
        again = sources.apply_sync(actor=ACTOR, source=config, observation=what)
        assert not again.changes_something, "the same look twice is no news"

    def _turn(self, source: str, seen: set[int], word: str) -> bool:
        """Look once at all there is, and tell whether that was news."""
        config = SourceConfig.objects.get(name=source)
        what = observation(source, seen, True, word)
        return sources.apply_sync(actor=ACTOR, source=config, observation=what).changes_something

    def _decide(self, what: str, pair: tuple[int, int]) -> None:
        rows = list(Resource.objects.order_by("created_at", "name", "pk"))
        merges = list(Merge.objects.filter(undone_at__isnull=True).order_by("at", "pk"))
        if not rows:
            return
        one, other = (rows[n % len(rows)] for n in pair)
        with suppress(Problem):  # what is refused changes nothing: the laws below hold all the same
            if what == "merge":
                merge.merge_resources(actor=ACTOR, kept=one, absorbed=other)
            elif what == "undo" and merges:
                merge.undo_merge(actor=ACTOR, merge=merges[pair[0] % len(merges)])
            elif what == "split":
                keys = sorted(one.identities.values_list("key", flat=True))
                merge.split_resource(actor=ACTOR, resource=one, keys=keys[:1])
            elif what == "move":
                keys = sorted(one.identities.values_list("key", flat=True))
                merge.move_keys(actor=ACTOR, resource=one, to=other, keys=keys[:1])
            elif what == "disown":
                actions.update_resource(actor=ACTOR, resource=one, clear_owner=True)
            elif what == "retire":
                actions.retire_resource(actor=ACTOR, resource=one)
            elif what == "restore":
                actions.restore_resource(actor=ACTOR, resource=one)

    def _laws(self) -> None:
        keys = list(Identity.objects.values_list("key", flat=True))
        assert len(keys) == len(set(keys)), "a key is one resource's"
        merged = Resource.objects.filter(state=ResourceState.MERGED)
        for row in merged:
            assert merge.successor(row).state != ResourceState.MERGED, "an old id leads somewhere"
            assert not row.identities.exists(), "what is merged is recognised by nothing"
            assert not Sighting.objects.filter(resource=row).exists()
        bearers = Resource.objects.filter(identities__isnull=False).distinct().count()
        assert bearers == Resource.objects.exclude(state=ResourceState.MERGED).count(), "nothing is without a key"
        for row in Resource.objects.all():
            said: dict[str, dict[str, Any]] = {}
            for name, source, value in row.attribute_values.values_list("name", "source", "value"):
                said.setdefault(name, {})[source] = value
            assert row.attributes == derived(said, weights(), given_up([row.pk]).get(row.pk, ()))
            told = dict(ResourceLabel.objects.filter(resource=row).values_list("name", "value"))
            assert row.labels == told

    @FEW
    @given(steps)
    def test_any_history_of_looks_and_decisions_keeps_one_resource_a_key(self, history: list[Any]) -> None:
        self._begin()
        for what, *rest in history:
            if what == "look":
                self._look(*rest)
            else:
                self._decide(what, *rest)
            self._laws()

    @FEW
    @example([("look", "strong", {2, 3}, True, "y"), ("look", "weak", {2, 3}, False, "x"), ("split", (1, 0))], set())
    @given(steps, things)
    def test_the_strong_word_stands_after_any_look_of_the_weak_one(self, history: list[Any], seen: set[int]) -> None:
        self._begin()
        for what, *rest in history:
            if what == "look":
                self._look(*rest)
            else:
                self._decide(what, *rest)
        self._look("strong", {0, 1, 2, 3}, True, "x")
        strong = dict(Sighting.objects.filter(source="strong").values_list("resource_id", "source"))
        self._look("weak", seen, True, "y")
        weight = weights()
        for row in Resource.objects.filter(pk__in=strong, state=ResourceState.ACTIVE):
            said = AttributeValue.objects.filter(resource=row, name="os")
            words = dict(said.values_list("source", "value"))
            # Of a thing whose keys were given to two, a look sees one; the other is given up, and its word with it.
            if "strong" in words and "strong" not in given_up([row.pk]).get(row.pk, ()):
                assert effective(words, weight.about("os")) == "strong-x"
                assert row.labels["env"] == "strong-x"
                assert row.source in ("strong", "manual")

    @FEW
    @given(steps, things, things, st.permutations(["weak", "strong"]))
    def test_two_that_look_in_turns_at_what_does_not_change_agree(
        self, history: list[Any], weak: set[int], strong: set[int], turns: list[str]
    ) -> None:
        self._begin()
        for what, *rest in history:
            if what == "look":
                self._look(*rest)
            else:
                self._decide(what, *rest)
        sees = {"weak": weak, "strong": strong}
        for source in turns * 3:
            self._turn(source, sees[source], "y")
        for source in turns:
            assert not self._turn(source, sees[source], "y"), f"{source} and the other one contradict each other"
        for row in Resource.objects.filter(owner__isnull=True, owner_source="", state=ResourceState.ACTIVE):
            upheld = Sighting.objects.filter(resource=row, source="weak", gone_at__isnull=True)
            assert not upheld.exists(), "silence of the strong one takes no owner"

    @FEW
    @given(st.lists(st.tuples(st.sampled_from(["weak", "strong"]), things), max_size=5), st.randoms())
    def test_without_absence_the_order_of_looks_does_not_matter(self, history: list[Any], random: Any) -> None:
        def essence() -> Any:
            found = []
            for row in Resource.objects.all():
                keys = sorted(row.identities.values_list("key", flat=True))
                words = sorted(AttributeValue.objects.filter(resource=row).values_list("source", "value"))
                owner = row.owner.name if row.owner else ""
                found.append((keys, row.name, row.source, row.state, owner, sorted(row.labels.items()), words))
            return sorted(found)

        seen = []
        for _order in range(2):
            Resource.objects.all().delete()
            bump()  # past all actions: a sync must not take the inventory for what it was
            self._begin()
            for source, numbers in history:
                self._look(source, numbers, False, "x")
            seen.append(essence())
            random.shuffle(history)
        assert seen[0] == seen[1]
