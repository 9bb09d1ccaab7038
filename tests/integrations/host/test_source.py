from __future__ import annotations

import json
import os
import socket
from dataclasses import replace

import psutil
import pytest

from tests.changes.observing import read
from tongchou.changes.models_drift import Drift
from tongchou.core.access import system
from tongchou.core.problems import Invalid
from tongchou.integrations.host.facts import listeners, this_host
from tongchou.integrations.host.source import SOURCE
from tongchou.inventory import checks, sources
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import Resource, SourceConfig
from tongchou.inventory.ports import Source
from tongchou.wire.host import facts

ALL = SOURCE.validate({})


def test_it_is_a_source_and_is_found() -> None:
    assert isinstance(SOURCE, Source)
    assert sources.source_kinds()["host"] is SOURCE


def test_this_very_machine_is_seen() -> None:
    seen = checks.observation(SOURCE.fetch(ALL, source="this-host"))
    host = seen.resources[0]
    assert (host.kind, host.name) == ("host", socket.gethostname())
    assert host.attributes["memory_bytes"] == psutil.virtual_memory().total
    assert host.attributes["cpu_count"] == os.cpu_count()
    assert {each.kind for each in seen.resources} >= {"host", "filesystem"}
    assert len(seen.relations) == len(seen.resources) - 1
    assert all(relation.ends[0][1] == host.keys[0] for relation in seen.relations)
    assert len({each.keys[0] for each in seen.resources}) == len(seen.resources)
    json.dumps([dict(each.attributes) for each in seen.resources])


def test_alistening_port_is_seen_with_its_process() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found = {each["port"]: each for each in facts.listeners()}
    mine = found[port]
    assert mine["addresses"] == ["127.0.0.1"]
    assert mine["process"] == psutil.Process().name()
    [shaped] = listeners([mine], "m", "box")
    assert (shaped.keys, shaped.name) == ((f"m/tcp:{port}",), f"{mine['process']}:{port}")


def test_two_looks_tell_the_same_facts() -> None:
    """No reading that moves may be an attribute: it would be an event each minute. Connections come and go."""
    settings = {**ALL, "listeners": False}
    first, second = (replace(SOURCE.fetch(settings, source="x"), uses=()) for _look in range(2))
    assert first == second


@pytest.mark.parametrize("error", [psutil.AccessDenied(1), OSError("no"), NotImplementedError("no")])
def test_what_the_kernel_refuses_makes_the_look_incomplete(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(facts, "listeners", refuse)
    seen = SOURCE.fetch(ALL, source="x")
    assert not seen.complete
    assert seen.warnings[0].startswith("listeners: ")
    assert seen.resources[0].kind == "host"


def test_parts_can_be_switched_off() -> None:
    seen = SOURCE.fetch(dict.fromkeys(ALL, False), source="x")
    assert [each.kind for each in seen.resources] == ["host"]
    assert seen.complete


@pytest.mark.parametrize("settings", [{"cameras": True}, {"disks": "yes"}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(Invalid) as refusal:
        SOURCE.validate(settings)
    assert refusal.value.field == f"settings.{next(iter(settings))}"


def test_a_machine_without_an_id_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_read", lambda path: "")
    assert this_host().keys == (f"hostname:{socket.gethostname()}",)


@pytest.mark.django_db
def test_the_host_and_its_parts_reach_the_inventory() -> None:
    config = SourceConfig.objects.create(name="this-host", kind="host", settings={"listeners": False})
    sources.run_source(actor=system("tests"), source=config)
    host = Resource.objects.get(kind="host")
    parts = Resource.objects.exclude(kind="host")
    assert parts.exists()
    assert set(load_graph().downstream(host.pk)) == {part.pk for part in parts}
    assert not sources.run_source(actor=system("tests"), source=config).changes_something


@pytest.mark.django_db
def test_a_port_that_is_really_opened_here_is_an_item_to_explain_and_goes_when_it_is_closed() -> None:
    config = SourceConfig.objects.create(
        name="here", kind="host", settings={**ALL, "connections": False}, missing_after=1, grace_seconds=0.0
    )
    with socket.socket() as known:
        known.bind(("127.0.0.1", low_port()))
        known.listen()
        sources.run_source(actor=system("tests"), source=config)
        read()
        with socket.socket() as fresh:
            fresh.bind(("127.0.0.1", low_port()))
            fresh.listen()
            port = fresh.getsockname()[1]
            sources.run_source(actor=system("tests"), source=config)
            read()
            mine = Drift.objects.get(what="listener", path__startswith=f"listener tcp/{port}")
            assert mine.path == f"listener tcp/{port} ({psutil.Process().name()})"
            assert (mine.state, mine.expected, mine.resource) == ("open", "", Resource.objects.get(kind="host"))
            assert mine.observed.endswith("@ 127.0.0.1")
        sources.run_source(actor=system("tests"), source=config)
        read()
        mine.refresh_from_db()
        assert mine.state == "cleared"


def low_port() -> int:
    """A free port below those that the kernel gives to anybody."""
    for port in range(20_000, 30_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no port is free")
