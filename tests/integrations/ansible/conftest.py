"""ansible-runner as it is installed, on a scratch folder of this host or over a real sshd on loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.served import free_port
from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.integrations.ansible import launch
from tongchou.integrations.ansible.runner import ANSIBLE_STEP
from tongchou.runbooks import fields
from tongchou.runbooks.ports import Context, StepCall, StepResult

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
MUST_RUN = os.environ.get("CI") == "true"


@dataclass
class Ansible:
    """Steps for one target, with secrets, as a plan would hand them over."""

    target: dict[str, Any]
    secrets: dict[str, str] = field(default_factory=dict)

    def step(self, **given: Any) -> dict[str, Any]:
        defaults = {key: each.default for key, each in fields.of(ANSIBLE_STEP).items() if each.default is not None}
        return dict(ANSIBLE_STEP.complete({**defaults, **given}, self.target))

    def problems(self, **given: Any) -> list[str]:
        return list(ANSIBLE_STEP.validate("ansible", self.step(**given)))

    def preview(self, **given: Any) -> StepResult:
        return ANSIBLE_STEP.preview(StepCall("s", self.step(**given), "run:0", False), Context(self.secrets))

    def run(self, **given: Any) -> StepResult:
        return ANSIBLE_STEP.run(StepCall("s", self.step(**given), "run:0", False), Context(self.secrets))


def put_setting(key: str, value: object) -> None:
    settings_store.put(actor=system("tests"), key=key, value=value)


@pytest.fixture
def tools(db: None, settings: Any, tmp_path: Path) -> None:
    """The tools are there, and the platform's data is in a folder of the test."""
    if not launch.installed() and not MUST_RUN:
        pytest.skip("ansible-runner is not installed: make tools")
    settings.DATA = tmp_path / "data"
    settings.DATA.mkdir()
    settings.HTTP_ALLOW = ["127.0.0.1"]


@pytest.fixture
def here(tools: None) -> Ansible:
    """This host, with connection local allowed."""
    put_setting("ansible.local", True)
    return Ansible({"name": "here", "ansible_connection": "local"})


@dataclass
class Sshd:
    """A real sshd for one throw-away key."""

    port: int
    key: str
    host_key: str

    def ansible(self, **attributes: Any) -> Ansible:
        target = {"name": "web-1", "ansible_host": "127.0.0.1", "ansible_port": self.port, "host_key": self.host_key}
        user = {"ansible_user": getpass.getuser(), "ansible_python_interpreter": sys.executable}
        return Ansible({**target, **user, **attributes}, {"deploy-key": self.key})


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if SSHD is None:
        if MUST_RUN:
            pytest.fail("sshd is not installed")
        pytest.skip("sshd is not installed")
    folder = tmp_path_factory.mktemp("sshd")
    folder.chmod(0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    port = free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
        "PermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd as root separates its privileges
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stdout=log, stderr=log)
    try:
        _wait(port, process, folder / "log")
        yield Sshd(port, (folder / "user").read_text(), " ".join((folder / "host.pub").read_text().split()[:2]))
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
