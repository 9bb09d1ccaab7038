"""Addresses and prefixes are taken, lowest first, by one at a time, and given back."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.inventory.made import make
from tests.inventory.test_concurrent_syncs import together
from tongchou.core.access import AccessDenied, Actor, system
from tongchou.core.models import Event, Role, Team
from tongchou.core.problems import Conflict, Invalid
from tongchou.inventory import actions, ip_actions
from tongchou.inventory.models import Relation, Resource

ACTOR = system("tests")
pytestmark = [pytest.mark.django_db]


def prefix(cidr: str, **attributes: object) -> Resource:
    return make("prefix", cidr, prefix=cidr, **attributes)


def take(of: Resource, address: str = "") -> str:
    return ip_actions.allocate_address(actor=ACTOR, prefix=of, address=address).name


def test_the_lowest_free_address_is_taken_and_comes_back_when_released() -> None:
    lan, web = prefix("10.0.0.0/29"), make("host", "web", address="10.0.0.2")
    assert take(lan) == "10.0.0.1/29"
    made = ip_actions.allocate_address(
        actor=ACTOR, prefix=lan, values={"dns_name": "x.example", "description": ""}, assigned_to=web
    )
    assert made.name == "10.0.0.3/29"  # .2 is in use, whoever planned it
    assert made.attributes == {"address": "10.0.0.3/29", "address_status": "active", "dns_name": "x.example"}
    assert Relation.objects.get(type="assigned_to").to_resource == web
    ip_actions.release(actor=ACTOR, resource=made)
    again = ip_actions.allocate_address(actor=ACTOR, prefix=lan)
    assert again.pk == made.pk  # with its history
    assert Event.objects.filter(verb="resource.returned").count() == 1


def test_what_was_given_back_knows_nothing_of_who_had_it() -> None:
    lan, one, two = prefix("10.0.0.0/24"), make("host", "h1"), make("host", "h2")
    values = {"dns_name": "old.example", "description": "of h1", "address_role": "vip"}
    made = ip_actions.allocate_address(actor=ACTOR, prefix=lan, values=values, assigned_to=one)
    actions.update_resource(actor=ACTOR, resource=made, labels={"customer": "a"})
    ip_actions.release(actor=ACTOR, resource=made)
    assert not Relation.objects.filter(type="assigned_to", valid_to__isnull=True).exists()
    assert Relation.objects.filter(type="assigned_to", to_resource=one).exists()  # its past stays
    again = ip_actions.allocate_address(actor=ACTOR, prefix=lan, assigned_to=two)
    assert (again.pk, again.attributes) == (made.pk, {"address": "10.0.0.1/24", "address_status": "active"})
    assert again.labels == {}
    assert Relation.objects.get(type="assigned_to", valid_to__isnull=True).to_resource == two

    part = ip_actions.allocate_prefix(actor=ACTOR, prefix=lan, length=28, values={"role": "lab", "is_pool": True})
    actions.relate(actor=ACTOR, from_resource=part, to_resource=make("site", "old site"), type="located_in")
    ip_actions.release(actor=ACTOR, resource=part)
    anew = ip_actions.allocate_prefix(actor=ACTOR, prefix=lan, length=28)
    assert (anew.pk, anew.attributes) == (part.pk, {"prefix": part.name, "prefix_status": "active"})
    assert not Relation.objects.filter(from_resource=part, valid_to__isnull=True).exists()


def test_an_address_that_was_removed_like_any_resource_begins_anew_too() -> None:
    lan, one, two = prefix("10.0.0.0/24"), make("host", "h1"), make("host", "h2")
    made = ip_actions.allocate_address(actor=ACTOR, prefix=lan, values={"dns_name": "old.example"}, assigned_to=one)
    actions.retire_resource(actor=ACTOR, resource=made)
    again = ip_actions.allocate_address(actor=ACTOR, prefix=lan, assigned_to=two)
    assert (again.pk, "dns_name" in again.attributes) == (made.pk, False)
    assert Relation.objects.get(type="assigned_to", valid_to__isnull=True).to_resource == two


def test_who_may_give_an_address_back_needs_no_right_to_what_had_it() -> None:
    mine, theirs = Team.objects.create(name="mine"), Team.objects.create(name="theirs")
    lan = actions.create_resource(
        actor=ACTOR, kind="prefix", name="lan", owner=mine, attributes={"prefix": "10.0.0.0/24"}
    )
    host = actions.create_resource(actor=ACTOR, kind="host", name="h1", owner=theirs)
    made = ip_actions.allocate_address(actor=ACTOR, prefix=lan, assigned_to=host)
    editor = Actor("user", "editor", uuid4(), team_roles={mine.pk: Role.OPERATOR})
    ip_actions.release(actor=editor, resource=made)
    assert not Relation.objects.filter(type="assigned_to", valid_to__isnull=True).exists()


def test_what_lies_in_a_prefix_inside_is_not_taken_from_the_outer_one() -> None:
    outer, inner = prefix("10.0.0.0/24"), prefix("10.0.0.0/25")
    assert take(outer) == "10.0.0.128/24"
    assert take(inner) == "10.0.0.1/25"
    with pytest.raises(Conflict) as refused:
        take(outer, "10.0.0.77")
    assert refused.value.code == "ip.taken"


def test_vrfs_do_not_know_each_other() -> None:
    prefix("10.0.0.0/30")
    blue = make("prefix", "blue lan", prefix="10.0.0.0/30", vrf="blue")
    assert take(blue) == "10.0.0.1/30"
    (row,) = Resource.objects.filter(kind="ip_address")
    assert row.attributes["vrf"] == "blue"


def test_a_full_prefix_and_wrong_wishes_are_refused_with_a_remedy() -> None:
    small = prefix("10.0.0.0/30")
    assert [take(small), take(small)] == ["10.0.0.1/30", "10.0.0.2/30"]
    for wish, code in (
        ("", "ip.prefix_full"),
        ("10.0.0.2", "ip.taken"),
        ("10.9.0.1", "ip.address"),
        ("x", "ip.address"),
    ):
        with pytest.raises((Conflict, Invalid)) as refused:
            take(small, wish)
        assert refused.value.code == code
        assert refused.value.remedy
    ip_actions.release(actor=ACTOR, resource=small)
    with pytest.raises(Conflict) as gone:
        take(small)
    assert gone.value.code == "ip.no_prefix"
    with pytest.raises(Invalid):
        ip_actions.release(actor=ACTOR, resource=make("host", "h"))


def test_prefixes_are_taken_by_length_or_by_name() -> None:
    outer = prefix("10.0.0.0/24")
    make("ip_address", "gw", address="10.0.0.1/24")
    assert ip_actions.allocate_prefix(actor=ACTOR, prefix=outer, length=26).name == "10.0.0.64/26"
    assert ip_actions.allocate_prefix(actor=ACTOR, prefix=outer, cidr="10.0.0.192/26").name == "10.0.0.192/26"
    for wish, code in (
        ({"length": 25}, "ip.no_free_prefix"),
        ({"length": 24}, "ip.length"),
        ({"length": None}, "ip.length"),
        ({"cidr": "10.0.0.64/27"}, "ip.taken_prefix"),
        ({"cidr": "10.0.0.65/27"}, "ip.prefix"),
        ({"cidr": "10.0.0.0/24"}, "ip.prefix"),
        ({"cidr": "10.1.0.0/27"}, "ip.prefix"),
    ):
        with pytest.raises((Conflict, Invalid)) as refused:
            ip_actions.allocate_prefix(actor=ACTOR, prefix=outer, **wish)  # type: ignore[arg-type]
        assert refused.value.code == code, wish


def test_a_viewer_takes_nothing(viewer_actor: Actor) -> None:
    lan = prefix("10.0.0.0/29")
    for work in (
        lambda: ip_actions.allocate_address(actor=viewer_actor, prefix=lan),
        lambda: ip_actions.allocate_prefix(actor=viewer_actor, prefix=lan, length=30),
        lambda: ip_actions.release(actor=viewer_actor, resource=lan),
    ):
        with pytest.raises(AccessDenied):
            work()


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_many_who_ask_at_once_get_one_each() -> None:
    lan = prefix("10.0.0.0/24")
    got: list[str] = []

    def work() -> None:
        got.append(take(lan))
        got.append(ip_actions.allocate_prefix(actor=ACTOR, prefix=lan, length=30).name)
        got.append(take(lan))

    works: list[Callable[[], object]] = [work] * 6
    assert together(*works) == []
    assert len(got) == len(set(got)) == 18
    assert Resource.objects.filter(kind="ip_address").count() == 12
