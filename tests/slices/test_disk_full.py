"""A full disk under the served platform: a clear refusal, nothing acknowledged lost, recovery without a restart."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.served import Served

pytestmark = pytest.mark.slice


def _may_mount() -> bool:
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return False
    trial = subprocess.run(
        ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"], capture_output=True, timeout=20
    )
    return trial.returncode == 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    shell = f'mount -t tmpfs -o size=256m,mode=700 tmpfs {data} && exec "$@"'
    one = Served(data, prefix=["unshare", "-rm", "sh", "-c", shell, "sh"])
    yield one.start()
    one.stop()


def inside(served: Served, command: str) -> None:
    assert served.process is not None
    subprocess.run(
        ["nsenter", "-t", str(served.process.pid), "-U", "-m", "sh", "-c", command],
        check=False,
        capture_output=True,
        timeout=60,
    )


def make(client: Any, name: str) -> Any:
    return client.post("/api/v1/users", json={"username": name, "role": "viewer", "display_name": "x" * 100})


@pytest.mark.skipif(not _may_mount(), reason="needs a small tmpfs in a mount namespace, which this system refuses")
def test_a_full_disk_is_refused_clearly_and_heals_by_itself(served: Served) -> None:
    acknowledged: list[str] = []
    refused: list[Any] = []
    with served.client() as client:
        for i in range(5):
            assert make(client, f"before{i}").status_code == 201
            acknowledged.append(f"before{i}")
        inside(
            served, f"dd if=/dev/zero of={served.data}/ballast bs=64k; dd if=/dev/zero of={served.data}/ballast2 bs=1k"
        )
        for i in range(400):
            answer = make(client, f"during{i}")
            if answer.status_code == 201:
                acknowledged.append(f"during{i}")  # free pages inside the database file still take rows
                continue
            refused.append(answer)
            if len(refused) >= 5:
                break
        assert refused, "the disk did not fill"
        for answer in refused:
            assert answer.status_code == 507, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "database.full"
            assert answer.json()["remedy"]
        assert client.get("/api/v1/me").status_code == 200, "reading goes on"
        inside(served, f"rm -f {served.data}/ballast {served.data}/ballast2")
        served.wait(lambda: make(client, "after").status_code in (201, 409), what="a write after room was made")
        acknowledged.append("after")
        found = {each["username"] for each in client.get("/api/v1/users", params={"limit": 500}).json()["items"]}
        assert set(acknowledged) <= found
        assert client.get("/api/v1/ledger/verify").json()["findings"] == []


def push(client: Any, batch: int, size: int = 400) -> Any:
    """Push a batch of lines that compress badly; each line says its batch and number."""
    now, dice = time.time_ns(), random.Random(batch)
    values = [[str(now + n), f"batch={batch} line={n} {dice.randbytes(size).hex()}"] for n in range(50)]
    return client.post("/loki/api/v1/push", json={"streams": [{"stream": {"service": "disk"}, "values": values}]})


def batches(client: Any) -> Counter[int]:
    """Lines there are, by batch."""
    found: Counter[int] = Counter()
    cursor = ""
    while True:
        given = {"query": "service:disk", "limit": 5000, "cursor": cursor}
        answer = client.get("/api/v1/logs", params=given)
        answer.raise_for_status()
        body = answer.json()
        found.update(int(line["body"].split("=")[1].split()[0]) for line in body["items"])
        if not body["next"]:
            return found
        cursor = body["next"]


@pytest.mark.skipif(not _may_mount(), reason="needs a small tmpfs in a mount namespace, which this system refuses")
def test_log_lines_on_a_full_disk_are_refused_and_none_that_was_taken_is_lost(served: Served) -> None:
    taken, refused = [], []
    with served.client() as client:
        for batch in range(5):
            assert push(client, batch).status_code == 204
            taken.append(batch)
        inside(served, f"dd if=/dev/zero of={served.data}/ballast bs=64k; dd if=/dev/zero of={served.data}/b2 bs=1k")
        for batch in range(5, 100):
            answer = push(client, batch)
            if answer.status_code == 204:
                taken.append(batch)
                continue
            refused.append(answer)
            if len(refused) == 5:
                break
        assert [answer.status_code for answer in refused] == [507] * 5, refused[0].text
        assert {answer.headers["Retry-After"] for answer in refused} == {"5"}
        assert batches(client).keys() >= set(taken), "reading goes on"
        inside(served, f"rm -f {served.data}/ballast {served.data}/b2")
        served.wait(lambda: push(client, 1000).status_code == 204, what="a push after room was made")
        taken.append(1000)
        found = batches(client)
    assert {batch: found[batch] for batch in taken} == dict.fromkeys(taken, 50)
    assert set(found.values()) == {50}, "no batch is there in part"
