"""remote_write in the event loop: the same as by Django for what a sender repeats, and nothing of anything else."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import cramjam
import httpx
import pytest
from django.http import HttpResponse
from django.test import Client

from tests.integrations.prometheus.test_remote_write import HEADERS, PROTO, URL, message, stored
from tests.served import Served
from tongchou import quickly
from tongchou.core import storage, tokens
from tongchou.core.access import Actor, system
from tongchou.core.models import User
from tongchou.integrations.prometheus import remote_write
from tongchou.telemetry import sender_limits
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.sender_limits import SenderLimits
from tongchou.wire.remote_write import encode

pytestmark = pytest.mark.django_db


class Sender:
    """Sends by Django, and asks the event loop."""

    def __init__(self, token: str) -> None:
        self.authorization = f"Bearer {token}"

    def by_django(self, body: bytes) -> HttpResponse:
        client = Client(headers={"Authorization": self.authorization, **HEADERS})
        return client.post(URL, data=bytes(cramjam.snappy.compress_raw(body)), content_type=PROTO)  # type: ignore[return-value]

    def quickly(self, body: bytes, **other: bytes) -> HttpResponse | None:
        """Without a database: Django refuses to ask one from an event loop."""
        headers = {
            b"authorization": self.authorization.encode(),
            b"content-type": PROTO.encode(),
            b"content-encoding": b"snappy",
            **{name.replace("_", "-").encode(): value for name, value in other.items()},
        }
        answer = asyncio.run(remote_write.write_quickly(headers, bytes(cramjam.snappy.compress_raw(body))))
        return None if answer is None else answer[1]


@pytest.fixture
def sender(operator_actor: Actor, telemetry_db: Telemetry, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """One that was let in; on a busy machine a second is over before the next line of a test is reached."""
    monkeypatch.setattr(quickly, "LET_IN_SECONDS", 60.0)
    monkeypatch.setattr(storage, "_LOOK_SECONDS", 60.0)
    who = User.objects.get(pk=operator_actor.user_id)
    _row, token = tokens.create(actor=system("tests"), user=who, name="sender", scopes=["ingest"], expires_at=None)
    made = Sender(token)
    assert made.quickly(message(telemetry_db, 1.0)) is None, "nobody was let in"
    for _new_then_known in range(2):
        assert made.by_django(message(telemetry_db, 1.0)).status_code == 204
    return made


def test_what_is_repeated_is_taken(telemetry_db: Telemetry, sender: Sender) -> None:
    answer = sender.quickly(message(telemetry_db, 2.0))
    assert answer is not None
    assert (answer.status_code, answer.content) == (204, b"")
    assert 2.0 in stored(telemetry_db).v.tolist()
    assert {each.name for each in telemetry_db.sources.all()} == {"token sender (operator)"}


def test_what_is_not_as_usual_is_left_to_django_and_nothing_of_it_is_taken(
    telemetry_db: Telemetry, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, new = message(telemetry_db, 3.0), message(telemetry_db, 3.0, name="new")
    assert sender.quickly(new) is None
    assert sender.quickly(known + new) is None
    assert sender.quickly(known, content_type=b"application/x-protobuf;proto=io.prometheus.write.v2.Request") is None
    assert sender.quickly(known, content_encoding=b"gzip") is None
    assert sender.quickly(known, authorization=b"Bearer tc_another") is None
    assert sender.quickly(b"\xff" * 20) is None
    assert sender.quickly(known + b"\0" * 2_000_000) is None, "too long for the loop"
    with monkeypatch.context() as patch:
        patch.setattr(storage.room, "known", lambda _folder: 1)
        assert sender.quickly(known) is None, "the disk is nearly full"
        patch.setattr(storage.room, "known", lambda _folder: None)
        assert sender.quickly(known) is None, "nobody looked at the disk"
    assert 3.0 not in stored(telemetry_db).v.tolist()
    assert sender.quickly(known) is not None


def test_a_sender_beyond_its_rate_is_told_by_django(
    telemetry_db: Telemetry, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_limits, "refreshed", lambda: SenderLimits(0, 1))
    monkeypatch.setattr(sender_limits, "current", lambda: SenderLimits(0, 1))
    one = message(telemetry_db, 1.0)
    since, at_once, taken = time.monotonic(), 0, 0
    while True:  # a minute's worth is saved up
        if sender.quickly(one) is not None:
            at_once += 1
        elif sender.by_django(one).status_code == 429:
            break
        taken += 1
    assert 55 <= taken <= 65 + (time.monotonic() - since)
    assert at_once > taken / 2, "most went by Django"


def test_a_refusal_in_part_is_told_as_django_tells_it(telemetry_db: Telemetry, sender: Sender) -> None:
    late = telemetry_db.clock() + 3_600_000
    body = encode([([("__name__", "up")], [(telemetry_db.clock(), 4.0), (late, 5.0)])])
    slow = sender.by_django(body)
    quick = sender.quickly(body)
    assert quick is not None
    assert (quick.status_code, json.loads(quick.content)) == (slow.status_code, json.loads(slow.content))
    assert quick.headers["Content-Type"] == slow.headers["Content-Type"]
    assert (quick.status_code, json.loads(quick.content)["code"]) == (400, "telemetry.samples_refused")
    assert 4.0 in stored(telemetry_db).v.tolist()


def test_who_waits_may_go_and_the_samples_are_taken(telemetry_db: Telemetry, sender: Sender) -> None:
    """A client that leaves cancels its own waiting, not what is under way for it and for others."""
    headers = {
        b"authorization": sender.authorization.encode(),
        b"content-type": PROTO.encode(),
        b"content-encoding": b"snappy",
    }
    body = bytes(cramjam.snappy.compress_raw(message(telemetry_db, 6.0)))
    ingest = telemetry_db.ingest

    async def leave() -> None:
        with ingest._lock:  # the writer cannot go on before the client is gone
            waiting = asyncio.create_task(remote_write.write_quickly(headers, body))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(leave())
    assert sender.quickly(message(telemetry_db, 7.0)) is not None
    deadline = time.monotonic() + 30  # nobody waits for the first any more: the second may be there before it
    while 6.0 not in stored(telemetry_db).v.tolist() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {6.0, 7.0} <= set(stored(telemetry_db).v.tolist())


@pytest.mark.timeout(120)
def test_a_token_that_is_revoked_while_it_sends_ends_within_two_seconds(tmp_path: Path) -> None:
    served = Served(tmp_path / "data").start()
    try:
        with served.client() as admin:
            made = admin.post("/api/v1/tokens", json={"name": "sender", "scopes": ["ingest"]}).raise_for_status().json()
            headers = {"Authorization": f"Bearer {made['token']}", "Content-Encoding": "snappy", "Content-Type": PROTO}
            with httpx.Client(base_url=served.url, headers=headers, timeout=30) as client:

                def send() -> int:
                    body = encode([([("__name__", "up")], [(int(1000 * time.time()), 1.0)])])
                    return client.post(URL, content=bytes(cramjam.snappy.compress_raw(body))).status_code

                assert {send() for _each in range(100)} == {204}
                asked = admin.get("/metrics").text
                admin.delete(f"/api/v1/tokens/{made['id']}").raise_for_status()
                ends = time.monotonic() + 2.0
                while send() == 204:
                    assert time.monotonic() < ends
            assert 'tongchou_http_request_duration_seconds_count{part="prometheus",status="2xx"} 100' in asked
    finally:
        served.stop()
