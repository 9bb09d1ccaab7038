"""kill -9 of a real worker in the middle of a run: it goes on, and no finished step is done again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from django.db import connection

from tests.runbooks.conftest import TESTS, Effects, Request, ask, decide, reply, states
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.core.refs import ref
from tongchou.runbooks import actions
from tongchou.runbooks.models import Run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

STEPS = """
name: long
title: Long
grade: reversible
steps:
  - {name: s0, http: {method: PUT, url: "${target.control_url}/0"}}
  - {name: s1, http: {method: POST, url: "${target.control_url}/1", idempotent: true}}
  - {name: s2, wait_until: {query: ready, is: '> 0', for_seconds: 1, timeout_seconds: 90, poll_seconds: 0.2}}
  - {name: s3, http: {method: POST, url: "${target.control_url}/3", idempotent: true}}
  - {name: s4, http: {method: DELETE, url: "${target.control_url}/4"}}
  - {name: s5, http: {method: POST, url: "${target.control_url}/5", idempotent: true}}
"""

ONCE = """
name: once
title: Once
grade: irreversible
steps:
  - {name: before, http: {method: PUT, url: "${target.control_url}/before"}}
  - {name: pay, http: {method: POST, url: "${target.control_url}/pay"}}
  - {name: after, http: {method: PUT, url: "${target.control_url}/after"}}
"""


class Worker:
    """A worker process that is started, killed and started again."""

    def __init__(self, metrics: Path, periodic: Sequence[str] = ("runbooks.wake",)) -> None:
        self.metrics = metrics
        self.periodic = periodic
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it takes jobs."""
        command = [sys.executable, str(Path(__file__).with_name("worker.py"))]
        self.process = subprocess.Popen(
            [*command, str(connection.settings_dict["NAME"]), str(self.metrics), *self.periodic],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tongchou.settings", "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """kill -9."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        until(lambda: _others() == 0)


def _others() -> int:
    """Sessions a killed worker still has at PostgreSQL, which would keep the test database from being dropped."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    metrics = tmp_path / "metrics.json"
    metrics.write_text("{}")
    with Worker(metrics) as found:
        yield found


def until(condition: Callable[[], bool], *, seconds: float = 90.0) -> None:
    """Wait for the world to come to a state; fail when it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def state(run: Run) -> str:
    return str(Run.objects.values_list("state", flat=True).get(pk=run.pk))


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_runs_whose_worker_is_killed_again_and_again_end_with_every_step_done_once(
    rounds: int, worker: Worker, operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    seed = int(os.environ.get("TONGCHOU_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"TONGCHOU_KILL_SEED={seed}")
    rng = random.Random(seed)

    def slow(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        time.sleep(0.3)  # so that a kill finds a step in the middle
        reply(handler, 200)

    effects.answers = {f"/{number}": slow for number in range(6)}
    row = actions.put_procedure(actor=TESTS, name="long", text=STEPS)
    left = rounds
    while left > 0:
        run = ask(operator_actor, row)
        decide(approver_actor, run)
        kills = _kill_through(worker, run, min(left, rng.randint(2, 6)), rng)
        left -= kills
        _check(run, effects, kills)
        effects.seen.clear()


def _kill_through(worker: Worker, run: Run, most: int, rng: random.Random) -> int:
    """Kill the worker of one run up to `most` times, then let it end; return how often it was killed."""
    kills = 0
    worker.metrics.write_text("{}")
    while kills < most and state(run) != "succeeded":
        worker.start()
        time.sleep(rng.uniform(0.1, 1.5))
        if kills + 1 >= most // 2:
            worker.metrics.write_text(json.dumps({"ready": [1.0]}))
        worker.kill()
        kills += 1
    worker.metrics.write_text(json.dumps({"ready": [1.0]}))
    worker.start()
    until(lambda: state(run) == "succeeded")
    worker.kill()
    return kills


def _check(run: Run, effects: Effects, kills: int) -> None:
    assert states(run) == ["succeeded"] * 6
    paths = effects.paths()
    assert paths == sorted(paths), "a step was done again after a later one had begun"
    for path in set(paths):
        keys = {request.key for request in effects.seen if request.path == path}
        assert keys == {f"{run.pk}:{path[1:]}"}, "the other side could not tell a repetition"
        assert paths.count(path) <= 1 + kills
    mine = Event.objects.filter(subject=ref(run))
    finished = mine.filter(verb="run.step_finished").order_by("id")
    assert [event.payload["position"] for event in finished] == [0, 1, 2, 3, 4, 5]
    for verb in ("run.started", "run.succeeded"):
        assert mine.filter(verb=verb).count() == 1


def test_a_step_that_may_not_be_repeated_becomes_uncertain_and_a_person_decides(
    worker: Worker, operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    released = threading.Event()

    def hang(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        released.wait(30)
        reply(handler, 200)

    effects.answers["/pay"] = hang
    row = actions.put_procedure(actor=TESTS, name="once", text=ONCE)
    run = ask(operator_actor, row)
    decide(approver_actor, run)
    worker.start()
    effects.wait_for(1, path="/pay")
    worker.kill()
    released.set()
    worker.start()
    until(lambda: state(run) == "waiting")
    assert states(run) == ["succeeded", "uncertain", "pending"]
    assert effects.paths() == ["/before", "/pay"]
    assert Event.objects.get(verb="run.waiting").payload["why"] == "uncertain"
    actions.answer(actor=operator_actor, run=run, position=1, answer="done", comment="the ledger shows it")
    until(lambda: state(run) == "succeeded")
    assert effects.paths() == ["/before", "/pay", "/after"]


def test_a_wait_keeps_its_deadline_over_a_kill(
    worker: Worker, operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    text = STEPS.replace("timeout_seconds: 90", "timeout_seconds: 4")
    row = actions.put_procedure(actor=TESTS, name="long", text=text)
    run = ask(operator_actor, row)
    decide(approver_actor, run)
    worker.start()
    until(lambda: run.steps.get(position=2).deadline_at is not None)
    deadline = run.steps.get(position=2).deadline_at
    worker.kill()
    worker.start()
    until(lambda: state(run) == "failed")
    step = run.steps.get(position=2)
    assert step.reason["code"] == "wait_timeout"
    assert step.attempts == 1, "the wait was begun afresh"
    assert step.finished_at is not None
    assert deadline is not None
    assert step.finished_at >= deadline
    assert states(run) == ["succeeded", "succeeded", "failed", "skipped", "skipped", "skipped"]


BRANCHED = """
name: branched
title: Branched
grade: reversible
lock: true
steps:
  - name: both
    parallel:
      left:
        - {name: l0, http: {method: PUT, url: "${target.control_url}/l0"}}
        - {name: l1, http: {method: PUT, url: "${target.control_url}/l1"}}
      right:
        - {name: r0, http: {method: PUT, url: "${target.control_url}/r0"}}
        - name: bad
          http: {method: PUT, url: "${target.control_url}/bad"}
          on_failure: [{name: undo, http: {method: PUT, url: "${target.control_url}/undo"}}]
          then: continue
        - {name: r1, http: {method: PUT, url: "${target.control_url}/r1"}}
  - {name: after, http: {method: PUT, url: "${target.control_url}/after"}}
"""
ENDS = dict.fromkeys(("both", "l0", "l1", "r0", "undo", "r1", "after"), "succeeded") | {"bad": "failed"}


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_branches_whose_worker_is_killed_go_on_from_their_own_journals(
    rounds: int, worker: Worker, operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    seed = int(os.environ.get("TONGCHOU_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"TONGCHOU_KILL_SEED={seed}")
    rng = random.Random(seed)

    def slow(handler: BaseHTTPRequestHandler, request: Request) -> None:
        time.sleep(0.3)  # so that a kill finds both branches in the middle of a step
        reply(handler, 500 if request.path == "/bad" else 200)

    effects.answers = {f"/{name}": slow for name in ENDS}
    row = actions.put_procedure(actor=TESTS, name="branched", text=BRANCHED)
    left = rounds
    while left > 0:
        run = ask(operator_actor, row)
        decide(approver_actor, run)
        kills = _kill_through(worker, run, min(left, rng.randint(2, 4)), rng)
        left -= kills
        assert dict(run.steps.values_list("name", "state")) == ENDS
        _check_branches(run, effects, kills)
        effects.seen.clear()


def _check_branches(run: Run, effects: Effects, kills: int) -> None:
    paths = effects.paths()
    for line in (["/l0", "/l1", "/after"], ["/r0", "/bad", "/undo", "/r1", "/after"]):
        mine = [path for path in paths if path in line]
        assert mine == sorted(mine, key=line.index), "a step was done again after a later one of its branch had begun"
    for path in set(paths):
        assert len({request.key for request in effects.seen if request.path == path}) == 1
        assert paths.count(path) <= 1 + kills
    told = Event.objects.filter(subject=ref(run), verb="run.step_finished")
    assert sorted(event.payload["step"] for event in told) == sorted(ENDS), "what came of a step was told twice"
