"""Makes `release-X.tar.xz`: the data folder that a release wrote itself, through its own server and API.

    git worktree add /somewhere/old <commit of the release>
    .venv/bin/python -m tests.upgrade.make_fixture /somewhere/old tests/upgrade/release-0.1.0.tar.xz

Only HTTP and the old code's own command are used; nothing of the present code touches the data.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import cramjam
import httpx

from tongchou.wire.remote_write import encode

PASSWORD = "a password of long ago"
YAML = {"Content-Type": "application/yaml"}
WRITE = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
RULES = """
groups:
- name: till
  interval: 1s
  rules:
  - alert: TillDown
    expr: vector(1)
    labels: {severity: critical}
    annotations: {summary: The till is down}
"""
PROCEDURE = """
name: restart-till
title: Restart the till
grade: reversible
steps:
  - {name: restart, http: {method: PUT, url: "http://127.0.0.1:9/restart"}}
"""
SERIES, POINTS, LINES = 40, 60, 300


def wait(ask: Any, what: str) -> Any:
    """Call until true."""
    for _turn in range(600):
        try:
            found = ask()
        except httpx.HTTPError:
            found = None
        if found:
            return found
        time.sleep(0.1)
    raise SystemExit(f"{what} did not come")


def fill(client: httpx.Client) -> dict[str, Any]:
    """Write some of everything; return what must still be there after any upgrade."""

    def send(method: str, path: str, **more: Any) -> Any:
        answer = client.request(method, path, **more)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    for name, role in (("olga", "operator"), ("ada", "approver"), ("vera", "viewer")):
        send("POST", "/api/v1/users", json={"username": name, "role": role, "password": PASSWORD})
    send("POST", "/api/v1/users", json={"username": "robot", "role": "operator"})
    token = send("POST", "/api/v1/tokens", json={
        "name": "kept", "username": "olga", "scopes": ["read", "write"], "expires_in_days": None,
    })  # fmt: skip
    send("PUT", "/api/v1/secrets/till-key", json={"value": "of no use to anybody"})
    send("PUT", "/api/v1/settings/logs.retention_days", json={"value": 3650})
    send("POST", "/api/v1/resources", json={"kind": "service", "name": "till"})
    send("PUT", "/api/v1/procedures/restart-till", content=PROCEDURE, headers=YAML)
    send("PUT", "/api/v1/settings/execution.enabled", json={"value": True})
    send("PUT", "/api/v1/settings/execution.targets", json={"value": ["till"]})
    asked = {"reason": "of long ago", "targets": ["till"], "params": {}}
    run = send("POST", "/api/v1/procedures/restart-till/runs", json=asked)
    send("PUT", "/api/v1/rule-files/till", content=RULES, headers=YAML)
    incident = wait(lambda: send("GET", "/api/v1/incidents")["items"], "the incident")[0]
    now, dice, total = int(time.time()), random.Random(1), 0.0
    series = []
    for number in range(SERIES):
        values = [round(dice.random() * 100, 3) for _ in range(POINTS)]
        total += sum(values)
        points = [((now - 15 * (POINTS - at)) * 1000, value) for at, value in enumerate(values)]
        series.append(([("__name__", "old_metric"), ("n", str(number))], points))
    send("POST", "/prometheus/api/v1/write", content=bytes(cramjam.snappy.compress_raw(encode(series))), headers=WRITE)
    lines = [[str((now - at) * 10**9), f"line {at} of long ago"] for at in range(LINES)]
    send("POST", "/loki/api/v1/push", json={"streams": [{"stream": {"service": "old"}, "values": lines}]})
    wait(lambda: send("GET", "/api/v1/ledger/verify")["unsealed"] == 0, "the seal")
    verified = send("GET", "/api/v1/ledger/verify")
    assert verified["findings"] == [], verified
    return {
        "version": httpx.get(f"{client.base_url}/healthz").json()["version"],
        "password": PASSWORD,
        "token": token["token"],
        "users": ["ada", "admin", "olga", "robot", "vera"],
        "incident": {"number": incident["number"], "title": incident["title"]},
        "samples": {"metric": "old_metric", "at": now, "series": SERIES, "points": POINTS, "sum": total},
        "lines": {"service": "old", "count": LINES, "from": now - LINES, "to": now + 1},
        "procedure": "restart-till",
        "run": run["id"],
        "rule_file": "till",
        "secret": "till-key",
        "resource": "till",
    }


def main(old: Path, target: Path) -> None:
    """Start the old server on a fresh folder, fill it, stop it, pack its folder."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        given = {
            "PYTHONPATH": str(old),
            "TONGCHOU_DATA": str(data),
            "TONGCHOU_PORT": str(port),
            "TONGCHOU_ADMIN_PASSWORD": PASSWORD,
            "TONGCHOU_TELEMETRY_RETENTION_DAYS": "3650",
        }
        tokens = Path(scratch) / "token"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TONGCHOU_")}
        server = subprocess.Popen(
            [sys.executable, "-m", "tongchou.cli.main", "serve", "--token-file", str(tokens)],
            env={**kept, **given},
            cwd=old,
        )
        try:
            wait(tokens.exists, "the server")
            said = json.loads(tokens.read_text())
            with httpx.Client(
                base_url=said["url"], headers={"Authorization": f"Bearer {said['token']}"}, timeout=30
            ) as client:
                expected = fill(client)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        (data / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False))
        for path in [*data.rglob("*.lock"), data / "lock"]:
            path.unlink(missing_ok=True)
        with tarfile.open(target, "w:xz", preset=9) as tar:
            tar.add(data, "data")
    print(f"{target}: {target.stat().st_size:,} bytes, {expected['version']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
