"""Real hosts: an sshd each in a network namespace of its own, with a /srv of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integrations.ansible.conftest import MUST_RUN, SSHD
from tests.runbooks.conftest import make_resource

NAMES = ("web-1", "web-2", "web-3")


@dataclass
class Hosts:
    """Namespaces with an sshd each, by name."""

    folder: Path
    port: int = 2222
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def record(self, *names: str) -> None:
        """Put hosts into the inventory, their /srv empty."""
        key = " ".join((self.folder / "host.pub").read_text().split()[:2])
        for name in names:
            make_resource(
                name, kind="host", ansible_host=self.addresses[name], ansible_port=self.port,
                ansible_user=getpass.getuser(), ansible_python_interpreter=sys.executable, host_key=key,
            )  # fmt: skip
            self.sh(name, "rm -rf /srv/*")

    def sh(self, name: str, script: str) -> str:
        """Run a script on a host, its /srv included."""
        words = ["nsenter", "-t", str(self.running[name].pid), "-m", "-n", "sh", "-c", script]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=20).stdout


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    if os.geteuid() != 0 or SSHD is None or shutil.which("ip") is None or shutil.which("nsenter") is None:
        if MUST_RUN and os.geteuid() == 0:
            pytest.fail("sshd, ip and nsenter are wanted")
        pytest.skip("needs root, sshd and network namespaces")
    folder = tmp_path_factory.mktemp("hosts")
    folder.chmod(0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    made = Hosts(folder)
    mark = f"{os.getpid() % 10_000}"
    spaces = {name: (f"tcp{mark}{number}", number) for number, name in enumerate(NAMES, start=1)}
    try:
        for name, (space, number) in spaces.items():
            _start(made, name, space, number)
        yield made
    finally:
        for process in made.running.values():
            process.terminate()
            process.wait(10)
        for space, _number in spaces.values():
            for words in (["link", "del", space], ["netns", "del", space]):
                subprocess.run(["ip", *words], capture_output=True, timeout=20, check=False)


def _start(made: Hosts, name: str, space: str, number: int) -> None:
    net = f"10.{200 + os.getpid() % 50}.{number}"
    ip("netns", "add", space)
    ip("link", "add", space, "type", "veth", "peer", "name", "eth0", "netns", space)
    ip("addr", "add", f"{net}.1/30", "dev", space)
    ip("link", "set", space, "up")
    ip("-n", space, "addr", "add", f"{net}.2/30", "dev", "eth0")
    ip("-n", space, "link", "set", "eth0", "up")
    made.addresses[name] = f"{net}.2"
    config = made.folder / f"{name}.conf"
    config.write_text(
        f"Port {made.port}\nListenAddress {net}.2\nHostKey {made.folder}/host\n"
        f"AuthorizedKeysFile {made.folder}/authorized_keys\nPidFile none\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nSubsystem sftp internal-sftp\nPermitRootLogin prohibit-password\n"
    )
    script = f"mount -t tmpfs none /srv && exec {SSHD} -D -e -f {config}"
    words = ["ip", "netns", "exec", space, "unshare", "-m", "sh", "-c", script]
    with (made.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    made.running[name] = process
    until = time.monotonic() + 15
    while subprocess.run(["ssh-keyscan", "-p", str(made.port), f"{net}.2"], capture_output=True).stdout == b"":
        assert process.poll() is None, (made.folder / f"{name}.log").read_text()
        assert time.monotonic() < until
        time.sleep(0.05)
