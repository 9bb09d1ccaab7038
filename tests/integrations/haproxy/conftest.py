"""A real HAProxy in front of small servers that a test can slow down, fail and count."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.served import free_port
from tongchou.integrations.haproxy.runner import HAPROXY_STEP
from tongchou.runbooks import fields
from tongchou.runbooks.ports import Context, StepCall, StepResult

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin") or "haproxy"
CONFIG = """
global
    stats socket ipv4@127.0.0.1:{api} level admin
    stats socket {folder}/admin.sock mode 600 level admin
    stats socket {folder}/operator.sock mode 600 level operator
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    option redispatch
    retries 2
frontend front
    bind 127.0.0.1:{front}
    default_backend web
backend web
    balance roundrobin
    option httpchk GET /healthz
    default-server check inter 100ms fall 2 rise 1 weight 100 pool-purge-delay 200ms
{servers}
backend static
    balance source
    server s 127.0.0.1:{front}
backend nobody
    balance roundrobin
"""


@dataclass
class Behind:
    """One server behind the balancer."""

    name: str
    port: int = 0
    healthy: bool = True
    delay_seconds: float = 0.0
    seen: int = 0
    server: ThreadingHTTPServer | None = None
    hold: threading.Event | None = None
    held: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        behind = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path != "/healthz":
                    behind.seen += 1
                    time.sleep(behind.delay_seconds)
                    if behind.hold is not None and self.path == "/held":
                        behind.held.set()
                        behind.hold.wait(20)
                self.send_response(200 if behind.healthy else 503)
                self.send_header("Content-Length", str(len(behind.name)))
                self.end_headers()
                self.wfile.write(behind.name.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
                """A test's server is silent."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A check that hung up is nobody's fault."""

        self.server = Quiet(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@dataclass
class Balancer:
    """HAProxy with the servers a and b in the backend web."""

    folder: Path
    api: int
    front: int
    behind: dict[str, Behind]

    def tell(self, line: str) -> str:
        """One command past the step: what somebody else does, or a second opinion."""
        with socket.create_connection(("127.0.0.1", self.api), 5) as peer:
            peer.sendall(line.encode() + b"\n")
            out = b""
            while part := peer.recv(65536):
                out += part
            return out.decode()

    def statuses(self) -> dict[str, str]:
        lines = [line.split(",") for line in self.tell("show stat web 4 -1").splitlines()[1:] if line]
        return {line[1]: line[17] for line in lines}

    def wait_for(self, name: str, status: str) -> None:
        until = time.monotonic() + 10
        while self.statuses().get(name) != status:
            assert time.monotonic() < until, f"{name} is {self.statuses().get(name)}, not {status}"
            time.sleep(0.02)

    def step(self, action: str, server: str | None = None, **more: Any) -> dict[str, Any]:
        """The step as a plan would have resolved it, defaults filled in."""
        given = {"action": action, "runtime_api": f"127.0.0.1:{self.api}", "backend": "web", **more}
        if server is not None:
            given["server"] = server
        defaults = {key: each.default for key, each in fields.of(HAPROXY_STEP).items() if each.default is not None}
        return {**defaults, **given}

    def run(self, action: str, server: str | None = None, **more: Any) -> StepResult:
        return HAPROXY_STEP.run(StepCall("s", self.step(action, server, **more), "run:0", True), Context())

    def preview(self, action: str, server: str | None = None, **more: Any) -> StepResult:
        return HAPROXY_STEP.preview(StepCall("s", self.step(action, server, **more), "run:0", True), Context())

    def get(self, path: str = "/") -> tuple[int, str]:
        """One request through the balancer, on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.front), 30) as peer:
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            out = b""
            while part := peer.recv(65536):
                out += part
        head, _, body = out.decode().partition("\r\n\r\n")
        return int(head.split()[1]), body


@pytest.fixture
def balancer(tmp_path: Path, settings: Any) -> Iterator[Balancer]:
    """HAProxy on free ports with two servers that are up."""
    if not Path(HAPROXY).is_absolute() and os.environ.get("CI") != "true":
        pytest.skip("haproxy is not installed")
    settings.HTTP_ALLOW = ["127.0.0.1"]
    behind = {name: Behind(name) for name in "ab"}
    for each in behind.values():
        each.start()
    found = Balancer(tmp_path, free_port(), free_port(), behind)
    servers = "\n".join(f"    server {each.name} {each.address}" for each in behind.values())
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG.format(api=found.api, front=found.front, folder=tmp_path, servers=servers))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([HAPROXY, "-db", "-f", str(config)], stdout=log, stderr=log)
    try:
        _until(found.statuses, process, tmp_path / "log")
        for name in behind:
            found.wait_for(name, "UP")
        yield found
    finally:
        process.kill()
        process.wait(10)
        for each in found.behind.values():
            if each.hold is not None:
                each.hold.set()
            each.stop()


def _until(answers: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            answers()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)
