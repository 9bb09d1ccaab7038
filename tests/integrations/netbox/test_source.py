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
from tongchou.integrations.netbox import things
from tongchou.integrations.netbox.source import PARTS, SOURCE
from tongchou.inventory import sources
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
        "vendor": "Dell", "model": "R650", "serial": "8XK2PQ3", "asset_tag": "A-17", "rack_position": 20.0,
        "rack_face": "front", "primary_ip": "10.0.0.11", "status": "active", "tags": ["prod"], "support_until": "2028-01-01",
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
    assert Resource.objects.filter(state="active", kind="device").count() == 2
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
    assert {each.kind for each in seen.resources} == {"site", "rack", "device", "hypervisor_cluster", "vm"}
    assert len(server.asked) == 5


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
    assert device.attributes["primary_ip"] == "10.0.0.11"
    (rack,) = racks.resources
    assert rack.attributes == {"rack_units": 42, "status": "active"}
    assert ("netbox:nb:device:11", rack.keys[0]) in {each.ends[0] for each in devices.relations}


@pytest.mark.parametrize(
    "name, text, kind",
    [
        ("netbox_sites.csv", "Name,Status,Region\nams1,Active,Europe\n", "site"),
        ("netbox_virtual machines.csv", "Name,Status,Cluster,VCPUs,Memory (MB)\nweb-1,Active,kvm,2.00,4096\n", "vm"),
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
