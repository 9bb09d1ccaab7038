"""What agents told becomes hosts: the same ones the platform sees of its own machine, none of them by proof of silence."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from tests.agent_reports import NOW, reading
from tests.integrations import laws
from tongchou.core.access import system
from tongchou.integrations.host.agent_source import SOURCE
from tongchou.integrations.host.source import SOURCE as HERE
from tongchou.inventory import actions, agents, sources
from tongchou.inventory.agents import Report
from tongchou.inventory.models import Relation, Resource, SourceConfig
from tongchou.inventory.models_agents import AgentReport
from tongchou.inventory.observation import Observation
from tongchou.inventory.ports import Source
from tongchou.wire.host import reading as wire

pytestmark = pytest.mark.django_db
ACTOR = system("tests")
SETTINGS = SOURCE.validate({})
_numbers = iter(range(1, 1_000_000))


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as at:
        yield at


def report(read: Any) -> AgentReport:
    number = next(_numbers)
    at = NOW + timedelta(seconds=number)
    return agents.take(actor=ACTOR, report=Report(f"r{number}", 1, at, "0.2.0", 60.0, read)).row


def look() -> Observation:
    return SOURCE.fetch(SETTINGS, source="agents")


def hosts(seen: Observation) -> dict[str, tuple[str, ...]]:
    return {each.name: each.keys for each in seen.resources if each.kind == "host"}


def keys_used(seen: Observation) -> set[Any]:
    return {use.key for use in seen.uses or ()}


def test_it_is_a_source_and_is_found() -> None:
    assert isinstance(SOURCE, Source)
    assert sources.source_kinds()["agent"] is SOURCE
    assert look() == Observation(uses=())


def test_an_agent_here_tells_what_the_platform_sees_of_the_same_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        port = listener.getsockname()[1]
        read = wire.read()
    # one reading for both: between two, other processes open and close what they like
    monkeypatch.setattr(wire, "read", lambda wanted: read)
    here = HERE.fetch(HERE.validate({}), source="this-host")
    row = report(read)
    there = look()
    own = f"agent:{row.pk}"
    assert own in there.resources[0].keys

    def told(seen: Observation) -> list[Any]:
        return sorted(
            (each.kind, each.name, each.keys[0], sorted(each.attributes.items(), key=str)) for each in seen.resources
        )

    assert told(there) == told(here)
    assert set(there.relations) == set(here.relations)
    assert keys_used(there) == keys_used(here)
    assert any(target.endswith(f":{port}") for _who, target in keys_used(here))
    assert there.complete == here.complete


def test_both_make_one_host_and_a_second_look_changes_nothing() -> None:
    here = SourceConfig.objects.create(name="this-host", kind="host", settings={"listeners": False})
    sources.run_source(actor=ACTOR, source=here)
    report({**wire.read({"disks", "filesystems", "interfaces"}), "listeners": []})
    config = SourceConfig.objects.get(kind="agent")
    sources.run_source(actor=ACTOR, source=config)
    assert Resource.objects.filter(kind="host").count() == 1
    assert not sources.run_source(actor=ACTOR, source=config).changes_something
    assert not sources.run_source(actor=ACTOR, source=here).changes_something


def test_clones_are_hosts_each_and_told_of() -> None:
    one = report(reading("a-1", mac="52:54:00:00:00:01"))
    before = hosts(look())
    assert before == {"a-1": (f"machine-id:{'a' * 32}", f"agent:{one.pk}")}
    other = report(reading("b-1", mac="52:54:00:00:00:02"))
    seen = look()
    assert hosts(seen) == {"a-1": (f"agent:{one.pk}",), "b-1": (f"agent:{other.pk}",)}
    assert seen.warnings == (f"machine-id:{'a' * 32}: 2 machines claim it, so it identifies none of them: a-1, b-1",)


def test_a_machine_under_a_new_name_or_with_a_new_interface_stays_the_host_it_was(clock: Any) -> None:
    config = laws.configured("agent")
    first = report(reading("a-1"))
    laws.settles(config)
    host = Resource.objects.get(kind="host")
    report(reading("a-2"))
    clock.shift(600)
    report(reading("a-2", mac="52:54:00:00:00:09"))
    assert not sources.run_source(actor=ACTOR, source=config).conflicts
    found = Resource.objects.get(kind="host")
    assert (found.pk, found.name, found.state) == (host.pk, "a-2", "active")
    assert AgentReport.objects.get().pk == first.pk


def test_a_silent_machine_is_as_old_as_its_word_and_not_gone(clock: Any) -> None:
    config = SourceConfig.objects.create(name="it", kind="agent", settings={}, missing_after=1, grace_seconds=0.0)
    report(reading("a-1"))
    sources.run_source(actor=ACTOR, source=config)
    clock.shift(2 * 86_400)
    report(reading("b-1", machine_id="b" * 32, mac="52:54:00:00:00:02"))
    plan = sources.run_source(actor=ACTOR, source=config)
    assert [note.params["text"] for note in plan.warnings] == ["1 machines did not report for 900 s: a-1"]
    host = Resource.objects.get(name="a-1")
    assert host.state == "active"
    assert host.sightings.get().last_seen == NOW
    assert Resource.objects.get(name="b-1").sightings.get().last_seen == NOW + timedelta(days=2)


def test_a_machine_that_reports_each_hour_is_not_silent_in_between(clock: Any) -> None:
    row = report(reading(connections={"addresses": ["10.0.0.2"], "edges": [edge("", 0, "10.0.0.9", 6379)]}))
    AgentReport.objects.filter(pk=row.pk).update(interval_seconds=3600)
    clock.shift(3500)
    seen = look()
    assert seen.warnings == ()
    assert seen.resources[0].seen_at == NOW
    assert len(seen.uses or ()) == 1


def test_a_silent_machine_that_a_person_retired_stays_so_until_it_reports(clock: Any) -> None:
    config = laws.configured("agent")
    report(reading("a-1"))
    sources.run_source(actor=ACTOR, source=config)
    clock.shift(3600)
    host = Resource.objects.get(kind="host")
    actions.retire_resource(actor=ACTOR, resource=host)
    sources.run_source(actor=ACTOR, source=config)
    host.refresh_from_db()
    assert host.state == "tombstone"
    report(reading("a-1"))
    sources.run_source(actor=ACTOR, source=config)
    host.refresh_from_db()
    assert host.state == "active"


def test_a_port_that_closed_goes_while_another_machine_is_silent(clock: Any) -> None:
    config = SourceConfig.objects.create(name="it", kind="agent", settings={}, missing_after=1, grace_seconds=0.0)
    report(reading("a-1"))
    report(reading("b-1", machine_id="b" * 32, mac="52:54:00:00:00:02"))
    sources.run_source(actor=ACTOR, source=config)
    assert Resource.objects.filter(kind="listener", state="active").count() == 2
    clock.shift(3600)
    report(reading("b-1", machine_id="b" * 32, mac="52:54:00:00:00:02", listeners=[]))
    sources.run_source(actor=ACTOR, source=config)
    [left] = Resource.objects.filter(kind="listener", state="active")
    assert left.relations_out.get(type="runs_on").to_resource.name == "a-1"


def test_what_two_machines_saw_of_one_connection_is_one_relation_between_them() -> None:
    config = laws.configured("agent")
    web = {"addresses": ["10.0.0.3"], "edges": [edge("", 0, "10.0.0.2", 5432)]}
    database = {"addresses": ["10.0.0.2"], "edges": [edge("10.0.0.3", 0, "", 5432)]}
    eth0 = {"name": "eth0", "mac": "52:54:00:00:00:02", "addresses": ["10.0.0.3"]}
    report(reading("db-1", connections=database))
    report(reading("web-1", machine_id="b" * 32, interfaces=[eth0], listeners=[], connections=web))
    sources.run_source(actor=ACTOR, source=config)
    [relation] = Relation.objects.filter(source="it/seen", valid_to__isnull=True)
    assert (relation.from_resource.name, relation.to_resource.name) == ("web-1", "postgres:5432")
    assert relation.origin == "observed"
    off = {**SETTINGS, "connections": False}
    assert SOURCE.fetch(off, source="it").uses is None


def edge(user: str, user_port: int, used: str, used_port: int) -> dict[str, Any]:
    return {
        "user": user, "user_port": user_port, "used": used, "used_port": used_port,
        "asked": "", "asked_port": 0, "count": 2,
    }  # fmt: skip


def test_names_that_no_list_could_show_are_cleaned_and_do_not_stop_the_look() -> None:
    config = laws.configured("agent")
    odd = reading(
        "a\u202e1\n", filesystems=[{"mountpoint": f"/{'x' * 4000}\n"}], listeners=[{"port": 1, "process": "\t"}]
    )
    report(odd)
    report(reading("b-1", machine_id="b" * 32, mac="52:54:00:00:00:02"))
    sources.run_source(actor=ACTOR, source=config)
    assert Resource.objects.filter(kind="host").count() == 2


def test_a_look_asks_as_many_questions_however_many_machines_there_are(django_assert_max_num_queries: Any) -> None:
    for number in range(40):
        report(reading(f"box-{number}", machine_id=f"{number:032x}", mac=f"52:54:00:00:01:{number:02x}"))
    with django_assert_max_num_queries(3):
        assert len(hosts(look())) == 40


def test_uses_are_left_to_fade_when_a_machine_falls_silent(clock: Any) -> None:
    report(reading(connections={"addresses": ["10.0.0.2"], "edges": [edge("", 0, "10.0.0.9", 6379)]}))
    assert len(look().uses or ()) == 1
    clock.shift(3600)
    assert look().uses == ()
    assert replace(look(), uses=None).complete
