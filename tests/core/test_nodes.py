"""Nodes that join, fit each other, are heard of, and are followed by others when they are gone."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tongchou.core import clock, jobs, nodes
from tongchou.core.checks import Surroundings
from tongchou.core.jobs import take_lease
from tongchou.core.models import Job, JobState, Lease
from tongchou.core.models_nodes import Node
from tongchou.core.node_checks import folders, together
from tongchou.core.problems import Conflict

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
KEYS = {"TONGCHOU_SECRET_KEY": nodes.fingerprint("a"), "TONGCHOU_LEDGER_KEY_FILE": nodes.fingerprint("b")}


def identity(name: str, **more: Any) -> nodes.Identity:
    return nodes.Identity(**{"name": name, "role": "all", "store": nodes.CLICKHOUSE, "keys": KEYS, **more})


def gone(name: str) -> None:
    Node.objects.filter(name=name).update(seen_at=timezone.now() - timedelta(minutes=5))


@pytest.fixture(autouse=True)
def _own_clock() -> Any:
    yield
    clock.correct(0.0)


def test_nodes_that_fit_are_listed_with_what_they_hold() -> None:
    nodes.join(identity("a", worker="a:1"))
    nodes.join(identity("b", role="web"))
    assert take_lease("duty:alerting.evaluate", "a:1")
    Job.objects.create(name="x", state=JobState.RUNNING, worker="a:1")
    assert nodes.beat(identity("b", instance=Node.objects.get(name="b").instance), {"lag_seconds": 0.4})
    found = {view.node.name: view for view in nodes.listing()}
    assert found["a"].duties == ["alerting.evaluate"]
    assert (found["a"].running_jobs, found["b"].running_jobs) == (1, 0)
    assert found["b"].node.figures == {"lag_seconds": 0.4}
    assert {view.state for view in found.values()} == {"alive"}
    gone("a")
    nodes.leave(identity("b", instance=Node.objects.get(name="b").instance))
    assert {view.node.name: view.state for view in nodes.listing()} == {"a": "gone", "b": "stopped"}


def test_other_keys_are_refused_by_name_while_others_run() -> None:
    nodes.join(identity("a"))
    other = identity("b", keys={**KEYS, "TONGCHOU_LEDGER_KEY_FILE": nodes.fingerprint("c")})
    with pytest.raises(Conflict, match="other_keys") as refused:
        nodes.join(other)
    assert "TONGCHOU_LEDGER_KEY_FILE" in str(refused.value.detail)
    assert "TONGCHOU_SECRET_KEY" not in str(refused.value.detail)
    assert not Node.objects.filter(name="b").exists()
    gone("a")
    nodes.join(other)


def test_a_fingerprint_does_not_give_the_key_away() -> None:
    assert nodes.fingerprint("a") == nodes.fingerprint("a") != nodes.fingerprint("b")
    assert "secret" not in nodes.fingerprint("secret")
    assert len(nodes.fingerprint("a")) == 32


@pytest.mark.parametrize(("mine", "other"), [("embedded", "clickhouse"), ("clickhouse", "embedded")])
def test_an_embedded_store_has_one_process(mine: str, other: str) -> None:
    nodes.join(identity("a", store=other))
    with pytest.raises(Conflict, match="not_shared") as refused:
        nodes.join(identity("b", store=mine))
    assert "TONGCHOU_CLICKHOUSE_URL" in str(refused.value.remedy)
    nodes.join(identity("a", store=mine))  # the same node starts again


def test_a_node_that_starts_again_puts_back_what_it_was_doing_when_it_was_killed() -> None:
    nodes.join(identity("a", worker="a:1"))
    row = Job.objects.create(
        name="x", state=JobState.RUNNING, worker="a:1", attempts=1, lease_until=timezone.now() + timedelta(hours=1)
    )
    assert nodes.join(identity("a", worker="a:2")) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == (JobState.QUEUED, 0)


def test_the_jobs_of_a_dead_node_are_known_long_before_their_lease_ends() -> None:
    nodes.join(identity("a", worker="a:1"))
    nodes.join(identity("b", worker="b:1"))
    lease = timezone.now() + timedelta(hours=1)
    for worker in ("a:1", "b:1"):
        Job.objects.create(name="x", state=JobState.RUNNING, worker=worker, lease_until=lease)
    assert nodes.dead_workers() == []
    gone("a")
    assert nodes.dead_workers() == ["a:1"]
    assert jobs.recover_workers(nodes.dead_workers()) == 1
    assert set(Job.objects.values_list("worker", "state")) == {("a:1", "queued"), ("b:1", "running")}


def test_who_lost_its_name_is_told() -> None:
    first = identity("a")
    nodes.join(first)
    assert nodes.beat(first, {})
    nodes.join(identity("a", instance=uuid.uuid4()))
    assert not nodes.beat(first, {})


def test_leases_and_jobs_go_by_the_databases_clock() -> None:
    assert take_lease("duty:x", "right")
    clock.correct(3600.0)  # our clock is an hour ahead of the database's: without correction the lease looks old
    until = Lease.objects.get(name="duty:x").until
    assert take_lease("duty:x", "right")
    assert Lease.objects.get(name="duty:x").until < until
    assert abs((timezone.now() - clock.now()).total_seconds() - 3600) < 1
    clock.correct(0.01)
    assert abs((timezone.now() - clock.now()).total_seconds()) < 1


def test_the_check_names_skew_other_versions_and_missing_workers() -> None:
    where = Surroundings(in_server=True, running=True)
    assert together(where).status == "skip"
    nodes.join(identity("a", role="web"))
    assert together(where).status == "fail"
    nodes.join(identity("b", role="worker", worker="b:1"))
    assert together(where).status == "ok"
    Node.objects.filter(name="a").update(version="0.0.9")
    assert "0.0.9" in str(together(where).detail)
    Node.objects.filter(name="a").update(clock_skew_seconds=-7.25)
    assert "a -7.2 s" in str(together(where).detail)
    assert together(where).status == "warn"


def test_files_and_backups_of_several_nodes_belong_into_shared_folders(settings: Any, tmp_path: Any) -> None:
    where = Surroundings(in_server=False, running=False)
    settings.DATA = tmp_path / "data"
    settings.FILES_PATH, settings.BACKUP_FOLDER = settings.DATA / "files", settings.DATA / "backups"
    nodes.join(identity("a"))
    assert folders(where).status == "skip", "one node is enough for itself"
    if connection.vendor != "postgresql":
        nodes.join(identity("b"))
        assert folders(where).status == "skip"
        return
    nodes.join(identity("b"))
    found = folders(where)
    assert found.status == "warn"
    assert "TONGCHOU_FILES_PATH" in str(found.remedy)
    settings.FILES_PATH = tmp_path / "share" / "files"
    found = folders(where)
    assert found.status == "warn"
    assert "TONGCHOU_BACKUP_FOLDER" in str(found.remedy)
    settings.BACKUP_FOLDER = tmp_path / "share" / "backups"
    assert folders(where).status == "ok"
    gone("b")
    assert folders(where).status == "skip"
