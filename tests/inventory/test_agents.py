"""Which report of a machine counts: the newest, once, and each machine's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from tests.agent_reports import NOW, reading
from tongchou.core.access import system
from tongchou.core.models import Event, Job
from tongchou.core.problems import Invalid, TooLarge, TooMany
from tongchou.inventory import agents
from tongchou.inventory.agents import Report, Taken
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.models_agents import AgentReport

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
ACTOR = system("tests")


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as at:
        yield at


def take(read: Any = None, run: str = "r1", number: int = 1, at: datetime = NOW) -> Taken:
    report = Report(run, number, at, "0.2.0", 60.0, read or reading())
    return agents.take(actor=ACTOR, report=report)


def test_the_newest_report_replaces_and_one_that_comes_twice_or_late_changes_nothing() -> None:
    assert take(number=1).stored
    assert take(reading(filesystems=[]), number=3).stored
    for late in (1, 2, 3):
        assert not take(number=late).stored
    [row] = AgentReport.objects.all()
    assert (row.number, row.body["filesystems"]) == (3, [])


def test_of_two_runs_the_later_counts_and_a_clock_put_back_silences_a_machine_only_for_a_moment(clock: Any) -> None:
    take(run="old", number=900)
    assert take(run="new", number=1, at=NOW + timedelta(seconds=5)).stored
    assert not take(run="old", number=901, at=NOW + timedelta(seconds=1)).stored  # it was on its way when it was ended
    back = NOW - timedelta(hours=5)
    assert not take(run="again", at=back).stored
    clock.shift(agents.LATE_SECONDS + 1)
    assert take(run="again", number=2, at=back).stored


def test_clones_of_one_image_are_machines_each() -> None:
    one = take(reading("a-1", mac="52:54:00:00:00:01"))
    other = take(reading("b-1", mac="52:54:00:00:00:02"))
    assert one.row.pk != other.row.pk
    assert take(reading("a-1-renamed", mac="52:54:00:00:00:01"), number=2).row.pk == one.row.pk
    assert sorted(AgentReport.objects.values_list("name", "twin")) == [("a-1-renamed", 0), ("b-1", 1)]


def test_a_machine_that_comes_back_with_another_interface_is_the_same_one(clock: Any) -> None:
    first = take(reading(mac="52:54:00:00:00:01"))
    clock.shift(600)
    assert take(reading(mac="52:54:00:00:00:09"), run="r2").row.pk == first.row.pk
    assert AgentReport.objects.get().macs == ["52:54:00:00:00:09"]


def test_what_could_not_be_read_stands_as_it_was_read_last(clock: Any) -> None:
    take()
    clock.shift(60)
    refusing = reading(refused={"disks": "AccessDenied: x"})
    del refusing["disks"]
    row = take(refusing, number=2).row
    assert row.body["disks"] == reading()["disks"]
    assert row.kept == {"disks": NOW.isoformat()}
    clock.shift(60)
    assert take(refusing, number=3).row.kept == {"disks": NOW.isoformat()}
    assert take(number=4).row.kept == {}


def test_a_part_that_was_never_read_is_not_made_up() -> None:
    refusing = reading(refused={"disks": "AccessDenied: x"})
    del refusing["disks"]
    row = take(refusing).row
    assert "disks" not in row.body
    assert row.kept == {}


def test_the_first_report_brings_the_source_and_is_told_and_only_other_facts_wake_the_look() -> None:
    take()
    [config] = SourceConfig.objects.filter(kind=agents.KIND)
    event = Event.objects.get(verb="agent.appeared")
    assert (event.payload["name"], event.subject) == ("box-1", f"inventory.sourceconfig:{config.pk}")
    Job.objects.all().delete()
    take(reading(connections={"addresses": ["10.0.0.2"], "edges": []}), number=2)
    assert not Job.objects.filter(name="inventory.sync").exists()
    for number in (3, 4):
        take(reading(listeners=[{"port": number}]), number=number)
    assert Job.objects.filter(name="inventory.sync").count() == 1
    assert Event.objects.filter(verb="agent.appeared").count() == 1


def test_a_source_that_was_deleted_stays_deleted() -> None:
    take()
    SourceConfig.objects.all().delete()
    take(reading("b-1", machine_id="b" * 32, mac="52:54:00:00:00:02"))
    assert not SourceConfig.objects.exists()


def test_a_reading_of_another_version_and_one_that_is_too_large_are_refused_with_their_field() -> None:
    with pytest.raises(Invalid) as refused:
        take(reading(version=2))
    assert (refused.value.field, refused.value.value) == ("reading.version", "2")
    with pytest.raises(TooLarge):
        take(reading(notes=["x" * agents.MOST_BYTES]))
    assert not AgentReport.objects.exists()


def test_there_is_a_most_of_machines_and_those_that_are_known_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "MOST_MACHINES", 1)
    take()
    with pytest.raises(TooMany):
        take(reading("b-1", machine_id="b" * 32, mac="52:54:00:00:00:02"))
    assert take(number=2).stored
