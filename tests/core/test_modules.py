"""Parts switched off: what may be, what rests, what comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tongchou.core import job_control, jobs, modules, settings_store
from tongchou.core.access import AccessDenied, Actor, system
from tongchou.core.models import Event, Job, JobState, SettingChange
from tongchou.core.problems import Conflict, Invalid, NotFound

SYSTEM = system("tests")
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _all_on() -> Iterator[None]:
    modules.forget()
    yield
    modules.forget()


def test_a_part_is_switched_off_and_on_with_its_history(admin_actor: Actor) -> None:
    assert modules.switch(actor=admin_actor, name="map", on=False)
    assert not modules.switch(actor=admin_actor, name="map", on=False), "nothing changed"
    assert modules.off() == {"map"}
    assert modules.switch(actor=admin_actor, name="map", on=True)
    assert modules.off() == frozenset()
    told = [event.payload for event in Event.objects.filter(verb="setting.changed").order_by("pk")]
    assert [(each["old"], each["new"]) for each in told] == [([], ["map"]), (["map"], [])]
    assert set(SettingChange.objects.values_list("changed_by_name", flat=True)) == {"admin"}


def test_another_process_learns_of_it_by_reading_again() -> None:
    modules.switch(actor=SYSTEM, name="map", on=False)
    modules.forget()
    modules.refresh()
    assert modules.off() == {"map"}


def test_what_needs_a_part_goes_first_and_comes_back_after_it() -> None:
    with pytest.raises(Conflict) as refused:
        modules.switch(actor=SYSTEM, name="logs", on=False)
    assert refused.value.code == "module.needed"
    assert "Loki" in str(refused.value.detail)
    for name in ("integration-loki", "integration-otlp", "integration-tail", "logs"):
        modules.switch(actor=SYSTEM, name=name, on=False)
    with pytest.raises(Conflict) as refused:
        modules.switch(actor=SYSTEM, name="integration-loki", on=True)
    assert refused.value.code == "module.needs"
    modules.switch(actor=SYSTEM, name="logs", on=True)
    modules.switch(actor=SYSTEM, name="integration-loki", on=True)
    assert modules.off() == {"integration-otlp", "integration-tail"}


def test_the_setting_itself_cannot_break_what_is_needed() -> None:
    for wrong in (["logs"], ["nonsense"], [1]):
        with pytest.raises(Invalid):
            settings_store.put(actor=SYSTEM, key=modules.OFF, value=wrong)
    with pytest.raises(NotFound):
        modules.switch(actor=SYSTEM, name="nonsense", on=False)


def test_only_an_administrator_switches(approver_actor: Actor) -> None:
    with pytest.raises(AccessDenied):
        modules.switch(actor=approver_actor, name="map", on=False)


def test_addresses_belong_to_parts_by_whole_words() -> None:
    modules.switch(actor=SYSTEM, name="runbooks", on=False)
    for path in ("/runs", "/runs/1", "/procedures/x/edit", "/api/v1/runs/7", "/execution"):
        found = modules.of_path(path)
        assert found is not None, path
        assert found.name == "runbooks"
    for path in ("/runsheet", "/", "/incidents", "/api/v1/incidents", "/api/v1/runsheet"):
        assert modules.of_path(path) is None, path


def test_its_jobs_wait_and_are_done_when_it_is_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setitem(
        jobs._kinds, "runbooks.probe", jobs.JobKind("runbooks.probe", lambda _p: done.append("p"), 1, 60)
    )
    Job.objects.all().delete()
    jobs.enqueue("runbooks.probe", {})
    modules.switch(actor=SYSTEM, name="runbooks", on=False)
    Job.objects.exclude(name="runbooks.probe").delete()  # of those who follow changes of settings
    assert not jobs.anything_due()
    jobs.enqueue_due_periodic()
    assert not Job.objects.filter(name__startswith="runbooks.").exclude(name="runbooks.probe").exists()
    assert Job.objects.filter(name="core.tidy").exists(), "the others go on"
    assert "runbooks.wake" not in {turn.name for turn in job_control.schedule()}
    Job.objects.exclude(name="runbooks.probe").delete()
    assert jobs.claim("w") is None
    assert Job.objects.get().state == JobState.QUEUED, "nothing is lost"
    modules.switch(actor=SYSTEM, name="runbooks", on=True)
    jobs.run_due()
    assert done == ["p"]


@pytest.mark.django_db(transaction=True)
def test_a_duty_that_runs_is_ended_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, ended = threading.Event(), threading.Event()

    def follow(stop: threading.Event) -> None:
        ran.set()
        stop.wait(20)
        ended.set()

    monkeypatch.setattr(jobs, "LEASE_SECONDS", 0.5)
    monkeypatch.setattr(jobs, "_duties", {})
    workers = jobs.Workers(threads=0, alone=False)
    thread = threading.Thread(target=workers._hold_duty, args=("tail.follow", follow), daemon=True)
    modules._off[0] = frozenset({"integration-tail"})
    thread.start()
    assert not ran.wait(0.6), "it rests from the start"
    modules.forget()
    assert ran.wait(10)
    modules._off[0] = frozenset({"integration-tail"})
    assert ended.wait(10), "it is told to end"
    workers._stop.set()
    thread.join(10)


def test_every_declared_job_and_path_exists(client: Any) -> None:
    names = {*jobs._kinds, *jobs._duties}
    for module in modules.known():
        for each in module.work:
            assert any(module.does(name) for name in names), f"{module.name}: {each} is no job and no duty"
