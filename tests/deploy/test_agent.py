"""The agent as one file, and its unit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tongchou.agent.options import parser

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "tongchou-agent.service"


def test_one_file_is_the_whole_agent_beside_psutil(tmp_path: Path) -> None:
    made = tmp_path / "out" / "agent.pyz"
    subprocess.run(
        ["bash", ROOT / "bin" / "agent", made], check=True, env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable}
    )
    alone = tmp_path / "alone"
    shutil.copytree(Path(psutil.__file__).parent, alone / "psutil")
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("tc_" + "a" * 40)
    words = ["--url", "http://127.0.0.1:9", "--token-file", str(token), "--once"]
    done = subprocess.run(
        [sys.executable, "-S", made, *words], capture_output=True, text=True, env={"PYTHONPATH": str(alone)}, timeout=60
    )
    assert (done.returncode, "Connection refused" in done.stderr) == (1, True), done.stderr


def test_the_unit_is_one_that_systemd_takes_and_its_options_exist(tmp_path: Path) -> None:
    text = UNIT.read_text()
    [start] = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    known = {option for action in parser()._actions for option in action.option_strings}
    assert set(re.findall(r"--[a-z-]+", start)) <= known
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    (tmp_path / "agent.pyz").touch()
    file = tmp_path / UNIT.name
    file.write_text(text.replace("/opt/tongchou-agent/tongchou-agent.pyz", str(tmp_path / "agent.pyz")))
    done = subprocess.run([program, "verify", "--man=no", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert UNIT.name not in done.stderr
