"""Facts that the installed Ansible gathers of this very machine, in each form in which it writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import psutil
import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations import laws
from tests.integrations.ansible.conftest import SSHD
from tongchou.core import settings_store
from tongchou.core.problems import Invalid, TooLarge
from tongchou.integrations.ansible import facts, facts_source, launch
from tongchou.integrations.ansible.facts_source import SOURCE
from tongchou.integrations.host.source import SOURCE as HOST
from tongchou.integrations.libvirt.describe import Hypervisor
from tongchou.inventory import documents, sources
from tongchou.inventory.documents import Document
from tongchou.inventory.freshness import freshness
from tongchou.inventory.gather import Gathering
from tongchou.inventory.models import AttributeValue, Identity, Resource, Sighting
from tongchou.inventory.observation import Observation
from tongchou.inventory.ports import DocumentSource
from tongchou.inventory.truth import settings_of_now

MUST_RUN = os.environ.get("CI") == "true"
UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"


@pytest.fixture(scope="session")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of the real thing: `tree` is what --tree wrote, `cache` what fact_caching = jsonfile wrote."""
    program = launch.tool().parent / "ansible"
    if not program.exists():
        if MUST_RUN:
            pytest.fail("ansible is not installed")
        pytest.skip("ansible is not installed: make tools")
    folder = tmp_path_factory.mktemp("facts")
    environment = {
        **os.environ,
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(folder / "cache"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "temp"),
    }
    words = ["web-1", "-i", "web-1,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run(
        [program, *words, "-m", "ansible.builtin.setup", "--tree", folder / "tree"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture
def allowed(db: None, tmp_path: Path) -> Path:
    settings_store.put(actor=laws.ACTOR, key=documents.FOLDERS, value=[str(tmp_path)])
    folder = tmp_path / "facts"
    folder.mkdir()
    return folder


def tree(gathered: Path) -> bytes:
    return (gathered / "tree" / "web-1").read_bytes()


def host(name: str = "web-1", **more: Any) -> dict[str, Any]:
    """Facts of a machine, in the form of a cache."""
    known = {"nodename": name, "machine_id": f"id-of-{name}", "system": "Linux", **more}
    return {f"ansible_{key}": value for key, value in known.items()}


def seen(*files: Any) -> Observation:
    body = b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in files)
    return SOURCE.read({}, Document("all.json", body), source="it")


def test_it_is_a_source_that_reads_files() -> None:
    assert isinstance(SOURCE, DocumentSource)
    assert sources.source_kinds()["ansible_facts"] is SOURCE


def test_every_form_that_ansible_writes_says_the_same(gathered: Path) -> None:
    [cached] = (gathered / "cache").iterdir()
    wrapped = json.loads(cached.read_text())
    before_2_19 = json.loads(wrapped["__payload__"]) if "__payload__" in wrapped else wrapped
    answer = seen(tree(gathered))
    assert answer.resources
    assert laws.same(seen(wrapped), answer)
    assert laws.same(seen(before_2_19), answer)
    assert laws.same(seen({k.removeprefix("ansible_"): v for k, v in before_2_19.items()}), answer)


def test_this_machine_is_told_of_as_the_source_host_tells_of_it(gathered: Path) -> None:
    """The same keys, names and units, of the machine and of each of its parts."""
    told = {each.keys[0]: each for each in seen(tree(gathered)).resources}
    looked = {each.keys[0]: each for each in HOST.fetch(HOST.validate({"listeners": False}), source="h").resources}
    shared = told.keys() & looked.keys()
    assert {looked[key].kind for key in shared} >= {"host", "filesystem", "interface"}
    for key in shared:
        mine, its = told[key], looked[key]
        assert mine.name == its.name
        for name in mine.attributes.keys() & its.attributes.keys():
            if name in ("memory_bytes", "swap_bytes"):  # Ansible counts in megabytes
                assert 0 <= its.attributes[name] - mine.attributes[name] < facts.MEGABYTE
            elif name != "os":  # without lsb_release it is put together
                assert mine.attributes[name] == its.attributes[name], (key, name)


@pytest.mark.django_db
def test_what_the_host_and_its_facts_say_is_of_one_resource(gathered: Path) -> None:
    sources.run_source(actor=laws.ACTOR, source=laws.configured("host", {"connections": False}, name="this"))
    before = set(Resource.objects.values_list("id", flat=True))
    plan = laws.settles(laws.configured("ansible_facts"), Document("web-1", tree(gathered)))
    assert not [each for each in plan.created if each.kind in ("host", "vm")]
    machine = Resource.objects.get(kind="host")
    assert machine.pk in before
    assert AttributeValue.objects.filter(resource=machine, source="it", name="memory_bytes").exists()
    assert machine.attributes["memory_bytes"] == psutil.virtual_memory().total  # the stronger source's word
    assert machine.attributes["os_version"]  # which the weaker one alone says


@pytest.mark.django_db
def test_a_machine_that_libvirt_knows_is_recognised_by_its_uuid() -> None:
    domain = f"<domain type='kvm'><name>vm-7</name><uuid>{UUID}</uuid><devices><interface type='network'>"
    domain += "<mac address='52:54:00:12:34:56'/></interface></devices></domain>"
    gathering = Gathering()
    Hypervisor(gathering, "hv", ("machine-id:hv",)).machine(ET.fromstring(domain), running=True)
    libvirt = laws.configured("libvirt", {"uri": "qemu:///system"}, name="hv")
    sources.apply_sync(actor=laws.ACTOR, source=libvirt, observation=gathering.observation())
    eth0 = {"device": "eth0", "macaddress": "52:54:00:12:34:56", "active": True, "ipv4": {"address": "10.0.0.7"}}
    found = host("web-1", product_uuid=UUID.upper(), virtualization_role="guest", virtualization_type="kvm")
    found |= {"ansible_interfaces": ["eth0"], "ansible_eth0": eth0, "ansible_fqdn": "web-1.example.com"}
    sources.run_source(actor=laws.ACTOR, source=laws.configured("ansible_facts"), document=laws.document(found))
    [vm] = Resource.objects.filter(kind="vm")
    assert vm.name == "vm-7"  # the stronger source names it
    assert {"machine-id:id-of-web-1", f"uuid:{UUID}", "fqdn:web-1.example.com"} <= set(
        Identity.objects.filter(resource=vm).values_list("key", flat=True)
    )
    [interface] = Resource.objects.filter(kind="interface")
    assert interface.attributes["addresses"] == ["10.0.0.7"]


@pytest.mark.parametrize(
    "more, kind, uuid",
    [
        ({"virtualization_role": "host", "virtualization_type": "kvm"}, "host", True),
        ({"virtualization_role": "guest", "virtualization_type": "VMware"}, "vm", True),
        ({"virtualization_role": "guest", "virtualization_type": "docker"}, "host", False),
        ({"virtualization_role": "guest", "virtualization_type": "kvm", "virtualization_tech_guest": ["container", "kvm"]}, "host", False),
        ({"virtualization_role": "NA", "virtualization_type": "NA"}, "host", True),
    ],
)  # fmt: skip
def test_a_container_is_not_taken_for_the_machine_below(more: dict[str, Any], kind: str, uuid: bool) -> None:
    [one] = seen(host(product_uuid=UUID, product_serial="CZ1234567", **more)).resources
    assert one.kind == kind
    assert (f"uuid:{UUID}" in one.keys, "serial:cz1234567" in one.keys) == (uuid, uuid)


def test_a_mac_address_is_a_key_only_where_a_maker_gave_it_to_one_interface() -> None:
    macs = {"eth0": "3c:fd:fe:aa:00:01", "eth1": "3c:fd:fe:aa:00:02", "eth1.100": "3c:fd:fe:aa:00:02"}
    macs |= {"eth2": "52:54:00:00:00:01", "eth3": "00:00:5e:00:01:07", "eth4": "NA"}
    named = {name.replace(".", "_"): {"device": name, "macaddress": mac} for name, mac in macs.items()}
    found = seen(host(interfaces=list(macs), **named))
    with_key = {each.name for each in found.resources if any(key.startswith("mac:") for key in each.keys)}
    assert with_key == {"web-1 eth0"}
    assert len([each for each in found.resources if each.kind == "interface"]) == len(macs)


# --- folders --------------------------------------------------------------------------------------------------------------


def test_a_broken_file_among_good_ones_loses_only_itself(allowed: Path, gathered: Path) -> None:
    (allowed / "s1_web-1").write_bytes(next((gathered / "cache").iterdir()).read_bytes())
    (allowed / "db-1").write_text(json.dumps({"ansible_facts": host("db-1"), "changed": False}))
    config = laws.configured("ansible_facts", {"path": str(allowed)})
    laws.settles(config)
    assert Resource.objects.filter(name="db-1").exists()
    (allowed / "db-1").write_text(json.dumps(host("db-1"))[:-9])
    (allowed / "down-1").write_text(json.dumps({"unreachable": True, "changed": False, "msg": "canary-77"}))
    (allowed / "failed-1").write_text(json.dumps({"ansible_facts": {"discovered_interpreter_python": "/x"}, "module_stderr": "canary-77"}))  # fmt: skip
    (allowed / ".hidden").write_text("{")
    (allowed / "link").symlink_to("/etc/passwd")
    plan = sources.run_source(actor=laws.ACTOR, source=config)
    told = [str(note.params["text"]) for note in plan.warnings]
    assert told == [
        "db-1: no JSON, or cut off",
        "down-1: the host was unreachable when its facts were gathered",
        "failed-1: gathering of facts failed on the host",
    ]
    assert not plan.gone
    assert not plan.sightings_missed
    assert Resource.objects.get(name="db-1").state == "active"
    assert "canary-77" not in laws.everything_recorded()


def test_an_old_file_is_no_fresh_word(allowed: Path) -> None:
    """Freshness is that of the file, at the first look and at each that follows; a newer file makes it fresh."""
    for name in ("old-1", "new-1"):
        (allowed / name).write_text(json.dumps(host(name, kernel="6.1.0")))
    three_days_ago = time.time() - 3 * 86_400
    os.utime(allowed / "old-1", (three_days_ago, three_days_ago))
    config = laws.configured("ansible_facts", {"path": str(allowed)})

    def state(name: str) -> str:
        value = AttributeValue.objects.get(resource__name=name, name="kernel")
        sighting = Sighting.objects.get(resource__name=name)

        class Word:
            source = value.source
            last_seen = sighting.last_seen
            changed_at = value.changed_at

        limits, intervals = settings_of_now().limits, {config.name: config.interval_seconds}
        return freshness("kernel", Word, now=timezone.now(), limits=limits, interval_seconds=intervals).state

    laws.settles(config)
    assert (state("old-1"), state("new-1")) == ("stale", "fresh")
    assert abs(Sighting.objects.get(resource__name="old-1").last_seen.timestamp() - three_days_ago) < 1
    os.utime(allowed / "old-1")
    assert not sources.run_source(actor=laws.ACTOR, source=config).changes_something
    assert state("old-1") == "fresh"


def test_what_is_handed_over_is_as_old_as_it_says_and_never_of_tomorrow(db: None) -> None:
    day = timedelta(days=1)
    at = {name: int((timezone.now() + shift).timestamp()) for name, shift in (("old-1", -day), ("ahead-1", day))}
    found = {each.name: each.seen_at for each in seen(*(host(n, date_time={"epoch": str(e)}) for n, e in at.items())).resources}  # fmt: skip
    assert found["old-1"] is not None
    assert int(found["old-1"].timestamp()) == at["old-1"]
    assert found["ahead-1"] is None


def test_a_file_older_than_the_setting_is_told_of_and_nothing_is_given_up(allowed: Path) -> None:
    for name in ("old-1", "new-1"):
        (allowed / name).write_text(json.dumps(host(name)))
    os.utime(allowed / "old-1", (0, 0))
    found = SOURCE.fetch({"path": str(allowed), "max_age_hours": 24}, source="it")
    assert [each.name for each in found.resources] == ["new-1"]
    assert not found.complete
    assert found.warnings[0].startswith("old-1: ")


def test_limits_of_a_folder(allowed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (allowed / name).write_text(json.dumps(host(name)))
    monkeypatch.setattr(facts_source, "MAX_HOST_BYTES", 200)
    (allowed / "c").write_text(json.dumps(host("c", local="x" * 300)))
    found = SOURCE.fetch({"path": str(allowed)}, source="it")
    assert (len(found.resources), found.warnings) == (2, ("c: over 200 bytes",))
    monkeypatch.setattr(documents, "MAX_FILES", 2)
    with pytest.raises(TooLarge):
        SOURCE.fetch({"path": str(allowed)}, source="it")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (allowed / "away").symlink_to(outside)
    for path in (outside, allowed / "away", allowed.parent / ".." / outside.name):
        with pytest.raises(Invalid) as refusal:
            SOURCE.fetch({"path": str(path)}, source="it")
        assert refusal.value.field == "settings.path"


def test_a_folder_without_facts_is_refused(allowed: Path) -> None:
    (allowed / "notes.txt").write_text("hello")
    with pytest.raises(Invalid) as refusal:
        SOURCE.fetch({"path": str(allowed)}, source="it")
    assert refusal.value.code == "ansible_facts.none"


# --- several hosts --------------------------------------------------------------------------------------------------------


class Apart:
    """Two networks with a real sshd in each, whose host names are their own and all else this machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []
        self.hosts = {
            f"tfx{os.getpid() % 10**5}{name}": f"198.18.{os.getpid() % 250}.{at}" for name, at in (("a", 2), ("b", 6))
        }

    def make(self) -> None:
        """Lay a cable to each and start its sshd; raises CalledProcessError where the kernel does not let us."""
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        (self.folder / "authorized_keys").write_bytes((self.folder / "user.pub").read_bytes())
        (self.folder / "authorized_keys").chmod(0o600)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for name, address in self.hosts.items():
            near = f"{address.rpartition('.')[0]}.{int(address.rpartition('.')[2]) - 1}/30"
            for words in (
                ["netns", "add", name],
                ["link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name],
                ["addr", "add", near, "dev", name],
                ["link", "set", name, "up"],
                ["-n", name, "addr", "add", f"{address}/30", "dev", "eth0"],
                ["-n", name, "link", "set", "eth0", "up"],
                ["-n", name, "link", "set", "lo", "up"],
            ):
                subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)
            self._serve(name, address)

    def _serve(self, name: str, address: str) -> None:
        config = self.folder / f"{name}.config"
        config.write_text(
            f"Port 22\nListenAddress {address}\nHostKey {self.folder}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
        )
        words = [
            "ip",
            "netns",
            "exec",
            name,
            "unshare",
            "--uts",
            "sh",
            "-c",
            f"hostname {name} && exec {SSHD} -D -e -f {config}",
        ]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running.append(subprocess.Popen(words, stdout=log, stderr=log))
        until = time.monotonic() + 10
        while b"Server listening" not in (self.folder / f"{name}.log").read_bytes():
            assert time.monotonic() < until, (self.folder / f"{name}.log").read_text()
            time.sleep(0.02)

    def gather(self) -> Path:
        """Have Ansible ask both over ssh; return its cache."""
        ssh = f"-o UserKnownHostsFile={self.folder}/known -o ControlMaster=no"
        known = (self.folder / "host.pub").read_text().rsplit(maxsplit=1)[0]
        (self.folder / "known").write_text("".join(f"{each} {known}\n" for each in self.hosts.values()))
        lines = [
            f"{name} ansible_host={address} ansible_user=root ansible_ssh_private_key_file={self.folder}/user "
            f"ansible_python_interpreter={sys.executable} ansible_ssh_common_args='{ssh}'"
            for name, address in self.hosts.items()
        ]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        environment = {
            **os.environ,
            "ANSIBLE_CACHE_PLUGIN": "jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.folder / "cache"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_HOST_KEY_CHECKING": "true",
        }
        subset = ["-m", "ansible.builtin.setup", "-a", "gather_subset=!all,hardware,network"]
        program = launch.tool().parent / "ansible"
        done = subprocess.run(
            [program, "all", "-i", self.folder / "hosts", *subset],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return self.folder / "cache"

    def end(self) -> None:
        for each in self.running:
            each.terminate()
            each.wait(10)
        for name in self.hosts:
            for words in (["netns", "del", name], ["link", "del", name]):
                subprocess.run(["ip", *words], capture_output=True, timeout=10)


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    if os.geteuid() != 0 or SSHD is None or not (launch.tool().parent / "ansible").exists():
        pytest.skip("needs root, sshd and ansible (make tools)")
    found = Apart(tmp_path)
    try:
        try:
            found.make()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"needs network namespaces: {error.stderr!r}")
        yield found
    finally:
        found.end()


def test_hosts_that_ansible_asks_over_ssh_are_hosts_each_although_they_share_a_machine_id(
    apart: Apart, allowed: Path
) -> None:
    """Both see one /etc/machine-id and one SMBIOS UUID, as clones of one image do."""
    cache = apart.gather()
    assert len(list(cache.iterdir())) == 2
    settings_store.put(actor=laws.ACTOR, key=documents.FOLDERS, value=[str(cache.parent)])
    plan = laws.settles(laws.configured("ansible_facts", {"path": str(cache)}))
    assert set(Resource.objects.filter(kind__in=("host", "vm")).values_list("name", flat=True)) == set(apart.hosts)
    for name, address in apart.hosts.items():
        [interface] = Resource.objects.filter(kind="interface", name=f"{name} eth0")
        told = subprocess.run(
            ["ip", "-n", name, "-j", "link", "show", "eth0"], capture_output=True, check=True, timeout=10
        )
        assert interface.attributes["mac"] == json.loads(told.stdout)[0]["address"]
        assert address in interface.attributes["addresses"]
        assert (interface.name, "part_of", name) in laws.recorded_edges()
    if Path("/etc/machine-id").exists() and Path("/etc/machine-id").read_text().strip():
        assert any("machine-id:" in str(note.params["text"]) for note in plan.warnings)
        assert not Identity.objects.filter(key__startswith="machine-id:").exists()


def clone(name: str, mac: str, id_: str = "image", **more: Any) -> dict[str, Any]:
    eth0 = {"device": "eth0", "macaddress": mac, "active": True}
    found = host(name, interfaces=["eth0"] if mac else [], eth0=eth0, product_uuid=UUID, **more)
    return {**found, "ansible_machine_id": id_}


def keys(*files: Any) -> list[tuple[str, ...]]:
    return [each.keys for each in seen(*files).resources if each.kind in ("host", "vm")]


def test_clones_of_an_image_are_machines_of_their_own_and_told_of() -> None:
    found = seen(clone("a-1", "52:54:00:00:00:01"), clone("b-1", "52:54:00:00:00:02"), host("c-1"))
    assert [each.keys for each in found.resources if each.kind == "host"] == [
        ("ansible:it:a-1",),
        ("ansible:it:b-1",),
        ("machine-id:id-of-c-1", "ansible:it:c-1"),
    ]
    assert found.warnings == (
        "machine-id:image: 2 machines claim it, so it identifies none of them: a-1, b-1",
        f"uuid:{UUID}: 2 machines claim it, so it identifies none of them: a-1, b-1",
    )
    assert found.complete
    assert len({each.keys[0] for each in found.resources}) == 5
    twins = keys(clone("a-1", "52:54:00:00:00:01"), clone("a-1", "52:54:00:00:00:02"))
    assert twins == [("ansible:it:a-1:52:54:00:00:00:01",), ("ansible:it:a-1:52:54:00:00:00:02",)]


@pytest.mark.parametrize(
    "one, other",
    [
        (clone("a-1", "52:54:00:00:00:01"), clone("a-1.example.com", "52:54:00:00:00:01")),  # two names, one machine
        (clone("a-1", ""), clone("a-1", "52:54:00:00:00:01")),  # its network was not asked for
    ],
)
def test_a_machine_under_two_names_of_the_inventory_is_one(one: Any, other: Any) -> None:
    assert all(each[0] == "machine-id:image" for each in keys(one, other))


# --- uploads --------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_facts_of_one_host_prove_nothing_about_the_others() -> None:
    config = laws.configured("ansible_facts")
    both = Document("all.json", json.dumps(host("a-1")).encode() + json.dumps(host("b-1")).encode())
    laws.settles(config, both)
    sources.run_source(actor=laws.ACTOR, source=config, document=laws.document(host("a-1")))
    assert Resource.objects.get(name="b-1").state == "active"
    both = Document("all.json", json.dumps(host("a-1")).encode() + json.dumps(host("c-1")).encode())
    sources.run_source(actor=laws.ACTOR, source=config, document=both)
    assert Resource.objects.get(name="b-1").state == "tombstone"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from(
    ["devices", "mounts", "interfaces", "eth0", "processor", "memtotal_mb", "product_uuid", "date_time", "lsb",
     "default_ipv4", "virtualization_tech_guest", "fqdn", "machine_id"]
)  # fmt: skip


@given(st.dictionaries(_names, _json), _json)
@settings(max_examples=60, deadline=None)
def test_no_facts_break_the_reader(found: dict[str, Any], other: Any) -> None:
    laws.by_name(seen(host(), {**host("x-1"), **{f"ansible_{key}": value for key, value in found.items()}}, other))
