"""/metrics: open to this host, closed to whoever comes through a proxy."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client

from tongchou.alerting import actions
from tongchou.alerting.models import Channel
from tongchou.core import meters
from tongchou.core.access import Actor, system
from tongchou.core.models import User
from tongchou.core.problems import Unavailable
from tongchou.telemetry import reads
from tongchou.telemetry.backend import Telemetry
from tongchou.web import live

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(telemetry_db: Telemetry) -> None:
    """A store of this test's own."""


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


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_finds_nothing_against_the_names(telemetry_db: Telemetry, admin_user: User) -> None:
    Client(REMOTE_ADDR="127.0.0.1").get("/healthz")
    Channel.objects.create(name='night "shift"\n', kind="webhook")
    actions.put_rule_file(
        actor=system("tests"), name="a.yml", text="groups: [{name: g, rules: [{alert: A, expr: up}]}]"
    )
    told = Client(REMOTE_ADDR="127.0.0.1").get("/metrics").content.decode()
    done = subprocess.run(["promtool", "check", "metrics"], input=told, capture_output=True, text=True)
    against = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("node_memory_Mem")]
    assert against == [], "node exporter's own names are in camelCase; nothing else is"
    for name in ("tongchou_http_request_duration_seconds_bucket", "tongchou_jobs", "tongchou_telemetry_series"):
        assert name in told


def test_a_store_that_is_closed_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed() -> dict[str, float]:
        raise Unavailable("telemetry.closing", "closing")

    monkeypatch.setattr(reads, "store_stats", closed)
    told = Client(REMOTE_ADDR="127.0.0.1").get("/metrics").content.decode()
    assert "tongchou_jobs{" in told
    assert "tongchou_telemetry_series " not in told
    again = Client(REMOTE_ADDR="127.0.0.1").get("/metrics").content.decode()
    assert 'tongchou_self_metrics_unreadable_total{room="telemetry"}' in again


def test_an_open_stream_is_counted_while_it_is_open() -> None:
    before = meters.STREAMS.family().samples[0][2]

    async def look() -> float:
        stream = live._stream(HttpRequest(), system("tests"), "en", "", None)
        await anext(stream)
        seen = meters.STREAMS.family().samples[0][2]
        await stream.aclose()
        live.feed().task.cancel()  # type: ignore[union-attr]  # it was started by the stream
        return seen

    assert asyncio.run(look()) == before + 1
    assert meters.STREAMS.family().samples[0][2] == before
