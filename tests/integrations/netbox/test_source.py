from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations import laws
from tests.integrations.netbox.stub import TABLES, TOKEN, Netbox
from tests.integrations.stub_http import Stub, serving
from tongchou.core import secrets
from tongchou.core.problems import Invalid, Problem, Unavailable
from tongchou.integrations.netbox import roles, things
from tongchou.integrations.netbox.source import PARTS, SOURCE
from tongchou.inventory import ip_reads, rack_reads, sources
from tongchou.inventory.documents import Document
from tongchou.inventory.gather import Gathering
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db


@pytest.fixture
def netbox() -> Netbox:
    return Netbox()


@pytest.fixture
def server(netbox: Netbox, settings: Any) -> Iterator[Stub]:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    secrets.put(actor=laws.ACTOR, name="nb", value=TOKEN)
    with serving(netbox) as stub:
        yield stub


def look(server: Stub, **more: Any) -> Any:
    return SOURCE.fetch(SOURCE.validate({"url": server.url, "token_secret": "nb", **more}), source="nb")


def test_what_is_documented_becomes_the_inventory(server: Stub) -> None:
    seen = look(server, custom_fields=["support_until"], tenant_is_owner=True)
    things_ = laws.by_name(seen)
    place = server.url.partition("//")[2]
    device = things_["device", "hv-1"]
    assert device.keys == (f"netbox:{place}:device:11", "serial:8xk2pq3")
    assert device.attributes == {
        "manufacturer": "Dell", "model": "R650", "serial": "8XK2PQ3", "asset_tag": "A-17", "rack_position": 20.0,
        "rack_face": "front", "role": "Hypervisor", "address": "10.0.0.11", "status": "active", "tags": ["prod"], "support_until": "2028-01-01",
    }  # fmt: skip
    assert device.labels == {"site": "ams1", "role": "Hypervisor", "tenant": "shop", "platform": "Debian 12"}
    assert device.owner == "shop"
    assert things_["vm", "web-1"].attributes["memory_bytes"] == 4096 * 1024**2
    assert things_["vm", "web-1"].attributes["cpu_count"] == 2
    assert things_["interface", "hv-1 eno1"].attributes == {
        "mac": "aa:bb:cc:00:11:22", "mtu": 9000, "type": "25gbase-x-sfp28", "enabled": True, "speed_mbps": 25000, "vlan": 100,
    }  # fmt: skip
    assert laws.edges(seen) == {
        ("R01", "located_in", "ams1"),
        ("hv-1", "mounted_in", "R01"),
        ("sw-1", "mounted_in", "R01"),
        ("hv-1", "instance_of", "Dell R650"),
        ("R650 (12)", "instance_of", "Dell R650"),
        ("sw-1", "instance_of", "Arista 7050"),
        ("10.0.0.0/24", "located_in", "ams1"),
        ("R650 (12)", "located_in", "ams1"),
        ("hv-1", "part_of", "vm-cluster"),
        ("web-1", "runs_on", "hv-1"),
        ("web-2", "runs_on", "vm-cluster"),
        ("hv-1 eno1", "part_of", "hv-1"),
        ("web-1 eth0", "part_of", "web-1"),
        ("10.0.0.0/24", "uses", "servers"),
        ("10.0.0.11/24", "assigned_to", "hv-1 eno1"),
        ("10.0.0.21/24", "assigned_to", "web-1 eth0"),
    }
    assert "canary" not in repr(seen)


def test_what_racks_and_the_plan_of_addresses_need_is_read(server: Stub) -> None:
    things_ = laws.by_name(look(server))
    assert things_["device_type", "Dell R650"].attributes == {
        "manufacturer": "Dell", "model": "R650", "part_number": "210-AYJZ", "u_height": 2, "full_depth": True,
        "airflow": "front-to-rear", "weight_kg": 21.5,
    }  # fmt: skip
    assert things_["device_type", "Arista 7050"].attributes == {
        "manufacturer": "Arista", "model": "7050", "u_height": 1.5, "full_depth": False, "airflow": "side",
        "weight_kg": 4.536,
    }  # fmt: skip
    rack = things_["rack", "R01"].attributes
    assert (rack["rack_width"], rack["descending_units"], rack["max_weight_kg"]) == ("19", True, 1000)
    switch = things_["switch", "sw-1"]
    assert "serial:jpe14080459" in switch.keys
    assert (switch.attributes["status"], switch.attributes["management_address"]) == ("in_stock", "10.9.0.13")
    assert things_["prefix", "10.0.0.0/24"].attributes == {
        "prefix": "10.0.0.0/24", "vlan": 100, "is_pool": True, "prefix_status": "container", "role": "lab",
        "description": "for servers",
    }  # fmt: skip
    assert things_["ip_address", "10.0.0.254/24"].attributes == {
        "address": "10.0.0.254/24", "address_status": "reserved", "address_role": "vip",
    }  # fmt: skip


def test_a_rack_knows_how_high_its_devices_are_and_a_shared_address_is_not_given_twice(
    server: Stub, netbox: Netbox
) -> None:
    rows = netbox.tables["/api/ipam/ip-addresses/"]
    rows.append({**rows[-1], "id": 99})
    sources.run_source(actor=laws.ACTOR, source=laws.configured("netbox", {"url": server.url, "token_secret": "nb"}))
    rack = rack_reads.view(laws.ACTOR, Resource.objects.get(kind="rack"))
    assert [(each.name, each.position, each.height) for each in rack.mounts] == [("hv-1", 20, 2), ("sw-1", 41, 1.5)]
    assert not ip_reads.trouble_counts(laws.ACTOR, ip_reads.load_plan())["duplicate_address"]


@pytest.mark.parametrize(
    "role, kind",
    [
        ("Core Switch", "switch"), ("ToR", "switch"), ("接入交换机", "switch"), ("edge-router", "router"),
        ("Perimeter Firewall", "firewall"), ("PDU", "pdu"), ("UPS", "ups"), ("Wireless AP", "access_point"),
        ("KVM switch", "device"), ("Server", "device"), ("Storage server", "device"), ("", "device"),
        ("Aggregation", "router"),
    ],
)  # fmt: skip
def test_the_role_tells_what_a_device_is(role: str, kind: str) -> None:
    assert roles.kind_of(role, "", roles.pairs(["aggregation = router"])) == kind


def test_people_say_what_devices_of_a_role_are(server: Stub) -> None:
    seen = laws.by_name(look(server, role_kinds=["hypervisor=host"]))
    assert "serial:8xk2pq3" in seen["host", "hv-1"].keys
    for wrong in ("Core", "=switch", "Core=balloon"):
        with pytest.raises(Invalid) as refused:
            SOURCE.validate({"url": "https://netbox.example.org", "role_kinds": [wrong]})
        assert refused.value.field == "settings.role_kinds"


def test_a_netbox_settles_and_its_token_is_nowhere(server: Stub) -> None:
    config = laws.configured("netbox", {"url": server.url, "token_secret": "nb"})
    assert not sources.waits(config)
    plan = laws.settles(config)
    assert len(plan.created) == sum(len(rows) for rows in TABLES.values())
    assert "canary" not in laws.everything_recorded()


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("knows_id_gt", [True, False])
def test_pages_are_counted_here_and_next_is_not_followed(
    server: Stub, netbox: Netbox, most: int, knows_id_gt: bool
) -> None:
    whole = look(server)
    netbox.most, netbox.knows_id_gt = most, knows_id_gt
    assert laws.same(look(server), whole)  # `next` names an address of a cloud's metadata


def test_a_list_that_may_not_be_read_makes_the_look_a_part(server: Stub, netbox: Netbox) -> None:
    config = laws.configured("netbox", {"url": server.url, "token_secret": "nb"})
    sources.run_source(actor=laws.ACTOR, source=config)
    netbox.denied = {"/api/ipam/ip-addresses/"}
    netbox.tables["/api/dcim/devices/"] = []
    plan = sources.run_source(actor=laws.ACTOR, source=config)
    assert not plan.changes_something
    assert Resource.objects.filter(state="active", kind__in=("device", "switch")).count() == 3
    netbox.denied = set(TABLES)
    with pytest.raises(Unavailable) as refusal:
        sources.run_source(actor=laws.ACTOR, source=config)
    assert refusal.value.code == "netbox.denied"


def test_what_is_deleted_while_a_list_is_read_hides_nothing_else(netbox: Netbox, server: Stub) -> None:
    netbox.most = 1
    rows = netbox.tables["/api/ipam/ip-addresses/"]

    def slides(path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        found = netbox(path, query, headers)
        if path.endswith("ip-addresses/") and query.get("id__gt") == "0":
            del rows[0]
        return found

    with serving(slides) as stub:
        seen = look(stub)
    assert [each.name for each in seen.resources if each.kind == "ip_address"] == [
        "10.0.0.11/24", "10.0.0.21/24", "10.0.0.254/24",
    ]  # fmt: skip


def test_lists_can_be_left_out(server: Stub) -> None:
    seen = look(server, interfaces=False, networks=False, addresses=False)
    assert {each.kind for each in seen.resources} == {
        "site", "rack", "device_type", "device", "switch", "hypervisor_cluster", "vm",
    }  # fmt: skip
    assert len(server.asked) == 6


def test_a_wrong_token_is_told_without_it(server: Stub) -> None:
    secrets.put(actor=laws.ACTOR, name="nb", value="canary-wrong")
    with pytest.raises(Unavailable) as refusal:
        look(server)
    assert "canary" not in repr(refusal.value.as_dict())


def test_tls_of_a_private_authority(settings: Any, tmp_path: Path, netbox: Netbox) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    secrets.put(actor=laws.ACTOR, name="nb", value=TOKEN)
    with serving(netbox, tls_in=tmp_path) as stub:
        assert look(stub, ca_certificate=stub.certificate).resources
        with pytest.raises(Unavailable) as refusal:
            look(stub)
    assert refusal.value.code == "netbox.tls"


@pytest.mark.parametrize("body", [b"<html>", {"results": []}, [], {"count": "many"}])
def test_another_server_is_refused(settings: Any, body: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    secrets.put(actor=laws.ACTOR, name="nb", value=TOKEN)
    with serving(lambda *_: (200, body)) as stub, pytest.raises(Problem):
        look(stub)


def test_an_address_and_a_file_at_once_are_refused() -> None:
    with pytest.raises(Invalid):
        SOURCE.validate({"url": "https://netbox.example.org", "path": "/x.csv"})


DEVICES = "Name,Status,Tenant,Site,Rack,Role,Manufacturer,Type,Serial number,IP Address,ID\nhv-1,Active,shop,ams1,R01,Hypervisor,Dell,R650,8XK2PQ3,10.0.0.11/24,11\n"
RACKS = "name,site,status,u_height\nR01,ams1,active,42\n"


def sheet(name: str, text: str) -> Any:
    return SOURCE.read(SOURCE.validate({}), Document(name, text.encode()), source="nb")


def test_csv_exports_are_recognised_and_meet_by_name() -> None:
    devices, racks = sheet("netbox_devices.csv", DEVICES), sheet("export.csv", RACKS)
    (device,) = devices.resources
    assert (device.kind, device.keys) == ("device", ("netbox:nb:device:11", "serial:8xk2pq3", "netbox:nb:device=hv-1"))
    assert device.attributes["model"] == "R650"
    assert device.attributes["address"] == "10.0.0.11"
    assert device.attributes["manufacturer"] == "Dell"
    (rack,) = racks.resources
    assert rack.attributes == {"rack_units": 42, "status": "active"}
    assert ("netbox:nb:device:11", rack.keys[0]) in {each.ends[0] for each in devices.relations}


def test_csv_exports_say_what_racks_and_the_plan_of_addresses_need() -> None:
    text = (
        "Device Type,Manufacturer,Part number,U Height,Full Depth,ID\nR650,Dell,,2.0,True,5\nPanel,Dell,,0.5,False,6\n"
    )
    types = laws.by_name(sheet("netbox_device types.csv", text))
    type_ = types["device_type", "Dell R650"]
    assert type_.attributes == {"manufacturer": "Dell", "model": "R650", "u_height": 2, "full_depth": True}
    assert types["device_type", "Dell Panel"].attributes["u_height"] == 0.5
    devices = DEVICES.replace(",ID\n", ",ID,Position,Face,U Height\n").replace(",11\n", ",11,20.5,Rear,2.0\n")
    seen = sheet("netbox_devices.csv", devices.replace("Hypervisor", "Router"))
    (router,) = seen.resources
    said = {name: router.attributes[name] for name in ("rack_position", "rack_face", "u_height", "status")}
    assert (router.kind, said) == (
        "router", {"rack_position": 20.5, "rack_face": "rear", "u_height": 2, "status": "active"},
    )  # fmt: skip
    ends = {each.type: each.ends[0] for each in seen.relations}
    assert ends["instance_of"][1] in type_.keys
    (prefix,) = sheet("x.csv", "Prefix,Status,Pool,Role\n10.0.0.0/24,Reserved,True,lab\n").resources
    assert prefix.attributes == {
        "prefix": "10.0.0.0/24", "prefix_status": "reserved", "is_pool": True, "role": "lab",
    }  # fmt: skip
    (shared,) = sheet("netbox_IP addresses.csv", "address,status,role\n10.0.0.1/24,DHCP,VIP\n").resources
    assert shared.attributes == {"address": "10.0.0.1/24", "address_status": "dhcp", "address_role": "vip"}


@pytest.mark.parametrize(
    "name, text, kind",
    [
        ("netbox_sites.csv", "Name,Status,Region\nams1,Active,Europe\n", "site"),
        ("netbox_virtual machines.csv", "Name,Status,Cluster,VCPUs,Memory (MB)\nweb-1,Active,kvm,2.00,4096\n", "vm"),
        ("x.csv", "manufacturer,model,slug,u_height\nDell,R650,r650,2\n", "device_type"),
        ("x.csv", "Prefix,Status,VLAN\n10.0.0.0/24,Active,\n", "prefix"),
        ("x.csv", "VID,Name,Site,Status\n100,servers,ams1,active\n", "vlan"),
        ("netbox_IP addresses.csv", "address,status,dns_name\n10.0.0.1/24,active,a.example.org\n", "ip_address"),
        ("x.csv", "device,name,type,mac_address\nhv-1,eno1,1000base-t,aa:bb:cc:00:11:22\n", "interface"),
        ("x.csv", "name,type,group\nkvm,KVM,\n", "hypervisor_cluster"),
    ],
)
def test_every_list_has_a_csv(name: str, text: str, kind: str) -> None:
    assert [each.kind for each in laws.by_name(sheet(name, text)).values()] == [kind]


def test_two_rows_of_one_name_are_not_made_one_in_silence() -> None:
    seen = sheet("netbox_racks.csv", RACKS + "R01,fra1,active,42\n")
    assert (len(seen.resources), seen.complete) == (1, False)


def test_another_sheet_is_refused() -> None:
    with pytest.raises(Invalid):
        sheet("x.csv", "a,b\n1,2\n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "name", "value", "x"]), inner),
    max_leaves=5,
)


@given(st.sampled_from([(path, add) for path, _setting, add in PARTS]), st.data())
@settings(max_examples=80, deadline=None)
def test_no_object_breaks_the_reader(part: tuple[str, Any], data: Any) -> None:
    path, add = part
    row = data.draw(st.sampled_from(TABLES[path]))
    broken = {**row, **data.draw(st.dictionaries(st.sampled_from(sorted(row)), JSON))}
    gathering = Gathering()
    add(things.Book(gathering, "x"), broken)
    try:
        laws.by_name(gathering.observation())
    except Problem:
        pass
