"""Addresses and prefixes are taken, lowest first, by one at a time, and given back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.inventory.made import make
from tests.inventory.test_concurrent_syncs import together
from tongchou.core.access import AccessDenied, Actor, system
from tongchou.core.models import Event
from tongchou.core.problems import Conflict, Invalid
from tongchou.inventory import ip_actions
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
