"""The index of prefixes and addresses follows whatever writes attributes and states."""

from __future__ import annotations

from importlib import import_module
from ipaddress import IPv4Address
from uuid import UUID

import pytest
from django.apps import apps
from django.utils import timezone

from tests.inventory.made import make
from tongchou.core.access import system
from tongchou.core.models import Lease
from tongchou.inventory import actions, ip_actions, ip_plan, ip_reads, merge, sources
from tongchou.inventory.address_names import ADDRESSES
from tongchou.inventory.apply import derive
from tongchou.inventory.given.addresses import addresses
from tongchou.inventory.given.gathered import Given
from tongchou.inventory.ip_index import entries_of
from tongchou.inventory.ip_reads import TreeFilter
from tongchou.inventory.models import Resource, SourceConfig
from tongchou.inventory.models_ip import AddressEntry
from tongchou.inventory.observation import Observation, ObservedResource
from tongchou.inventory.recorded import weights

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
ACTOR = system("tests")


def told() -> list[tuple[str, str, str]]:
    rows = AddressEntry.objects.order_by("vrf", "family", "start", "length", "id")
    return [(row.use, row.vrf, str(ip_plan.Net(row.family, int(row.start, 16), row.length))) for row in rows]


def test_what_people_state_is_indexed_and_follows_changes() -> None:
    prefix = make("prefix", "lan", prefix="10.0.0.0/24", vrf="blue")
    make("ip_address", "a", address="10.0.0.5/24")
    assert told() == [("address", "", "10.0.0.5/32"), ("prefix", "blue", "10.0.0.0/24")]
    actions.set_attributes(actor=ACTOR, resource=prefix, values={"vrf": None, "prefix": "2001:db8::/64"})
    assert ("prefix", "", "2001:db8::/64") in told()
    actions.retire_resource(actor=ACTOR, resource=prefix)
    assert [each[0] for each in told()] == ["address"]
    actions.restore_resource(actor=ACTOR, resource=prefix)
    assert len(told()) == 2


def test_what_sources_say_is_indexed_by_the_strongest_word_and_goes_with_the_thing() -> None:
    config = SourceConfig.objects.create(name="sd", kind="x", missing_after=1, grace_seconds=0)

    def sync(*addresses: str) -> None:
        seen = [
            ObservedResource("host", f"h{at}", (f"h:{at}",), {"address": each}) for at, each in enumerate(addresses)
        ]
        sources.apply_sync(actor=ACTOR, source=config, observation=Observation(tuple(seen)))

    sync("10.0.0.5", "10.0.0.6")
    sync("10.0.0.5", "10.0.0.7")
    assert told() == [("seen", "", "10.0.0.5/32"), ("seen", "", "10.0.0.7/32")]
    actions.set_attributes(actor=ACTOR, resource=Resource.objects.get(name="h1"), values={"address": "10.0.0.9"})
    assert ("seen", "", "10.0.0.9/32") in told()
    sync("10.0.0.5")
    assert told() == [("seen", "", "10.0.0.5/32")]


def test_a_merge_and_a_new_derivation_leave_what_counts() -> None:
    one, other = make("host", "a", address="10.0.0.5"), make("host", "b", address="10.0.0.6")
    merge.merge_resources(actor=ACTOR, kept=one, absorbed=other)
    assert len(told()) == 1
    AddressEntry.objects.all().delete()  # as an older release left it
    derive([one.pk], weights())
    assert len(told()) == 1


def test_what_is_no_address_of_a_plan_is_left_out() -> None:
    said = ["127.0.0.1", "::1", "fe80::1%eth0", "0.0.0.0", "224.0.0.1", "10.1.1.1", "not one", 7, None]
    assert [each.start for each in entries_of("interface", {"addresses": said}).values()] == [ip_plan.key(0x0A010101)]
    assert entries_of("site", {"address": "10.0.0.1"}) == {}
    assert entries_of("listener", {"addresses": ["10.0.0.1"]}) == {}
    assert entries_of("prefix", {"prefix": "nonsense"}) == {}


@pytest.mark.parametrize(
    "said",
    [
        {"private_ip": "10.0.0.1"},  # as Kubernetes tells of a node
        {"public_ip": "10.0.0.1"},
        {"primary_ip4": "10.0.0.1/24"},
        {"ansible_host": "10.0.0.1"},
        {"ip_address": "10.0.0.1"},
        {"address": "10.0.0.1:9100"},
    ],
)
def test_the_next_free_address_is_none_that_a_known_machine_uses(said: dict[str, str]) -> None:
    lan = make("prefix", "lan", prefix="10.0.0.0/24")
    make("vm", "machine", **said)
    assert ip_actions.next_address(lan) == "10.0.0.2"


def test_all_who_look_for_addresses_look_under_the_same_names() -> None:
    for name in ADDRESSES:
        given = Given(UUID(int=1), "host", "h", "active", attributes={name: "10.0.0.1"})
        assert addresses(given) == [IPv4Address("10.0.0.1")], name
        assert entries_of("host", {name: "10.0.0.1"}), name


def test_the_address_of_an_elastic_ip_is_its_public_one() -> None:
    (found,) = entries_of("ip_address", {"public_ip": "198.51.100.7", "private_ip": "10.0.0.5"}).values()
    assert (found.use, found.start) == ("address", ip_plan.key(0xC6336407))


def test_subnets_of_clouds_are_taken_and_do_not_count_as_planned_twice() -> None:
    wide, same = make("prefix", "wide", prefix="10.0.0.0/16"), make("prefix", "same", prefix="10.0.1.0/24")
    for name in ("a", "b"):  # networks of a cloud know nothing of each other
        make("subnet", name, prefix="10.0.1.0/24")
    make("subnet", "ds", prefixes=["10.0.2.0/24", "2001:db8::/64"])
    assert ("prefix", "", "2001:db8::/64") in told()
    assert ip_actions.next_free_prefix(wide, 24) == "10.0.0.0/24"
    assert ip_actions.next_free_prefix(wide, 23) == "10.0.4.0/23"
    plan = ip_reads.load_plan()
    assert ip_reads.troubles(ACTOR, plan) == []
    (view,) = [
        each for each in ip_reads.views(ACTOR, plan, ip_reads.tree(ACTOR, plan, TreeFilter())) if each.resources[1:]
    ]
    assert (view.row, view.twice, len(view.resources)) == (same, False, 3)


def test_a_prefix_is_where_the_strongest_word_says() -> None:
    SourceConfig.objects.create(name="netbox", kind="x", precedence=250)
    lan, old, new = make("prefix", "lan", prefix="10.0.0.0/24"), make("site", "old"), make("site", "new")
    actions.relate(actor=ACTOR, from_resource=lan, to_resource=old, type="located_in", source="netbox")
    plan = ip_reads.load_plan()
    assert len(ip_reads.tree(ACTOR, plan, TreeFilter(site="old"))) == 1
    actions.relate(actor=ACTOR, from_resource=lan, to_resource=new, type="located_in")
    found = [len(ip_reads.tree(ACTOR, plan, TreeFilter(site=site))) for site in ("old", "new")]
    assert found == [0, 1]


def test_after_the_upgrade_the_index_is_filled_at_once() -> None:
    lease = Lease.objects.create(name="periodic:inventory.derive_all", last_run_at=timezone.now())
    import_module("tongchou.inventory.migrations.0014_addresses_anew").due(apps, None)
    lease.refresh_from_db()
    assert lease.last_run_at is None


def test_virtual_addresses_may_be_had_by_several() -> None:
    (found,) = entries_of("ip_address", {"address": "10.0.0.1/24", "address_role": "vip"}).values()
    assert found.use == "shared"
