"""Spans: only who uses what is kept of them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.integrations.otlp.test_logs import JSON, PROTO
from tongchou.core.access import system
from tongchou.integrations.otlp import traces
from tongchou.integrations.otlp.edges import MOST_EDGES, Buffer, edges_of, peer_of
from tongchou.inventory import actions
from tongchou.inventory.models import Relation
from tongchou.inventory.models_seen import Use
from tongchou.wire.otlp_traces import CLIENT, PRODUCER, SERVER, decode, decode_json
from tongchou.wire.protobuf import message, number_field

URL = "/otlp/v1/traces"


@pytest.fixture(autouse=True)
def own_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "buffer", Buffer())


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def as_json(service: str, *spans: tuple[Any, dict[str, str]]) -> str:
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [attribute("service.name", service)] if service else []},
                    "scopeSpans": [
                        {
                            "spans": [
                                {
                                    "spanId": "b7ad6b7169203331",
                                    "kind": kind,
                                    "attributes": [attribute(*each) for each in told.items()],
                                }
                                for kind, told in spans
                            ]
                        }
                    ],
                }
            ]
        }
    )


@pytest.mark.django_db
def test_spans_become_relations_with_requests_a_minute_and_nothing_else(telemetry_db: Any, sender: Any) -> None:
    for kind, name in (("service", "shop"), ("service", "orders"), ("database", "postgresql"), ("queue", "kafka")):
        actions.create_resource(actor=system("tests"), kind=kind, name=name, keys=(f"service:{name}",))
    body = as_json(
        "shop",
        (CLIENT, {"peer.service": "orders"}),
        ("SPAN_KIND_CLIENT", {"db.system": "postgresql", "db.name": "shop", "db.statement": "select secret"}),
        (PRODUCER, {"messaging.system": "kafka", "messaging.destination.name": "paid"}),
        (SERVER, {"peer.service": "browser"}),
    )
    for _time in range(3):
        answer = sender(URL, gzip.compress(body.encode()), JSON, **{"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json()) == (200, {})
    traces.flush(at_least_seconds=0)
    found = {
        (row.from_resource.name, row.type, row.to_resource.name) for row in Relation.objects.filter(source="traces")
    }
    assert found == {("shop", "calls", "orders"), ("shop", "stores_in", "postgresql"), ("shop", "stores_in", "kafka")}
    assert all(row.count > 0 for row in Use.objects.all())
    assert "secret" not in str(list(Use.objects.values()))


@pytest.mark.django_db
def test_spans_of_nobody_are_a_partial_success(telemetry_db: Any, sender: Any) -> None:
    answer = sender(URL, as_json("", (CLIENT, {"peer.service": "orders"})), JSON)
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert "service.name" in answer.json()["partialSuccess"]["errorMessage"]


@pytest.mark.django_db
def test_what_cannot_be_read_is_refused_and_who_may_not_send_cannot(
    telemetry_db: Any, sender: Any, client: Any
) -> None:
    for body, kind, status in ((b"{", JSON, 400), (b"\x0a\xff", PROTO, 400), (b"{}", "text/plain", 415)):
        assert sender(URL, body, kind).status_code == status
    assert sender(URL, '{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"zz"}]}]}]}', JSON).status_code == 400
    assert client.post(URL, data="{}", content_type=JSON).status_code == 401


def test_protobuf_says_the_same_as_json() -> None:
    def pair(key: str, value: str) -> bytes:
        return message(1, key.encode()) + message(2, message(1, value.encode()))

    span = (
        message(2, bytes.fromhex("b7ad6b7169203331"))
        + number_field(6, CLIENT)
        + message(9, pair("peer.service", "orders"))
    )
    body = message(1, message(1, message(1, pair("service.name", "shop"))) + message(2, message(2, span)))
    assert decode(body) == decode_json(as_json("shop", (CLIENT, {"peer.service": "orders"})).encode())
    assert edges_of(decode(body)) == ({(("service:shop",), ("service:orders",)): 1}, 0)


@pytest.mark.parametrize(
    ("told", "ends"),
    [
        (
            {"server.address": "10.0.0.5", "server.port": 5432},
            ("addr:10.0.0.5:5432", "service:10.0.0.5", "addr:10.0.0.5"),
        ),
        ({"net.peer.name": "orders"}, ("service:orders", "addr:orders")),
        (
            {"db.system.name": "redis", "server.address": "c", "server.port": "x"},
            ("service:redis", "service:c", "addr:c"),
        ),
        ({"messaging.system": "kafka", "messaging.destination.name": "t"}, ("service:kafka/t", "service:kafka")),
        ({"peer.service": True, "server.address": ["x"]}, ()),
    ],
)
def test_the_other_side_is_told_by_what_says_most(told: dict[str, Any], ends: tuple[str, ...]) -> None:
    assert peer_of(CLIENT, told) == ends
    assert peer_of(SERVER, told) == ()


def test_the_buffer_is_bounded() -> None:
    buffer = Buffer()
    assert buffer.add({(("a",), (f"b{n}",)): 2 for n in range(MOST_EDGES + 5)}) == 10
    assert buffer.take() is None
    assert len(buffer.take(at_least_seconds=0) or ()) == MOST_EDGES
