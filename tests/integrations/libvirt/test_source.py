from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integrations import laws
from tongchou.core import settings_store
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.libvirt import describe
from tongchou.integrations.libvirt.run_time_settings import URIS
from tongchou.integrations.libvirt.source import SOURCE
from tongchou.integrations.libvirt.virsh import Virsh
from tongchou.inventory import sources
from tongchou.inventory.gather import Gathering
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db
URI = "test:///default"


@pytest.fixture
def virsh() -> None:
    if shutil.which("virsh") is None:
        pytest.skip("no virsh on this machine (apt-get install libvirt-clients)")
    settings_store.put(actor=laws.ACTOR, key=URIS, value=[URI])


def test_a_hypervisor_is_read_through_a_real_virsh(virsh: None) -> None:
    seen = SOURCE.fetch({"uri": URI}, source="hv")
    things = laws.by_name(seen)
    host = next(each for each in seen.resources if each.kind == "host")
    assert sorted(kind for kind, _name in things) == ["disk", "host", "interface", "network", "storage_pool", "vm"]
    vm = things["vm", "test"]
    assert vm.keys[0] == "uuid:6695eb01-f6a4-8304-79aa-97f2502e193f"
    assert vm.attributes == {
        "power_state": "running", "cpu_count": 2, "memory_bytes": 8 * 1024**3, "architecture": "i686", "hypervisor": "test",
    }  # fmt: skip
    assert host.attributes["cpu_count"] == 16
    assert things["storage_pool", f"{host.name} default-pool"].attributes["size_bytes"] == 100 * 1024**3
    assert laws.edges(seen) == {
        ("test", "runs_on", host.name),
        (f"{host.name} default", "runs_on", host.name),
        (f"{host.name} default-pool", "runs_on", host.name),
        ("test vda", "part_of", "test"),
        ("test aa:bb:cc:dd:ee:ff", "part_of", "test"),
        ("test aa:bb:cc:dd:ee:ff", "uses", f"{host.name} default"),
    }
    assert seen.complete


def test_it_settles(virsh: None) -> None:
    laws.settles(laws.configured("libvirt", {"uri": URI}))


def test_a_machine_that_goes_away_meanwhile_makes_the_look_a_part(virsh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    config = laws.configured("libvirt", {"uri": URI})
    sources.run_source(actor=laws.ACTOR, source=config)
    lines = Virsh.lines

    def more(self: Virsh, command: str) -> list[str]:
        ghost = ["00000000-0000-4000-8000-000000000001"] if command == "list --all --uuid" else []
        return [*ghost, *lines(self, command)]

    monkeypatch.setattr(Virsh, "lines", more)
    seen = sources.look(config)
    assert not seen.complete
    assert ("vm", "test") in laws.by_name(seen)


def test_what_is_not_listed_is_not_asked(virsh: None) -> None:
    with pytest.raises(Invalid) as refusal:
        SOURCE.fetch({"uri": "qemu:///system"}, source="hv")
    assert refusal.value.field == "settings.uri"


def test_a_hypervisor_that_is_not_there_touches_nothing(virsh: None) -> None:
    config = laws.configured("libvirt", {"uri": URI})
    sources.run_source(actor=laws.ACTOR, source=config)
    missing = "test:///no/such/file.xml"
    settings_store.put(actor=laws.ACTOR, key=URIS, value=[missing])
    sources.configure_source(actor=laws.ACTOR, name="it", wanted=sources.Wanted(settings={"uri": missing}))
    config.refresh_from_db()
    with pytest.raises(Unavailable) as refusal:
        sources.run_source(actor=laws.ACTOR, source=config)
    assert refusal.value.code == "libvirt.failed"
    assert Resource.objects.filter(state="active").count() == 6


def test_a_host_without_virsh_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    settings_store.put(actor=laws.ACTOR, key=URIS, value=[URI])
    with pytest.raises(Unavailable) as refusal:
        SOURCE.fetch({"uri": URI}, source="hv")
    assert "libvirt-clients" in str(refusal.value.remedy)


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://h/system?command=/bin/sh", "qemu+ext://h/system", "-c", "qemu:///system;x", "qemu+ssh://-oProxy/system",
        "esx://h", 1, "",
    ],
)  # fmt: skip
def test_uris_that_could_start_another_program_are_refused(uri: Any) -> None:
    with pytest.raises(Invalid):
        settings_store.put(actor=laws.ACTOR, key=URIS, value=[uri])


QEMU = """<domain type='kvm'><name>web-1</name><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>
<memory unit='GiB'>4</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><devices>
<disk type='volume' device='disk'><driver type='qcow2'/><source pool='fast' volume='web-1.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><source file='/srv/slow/a/b.img'/><target dev='vdb'/></disk>
<disk type='file' device='cdrom'><source file='/x.iso'/><target dev='sda'/></disk>
<interface type='bridge'><mac address='52:54:00:AA:BB:CC'/><source bridge='br0'/><vlan><tag id='42'/></vlan><model type='virtio'/></interface>
<graphics type='vnc' passwd='canary'/></devices></domain>"""


def test_a_machine_of_kvm(tmp_path: Path) -> None:
    gathering = Gathering()
    host = describe.Hypervisor(gathering, "hv", ("uuid:h",))
    for name, path in (("fast", "/srv/fast"), ("slow", "/srv/slow"), ("all", "/srv")):
        pool = describe.parsed(
            f"<pool type='dir'><name>{name}</name><uuid>{name}</uuid><target><path>{path}</path></target></pool>"
        )
        assert pool is not None
        host.pool(pool)
    domain = describe.parsed(QEMU)
    assert domain is not None
    host.machine(domain, running=False)
    seen = gathering.observation()
    things = laws.by_name(seen)
    assert sorted(things)[:2] == [("disk", "web-1 vda"), ("disk", "web-1 vdb")]
    assert {("web-1 vda", "stores_in", "hv fast"), ("web-1 vdb", "stores_in", "hv slow")} <= laws.edges(seen)
    assert things["interface", "web-1 52:54:00:aa:bb:cc"].attributes == {
        "mac": "52:54:00:aa:bb:cc", "type": "bridge", "model": "virtio", "bridge": "br0", "vlan": "42",
    }  # fmt: skip
    assert things["vm", "web-1"].attributes["memory_bytes"] == 4 * 1024**3
    assert "canary" not in repr(seen)


@pytest.mark.parametrize("text", ["", "<a>", "<!DOCTYPE x [<!ENTITY a 'b'>]><a>&a;</a>", "text"])
def test_what_is_no_plain_document_is_none(text: str) -> None:
    assert describe.parsed(text) is None
