"""Work that must happen: a table is the queue, a guarded UPDATE is the claim.

`@job` work runs at least once, in a worker thread, with retry and backoff; what fails for good stays visible as dead.
`@periodic` work becomes a job at its time, in one process only. `@duty` is a long loop held by a lease.
"""

from __future__ import annotations

import logging
import os
import platform
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, OperationalError, close_old_connections, connection, transaction
from django.db.models import Count, F, QuerySet

from tongchou.core import clock, log_lines, meters
from tongchou.core.models import Event, Job, JobState, Lease

log = logging.getLogger(__name__)

LEASE_SECONDS = 10.0  # renewed and asked for every fifth of it: what a dead process held moves within 12 s
MAX_BACKOFF_SECONDS = 300.0
MAX_RECOVERIES = 100
POLL_SECONDS = 0.5
TURN_SECONDS = 1.0  # of the scheduler; the shortest period is three times that
LOOK_AROUND_TURNS = 3  # who died, and which parts are off, is read every so many turns

JobFunction = Callable[[dict[str, Any]], None]
NodeFunction = Callable[[dict[str, Any]], str]
DeadFunction = Callable[[dict[str, Any], Exception], None]
DutyFunction = Callable[[threading.Event], None]


@dataclass(frozen=True)
class JobKind:
    """A registered function and how often it may be tried."""

    name: str
    function: JobFunction
    max_attempts: int
    timeout_seconds: float
    on_dead: DeadFunction | None = None
    node: NodeFunction | None = None


_kinds: dict[str, JobKind] = {}
_periodic: dict[str, float] = {}
_duties: dict[str, DutyFunction] = {}
_wake = threading.Event()
_rest: list[tuple[Callable[[str], bool], Callable[[], None]]] = []


def job(
    name: str,
    *,
    max_attempts: int = 5,
    timeout_seconds: float = 60.0,
    on_dead: DeadFunction | None = None,
    node: NodeFunction | None = None,
) -> Callable[[JobFunction], JobFunction]:
    """Register a job function. `timeout_seconds` is how long the claim of a dead process is respected.

    `on_dead(payload, error)` is called when the last try failed, for a noun that shows what became of its job.
    `node(payload)`, asked when a job is added, names the node that alone may take it, "" for whoever is free.
    """

    def register(function: JobFunction) -> JobFunction:
        _kinds[name] = JobKind(name, function, max_attempts, timeout_seconds, on_dead, node)
        return function

    return register


def periodic(name: str, *, every_seconds: float) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function that one process runs every `every_seconds`; a run that fails waits for the next turn."""

    def register(function: Callable[[], None]) -> Callable[[], None]:
        _periodic[name] = every_seconds
        job(name, max_attempts=1)(lambda _payload: function())
        return function

    return register


def duty(name: str) -> Callable[[DutyFunction], DutyFunction]:
    """Register a long loop `run(stop)`: one process holds it by lease; it must return soon after `stop` is set."""

    def register(function: DutyFunction) -> DutyFunction:
        _duties[name] = function
        return function

    return register


def let_rest(resting: Callable[[str], bool], refresh: Callable[[], None]) -> None:
    """Ask `resting` whether a job or duty is at rest (its module is off); `refresh` reads that anew, each turn.

    Asked this way round because modules stand on the ledger, which stands on jobs.
    """
    _rest[:] = [(resting, refresh)]


def rests(name: str) -> bool:
    """Whether a job or duty is at rest: it waits, and nothing of it is lost."""
    return any(resting(name) for resting, _refresh in _rest)


def _resting_names() -> list[str]:
    return [name for name in _kinds if rests(name)]


def periodic_seconds() -> dict[str, float]:
    """Return the registered periodic jobs and how many seconds apart they run."""
    return dict(_periodic)


def duty_names() -> list[str]:
    """Return the registered duties."""
    return list(_duties)


def enqueue(
    name: str,
    payload: dict[str, Any],
    *,
    run_at: datetime | None = None,
    unique_key: str | None = None,
    event: Event | None = None,
) -> Job:
    """Add a job in the caller's transaction. Of one `unique_key` at most one is *queued*: the earlier is returned.

    A running one does not count, so evidence that arrives during a run is not lost.
    """
    kind = _kinds.get(name)
    node = kind.node(payload) if kind is not None and kind.node is not None else ""
    if unique_key is not None:
        waiting = Job.objects.filter(unique_key=unique_key, state=JobState.QUEUED).first()
        if waiting is not None:
            if waiting.node != node:  # it is for another one since
                Job.objects.filter(pk=waiting.pk, state=JobState.QUEUED).update(node=node)
                transaction.on_commit(_wake.set)
            return waiting
    row = Job(
        name=name,
        payload=payload,
        run_at=run_at or clock.now(),
        unique_key=unique_key,
        event=event,
        node=node,
        max_attempts=kind.max_attempts if kind else 5,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        if unique_key is None:
            raise
        earlier = Job.objects.filter(unique_key=unique_key, state=JobState.QUEUED).first()
        if earlier is None:
            raise
        return earlier
    transaction.on_commit(_wake.set)
    return row


def hold(name: str, payload: dict[str, Any], *, seconds: float, unique_key: str | None = None) -> Job:
    """Add a job in the caller's transaction that the caller itself runs (`run_one`) once that is committed.

    No worker claims it meanwhile. If the caller dies it goes back into the queue as any other: after `seconds`, or at
    the next start of a process that is alone.
    """
    kind, now = _kinds[name], clock.now()
    return Job.objects.create(
        name=name,
        payload=payload,
        state=JobState.RUNNING,
        run_at=now,
        unique_key=unique_key,
        attempts=1,
        max_attempts=kind.max_attempts,
        worker=f"{worker_name()}:{uuid.uuid4().hex[:6]}",
        lease_until=now + timedelta(seconds=seconds),
    )


def hurry(unique_key: str) -> bool:
    """Let the queued job of this key run now, if it was to run later; whether there was one."""
    now = clock.now()
    found = Job.objects.filter(unique_key=unique_key, state=JobState.QUEUED, run_at__gt=now).update(run_at=now)
    if found:
        transaction.on_commit(_wake.set)
    return bool(found)


def worker_name() -> str:
    """Return a name unique to this process."""
    return f"{platform.node()}:{os.getpid()}"


def claim(worker: str, *, now: datetime | None = None) -> Job | None:
    """Take the job that is due for longest; exactly one caller wins each job. None when nothing is due."""
    now = now or clock.now()
    skip_locked = connection.features.has_select_for_update_skip_locked
    for _ in range(20):
        with transaction.atomic():
            due = _due(now).order_by("run_at")
            if skip_locked:
                due = due.select_for_update(skip_locked=True)
            row = due.first()
            if row is None:
                return None
            kind = _kinds.get(row.name)
            seconds = kind.timeout_seconds if kind else 60.0
            won = Job.objects.filter(pk=row.pk, state=JobState.QUEUED).update(
                state=JobState.RUNNING,
                worker=worker,
                attempts=F("attempts") + 1,
                lease_until=now + timedelta(seconds=seconds),
            )
        if won:
            row.refresh_from_db()
            return row
    return None


def _due(now: datetime) -> QuerySet[Job]:
    due = Job.objects.filter(state=JobState.QUEUED, run_at__lte=now, node__in=("", str(settings.NODE_NAME)))
    resting = _resting_names()
    return due.exclude(name__in=resting) if resting else due


def anything_due() -> bool:
    """Tell whether a claim could succeed, without opening a write transaction."""
    return _due(clock.now()).exists()


def backoff_seconds(attempts: int, *, jitter: float = 0.5) -> float:
    """Return how long to wait after `attempts` tries: 1, 2, 4 ... capped, times 1 +- `jitter`/2."""
    return min(MAX_BACKOFF_SECONDS, 2.0 ** min(attempts - 1, 16)) * (1 + jitter * (random.random() - 0.5))  # noqa: S311  # jitter, not a secret


def run_one(row: Job) -> None:
    """Run a claimed job and write what became of it. Never raises for the job's own fault."""
    with log_lines.about(job_id=str(row.pk), correlation_id=_correlation_of(row)):
        _run_one(row)


def _correlation_of(row: Job) -> str:
    """The correlation id of the event that caused the job; "" without one. One query for a job with an event."""
    if row.event_id is None:
        return ""
    return Event.objects.filter(pk=row.event_id).values_list("correlation_id", flat=True).first() or ""


def _run_one(row: Job) -> None:
    kind = _kinds.get(row.name)
    try:
        if kind is None:
            raise LookupError(f"no job is registered as {row.name!r}: is its room or integration switched off?")
        with meters.JOBS.time(row.name):
            kind.function(row.payload)
    except Exception as error:  # noqa: BLE001  # the one place where a job's failure becomes a row
        _finish_failed(row, error)
    else:
        Job.objects.filter(pk=row.pk, state=JobState.RUNNING, worker=row.worker).update(
            state=JobState.DONE, finished_at=clock.now(), error="", lease_until=None
        )


def _finish_failed(row: Job, error: Exception) -> None:
    meters.JOB_FAILURES.add(row.name)
    log.warning("job %s %s failed (try %s of %s)", row.name, row.pk, row.attempts, row.max_attempts, exc_info=error)
    told = log_lines.masked(f"{type(error).__name__}: {error}")[:2000]
    mine = Job.objects.filter(pk=row.pk, state=JobState.RUNNING, worker=row.worker)
    if row.attempts >= row.max_attempts:
        kind = _kinds.get(row.name)
        if kind is not None and kind.on_dead is not None and mine.exists():  # else another process has it by now
            _tell_dead(kind.on_dead, row, error)
        mine.update(state=JobState.DEAD, finished_at=clock.now(), error=told, lease_until=None)
        return
    retry_at = clock.now() + timedelta(seconds=backoff_seconds(row.attempts))
    try:
        with transaction.atomic():
            mine.update(state=JobState.QUEUED, run_at=retry_at, error=told, lease_until=None)
    except IntegrityError:  # a newer job with the same unique key is already queued: it does the work
        mine.update(state=JobState.DONE, finished_at=clock.now(), error=told, lease_until=None)


def _tell_dead(on_dead: DeadFunction, row: Job, error: Exception) -> None:
    """Call `on_dead`. Without a database the job stays running, to be recovered; another fault of its own is logged."""
    try:
        on_dead(row.payload, error)
    except OperationalError:
        raise
    except Exception:
        log.exception("what became of job %s %s could not be told", row.name, row.pk)


def recover_orphans(*, all_running: bool = False) -> int:
    """Put jobs of dead processes back in the queue; return how many.

    With `all_running` every running job counts as orphaned: right only when this process alone may own the table
    (embedded mode, which holds the data folder's lock). Being killed is not the job's fault: the try is given back.
    """
    orphans = Job.objects.filter(state=JobState.RUNNING)
    return _put_back(orphans if all_running else orphans.filter(lease_until__lt=clock.now()))


def recover_workers(workers: list[str]) -> int:
    """Put the jobs of workers that are known to be dead back in the queue at once; return how many."""
    return _put_back(Job.objects.filter(state=JobState.RUNNING, worker__in=workers))


def running_by_worker() -> dict[str, int]:
    """How many jobs each worker is running."""
    running = Job.objects.filter(state=JobState.RUNNING).order_by().values_list("worker")
    return dict(running.annotate(count=Count("pk")))


def _put_back(orphans: QuerySet[Job]) -> int:
    count = 0
    for row in orphans:
        dead = row.recoveries >= MAX_RECOVERIES
        try:
            with transaction.atomic():
                count += Job.objects.filter(pk=row.pk, state=JobState.RUNNING, lease_until=row.lease_until).update(
                    state=JobState.DEAD if dead else JobState.QUEUED,
                    attempts=max(0, row.attempts - 1),
                    recoveries=F("recoveries") + 1,
                    lease_until=None,
                    error="the process that ran it died" if dead else row.error,
                )
        except IntegrityError:  # a twin with the same unique key is queued already
            Job.objects.filter(pk=row.pk, state=JobState.RUNNING).update(state=JobState.DONE, finished_at=clock.now())
    return count


def retry_dead(row: Job) -> bool:
    """Put a dead job back in the queue with fresh tries; False when it is not dead (any more)."""
    return bool(
        Job.objects.filter(pk=row.pk, state=JobState.DEAD).update(
            state=JobState.QUEUED, attempts=0, run_at=clock.now(), finished_at=None
        )
    )


def prune(*, done_before: datetime) -> int:
    """Delete done jobs that finished before; dead ones stay until a person deals with them."""
    return Job.objects.filter(state=JobState.DONE, finished_at__lt=done_before).delete()[0]


def enqueue_due_periodic(now: datetime | None = None) -> int:
    """Enqueue each periodic job whose time has come; by guarded UPDATE only one process does. Return how many."""
    now = now or clock.now()
    known = dict(
        Lease.objects.filter(name__in=[f"periodic:{name}" for name in _periodic]).values_list("name", "last_run_at")
    )
    count = 0
    for name, every_seconds in _periodic.items():
        if rests(name):
            continue
        key = f"periodic:{name}"
        if key not in known:
            Lease.objects.bulk_create([Lease(name=key)], ignore_conflicts=True)
            known[key] = None
        last = known[key]
        if last is not None and last <= now and (now - last).total_seconds() < every_seconds:
            continue  # a last run in the future means the clock was set back: run now
        with transaction.atomic():
            if Lease.objects.filter(name=key, last_run_at=last).update(last_run_at=now, holder=worker_name()):
                enqueue(name, {}, unique_key=key)
                count += 1
    return count


def take_lease(name: str, holder: str, *, seconds: float = LEASE_SECONDS) -> bool:
    """Take or renew a lease by guarded UPDATE; True when `holder` has it until now + `seconds`."""
    now = clock.now()
    until = now + timedelta(seconds=seconds)
    if Lease.objects.filter(name=name, holder=holder).update(until=until):
        return True
    if Lease.objects.filter(name=name, until__lt=now).update(holder=holder, until=until):
        return True
    if not Lease.objects.filter(name=name).exists():
        Lease.objects.bulk_create([Lease(name=name, holder=holder, until=until)], ignore_conflicts=True)
        return Lease.objects.filter(name=name, holder=holder).exists()
    return False


def release_leases(holder: str | None = None) -> None:
    """Let leases go: those of `holder`, or all (embedded mode at start, alone on its database)."""
    held = Lease.objects.filter(name__startswith="duty:")
    if holder is not None:
        held = held.filter(holder=holder)
    held.update(until=clock.now() - timedelta(seconds=1), holder="")


class Workers:
    """The threads of one process: job workers, the scheduler, and one thread for each duty."""

    def __init__(self, *, threads: int, alone: bool) -> None:
        self._stop = threading.Event()
        self._alone = alone
        self._looked_at = float("-inf")  # when one of the threads last began to look; never, where it found something
        self._name = f"{worker_name()}:{uuid.uuid4().hex[:6]}"
        self._at_duty: set[threading.Event] = set()  # set, each ends a duty that runs
        self._threads = [threading.Thread(target=self._work, name=f"job-{i}", daemon=True) for i in range(threads)]
        self._threads.append(threading.Thread(target=self._schedule, name="job-scheduler", daemon=True))
        self._threads += [
            threading.Thread(target=self._hold_duty, args=(name, function), name=f"duty-{name}", daemon=True)
            for name, function in _duties.items()
        ]

    @property
    def name(self) -> str:
        """What its jobs and leases bear."""
        return self._name

    def start(self) -> None:
        """Recover what a killed process left, then start every thread."""
        recover_orphans(all_running=self._alone)
        if self._alone:
            release_leases()
        for thread in self._threads:
            thread.start()

    def stop(self, *, wait_seconds: float = 10.0) -> None:
        """Ask every thread to stop and wait; what is running is finished or recovered at the next start."""
        self._stop.set()
        _wake.set()
        for lost in list(self._at_duty):
            lost.set()
        for thread in self._threads:
            if thread.ident is not None:  # never started: the start itself failed
                thread.join(wait_seconds)
        release_leases(self._name)

    def _work(self) -> None:
        woken = True
        while not self._stop.is_set():
            try:
                close_old_connections()
                if woken or self._should_look():
                    self._looked_at = time.monotonic()
                    row = claim(self._name) if anything_due() else None
                    if row is not None:
                        self._looked_at = float("-inf")  # there may be more, for others
                        run_one(row)
                        woken = True
                        continue
            except OperationalError as error:  # database locked, full or gone: wait, the row is still there
                log.error("jobs: database not available, trying again: %s", error)
                self._stop.wait(2.0)
            woken = _wake.wait(POLL_SECONDS)
            _wake.clear()
        connection.close()

    def _should_look(self) -> bool:
        """Whether no thread of this process looked a moment ago in vain, or is at it: one that looks is enough."""
        return time.monotonic() - self._looked_at >= POLL_SECONDS * 0.9

    def _schedule(self) -> None:
        turn = 0
        while not self._stop.wait(TURN_SECONDS):
            try:
                close_old_connections()
                if turn % LOOK_AROUND_TURNS == 0:
                    for _resting, refresh in _rest:
                        refresh()
                    recover_orphans()
                turn += 1
                enqueue_due_periodic()
            except OperationalError as error:
                log.error("scheduler: database not available, trying again: %s", error)
                self._stop.wait(2.0)
        connection.close()

    def _hold_duty(self, name: str, function: DutyFunction) -> None:
        key, failures = f"duty:{name}", 0
        while not self._stop.is_set():
            try:
                close_old_connections()
                if rests(name) or not take_lease(key, self._name):
                    self._stop.wait(LEASE_SECONDS / 5)
                    continue
                self._run_duty(key, function)
                failures = 0
            except Exception as error:  # a duty restarts with backoff, whatever broke it
                failures += 1
                log.exception("duty %s failed, starting it again", name)
                self._note_duty_error(key, error)
                self._stop.wait(min(30.0, backoff_seconds(failures)))
        connection.close()

    def _run_duty(self, key: str, function: DutyFunction) -> None:
        """Run the loop while a keeper renews its lease; losing the lease stops the loop."""
        lost, ended = threading.Event(), threading.Event()
        held_until = time.monotonic() + LEASE_SECONDS * 0.8  # later nobody can prove that we still hold it

        def keep() -> None:
            nonlocal held_until
            while not ended.wait(LEASE_SECONDS / 5):
                if self._stop.is_set() or rests(key.removeprefix("duty:")):
                    break
                began = time.monotonic()
                try:
                    if not take_lease(key, self._name):
                        break
                    held_until = began + LEASE_SECONDS * 0.8
                except OperationalError as error:
                    log.warning("the lease of %s could not be renewed: %s", key, error)
                    connection.close()
            lost.set()
            connection.close()

        def watch() -> None:
            """Let go in time even while the renewal hangs in a database that does not answer."""
            while not ended.wait(LEASE_SECONDS / 20):
                if time.monotonic() > held_until:
                    lost.set()
                    return

        self._at_duty.add(lost)
        if self._stop.is_set():  # meanwhile: nobody else would say so
            lost.set()
        keeper = threading.Thread(target=keep, name=f"lease-{key}", daemon=True)
        keeper.start()
        threading.Thread(target=watch, name=f"watch-{key}", daemon=True).start()
        try:
            function(lost)
        finally:
            self._at_duty.discard(lost)
            ended.set()
            keeper.join(5.0)

    def _note_duty_error(self, key: str, error: Exception) -> None:
        try:
            Lease.objects.filter(name=key).update(last_error=f"{type(error).__name__}: {error}"[:2000])
        except OperationalError:
            log.error("duty %s: its error could not be written down", key)


def run_due(*, limit: int = 1000, until: datetime | None = None) -> int:
    """Run due jobs in this thread until none is left (tests, one-shot commands); return how many ran."""
    for count in range(limit):
        row = claim("inline", now=until)
        if row is None:
            return count
        run_one(row)
    raise RuntimeError(f"still jobs due after {limit}: something enqueues itself without end")
