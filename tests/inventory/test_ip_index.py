"""The index of prefixes and addresses follows whatever writes attributes and states."""

from __future__ import annotations

import pytest

from tests.inventory.made import make
from tongchou.core.access import system
from tongchou.inventory import actions, ip_plan, merge, sources
from tongchou.inventory.apply import derive
from tongchou.inventory.ip_index import entries_of
from tongchou.inventory.models import Resource, SourceConfig
from tongchou.inventory.models_ip import AddressEntry
from tongchou.inventory.observation import Observation, ObservedResource
from tongchou.inventory.recorded import precedences

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
    derive([one.pk], precedences())
    assert len(told()) == 1


def test_what_is_no_address_of_a_plan_is_left_out() -> None:
    said = ["127.0.0.1", "::1", "fe80::1%eth0", "0.0.0.0", "224.0.0.1", "10.1.1.1", "not one", 7, None]
    assert [each.start for each in entries_of("interface", {"addresses": said}).values()] == [ip_plan.key(0x0A010101)]
    assert entries_of("site", {"address": "10.0.0.1"}) == {}
    assert entries_of("listener", {"addresses": ["10.0.0.1"]}) == {}
    assert entries_of("prefix", {"prefix": "nonsense"}) == {}


def test_virtual_addresses_may_be_had_by_several() -> None:
    (found,) = entries_of("ip_address", {"address": "10.0.0.1/24", "address_role": "vip"}).values()
    assert found.use == "shared"
