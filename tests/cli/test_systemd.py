"""What systemd is told by a real server, and the unit that is shipped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Served
from tongchou.cli import systemd

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "tongchou.service"


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end of NOTIFY_SOCKET."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(f"{folder}/notify")
        one.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{folder}/notify")
        yield one


def test_nothing_is_told_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.tell("READY=1")
    code = "from tongchou.cli import systemd; print(systemd.tell('READY=1'))"
    gone = {**os.environ, "NOTIFY_SOCKET": "/nowhere/notify"}
    done = subprocess.run([sys.executable, "-c", code], env=gone, capture_output=True, text=True)
    assert done.stdout.strip() == "False", "a socket that is gone stops nothing"


def test_the_watchdog_is_fed_twice_in_its_time_and_only_by_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    assert systemd.watchdog_seconds() == 30
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_seconds() is None
    monkeypatch.delenv("WATCHDOG_USEC")
    assert systemd.watchdog_seconds() is None


@pytest.mark.slice
def test_a_server_tells_ready_alive_and_stopping(listener: socket.socket, tmp_path: Path) -> None:
    served = Served(tmp_path / "data", NOTIFY_SOCKET=str(listener.getsockname()), WATCHDOG_USEC="400000").start()
    try:
        told = [listener.recv(100).decode() for _turn in range(4)]
        assert told == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
    finally:
        assert served.stop() == 0
    while (last := listener.recv(100).decode()) == "WATCHDOG=1":
        continue
    assert last == "STOPPING=1"


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze (Debian: systemd) is not installed"
)
def test_the_unit_is_sound_and_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "tongchou.service"
    unit.write_text(UNIT.read_text().replace("/opt/tongchou/current/bin/tongchou", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    judged = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)]
    done = subprocess.run(judged, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:]
