"""The platform as a child process: `tongchou serve` on its own data folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tongchou.demo.client import Platform
from tongchou.demo.processes import die_with_parent, end

READY_SECONDS = 60.0


class NotServing(Exception):
    """The platform ended or did not become ready."""


class Serving:
    """A context manager; leaving it ends the platform. With `output` None it speaks to this terminal."""

    def __init__(self, data: Path, port: int, token_file: Path, output: Path | None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._token_file, self._output = token_file, output
        self._environment = {
            **os.environ,
            "TONGCHOU_DATA": str(data),
            "TONGCHOU_PORT": str(port),
            "TONGCHOU_HOST": "127.0.0.1",
            # The shop is on loopback, where outgoing requests do not go by default.
            "TONGCHOU_HTTP_ALLOW": ",".join(filter(None, (os.environ.get("TONGCHOU_HTTP_ALLOW"), "127.0.0.0/8"))),
        }
        if output is None:  # on a terminal the shop's own requests would carry the passwords out of sight
            self._environment.setdefault("TONGCHOU_LOG_LEVELS", "tongchou.access=WARNING")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the platform."""
        if self._process is None:
            raise NotServing("the platform was not started")
        return self._process.pid

    def __enter__(self) -> Serving:
        self._token_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tongchou.cli.main", "serve", "--token-file", str(self._token_file)]
        file = None if self._output is None else self._output.open("ab")
        self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=None if file is None else subprocess.STDOUT,
            env=self._environment, preexec_fn=die_with_parent,  # noqa: PLW1509 - only prctl runs there
        )  # fmt: skip
        if file is not None:
            file.close()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            end(self._process, patience_seconds=15.0)
        self._token_file.unlink(missing_ok=True)

    def wait_ready(self) -> Platform:
        """The platform as its first administrator sees it. Raises NotServing."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise NotServing(f"the platform ended before it was ready{self._said()}")
            if self._token_file.exists():
                facts = json.loads(self._token_file.read_text(encoding="utf-8"))
                return Platform(self.url, facts["token"])
            time.sleep(0.05)
        raise NotServing(f"the platform was not ready in {READY_SECONDS:.0f} s{self._said()}")

    def _said(self) -> str:
        if self._output is None:
            return ""
        return ":\n" + self._output.read_text(encoding="utf-8", errors="replace")[-3000:]

    @property
    def runs(self) -> bool:
        """Whether the process still runs."""
        return self._process is not None and self._process.poll() is None
