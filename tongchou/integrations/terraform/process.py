"""Starts terraform or tofu with an environment of its own, and waits for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from tongchou.changes.ports import Hear, Where
from tongchou.integrations.terraform import keeper
from tongchou.integrations.terraform.events import line_of

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GRACE_SECONDS = 60.0  # for terraform to finish what it is at and write its state
ASK_SECONDS = 120.0  # for show and state
MAX_BYTES = 100_000_000  # of a plan's or a state's JSON
MAX_LINES = 5000
HEAR_SECONDS = 1.0
# of the platform's own environment, for registries that are reached only so
PASSED = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")


def program_path(program: str) -> str | None:
    """Where a program is, None when it is not there: settings name another place, or another name on the path."""
    named = {"terraform": settings.TERRAFORM, "tofu": settings.TOFU}.get(program, "")
    return shutil.which(named, path=f"{os.environ.get('PATH', '')}:{PATH}") if named else None


def data_folder(where: Where) -> Path:
    """Where a workspace keeps its providers and modules between runs."""
    return Path(settings.DATA) / "terraform" / "data" / where.key


class Process:
    """Runs of one program for one workspace, in one private folder."""

    def __init__(self, where: Where, folder: Path) -> None:
        self._where = where
        self._folder = folder
        self._count = 0
        self.program = program_path(where.program) or ""

    def environment(self) -> dict[str, str]:
        """All the process gets: the workspace's variables and secrets, little of the platform's own environment."""
        own = {
            "PATH": PATH,
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
            "LANG": "C.UTF-8",
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            "TF_DATA_DIR": str(data_folder(self._where)),
            **{name: os.environ[name] for name in PASSED if name in os.environ},
        }
        if settings.TERRAFORM_CONFIG:
            own["TF_CLI_CONFIG_FILE"] = str(settings.TERRAFORM_CONFIG)
        return {**self._where.environment, **own}

    def ask(self, *words: str) -> bytes | None:
        """What a command that only reads prints, None when it fails. Through a pipe: it may hold what is sensitive."""
        try:
            done = subprocess.run(  # noqa: S603  # no shell; the words are ours, names and paths checked
                [self.program, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=self._where.directory,
                env=self.environment(),
                timeout=ASK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 and len(done.stdout) <= MAX_BYTES else None

    def run(self, words: Sequence[str], hear: Hear | None = None) -> tuple[int, tuple[str, ...]]:
        """Run to its end, at most the workspace's time; its code and its lines. `hear` is told lines on the way.

        The pipe to the keeper closes with this process, even by kill -9; then the keeper ends it in good order.
        """
        self._count += 1
        out = self._folder / f"out-{self._count}"
        seconds = float(self._where.timeout_seconds)
        command = [sys.executable, "-I", keeper.__file__, f"{seconds:.3f}", f"{GRACE_SECONDS:.3f}", str(out)]
        try:
            process = subprocess.Popen(  # noqa: S603  # no shell; the words are ours, names and paths checked
                [*command, self.program, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self.environment(),
                cwd=self._where.directory,
                start_new_session=True,
            )
        except OSError as error:
            return 127, (error.strerror or "",)
        tail = Tail(out)
        try:
            _wait(process, tail, hear, seconds + GRACE_SECONDS + 10)
        finally:
            if process.stdin is not None:
                process.stdin.close()
        lines = [*tail.lines, *Tail(Path(f"{out}.err")).read()]
        return process.returncode, tuple(lines[:MAX_LINES])


def _wait(process: subprocess.Popen[bytes], tail: Tail, hear: Hear | None, seconds: float) -> None:
    until = time.monotonic() + seconds
    heard = 0.0
    while process.poll() is None:
        time.sleep(0.05)
        if time.monotonic() > until:
            process.kill()
            process.wait()
        if hear is not None and time.monotonic() - heard >= HEAR_SECONDS:
            heard = time.monotonic()
            if not hear(tail.read()) and process.stdin is not None:
                process.stdin.close()  # the keeper ends it then
    last = tail.read()
    if hear is not None:
        hear(last)


class Tail:
    """Reads the whole lines a file has got since the last time, as lines for people."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self.lines: list[str] = []

    def read(self) -> list[str]:
        """The new lines; they are kept in `lines`, too, up to a bound."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                content = file.read(4_000_000)
        except OSError:
            return []
        whole = content.rfind(b"\n") + 1
        self._at += whole
        said = (line_of(line) for line in content[:whole].decode("utf-8", "replace").splitlines())
        new = [line for line in said if line]
        self.lines += new[: max(0, MAX_LINES - len(self.lines))]
        return new
