"""/metrics: open to this host, closed to whoever comes through a proxy."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tongchou.api import health
from tongchou.core.access import Actor

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "store_stats", dict)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_metrics_are_open_on_this_host(address: str) -> None:
    answer = Client(REMOTE_ADDR=address).get("/metrics")
    assert answer.status_code == 200
    assert "process_resident_memory_bytes" in answer.content.decode()


def test_the_metrics_are_closed_to_another_host() -> None:
    assert Client(REMOTE_ADDR="192.0.2.1").get("/metrics").status_code == 401


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-IP", "Via"],
)
def test_a_request_that_a_proxy_on_this_host_passes_on_needs_a_token(
    header: str, api_as: Any, viewer_actor: Actor
) -> None:
    passed_on = {header: "127.0.0.1"}
    assert Client(REMOTE_ADDR="127.0.0.1", headers=passed_on).get("/metrics").status_code == 401
    token = api_as(viewer_actor, ["read"])._client.defaults["HTTP_AUTHORIZATION"]
    assert Client(headers={**passed_on, "Authorization": token}).get("/metrics").status_code == 200
    ingest = api_as(viewer_actor, ["ingest"])._client.defaults["HTTP_AUTHORIZATION"]
    assert Client(headers={**passed_on, "Authorization": ingest}).get("/metrics").status_code == 403
