"""The shop from outside: starting its supervisor, its switches, and the list of orders it promised to keep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from tongchou.demo.processes import end, spawn
from tongchou.demo.supervisor import Options

OPEN_SECONDS = 60.0


class ShopError(Exception):
    """The shop did not open, or refused a switch."""


class Shop:
    """A running shop. Use as a context manager; leaving it ends every process of the shop."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options
        self.facts: dict[str, Any] = {}
        self.opened_at = 0.0  # Unix seconds; what it earned before belongs to the history
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(timeout=30.0, trust_env=False)

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Shop]:
        """The shop that somebody else runs in this folder; leaving it ends nothing. Raises ShopError."""
        shop = cls(folder, Options())
        try:
            shop.facts = json.loads((folder / "shop.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ShopError(f"no demo runs on {folder.parent}: start it with `tongchou demo`") from error
        finally:
            if not shop.facts:
                shop._http.close()
        try:
            yield shop
        finally:
            shop._http.close()

    def __enter__(self) -> Shop:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "supervisor.json"
        settings.write_text(json.dumps(asdict(self.options)))
        (self.folder / "shop.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "tongchou.demo.supervisor", str(self.folder), str(settings)]
        self._process = spawn(command, self.folder / "supervisor.out")
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            end(self._process, patience_seconds=8.0)
        self._http.close()

    def wait_open(self) -> None:
        """Return when every process answers. Raises ShopError."""
        deadline = time.monotonic() + OPEN_SECONDS
        path = self.folder / "shop.json"
        while time.monotonic() < deadline:
            if path.exists():
                self.facts = json.loads(path.read_text(encoding="utf-8"))
                self.opened_at = time.time()
                return
            if self._process is None or self._process.poll() is not None:
                break
            time.sleep(0.05)
        said = (self.folder / "supervisor.out").read_text(encoding="utf-8", errors="replace")[-1500:]
        raise ShopError(f"the shop did not open:\n{said}")

    @property
    def targets_url(self) -> str:
        """Where the shop lists its scrape targets."""
        return f"http://{self.facts['supervisor']}/targets"

    @property
    def token(self) -> str:
        """The shop's control token."""
        return str(self.facts["token"])

    def address(self, name: str) -> str:
        """`host:port` of a process."""
        return str(self.facts["addresses"][name])

    def command(self, address: str, path: str, body: object | None = None) -> Any:
        """POST to a control endpoint. Raises ShopError."""
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            response = self._http.post(f"http://{address}{path}", json={} if body is None else body, headers=headers)
        except httpx.HTTPError as error:
            raise ShopError(f"{address}{path}: {error}") from error
        if response.status_code >= 400:
            raise ShopError(f"{address}{path}: {response.status_code} {response.text[:300]}")
        return response.json()

    def read(self, address: str, path: str) -> Any:
        """GET JSON. Raises ShopError."""
        try:
            return self._http.get(f"http://{address}{path}").raise_for_status().json()
        except httpx.HTTPError as error:
            raise ShopError(f"{address}{path}: {error}") from error

    def supervise(self, name: str, verb: str) -> Any:
        """start, stop or restart a process."""
        return self.command(self.facts["supervisor"], f"/processes/{name}/{verb}")

    def release(self, service: str, version: str, switches: dict[str, float] | None = None) -> Any:
        """Build a version with these switches and deploy it."""
        tool = self.address("release-tool-1")
        self.command(tool, "/builds", {"service": service, "version": version, "switches": switches or {}})
        return self.command(tool, "/deploy", {"service": service, "version": version, "actor": "release-tool"})

    def kill(self, name: str) -> int:
        """SIGKILL a process by its PID, as the kernel's OOM killer would; returns the PID."""
        for process in self.read(self.facts["supervisor"], "/processes")["items"]:
            if process["name"] == name and process["pid"]:
                os.kill(process["pid"], signal.SIGKILL)
                return int(process["pid"])
        raise ShopError(f"{name} does not run")

    def acknowledged(self) -> set[str]:
        """Ids of every order a customer was told is kept. Stop the customers first."""
        text = (self.folder / "acknowledged.log").read_text(encoding="utf-8")
        return {line for line in text.splitlines() if line}

    def kept(self) -> set[str]:
        """Ids of every order in the database that is primary now. Raises ShopError when none is."""
        primary = self._primary()
        found: set[str] = set()
        after = 0
        while True:
            page = self.read(primary, f"/orders?after={after}&limit=5000")["items"]
            if not page:
                return found
            found.update(order_id for _position, order_id in page)
            after = page[-1][0]

    def _primary(self) -> str:
        for name in ("database-primary", "database-standby"):
            try:
                if self.read(self.address(name), "/role")["role"] == "primary":
                    return self.address(name)
            except ShopError:
                continue
        raise ShopError("no database is primary")
