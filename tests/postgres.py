"""A PostgreSQL cluster of the test's own: a folder, a port, no data that matters."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil

from tests.served import free_port


def bindir() -> Path | None:
    """Where the server's programs are; None when it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name))
    return found[-1] if found and (found[-1] / "initdb").exists() else None


class Postgres:
    """A running cluster. `stop`/`go_on` make it silent and let it answer again; `close` ends and removes it."""

    def __init__(self) -> None:
        programs = bindir()
        assert programs is not None
        self.folder = Path(tempfile.mkdtemp(prefix="tongchou-postgres-"))
        self.port = free_port()
        self._as: list[str] = []
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            owner = next(each for each in ("postgres", "nobody") if _known(each))
            shutil.chown(self.folder, owner)
            self._as = ["setpriv", f"--reuid={owner}", "--clear-groups", f"--regid={pwd.getpwnam(owner).pw_gid}"]
        run = {"cwd": self.folder, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        initdb = [programs / "initdb", f"--pgdata={self.folder}/data", "--username=postgres", "--auth=trust"]
        subprocess.run([*self._as, *initdb, "--no-sync", "--encoding=UTF8", "--locale=C"], timeout=120, **run)
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
            " -c fsync=off -c max_connections=200"
        )
        self._control = [*self._as, programs / "pg_ctl", f"--pgdata={self.folder}/data"]
        start = [*self._control, "--wait", f"--log={self.folder}/log", f"--options={settings}", "start"]
        subprocess.run(start, timeout=120, **run)
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _processes(self) -> list[psutil.Process]:
        master = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))
        return [master, *master.children(recursive=True)]

    def stop(self) -> None:
        """Make it silent: connections stay open, nothing is answered."""
        for process in self._processes():
            process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        for process in self._processes():
            process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its folder."""
        self.go_on()
        subprocess.run([*self._control, "--mode=immediate", "stop"], cwd=self.folder, capture_output=True, timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
