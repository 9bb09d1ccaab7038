"""Whatever people and time do to a change, its runs do nothing but what was agreed on, while it is being worked on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.test import TestCase
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.changes.test_control import people
from tests.changes.test_covered_runs import NOON, TESTS, TEXT, wanted
from tests.runbooks.conftest import Effects, Metrics, _loopback, _no_store, effects, make_resource, metrics, reply
from tongchou.changes import control, control_work
from tongchou.changes.models_control import ChangeState
from tongchou.core import approvals, jobs, settings_store
from tongchou.core.models import Approval
from tongchou.core.problems import Problem
from tongchou.inventory.models import AttributeValue
from tongchou.runbooks import actions as runbooks
from tongchou.runbooks.models import Run, RunState

__all__ = ["_loopback", "_no_store", "effects", "metrics"]  # fixtures of runbooks, used here, too
pytestmark = pytest.mark.django_db
THERE, BACK = "/drain/web-1/at%20once", "/drain/web-1/softly"
BEFORE = (ChangeState.NEW, ChangeState.ASSESS, ChangeState.AUTHORIZE, ChangeState.SCHEDULED)
UNDER_WAY = (RunState.QUEUED, RunState.RUNNING)
LONGEST = timedelta(hours=1)  # after the window


class Life(RuleBasedStateMachine):
    """One change with a task and a way back that are run. Nobody ever agrees to a run by itself."""

    effects: Effects

    @initialize(begun=st.sampled_from([True, True, False]))
    def begin_life(self, begun: bool) -> None:
        self.example = transaction.atomic()
        self.example.__enter__()
        self.now = NOON - timedelta(minutes=30)
        self.clock = time_machine.travel(self.now, tick=False)
        self.clock.start()
        self.effects.seen.clear()
        self.fails, self.effects.answers = False, {THERE: self.answer, BACK: self.answer}
        settings_store.put(actor=TESTS, key="execution.enabled", value=True)
        settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
        runbooks.put_procedure(actor=TESTS, name="drain", text=TEXT)
        self.host = make_resource("web-1", kind="host", control_url=self.effects.url)
        self.asks, self.agrees = people()
        self.row = control.create(actor=self.asks, draft=wanted(self.host))
        self.agreed_text, self.text = "", TEXT
        self.agreed_place, self.place = "", ""
        self.before_back: set[Any] = set()  # the runs that were there when the change was taken back
        if begun:
            self.agree()
            self.time_passes(40)
            self.begin()

    def teardown(self) -> None:
        if hasattr(self, "clock"):
            self.clock.stop()
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)

    def answer(self, handler: Any, _request: Any) -> None:
        reply(handler, 500 if self.fails else 200)

    def attempt(self, act: Any) -> None:
        try:
            act()
        except Problem:
            pass
        finally:
            self.row.refresh_from_db()

    @rule(minutes=st.sampled_from([1, 10, 30]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.clock.stop()
        self.clock = time_machine.travel(self.now, tick=False)
        self.clock.start()
        control_work.keep_windows(self.now)

    @precondition(lambda self: self.row.state in BEFORE)
    @rule()
    def agree(self) -> None:
        self.attempt(lambda: control.ask(actor=self.asks, change=self.row))
        if self.row.approval is None or self.row.approval.state != "pending":
            return
        approval, said = self.row.approval, (self.text, self.place)
        self.attempt(lambda: approvals.approve(actor=self.agrees, approval=approval))
        control.decided(approval=Approval.objects.get(pk=approval.pk))
        self.row.refresh_from_db()
        self.agreed_text, self.agreed_place = said

    @precondition(lambda self: self.row.state == ChangeState.SCHEDULED)
    @rule()
    def begin(self) -> None:
        self.attempt(lambda: control_work.begin(actor=self.asks, change=self.row))

    @precondition(lambda self: self.row.state == ChangeState.IMPLEMENT)
    @rule(back=st.booleans(), fails=st.sampled_from([True, False, None]))
    def run(self, back: bool, fails: bool | None) -> None:
        self.runs(back, fails)

    @precondition(lambda self: self.row.state == ChangeState.IMPLEMENT)
    @rule(again=st.booleans())
    def it_fails_and_is_taken_back(self, again: bool) -> None:
        self.runs(False, True)
        self.runs(True, False)
        if again:
            self.tries_again()
            self.let_runs_go_on(False)

    def runs(self, back: bool, fails: bool | None) -> None:
        if back:
            self.attempt(lambda: control_work.back_out(actor=self.asks, change=self.row))
        else:
            self.attempt(lambda: control_work.run_task(actor=self.asks, change=self.row, position=2))
        if fails is not None:
            self.let_runs_go_on(fails)

    @precondition(lambda self: Run.objects.filter(state=RunState.FAILED).exists())
    @rule(fails=st.sampled_from([True, False, None]))
    def try_again(self, fails: bool | None) -> None:
        self.tries_again()
        if fails is not None:
            self.let_runs_go_on(fails)

    def tries_again(self) -> None:
        for run in Run.objects.filter(state=RunState.FAILED):
            self.attempt(lambda run=run: runbooks.retry(actor=self.asks, run=run))

    @rule(what=st.sampled_from(["text", "host", "window", "done", "taken back"]), to=st.booleans())
    def something_else_happens(self, what: str, to: bool) -> None:
        """One rule, so that most of a life is runs that fail and are tried again in the meantime."""
        match what:
            case "text":
                self.save_the_procedure(to)
            case "host":
                self.move_the_host(to)
            case "window":
                self.time_passes(75 if to else 40)
            case _:
                self.finish(what == "taken back")

    def save_the_procedure(self, wipes: bool) -> None:
        self.text = TEXT.replace("/drain/", "/wipe/") if wipes else TEXT
        self.attempt(lambda: runbooks.put_procedure(actor=TESTS, name="drain", text=self.text))

    def move_the_host(self, other: bool) -> None:
        self.place = "/other" if other else ""
        url = f"{self.effects.url}{self.place}"
        AttributeValue.objects.filter(resource=self.host, name="control_url").update(value=url)

    def finish(self, back: bool) -> None:
        self.attempt(lambda: control_work.do_task(actor=self.asks, change=self.row, position=1, state="done"))
        self.attempt(lambda: control_work.finish(actor=self.asks, change=self.row, backed_out=back))

    @precondition(lambda self: Run.objects.filter(state__in=UNDER_WAY).exists())
    @rule(fails=st.booleans())
    def let_them_go_on(self, fails: bool) -> None:
        self.let_runs_go_on(fails)

    def let_runs_go_on(self, fails: bool) -> None:
        self.fails = fails
        state, before = ChangeState(self.row.state), len(self.effects.seen)
        under_way = set(Run.objects.filter(state__in=UNDER_WAY).values_list("pk", flat=True))
        jobs.run_due()
        self.row.refresh_from_db()
        for path in self.effects.paths()[before:]:
            assert state == ChangeState.IMPLEMENT, f"{path} in {state}"
            assert self.agreed_text, "nobody has agreed"
            verb = "/wipe/" if "/wipe/" in self.agreed_text else "/drain/"
            meant = {self.agreed_place + each.replace("/drain/", verb) for each in (THERE, BACK)}
            assert path in meant, f"{path} was not agreed on"
            assert self.row.starts_at is not None
            assert self.row.ends_at is not None
            assert self.now >= self.row.starts_at
            if path.endswith("once"):
                assert self.now < self.row.ends_at + LONGEST
                assert not under_way & self.before_back, "it was taken back, and is done again"
            else:
                self.before_back = set(Run.objects.values_list("pk", flat=True)) - {self.row.backout_run_id}

    @invariant()
    def one_run_at_a_time_is_under_way(self) -> None:
        if hasattr(self, "row"):
            under_way = Run.objects.filter(state__in=UNDER_WAY).count()
            assert under_way <= 1
            assert not under_way or self.row.state == ChangeState.IMPLEMENT


class TestLife(TestCase):
    """Each life is undone at its end."""

    @pytest.fixture(autouse=True)
    def _served(self, effects: Effects, metrics: Metrics) -> None:
        Life.effects = effects

    def test_runs_do_what_was_agreed_on_while_the_change_is_worked_on(self) -> None:
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
