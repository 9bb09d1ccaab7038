"""kill -9 while logs are pushed: what a sender was told is kept is there after the restart, whole and once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.served import Served

pytestmark = pytest.mark.slice
LINES = 40


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path / "data")
    yield one.start()
    one.stop()


def body(sender: int, batch: int) -> dict[str, object]:
    now = time.time_ns()
    values = [[str(now + n), f"sender={sender} batch={batch} line={n}"] for n in range(LINES)]
    return {"streams": [{"stream": {"service": "kill"}, "values": values}]}


def send(served: Served, sender: int, told: list[tuple[int, int]], over: threading.Event) -> None:
    """Push batch after batch, noting those that were acknowledged, until the server is gone."""
    with served.client() as client:
        for batch in range(10_000):
            try:
                if client.post("/loki/api/v1/push", json=body(sender, batch)).status_code != 204:
                    return
            except httpx.HTTPError:
                return
            told.append((sender, batch))
            if over.is_set():
                return


def test_a_killed_server_has_every_line_it_acknowledged(served: Served) -> None:
    token, told, over = served.token, [], threading.Event()
    senders = [threading.Thread(target=send, args=(served, number, told, over)) for number in range(4)]
    for thread in senders:
        thread.start()
    served.wait(lambda: len(told) > 20, what="twenty batches")
    served.kill()
    over.set()
    for thread in senders:
        thread.join(30)
    served.start()
    found: Counter[tuple[int, int]] = Counter()
    with served.client(token) as client:
        cursor = ""
        while cursor is not None:
            answer = client.get("/api/v1/logs", params={"query": "service:kill", "limit": 5000, "cursor": cursor})
            answer.raise_for_status()
            page = answer.json()
            for line in page["items"]:
                facts = dict(part.split("=") for part in line["body"].split())
                found[int(facts["sender"]), int(facts["batch"])] += 1
            cursor = page["next"]
    assert {key: found[key] for key in told} == dict.fromkeys(told, LINES)
    assert set(found.values()) == {LINES}
