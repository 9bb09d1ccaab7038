"""The agent as a process of its own, a real platform, and this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.served import Served

pytestmark = pytest.mark.slice
MOST_RSS_BYTES = 60 * 1024 * 1024
CLIENT = "import socket, sys, time; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); time.sleep(300)"
SUBNET = f"10.213.{os.getpid() % 250}"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A platform that looks at no machine itself."""
    one = Served(tmp_path / "data", TONGCHOU_ALLOWED_HOSTS=f"127.0.0.1,localhost,{SUBNET}.1")
    one.start()
    with one.client() as client:
        client.delete("/api/v1/sources/this-host").raise_for_status()
    one.wait(lambda: not resources(one, "host"), what="an inventory without hosts")
    yield one
    if one.process is not None and one.process.poll() is None:
        one.stop()


class Agents:
    """Agents of this machine, each ended with the test."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.served, self.folder = served, folder
        self.running: list[subprocess.Popen[bytes]] = []
        with served.client() as client:
            made = client.post("/api/v1/users", json={"username": "agents", "role": "operator"}).raise_for_status()
            token = client.post(
                "/api/v1/tokens", json={"name": "agents", "scopes": ["agent"], "username": made.json()["username"]}
            ).raise_for_status()
        self.token_file = folder / "agent.token"
        self.token_file.touch(0o600)
        self.token_file.write_text(token.json()["token"])

    def words(self, *more: str) -> list[str]:
        program = [sys.executable, "-m", "tongchou.agent"]
        return [*program, "--url", self.served.url, "--token-file", str(self.token_file), "--interval", "10", *more]

    def start(self, *more: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        with (self.folder / "agent.log").open("ab") as log:
            one = subprocess.Popen([*prefix, *self.words(*more)], stdout=log, stderr=log)
        self.running.append(one)
        return one

    def once(self, *more: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*prefix, *self.words("--once", *more)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def agents(served: Served, tmp_path: Path) -> Iterator[Agents]:
    found = Agents(served, tmp_path)
    yield found
    for each in found.running:
        if each.poll() is None:
            each.kill()
        each.wait()


def resources(served: Served, kind: str) -> list[dict[str, Any]]:
    with served.client() as client:
        answer = client.get("/api/v1/resources", params={"kind": kind, "limit": 500}).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def reported(served: Served) -> list[dict[str, Any]]:
    with served.client() as client:
        found: list[dict[str, Any]] = client.get("/api/v1/agents").raise_for_status().json()["items"]
    return found


def test_this_machine_appears_within_a_minute_with_what_it_holds_and_uses(served: Served, agents: Agents) -> None:
    with socket.socket() as listener, contextlib.ExitStack() as later:
        listener.bind(("127.0.0.1", low_port()))
        listener.listen()
        client = subprocess.Popen([sys.executable, "-c", CLIENT, str(listener.getsockname()[1])])
        later.callback(client.wait)
        later.callback(client.kill)
        began = time.monotonic()
        process = agents.start("--name", "box-1")
        [host] = served.wait(lambda: resources(served, "host"), seconds=60, what="the host")
        assert time.monotonic() - began < 60
        assert host["name"] == "box-1"
        port = listener.getsockname()[1]
        ours = served.wait(
            lambda: [each for each in resources(served, "listener") if each["name"].endswith(f":{port}")],
            what="the port",
        )
        assert ours[0]["name"] == f"{psutil.Process().name()}:{port}"
        with served.client() as api:
            told = api.get(f"/api/v1/resources/{host['id']}").raise_for_status().json()
            values = {each["name"]: each["value"] for each in told["attributes"]}
            assert values["memory_bytes"] == psutil.virtual_memory().total
            served.wait(lambda: uses(api.get(f"/api/v1/resources/{ours[0]['id']}").json()), what="a relation seen")
        assert psutil.Process(process.pid).memory_info().rss < MOST_RSS_BYTES
    process.send_signal(signal.SIGTERM)
    assert process.wait(2) == 0


def uses(told: dict[str, Any]) -> list[Any]:
    return [each for each in told["relations"] if str(each.get("source", "")).endswith("/seen")]


def test_killed_and_started_again_it_is_the_same_machine(served: Served, agents: Agents) -> None:
    process = agents.start()
    served.wait(lambda: reported(served), what="the report")
    [before] = served.wait(lambda: resources(served, "host"), seconds=60, what="the host")
    process.kill()
    process.wait()
    first = reported(served)[0]["received_at"]
    agents.start()
    served.wait(lambda: reported(served)[0]["received_at"] > first, what="a new report")
    assert len(reported(served)) == 1
    assert agents.once().returncode == 0  # two at once do no harm
    assert [each["id"] for each in resources(served, "host")] == [before["id"]]


def test_while_the_platform_is_down_it_waits_and_then_reports_and_ends_when_it_is_told_to(
    served: Served, agents: Agents
) -> None:
    process = agents.start()
    served.wait(lambda: reported(served), what="the report")
    first = reported(served)[0]["received_at"]
    served.kill()
    log = agents.folder / "agent.log"
    served.wait(lambda: "Connection refused" in log.read_text(), what="the trouble in its log")
    assert agents.once().returncode == 1
    served.start()
    served.wait(lambda: reported(served)[0]["received_at"] > first, seconds=60, what="a report after the pause")
    assert process.poll() is None
    served.kill()
    began = time.monotonic()
    process.terminate()
    assert process.wait(10) == 0
    assert time.monotonic() - began < 2
    assert agents.token_file.read_text() not in log.read_text()


def test_a_token_that_is_revoked_or_too_weak_is_told_of_clearly(served: Served, agents: Agents) -> None:
    with served.client() as client:
        weak = client.post("/api/v1/tokens", json={"name": "weak", "scopes": ["read"]}).raise_for_status().json()
    for token, status in (("tc_" + "x" * 40, 401), (weak["token"], 403)):
        agents.token_file.write_text(token)
        done = agents.once()
        assert done.returncode == 3
        assert f"answers {status}" in done.stderr
        assert "scope agent" in done.stderr
        assert token not in done.stderr
    agents.token_file.chmod(0o644)
    assert agents.once().returncode == 2
    assert reported(served) == []


def test_the_command_line_of_the_platform_becomes_the_agent(served: Served, agents: Agents) -> None:
    program = [sys.executable, "-m", "tongchou.cli.main", "agent", *agents.words("--once")[3:]]
    assert subprocess.run(program, timeout=60, check=False, capture_output=True).returncode == 0
    assert len(reported(served)) == 1


def test_a_clone_with_the_same_machine_id_in_a_network_of_its_own_is_another_machine(
    served: Served, agents: Agents
) -> None:
    name = f"tca{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if os.geteuid() != 0 or made.returncode != 0:
        pytest.skip("needs root and network namespaces")
    try:
        peer = f"v{os.getpid()}"
        outer = subprocess.run(
            ["ip", "link", "add", peer, "type", "veth", "peer", "name", "eth0", "netns", name],
            capture_output=True, check=False,
        )  # fmt: skip
        if outer.returncode != 0:
            pytest.skip("needs veth")
        for words in (
            ["addr", "add", f"{SUBNET}.1/24", "dev", peer],
            ["link", "set", peer, "up"],
            ["-n", name, "addr", "add", f"{SUBNET}.2/24", "dev", "eth0"],
            ["-n", name, "link", "set", "eth0", "up"],
            ["-n", name, "link", "set", "lo", "up"],
        ):
            subprocess.run(["ip", *words], check=True, capture_output=True)
        assert agents.once("--name", "box-1").returncode == 0
        with forwarded(f"{SUBNET}.1", served.port):
            inside = [*agents.words("--once", "--name", "box-2", "--insecure-http")]
            inside[inside.index("--url") + 1] = f"http://{SUBNET}.1:{served.port}"
            done = subprocess.run(
                ["ip", "netns", "exec", name, *inside], capture_output=True, text=True, timeout=60, check=False
            )
        assert done.returncode == 0, done.stderr
        assert [each["name"] for each in reported(served)] == ["box-1", "box-2"]
        served.wait(lambda: len(resources(served, "host")) == 2, seconds=60, what="two hosts")
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextlib.contextmanager
def forwarded(address: str, port: int) -> Iterator[None]:
    """The platform's port at another address of this machine, for one caller."""

    def carry(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := one.recv(65_536):
                other.sendall(part)
            other.shutdown(socket.SHUT_WR)

    def serve() -> None:
        guest, _from = door.accept()
        with guest, socket.create_connection(("127.0.0.1", port)) as platform:
            back = threading.Thread(target=carry, args=(platform, guest))
            back.start()
            carry(guest, platform)
            back.join()

    with socket.socket() as door:
        door.bind((address, port))
        door.listen()
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield
        serving.join(10)


def low_port() -> int:
    """A free port below those that the kernel gives to anybody."""
    for port in range(21_000, 30_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no port is free")
