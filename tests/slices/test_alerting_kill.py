"""A server killed in the middle of `for` and in the middle of telling goes on where it was, and tells nothing twice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import httpx
import pytest

from tests.alerting.receiver import receiving
from tests.served import Served

pytestmark = pytest.mark.slice

RULES = """\
groups:
- name: g
  interval: 1s
  rules:
  - alert: Always
    expr: vector(1)
    for: 6s
    labels: {severity: page, service: orders}
    annotations: {summary: "value {{ $value }}"}
"""
SECRET = "whsec_" + base64.b64encode(b"a key for this test only").decode()


def alerts(client: httpx.Client, state: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = client.get("/api/v1/alerts", params={"state": state}).json()["items"]
    return found


def count(client: httpx.Client, verb: str) -> int:
    return len(client.get("/api/v1/events", params={"verb": verb}).json()["items"])


def test_killed_twice_an_alert_fires_once_and_is_told_once_with_its_signature(served: Served) -> None:
    with receiving(None) as receiver:  # the first try hangs, so that the second kill comes in the middle of it
        with served.client() as client:
            settings = {"url": receiver.url, "timeout_seconds": 3}
            channel = {"name": "ops", "kind": "webhook", "settings": settings, "secret": SECRET}
            client.post("/api/v1/channels", json=channel).raise_for_status()
            yaml = {"Content-Type": "application/yaml"}
            client.put("/api/v1/rule-files/r", content=RULES, headers=yaml).raise_for_status()
            pending = served.wait(lambda: alerts(client, "pending"), what="a pending alert")[0]
        served.kill()
        served.start()
        with served.client() as client:
            again = alerts(client, "pending")
            assert [each["id"] for each in again] == [pending["id"]], "the same alert, not a new one"
            assert receiver.got == []
            firing = served.wait(lambda: alerts(client, "firing"), seconds=60, what="a firing alert")[0]
            assert firing["id"] == pending["id"]
            served.wait(lambda: receiver.got, what="the first try")
        served.kill()
        served.start()
        with served.client() as client:
            served.wait(lambda: count(client, "notification.sent") == 1, seconds=60, what="the second try")
            assert count(client, "alert.fired") == 1
            assert count(client, "alert.group_opened") == 1
            client.delete("/api/v1/rule-files/r").raise_for_status()
            served.wait(lambda: count(client, "notification.sent") == 2, what="the end")
        told = [(json.loads(body)["status"], headers["webhook-id"]) for headers, body in receiver.got]
        assert [status for status, _id in told] == ["firing", "firing", "resolved"]
        assert told[0] == told[1], "the same message again, for the receiver to know it by its id"
        for headers, body in receiver.got:
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            mac = hmac.new(b"a key for this test only", signed, hashlib.sha256).digest()
            assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
