"""The webhook on a real socket: body, signature, outcomes."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.alerting.receiver import receiving
from tongchou.alerting.ports import AlertMessage, Channel, Message
from tongchou.core.problems import Invalid
from tongchou.core.registry import implementations
from tongchou.core.webhook_signature import signature
from tongchou.integrations.webhook.body import encode
from tongchou.integrations.webhook.channel import CHANNEL

AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def alert(**changes: Any) -> AlertMessage:
    fields: dict[str, Any] = {
        "status": "firing",
        "labels": {"alertname": "Down", "service": "orders", "instance": "a:1"},
        "annotations": {"summary": "订单 is down"},
        "starts_at": AT,
        "ends_at": None,
        "fingerprint": "0011223344556677",
        "generator_url": "http://here/x",
    }
    return AlertMessage(**{**fields, **changes})


MESSAGE = Message(
    id="msg_1",
    status="firing",
    receiver="ops",
    group_key='{}:{service="orders"}',
    group_labels={"service": "orders"},
    alerts=(alert(), alert(labels={"alertname": "Down", "service": "orders", "instance": "b:1"})),
    truncated=3,
    external_url="http://here",
    url="http://here/g",
)


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]


def test_is_found_as_a_channel() -> None:
    assert CHANNEL in implementations(Channel)  # type: ignore[type-abstract]  # a Protocol as key


def test_the_body_is_alertmanagers_version_4() -> None:
    with receiving() as receiver:
        outcome = CHANNEL.send(CHANNEL.check({"url": receiver.url}), None, MESSAGE)
    assert (outcome.delivered, outcome.detail) == (True, "HTTP 200")
    assert receiver.bodies() == [
        {
            "version": "4",
            "groupKey": '{}:{service="orders"}',
            "truncatedAlerts": 3,
            "status": "firing",
            "receiver": "ops",
            "groupLabels": {"service": "orders"},
            "commonLabels": {"alertname": "Down", "service": "orders"},
            "commonAnnotations": {"summary": "订单 is down"},
            "externalURL": "http://here",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "Down", "service": "orders", "instance": instance},
                    "annotations": {"summary": "订单 is down"},
                    "startsAt": "2026-01-02T03:04:05Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://here/x",
                    "fingerprint": "0011223344556677",
                }
                for instance in ("a:1", "b:1")
            ],
        }
    ]


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_" + base64.b64encode(b"0123456789abcdef").decode(), b"0123456789abcdef"),
        ("plain text", b"plain text"),
    ],
)
def test_a_receiver_can_check_the_signature(secret: str, key: bytes) -> None:
    with receiving() as receiver:
        CHANNEL.send(CHANNEL.check({"url": receiver.url, "headers": {"X-Team": "ops"}}), secret, MESSAGE)
    headers, body = receiver.got[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == "msg_1"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert headers["content-type"] == "application/json"
    assert headers["x-team"] == "ops"


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of the Standard Webhooks specification.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected


@given(st.binary(), st.binary(), st.integers(0, 2**40))
def test_another_body_has_another_signature(one: bytes, other: bytes, at: int) -> None:
    assert (signature("s", "m", at, one) == signature("s", "m", at, other)) == (one == other)


@pytest.mark.parametrize(
    ("status", "retry"), [(500, True), (503, True), (429, True), (408, True), (400, False), (404, False), (410, False)]
)
def test_what_a_refusal_means(status: int, retry: bool) -> None:
    with receiving(status) as receiver:
        outcome = CHANNEL.send(CHANNEL.check({"url": receiver.url}), None, MESSAGE)
    assert (outcome.delivered, outcome.retry) == (False, retry)
    assert f"HTTP {status}" in outcome.detail


def test_a_redirect_is_not_followed() -> None:
    with receiving(302) as receiver:
        outcome = CHANNEL.send(CHANNEL.check({"url": receiver.url}), None, MESSAGE)
    assert not outcome.delivered
    assert "redirect" in outcome.detail


def test_a_receiver_that_hangs_is_left_after_the_timeout() -> None:
    with receiving(None) as receiver:
        outcome = CHANNEL.send(CHANNEL.check({"url": receiver.url, "timeout_seconds": 0.2}), None, MESSAGE)
    assert (outcome.delivered, outcome.retry) == (False, True)
    assert "timeout" in outcome.detail


def test_nobody_there_is_an_outcome_not_an_error() -> None:
    with receiving() as receiver:
        url = receiver.url
    outcome = CHANNEL.send(CHANNEL.check({"url": url}), None, MESSAGE)
    assert (outcome.delivered, outcome.retry) == (False, True)


def test_an_address_we_may_not_reach_is_refused(settings: Any) -> None:
    settings.HTTP_ALLOW = []
    outcome = CHANNEL.send(CHANNEL.check({"url": "http://127.0.0.1:1/"}), None, MESSAGE)
    assert not outcome.delivered
    assert "loopback" in outcome.detail


@pytest.mark.parametrize(
    ("settings_", "field"),
    [
        ({}, "settings.url"),
        ({"url": "ftp://x/"}, "settings.url"),
        ({"url": "not a url"}, "settings.url"),
        ({"url": 5}, "settings.url"),
        ({"url": "http://x/", "timeout_seconds": 0}, "settings.timeout_seconds"),
        ({"url": "http://x/", "timeout_seconds": 1000}, "settings.timeout_seconds"),
        ({"url": "http://x/", "headers": {"Webhook-Id": "x"}}, "settings.headers"),
        ({"url": "http://x/", "headers": {"A": "b\r\nC: d"}}, "settings.headers"),
        ({"url": "http://x/", "headers": []}, "settings.headers"),
        ({"url": "http://x/", "password": "x"}, "settings.password"),
    ],
)
def test_settings_that_do_not_fit_name_their_field(settings_: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        CHANNEL.check(settings_)
    assert refused.value.field == field


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_message_is_json_whatever_the_labels_hold(text: str) -> None:
    message = Message("m", "firing", "r", "k", {}, (alert(labels={"alertname": text}),), 0, "", "")
    assert json.loads(encode(message))["alerts"][0]["labels"] == {"alertname": text}
