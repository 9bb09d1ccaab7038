"""Real agents of net-snmp on free ports of this host, each with a configuration and state of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integrations import laws
from tests.integrations.snmp.walks import Walk
from tongchou.core import secrets

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin"
SNMPD = shutil.which("snmpd", path=PATH)
COMMUNITY, AUTH, PRIV = "comm-5up3r-s3cret", "auth-5up3r-s3cret", "priv-5up3r-s3cret"
ACCESS = f"""rocommunity {COMMUNITY}
createUser ops SHA-256 "{AUTH}" AES "{PRIV}"
createUser old SHA "{AUTH}"
rouser ops authPriv
rouser old authNoPriv
"""
# what answers for itself is left out, so that the walk alone is told; access control stays
MODULES = "override,vacm_conf,vacm_vars,usmConf,usmUser,snmpEngine"


class Agents:
    """Starts agents; all of them end with the test."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self.port = folder, port
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, address: str, walk: Walk | None = None, *, prefix: list[str] | None = None, more: str = "") -> None:
        """Start one at an address: with a walk it tells that alone, without one what it finds itself."""
        folder = self._folder / address.replace(":", "_")
        (folder / "state").mkdir(parents=True, exist_ok=True)
        lines = [f"override {oid} {type_} {value}" for oid, type_, value in walk or ()]
        (folder / "snmpd.conf").write_text("\n".join([f"agentAddress udp:{address}:{self.port}", ACCESS, more, *lines]))
        arguments = [
            *(prefix or []),
            str(SNMPD),
            "-f",
            "-C",
            "-c",
            str(folder / "snmpd.conf"),
            "-Lf",
            str(folder / "log"),
        ]
        if walk is not None:
            arguments += ["-I", MODULES]
        environment = {"PATH": PATH, "SNMP_PERSISTENT_DIR": str(folder / "state"), "MIBS": "", "HOME": str(folder)}
        self._running[address] = subprocess.Popen(
            arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )

    def stop(self, address: str) -> None:
        process = self._running.pop(address)
        process.kill()
        process.wait()

    def stop_all(self) -> None:
        for address in list(self._running):
            self.stop(address)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def agents(tmp_path: Path, settings: Any, db: None) -> Iterator[Agents]:
    pytest.importorskip("pysnmp")
    if SNMPD is None:
        pytest.skip("no snmpd on this machine (apt-get install snmpd)")
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    for name, value in {"community": COMMUNITY, "auth": AUTH, "priv": PRIV, "wrong": "another-passphrase"}.items():
        secrets.put(actor=laws.ACTOR, name=name, value=value)
    found = Agents(tmp_path, free_udp_port())
    yield found
    found.stop_all()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    def wait(true: Callable[[], bool]) -> None:
        ends = time.monotonic() + 20
        while not true():
            assert time.monotonic() < ends, "it did not come"
            time.sleep(0.1)

    return wait
