"""`tongchou doctor` as people run it: before the first start, beside a running server, with broken things."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.served import Served, free_port

pytestmark = pytest.mark.slice


def run(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a data folder with nothing of the tests' environment."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TONGCHOU_", "LC_", "LANG"))}
    env = {**kept, "TONGCHOU_DATA": str(data), "TONGCHOU_PORT": str(free_port()), "LANG": "en_GB.UTF-8", **environment}
    command = [sys.executable, "-m", "tongchou.cli.main", "doctor", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def look(data: Path, **environment: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and {name: check}."""
    answer = run(data, "--json", **environment)
    told = json.loads(answer.stdout)
    return answer.returncode, {each["name"]: each for each in told["checks"]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("doctor") / "data")
    yield one.start()
    one.stop()


def test_before_the_first_start_it_makes_no_database(tmp_path: Path) -> None:
    code, found = look(tmp_path / "data")
    assert code in (0, 1), found
    assert [each for each in found.values() if each["status"] == "fail"] == []
    assert found["database.reachable"]["status"] == "skip"
    assert not (tmp_path / "data" / "tongchou.sqlite3").exists()


def test_beside_a_running_server_and_after_it_stopped(served: Served, tmp_path: Path) -> None:
    code, found = look(served.data, TONGCHOU_PORT=str(served.port))
    assert [each for each in found.values() if each["status"] == "fail"] == []
    assert found["telemetry.store"]["status"] == "ok"
    assert found["host.port"]["detail"].endswith("the running server's.")
    assert found["database.migrations"]["status"] == "ok"
    code, found = look(served.data)  # another port than the server's
    assert (code, found["host.port"]["status"]) == (2, "fail")
    assert served.stop() == 0
    code, found = look(served.data)
    assert [each for each in found.values() if each["status"] == "fail"] == []
    assert found["telemetry.store"]["detail"] == "It opens and answers."
    database = served.data / "tongchou.sqlite3"
    damaged = bytearray(database.read_bytes())
    damaged[8192:12288] = b"\xa5" * 4096
    database.write_bytes(damaged)
    code, found = look(served.data)
    assert code == 2
    assert found["database.reachable"]["status"] == "fail", found["database.reachable"]


def test_broken_things_are_named_with_a_remedy_and_without_secrets(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, found = look(
            data,
            TONGCHOU_PORT=str(other.getsockname()[1]),
            TONGCHOU_DATABASE_URL=f"postgresql://app:hunter2@127.0.0.1:{free_port()}/app",
            TONGCHOU_PUBLIC_URL="http://ops.example.org",
            TONGCHOU_TIME_ZONE="Mars/Olympus",
            TONGCHOU_ANSIBLE_RUNNER="/nowhere/ansible-runner",
            HTTPS_PROXY="http://me:hunter3@proxy:3128",
        )
    assert code == 2
    wrong = {name: each["status"] for name, each in found.items() if each["status"] in ("warn", "fail")}
    assert wrong["host.port"] == wrong["database.reachable"] == wrong["time_zones"] == "fail"
    assert wrong["address"] == wrong["process.proxy_variables"] == "warn"
    assert found["steps.ansible"]["status"] == "skip"
    assert all(found[name]["remedy"] for name in wrong)
    assert "hunter" not in json.dumps(found)


def test_settings_that_cannot_be_read_are_a_finding_too(tmp_path: Path) -> None:
    answer = run(tmp_path / "data", TONGCHOU_LOG_FORMAT="xml")
    assert answer.returncode == 2
    assert "TONGCHOU_LOG_FORMAT" in answer.stderr
    code, found = look(tmp_path / "data", TONGCHOU_PORT="eighty")
    assert code == 2
    assert "eighty" in found["settings"]["detail"]


def test_it_speaks_the_language_of_the_terminal(tmp_path: Path) -> None:
    assert "数据目录" in run(tmp_path / "data", LANG="zh_CN.UTF-8").stdout
    assert "Data folder" in run(tmp_path / "data").stdout
