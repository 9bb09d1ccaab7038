"""The source "storage", with programs on PATH that answer as the real ones do, or do not."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.integrations import laws
from tests.integrations.host import smart_answers as answers
from tests.integrations.host.test_pools import LVS, PVS, VGS, ZPOOL
from tests.integrations.host.test_raid import MDSTAT
from tongchou.core.problems import Invalid
from tongchou.integrations.host import storage
from tongchou.integrations.host.source import SOURCE as HOST
from tongchou.integrations.host.storage import SOURCE
from tongchou.inventory import sources
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import Relation, Resource
from tongchou.inventory.observation import Observation
from tongchou.inventory.ports import Source
from tongchou.inventory.self_metrics import tell
from tongchou.inventory.weakness import least_needed, weak_points
from tongchou.wire.host import programs

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Programs of a shell script each, before all others; none but those, and no array, is known to the source."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(programs, "_BEYOND", "")
    monkeypatch.setattr(storage, "MDSTAT", tmp_path / "mdstat")
    monkeypatch.setattr(storage, "BLOCKS", tmp_path / "block")

    def install(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    for name in ("smartctl", "pvs", "vgs", "lvs", "zpool"):
        if shutil.which(name):
            install(name, "exit 0")
            (folder / name).chmod(0o644)
    return install


def smartctl(install: Install, tmp_path: Path, **by_name: Any) -> None:
    """A smartctl that answers with these, each with the exit code that is in it; a text is a script."""
    cases = [f"*--scan) cat {tmp_path}/scan.json;;"]
    scan = {"devices": [{"name": f"/dev/{name}", "type": "scsi"} for name in by_name]}
    (tmp_path / "scan.json").write_text(json.dumps(scan))
    for name, answer in by_name.items():
        if isinstance(answer, str):
            cases.append(f"*/dev/{name}) {answer};;")
            continue
        (tmp_path / f"{name}.json").write_text(json.dumps(answer))
        cases.append(f"*/dev/{name}) cat {tmp_path}/{name}.json; exit {answer['smartctl']['exit_status']};;")
    install("smartctl", f'echo "$*" >> {tmp_path}/asked\ncase "$*" in\n' + "\n".join(cases) + "\nesac")


def look(**settings: Any) -> Observation:
    return SOURCE.fetch(SOURCE.validate(settings), source="it")


def test_it_is_a_source_and_is_found() -> None:
    assert isinstance(SOURCE, Source)
    assert sources.source_kinds()["storage"] is SOURCE
    with pytest.raises(Invalid) as refusal:
        SOURCE.validate({"smart": "yes"})
    assert refusal.value.field == "settings.smart"


def test_where_nothing_is_installed_the_look_is_whole_and_tells_of_the_host_alone(install: Install) -> None:
    seen = look()
    assert [each.kind for each in seen.resources] == ["host"]
    assert seen.complete
    assert not seen.warnings


def test_disks_that_fail_are_told_of(install: Install, tmp_path: Path) -> None:
    smartctl(install, tmp_path, sda=answers.ATA, sdb=answers.ATA_FAILING, sdg=answers.SAS)
    seen = look()
    found = {each.attributes["device"]: each for each in seen.resources if each.kind == "disk"}
    assert {name: each.attributes["smart_health"] for name, each in found.items()} == {
        "/dev/sda": "passed", "/dev/sdb": "failed", "/dev/sdg": "passed",
    }  # fmt: skip
    assert seen.complete
    assert seen.warnings == ("/dev/sdb (WD-WCC7K0BBBBBB): SMART verdict failed",)
    machine = seen.resources[0].keys[0]
    assert found["/dev/sda"].keys == (f"{machine}/disk:sda",)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert "--json -n standby,3 -a /dev/sda" in asked


@pytest.mark.parametrize(
    "answer, why",
    [
        ("sleep 600 & wait", "no answer within 1 s"),
        ("trap '' TERM; while true; do read x < /dev/zero; done", "no answer within 1 s"),
        ("echo '<html>'", "an answer that is no JSON"),
        ("printf '\\377\\000'", "an answer that is no JSON"),
        ("exit 1", "an answer that is no JSON"),
        ("echo '[]'; exit 1", "smartctl ends with 1"),
        ("yes", "more than 8,000,000 bytes"),
        (answers.NOT_ALLOWED, "Smartctl open device: /dev/sda failed: Permission denied"),
        (answers.ASLEEP, "asleep, and not woken"),
    ],
)
def test_a_disk_that_does_not_answer_is_named_and_the_others_are_read(
    install: Install, tmp_path: Path, answer: Any, why: str
) -> None:
    smartctl(install, tmp_path, sdx=answer, sda=answers.ATA)
    began = time.monotonic()
    seen = look(timeout_seconds=1)
    assert time.monotonic() - began < 5
    assert [each.attributes["device"] for each in seen.resources if each.kind == "disk"] == ["/dev/sda"]
    assert not seen.complete
    assert seen.warnings == (f"/dev/sdx: {why}",)


@pytest.mark.parametrize("script", ["exit 4", "echo nonsense", "sleep 600"])
@pytest.mark.parametrize("name, part", [("smartctl", "smart"), ("pvs", "lvm")])
def test_a_program_that_does_not_work_makes_the_look_a_part(
    install: Install, name: str, part: str, script: str
) -> None:
    for each in (name, "vgs", "lvs"):
        install(each, script)
    seen = look(timeout_seconds=1)
    assert not seen.complete
    assert [each.partition(":")[0] for each in seen.warnings] == [part]


def lvm(install: Install, tmp_path: Path) -> None:
    for name, report in (("pvs", PVS), ("vgs", VGS), ("lvs", LVS)):
        (tmp_path / name).write_text(json.dumps(report))
        install(name, f"cat {tmp_path}/{name}")


def test_sets_pools_and_volumes_with_the_disks_they_lie_on(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = {"/dev/data/web": "/", "/dev/md0p1": str(tmp_path), "/dev/dm-0": "/usr", "/dev/sdq1": "/etc"}
    (tmp_path / "block" / "dm-0" / "slaves" / "root").mkdir(parents=True)  # encrypted, on the volume root
    parts = [SimpleNamespace(device=name, mountpoint=mount, fstype="ext4") for name, mount in mounts.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_words: parts)
    (tmp_path / "mdstat").write_text(MDSTAT)
    lvm(install, tmp_path)
    (tmp_path / "zpool").write_text(ZPOOL)
    install("zpool", f"cat {tmp_path}/zpool")
    seen = look(zfs=Path("/dev/zfs").exists())
    told, edges = laws.by_name(seen), laws.edges(seen)
    box = seen.resources[0].name
    machine = seen.resources[0].keys[0]
    assert told["raid_set", f"{box} md1"].attributes["health"] == "degraded"
    assert (f"{machine}/disk:sda", "part_of", f"{box} md0") in edges
    assert (f"{box} md0", "part_of", f"{box} sys") in edges  # LVM on software RAID
    assert (f"{box} data/web", "stores_in", f"{box} data") in edges
    assert (f"{box} sys", "runs_on", box) in edges
    assert {
        (a.partition("filesystem:")[2], b) for a, type_, b in edges if type_ == "stores_in" and "filesystem:" in a
    } == {
        ("/", f"{box} data/web"),
        (str(tmp_path), f"{box} md0"),
        ("/usr", f"{box} sys/root"),
    }
    least = {name: told["raid_set", f"{box} {name}"].labels["min_instances"] for name in ("md0", "md2", "md3", "md5")}
    assert least == {"md0": "1", "md2": "4", "md3": "2", "md5": "2"}
    assert "data/log: partial" in seen.warnings
    assert "md6: failed" in seen.warnings
    assert seen.complete


@pytest.mark.django_db
def test_the_disk_is_the_one_that_the_host_sees_and_its_end_is_an_event_and_a_figure(
    install: Install, tmp_path: Path
) -> None:
    own = [each.keys[0].partition("disk:")[2] for each in HOST.fetch({}, source="x").resources if each.kind == "disk"]
    name = own[0] if own else "sda"
    sources.run_source(actor=laws.ACTOR, source=laws.configured("host", {"connections": False}, name="this"))
    hosts = Resource.objects.filter(kind="host").count()
    smartctl(install, tmp_path, **{name: answers.ATA})
    config = laws.configured("storage")
    laws.settles(config)
    disk = Resource.objects.get(kind="disk", attributes__serial="WD-WCC7K0AAAAAA")
    assert Resource.objects.filter(kind="host").count() == hosts
    assert Resource.objects.filter(kind="disk").count() == max(1, len(own))
    assert unhealthy() == {"warning": 0, "failed": 0, "degraded": 0, "rebuilding": 0}
    smartctl(install, tmp_path, **{name: {**answers.ATA, "smart_status": {"passed": False}}})
    assert sources.run_source(actor=laws.ACTOR, source=config).changes_something
    disk.refresh_from_db()
    assert disk.attributes["smart_health"] == "failed"
    assert unhealthy()["failed"] == 1


def unhealthy() -> dict[str, float]:
    [family] = [each for each in tell() if each.name == "tongchou_inventory_storage_unhealthy"]
    return {labels[0][1]: value for _suffix, labels, value in family.samples}


@pytest.mark.django_db
def test_disks_of_a_mirror_stand_in_for_each_other_and_those_of_a_stripe_do_not(
    install: Install, tmp_path: Path
) -> None:
    disks = {f"sd{letter}": {**answers.ATA, "serial_number": f"WD-{letter}00000"} for letter in "abij"}
    smartctl(install, tmp_path, **disks)
    mirror = "md0 : active raid1 sdb1[1] sda1[0]\n      524224 blocks super 1.0 [2/2] [UU]\n"
    stripe = "md5 : active raid0 sdi1[1] sdj1[0]\n      2925532672 blocks super 1.2 64k chunks\n"
    (tmp_path / "mdstat").write_text(mirror + stripe)
    sources.run_source(actor=laws.ACTOR, source=laws.configured("storage"))
    shop = Resource.objects.create(kind="service", name="shop", source="manual")
    for array in Resource.objects.filter(kind="raid_set"):
        Relation.objects.create(from_resource=shop, to_resource=array, type="stores_in", source="manual")
    names = dict(Resource.objects.values_list("id", "name"))
    points = {names[each.resource].split()[-1] for each in weak_points(load_graph(), least=least_needed())}
    assert {"sdi", "sdj"} <= points
    assert not {"sda", "sdb"} & points


def test_the_real_programs_are_asked_where_they_are() -> None:
    """Whatever is installed here: two looks say the same, and nothing that is not installed is missed."""
    seen = look(timeout_seconds=10)
    assert laws.same(seen, look(timeout_seconds=10))
    laws.by_name(seen)
