"""Consent to a change covers the runs it was shown, and no other: those ask for their own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import translation

from tests.changes.test_control import GOOD, agree, people
from tests.conftest import make_user
from tests.runbooks.conftest import Effects, Metrics, _loopback, _no_store, effects, make_resource, metrics, reply
from tongchou.changes import catalogue_actions, control, control_reads, control_work, covered_runs
from tongchou.changes.draft import Draft, TaskDraft
from tongchou.changes.models_control import Change, ChangeState, ChangeTemplate, TaskState
from tongchou.core import approval_policies, approvals, jobs, settings_store
from tongchou.core import people as accounts
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Approval, ApprovalState, Event, Membership, Role
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.inventory.models import AttributeValue, Resource
from tongchou.runbooks import actions as runbooks
from tongchou.runbooks.models import Run, RunState

__all__ = ["_loopback", "_no_store", "effects", "metrics"]  # fixtures of runbooks, used here, too
TESTS = system("tests")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
TEXT = """
name: drain
title: {en: Drain, zh: 摘流}
grade: reversible
parameters:
  how: {type: string, default: softly}
max_targets: 50
steps:
  - {name: drain, http: {method: PUT, url: "${target.control_url}/drain/${target.name}/${params.how}"}}
"""


@pytest.fixture
def web(effects: Effects, metrics: Metrics) -> Iterator[Resource]:
    """A host that a procedure may be run on, at noon."""
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    runbooks.put_procedure(actor=TESTS, name="drain", text=TEXT)
    with time_machine.travel(NOON, tick=True):
        yield make_resource("web-1", kind="host", control_url=effects.url)


def wanted(resource: Resource, **more: Any) -> Draft:
    said: dict[str, Any] = {
        "title": "New kernel",
        "resources": [resource.pk],
        "starts_at": NOON,
        "ends_at": NOON + timedelta(hours=1),
        "backout": "fill it again",
        "backout_procedure": "drain",
        "verification": "nobody is on it",
        "tasks": [TaskDraft("look"), TaskDraft("drain", "drain", {"how": "at once"})],
        "answers": GOOD,
    }
    return Draft(**(said | more))


def begun(asks: Actor, agrees: Actor, draft: Draft) -> Change:
    row = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=draft)), agrees)
    return control_work.begin(actor=asks, change=row)


def requested(asks: Actor, row: Change) -> Run:
    task = control_work.run_task(actor=asks, change=row, position=2)
    assert task.run is not None
    return task.run


def test_a_run_that_consent_was_given_to_begins_at_once(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    assert set(row.covered_runs) == {"2", "back"}
    assert row.approval is not None
    assert row.approval.scope["covers"] == ["drain: web-1 (how=at once)", "drain: web-1"]
    run = requested(asks, row)
    assert (run.state, run.about_ref, run.reason) == (RunState.QUEUED, ref(row), "CHG-1 drain")
    assert run.approval is not None
    assert row.approval is not None
    assert (run.approval.state, run.approval.decided_by_name) == (ApprovalState.APPROVED, "agrees")
    assert row.ends_at is not None
    assert run.approval.expires_at == row.ends_at + covered_runs.COMES_TO_ITS_END
    derived = Event.objects.get(verb="approval.derived", subject=ref(run.approval))
    assert derived.payload["of"] == ref(row.approval)
    jobs.run_due()
    assert row.tasks.get(position=2).state == TaskState.DONE
    assert effects.paths() == ["/drain/web-1/at once".replace(" ", "%20")]
    back = control_work.back_out(actor=asks, change=row)
    assert back.state == RunState.QUEUED
    assert Approval.objects.filter(state=ApprovalState.PENDING).count() == 0


def test_a_procedure_that_was_edited_meanwhile_asks_for_its_own_consent(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    runbooks.put_procedure(actor=TESTS, name="drain", text=TEXT.replace("/drain/", "/wipe/"))
    run = requested(asks, row)
    assert run.state == RunState.AWAITING_APPROVAL
    jobs.run_due()
    assert effects.paths() == []


def test_so_does_a_run_that_goes_elsewhere_by_now(web: Resource) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    AttributeValue.objects.filter(resource=web, name="control_url").update(value="http://127.0.0.1:9")
    assert requested(asks, row).state == RunState.AWAITING_APPROVAL


def test_so_does_one_after_the_window(web: Resource) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    with time_machine.travel(NOON + timedelta(hours=1, seconds=1)):
        assert requested(asks, row).state == RunState.AWAITING_APPROVAL


def test_the_way_back_is_not_asked_for_again_when_the_window_is_over(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    with time_machine.travel(NOON + timedelta(hours=2)):
        assert control_work.back_out(actor=asks, change=row).state == RunState.QUEUED
        jobs.run_due()
        assert effects.paths() == ["/drain/web-1/softly"]


def test_it_is_once_the_change_says_something_else(web: Resource) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    runbooks.put_procedure(actor=TESTS, name="drain", text=TEXT.replace("/drain/", "/wipe/"))
    assert control_work.back_out(actor=asks, change=row).state == RunState.AWAITING_APPROVAL


def test_what_began_in_the_window_comes_to_its_end(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    with time_machine.travel(NOON + timedelta(minutes=59, seconds=50)):
        run = requested(asks, row)
    with time_machine.travel(NOON + timedelta(hours=1, minutes=1)):
        jobs.run_due()
        run.refresh_from_db()
        assert run.state == RunState.SUCCEEDED


def test_so_does_one_under_a_broken_glass(web: Resource) -> None:
    asks, _agrees = people()
    row = control.create(actor=asks, draft=wanted(web, kind="emergency"))
    row = control_work.begin(actor=asks, change=control.ask(actor=asks, change=row), broke_glass="the shop is down")
    assert covered_runs.keys_of(row) == frozenset()
    assert requested(asks, row).state == RunState.AWAITING_APPROVAL


def test_so_does_one_that_shows_first_what_it_would_change(web: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runbooks, "shows_first", lambda _prepared: True)
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    assert row.covered_runs == {}


def test_metrics_that_answer_slowly_leave_the_rest_uncovered(web: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covered_runs, "PLAN_SECONDS", -1.0)
    asks, _agrees = people()
    row = control.ask(actor=asks, change=control.create(actor=asks, draft=wanted(web)))
    assert row.covered_runs == {}


def test_an_edit_takes_back_what_was_covered(web: Resource) -> None:
    asks, agrees = people()
    row = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=wanted(web))), agrees)
    row = control.edit(actor=asks, change=row, draft=wanted(web, verification="look twice"))
    assert row.covered_runs == {}


def test_what_was_edited_while_the_runs_were_planned_is_not_asked_for(
    web: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks, _agrees = people()
    row = control.create(actor=asks, draft=wanted(web))
    plan = covered_runs.plan

    def slow(change: Change, actor: Actor) -> covered_runs.Covered:
        found = plan(change, actor)
        control.edit(actor=asks, change=change, draft=wanted(web, verification="look twice"))
        return found

    monkeypatch.setattr(covered_runs, "plan", slow)
    with pytest.raises(Conflict, match=r"change\.edited"):
        control.ask(actor=asks, change=row)


def test_whoever_a_run_alone_would_need_is_needed(web: Resource) -> None:
    asks, agrees = people()
    approval_policies.put_policy(
        actor=TESTS,
        name="two for runs",
        action="runbooks.run",
        conditions={"grade": ["reversible"], "targets": ["web-1"]},
        needs=[{"who": "role:approver", "count": 2}],
    )
    row = control.ask(actor=asks, change=control.create(actor=asks, draft=wanted(web)))
    assert row.approval is not None
    approvals.approve(actor=agrees, approval=row.approval)
    row.approval.refresh_from_db()
    assert row.approval.state == ApprovalState.PENDING
    second = actor_for_user(make_user("agrees-too", Role.APPROVER))
    approvals.approve(actor=second, approval=row.approval)
    row.approval.refresh_from_db()
    assert row.approval.state == ApprovalState.APPROVED


def test_who_owns_what_a_task_names_is_asked_as_its_run_would_ask(web: Resource) -> None:
    asks, _agrees = people()
    ours, theirs = (accounts.create_team(actor=TESTS, name=name) for name in ("ours", "theirs"))
    Resource.objects.filter(pk=web.pk).update(owner=ours)
    url = AttributeValue.objects.get(resource=web, name="control_url").value
    Resource.objects.filter(pk=make_resource("db-1", kind="host", control_url=url).pk).update(owner=theirs)
    approval_policies.put_policy(actor=TESTS, name="owners", action="runbooks.run", needs=[{"who": "owner"}])
    tasks = [TaskDraft("drain", "drain", {"how": "at once"}, ("db-1",))]
    row = control.ask(actor=asks, change=control.create(actor=asks, draft=wanted(web, tasks=tasks)))
    assert row.approval is not None
    needs = [(each.kind, each.team_id) for each in approvals.needs_of(row.approval)]
    # the change itself needs an approver
    assert set(needs) == {("team", ours.pk), ("team", theirs.pk), ("role", None)}


def test_a_limit_for_runs_does_not_end_consent_to_the_change_but_the_run_asks_anew(web: Resource) -> None:
    asks, agrees = people()
    approval_policies.put_policy(
        actor=TESTS, name="short", action="runbooks.run", needs=[{"who": "role:approver"}], expires_seconds=1800
    )
    row = begun(asks, agrees, wanted(web))
    assert row.approval is not None
    assert (row.covered_runs, row.approval.expires_at) == ({}, row.ends_at)
    assert requested(asks, row).state == RunState.AWAITING_APPROVAL


def test_the_consent_of_a_run_ends_with_the_one_it_follows_from(web: Resource) -> None:
    asks, agrees = people()
    approval_policies.put_policy(
        actor=TESTS, name="short", action="changes.implement", needs=[{"who": "role:approver"}], expires_seconds=1800
    )
    row = begun(asks, agrees, wanted(web))
    run = requested(asks, row)
    assert row.approval is not None
    assert run.approval is not None
    assert run.state == RunState.QUEUED
    assert run.approval.expires_at == row.approval.expires_at + covered_runs.COMES_TO_ITS_END
    assert row.approval.expires_at < NOON + timedelta(minutes=31)


def test_nobody_runs_on_what_they_may_not_run_on(web: Resource) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    ours, theirs = (accounts.create_team(actor=TESTS, name=name) for name in ("ours", "theirs"))
    Change.objects.filter(pk=row.pk).update(team=ours)
    Resource.objects.filter(pk=web.pk).update(owner=theirs)
    user = make_user("of-ours", None)
    Membership.objects.create(user=user, team=ours, role=Role.OPERATOR)
    Membership.objects.create(user=user, team=theirs, role=Role.VIEWER)
    with pytest.raises(AccessDenied):
        control_work.run_task(actor=actor_for_user(user), change=row, position=2)
    assert not Run.objects.exists()


def entry(asks: Actor, agrees: Actor, *, covers: bool) -> None:
    row = catalogue_actions.put_template(
        actor=asks, name="drain", title="Drain a host", tasks=[TaskDraft("look"), TaskDraft("drain", "drain")],
        backout="fill it again", covers_runs=covers,
    )  # fmt: skip
    approval = catalogue_actions.ask_template(actor=asks, template=row)
    approvals.approve(actor=agrees, approval=approval)
    catalogue_actions.decided(approval=approval)


@pytest.mark.parametrize("covers", [True, False])
def test_a_standard_change_runs_at_once_where_its_entry_says_so(web: Resource, covers: bool) -> None:
    asks, agrees = people()
    entry(asks, agrees, covers=covers)
    draft = wanted(web, kind="standard", template="drain", tasks=[], backout="", backout_procedure="", verification="")
    row = control.ask(actor=asks, change=control.create(actor=asks, draft=draft))
    row = control_work.begin(actor=asks, change=row)
    run = requested(asks, row)
    assert run.state == (RunState.QUEUED if covers else RunState.AWAITING_APPROVAL)
    if covers:
        assert run.approval is not None
        assert row.ends_at is not None
        until = row.ends_at + covered_runs.COMES_TO_ITS_END
        assert (run.approval.decided_by_name, run.approval.expires_at) == ("agrees", until)


def standard(web: Resource) -> Draft:
    return wanted(web, kind="standard", template="drain", tasks=[], backout="", backout_procedure="", verification="")


@pytest.mark.parametrize("why", ["target", "owner"])
def test_whom_an_entry_could_not_ask_the_run_asks(web: Resource, why: str) -> None:
    asks, agrees = people()
    about = {"targets": ["web-1"]} if why == "target" else {}
    needs = [{"who": "role:approver", "count": 2}] if why == "target" else [{"who": "owner"}]
    approval_policies.put_policy(actor=TESTS, name="more", action="runbooks.run", conditions=about, needs=needs)
    Resource.objects.filter(pk=web.pk).update(owner=accounts.create_team(actor=TESTS, name="theirs"))
    entry(asks, agrees, covers=True)
    row = control.ask(actor=asks, change=control.create(actor=asks, draft=standard(web)))
    assert row.covered_runs == {}


def test_the_owner_is_who_was_asked_not_the_team_the_entry_has_by_now(web: Resource) -> None:
    asks, agrees = people()
    approval_policies.put_policy(actor=TESTS, name="more", action="runbooks.run", needs=[{"who": "owner"}])
    theirs = accounts.create_team(actor=TESTS, name="theirs")
    Resource.objects.filter(pk=web.pk).update(owner=theirs)
    entry(asks, agrees, covers=True)
    ChangeTemplate.objects.update(team=theirs)  # it reads as it did: the team is no part of what was agreed on
    row = control.ask(actor=asks, change=control.create(actor=asks, draft=standard(web)))
    assert (row.state, row.covered_runs) == (ChangeState.SCHEDULED, {})


def test_a_change_made_from_an_earlier_entry_is_not_what_was_agreed_on(web: Resource) -> None:
    asks, agrees = people()
    catalogue_actions.put_template(
        actor=asks, name="drain", title="Drain a host", tasks=[TaskDraft("look"), TaskDraft("all", "drain")],
        backout="fill it again", covers_runs=True,
    )  # fmt: skip
    row = control.create(actor=asks, draft=standard(web))
    entry(asks, agrees, covers=True)
    with pytest.raises(Conflict, match=r"change\.template_changed"):
        control.ask(actor=asks, change=row)
    row = control.edit(actor=asks, change=row, draft=standard(web))
    assert control.ask(actor=asks, change=row).state == ChangeState.SCHEDULED


def test_a_change_that_its_entry_allows_no_more_is_refused(web: Resource) -> None:
    asks, agrees = people()
    entry(asks, agrees, covers=True)
    row = control.create(actor=asks, draft=standard(web))
    ChangeTemplate.objects.update(max_minutes=30)
    ChangeTemplate.objects.update(approved_hash=control_reads.hash_of_template(ChangeTemplate.objects.get()))
    with pytest.raises(Invalid, match=r"change\.field \[ends_at\]"):
        control.ask(actor=asks, change=row)


def test_an_entry_that_covers_runs_needs_whom_they_need(web: Resource) -> None:
    asks, agrees = people()
    two = [{"who": "role:approver", "count": 2}]
    approval_policies.put_policy(actor=TESTS, name="two", action="runbooks.run", needs=two)
    entry(asks, agrees, covers=True)
    assert Approval.objects.get(action=catalogue_actions.ACTION).state == ApprovalState.PENDING


def test_an_approver_reads_which_parameters_are_no_defaults_and_no_secret(web: Resource) -> None:
    asks, _agrees = people()
    takes = "parameters:\n  api_tokens: {type: list, required: false}\n  wait: {type: integer, default: 5}\n"
    runbooks.put_procedure(actor=TESTS, name="drain", text=TEXT.replace("parameters:\n", takes))
    params = {"how": "at once", "wait": 5, "api_tokens": ["s3cret"]}
    tasks = [TaskDraft("a", "drain", params), TaskDraft("b", "drain", {"how": "softly", "wait": 60})]
    row = control.ask(actor=asks, change=control.create(actor=asks, draft=wanted(web, tasks=tasks)))
    assert row.approval is not None
    covers = ["drain: web-1 (api_tokens=••••, how=at once)", "drain: web-1 (wait=60)", "drain: web-1"]
    assert row.approval.scope["covers"] == covers
    entry = catalogue_actions.put_template(
        actor=asks, name="d", title="D", tasks=[tasks[0], TaskDraft("c", "drain", {}, ("web-1",))],
        backout="fill it again", covers_runs=True,
    )  # fmt: skip
    asked = catalogue_actions.ask_template(actor=asks, template=entry)
    assert asked.scope["covers"] == ["drain (api_tokens=••••, how=at once)", "drain: web-1"]


def failing(effects: Effects, times: int) -> None:
    """Let the next so many requests be answered with 500."""
    left = [times]

    def answer(handler: Any, _request: Any) -> None:
        left[0] -= 1
        reply(handler, 500 if left[0] >= 0 else 200)

    effects.answers["/drain/web-1/at%20once"] = answer


def test_a_run_that_failed_may_be_tried_again_while_the_work_goes_on_and_its_task_follows(
    web: Resource, effects: Effects
) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    failing(effects, 1)
    run = requested(asks, row)
    jobs.run_due()
    task = row.tasks.get(position=2)
    assert task.state == TaskState.FAILED
    control_work.do_task(actor=asks, change=row, position=1, state=TaskState.DONE)
    run.refresh_from_db()
    assert runbooks.retry(actor=asks, run=run).state == RunState.QUEUED
    with pytest.raises(Conflict) as refused:  # before anything has followed the run
        control_work.finish(actor=asks, change=row)
    assert refused.value.code == "change.tasks_open"
    control_work.follow_run(run_id=run.pk)
    task.refresh_from_db()
    assert (task.state, task.done_at) == (TaskState.RUNNING, None)
    jobs.run_due()
    task.refresh_from_db()
    assert task.state == TaskState.DONE
    assert control_work.finish(actor=asks, change=row).state == ChangeState.REVIEW


def test_once_the_work_is_over_a_run_that_failed_asks_for_its_own_consent(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    failing(effects, 1)
    run = requested(asks, row)
    jobs.run_due()
    control_work.do_task(actor=asks, change=row, position=1, state=TaskState.DONE)
    control_work.finish(actor=asks, change=row)
    given = Approval.objects.get(subject=ref(run))
    assert (given.state, given.decided_by_name) == (ApprovalState.ENDED, "agrees")
    told = Event.objects.get(verb="approval.ended", subject=ref(given))
    assert (told.actor_name, told.payload["because"]) == ("change-keeper", "CHG-1 New kernel")
    run.refresh_from_db()
    assert runbooks.retry(actor=asks, run=run).state == RunState.AWAITING_APPROVAL
    jobs.run_due()
    assert len(effects.paths()) == 1
    assert row.tasks.get(position=2).state == TaskState.FAILED, "the work is over: what it came to stays"


def test_consent_that_ends_in_the_middle_of_a_run_stops_it(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    run = requested(asks, begun(asks, agrees, wanted(web)))
    approvals.end(actor=TESTS, rows=Approval.objects.filter(subject=ref(run)), because="it is over")
    jobs.run_due()
    run.refresh_from_db()
    assert (run.state, run.outcome["code"], effects.paths()) == (RunState.FAILED, "approval_missing", [])


def test_work_is_not_over_while_the_way_back_is_run(web: Resource) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    control_work.back_out(actor=asks, change=row)
    with pytest.raises(Conflict) as refused:
        control_work.finish(actor=asks, change=row, backed_out=True)
    assert refused.value.code == "change.backing_out"
    jobs.run_due()
    assert control_work.finish(actor=asks, change=row, backed_out=True).outcome == "backed_out"


def test_a_run_of_something_else_about_the_change_loses_consent_when_it_fails_after_the_work(
    web: Resource, effects: Effects
) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    failing(effects, 1)
    run = requested(asks, row)
    row.tasks.filter(position=2).update(run=None, state=TaskState.DONE)
    row.tasks.filter(position=1).update(state=TaskState.DONE)
    control_work.finish(actor=asks, change=row)
    assert Approval.objects.get(subject=ref(run)).state == ApprovalState.APPROVED, "it is under way"
    jobs.run_due()
    assert Approval.objects.get(subject=ref(run)).state == ApprovalState.ENDED


def test_once_the_way_back_is_gone_a_run_that_failed_asks_for_its_own_consent(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    failing(effects, 1)
    run = requested(asks, row)
    jobs.run_due()
    control_work.back_out(actor=asks, change=row)
    jobs.run_due()
    run.refresh_from_db()
    assert runbooks.retry(actor=asks, run=run).state == RunState.AWAITING_APPROVAL


def test_so_does_one_that_fails_once_the_way_back_is_gone(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    control_work.back_out(actor=asks, change=row)
    jobs.run_due()
    failing(effects, 1)
    run = requested(asks, row)
    jobs.run_due()
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert runbooks.retry(actor=asks, run=run).state == RunState.AWAITING_APPROVAL


def test_the_way_back_itself_may_be_tried_again(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    effects.answers["/drain/web-1/softly"] = lambda handler, _request: reply(handler, 500)
    run = control_work.back_out(actor=asks, change=row)
    jobs.run_due()
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert runbooks.retry(actor=asks, run=run).state == RunState.QUEUED


def test_so_does_one_in_whose_place_another_was_run(web: Resource, effects: Effects) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    failing(effects, 1)
    first = requested(asks, row)
    jobs.run_due()
    second = requested(asks, row)
    jobs.run_due()
    second.refresh_from_db()
    assert second.state == RunState.SUCCEEDED
    first.refresh_from_db()
    assert runbooks.retry(actor=asks, run=first).state == RunState.AWAITING_APPROVAL


@pytest.mark.parametrize("state", [TaskState.DONE, TaskState.SKIPPED, TaskState.FAILED])
def test_so_does_one_whose_task_was_ended_by_hand(web: Resource, effects: Effects, state: str) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    failing(effects, 1)
    run = requested(asks, row)
    jobs.run_due()
    control_work.do_task(actor=asks, change=row, position=2, state=state, note="by hand")
    run.refresh_from_db()
    anew = RunState.QUEUED if state == TaskState.FAILED else RunState.AWAITING_APPROVAL
    assert runbooks.retry(actor=asks, run=run).state == anew


@pytest.mark.parametrize("act", ["run", "done"])
def test_a_task_whose_run_is_tried_again_is_left_to_it(web: Resource, effects: Effects, act: str) -> None:
    asks, agrees = people()
    row = begun(asks, agrees, wanted(web))
    failing(effects, 1)
    run = requested(asks, row)
    jobs.run_due()
    run.refresh_from_db()
    runbooks.retry(actor=asks, run=run)  # and nothing has followed the run yet
    with pytest.raises(Conflict, match=r"change\.task_state"):
        if act == "run":
            control_work.run_task(actor=asks, change=row, position=2)
        else:
            control_work.do_task(actor=asks, change=row, position=2, state=TaskState.DONE)
    assert Run.objects.count() == 1


def refused(asks: Actor, row: Change) -> list[tuple[str, str]]:
    with translation.override("en"), pytest.raises(Conflict) as caught:
        control_work.begin(actor=asks, change=row)
    return [(each["code"], each["detail"]) for each in caught.value.extra["refusals"]]


def test_what_lapsed_before_the_work_began_is_asked_for_again(web: Resource) -> None:
    asks, agrees = people()
    row = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=wanted(web))), agrees)
    with pytest.raises(Conflict, match=r"change\.state"):  # while it counts there is nothing to ask for
        control.ask(actor=asks, change=row)
    runbooks.put_procedure(actor=TESTS, name="drain", text=TEXT.replace("/drain/", "/wipe/"))
    assert refused(asks, row) == [("not_agreed", "What it says now is not what was agreed on.")]
    row = control.ask(actor=asks, change=row)
    assert row.state == ChangeState.AUTHORIZE
    assert Event.objects.filter(verb="change.consent_lost").count() == 1
    assert control_work.begin(actor=asks, change=agree(row, agrees)).state == ChangeState.IMPLEMENT


def test_so_is_consent_that_ran_out_which_is_told_as_that(web: Resource) -> None:
    asks, agrees = people()
    approval_policies.put_policy(
        actor=TESTS, name="short", action="changes.implement", needs=[{"who": "role:approver"}], expires_seconds=600
    )
    row = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=wanted(web))), agrees)
    with time_machine.travel(NOON + timedelta(minutes=20), tick=True):
        ((code, detail),) = refused(asks, row)
        assert (code, detail[:24]) == ("not_agreed", "Consent ran out at 2026-")
        row = agree(control.ask(actor=asks, change=row), agrees)
        assert control_work.begin(actor=asks, change=row).state == ChangeState.IMPLEMENT
