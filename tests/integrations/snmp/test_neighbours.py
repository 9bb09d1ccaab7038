"""Two machines that are joined by a cable: namespaces with a veth, an lldpd and an agent in each."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integrations import laws
from tests.integrations.snmp.conftest import PATH, Agents
from tongchou.core.problems import Unavailable
from tongchou.inventory import sources
from tongchou.inventory.models import Relation

pytestmark = pytest.mark.django_db
LLDPD = shutil.which("lldpd", path=PATH)
NAMES = {"a": "10.203.113.2", "b": "10.203.113.6"}  # each the second of a /30; the first is this machine's


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


@dataclass
class Joined:
    """The running lldpd of each machine."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def space(self, name: str) -> str:
        return f"tc{os.getpid()}{name}"

    def make(self) -> None:
        for name in NAMES:
            ip("netns", "add", self.space(name))
            ip("-n", self.space(name), "link", "set", "lo", "up")
        ip("link", "add", "port0", "netns", self.space("a"), "type", "veth", "peer", "port0", "netns", self.space("b"))
        for name, address in NAMES.items():
            space, near = self.space(name), f"tc{os.getpid() % 10**6}{name}"
            first = f"{address.rpartition('.')[0]}.{int(address.rpartition('.')[2]) - 1}/30"
            ip("link", "add", near, "type", "veth", "peer", "name", "mgmt", "netns", space)
            ip("addr", "add", first, "dev", near)
            ip("link", "set", near, "up")
            ip("-n", space, "addr", "add", f"{address}/30", "dev", "mgmt")
            for each in ("mgmt", "port0"):
                ip("-n", space, "link", "set", each, "up")

    def inside(self, name: str) -> list[str]:
        return ["ip", "netns", "exec", self.space(name)]

    def speak(self, name: str) -> None:
        """Start an lldpd on port0 alone; its neighbours come within seconds."""
        control = self.folder / f"{name}.ctl"
        words = [str(LLDPD), "-d", "-x", "-X", str(self.folder / f"{name}.agentx"), "-u", str(control)]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running.append(
                subprocess.Popen(
                    [*self.inside(name), *words, "-p", str(self.folder / f"{name}.pid"), "-I", "port0"],
                    stdout=log,
                    stderr=log,
                )
            )

    def tell(self, name: str, *words: str) -> str:
        said = ["lldpcli", "-u", str(self.folder / f"{name}.ctl"), *words]
        return subprocess.run(said, capture_output=True, timeout=10, text=True).stdout

    def end(self) -> None:
        for each in self.running:
            each.terminate()  # it ends its unprivileged half itself
            each.wait(10)
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", self.space(name)], capture_output=True, timeout=10)
            subprocess.run(["ip", "link", "del", f"tc{os.getpid() % 10**6}{name}"], capture_output=True, timeout=10)


@pytest.fixture
def joined() -> Iterator[Joined]:
    if LLDPD is None or os.geteuid() != 0:
        pytest.skip("needs root, and lldpd (apt-get install lldpd)")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # lldpd reaches for its socket as a user without rights
        found = Joined(Path(folder))
        try:
            found.make()
            yield found
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            pytest.skip(f"this machine makes no network namespaces: {getattr(error, 'stderr', error)}")
        finally:
            found.end()


def test_two_machines_that_hear_each_other_are_linked_once(
    joined: Joined, agents: Agents, until: Callable[[Callable[[], bool]], None]
) -> None:
    for name, address in NAMES.items():
        more = f"master agentx\nagentXSocket {joined.folder}/{name}.agentx\nsysName {name}.example.net\nsysServices 4"
        agents.start(address, prefix=joined.inside(name), more=f"{more}\nsysObjectID 1.3.6.1.4.1.9.1.1")
        until((joined.folder / f"{name}.agentx").exists)
        joined.speak(name)
    for name in NAMES:
        until(lambda name=name: "port0" in joined.tell(name, "show", "interfaces"))  # type: ignore[misc]
        joined.tell(name, "configure", "system", "hostname", f"{name}.example.net")
        joined.tell(name, "configure", "lldp", "tx-interval", "1")
        joined.tell(name, "configure", "lldp", "tx-hold", "100")  # a busy host that is silent for 4 s is not gone
    settings = {"ranges": list(NAMES.values()), "port": agents.port, "community_secret": "community"}
    config = laws.configured("snmp", {**settings, "timeout_seconds": 10}, name="net")

    def both_hear() -> bool:
        try:
            seen = sources.look(config)
        except Unavailable:
            return False
        ports = [each.attributes.get("up") for each in seen.resources if each.name.endswith(" port0")]
        return ports == [True, True] and sum(each.type == "connected_to" for each in seen.relations) == 2

    until(both_hear)
    laws.settles(config)
    link = Relation.objects.get(type="connected_to", valid_to__isnull=True)
    assert {link.from_resource.name, link.to_resource.name} == {"a.example.net port0", "b.example.net port0"}
    assert (link.origin, link.confidence) == ("observed", 0.9)
    assert {
        each.attributes["management_address"] for each in sources.look(config).resources if each.kind == "router"
    } == set(NAMES.values())
