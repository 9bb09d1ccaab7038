"""A platform served by a process of its own, for tests that must see the real thing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests import prepared

START_SECONDS = 90


def free_port() -> int:
    """Return a port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """`tongchou serve` on a free port; `start` waits until it is ready, `kill` is kill -9.

    A folder that is not there gets a prepared database, unless `prepared` is False or the database is a server's.
    """

    def __init__(
        self,
        data: Path,
        *,
        prefix: list[str] | None = None,
        arguments: list[str] | None = None,
        prepared: bool = True,
        **environment: str,
    ) -> None:
        self.data = data
        self._prepared = prepared
        self._prefix = prefix or []
        self._arguments = arguments or []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.with_name(f"{data.name}.log")
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("TONGCHOU_")},
            "TONGCHOU_DATA": str(data),
            "TONGCHOU_PORT": str(self.port),
            "TONGCHOU_HTTP_ALLOW": "127.0.0.0/8",
            **environment,
        }
        self.start_seconds = START_SECONDS
        self.process: subprocess.Popen[bytes] | None = None
        self.token = ""

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process and return at once."""
        token_file = self.data.with_name(f"{self.data.name}.token")
        token_file.unlink(missing_ok=True)
        if self._prepared and not self.data.exists() and "TONGCHOU_DATABASE_URL" not in self._environment:
            self.data.mkdir(mode=0o700)
            shutil.copyfile(prepared.database(), self.data / "tongchou.sqlite3")
        program = [sys.executable, "-m", "tongchou.cli.main"]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self._prefix, *program, "serve", "--token-file", str(token_file), *self._arguments],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self) -> Served:
        """Start and wait until it is ready; fail with its log when it is not."""
        token_file = self.data.with_name(f"{self.data.name}.token")
        self.process = self.spawn()
        deadline = time.monotonic() + self.start_seconds
        while not token_file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)
        self.token = json.loads(token_file.read_text())["token"]
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def client(self, token: str | None = None) -> httpx.Client:
        """Return a client with the admin token (or another)."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token or self.token}"}, timeout=30)

    def wait(self, ask: Any, *, seconds: float = 30, what: str = "it") -> Any:
        """Call `ask` until it returns something true; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            found = ask()
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come within {seconds:g} s\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)
