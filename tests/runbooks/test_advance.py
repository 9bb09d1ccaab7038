"""Doing steps: time, size, secrets, uncertainty, claims."""

from __future__ import annotations

import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from django.db import transaction
from django.utils import timezone

from tests.runbooks.conftest import (
    PROMOTE,
    TESTS,
    Effects,
    Metrics,
    Request,
    as_json,
    ask,
    decide,
    reply,
    states,
    work,
)
from tongchou.core import jobs, secrets
from tongchou.core.access import Actor
from tongchou.core.models import Approval, Event, Job
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions, advance, journal
from tongchou.runbooks.models import Procedure, ProcedureVersion, Run, RunStep

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def started(operator: Actor, approver: Actor, row: Procedure) -> Run:
    run = ask(operator, row)
    decide(approver, run)
    return run


def test_a_step_that_hangs_fails_at_its_deadline_and_says_that_it_may_have_happened(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    effects.answers["/announce/1"] = lambda _handler, _request: bool(effects.stopping.wait(10)) and None
    run = work(started(operator_actor, approver_actor, promote))
    assert (run.state, states(run)) == ("failed", ["succeeded", "failed"])
    step = run.steps.get(position=1)
    assert (step.reason["code"], step.reason["params"]["reason"]) == ("http_unknown", "timeout")
    event = Event.objects.get(verb="run.failed")
    assert (event.payload["done"], event.payload["failed"]) == (["promote"], ["announce"])
    effects.answers.clear()
    actions.retry(actor=operator_actor, run=run)
    assert work(run).state == "succeeded"
    keys = [request.key for request in effects.seen if request.path == "/announce/1"]
    assert len(set(keys)) == 1, "the other side must be able to tell a repetition of what may have happened"


def test_a_step_whose_answer_never_ends_fails_at_its_deadline(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    def drip(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not effects.stopping.wait(0.05):
            handler.wfile.write(b"x")

    effects.answers["/announce/1"] = drip
    run = work(started(operator_actor, approver_actor, promote))
    assert run.steps.get(position=1).reason["params"]["reason"] == "timeout"


def test_an_answer_of_50_mb_is_cut_off_and_fails_the_step(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    sent = []

    def flood(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(50):
            handler.wfile.write(b"x" * 1_000_000)
            sent.append(1)

    effects.answers["/announce/1"] = flood
    run = work(started(operator_actor, approver_actor, promote))
    step = run.steps.get(position=1)
    assert (run.state, step.reason["params"]["reason"]) == ("failed", "too_large")
    assert len(sent) < 50, "all of it was read"


def test_a_long_answer_is_kept_only_in_its_beginning(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    effects.answers["/promote"] = lambda handler, _request: reply(handler, 200, b"y" * 500_000, "text/plain")
    run = work(started(operator_actor, approver_actor, promote))
    output = run.steps.get(position=0).output
    assert (run.state, len(output["body"]), output["truncated"], output["bytes"]) == (
        "succeeded",
        16_384,
        True,
        500_000,
    )


def test_a_redirect_is_not_followed(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    def away(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        handler.send_response(307)
        handler.send_header("Location", f"{effects.url}/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    effects.answers["/promote"] = away
    run = work(started(operator_actor, approver_actor, promote))
    assert (run.state, effects.paths()) == ("failed", ["/promote"])


def test_secrets_reach_the_target_and_nothing_else(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    value = "p@ss/wörd+1"
    secrets.put(actor=TESTS, name="control", value=value.encode("ascii", "replace").decode())
    value = "p@ss/w?rd+1"
    text = PROMOTE.replace(
        "      idempotent: true\n",
        '      idempotent: true\n      headers: {Authorization: "Bearer ${secret.control}", X-Note: "$${secret.control}"}\n',
    )
    row = actions.put_procedure(actor=TESTS, name="promote", text=text)

    def echo(handler: BaseHTTPRequestHandler, request: Request) -> None:
        reply(handler, 200, ('{"you sent": "' + request.headers["authorization"] + '", "token": "xyz"}').encode())

    def refuse(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        reply(handler, 500, f"no: {value} and p%40ss%2Fw%3Frd%2B1".encode(), "text/plain")

    effects.answers = {"/promote": echo, "/announce/1": refuse}
    run = work(started(operator_actor, approver_actor, row))
    assert effects.seen[0].headers["authorization"] == f"Bearer {value}"
    assert effects.seen[0].headers["x-note"] == "${secret.control}"
    assert run.steps.get(position=0).output["body"]["token"] == "••••"
    assert "no: ••••" in run.steps.get(position=1).output["body"]
    kept = as_json(
        [
            list(table.objects.values())  # type: ignore[attr-defined]  # every model has objects
            for table in (Run, RunStep, Event, Approval, Job, ProcedureVersion)
        ]
    )
    assert value not in kept
    assert "p%40ss" not in kept
    assert "${secret.control}" in kept


def test_a_secret_that_is_gone_fails_the_step_before_anything_is_sent(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    secrets.put(actor=TESTS, name="control", value="hunter2")
    text = PROMOTE.replace("idempotent: true", 'idempotent: true\n      headers: {X-Token: "${secret.control}"}')
    row = actions.put_procedure(actor=TESTS, name="promote", text=text)
    run = started(operator_actor, approver_actor, row)
    secrets.delete(actor=TESTS, name="control")
    run = work(run)
    assert (run.state, effects.seen) == ("failed", [])


WAIT = """
name: wait
title: Wait
grade: read
max_targets: 0
steps:
  - {name: w, wait_until: {query: up, is: '> 0', for_seconds: 0.3, timeout_seconds: 30, poll_seconds: 0.2}}
"""


def waiting(operator: Actor) -> Run:
    row = actions.put_procedure(actor=TESTS, name="wait", text=WAIT)
    run = actions.request_run(actor=operator, procedure=row, params={}, targets=[])
    return work(run)


def test_a_wait_survives_between_jobs_and_starts_afresh_after_a_no(operator_actor: Actor, metrics: Metrics) -> None:
    run = waiting(operator_actor)
    assert run.state == "waiting"
    metrics.said["up"] = [1.0]
    time.sleep(0.25)
    run = work(run)
    since = run.steps.get().true_since
    assert since is not None
    metrics.said["up"] = [1.0, 0.0]
    time.sleep(0.25)
    run = work(run)
    assert (run.state, run.steps.get().true_since) == ("waiting", None)
    metrics.said["up"] = [1.0]
    for _ in range(100):
        time.sleep(0.1)
        run = work(run)
        if run.state != "waiting":
            break
    assert (run.state, Event.objects.filter(verb="run.waiting").count()) == ("succeeded", 1)


def test_a_wait_takes_one_last_look_at_its_deadline(operator_actor: Actor, metrics: Metrics) -> None:
    run = waiting(operator_actor)
    past = timezone.now() - timedelta(seconds=1)
    run.steps.update(deadline_at=past, poll_at=past)
    metrics.said["up"] = []
    Job.objects.filter(state="queued").update(run_at=past)
    run = work(run)
    assert (run.state, run.steps.get().reason["code"]) == ("failed", "wait_timeout")


def test_a_question_nobody_answers_fails_at_its_deadline(operator_actor: Actor) -> None:
    text = "{name: q, title: Q, grade: read, max_targets: 0, steps: [{name: a, ask: {question: 'ok?'}}]}"
    row = actions.put_procedure(actor=TESTS, name="q", text=text)
    run = work(actions.request_run(actor=operator_actor, procedure=row, params={}, targets=[]))
    assert run.state == "waiting"
    assert journal.wake_due() == 0
    run.steps.update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert journal.wake_due() == 1
    run = work(run)
    assert (run.state, run.steps.get().reason["code"]) == ("failed", "answer_none")


def test_of_two_jobs_for_one_run_exactly_one_moves_it(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = started(operator_actor, approver_actor, promote)
    Run.objects.filter(pk=run.pk).update(state="running")
    assert journal.claim(run.pk, "first", seconds=60)
    advance.advance(run.pk, "second")
    assert effects.seen == []
    assert Job.objects.filter(name="runbooks.advance", state="queued", run_at__gt=timezone.now()).count() == 1
    assert not journal.claim(run.pk, "second", seconds=60)
    assert journal.claim(run.pk, "first", seconds=60)
    Run.objects.filter(pk=run.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert journal.claim(run.pk, "second", seconds=60), "a claim that has run out is free"


def test_a_job_that_finds_the_run_taken_comes_back_when_it_is_let_go_and_not_each_second(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = started(operator_actor, approver_actor, promote)
    Run.objects.filter(pk=run.pk).update(state="running")
    Job.objects.filter(name="runbooks.advance").delete()
    assert journal.claim(run.pk, "long", seconds=3600)
    before = timezone.now()
    advance.advance(run.pk, "again")
    waits = Job.objects.get(name="runbooks.advance", state="queued")
    assert 14 < (waits.run_at - before).total_seconds() < 20
    advance.advance(run.pk, "again")
    assert Job.objects.get(name="runbooks.advance", state="queued").pk == waits.pk
    journal.release(run.pk, "somebody else")
    waits.refresh_from_db()
    assert waits.run_at > timezone.now()
    journal.release(run.pk, "long")
    waits.refresh_from_db()
    assert waits.run_at <= timezone.now(), "a hand-over waits for nothing"
    jobs.run_due()
    run.refresh_from_db()
    assert run.state == "succeeded"


def test_a_job_comes_back_at_the_end_of_a_short_claim(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None
) -> None:
    run = started(operator_actor, approver_actor, promote)
    Run.objects.filter(pk=run.pk).update(state="running")
    Job.objects.filter(name="runbooks.advance").delete()
    assert journal.claim(run.pk, "dead", seconds=5)
    advance.advance(run.pk, "again")
    run.refresh_from_db()
    assert Job.objects.get(name="runbooks.advance", state="queued").run_at == run.claimed_until
    Run.objects.filter(pk=run.pk).update(state="cancelled")
    Job.objects.filter(name="runbooks.advance").delete()
    advance.advance(run.pk, "again")
    assert not Job.objects.filter(name="runbooks.advance", state="queued").exists()


def test_who_has_lost_the_claim_begins_no_step_and_ends_no_run(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None
) -> None:
    run = started(operator_actor, approver_actor, promote)
    Run.objects.filter(pk=run.pk).update(state="running", claimed_by="other")
    step = run.steps.get(position=0)
    assert not journal.begin_step(run, step, "mine")
    assert not journal.end_run(run, "failed", None, ticket="mine")  # type: ignore[arg-type]  # a state as its text
    assert states(run) == ["pending", "pending"]


def test_a_run_whose_job_was_lost_is_found_and_goes_on(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None
) -> None:
    run = started(operator_actor, approver_actor, promote)
    jobs.run_due(limit=100)
    run = ask(operator_actor, promote)
    decide(approver_actor, run)
    Run.objects.filter(pk=run.pk).update(state="queued")
    Job.objects.all().delete()
    assert journal.wake_due() == 1
    assert journal.wake_due() == 1  # found again, and the same job serves
    assert Job.objects.count() == 1
    assert work(run).state == "succeeded"


@pytest.mark.parametrize(("answer", "sent"), [("done", 0), ("repeat", 1), ("stop", 0)])
def test_an_uncertain_step_is_for_a_person_to_decide(
    answer: str,
    sent: int,
    operator_actor: Actor,
    approver_actor: Actor,
    promote: Procedure,
    execution_on: None,
    effects: Effects,
) -> None:
    run = started(operator_actor, approver_actor, promote)
    Run.objects.filter(pk=run.pk).update(state="running")
    run.steps.filter(position=0).update(state="succeeded")
    run.steps.filter(position=1).update(state="started", attempts=1)
    jobs.run_due()
    with transaction.atomic():
        journal.wake(run.pk)
    run = work(run)
    assert (run.state, states(run), effects.seen) == ("waiting", ["succeeded", "uncertain"], [])
    actions.answer(actor=operator_actor, run=run, position=1, answer=answer)  # type: ignore[arg-type]  # one of three
    run = work(run)
    assert run.state == ("failed" if answer == "stop" else "succeeded")
    assert len(effects.seen) == sent


def test_a_step_that_never_ends_because_its_worker_dies_is_given_up(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = started(operator_actor, approver_actor, promote)
    Run.objects.filter(pk=run.pk).update(state="running")
    run.steps.filter(position=0).update(state="started", attempts=advance.MAX_TRIES)
    with transaction.atomic():
        journal.wake(run.pk)
    run = work(run)
    assert (run.state, run.steps.get(position=0).reason["code"], effects.seen) == ("failed", "step_broken", [])


def test_a_target_that_may_not_be_reached_is_refused_at_the_door(
    operator_actor: Actor,
    approver_actor: Actor,
    promote: Procedure,
    execution_on: None,
    effects: Effects,
    settings: object,
    standby: Resource,
) -> None:
    settings.HTTP_ALLOW = []  # type: ignore[attr-defined]  # pytest-django's fixture
    run = work(started(operator_actor, approver_actor, promote))
    assert (run.state, run.steps.get(position=0).reason["code"], effects.seen) == ("failed", "http_refused", [])


def test_a_step_whose_answer_never_gets_past_its_headers_fails_at_its_deadline(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    def drip(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(600):  # 30 s, against a deadline of 2 s
            if effects.stopping.wait(0.05):
                return
            handler.wfile.write(b"x")
            handler.wfile.flush()

    effects.answers["/announce/1"] = drip
    run = work(started(operator_actor, approver_actor, promote))
    step = run.steps.get(position=1)
    assert step.reason["params"]["reason"] == "timeout"
    assert step.started_at is not None
    assert step.finished_at is not None
    assert (step.finished_at - step.started_at).total_seconds() < 20
