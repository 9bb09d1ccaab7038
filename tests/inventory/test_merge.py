from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tongchou.core.access import Actor, system
from tongchou.core.models import Event, Team
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.inventory import actions, merge, reads, sources
from tongchou.inventory.models import (
    AttributeValue,
    Endpoint,
    Hold,
    Identity,
    Relation,
    Resource,
    ResourceLabel,
    ResourceState,
    Sighting,
    SourceConfig,
)
from tongchou.inventory.observation import Observation, ObservedResource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
ACTOR = system("tests")


def made(name: str, kind: str = "host", **more: Any) -> Resource:
    return actions.create_resource(actor=ACTOR, kind=kind, name=name, **more)


def picture() -> Any:
    """All that is recorded, without the times of looking."""
    return {
        "resources": sorted(
            Resource.objects.values_list("pk", "kind", "name", "state", "owner", "owner_source", "source"), key=str
        ),
        "labels": sorted((str(row.pk), sorted(row.labels.items())) for row in Resource.objects.all()),
        "derived": sorted((str(row.pk), sorted(map(str, row.attributes.items()))) for row in Resource.objects.all()),
        "label_rows": sorted(ResourceLabel.objects.values_list("resource", "name", "value", "source"), key=str),
        "keys": sorted(Identity.objects.values_list("resource", "key"), key=str),
        "values": sorted(map(str, AttributeValue.objects.values_list("resource", "name", "source", "value"))),
        "sightings": sorted(Sighting.objects.values_list("resource", "source"), key=str),
        "relations": sorted(Relation.objects.values_list("from_resource", "to_resource", "type", "valid_to"), key=str),
        "endpoints": sorted(Endpoint.objects.values_list("resource", "url"), key=str),
        "holds": sorted(Hold.objects.values_list("resource", "reason"), key=str),
    }


@pytest.fixture
def two() -> tuple[Resource, Resource]:
    """Two records of one machine, with everything that hangs on them, alike and not alike."""
    SourceConfig.objects.create(name="weak", kind="x", precedence=10)
    red = Team.objects.create(name="red")
    a = made("a", labels={"env": "prod"}, attributes={"os": "x"})
    b = made("b", labels={"env": "test", "zone": "1"}, attributes={"os": "y", "cores": 4}, owner=red)
    other = made("other")
    for each in (a, b):
        actions.set_attributes(actor=ACTOR, resource=each, values={"disk": each.name}, source="weak")
        actions.relate(actor=ACTOR, from_resource=other, to_resource=each, type="calls")
        labels = {"job": "node", "instance": "x"}
        actions.register_endpoint(actor=ACTOR, resource=each, url="http://x.example/metrics", labels=labels)
        actions.place_hold(actor=ACTOR, resource=each, kind="maintenance", reason=f"work on {each.name}")
    actions.relate(actor=ACTOR, from_resource=a, to_resource=b, type="runs_on")
    actions.relate(actor=ACTOR, from_resource=b, to_resource=other, type="runs_on")
    actions.register_endpoint(
        actor=ACTOR, resource=b, url="http://y.example/metrics", labels={"job": "b", "instance": "y"}
    )
    return a, b


def test_everything_moves_and_the_old_id_leads_on(two: tuple[Resource, Resource], operator_actor: Actor) -> None:
    a, b = two
    found = merge.merge_resources(actor=operator_actor, kept=a, absorbed=b, reason="one machine")
    a.refresh_from_db()
    b.refresh_from_db()
    detail = reads.detail(a)
    assert detail.keys == ["manual:host:a", "manual:host:b"]
    assert {view.name: view.value for view in detail.attributes} == {"os": "y", "cores": 4, "disk": "b"}
    assert a.labels == {"env": "prod", "zone": "1"}
    assert (a.owner.name if a.owner else None) == "red"
    assert sorted(row.reason for row in detail.holds) == ["work on a", "work on b"]
    assert len(detail.endpoints) == 2
    assert sorted((row.from_resource.name, row.type, row.to_resource.name) for row in detail.relations) == [
        ("a", "runs_on", "other"),
        ("other", "calls", "a"),
    ]
    assert (b.state, merge.successor(b).pk, merge.absorbed_by(a.pk)) == (ResourceState.MERGED, a.pk, [b.pk])
    event = Event.objects.get(verb="resource.merged")
    assert {each.ref for each in event.abouts.all()} == {ref(a), ref(b)}
    assert found.reason == "one machine"
    with pytest.raises(Conflict):
        actions.set_attributes(actor=operator_actor, resource=b, values={"os": "z"})


def test_what_is_undone_is_as_it_was(two: tuple[Resource, Resource]) -> None:
    a, b = two
    before = picture()
    for kept, absorbed in ((a, b), (b, a)):
        found = merge.merge_resources(actor=ACTOR, kept=kept, absorbed=absorbed)
        assert picture() != before
        merge.undo_merge(actor=ACTOR, merge=found)
        assert picture() == before
        with pytest.raises(Conflict):
            merge.undo_merge(actor=ACTOR, merge=found)


def test_a_chain_leads_to_its_end_and_is_undone_from_its_end(two: tuple[Resource, Resource]) -> None:
    a, b = two
    c = made("c")
    first = merge.merge_resources(actor=ACTOR, kept=b, absorbed=a)
    second = merge.merge_resources(actor=ACTOR, kept=c, absorbed=b)
    a.refresh_from_db()
    assert merge.successor(a).pk == c.pk
    assert set(merge.absorbed_by(c.pk)) == {a.pk, b.pk}
    with pytest.raises(Conflict):
        merge.undo_merge(actor=ACTOR, merge=first)
    merge.undo_merge(actor=ACTOR, merge=second)
    merge.undo_merge(actor=ACTOR, merge=first)
    assert Resource.objects.filter(state=ResourceState.ACTIVE).count() == 4


def test_a_source_that_sees_the_absorbed_one_means_the_kept_one() -> None:
    config = SourceConfig.objects.create(name="eyes", kind="x")

    def look() -> Any:
        seen = tuple(ObservedResource("host", name, (f"k:{name}",), {"os": name}) for name in ("a", "b"))
        return sources.apply_sync(actor=ACTOR, source=config, observation=Observation(seen))

    look()
    a, b = (Resource.objects.get(name=name) for name in ("a", "b"))
    merge.merge_resources(actor=ACTOR, kept=b, absorbed=a)
    look()
    assert list(Resource.objects.filter(state=ResourceState.ACTIVE).values_list("pk", flat=True)) == [b.pk]
    assert not look().changes_something
    a.refresh_from_db()
    assert a.state == ResourceState.MERGED


def test_a_weaker_name_or_owner_never_wins_by_a_merge() -> None:
    SourceConfig.objects.create(name="eyes", kind="x", precedence=10)
    red, blue = Team.objects.create(name="red"), Team.objects.create(name="blue")
    person = made("by-hand", owner=red)
    seen = Resource.objects.create(kind="host", name="seen", source="eyes", owner=blue, owner_source="eyes")
    Identity.objects.create(resource=seen, key="k:1")
    merge.merge_resources(actor=ACTOR, kept=seen, absorbed=person)
    seen.refresh_from_db()
    assert (seen.name, seen.source, seen.owner) == ("by-hand", "manual", red)


def test_what_cannot_be_merged_is_refused(two: tuple[Resource, Resource], viewer_actor: Actor) -> None:
    a, b = two
    with pytest.raises(AccessDenied):
        merge.merge_resources(actor=viewer_actor, kept=a, absorbed=b)
    with pytest.raises(Invalid):
        merge.merge_resources(actor=ACTOR, kept=a, absorbed=a)
    actions.retire_resource(actor=ACTOR, resource=a)
    with pytest.raises(Conflict):
        merge.merge_resources(actor=ACTOR, kept=a, absorbed=b)
    merge.merge_resources(actor=ACTOR, kept=b, absorbed=a)  # what is gone may be taken in
    c = made("c")
    with pytest.raises(Conflict):
        merge.merge_resources(actor=ACTOR, kept=c, absorbed=a)


def test_a_split_gives_keys_to_a_new_resource_that_its_sources_then_see() -> None:
    config = SourceConfig.objects.create(name="eyes", kind="x")
    one = Observation((ObservedResource("host", "a", ("k:a", "k:b")),))
    sources.apply_sync(actor=ACTOR, source=config, observation=one)
    row = Resource.objects.get()
    for wrong in ([], ["k:a", "k:b"], ["k:other"]):
        with pytest.raises(Invalid):
            merge.split_resource(actor=ACTOR, resource=row, keys=wrong)
    new = merge.split_resource(actor=ACTOR, resource=row, keys=["k:b"], name="b")
    apart = Observation(tuple(ObservedResource("host", n, (f"k:{n}",), {"os": n}) for n in ("a", "b")))
    sources.apply_sync(actor=ACTOR, source=config, observation=apart)
    assert reads.attributes_of(new) == {"os": "b"}
    assert Resource.objects.filter(state=ResourceState.ACTIVE).count() == 2
    assert {row.source for row in Sighting.objects.filter(resource=new)} == {"eyes", "manual"}
    assert Event.objects.get(verb="resource.split").payload["keys"] == ["k:b"]
    assert timezone.now() > new.created_at


def test_a_key_goes_to_the_resource_it_belongs_to_and_back() -> None:
    config = SourceConfig.objects.create(name="eyes", kind="x")
    seen = (ObservedResource("host", "a", ("k:a", "k:wrong"), {"os": "a"}), ObservedResource("host", "b", ("k:b",)))
    sources.apply_sync(actor=ACTOR, source=config, observation=Observation(seen))
    a, b = Resource.objects.get(name="a"), Resource.objects.get(name="b")
    for wrong in ([], ["k:a", "k:wrong"], ["k:b"]):
        with pytest.raises(Invalid):
            merge.move_keys(actor=ACTOR, resource=a, to=b, keys=wrong)
    with pytest.raises(Invalid):
        merge.move_keys(actor=ACTOR, resource=a, to=a, keys=["k:wrong"])
    merge.move_keys(actor=ACTOR, resource=a, to=b, keys=["k:wrong"], reason="mislabelled")
    assert set(b.identities.values_list("key", flat=True)) == {"k:b", "k:wrong"}
    told = Event.objects.get(verb="resource.keys_moved")
    assert (told.payload["name"], told.payload["to"], told.payload["keys"]) == ("a", "b", ["k:wrong"])
    right = (
        ObservedResource("host", "a", ("k:a",), {"os": "a"}),
        ObservedResource("host", "b", ("k:wrong",), {"os": "b"}),
    )
    sources.apply_sync(actor=ACTOR, source=config, observation=Observation(right))
    assert (reads.attributes_of(a), reads.attributes_of(b)) == ({"os": "a"}, {"os": "b"})
    merge.move_keys(actor=ACTOR, resource=b, to=a, keys=["k:wrong"])
    assert set(a.identities.values_list("key", flat=True)) == {"k:a", "k:wrong"}
    actions.retire_resource(actor=ACTOR, resource=b)
    with pytest.raises(Conflict):
        merge.move_keys(actor=ACTOR, resource=a, to=b, keys=["k:wrong"])


def test_an_undone_merge_leaves_neither_without_a_key() -> None:
    a, b, c = made("a"), made("b"), made("c")
    joined = merge.merge_resources(actor=ACTOR, kept=a, absorbed=b)
    own = sorted(a.identities.values_list("key", flat=True))
    theirs = [key for key in own if key in joined.journal["keys"]]
    merge.move_keys(actor=ACTOR, resource=a, to=c, keys=theirs)
    with pytest.raises(Conflict):
        merge.undo_merge(actor=ACTOR, merge=joined)
    merge.move_keys(actor=ACTOR, resource=c, to=a, keys=theirs)
    merge.undo_merge(actor=ACTOR, merge=joined)
    assert sorted(b.identities.values_list("key", flat=True)) == theirs
