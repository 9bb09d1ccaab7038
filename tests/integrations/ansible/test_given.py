"""The inventory that is given out, read by the real ansible-inventory, from a script and by `tongchou inventory`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.served import Served

TOOLS = Path(__file__).resolve().parents[3] / ".venv-tools" / "bin"
PLANTED = "{{ lookup('pipe', 'touch %s') }}"


def ansible(program: str) -> str:
    found = TOOLS / program
    path = str(found) if found.exists() else shutil.which(program)
    if path is None:
        pytest.skip(f"no {program} (pip install -r requirements-tools.txt)")
    return path


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o700)
    return path


def read(program: str, inventory: Path, folder: Path, *arguments: str, **environment: str) -> str:
    known = {**os.environ, "HOME": str(folder), "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), **environment}
    done = subprocess.run(
        [ansible(program), "-i", str(inventory), *arguments],
        env=known, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stderr, done.stderr
    return done.stdout


def fill(served: Served, planted: str) -> None:
    hosts: list[dict[str, Any]] = [
        {
            "kind": "host", "name": "web-1", "labels": {"env": "prod", "note": planted},
            "attributes": {
                "ansible_host": "10.0.0.1", "ansible_port": 2222, "ansible_user": "ops", "motd": planted,
                "facts": {"deep": [planted]}, "db_password": "canary-77",
            },
        },
        {"kind": "host", "name": "db-1", "labels": {"env": "test"}, "attributes": {"primary_ip": "10.0.0.2/24"}},
        {"kind": "service", "name": "orders"},
    ]  # fmt: skip
    with served.client() as client:
        made = [client.post("/api/v1/resources", json=each).raise_for_status().json()["id"] for each in hosts]
        relation = {"from_id": made[0], "to_id": made[2], "type": "part_of"}
        client.post("/api/v1/relations", json=relation).raise_for_status()


def test_the_real_ansible_reads_it_and_runs_no_attribute(tmp_path: Path) -> None:
    ansible("ansible-inventory")
    caught = tmp_path / "caught"
    planted = PLANTED % caught
    served = Served(tmp_path / "data").start()
    try:
        fill(served, planted)
        program = f"{sys.executable} -m tongchou.cli.main inventory ansible --url {served.url}"
        by_command = script(tmp_path / "inventory.sh", f'#!/bin/sh\nexec {program} "$@"\n')
        address = f"{served.url}/api/v1/inventory/ansible"
        by_curl = script(
            tmp_path / "curl.sh",
            f'#!/bin/sh\nexec curl -fsS -H "Authorization: Bearer $TONGCHOU_TOKEN" {address}\n',
        )
        token = {"TONGCHOU_TOKEN": served.token}
        found = json.loads(read("ansible-inventory", by_command, tmp_path, "--list", **token))
        if shutil.which("curl"):
            assert json.loads(read("ansible-inventory", by_curl, tmp_path, "--list", **token)) == found
        assert {"db-1", "web-1"} <= set(found["kind_host"]["hosts"])  # beside the machine this runs on
        assert found["label_env_prod"]["hosts"] == found["service_orders"]["hosts"] == ["web-1"]
        variables = found["_meta"]["hostvars"]
        assert variables["db-1"]["ansible_host"] == "10.0.0.2"
        web = variables["web-1"]
        assert (web["ansible_host"], web["ansible_port"], web["ansible_user"]) == ("10.0.0.1", 2222, "ops")
        assert "canary" not in json.dumps(found)

        # A play that uses the values gets the text; what stood in them is never done.
        said = "MOTD={{ tongchou_attributes.motd }} DEEP={{ tongchou_attributes.facts.deep[0] }} {{ tongchou_labels.note }}"
        told = read(
            "ansible", by_command, tmp_path, "web-1", "-m", "debug", "-c", "local", "-a", f"msg='{said}'", **token
        )
        assert told.count("touch") == 3, told
        assert not caught.exists()
        one = subprocess.run(
            [str(by_command), "--host", "db-1"], env={**os.environ, **token}, capture_output=True, text=True, check=True
        )
        assert json.loads(one.stdout)["tongchou_name"] == "db-1"
    finally:
        served.stop()
