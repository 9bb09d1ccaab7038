"""What a source gave up: the others' words count, its relations end, and all is as before when it sees it again."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tongchou.core import field_definitions
from tongchou.core.access import system
from tongchou.core.field_definitions import Draft
from tongchou.core.models import Event
from tongchou.core.models_fields import FieldType
from tongchou.inventory import filling, jobs, queues, reads, sources
from tongchou.inventory.given import gathered
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import Relation, Resource, ResourceState, Sighting, SourceConfig
from tongchou.inventory.observation import Observation, ObservedRelation, ObservedResource
from tongchou.inventory.plan import Plan
from tongchou.inventory.recorded import given_up, weights
from tongchou.runbooks import targets

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
ACTOR = system("tests")
ADDRESS = "management_address"


def source(name: str, precedence: int) -> SourceConfig:
    policy = {"missing_after": 1, "grace_seconds": 0}
    return SourceConfig.objects.create(name=name, kind="x", precedence=precedence, **policy)


def sees(config: SourceConfig, *found: ObservedResource, relations: tuple[ObservedRelation, ...] = ()) -> Plan:
    return sources.apply_sync(actor=ACTOR, source=config, observation=Observation(found, relations))


def host(name: str, **attributes: Any) -> ObservedResource:
    return ObservedResource("host", name, (f"serial:{name}",), attributes)


def on(carrier: str) -> ObservedRelation:
    return ObservedRelation("runs_on", (("serial:vm", f"serial:{carrier}"),))


def test_a_machine_that_moved_runs_where_it_is_and_nowhere_else() -> None:
    one, two = source("kvm1", 200), source("kvm2", 200)
    sees(one, host("h1"), host("vm"), relations=(on("h1"),))
    sees(two, host("h2"))
    sees(one, host("h1"))
    sees(two, host("h2"), host("vm"), relations=(on("h2"),))
    open_ = Relation.objects.filter(valid_to__isnull=True).values_list("to_resource__name", flat=True)
    assert list(open_) == ["h2"]
    vm, h1 = Resource.objects.get(name="vm"), Resource.objects.get(name="h1")
    assert vm.state == ResourceState.ACTIVE
    assert vm.pk not in load_graph().upstream(h1.pk)
    removed = Event.objects.get(verb="relation.removed")
    assert (removed.payload["from"], removed.payload["to"], removed.payload["source"]) == ("vm", "h1", "kvm1")


def test_the_word_of_who_still_sees_it_counts_wherever_it_is_read() -> None:
    strong, weak = source("strong", 280), source("weak", 260)
    draft = Draft(label={"en": "Address"})
    field_definitions.create(
        actor=ACTOR, kind="inventory.resource", name=ADDRESS, type_=FieldType.TEXT.value, draft=draft
    )
    sees(strong, host("a", **{ADDRESS: "10.0.0.5"}), host("b"))
    sees(weak, host("a", **{ADDRESS: "10.0.0.9"}))
    row = Resource.objects.get(name="a")

    def read() -> set[str]:
        row.refresh_from_db()
        given = {each.name: each for each in gathered.gather(ACTOR, gathered.Wanted())}
        return {
            row.attributes[ADDRESS],
            row.custom[ADDRESS],
            reads.attributes_of(row)[ADDRESS],
            next(view.value for view in reads.detail(row).attributes if view.name == ADDRESS),
            given["a"].attributes[ADDRESS],
            targets.as_targets([row])[0].attributes[ADDRESS],
        }

    assert read() == {"10.0.0.5"}
    sees(strong, host("b"))
    assert read() == {"10.0.0.9"}
    changed = Event.objects.filter(verb="resource.changed").latest("pk")
    assert changed.payload["changes"] == {ADDRESS: ["10.0.0.5", "10.0.0.9"]}
    jobs.derive_all()
    assert read() == {"10.0.0.9"}
    sees(strong, host("a", **{ADDRESS: "10.0.0.5"}), host("b"))
    assert read() == {"10.0.0.5"}


def test_a_tombstone_comes_back_as_the_one_who_sees_it_says() -> None:
    strong, weak = source("strong", 280), source("weak", 260)
    sees(strong, host("a", **{ADDRESS: "10.0.0.5"}), host("b"))
    sees(strong, host("b"))
    row = Resource.objects.get(name="a")
    assert row.state == ResourceState.TOMBSTONE
    sees(weak, host("a", **{ADDRESS: "10.0.0.9"}))
    row.refresh_from_db()
    assert (row.state, row.attributes[ADDRESS]) == (ResourceState.ACTIVE, "10.0.0.9")


def test_what_was_declared_is_compared_with_what_is_still_observed() -> None:
    strong, weak, sheet = source("strong", 280), source("weak", 260), source("sheet", 160)
    SourceConfig.objects.filter(pk=sheet.pk).update(declares=True)
    sees(strong, host("a", **{ADDRESS: "10.0.0.5"}), host("b"))
    sees(weak, host("a", **{ADDRESS: "10.0.0.9"}))
    sees(sheet, host("a", **{ADDRESS: "10.0.0.9"}))
    assert [each.facts["observed"] for each in queues.differing(queues.declaring())] == ["10.0.0.5"]
    sees(strong, host("b"))
    assert queues.differing(queues.declaring()) == []


def test_a_relation_becomes_surer_without_ending_and_without_an_event_a_look() -> None:
    one = source("one", 100)

    def said(confidence: float) -> Plan:
        relation = ObservedRelation("calls", (("serial:a", "serial:b"),), origin="observed", confidence=confidence)
        return sees(one, host("a"), host("b"), relations=(relation,))

    said(0.6)
    row = Relation.objects.get()
    said(0.9)
    row.refresh_from_db()
    assert (row.confidence, row.valid_to, Relation.objects.count()) == (0.9, None, 1)
    events = Event.objects.count()
    assert not said(0.9).changes_something
    assert Event.objects.count() == events


def test_the_only_member_of_a_kind_stays_the_end_when_another_one_comes() -> None:
    one, two = source("one", 100), source("two", 200)
    app = ObservedResource("instance", "app", ("app",))
    runs = ObservedRelation("runs_on", (("app", "name:host"),))
    sees(one, app, host("a"), relations=(runs,))
    for number in range(3):
        sees(two, *(host(f"c{each}") for each in range(number + 1)))
        plan = sees(one, app, host("a"), relations=(runs,))
        assert (plan.changes_something, plan.deferred) == (False, [])
    assert Relation.objects.get(valid_to__isnull=True).to_resource.name == "a"


def test_a_namesake_of_another_kind_does_not_end_a_relation() -> None:
    sheet, other = source("sheet", 100), source("other", 200)
    app = ObservedResource("instance", "app", ("app",))
    needs = ObservedRelation("depends_on", (("app", "name:cache-1"),))
    sees(other, ObservedResource("cache", "cache-1", ("c",)))
    sees(sheet, app, relations=(needs,))
    sees(other, ObservedResource("cache", "cache-1", ("c",)), ObservedResource("container", "cache-1", ("box",)))
    assert not sees(sheet, app, relations=(needs,)).changes_something
    assert Relation.objects.get(valid_to__isnull=True).to_resource.kind == "cache"


def test_filling_asks_nothing_more_of_the_database_for_what_was_given_up(operator_actor: Any) -> None:
    draft = Draft(label={"en": "Tier"})
    field_definitions.create(actor=ACTOR, kind="inventory.resource", name="tier", type_="text", draft=draft)
    strong, weak = source("strong", 280), source("weak", 260)
    sees(strong, *(host(f"h{n}", tier="x") for n in range(12)))
    sees(weak, *(host(f"h{n}", tier="y") for n in range(12)))
    counts = []
    for number in (2, 9):
        Sighting.objects.filter(source="strong", resource__name__in=[f"h{n}" for n in range(number)]).update(
            gone_at="2026-03-03T08:00:00Z"
        )
        ids = list(Resource.objects.values_list("pk", flat=True))
        gone = given_up(ids)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            filling.fill(ids, weights(), gone)
        counts.append(len(queries))
        assert set(Resource.objects.filter(name__in=[f"h{n}" for n in range(number)]).values_list("custom__tier")) == {
            ("y",)
        }
    assert counts[0] == counts[1]
