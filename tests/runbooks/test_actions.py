"""Saving procedures, asking for runs, approval bound to content, answers, cancel, retry."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from tests.runbooks.conftest import PROMOTE, TESTS, Effects, Metrics, ask, decide, make_resource, reply, states, work
from tongchou.core import approvals, jobs, ledger, settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Approval, Event, Job
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions
from tongchou.runbooks.models import Procedure, ProcedureVersion, Run, RunStep

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def test_a_saved_text_becomes_a_version_and_the_same_text_again_changes_nothing(operator_actor: Actor) -> None:
    row = actions.put_procedure(actor=operator_actor, name="promote", text=PROMOTE)
    again = actions.put_procedure(actor=operator_actor, name="promote", text=PROMOTE)
    assert (row.pk, row.version_number, again.version_number) == (again.pk, 1, 1)
    newer = actions.put_procedure(actor=operator_actor, name="promote", text=PROMOTE.replace("max: 5", "max: 6"))
    assert newer.version_number == 2
    assert newer.content_hash != row.content_hash
    assert list(ProcedureVersion.objects.order_by("number").values_list("number", "text")) == [
        (1, PROMOTE),
        (2, PROMOTE.replace("max: 5", "max: 6")),
    ]
    assert Event.objects.filter(verb="procedure.changed").count() == 2


def test_a_comment_makes_a_version_with_the_same_hash(promote: Procedure) -> None:
    newer = actions.put_procedure(actor=TESTS, name="promote", text="# why\n" + PROMOTE)
    assert (newer.version_number, newer.content_hash) == (2, promote.content_hash)


def test_a_text_with_a_defect_is_refused_whole_and_the_old_one_stays(promote: Procedure) -> None:
    with pytest.raises(Invalid) as refused:
        actions.put_procedure(actor=TESTS, name="promote", text=PROMOTE.replace("method: POST", "method: POKE"))
    assert refused.value.field == "steps[0].http.method"
    assert refused.value.value == '"POKE"'
    assert "12" in str(refused.value.detail)
    promote.refresh_from_db()
    assert (promote.version_number, promote.text) == (1, PROMOTE)


def test_a_viewer_may_neither_save_nor_ask(viewer_actor: Actor, promote: Procedure, execution_on: None) -> None:
    with pytest.raises(AccessDenied):
        actions.put_procedure(actor=viewer_actor, name="promote", text=PROMOTE)
    with pytest.raises(AccessDenied):
        ask(viewer_actor, promote)
    assert not Run.objects.exists()


def test_an_approved_run_does_its_steps_in_order_and_says_so(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote, reason="primary is down", about_ref="incidents.incident:7", params={"count": 2})
    assert run.state == "awaiting_approval"
    assert work(run).state == "awaiting_approval"
    assert effects.seen == []
    decide(approver_actor, run)
    run = work(run)
    assert run.state == "succeeded"
    assert effects.paths() == ["/promote", "/announce/2"]
    assert [request.key for request in effects.seen] == [f"{run.pk}:0", f"{run.pk}:1"]
    assert effects.seen[0].body == b'{"count": 2}'
    verbs = list(Event.objects.filter(abouts__ref=ref(run)).order_by("id").values_list("verb", flat=True))
    assert verbs == [
        "approval.requested",
        "run.requested",
        "approval.approved",
        "run.started",
        "run.step_finished",
        "run.step_finished",
        "run.succeeded",
    ]
    told = ledger.events(about="incidents.incident:7", verbs=["run.succeeded"]).get()
    assert told.payload["done"] == ["promote", "announce"]
    standby = Resource.objects.get(name="db-b")
    assert set(told.abouts.values_list("ref", flat=True)) == {
        ref(run),
        ref(promote),
        ref(standby),
        "incidents.incident:7",
    }


def test_nobody_approves_their_own_request(approver_actor: Actor, promote: Procedure, execution_on: None) -> None:
    run = ask(approver_actor, promote)
    with pytest.raises(AccessDenied):
        decide(approver_actor, run)
    assert work(run).state == "awaiting_approval"


def test_an_operator_may_not_approve(
    operator_actor: Actor, admin_actor: Actor, promote: Procedure, execution_on: None
) -> None:
    run = ask(admin_actor, promote)
    with pytest.raises(AccessDenied):
        decide(operator_actor, run)


def test_an_approval_delivered_twice_starts_the_run_once(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)
    decide(approver_actor, run)
    follower = Job.objects.get(name__contains="approval.approved", name__startswith="follow:tongchou.runbooks")
    with transaction.atomic():
        jobs.enqueue(follower.name, follower.payload)
        jobs.enqueue(follower.name, follower.payload)
    assert work(run).state == "succeeded"
    assert effects.paths() == ["/promote", "/announce/1"]
    assert Event.objects.filter(verb="run.started").count() == 1


def test_a_rejected_request_cancels_the_run(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)
    decide(approver_actor, run, approve=False)
    run = work(run)
    assert (run.state, run.outcome["code"]) == ("cancelled", "approval_rejected")
    assert (effects.seen, states(run)) == ([], ["skipped", "skipped"])
    ask(operator_actor, promote)  # the target is free again


def test_a_request_nobody_decides_ends_with_its_expiry(
    operator_actor: Actor, promote: Procedure, execution_on: None
) -> None:
    run = ask(operator_actor, promote)
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert approvals.expire_due() == 1
    run = work(run)
    assert (run.state, run.outcome["code"]) == ("cancelled", "approval_lapsed")


def _alter_text(run: Run) -> None:
    ProcedureVersion.objects.filter(pk=run.version_id).update(text=PROMOTE.replace("/announce", "/drop"))


def _alter_params(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(params={"count": 5})


def _alter_targets(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(targets=[{**run.targets[0], "name": "db-a"}])


def _alter_step(run: Run) -> None:
    step = run.steps.get(position=0)
    RunStep.objects.filter(pk=step.pk).update(input={**step.input, "url": step.input["url"] + "?force=1"})


def _alter_repeatable(run: Run) -> None:
    run.steps.filter(position=1).update(repeatable=True)


def _alter_grade(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(grade="read")


def _alter_everything_but_the_approval(run: Run) -> None:
    text = PROMOTE.replace("max: 5", "max: 9")
    _alter_step(run)
    ProcedureVersion.objects.filter(pk=run.version_id).update(text=text)
    Run.objects.filter(pk=run.pk).update(content_hash="0" * 64)


@pytest.mark.parametrize(
    "alter",
    [
        _alter_text,
        _alter_params,
        _alter_targets,
        _alter_step,
        _alter_repeatable,
        _alter_everything_but_the_approval,
    ],
)
def test_what_is_altered_after_the_approval_is_refused(
    alter: object,
    operator_actor: Actor,
    approver_actor: Actor,
    promote: Procedure,
    execution_on: None,
    effects: Effects,
) -> None:
    run = ask(operator_actor, promote)
    decide(approver_actor, run)
    alter(run)  # type: ignore[operator]  # one of the functions above
    run = work(run)
    assert (run.state, run.outcome["code"]) == ("failed", "content_changed")
    assert effects.seen == []


def test_a_run_whose_grade_is_altered_still_needs_its_approval(
    operator_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)
    _alter_grade(run)
    Run.objects.filter(pk=run.pk).update(state="queued")
    with transaction.atomic():
        jobs.enqueue("runbooks.advance", {"run": str(run.pk), "ticket": "t"})
    run = work(run)
    assert (run.state, run.outcome["code"], effects.seen) == ("failed", "approval_missing", [])


def test_a_procedure_saved_anew_after_the_approval_is_not_begun(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)
    decide(approver_actor, run)
    actions.put_procedure(actor=TESTS, name="promote", text=PROMOTE.replace("/announce", "/tell"))
    run = work(run)
    assert (run.state, run.outcome["code"], effects.seen) == ("failed", "newer_version", [])
    assert run.version.text == PROMOTE


def test_an_approval_that_expired_before_the_start_is_refused(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)
    decide(approver_actor, run)
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    run = work(run)
    assert (run.state, run.outcome["code"], effects.seen) == ("failed", "approval_expired", [])


def test_an_approval_that_expires_midway_stops_the_run_before_its_next_step(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)

    def expire(handler: object, _request: object) -> None:
        Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        reply(handler, 200)  # type: ignore[arg-type]  # the server's handler

    decide(approver_actor, run)
    effects.answers["/promote"] = expire
    run = work(run)
    assert (run.state, run.outcome["code"]) == ("failed", "approval_expired")
    assert (effects.paths(), states(run)) == (["/promote"], ["succeeded", "skipped"])


def test_execution_switched_off_midway_stops_the_run_before_its_next_step(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)

    def off(handler: object, _request: object) -> None:
        settings_store.put(actor=TESTS, key="execution.enabled", value=False)
        reply(handler, 200)  # type: ignore[arg-type]  # the server's handler

    decide(approver_actor, run)
    effects.answers["/promote"] = off
    run = work(run)
    assert (run.state, run.outcome["code"], effects.paths()) == ("failed", "execution_off", ["/promote"])
    event = Event.objects.get(verb="run.failed")
    assert (event.payload["done"], event.payload["not_done"]) == (["promote"], ["announce"])


def test_execution_is_off_until_switched_on(operator_actor: Actor, promote: Procedure, standby: Resource) -> None:
    with pytest.raises(Conflict) as refused:
        ask(operator_actor, promote)
    assert [each["code"] for each in refused.value.extra["refusals"]] == ["execution_off", "target_not_allowed"]
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    settings_store.put(actor=TESTS, key="execution.targets", value=["role=standby,kind=cache"])
    with pytest.raises(Conflict) as refused:
        ask(operator_actor, promote)
    assert [each["code"] for each in refused.value.extra["refusals"]] == ["target_not_allowed"]
    settings_store.put(actor=TESTS, key="execution.targets", value=["role=standby,kind=database"])
    assert ask(operator_actor, promote).state == "awaiting_approval"


def test_more_targets_than_the_cap_are_refused(
    operator_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    make_resource("db-c", control_url=effects.url)
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    with pytest.raises(Invalid) as refused:
        ask(operator_actor, promote, "db-b", "db-c")
    assert refused.value.extra["refusals"][0]["code"] == "too_many_targets"
    assert not Run.objects.exists()


def test_a_parameter_out_of_its_limits_is_refused_by_name(
    operator_actor: Actor, promote: Procedure, execution_on: None
) -> None:
    with pytest.raises(Invalid) as refused:
        ask(operator_actor, promote, params={"count": 6})
    assert (refused.value.field, refused.value.value) == ("params", "count")


def test_a_false_precondition_refuses_the_request_and_later_the_start(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, metrics: Metrics, effects: Effects
) -> None:
    text = PROMOTE + "preconditions: [{query: up == 0, is: not_empty, says: {en: it is down, zh: 已停止}}]\n"
    row = actions.put_procedure(actor=TESTS, name="promote", text=text)
    with pytest.raises(Conflict) as refused:
        ask(operator_actor, row)
    assert refused.value.extra["refusals"][0]["code"] == "precondition_false"
    metrics.said["up == 0"] = [0.0]
    run = ask(operator_actor, row)
    decide(approver_actor, run)
    metrics.said["up == 0"] = []
    run = work(run)
    assert (run.state, run.outcome["code"], effects.seen) == ("failed", "precondition_false", [])


def test_a_precondition_nobody_can_judge_is_not_a_yes(
    operator_actor: Actor, execution_on: None, metrics: Metrics
) -> None:
    text = PROMOTE + "preconditions: [{query: up == 0, is: empty, says: none is down}]\n"
    row = actions.put_procedure(actor=TESTS, name="promote", text=text)
    metrics.said["up == 0"] = Invalid("telemetry.execution_error", "the store is gone")
    with pytest.raises(Conflict) as refused:
        ask(operator_actor, row)
    assert refused.value.extra["refusals"][0]["code"] == "precondition_unknown"


def test_two_active_runs_of_one_procedure_never_share_a_target(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None
) -> None:
    run = ask(operator_actor, promote)
    with pytest.raises(Conflict) as refused:
        ask(approver_actor, promote)
    assert (refused.value.code, refused.value.value) == ("run.busy", str(run.pk))
    assert (Run.objects.count(), Approval.objects.count()) == (1, 1)
    actions.cancel(actor=operator_actor, run=run)
    ask(approver_actor, promote)


def test_a_procedure_that_reads_runs_without_approval_and_with_execution_off(
    operator_actor: Actor, metrics: Metrics
) -> None:
    text = "{name: look, title: Look, grade: read, max_targets: 0, steps: [{name: a, read: {query: up, is: '> 0'}}]}"
    row = actions.put_procedure(actor=TESTS, name="look", text=text)
    metrics.said["up"] = [1.0, float("nan")]
    run = work(actions.request_run(actor=operator_actor, procedure=row, params={}, targets=[]))
    assert run.state == "failed"  # NaN is not > 0
    assert run.steps.get().output["samples"][1]["value"] == "nan"
    metrics.said["up"] = [1.0]
    run = work(actions.request_run(actor=operator_actor, procedure=row, params={}, targets=[]))
    assert (run.state, run.approval) == ("succeeded", None)


def test_a_run_waits_for_the_answer_to_its_question(
    operator_actor: Actor, approver_actor: Actor, viewer_actor: Actor, execution_on: None, effects: Effects
) -> None:
    text = PROMOTE.replace("steps:\n", "steps:\n  - {name: sure, ask: {question: {en: 'Promote ${target.name}?'}}}\n")
    row = actions.put_procedure(actor=TESTS, name="promote", text=text)
    run = ask(operator_actor, row)
    decide(approver_actor, run)
    run = work(run)
    assert (run.state, states(run), effects.seen) == ("waiting", ["waiting", "pending", "pending"], [])
    assert run.steps.get(position=0).input["question"]["en"] == "Promote db-b?"
    with pytest.raises(AccessDenied):
        actions.answer(actor=viewer_actor, run=run, position=0, answer="continue")
    with pytest.raises(Conflict):
        actions.answer(actor=operator_actor, run=run, position=1, answer="continue")
    with pytest.raises(Conflict):
        actions.answer(actor=operator_actor, run=run, position=0, answer="repeat")
    actions.answer(actor=operator_actor, run=run, position=0, answer="continue", comment="go")
    with pytest.raises(Conflict):
        actions.answer(actor=operator_actor, run=run, position=0, answer="stop")
    run = work(run)
    assert (run.state, run.steps.get(position=0).answered_by_name) == ("succeeded", "operator")


def test_an_answer_of_stop_ends_the_run_with_nothing_done(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    text = PROMOTE.replace("steps:\n", "steps:\n  - {name: sure, ask: {question: 'Sure?'}}\n")
    row = actions.put_procedure(actor=TESTS, name="promote", text=text)
    run = ask(operator_actor, row)
    decide(approver_actor, run)
    actions.answer(actor=operator_actor, run=work(run), position=0, answer="stop", comment="not now")
    run = work(run)
    assert (run.state, states(run), effects.seen) == ("failed", ["failed", "skipped", "skipped"], [])


def test_a_cancelled_run_does_nothing_and_takes_its_request_back(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)
    actions.cancel(actor=operator_actor, run=run, comment="recovered by itself")
    assert Approval.objects.get().state == "cancelled"
    with pytest.raises(Conflict):
        actions.cancel(actor=operator_actor, run=run)
    assert (work(run).state, effects.seen) == ("cancelled", [])


def test_a_run_cancelled_during_a_step_keeps_that_steps_result_and_does_no_other(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)

    def cancel(handler: object, _request: object) -> None:
        actions.cancel(actor=operator_actor, run=Run.objects.get(pk=run.pk))
        reply(handler, 200)  # type: ignore[arg-type]  # the server's handler

    decide(approver_actor, run)
    effects.answers["/promote"] = cancel
    run = work(run)
    assert (run.state, states(run), effects.paths()) == ("cancelled", ["succeeded", "skipped"], ["/promote"])


def test_a_retry_goes_on_from_the_failed_step_while_the_approval_is_good(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)
    decide(approver_actor, run)
    effects.answers["/announce/1"] = lambda handler, _request: reply(handler, 500)
    run = work(run)
    assert (run.state, states(run)) == ("failed", ["succeeded", "failed"])
    assert Event.objects.get(verb="run.failed").payload["failed"] == ["announce"]
    del effects.answers["/announce/1"]
    assert actions.retry(actor=operator_actor, run=run).state == "queued"
    run = work(run)
    assert (run.state, effects.paths()) == ("succeeded", ["/promote", "/announce/1", "/announce/1"])
    assert len({request.key for request in effects.seen}) == 3  # after a definite answer a new request has a new key
    with pytest.raises(Conflict):
        actions.retry(actor=operator_actor, run=run)


def test_a_retry_after_the_approval_ended_asks_for_a_new_one(
    operator_actor: Actor, approver_actor: Actor, promote: Procedure, execution_on: None, effects: Effects
) -> None:
    run = ask(operator_actor, promote)
    decide(approver_actor, run)
    effects.answers["/announce/1"] = lambda handler, _request: reply(handler, 500)
    run = work(run)
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert actions.retry(actor=operator_actor, run=run).state == "awaiting_approval"
    assert work(run).state == "awaiting_approval"
    effects.answers.clear()
    decide(approver_actor, run)
    assert work(run).state == "succeeded"
    assert effects.paths() == ["/promote", "/announce/1", "/announce/1"]


def test_a_token_that_only_reads_does_not_cancel_its_persons_run(
    operator_actor: Actor, promote: Procedure, execution_on: None
) -> None:
    run = ask(operator_actor, promote)
    with pytest.raises(AccessDenied):
        actions.cancel(actor=replace(operator_actor, kind="token", scopes=("read",)), run=run)
    assert Run.objects.get(pk=run.pk).state == "awaiting_approval"
    actions.cancel(actor=replace(operator_actor, kind="token", scopes=("write",)), run=run)
    assert Run.objects.get(pk=run.pk).state == "cancelled"
