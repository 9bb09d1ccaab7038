"""Nothing a command starts outlives its end, its time, or the process that started it, whatever session it is in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tongchou.core import private_folders
from tongchou.integrations.ansible import keeper, launch, scratch

# a child that leaves its session, as Ansible's workers do, and does not listen to SIGTERM
STUBBORN = "import os,signal,sys,time; os.setsid(); signal.signal(15, 1); open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
PARENT = f"""
import os, subprocess, sys, time
subprocess.Popen([sys.executable, '-c', {STUBBORN!r}, sys.argv[1]])
while not os.path.exists(sys.argv[1]): time.sleep(0.02)
time.sleep(float(sys.argv[2]))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a child subreaper is Linux's")


def kept(seconds: str, mark: Path, sleep: str) -> list[str]:
    return [sys.executable, "-I", keeper.__file__, seconds, sys.executable, "-c", PARENT, str(mark), sleep]


def pid_in(mark: Path) -> int:
    until = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return int(mark.read_text())


def gone(pid: int, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_a_command_that_ends_leaves_nobody_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(kept("60", tmp_path / "pid", "0.2"), stdin=subprocess.PIPE)
    pid = pid_in(tmp_path / "pid")
    assert process.wait(60) == 0
    assert gone(pid)
    process.stdin.close()  # type: ignore[union-attr]  # it was asked for


def test_its_time_is_over(tmp_path: Path) -> None:
    process = subprocess.Popen(kept("5", tmp_path / "pid", "60"), stdin=subprocess.PIPE)
    pid = pid_in(tmp_path / "pid")
    assert process.wait(60) == keeper.TIME_OVER
    assert gone(pid)
    process.stdin.close()  # type: ignore[union-attr]  # it was asked for


def test_the_platform_is_killed(tmp_path: Path) -> None:
    """kill -9 gives nobody a chance to say goodbye: the pipe closes with the process."""
    script = f"import subprocess,sys,time; p = subprocess.Popen({kept('60', tmp_path / 'pid', '60')!r}, stdin=subprocess.PIPE); print(p.pid, flush=True); time.sleep(60)"
    platform = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert platform.stdout is not None
    keeper_pid = int(platform.stdout.readline())
    pid = pid_in(tmp_path / "pid")
    os.kill(platform.pid, signal.SIGKILL)
    platform.wait(10)
    platform.stdout.close()
    assert gone(pid)
    assert gone(keeper_pid)


PLATFORM = """
import sys, django
django.setup()
from pathlib import Path
from tongchou.integrations.ansible import inventory, launch, scratch
host = inventory.Host("here", "here", 22, "", "local", sys.executable, "")
with scratch.private_folder(Path(sys.argv[1])) as folder:
    scratch.put_variables(folder, {})
    scratch.put_inventory(folder, inventory.group_vars([], host, ""))
    name = scratch.put_tasks(folder, [{"shell": f"echo $$ > {sys.argv[2]}; sleep 60"}], gather_facts=False)
    launch.launch(folder, name, ["--limit", "here"], ssh_args="", seconds=60)
"""


def test_kill_9_of_the_platform_ends_ansible_in_the_middle_of_a_task(tmp_path: Path) -> None:
    if not launch.installed() and os.environ.get("CI") != "true":
        pytest.skip("ansible-runner is not installed: make tools")
    scratches = tmp_path / "scratch"
    environment = {**os.environ, "TONGCHOU_DATA": str(tmp_path / "data"), "DJANGO_SETTINGS_MODULE": "tongchou.settings"}
    words = [sys.executable, "-c", PLATFORM, str(scratches), str(tmp_path / "pid")]
    platform = subprocess.Popen(words, env=environment)
    pid = pid_in(tmp_path / "pid")
    mine = [
        each.pid for each in psutil.process_iter(["cmdline"]) if str(scratches) in " ".join(each.info["cmdline"] or [])
    ]
    assert len(mine) > 3, "platform, keeper, ansible-runner, ansible-playbook"
    platform.kill()
    platform.wait(10)
    assert all(gone(each) for each in [pid, *mine])
    (left,) = scratches.iterdir()
    os.utime(left, (0, 0))
    with scratch.private_folder(scratches):
        assert len(list(scratches.iterdir())) == 1, "what it left is swept, and only this one is there"


def test_the_code_of_the_command_is_passed_on() -> None:
    words = [sys.executable, "-I", keeper.__file__, "20", sys.executable, "-c", "raise SystemExit(4)"]
    assert subprocess.run(words, stdin=subprocess.PIPE, check=False).returncode in (4, keeper.PIPE_CLOSED)
    process = subprocess.Popen(words, stdin=subprocess.PIPE)
    assert process.wait(60) == 4
    process.stdin.close()  # type: ignore[union-attr]  # it was asked for


def test_secrets_of_a_killed_process_are_swept_and_those_in_use_are_not(tmp_path: Path) -> None:
    with scratch.private_folder(tmp_path) as used:
        left = tmp_path / "left"
        left.mkdir()
        (left / "lock").touch()
        scratch.put(left / "key", "secret")
        with scratch.private_folder(tmp_path):
            assert left.exists(), "another process may have made its lock and not taken it yet"
        os.utime(left, (0, 0))
        os.utime(used, (0, 0))
        with scratch.private_folder(tmp_path):
            assert not left.exists()
        assert used.exists()
        fresh = tmp_path / "fresh"  # another process is just about to lock it
        fresh.mkdir()
        private_folders.sweep(tmp_path)
        assert fresh.exists()
        os.utime(fresh, (0, 0))
        private_folders.sweep(tmp_path)
        assert not fresh.exists()
    assert list(tmp_path.iterdir()) == []
