"""Branches, answers to failure, conditions, tries, locks, limits and batches, against a real control interface."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from django.utils import timezone

from tests.runbooks.conftest import TESTS, Effects, Metrics, Request, ask, decide, make_resource, reply, states, work
from tests.runbooks.test_kill import until
from tongchou.core import jobs, ledger, settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Event, Job
from tongchou.core.problems import Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.integrations.http_step.runner import HttpStep
from tongchou.runbooks import actions, journal
from tongchou.runbooks.layout import batch_numbers
from tongchou.runbooks.models import Procedure, Run, RunStep
from tongchou.runbooks.ports import StepResult
from tongchou.runbooks.prepare import definition_of
from tongchou.runbooks.reasons import Reason

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

HEAD = "name: flow\ntitle: Flow\ngrade: reversible\nmax_targets: 5\n"
STEP = "{name: %s, http: {method: PUT, url: '${target.control_url}/%s'}%s}"


def step(name: str, more: str = "") -> str:
    return STEP % (name, name, f", {more}" if more else "")


def save(steps: str, head: str = "") -> Procedure:
    return actions.put_procedure(actor=TESTS, name="flow", text=f"{HEAD}{head}steps:\n{steps}")


Go = Callable[..., Run]


def fail(handler: BaseHTTPRequestHandler, _request: Request) -> None:
    reply(handler, 500)


@pytest.fixture
def go(operator_actor: Actor, approver_actor: Actor, execution_on: None) -> Go:
    def run(row: Procedure, *targets: str) -> Run:
        found = ask(operator_actor, row, *targets)
        decide(approver_actor, found)
        return work(found)

    return run


def test_a_failure_is_answered_and_the_run_says_what_rolled_it_back(go: Go, effects: Effects) -> None:
    effects.answers["/ship"] = fail
    row = save(f"  - {step('ship', 'on_failure: [' + step('back') + ']')}\n  - {step('after')}\n")
    run = go(row)
    assert (run.state, run.outcome["code"]) == ("failed", "rolled_back")
    assert run.outcome["params"] == {"step": "ship", "by": "back"}
    assert effects.paths() == ["/ship", "/back"]
    assert states(run) == ["failed", "succeeded", "skipped"]


def test_after_its_answer_a_failure_may_be_gone_past(go: Go, effects: Effects) -> None:
    effects.answers["/ship"] = fail
    effects.answers["/flaky"] = fail
    run = go(
        save(
            f"  - {step('ship', 'on_failure: [' + step('back') + '], then: continue')}\n"
            f"  - {step('flaky', 'on_failure: continue')}\n  - {step('after')}\n"
        )
    )
    assert (run.state, effects.paths()) == ("succeeded", ["/ship", "/back", "/flaky", "/after"])


def test_a_retry_answers_the_failure_again_with_new_keys(go: Go, operator_actor: Actor, effects: Effects) -> None:
    effects.answers["/ship"] = fail
    run = go(save(f"  - {step('first')}\n  - {step('ship', 'on_failure: [' + step('back') + ']')}\n"))
    actions.retry(actor=operator_actor, run=run)
    run = work(run)
    assert effects.paths() == ["/first", "/ship", "/back", "/ship", "/back"]
    keys = [request.key for request in effects.seen]
    assert len(set(keys)) == 5, "the other side could take a new request for a repetition"


@pytest.mark.parametrize(("said", "end"), [([1.0], "succeeded"), ([], "skipped")])
def test_a_step_whose_condition_is_false_is_skipped_with_the_reason(
    go: Go, effects: Effects, metrics: Metrics, said: list[float], end: str
) -> None:
    metrics.said["lag"] = said
    run = go(save(f"  - {step('maybe', 'when: {query: lag, is: not_empty}')}\n  - {step('after')}\n"))
    assert (run.state, states(run)) == ("succeeded", [end, "succeeded"])
    assert effects.paths() == (["/maybe", "/after"] if said else ["/after"])
    if not said:
        assert run.steps.get(position=0).reason["code"] == "when_false"


def test_a_condition_that_cannot_be_asked_is_no_no(go: Go, effects: Effects, metrics: Metrics) -> None:
    metrics.said["lag"] = Invalid("x", "the store is away", field="query", value="lag", remedy="wait")
    run = go(save(f"  - {step('maybe', 'when: {query: lag}')}\n"))
    assert (run.state, effects.paths()) == ("failed", [])
    assert run.steps.get(position=0).reason["code"] == "when_unknown"


def test_a_step_is_tried_again_after_its_wait_and_no_sooner(go: Go, effects: Effects) -> None:
    effects.answers["/flaky"] = fail
    run = go(save(f"  - {step('flaky', 'retry: {times: 2, wait_seconds: 60}')}\n"))
    assert (run.state, states(run), effects.paths()) == ("running", ["pending"], ["/flaky"])
    row = run.steps.get(position=0)
    assert row.poll_at is not None
    assert row.poll_at > timezone.now() + timedelta(seconds=50)
    assert work(run).state == "running"
    assert effects.paths() == ["/flaky"], "it was tried before its time"
    for _ in range(2):
        RunStep.objects.update(poll_at=timezone.now() - timedelta(seconds=3))
        Job.objects.filter(state="queued").update(run_at=timezone.now())
        run = work(run)
    assert (run.state, effects.paths()) == ("failed", ["/flaky"] * 3)
    assert Event.objects.filter(verb="run.step_retried").count() == 2
    assert len({request.key for request in effects.seen}) == 3, "each answer was definite, each try is a new request"


def test_branches_run_at_the_same_time_and_all_end_before_the_next_step(go: Go, effects: Effects) -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        both.wait()  # each answers only when the other has come
        reply(handler, 200)

    effects.answers = {"/left": meet, "/right": meet}
    run = go(
        save(
            f"  - name: both\n    parallel:\n      l: [{step('left')}]\n      r: [{step('right')}]\n  - {step('after')}\n"
        )
    )
    assert run.state == "succeeded"
    assert effects.paths()[-1] == "/after"
    assert [row.branch for row in run.steps.order_by("position")] == ["", "l", "r", ""]


def test_a_failing_branch_lets_the_other_end_its_step_and_fails_the_group(go: Go, effects: Effects) -> None:
    def slow(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        until(lambda: RunStep.objects.filter(name="bad", state="failed").exists(), seconds=20)
        reply(handler, 200)

    def late_fail(handler: BaseHTTPRequestHandler, request: Request) -> None:
        effects.wait_for(1, path="/slow")
        fail(handler, request)

    effects.answers = {"/slow": slow, "/bad": late_fail}
    run = go(
        save(
            f"  - name: both\n    parallel:\n      l: [{step('bad')}]\n      r: [{step('slow')}, {step('never')}]\n"
            f"    on_failure: [{step('tidy')}]\n  - {step('after')}\n"
        )
    )
    assert (run.state, run.outcome["code"]) == ("failed", "rolled_back")
    by = dict(run.steps.values_list("name", "state"))
    assert (by["both"], by["bad"], by["slow"], by["never"], by["tidy"]) == (
        "failed",
        "failed",
        "succeeded",
        "skipped",
        "succeeded",
    )
    assert run.steps.get(name="both").reason["params"] == {"branches": "l"}
    assert "/never" not in effects.paths()


def test_targets_go_in_batches_after_the_canary(go: Go, effects: Effects) -> None:
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    for name in ("db-c", "db-d", "db-e"):
        make_resource(name, control_url=effects.url)
    text = "  - {name: a, http: {method: PUT, url: '${target.control_url}/${target.name}'}}\n"
    names = ("db-b", "db-c", "db-d", "db-e")
    run = go(save(text, "batch: {size: 2, parallel: true}\n"), *names)
    assert run.state == "succeeded"
    paths = effects.paths()
    assert (paths[0], set(paths[1:3]), paths[3]) == ("/db-b", {"/db-c", "/db-d"}, "/db-e")
    assert batch_numbers(definition_of(run.version.text), 4) == [1, 2, 2, 3]  # as pages tell it
    ended = ledger.events(about=ref(run), verbs=["run.step_finished"])
    assert {each.payload["target"] for each in ended} >= set(names)
    effects.seen.clear()
    effects.answers["/db-c"] = fail
    run = go(save(text, "batch: {size: 1}\n"), *names)
    assert (run.state, effects.paths()) == ("failed", ["/db-b", "/db-c"])


def test_two_runs_with_one_lock_never_run_at_once(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    make_resource("db-c", control_url=effects.url)
    row = save("  - {name: sure, ask: {question: sure}}\n", "lock: shared\n")
    first, second = ask(operator_actor, row), ask(operator_actor, row, "db-c")
    decide(approver_actor, first)
    first = work(first)
    decide(approver_actor, second)
    second = work(second)
    assert (first.state, second.state) == ("waiting", "queued")
    assert journal.lock_holder(second) == first
    assert journal.wake_due() == 0, "the one that waits for the lock is woken for nothing"
    actions.answer(actor=operator_actor, run=first, position=0, answer="continue")
    assert work(first).state == "succeeded"
    assert work(second).state == "waiting"


def test_the_database_itself_refuses_a_second_holder(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    make_resource("db-c", control_url=effects.url)
    row = save("  - {name: sure, ask: {question: sure}}\n", "lock: true\n")
    first, second = ask(operator_actor, row), ask(operator_actor, row, "db-c")
    assert {first.lock, second.lock} == {"flow"}
    for run in (first, second):
        Run.objects.filter(pk=run.pk).update(state="queued")
        assert journal.claim(run.pk, str(run.pk), seconds=60)
    assert journal.begin_run(first, str(first.pk))
    assert not journal.begin_run(second, str(second.pk))
    assert Run.objects.get(pk=second.pk).state == "queued"


def test_a_rate_limit_refuses_and_says_when_it_is_allowed_again(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    row = save(f"  - {step('a')}\n", "rate_limit: {runs: 1, per: 1h}\n")
    actions.cancel(actor=operator_actor, run=ask(operator_actor, row))
    run = ask(operator_actor, row)
    decide(approver_actor, run)
    assert work(run).state == "succeeded", "a run cancelled before it began counts"
    with pytest.raises(Conflict) as refused:
        ask(operator_actor, row)
    again = run.created_at + timedelta(hours=1)
    assert again.strftime("%Y-%m-%d %H:%M:%S UTC") in str(refused.value.detail)
    Run.objects.filter(pk=run.pk).update(created_at=run.created_at - timedelta(hours=1))
    assert ask(operator_actor, row).state == "awaiting_approval"


# --- the emergency stop


def test_the_emergency_stop_pauses_before_the_next_step_and_a_person_goes_on(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    def stop(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        actions.stop_execution(actor=operator_actor, reason="smoke in the rack")
        reply(handler, 200)

    effects.answers["/one"] = stop
    row = save(f"  - {step('one')}\n  - {step('two')}\n", "lock: true\n")
    run = ask(operator_actor, row)
    decide(approver_actor, run)
    run = work(run)
    assert (run.state, states(run)) == ("paused", ["succeeded", "pending"])
    event = Event.objects.get(verb="execution.stopped")
    assert (event.actor_name, event.payload["reason"]) == (operator_actor.name, "smoke in the rack")
    with pytest.raises(Conflict):
        actions.resume(actor=operator_actor, run=run)
    with pytest.raises(Conflict) as refused:
        make_resource("db-c", control_url=effects.url)
        settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
        ask(operator_actor, row, "db-c")
    assert "stopped" in str(refused.value.extra)
    assert actions.lift_stop(actor=approver_actor)
    assert work(run).state == "paused", "it went on without a person"
    assert effects.paths() == ["/one"]
    actions.resume(actor=operator_actor, run=run)
    assert (work(run).state, effects.paths()) == ("succeeded", ["/one", "/two"])


def test_a_run_that_has_not_begun_waits_for_the_stop_to_be_lifted(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, save(f"  - {step('one')}\n"))
    assert actions.stop_execution(actor=operator_actor, reason="why")
    assert not actions.stop_execution(actor=operator_actor, reason="again")
    decide(approver_actor, run)
    assert work(run).state == "queued"
    assert journal.wake_due() == 0
    actions.lift_stop(actor=approver_actor)
    assert (work(run).state, effects.paths()) == ("succeeded", ["/one"])
    assert jobs.run_due() == 0


@pytest.mark.parametrize("fails", [False, True])
def test_whatever_a_step_brings_back_is_kept_and_the_run_ends(
    go: Go, effects: Effects, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """A server says what it likes: half a character, a NUL, no number."""
    odd = {"said": "a\x00b\ud800", "\x00": [{"deep\udfff": "\x00"}], "number": float("nan")}
    reason = Reason("step_broken", {"why": "\x00\ud800"}) if fails else None
    monkeypatch.setattr(HttpStep, "run", lambda *_args: StepResult(odd, reason))
    run = go(save(f"  - {step('ship')}\n"))
    assert run.state == ("failed" if fails else "succeeded")
    assert RunStep.objects.get(run=run).output["said"] == "a\ufffdb\ufffd"
