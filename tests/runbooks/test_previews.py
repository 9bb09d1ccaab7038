"""What a step would change is shown before anybody approves it, and what was shown is what was approved."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tests.runbooks.conftest import TESTS, as_json, ask, decide, states, work
from tests.runbooks.declared import Declared
from tongchou.core import registry, secrets, settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Approval, Event, Job
from tongchou.core.problems import AccessDenied, Conflict
from tongchou.runbooks import actions, journal, previews
from tongchou.runbooks.models import Procedure, Run, RunStep
from tongchou.runbooks.ports import Context, StepCall, StepResult
from tongchou.runbooks.reasons import Reason

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

TEXT = """
name: apply
title: Apply
grade: reversible
steps:
  - name: apply
    play: {play: web.yml, password: "${secret.control}"}
    on_failure:
      - {name: back, play: {play: back.yml}}
"""


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Declared:
    found = Declared()
    ports = (*registry._ports(), found)
    monkeypatch.setattr(registry, "_ports", lambda: ports)
    return found


@pytest.fixture
def row(declared: Declared, execution_on: None) -> Procedure:
    secrets.put(actor=TESTS, name="control", value="hunter2-hunter2")
    return actions.put_procedure(actor=TESTS, name="apply", text=TEXT)


def test_a_run_is_prepared_before_its_approval_which_covers_what_was_shown(
    operator_actor: Actor, approver_actor: Actor, row: Procedure, declared: Declared
) -> None:
    run = ask(operator_actor, row)
    assert (run.state, run.approval, Approval.objects.count()) == ("preparing", None, 0)
    first_hash = run.content_hash
    run = work(run)
    assert (run.state, [call.name for call in declared.previews], declared.calls) == (
        "awaiting_approval",
        ["apply", "back"],
        [],
    )
    assert "+b" in run.steps.get(position=0).preview["diff"]
    assert run.approval is not None
    assert run.approval.content_hash == run.content_hash != first_hash
    assert (run.approval.requested_by_id, run.approval.scope["targets"]) == (operator_actor.user_id, ["db-b"])
    assert Event.objects.get(verb="run.previewed").payload["steps"] == ["apply", "back"]
    with pytest.raises(AccessDenied):
        decide(operator_actor, run)
    decide(approver_actor, run)
    run = work(run)
    assert (run.state, states(run), len(declared.previews)) == ("succeeded", ["succeeded", "skipped"], 2)


def test_a_preview_altered_after_the_approval_stops_the_run(
    operator_actor: Actor, approver_actor: Actor, row: Procedure, declared: Declared
) -> None:
    run = work(ask(operator_actor, row))
    decide(approver_actor, run)
    RunStep.objects.filter(run=run, position=0).update(preview={"diff": "+ nothing to see"})
    run = work(run)
    assert (run.state, run.outcome["code"], declared.calls) == ("failed", "content_changed", [])


def test_a_preview_that_fails_ends_the_run_with_its_reason(
    operator_actor: Actor, row: Procedure, declared: Declared
) -> None:
    declared.shows = lambda _call, _opened: StepResult(reason=Reason("step_broken", {"why": "host unreachable"}))
    run = work(ask(operator_actor, row))
    assert (run.state, run.outcome["code"], Approval.objects.count()) == ("failed", "preview_failed", 0)
    assert "host unreachable" in run.outcome["params"]["why"]
    declared.shows = Declared().shows
    actions.retry(actor=operator_actor, run=run)
    assert Run.objects.get(pk=run.pk).state == "preparing"
    assert work(run).state == "awaiting_approval"


def test_an_answer_to_a_failure_that_cannot_show_itself_yet_says_why_and_stops_nothing(
    operator_actor: Actor, row: Procedure, declared: Declared
) -> None:
    declared.shows = lambda call, _opened: StepResult(
        reason=Reason("step_broken", {"why": "nothing to roll back"}) if call.name == "back" else None
    )
    run = work(ask(operator_actor, row))
    assert run.state == "awaiting_approval"
    assert "nothing to roll back" in run.steps.get(position=1).preview["problem"]


def test_a_crash_in_a_preview_has_it_made_again_and_no_other(
    operator_actor: Actor, row: Procedure, declared: Declared
) -> None:
    class Killed(BaseException):
        """As if the process had died."""

    def die(call: StepCall, _opened: dict[str, Any]) -> StepResult:
        if call.name == "back":
            raise Killed
        return StepResult({"diff": "+ b"})

    declared.shows = die
    run = ask(operator_actor, row)
    with pytest.raises(Killed):
        previews.prepare(run.pk, "dead")
    Run.objects.filter(pk=run.pk).update(claimed_by="dead", claimed_until=timezone.now())
    Job.objects.all().delete()
    declared.shows = Declared().shows
    assert journal.wake_due() == 1
    assert work(run).state == "awaiting_approval"
    assert [call.name for call in declared.previews] == ["apply", "back", "back"]


def test_switched_off_or_not_allowed_nothing_is_previewed(
    operator_actor: Actor, row: Procedure, declared: Declared
) -> None:
    run = ask(operator_actor, row)
    settings_store.put(actor=TESTS, key="execution.enabled", value=False)
    assert (work(run).outcome["code"], declared.previews) == ("execution_off", [])
    with pytest.raises(Conflict):
        ask(operator_actor, row)
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    run = ask(operator_actor, row)
    actions.stop_execution(actor=operator_actor, reason="wait")
    assert (work(run).state, declared.previews) == ("preparing", [])
    actions.lift_stop(actor=TESTS)
    assert work(run).state == "awaiting_approval"


def test_a_run_can_be_cancelled_while_it_is_prepared(operator_actor: Actor, row: Procedure, declared: Declared) -> None:
    run = ask(operator_actor, row)
    actions.cancel(actor=operator_actor, run=run)
    assert (work(run).state, declared.previews) == ("cancelled", [])


def test_a_new_approval_after_a_failure_is_asked_for_with_fresh_previews(
    operator_actor: Actor, approver_actor: Actor, row: Procedure, declared: Declared
) -> None:
    run = work(ask(operator_actor, row))
    decide(approver_actor, run)
    declared.does = lambda _call, _opened: StepResult(reason=Reason("step_broken", {"why": "no"}))
    run = work(run)
    assert (run.state, run.outcome["code"]) == ("failed", "rescue_failed")
    Approval.objects.update(expires_at=timezone.now())
    declared.shows = lambda _call, _opened: StepResult({"diff": "+ c"})
    run = work(actions.retry(actor=operator_actor, run=run))
    assert (run.state, run.steps.get(position=0).preview) == ("awaiting_approval", {"diff": "+ c"})


def test_a_secret_is_in_nothing_that_is_kept_however_it_comes_back(
    operator_actor: Actor,
    approver_actor: Actor,
    row: Procedure,
    declared: Declared,
    api_as: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "hunter2-hunter2"

    def leak(_call: StepCall, opened: dict[str, Any]) -> StepResult:
        said = opened.get("password", secret)
        assert said == secret, "the step did not get its secret"
        output = {
            "plain": f"token {said}",
            "diff": f"--- a\n+++ b\n-x\n+password={said}\n",
            "deep": [{"env": {said: 1}}],
            "password": said,
        }
        return StepResult(output, Reason("step_broken", {"why": f"refused {said}"}) if len(declared.calls) else None)

    declared.shows = declared.does = leak
    run = work(ask(operator_actor, row))
    decide(approver_actor, run)
    run = work(run)
    assert (run.state, len(declared.calls)) == ("failed", 2)
    api = api_as(operator_actor)
    seen = [
        as_json(list(RunStep.objects.values())),
        as_json(list(Run.objects.values())),
        as_json(list(Event.objects.values())),
        as_json(list(Job.objects.values())),
        as_json(list(Approval.objects.values())),
        api.get(f"/api/v1/runs/{run.pk}").content.decode(),
        api.get(f"/api/v1/runs/{run.pk}/transcript").content.decode(),
        api.get(f"/api/v1/runs/{run.pk}/transcript", format="json").content.decode(),
        caplog.text,
    ]
    assert "step_broken" in seen[0]
    assert "password=" in seen[6], "the transcript does not show the preview"
    for text in seen:
        assert secret not in text


def test_the_context_of_a_step_hides_its_secrets() -> None:
    assert "hunter2" not in repr(Context({"control": "hunter2-hunter2"}))
