"""Starting, stopping and watching the shop's processes."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tongchou.demo.shop.frame import Settings
from tongchou.demo.shop.http1 import CallFailed, Client
from tongchou.demo.topology import Spec

START_SECONDS = 30.0
STOP_SECONDS = 3.0
BACKOFF_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded before any fork


class NotStarted(Exception):
    """A process ended or stayed silent instead of answering /healthz."""


@dataclass(slots=True)
class Process:
    """One supervised process and how to start it."""

    spec: Spec
    settings: Settings
    command: list[str]
    health_address: str
    popen: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    listed: bool = True  # among the targets while it is wanted
    restarts: int = 0
    ended: str = ""
    retry_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def alive(self) -> bool:
        """Whether the process runs (also true while it is stopped by a signal)."""
        return self.popen is not None and self.popen.poll() is None

    def facts(self) -> dict[str, object]:
        """What the supervisor tells about it."""
        return {
            "name": self.spec.name, "service": self.spec.service, "kind": self.spec.kind,
            "pid": self.popen.pid if self.popen and self.alive else None, "alive": self.alive, "wanted": self.wanted,
            "address": self.health_address, "version": self.settings.version, "restarts": self.restarts,
            "ended": self.ended,
        }  # fmt: skip


def python_command(settings_file: Path) -> list[str]:
    """How a shop process of ours is started."""
    return [sys.executable, "-m", "tongchou.demo.shop.main", str(settings_file)]


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies; does nothing where the kernel cannot (not Linux)."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(
    command: list[str], output: Path, *, extra: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a child that dies with this process; stdout and stderr go to `output`.

    Must be called from the main thread: the kernel's death signal follows the thread that forked.
    """
    with output.open("ab") as file:
        return subprocess.Popen(  # noqa: S603 - commands are built here, never from a request; no shell
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, cwd=cwd,
            env={**os.environ, **(extra or {})}, preexec_fn=die_with_parent,  # noqa: PLW1509 - only prctl runs there
        )  # fmt: skip


def end(popen: subprocess.Popen[bytes], patience_seconds: float = STOP_SECONDS) -> None:
    """SIGTERM, then SIGKILL; returns when the process is gone."""
    if popen.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            popen.terminate()
        try:
            popen.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


class Processes:
    """All processes of the shop. Not thread-safe: everything runs on the supervisor's loop."""

    def __init__(self, folder: Path, client: Client, say: Callable[..., None]) -> None:
        self._folder, self._client, self._say = folder, client, say
        self.all: dict[str, Process] = {}

    async def start(self, name: str) -> None:
        """Start it unless it runs, and wait until it answers. Raises NotStarted."""
        process = self.all[name]
        async with process.lock:
            process.wanted = True
            if not process.alive:
                await self._start(process)

    async def _start(self, process: Process) -> None:
        output = self._folder / "logs" / f"{process.spec.name}.out"
        # The log file of the process itself is logs/<name>.jsonl; what it prints would only be there twice.
        keep = output if process.command[0] != sys.executable else Path(os.devnull)
        process.popen, process.ended = spawn(process.command, keep), ""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.popen.poll() is not None:
                process.ended = _reason(process.popen.returncode)
                raise NotStarted(f"{process.spec.name} {process.ended}; see {output.with_suffix('.jsonl')}")
            with contextlib.suppress(CallFailed):
                response = await self._client.call("GET", process.health_address, "/healthz", timeout_seconds=0.5)
                if response.status == 200:
                    return
            await asyncio.sleep(0.03)
        raise NotStarted(f"{process.spec.name} gave no answer on {process.health_address} in {START_SECONDS:.0f} s")

    async def stop(self, name: str) -> None:
        """End it by SIGTERM, after STOP_SECONDS by SIGKILL."""
        process = self.all[name]
        async with process.lock:
            process.wanted = False
            await self._stop(process)

    async def _stop(self, process: Process) -> None:
        popen = process.popen
        if popen is None or not process.alive:
            return
        popen.send_signal(signal.SIGCONT)
        popen.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while popen.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - a child has no event to await
            await asyncio.sleep(0.02)
        if popen.poll() is None:
            popen.kill()
            await asyncio.to_thread(popen.wait)
        process.ended = _reason(popen.returncode)

    async def restart(self, name: str) -> None:
        """Stop and start, keeping the address. Raises NotStarted."""
        process = self.all[name]
        async with process.lock:
            await self._stop(process)
            process.wanted = True
            process.restarts += 1
            await self._start(process)

    async def watch(self) -> None:
        """Notice children that ended; start those again whose spec says so."""
        while True:
            for process in self.all.values():
                if process.popen is None or process.popen.poll() is None or process.lock.locked():
                    continue
                if not process.ended:
                    process.ended = _reason(process.popen.returncode)
                    process.retry_at = time.monotonic() + BACKOFF_SECONDS
                    self._say("process ended", process=process.spec.name, ended=process.ended,
                              starts_again=process.spec.restart and process.wanted)  # fmt: skip
                if process.wanted and process.spec.restart and time.monotonic() >= process.retry_at:
                    process.retry_at = time.monotonic() + BACKOFF_SECONDS
                    with contextlib.suppress(NotStarted):
                        await self.restart(process.spec.name)
            await asyncio.sleep(0.1)

    def end_all(self) -> None:
        """End everything; used on the way out."""
        running = [process.popen for process in self.all.values() if process.popen is not None]
        for popen in running:
            if popen.poll() is None:
                popen.terminate()
        for popen in running:
            end(popen, 1.0)


def _reason(code: int | None) -> str:
    if code is None:
        return ""
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
