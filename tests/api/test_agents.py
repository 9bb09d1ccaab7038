"""POST /api/v1/agent/report: who may, what is taken, and what is refused with its place."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.agent_reports import body, reading
from tests.conftest import make_user
from tongchou.api import parser
from tongchou.core.models import Membership, Role, Team, User
from tongchou.inventory import agents
from tongchou.inventory.models_agents import AgentReport
from tongchou.wire.host import facts, sockets
from tongchou.wire.host import reading as wire

pytestmark = pytest.mark.django_db
URL = "/api/v1/agent/report"


@pytest.fixture
def agent(api_as: Any) -> Any:
    return api_as(make_user("agents", Role.OPERATOR), ["agent"])


def test_a_report_is_stored_before_it_is_answered_and_its_sender_is_noted(agent: Any) -> None:
    sent = body(reading())
    answer = agent.post(URL, sent)
    assert (answer.status_code, answer.json()["stored"]) == (200, True)
    row = AgentReport.objects.get()
    assert (row.name, row.sender_name, str(row.pk)) == ("box-1", "agents", answer.json()["id"])
    again = agent.post(URL, sent)
    assert (again.status_code, again.json()) == (200, {"id": str(row.pk), "stored": False})


def test_gzip_is_taken_and_what_it_hides_is_bounded(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"HTTP_AUTHORIZATION": agent._client.defaults["HTTP_AUTHORIZATION"], "HTTP_CONTENT_ENCODING": "gzip"}

    def post(data: bytes) -> Any:
        return Client().post(URL, data=data, content_type="application/json", **header)

    assert post(gzip.compress(json.dumps(body(reading())).encode())).status_code == 200
    assert post(b"no gzip").status_code == 400
    assert post(gzip.compress(b"no json")).status_code == 400
    monkeypatch.setattr(parser, "MOST_UNPACKED_BYTES", 1_000_000)
    assert post(gzip.compress(b" " * 1_000_001)).status_code == 413


def test_what_a_newer_agent_adds_is_left_out(agent: Any) -> None:
    read = reading(gpus=[{"name": "x"}])
    read["disks"][0]["temperature"] = 40
    assert agent.post(URL, body(read, mood="good")).status_code == 200
    row = AgentReport.objects.get()
    assert "gpus" not in row.body
    assert row.body["disks"] == reading()["disks"]


@pytest.mark.parametrize(
    "change, field",
    [
        ({"disks": [{"name": "sda", "size_bytes": "64"}]}, "reading.disks.0.size_bytes"),
        ({"disks": [{"name": ""}]}, "reading.disks.0.name"),
        ({"disks": [{"name": "x"}] * 2001}, "reading.disks"),
        ({"interfaces": [{"name": "eth0", "addresses": ["10.0.0"]}]}, "reading.interfaces.0.addresses.0"),
        ({"interfaces": [{"name": "eth0", "up": 1}]}, "reading.interfaces.0.up"),
        ({"listeners": [{"port": 65_536}]}, "reading.listeners.0.port"),
        ({"machine": {"hostname": ""}}, "reading.machine.hostname"),
        ({"machine": {"hostname": "a\0"}}, "reading.machine.hostname"),
        ({"version": 2}, "reading.version"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(agent: Any, change: dict[str, Any], field: str) -> None:
    answer = agent.post(URL, body(reading(**change)))
    assert answer.status_code == 422
    assert answer.json()["field"].removeprefix("body.") == field
    assert answer.json()["remedy"]
    assert not AgentReport.objects.exists()


@pytest.mark.parametrize("at", [1_772_442_000, "yesterday", "2026-03-02T09:00:00"])
def test_a_time_is_written_with_its_zone(agent: Any, at: Any) -> None:
    assert agent.post(URL, {**body(reading()), "at": at}).status_code == 422


def test_whatever_a_machine_has_its_reading_is_taken(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def many(kind: str) -> Any:
        return lambda: [{"name": f"{kind}\udcff{n}" * 50, "mac": "", "addresses": addresses} for n in range(3000)]

    addresses = [f"10.1.{n // 250}.{n % 250}" for n in range(5000)]
    mounts = [{"mountpoint": "/\0\udc80" + "x" * 9000, "device": "d" * 9000, "type": "t" * 90}]
    ports = [{"port": 1, "addresses": ["fe80::1%eth0"], "process": "p, " * 500, "user": "u" * 500}]
    monkeypatch.setattr(facts, "disks", lambda: [{"name": "sda", "model": "\0"}] * 3000)
    monkeypatch.setattr(facts, "interfaces", many("eth"))
    monkeypatch.setattr(facts, "filesystems", lambda: mounts)
    monkeypatch.setattr(facts, "listeners", lambda: ports)
    monkeypatch.setattr(sockets, "own_addresses", lambda: set(addresses))
    monkeypatch.setattr(agents, "MOST_BYTES", 1_000_000_000)
    monkeypatch.setattr(settings, "DATA_UPLOAD_MAX_MEMORY_SIZE", None)
    answer = agent.post(URL, body(wire.read()))
    assert answer.status_code == 200, answer.content


def test_who_may_not_report_is_refused(api_as: Any, db: None) -> None:
    team = Team.objects.create(name="shop")
    of_team: User = make_user("of-a-team", None)
    Membership.objects.create(user=of_team, team=team, role=Role.ADMIN)
    viewer, operator = make_user("looks", Role.VIEWER), make_user("works", Role.OPERATOR)
    refused = [
        api_as(viewer, ["agent"]), api_as(viewer, ["all"]), api_as(of_team, ["agent"]),
        *(api_as(operator, [scope]) for scope in ("read", "ingest", "write", "approve")),
    ]  # fmt: skip
    assert [each.post(URL, body(reading())).status_code for each in refused] == [403] * 7
    assert Client().post(URL, data=body(reading()), content_type="application/json").status_code == 401
    assert not AgentReport.objects.exists()


def test_the_token_of_an_agent_does_nothing_else(agent: Any) -> None:
    for path in ("/api/v1/agents", "/api/v1/resources", "/api/v1/sources", "/api/v1/secrets"):
        assert agent.get(path).status_code == 403, path
    assert agent.post("/api/v1/resources", {"kind": "host", "name": "x"}).status_code == 403


def test_which_agents_report_is_listed(agent: Any, api: Any) -> None:
    agent.post(URL, body(reading()))
    [listed] = api.get("/api/v1/agents").json()["items"]
    assert (listed["name"], listed["by"], listed["alive"], listed["agent"]) == ("box-1", "agents", True, "0.2.0")
