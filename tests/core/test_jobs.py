from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tongchou.core import jobs
from tongchou.core.models import Job, JobState, Lease

pytestmark = pytest.mark.both_databases
RAN: list[Any] = []
BROKEN = {"now": True}


@jobs.job("test.note", max_attempts=3)
def note(payload: dict[str, Any]) -> None:
    RAN.append(payload.get("n"))


@jobs.job("test.breaks", max_attempts=3)
def breaks(payload: dict[str, Any]) -> None:
    RAN.append("try")
    if BROKEN["now"]:
        raise ValueError("broken on purpose")


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    RAN.clear()
    BROKEN["now"] = True
    yield


def enqueue(name: str = "test.note", **more: Any) -> Job:
    with transaction.atomic():
        return jobs.enqueue(name, {"n": 1}, **more)


@pytest.mark.django_db(transaction=True)
def test_each_job_has_exactly_one_winner_among_racing_workers() -> None:
    for _ in range(30):
        enqueue()
    won: list[Any] = []
    start = threading.Barrier(4)

    def race(worker: str) -> None:
        start.wait()
        while (row := jobs.claim(worker)) is not None:
            won.append(row.pk)
        connection.close()

    threads = [threading.Thread(target=race, args=(f"w{i}",)) for i in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(won) == 30
    assert len(set(won)) == 30


@pytest.mark.django_db
def test_a_failing_job_is_retried_with_backoff_and_then_stays_dead_and_visible() -> None:
    row = enqueue("test.breaks")
    assert jobs.run_due(until=timezone.now() + timedelta(hours=1)) == 3
    row.refresh_from_db()
    assert (row.state, row.attempts, RAN) == (JobState.DEAD, 3, ["try"] * 3)
    assert row.error == "ValueError: broken on purpose"


@pytest.mark.django_db
def test_a_retry_waits_for_its_backoff() -> None:
    enqueue("test.breaks")
    assert jobs.run_due() == 1
    assert jobs.run_due() == 0


@pytest.mark.django_db
def test_a_dead_job_can_be_put_back_by_a_person() -> None:
    row = enqueue("test.breaks")
    jobs.run_due(until=timezone.now() + timedelta(hours=1))
    BROKEN["now"] = False
    assert jobs.retry_dead(row)
    jobs.run_due()
    row.refresh_from_db()
    assert row.state == JobState.DONE


@pytest.mark.django_db
def test_an_unknown_job_name_fails_visibly() -> None:
    row = enqueue("test.nobody_registered_this")
    Job.objects.filter(pk=row.pk).update(max_attempts=1)
    jobs.run_due()
    row.refresh_from_db()
    assert row.state == JobState.DEAD
    assert "switched off" in row.error


@pytest.mark.django_db
def test_a_unique_key_has_one_queued_job_but_a_running_one_does_not_count() -> None:
    first = enqueue(unique_key="k")
    assert enqueue(unique_key="k").pk == first.pk
    assert jobs.claim("w") is not None
    second = enqueue(unique_key="k")
    assert second.pk != first.pk


@pytest.mark.django_db
def test_a_job_for_a_node_is_left_to_it(settings: Any) -> None:
    jobs.job("test.there", node=lambda payload: str(payload["at"]))(note)
    with transaction.atomic():
        first = jobs.enqueue("test.there", {"at": "b"}, unique_key="k")
    settings.NODE_NAME = "a"
    assert not jobs.anything_due()
    assert jobs.claim("a:1") is None
    enqueue("test.note")
    assert jobs.claim("a:1") is not None
    with transaction.atomic():
        again = jobs.enqueue("test.there", {"at": "a"}, unique_key="k")  # it is for a now
    assert again.pk == first.pk
    taken = jobs.claim("a:1")
    assert taken is not None
    assert taken.pk == first.pk


@pytest.mark.django_db
def test_the_job_of_a_killed_process_comes_back_and_its_try_is_not_counted() -> None:
    row = enqueue()
    claimed = jobs.claim("dead-process")
    assert claimed is not None
    assert jobs.recover_orphans() == 0, "its claim has not run out yet"
    Job.objects.filter(pk=row.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert jobs.recover_orphans() == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == (JobState.QUEUED, 0)
    jobs.run_due()
    assert RAN == [1]


@pytest.mark.django_db
def test_alone_on_the_database_every_running_job_is_an_orphan() -> None:
    enqueue()
    jobs.claim("dead-process")
    assert jobs.recover_orphans(all_running=True) == 1


@pytest.mark.django_db
def test_a_periodic_job_is_enqueued_once_for_its_period() -> None:
    jobs.periodic("test.tick", every_seconds=60)(lambda: RAN.append("tick"))
    try:
        now = timezone.now()
        jobs.enqueue_due_periodic(now)
        jobs.enqueue_due_periodic(now + timedelta(seconds=1))
        assert Job.objects.filter(name="test.tick").count() == 1
        jobs.run_due()
        jobs.enqueue_due_periodic(now + timedelta(seconds=61))
        assert Job.objects.filter(name="test.tick").count() == 2
    finally:
        jobs._periodic.pop("test.tick")


@pytest.mark.django_db
def test_a_periodic_job_runs_on_when_the_clock_is_set_back() -> None:
    jobs.periodic("test.tick", every_seconds=60)(lambda: RAN.append("tick"))
    try:
        now = timezone.now()
        jobs.enqueue_due_periodic(now)
        jobs.run_due()
        jobs.enqueue_due_periodic(now - timedelta(hours=3))
        assert Job.objects.filter(name="test.tick").count() == 2
    finally:
        jobs._periodic.pop("test.tick")


@pytest.mark.django_db(transaction=True)
def test_a_lease_has_one_holder_and_moves_when_it_runs_out() -> None:
    assert jobs.take_lease("duty:x", "a", seconds=30)
    assert jobs.take_lease("duty:x", "a", seconds=30), "the holder renews"
    assert not jobs.take_lease("duty:x", "b", seconds=30)
    Lease.objects.filter(name="duty:x").update(until=timezone.now() - timedelta(seconds=1))
    assert jobs.take_lease("duty:x", "b", seconds=30)
    assert not jobs.take_lease("duty:x", "a", seconds=30)


@pytest.mark.django_db(transaction=True)
def test_workers_run_jobs_hold_duties_and_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    held, done = threading.Event(), threading.Event()

    def loop(stop: threading.Event) -> None:
        held.set()
        stop.wait(30)
        connection.close()

    monkeypatch.setattr(jobs, "LEASE_SECONDS", 1000.0)  # a stop does not wait until a lease is to be renewed
    monkeypatch.setattr(jobs, "_duties", {"test.duty": loop})  # not the rooms' own: they would scrape and evaluate
    monkeypatch.setattr(jobs, "_periodic", {})
    jobs.job("test.done")(lambda _payload: done.set())
    workers = jobs.Workers(threads=2, alone=True)
    try:
        workers.start()
        enqueue("test.done")
        assert done.wait(10)
        assert held.wait(10)
    finally:
        workers.stop()
    assert not any(thread.is_alive() for thread in workers._threads)
    assert (
        not Lease.objects.filter(holder__startswith=jobs.worker_name()).exclude(name__startswith="periodic:").exists()
    )


@pytest.mark.django_db(transaction=True)
def test_threads_that_wait_do_not_all_look_for_what_nobody_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []
    ran = threading.Event()
    anything_due = jobs.anything_due

    def look() -> bool:
        looked.append(time.monotonic())
        return anything_due()

    monkeypatch.setattr(jobs, "anything_due", look)
    monkeypatch.setattr(jobs, "_duties", {})
    monkeypatch.setattr(jobs, "_periodic", {})
    jobs.job("test.later")(lambda _payload: ran.set())
    workers = jobs.Workers(threads=8, alone=True)
    try:
        workers.start()
        time.sleep(4 * jobs.POLL_SECONDS)
        quiet = len([at for at in looked if at > looked[0] + jobs.POLL_SECONDS])
        enqueue("test.later", run_at=timezone.now() + timedelta(seconds=0.2))
        assert ran.wait(10), "what falls due while all wait is found"
    finally:
        workers.stop()
    assert 1 <= quiet <= 8, "eight threads that each look would be 24"
