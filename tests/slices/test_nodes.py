"""Three processes are one platform on PostgreSQL and ClickHouse; the one that holds the duties is killed, then each
store falls silent: nothing acknowledged is lost, nobody is told twice, everything goes on by itself."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cramjam
import httpx
import pytest

from tests.alerting.receiver import receiving
from tests.clickhouse_http import ClickHouse
from tests.postgres import Postgres, bindir
from tests.served import Served, free_port
from tongchou.wire.remote_write import encode

pytestmark = [
    pytest.mark.slice,
    pytest.mark.skipif(bindir() is None, reason="no PostgreSQL server is installed"),
]
PASSWORD = "correct horse battery"
GROUPS = 12
MOST_ON_THEIR_WAY = 2
MOVES_WITHIN_SECONDS = 15.0
RULES = "groups:\n- name: g\n  interval: 1s\n  rules:\n" + "".join(
    f"  - alert: Of{number}\n    expr: vector(1)\n    labels: {{severity: page, service: s{number}}}\n"
    for number in range(GROUPS)
)
FOLLOWED = """groups:
- name: followed
  interval: 1s
  rules:
  - record: seen:value
    expr: max(pushed_value)
"""


class Platform:
    """The stores and the processes of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Postgres()
        self.clickhouse = ClickHouse(folder / "clickhouse", free_port())
        self.environment = {
            "TONGCHOU_DATABASE_URL": self.postgres.url,
            "TONGCHOU_CLICKHOUSE_URL": self.clickhouse.url,
            "TONGCHOU_DATABASE_TIMEOUT_SECONDS": "4",
            "TONGCHOU_SECRET_KEY": "for this test only " * 4,
            "TONGCHOU_SECRETS_KEY_FILE": str(folder / "secrets.key"),
            "TONGCHOU_LEDGER_KEY_FILE": str(folder / "ledger.key"),
            "TONGCHOU_ADMIN_PASSWORD": PASSWORD,
        }
        self.nodes: dict[str, Served] = {}
        self.spare: list[subprocess.Popen[bytes]] = []

    def node(self, name: str, role: str, **more: str) -> Served:
        """A process that is not started yet."""
        environment = {**self.environment, "TONGCHOU_NODE": name, **more}
        self.nodes[name] = Served(self.folder / name, arguments=["--role", role], **environment)
        self.nodes[name].start_seconds = 240  # three at once, and one of them migrates first
        return self.nodes[name]

    def start(self) -> None:
        """Start all at once."""
        failures: list[BaseException] = []

        def start(served: Served) -> None:
            try:
                served.start()
            except AssertionError as failure:
                failures.append(failure)

        threads = [threading.Thread(target=start, args=(each,)) for each in self.nodes.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def close(self) -> None:
        """End everything."""
        self.postgres.go_on()
        self.clickhouse.go_on()
        for spare in self.spare:
            spare.kill()
            spare.wait()
        for each in self.nodes.values():
            if each.process is not None and each.process.poll() is None:
                each.kill()
        self.clickhouse.close()
        self.postgres.close()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    one = Platform(tmp_path)
    yield one
    one.close()


def until(ask: Callable[[], Any], what: str, seconds: float = 40.0) -> tuple[Any, float]:
    """Ask until the answer is true; the answer and how long it took."""
    began = time.monotonic()
    while True:
        try:
            found = ask()
        except httpx.HTTPError:
            found = None
        if found:
            return found, time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what} did not come within {seconds:g} s")
        time.sleep(0.1)


def holder(client: httpx.Client, duty: str = "alerting.evaluate") -> str:
    """The node that is alive and holds a duty; "" for nobody."""
    answer = client.get("/api/v1/nodes")
    items = answer.json()["items"] if answer.status_code == 200 else []
    return next((each["name"] for each in items if each["state"] == "alive" and duty in each["duties"]), "")


def count(client: httpx.Client, verb: str) -> int:
    answer = client.get("/api/v1/events", params={"verb": verb, "limit": 500})
    return len(answer.json()["items"]) if answer.status_code == 200 else -1


def push(client: httpx.Client, value: float) -> httpx.Response:
    labels = [("__name__", "pushed_value"), ("from", "test")]
    body = bytes(cramjam.snappy.compress_raw(encode([(labels, [(time.time_ns() // 1_000_000, value)])])))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    return client.post("/prometheus/api/v1/write", content=body, headers=headers)


def value(client: httpx.Client, query: str) -> float | None:
    answer = client.get("/prometheus/api/v1/query", params={"query": query})
    found = answer.json()["data"]["result"] if answer.status_code == 200 else []
    return float(found[0]["value"][1]) if found else None


def signed_in(served: Served) -> httpx.Cookies:
    """The cookies of a person who signed in there."""
    with httpx.Client(base_url=served.url, timeout=30) as client:
        client.get("/accounts/login/")
        form = {"login": "admin", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        answer = client.post("/accounts/login/", data=form, headers={"Referer": served.url})
        assert answer.status_code == 302, answer.text[:500]
        return client.cookies


def listen(served: Served, told: list[str], ready: threading.Event) -> None:
    """Collect the verbs of the live stream of one node."""
    cookies = signed_in(served)
    with (
        suppress(httpx.HTTPError),  # the story ended early: the test says why
        httpx.Client(base_url=served.url, cookies=cookies, timeout=60) as client,
        client.stream("GET", "/live/events") as stream,
    ):
        for line in stream.iter_lines():
            if line.startswith("event: hello"):
                ready.set()
            if line.startswith("data:") and "verb" in line:
                told.append(json.loads(line[5:])["verb"])
                if told[-1] == "team.created":
                    return


def timed(ask: Callable[[], httpx.Response]) -> tuple[int, float]:
    """The status of an answer and how long it took."""
    began = time.monotonic()
    return ask().status_code, time.monotonic() - began


def test_three_processes_are_one_platform_and_outlive_a_kill_and_silent_stores(platform: Platform) -> None:
    began = time.monotonic()
    front, both = platform.node("front", "web"), platform.node("both", "all")
    platform.node("work", "worker")
    platform.start()
    print(f"\nthree nodes ready after {time.monotonic() - began:.1f} s")
    with receiving() as receiver, front.client() as client, both.client() as other:
        first, _seconds = until(lambda: holder(client), "a holder of the duties")
        check_shared(platform, front, both, client, other)
        print(f"+{time.monotonic() - began:.1f} s")
        kill_the_holder(platform, receiver, first, client)
        print(f"+{time.monotonic() - began:.1f} s")
        silent_database(platform, client)
        print(f"+{time.monotonic() - began:.1f} s")
        silent_store(platform, client)
    print(f"the whole story took {time.monotonic() - began:.1f} s")


def check_shared(platform: Platform, front: Served, both: Served, client: httpx.Client, other: httpx.Client) -> None:
    """Sessions, live streams and samples cross processes; another key does not come in."""
    stranger = platform.node("stranger", "web", TONGCHOU_SECRET_KEY="another key " * 5).spawn()
    platform.spare.append(stranger)
    told: list[str] = []
    ready = threading.Event()
    listener = threading.Thread(target=listen, args=(front, told, ready), daemon=True)
    listener.start()
    cookies = signed_in(front)
    assert httpx.get(f"{both.url}/admin/nodes", cookies=cookies, timeout=90).status_code == 200, "the session crosses"
    assert ready.wait(30)
    other.post("/api/v1/teams", json={"name": "night"}).raise_for_status()
    _found, seconds = until(lambda: "team.created" in told, "the event in the other process's stream")
    print(f"a change in one process is in the live stream of another after {seconds:.2f} s")
    push(client, 1.0).raise_for_status()
    _found, seconds = until(lambda: value(other, "pushed_value") == 1.0, "the sample in the other process")
    print(f"a sample acknowledged by one process is read in another after {seconds:.2f} s")
    assert stranger.wait(60) == 1
    refused = platform.nodes.pop("stranger").log.read_text()
    assert "TONGCHOU_SECRET_KEY" in refused
    assert "another key" not in refused


def kill_the_holder(platform: Platform, receiver: Any, first: str, client: httpx.Client) -> None:
    """Kill the holder of the duties while notices are on their way; everything is done once by the others."""
    settings = {"url": receiver.url, "timeout_seconds": 5}
    client.post("/api/v1/channels", json={"name": "ops", "kind": "webhook", "settings": settings}).raise_for_status()
    yaml = {"Content-Type": "application/yaml"}
    client.put("/api/v1/rule-files/followed", content=FOLLOWED, headers=yaml).raise_for_status()
    client.put("/api/v1/rule-files/r", content=RULES, headers=yaml).raise_for_status()
    until(lambda: count(client, "alert.group_opened") >= 1, "the first group")
    killed = time.monotonic()
    platform.nodes[first].kill()
    second, seconds = until(lambda: (found := holder(client)) != first and found, "a new holder")
    print(f"the duties moved from {first} to {second} after {seconds:.1f} s")
    assert seconds <= MOVES_WITHIN_SECONDS
    push(client, 2.0).raise_for_status()
    until(lambda: value(client, "seen:value") == 2.0, "a rule's result from a fresh sample")
    print(f"rules follow new samples again {time.monotonic() - killed:.1f} s after the kill")
    until(lambda: count(client, "alert.group_opened") == GROUPS, "every group")
    until(lambda: count(client, "incident.opened") >= GROUPS, "every incident")
    until(lambda: count(client, "notification.sent") >= GROUPS, "every notice", 60)
    until(lambda: not client.get("/api/v1/jobs", params={"state": "running"}).json()["items"], "the end of the jobs")
    ids = Counter(headers["webhook-id"] for headers, _body in receiver.got)
    print(f"{len(receiver.got)} webhook requests with {len(ids)} ids for {GROUPS} groups")
    assert len(ids) == GROUPS, "one notice a group"
    # What was on its way when its node was killed is sent again, with the same id; nothing else comes twice.
    assert max(ids.values()) <= 2
    assert len(receiver.got) - GROUPS <= MOST_ON_THEIR_WAY
    assert count(client, "alert.group_opened") == count(client, "incident.opened") == GROUPS
    assert count(client, "notification.sent") == GROUPS
    assert client.get("/api/v1/jobs", params={"state": "dead"}).json()["items"] == []
    states = {each["name"]: each["state"] for each in client.get("/api/v1/nodes").json()["items"]}
    assert states.pop(first) == "gone"
    assert set(states.values()) == {"alive"}


def silent_database(platform: Platform, client: httpx.Client) -> None:
    """PostgreSQL stops answering: requests end soon and say so; then all goes on."""
    platform.postgres.stop()
    status, seconds = timed(lambda: client.get("/api/v1/jobs"))
    print(f"with a silent PostgreSQL a request ends with {status} after {seconds:.1f} s")
    assert status == 503
    assert seconds < 15
    platform.postgres.go_on()
    _found, seconds = until(lambda: client.get("/api/v1/jobs").status_code == 200, "the API again")
    print(f"answered again {seconds:.1f} s after PostgreSQL was back")
    until(lambda: holder(client), "a holder again")


def silent_store(platform: Platform, client: httpx.Client) -> None:
    """ClickHouse stops answering: writes and queries are refused within bounds; then all goes on."""
    platform.clickhouse.stop()
    status, seconds = timed(lambda: push(client, 3.0))
    print(f"with a silent ClickHouse a write ends with {status} after {seconds:.1f} s")
    assert status == 503
    assert seconds < 25
    ask = {"params": {"query": "pushed_value"}}  # for 15 s the window in memory may still answer
    until(lambda: client.get("/prometheus/api/v1/query", **ask).status_code == 503, "a refused query")
    status, seconds = timed(lambda: client.get("/prometheus/api/v1/query", **ask))
    print(f"and a query with {status} after {seconds:.1f} s")
    assert status == 503
    assert seconds < 5
    platform.clickhouse.go_on()
    _found, seconds = until(lambda: push(client, 4.0).status_code in (200, 204), "a write again")
    print(f"written again {seconds:.1f} s after ClickHouse was back")
    until(lambda: value(client, "seen:value") == 4.0, "a rule's result again")
