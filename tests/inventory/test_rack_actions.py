"""Things are mounted where they fit; racks tell their space, power and clashes."""

from __future__ import annotations

import pytest

from tests.inventory.made import make
from tests.inventory.test_concurrent_syncs import together
from tongchou.core.access import AccessDenied, Actor, system
from tongchou.core.problems import Conflict, Invalid
from tongchou.inventory import actions, rack_actions, rack_reads
from tongchou.inventory.models import Relation, Resource, SourceConfig

ACTOR = system("tests")
pytestmark = [pytest.mark.django_db]


def mount(row: Resource, rack: Resource, **more: object) -> float:
    found = rack_actions.mount(actor=ACTOR, resource=row, rack=rack, **more)  # type: ignore[arg-type]
    return float(found.attributes["rack_position"])


@pytest.fixture
def rack(db: None) -> Resource:
    return make("rack", "r1", rack_units=10, power_capacity_watts=1000)


def test_the_lowest_free_place_is_taken_and_a_taken_one_refused(rack: Resource) -> None:
    one, two = make("device", "one", u_height=2, power_draw_watts=300), make("device", "two", u_height=4)
    assert (mount(one, rack), mount(two, rack)) == (1.0, 3.0)
    three = make("device", "three", u_height=2)
    for wish, code in (
        ({"position": 6}, "rack.clash"),
        ({"position": 10}, "rack.beyond"),
        ({"height": 5}, "rack.full"),
    ):
        with pytest.raises(Conflict) as refused:
            mount(three, rack, **wish)
        assert refused.value.code == code
        assert refused.value.remedy
    assert "7, 8, 9" in str(_refused(three, rack, 6).remedy)
    assert mount(three, rack, position=9) == 9.0
    view = rack_reads.view(ACTOR, rack)
    assert (view.taken, view.percent, view.draw_watts, view.unknown_draw, view.power_percent) == (
        8.0,
        80.0,
        300,
        2,
        30.0,
    )
    assert not view.clashes


def _refused(row: Resource, rack: Resource, position: float) -> Conflict:
    with pytest.raises(Conflict) as refused:
        mount(row, rack, position=position)
    return refused.value


def test_moving_within_and_between_racks_leaves_one_relation(rack: Resource) -> None:
    one, other = make("device", "one", u_height=2), make("rack", "r2")
    mount(one, rack)
    assert mount(one, rack, position=2) == 2.0  # its own place does not hinder it
    mount(one, other, face="rear")
    open_ = Relation.objects.filter(type="mounted_in", valid_to__isnull=True)
    assert [each.to_resource for each in open_] == [other]
    assert rack_reads.view(ACTOR, rack).taken == 0
    assert rack_reads.view(ACTOR, other).units == 42
    rack_actions.unmount(actor=ACTOR, resource=one)
    assert not open_.all().exists()
    assert "rack_position" not in Resource.objects.get(pk=one.pk).attributes


def test_what_sources_say_counts_and_clashes_are_told(rack: Resource) -> None:
    type_ = make("device_type", "R740", manufacturer="Dell", model="R740", u_height=2, power_max_watts=750)
    for name, at in (("a", 1), ("b", "2.0"), ("c", 10), ("d", None)):
        row = make("device", name, **({"rack_position": float(at)} if at else {}))
        actions.relate(actor=ACTOR, from_resource=row, to_resource=type_, type="instance_of")
        actions.relate(actor=ACTOR, from_resource=row, to_resource=rack, type="runs_on", source="netbox")
    view = rack_reads.view(ACTOR, rack)
    assert [(one.name, other.name) for one, other in view.clashes] == [("a", "b")]
    assert [each.name for each in view.beyond] == ["c"]
    assert [each.name for each in view.mounts if each.position is None] == ["d"]
    assert view.power_percent == 300.0


def sourced(name: str, precedence: int) -> str:
    return SourceConfig.objects.create(name=name, kind="x", precedence=precedence).name


@pytest.mark.parametrize("type_", ["mounted_in", "located_in", "runs_on"])
def test_a_thing_is_in_the_rack_that_the_strongest_word_names(rack: Resource, type_: str) -> None:
    row, other = make("device", "srv", u_height=2), make("rack", "r2")
    actions.relate(actor=ACTOR, from_resource=row, to_resource=rack, type=type_, source=sourced("netbox", 250))
    actions.set_attributes(actor=ACTOR, resource=row, values={"rack_position": 5}, source="netbox")
    assert rack_reads.view(ACTOR, rack).taken == 2
    assert mount(row, other, position=20) == 20.0  # a person's word
    assert (rack_reads.view(ACTOR, rack).taken, rack_reads.view(ACTOR, rack).mounts) == (0, [])
    assert rack_reads.view(ACTOR, other).taken == 2
    assert mount(make("device", "next", u_height=2), rack, position=5) == 5.0
    rack_actions.unmount(actor=ACTOR, resource=row)
    assert [each.name for each in rack_reads.view(ACTOR, rack).mounts] == ["next", "srv"]  # the source's word is left
    assert not rack_reads.view(ACTOR, other).mounts


def test_a_blade_that_a_person_put_in_a_chassis_has_left_the_rack(rack: Resource) -> None:
    blade = make("device", "blade")
    actions.relate(actor=ACTOR, from_resource=blade, to_resource=rack, type="mounted_in", source=sourced("netbox", 250))
    actions.relate(actor=ACTOR, from_resource=blade, to_resource=make("chassis", "c"), type="mounted_in")
    assert not rack_reads.view(ACTOR, rack).mounts


def test_the_type_that_the_strongest_source_names_counts(rack: Resource) -> None:
    row = make("device", "srv")
    for name, weight, height in (("a", 300, 2), ("b", 200, 4)):
        type_ = make("device_type", name, manufacturer="x", model=name, u_height=height)
        of = sourced(name, weight)
        actions.relate(actor=ACTOR, from_resource=row, to_resource=type_, type="instance_of", source=of)
    mount(row, rack)
    assert rack_reads.view(ACTOR, rack).taken == 2


def test_half_depth_and_no_height(rack: Resource) -> None:
    panel, strip = make("device", "panel"), make("pdu", "strip", u_height=0)
    assert mount(panel, rack, full_depth=False) == 1.0
    assert mount(make("device", "back"), rack, face="rear", full_depth=False) == 1.0
    assert mount(strip, rack) == 1.0
    assert rack_reads.view(ACTOR, rack).taken == 1.0


def test_wrong_wishes_are_refused(rack: Resource, viewer_actor: Actor) -> None:
    one = make("device", "one")
    for wish in ({"position": 0}, {"position": 1.3}, {"height": 101}, {"face": "left"}):
        with pytest.raises(Invalid):
            mount(one, rack, **wish)
    with pytest.raises(Invalid):
        mount(rack, one)
    with pytest.raises(AccessDenied):
        rack_actions.mount(actor=viewer_actor, resource=one, rack=rack)
    with pytest.raises(AccessDenied):
        rack_actions.unmount(actor=viewer_actor, resource=one)


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_two_at_once_never_get_one_place() -> None:
    rack = make("rack", "r1", rack_units=4)
    rows = [make("device", f"d{at}") for at in range(4)]
    assert together(*[(lambda row=row: mount(row, rack)) for row in rows]) == []
    assert rack_reads.view(ACTOR, rack).taken == 4
