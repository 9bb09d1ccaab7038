"""Back up while writing goes on, wreck both stores, restore: what was acknowledged before the backup is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import cramjam
import httpx
import pytest

from tests.served import Served
from tongchou.wire.remote_write import encode

pytestmark = pytest.mark.slice
HEADERS = {
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
"""
PHRASE = "correct horse battery staple"
FILES = {
    "graph.png": bytes.fromhex("89504e470d0a1a0a") + os.urandom(700_000),  # more than one piece of an upload
    "收银台.txt": "值班记录：收银台停了\n".encode(),
}


def command(data: Path, *words: str, code: int = 0, **environment: str) -> str:
    """Run `tongchou ...` on a data folder; return what it prints."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TONGCHOU_")}
    done = subprocess.run(
        [sys.executable, "-m", "tongchou.cli.main", *words],
        env={**kept, "TONGCHOU_DATA": str(data), "TONGCHOU_LANGUAGE": "en", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


class Writer(threading.Thread):
    """Keeps writing people, samples and lines; remembers what was acknowledged, and when."""

    def __init__(self, served: Served) -> None:
        super().__init__(daemon=True)
        self.served, self.ending, self.acknowledged = served, threading.Event(), list[tuple[float, int]]()

    def run(self) -> None:
        number = 0
        with self.served.client() as client:
            while not self.ending.is_set():
                number += 1
                try:
                    self.write(client, number)
                except httpx.HTTPError:
                    return
                self.acknowledged.append((time.time(), number))

    @staticmethod
    def write(client: httpx.Client, number: int) -> None:
        now_ms = time.time_ns() // 1_000_000
        body = encode([([("__name__", "kept"), ("n", str(number))], [(now_ms, number + 0.5)])])
        answers = [
            client.post("/api/v1/users", json={"username": f"u{number}", "role": "viewer"}),
            client.post("/prometheus/api/v1/write", content=bytes(cramjam.snappy.compress_raw(body)), headers=HEADERS),
            client.post(
                "/loki/api/v1/push",
                json={
                    "streams": [{"stream": {"service": "kept"}, "values": [[str(now_ms * 10**6), f"line {number}"]]}]
                },
            ),
        ]
        for answer in answers:
            answer.raise_for_status()

    def done_before(self, at: float) -> list[int]:
        return [number for when, number in self.acknowledged if when < at]


def numbers_there(client: httpx.Client) -> tuple[set[int], set[int], set[int]]:
    """The numbers of people, samples and lines that are there."""
    users: set[int] = set()
    while True:
        page = client.get("/api/v1/users", params={"limit": 500, "offset": len(users)}).json()
        fresh = {int(each["username"][1:]) for each in page["items"] if each["username"][1:].isdigit()}
        users |= fresh
        if len(page["items"]) < 500:
            break
    answer = client.get("/prometheus/api/v1/query", params={"query": "last_over_time(kept[1h])"}).json()
    samples = {int(each["metric"]["n"]) for each in answer["data"]["result"]}
    assert all(float(each["value"][1]) == int(each["metric"]["n"]) + 0.5 for each in answer["data"]["result"])
    lines: set[int] = set()
    cursor = ""
    while True:
        given = {"query": "service:kept", "limit": 5000, "cursor": cursor}
        page = client.get("/api/v1/logs", params=given).json()
        lines |= {int(each["body"].split()[1]) for each in page["items"]}
        cursor = page["next"]
        if not cursor:
            return users, samples, lines


def attach(client: httpx.Client, on: str, name: str, data: bytes) -> str:
    """Attach a file to a noun; return the attachment's id."""
    answer = client.post("/api/v1/attachments", data={"ref": on}, files={"file": (name, data)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def wreck(data: Path) -> None:
    """Overwrite one store, delete the other, lose the attached files."""
    database = data / "tongchou.sqlite3"
    database.write_bytes(b"garbage" * 1000)
    for end in ("-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)
    shutil.rmtree(data / "telemetry")
    shutil.rmtree(data / "telemetry-journal")
    found = [each for each in (data / "files").rglob("*") if each.is_file()]
    assert found, "there is something to lose"
    for number, each in enumerate(found):
        each.write_bytes(b"garbage") if number % 2 else each.unlink()


def test_everything_acknowledged_before_the_backup_survives_the_loss_of_both_stores(
    served: Served, tmp_path: Path
) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text(PHRASE)
    with served.client() as client:
        assert client.put("/api/v1/secrets/kept-secret", json={"value": "not in clear"}).status_code == 204
        yaml = {"Content-Type": "application/yaml"}
        client.put("/api/v1/rule-files/till", content=RULES, headers=yaml).raise_for_status()
        served.wait(lambda: client.get("/api/v1/incidents").json()["items"], what="the incident")
        incident = client.get("/api/v1/incidents").json()["items"][0]
        on = f"incidents.incident:{incident['id']}"
        attached = {name: attach(client, on, name, data) for name, data in FILES.items()}
    writer = Writer(served)
    writer.start()
    served.wait(lambda: len(writer.acknowledged) > 20, what="some writes")
    began = time.time()
    told = command(
        served.data, "backup", "--to", str(tmp_path / "out"), "--passphrase-file", str(phrase),
        TONGCHOU_TOKEN=served.token, TONGCHOU_PORT=str(served.port),
    )  # fmt: skip
    at_backup = len(writer.acknowledged)
    served.wait(lambda: len(writer.acknowledged) > at_backup + 5, what="writes after the backup")
    file = Path(told.splitlines()[0])
    assert file.parent == tmp_path / "out"
    served.kill()
    writer.ending.set()
    writer.join(30)
    wanted = set(writer.done_before(began))
    assert len(wanted) > 20
    raw = file.read_bytes()
    assert b"line 1" not in raw
    assert b"sqlite" not in raw

    wreck(served.data)
    refused = command(served.data, "restore", str(file), "--passphrase-file", str(phrase), code=1)
    assert "restore.not_empty" in refused
    assert "--force" in refused
    wrong = tmp_path / "wrong"
    wrong.write_text("another phrase altogether")
    assert "backup.wrong_key" in command(
        served.data, "restore", str(file), "--passphrase-file", str(wrong), "--force", code=1
    )
    told = command(served.data, "restore", str(file), "--passphrase-file", str(phrase), "--force")
    assert "ledger: verified" in told
    aside = [each for each in served.data.iterdir() if ".before-restore-" in each.name]
    assert any(each.name.startswith("tongchou.sqlite3") and each.read_bytes()[:7] == b"garbage" for each in aside)

    served.start()
    with served.client() as client:
        for there in numbers_there(client):
            assert wanted <= there
        assert client.get("/api/v1/ledger/verify").json()["findings"] == []
        found = {each["number"]: each["title"] for each in client.get("/api/v1/incidents").json()["items"]}
        assert found[incident["number"]] == incident["title"]
        assert client.get("/api/v1/attachments", params={"ref": on}).json()["count"] == len(FILES)
        for name, row in attached.items():
            assert client.get(f"/api/v1/attachments/{row}/content").content == FILES[name], name
        assert "kept-secret" in [each["name"] for each in client.get("/api/v1/secrets").json()["items"]]
        restored = client.get("/api/v1/events", params={"verb": "backup.restored"}).json()["items"]
        assert len(restored) == 1
        states = [each["state"] for each in client.get("/api/v1/backups").json()["items"]]
        assert states == ["failed"], "the backup that was being made when it was written is not made again"
        once = [each["name"] for each in client.get("/api/v1/secrets").json()["items"]]
        assert not [each for each in once if each.startswith("backup.once.")]
        events = client.get("/api/v1/events", params={"verb": "user.created", "limit": 500}).json()["items"]
        names = [each["payload"]["username"] for each in events]
        assert len(names) == len(set(names))
        Writer.write(client, 999_999)
        for there in numbers_there(client):
            assert 999_999 in there, "writing goes on"


def test_a_stopped_server_is_backed_up_directly_and_a_damaged_file_changes_nothing(
    served: Served, tmp_path: Path
) -> None:
    with served.client() as client:
        for number in range(1, 6):
            Writer.write(client, number)
    served.kill()  # some samples are in the journal only
    told = command(served.data, "backup", "--to", str(tmp_path / "one.backup"), "--with-keys")
    assert str(tmp_path / "one.backup") in told
    assert "good" in command(served.data, "backup", "verify", str(tmp_path / "one.backup"))
    whole = (tmp_path / "one.backup").read_bytes()
    (tmp_path / "bad.backup").write_bytes(whole[: len(whole) // 2])
    assert "backup.damaged" in command(served.data, "backup", "verify", str(tmp_path / "bad.backup"), code=1)
    before = {each: each.stat().st_mtime_ns for each in served.data.iterdir() if each.is_file() and each.name != "lock"}
    assert "backup.damaged" in command(served.data, "restore", str(tmp_path / "bad.backup"), "--force", code=1)
    after = {each: each.stat().st_mtime_ns for each in served.data.iterdir() if each.is_file() and each.name != "lock"}
    assert {each: at for each, at in after.items() if not each.name.endswith(("-wal", "-shm"))} == {
        each: at for each, at in before.items() if not each.name.endswith(("-wal", "-shm"))
    }

    elsewhere = Served(tmp_path / "elsewhere")
    assert "ledger: verified" in command(elsewhere.data, "restore", str(tmp_path / "one.backup"))
    elsewhere.start()
    try:
        with elsewhere.client() as client:
            assert all(there == {1, 2, 3, 4, 5} for there in numbers_there(client))
            assert client.get("/api/v1/ledger/verify").json()["findings"] == []
    finally:
        elsewhere.stop()


def test_the_server_is_asked_with_a_token_and_says_what_is_wrong(served: Served, tmp_path: Path) -> None:
    told = command(served.data, "backup", "--to", str(tmp_path), code=1, TONGCHOU_PORT=str(served.port))
    assert "backup.no_token" in told
    told = command(served.data, "backup", code=1, TONGCHOU_PORT=str(served.port), TONGCHOU_TOKEN="tc_wrong")
    assert "token.refused" in told
    with served.client() as client:
        assert client.put("/api/v1/settings/backup.folder", json={"value": str(tmp_path)}).status_code == 200
        made = command(served.data, "backup", TONGCHOU_PORT=str(served.port), TONGCHOU_TOKEN=served.token)
        assert Path(made.splitlines()[0]).parent == tmp_path
        row = client.get("/api/v1/backups").json()["items"][0]
        assert row["state"] == "done"
        assert not row["with_keys"], "keys are not written beside what they open"
        assert client.post(f"/api/v1/backups/{row['id']}/verify").status_code == 202
        one = f"/api/v1/backups/{row['id']}"
        served.wait(lambda: client.get(one).json()["verified_at"], what="the verdict")
        assert client.get(one).json()["verify_problem"] == {}
        Path(row["path"]).write_bytes(b"x" * 5000)
        first = client.get(one).json()["verified_at"]
        assert client.post(f"/api/v1/backups/{row['id']}/verify").status_code == 202
        served.wait(lambda: client.get(one).json()["verified_at"] != first, what="another verdict")
        assert client.get(one).json()["verify_problem"]["code"] == "backup.damaged"
        verbs = {each["verb"] for each in client.get("/api/v1/events", params={"limit": 500}).json()["items"]}
        assert {"backup.requested", "backup.made", "backup.verified", "backup.damaged"} <= verbs
