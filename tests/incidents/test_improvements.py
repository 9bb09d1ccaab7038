"""Improvements: no way from red to done, whatever people and time do; consent, restarts, clocks, reminders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.alerting.receiver import receiving
from tests.incidents.learning import QUERY, draft, proving, resolved, samples, shop_outage, written
from tests.incidents.scene import run_jobs
from tongchou.alerting import actions as alerting
from tongchou.core import approvals, jobs, settings_store
from tongchou.core.access import Actor, system
from tongchou.core.models import Approval, Event, Job
from tongchou.core.problems import AccessDenied, Conflict, Invalid, Problem
from tongchou.incidents import improvements_actions as write
from tongchou.incidents import improvements_check as checks
from tongchou.incidents import improvements_dropping as dropping
from tongchou.incidents import improvements_proof as proofs
from tongchou.incidents import improvements_proving as prover
from tongchou.incidents import improvements_reminding, postmortem_reads
from tongchou.incidents.improvements_proof import Look
from tongchou.incidents.models import CheckSpan, Improvement, ImprovementState, Postmortem

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
# Shanghai's midnight, Tuesday 3 March 2026
START = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
PROVER = system("improvement-prover")


@pytest.fixture
def postmortem(operator_actor: Actor) -> Postmortem:
    """The postmortem of a resolved incident, at START."""
    with time_machine.travel(START, tick=False):
        _shop, found = shop_outage(START - timedelta(minutes=15))
        return written(operator_actor, resolved(operator_actor, found))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What every look gives, by a function of its instant, in place of the telemetry store."""
    told: dict[str, Any] = {"state": lambda _at: "green"}

    def looks(_query: str, _is: str, start: int, end: int, interval: int) -> list[Look]:
        return [Look(at, told["state"](at)) for at in range(start, end + 1, interval)]

    monkeypatch.setattr(checks, "looks", looks)
    return told


def look(row: Improvement, at: datetime) -> Improvement:
    """The job at a time."""
    with time_machine.travel(at, tick=False):
        for _turn in range(8):
            prover.look_at_all(actor=PROVER, now=at)
    row.refresh_from_db()
    return row


def at(days: float, minutes: float = 0) -> datetime:
    return START + timedelta(days=days, minutes=minutes)


# --- what the store says ------------------------------------------------------------------------------------------


def test_a_look_is_green_red_or_without_data(telemetry_db: object) -> None:
    values = {0: 0.01, 1: 0.5, 2: None, 3: 0.01}
    samples(START, 4 - 1 / 60, lambda moment: values[int((moment - START).total_seconds() // 3600)])
    start = int(START.timestamp()) + 1800
    hourly = [start + 3600 * number for number in range(5)]
    found = checks.looks(QUERY, "< 0.05", hourly[0], hourly[-1], 3600)
    assert [each.state for each in found] == ["green", "red", "no_data", "green", "no_data"]
    assert [each.at for each in found] == hourly
    # an answer that is empty because the metric is gone is not the answer "empty"
    found = checks.looks(f"{QUERY} > 0.05", "empty", hourly[0], hourly[-1], 3600)
    assert [each.state for each in found] == ["green", "red", "no_data", "green", "no_data"]
    # nor does a constant stand in for it
    found = checks.looks(f"sum({QUERY}) or vector(0)", "< 0.05", hourly[0], hourly[-1], 3600)
    assert [each.state for each in found] == ["green", "red", "no_data", "green", "no_data"]
    found = checks.looks(f"absent({QUERY})", "empty", hourly[0], hourly[-1], 3600)
    assert [each.state for each in found] == ["green", "green", "no_data", "green", "no_data"]
    found = checks.looks(f"max_over_time({QUERY}[1h])", "< 0.05", hourly[0], hourly[-1], 3600)
    assert [each.state for each in found] == ["green", "red", "red", "green", "green"]


@pytest.mark.parametrize(
    ("query", "is_", "field"),
    [
        ("vector(1)", "> 0", "check_query"),
        ("up @ 1600000000", "> 0", "check_query"),
        ("max_over_time(up[1h:1m] @ 5)", "> 0", "check_query"),
        ("sum(", "> 0", "check_query"),
        ("up", "is fine", "check_is"),
        ("", "> 0", "check_query"),
    ],
)
def test_a_check_that_cannot_tell_is_refused(query: str, is_: str, field: str) -> None:
    wrong = checks.mistake(query, is_)
    assert wrong is not None
    assert wrong[0] == field


def test_a_query_that_fails_is_never_green(
    telemetry_db: object, postmortem: Postmortem, operator_actor: Actor, settings: Any
) -> None:
    samples(START - timedelta(hours=1), 96, lambda _moment: 0.01, step=240)
    settings.TELEMETRY_MAX_SAMPLES = 1
    with time_machine.travel(START, tick=False):
        row = proving(operator_actor, postmortem, green_days=1)
    look(row, at(3))
    assert (row.state, row.green_left) == (ImprovementState.PROVING, 1)
    assert row.check_problem
    with pytest.raises(Conflict) as refused, time_machine.travel(at(3), tick=False):
        prover.close(actor=operator_actor, improvement=row)
    assert refused.value.field == "check_query"


def test_one_check_that_breaks_does_not_starve_the_others(
    postmortem: Postmortem, operator_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of what a look may raise is expected here: the job fails and says so, and the others are looked at."""

    def looks(query: str, _is: str, start: int, end: int, interval: int) -> list[Look]:
        if query == "broken":
            raise RuntimeError("a fault of ours")
        return [Look(moment, "green") for moment in range(start, end + 1, interval)]

    with time_machine.travel(START, tick=False):
        broken = proving(operator_actor, postmortem, check_query="broken")
        others = [proving(operator_actor, postmortem) for _each in range(3)]
    monkeypatch.setattr(checks, "looks", looks)
    failed = 0
    for minute in range(60, 64):
        with time_machine.travel(at(1, minute * 60), tick=False):
            try:
                prover.look_at_all(actor=PROVER, now=at(1, minute * 60))
            except RuntimeError:
                failed += 1
    assert failed >= 2  # it is tried again, and not hidden
    for row in others:
        row.refresh_from_db()
        assert row.checked_until > at(1)
    broken.refresh_from_db()
    assert broken.checked_until < at(1)


# --- no way from red to done --------------------------------------------------------------------------------------

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["look", "look", "look", "close", "prove", "begin", "reopen", "shorter", "back", "twice"]),
        st.integers(1, 40),
    ),
    max_size=14,
)
STATES = st.lists(st.sampled_from(["green", "green", "green", "red", "no_data"]), min_size=12, max_size=12)


@given(ACTS, STATES)
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_done_means_that_the_last_days_were_green_whatever_was_done(
    postmortem: Postmortem, operator_actor: Actor, seen: dict[str, Any], acts: Any, states: list[str]
) -> None:
    """Acts at random, over twelve-hour pieces of a history that is green, red or without data."""

    def state(moment: int) -> str:
        return states[int((moment - START.timestamp()) // 43_200) % len(states)]

    seen["state"] = state
    now = START
    with time_machine.travel(now, tick=False):
        row = write.add(actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor, green_days=2))
    for act, hours in acts:
        now += timedelta(hours=-hours if act == "back" else hours)
        now = max(now, START)
        with time_machine.travel(now, tick=False):
            row.refresh_from_db()
            before = row.state
            try:
                perform(act, row, operator_actor, now)
            except Problem:
                pass
            row.refresh_from_db()
            if row.state == ImprovementState.DONE and before != ImprovementState.DONE:
                assert_proven(row, state, now)


def perform(act: str, row: Improvement, actor: Actor, now: datetime) -> None:
    """One act of the property above."""
    if act in ("look", "back", "twice"):
        stale = Improvement.objects.select_related("postmortem__incident").get(pk=row.pk)
        prover.look_at_all(actor=PROVER, now=now)
        if act == "twice":  # a duplicate that read the row before the first one wrote
            prover.advance(actor=PROVER, improvement=stale, now=now)
    elif act == "close":
        prover.close(actor=actor, improvement=row)
    elif act == "prove":
        write.finish_work(actor=actor, improvement=row)
    elif act == "begin":
        write.begin(actor=actor, improvement=row)
    elif act == "reopen":
        write.reopen(actor=actor, improvement=row, comment="it came back")
    else:
        days = 1 if row.green_days == 2 else 2
        write.change(
            actor=actor, improvement=row, version=row.version, draft=replace(write.draft_of(row), green_days=days)
        )


def assert_proven(row: Improvement, state: Any, now: datetime) -> None:
    """Every look of the last `green_days` complete days, and of today, was green, and the work was done before."""
    first_of_today = proofs.bounds(now.astimezone(prover.zone()).date(), prover.zone())[0]
    newest = proofs.on_grid(now.timestamp() - prover.LAG_SECONDS, row.interval_seconds)
    end = first_of_today if newest < first_of_today + 86_400 - row.interval_seconds else newest
    begin = first_of_today - 86_400 * (row.green_days if end == first_of_today else row.green_days - 1)
    # a day is complete with its last look, a little before midnight
    assert row.proving_since is not None
    assert row.proving_since.timestamp() <= begin
    assert all(state(moment) == "green" for moment in range(begin, newest + 1, row.interval_seconds))


def test_the_days_are_counted_from_when_the_work_was_done(
    postmortem: Postmortem, operator_actor: Actor, seen: dict[str, Any]
) -> None:
    with time_machine.travel(START, tick=False):
        row = write.add(actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor))
    look(row, at(10))
    assert row.state == ImprovementState.OPEN  # ten green days before the work was done prove nothing
    with time_machine.travel(at(10, 5), tick=False):
        write.finish_work(actor=operator_actor, improvement=row)
    for day, left in ((11, 3), (12, 2), (13, 1)):
        assert look(row, at(day, 10)).green_left == left
    assert look(row, at(14, 10)).state == ImprovementState.DONE


def test_a_red_day_begins_the_count_anew_and_says_so(
    postmortem: Postmortem, operator_actor: Actor, seen: dict[str, Any]
) -> None:
    bad = int(at(2, 300).timestamp())
    seen["state"] = lambda moment: "red" if moment == bad else "green"
    with time_machine.travel(START, tick=False):
        row = proving(operator_actor, postmortem)
    assert look(row, at(2, 10)).green_left == 2  # the day on which the work was done does not count
    assert look(row, at(2, 310)).green_left == 3
    look(row, at(2, 600))
    [event] = Event.objects.filter(verb="improvement.count_restarted")
    assert event.payload["day"] == "2026-03-05"
    assert (event.payload["state"], event.payload["had"]) == ("red", 1)
    with pytest.raises(Conflict) as refused, time_machine.travel(at(4, 10), tick=False):
        prover.close(actor=operator_actor, improvement=row)
    assert refused.value.extra == {
        "days_left": 2, "days_needed": 3, "broken_on": "2026-03-05", "broken_by": "red",
    }  # fmt: skip
    assert look(row, at(6, 10)).state == ImprovementState.DONE


def test_another_check_begins_anew_and_a_check_cannot_be_dropped(
    postmortem: Postmortem, operator_actor: Actor, seen: dict[str, Any]
) -> None:
    with time_machine.travel(START, tick=False):
        row = proving(operator_actor, postmortem)
    look(row, at(2, 10))
    now = at(2, 20)
    with time_machine.travel(now, tick=False):
        easier = replace(write.draft_of(row), green_days=1)
        write.change(actor=operator_actor, improvement=row, version=row.version, draft=easier)
        assert (row.green_left, row.proving_since) == (1, now)
        assert not CheckSpan.objects.filter(improvement=row).exists()
        look(row, at(2, 200))
        dropped = replace(write.draft_of(row), check_query="", check_is="", no_check_reason="because I say so")
        with pytest.raises(Conflict, match=r"improvement\.check_kept"):
            write.change(actor=operator_actor, improvement=row, version=row.version, draft=dropped)
        renamed = replace(write.draft_of(row), title="Another title")
        write.change(actor=operator_actor, improvement=row, version=row.version, draft=renamed)
        with pytest.raises(Conflict, match=r"improvement\.version"):
            write.change(actor=operator_actor, improvement=row, version=row.version - 1, draft=easier)
    assert CheckSpan.objects.filter(improvement=row).exists()
    assert look(row, at(3, 10)).state == ImprovementState.PROVING
    assert look(row, at(4, 10)).state == ImprovementState.DONE


def test_a_platform_that_was_down_reads_what_it_missed_from_the_store(
    telemetry_db: object, postmortem: Postmortem, operator_actor: Actor
) -> None:
    samples(START - timedelta(minutes=10), 24 * 16, lambda _moment: 0.01, step=240)
    with time_machine.travel(START, tick=False):
        row = proving(operator_actor, postmortem, green_days=13)
    look(row, at(1))
    assert look(row, at(14, 10)).state == ImprovementState.DONE  # nothing ran for thirteen days
    assert CheckSpan.objects.filter(improvement=row).count() == 1


def test_a_clock_that_jumped_ahead_neither_proves_nor_spoils(
    postmortem: Postmortem, operator_actor: Actor, seen: dict[str, Any]
) -> None:
    with time_machine.travel(START, tick=False):
        row = proving(operator_actor, postmortem)
    real = at(1, 10).timestamp()
    seen["state"] = lambda moment: "green" if moment <= real else "no_data"  # no sample has a time to come
    look(row, at(1, 10))
    assert look(row, at(20)).state == ImprovementState.PROVING
    seen["state"] = lambda _moment: "green"
    look(row, at(1, 20))
    assert row.checked_until <= at(1, 20)
    assert look(row, at(3, 10)).green_left == 1
    assert look(row, at(4, 10)).state == ImprovementState.DONE


# --- without a check ------------------------------------------------------------------------------------------------


def test_without_a_check_another_person_agrees(
    postmortem: Postmortem, operator_actor: Actor, approver_actor: Actor
) -> None:
    told = {"check_query": "", "check_is": "", "no_check_reason": "the contract was signed, there is no metric"}
    with pytest.raises(Invalid, match=r"improvement\.invalid"):
        write.add(
            actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor, **told | {"no_check_reason": ""})
        )
    row = proving(operator_actor, postmortem, **told)
    with pytest.raises(Conflict, match=r"improvement\.consent"):
        prover.close(actor=operator_actor, improvement=row)
    approval = Approval.objects.get(pk=row.approval_id)
    with pytest.raises(AccessDenied):
        approvals.approve(actor=operator_actor, approval=approval)
    approvals.reject(actor=approver_actor, approval=approval, comment="show me")
    run_jobs(timedelta())
    row.refresh_from_db()
    assert (row.state, row.approval) == (ImprovementState.IN_PROGRESS, None)
    write.finish_work(actor=operator_actor, improvement=row)
    asked = Approval.objects.get(pk=row.approval_id)
    other = replace(write.draft_of(row), no_check_reason="quite another reason, nobody agreed to it")
    write.change(actor=operator_actor, improvement=row, version=row.version, draft=other)
    asked.refresh_from_db()
    assert (asked.state, row.state) == ("cancelled", ImprovementState.IN_PROGRESS)
    write.finish_work(actor=operator_actor, improvement=row)
    approvals.approve(actor=approver_actor, approval=Approval.objects.get(pk=row.approval_id))
    Job.objects.filter(state="queued").update(run_at=START)
    run_jobs(timedelta())
    row.refresh_from_db()
    assert (row.state, row.done_by_name) == (ImprovementState.DONE, approver_actor.name)
    write.consent_decided(approval=Approval.objects.get(pk=row.approval_id))  # a duplicate
    assert Event.objects.filter(verb="improvement.done").count() == 1


@pytest.mark.parametrize("begun", ["open", "in_progress", "proving", "consent"])
def test_what_will_not_be_done_needs_a_reason_and_another_person(
    postmortem: Postmortem, operator_actor: Actor, approver_actor: Actor, seen: dict[str, Any], begun: str
) -> None:
    told = {"check_query": "", "check_is": "", "no_check_reason": "the contract was signed, there is no metric"}
    row = write.add(
        actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor, **(told if begun == "consent" else {}))
    )
    if begun == "in_progress":
        write.begin(actor=operator_actor, improvement=row)
    elif begun in ("proving", "consent"):
        write.finish_work(actor=operator_actor, improvement=row)
    before = "in_progress" if begun == "consent" else row.state
    with pytest.raises(Invalid) as refused:
        dropping.drop(actor=operator_actor, improvement=row, reason=" ")
    assert refused.value.field == "reason"
    for decide, comment in ((approvals.reject, "we need it"), (approvals.approve, "")):
        dropping.drop(actor=operator_actor, improvement=row, reason="the system is switched off in June")
        approval = Approval.objects.get(pk=row.approval_id)
        assert (row.state, approval.action) == (before, dropping.ACTION)
        with pytest.raises(AccessDenied):
            approvals.approve(actor=operator_actor, approval=approval)
        decide(actor=approver_actor, approval=approval, comment=comment)
        Job.objects.filter(state="queued").update(run_at=START)
        run_jobs(timedelta())
        row.refresh_from_db()
        assert row.state == ("dropped" if decide is approvals.approve else before)
    assert not Approval.objects.filter(state="pending").exists()
    dropping.decided(approval=Approval.objects.get(pk=row.approval_id))  # a duplicate
    assert Event.objects.filter(verb="improvement.dropped").count() == 1
    counts = postmortem_reads.queue_counts(operator_actor, date(2030, 1, 1))
    assert (counts["open"], counts["overdue"], counts["dropped"]) == (0, 0, 1)
    assert improvements_reminding.remind(actor=PROVER, now=datetime(2030, 1, 1, tzinfo=UTC)) == 0
    with pytest.raises(Conflict):
        dropping.drop(actor=operator_actor, improvement=row, reason="again")
    write.reopen(actor=operator_actor, improvement=row, comment="it stays after all")
    assert (row.state, row.drop_reason, row.approval, row.reopened_count) == ("open", "", None, 0)


def test_a_proof_or_another_text_overtakes_the_wish_to_drop(
    postmortem: Postmortem, operator_actor: Actor, approver_actor: Actor, seen: dict[str, Any]
) -> None:
    with time_machine.travel(START, tick=False):
        row = proving(operator_actor, postmortem)
        dropping.drop(actor=operator_actor, improvement=row, reason="too dear")
        asked = Approval.objects.get(pk=row.approval_id)
        other = replace(write.draft_of(row), title="Quite another thing")
        write.change(actor=operator_actor, improvement=row, version=row.version, draft=other)
        asked.refresh_from_db()
        assert (asked.state, row.approval, row.drop_reason, row.state) == ("cancelled", None, "", "proving")
        dropping.drop(actor=operator_actor, improvement=row, reason="too dear")
        asked = Approval.objects.get(pk=row.approval_id)
    assert look(row, at(6, 10)).state == ImprovementState.DONE
    asked.refresh_from_db()
    assert (asked.state, row.drop_reason) == ("cancelled", "")


def test_an_owner_is_one_person_or_one_team(postmortem: Postmortem, operator_actor: Actor) -> None:
    for wrong in (
        {"owner": None},
        {"owner_team": operator_actor.user_id},
        {"owner": postmortem.pk},
        {"cause": postmortem.pk},
        {"due_on": date(1, 1, 1)},
        {"green_days": 0},
        {"interval_seconds": 7000},
        {"kind": "heroism"},
    ):
        with pytest.raises(Invalid):
            write.add(actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor, **wrong))


def test_only_an_untouched_one_can_be_removed(
    postmortem: Postmortem, operator_actor: Actor, viewer_actor: Actor
) -> None:
    row = write.add(actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor))
    with pytest.raises(AccessDenied):
        write.begin(actor=viewer_actor, improvement=row)
    write.begin(actor=operator_actor, improvement=row)
    with pytest.raises(Conflict, match=r"improvement\.state"):
        write.remove(actor=operator_actor, improvement=row)
    other = write.add(actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor))
    assert other.number == row.number + 1
    write.remove(actor=operator_actor, improvement=other)
    assert Event.objects.filter(verb="improvement.removed").count() == 1


# --- overdue --------------------------------------------------------------------------------------------------------


def test_an_owner_is_reminded_once_in_a_while(postmortem: Postmortem, operator_actor: Actor) -> None:
    row = write.add(actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor, due_on=date(2026, 3, 5)))
    remind = improvements_reminding.remind
    assert remind(actor=PROVER, now=datetime(2026, 3, 5, 15, 59, tzinfo=UTC)) == 0  # still the 5th in Shanghai
    overdue = datetime(2026, 3, 5, 16, 1, tzinfo=UTC)
    assert remind(actor=PROVER, now=overdue) == 1
    assert remind(actor=PROVER, now=overdue + timedelta(hours=1)) == 0
    assert remind(actor=PROVER, now=overdue + timedelta(days=7)) == 1
    [first, second] = Event.objects.filter(verb="improvement.overdue").order_by("pk")
    assert (first.payload["days"], second.payload["days"]) == (1, 8)
    assert f"core.user:{operator_actor.user_id}" in first.abouts.values_list("ref", flat=True)
    assert not Job.objects.filter(name=improvements_reminding.TELL_JOB).exists()  # no channel is set
    counts = postmortem_reads.queue_counts(operator_actor, date(2026, 3, 6))
    assert counts == {"open": 1, "overdue": 1, "proving": 0, "reopened": 0, "done": 0, "dropped": 0, "all": 1}
    assert row.state == ImprovementState.OPEN


def test_a_channel_is_told_once_of_all_that_is_overdue_however_often_it_is_tried(
    postmortem: Postmortem, operator_actor: Actor, admin_actor: Actor, settings: Any
) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    for title in ("one", "two"):
        told = draft(operator_actor, due_on=date(2026, 3, 5), title=title)
        write.add(actor=operator_actor, postmortem=postmortem, draft=told)
    with receiving(503) as receiver:
        alerting.put_channel(
            actor=operator_actor, name="leads", kind="webhook", enabled=True, settings={"url": receiver.url}
        )
        settings_store.put(actor=admin_actor, key="incidents.reminder_channel", value="leads")
        with time_machine.travel(at(5), tick=False):
            improvements_reminding.remind(actor=PROVER, now=at(5))
            improvements_reminding.remind(actor=PROVER, now=at(5))
            jobs.run_due(until=at(5) + timedelta(minutes=30))
    assert len(receiver.got) == 2  # the first try was refused with 503
    assert len({headers["webhook-id"] for headers, _body in receiver.got}) == 1
    body = receiver.bodies()[-1]
    assert body["groupLabels"] == {"alertname": "ImprovementOverdue"}
    assert [each["annotations"]["summary"].rpartition(" ")[2].rpartition("：")[2] for each in body["alerts"]] == [
        "one",
        "two",
    ]


def test_a_reminder_whose_message_cannot_be_queued_is_made_again(
    postmortem: Postmortem, operator_actor: Actor, admin_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    write.add(actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor, due_on=date(2026, 3, 5)))
    settings_store.put(actor=admin_actor, key="incidents.reminder_channel", value="leads")

    def cut_off(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as during, pytest.raises(RuntimeError):
        during.setattr(improvements_reminding.jobs, "enqueue", cut_off)
        improvements_reminding.remind(actor=PROVER, now=at(5))
    assert not Event.objects.filter(verb="improvement.overdue").exists()
    assert improvements_reminding.remind(actor=PROVER, now=at(5)) == 1
    assert Job.objects.filter(name=improvements_reminding.TELL_JOB).count() == 1
