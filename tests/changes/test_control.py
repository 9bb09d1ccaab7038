"""A change from the wish to the review: nothing is carried out that was not agreed on, in time, as it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import translation
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.conftest import make_user
from tongchou.changes import catalogue_actions, conflicts, control, control_reads, control_work, covered_runs
from tongchou.changes.draft import Draft, TaskDraft
from tongchou.changes.models_control import Change, ChangeKind, ChangeResource, ChangeState
from tongchou.core import approvals, calendars
from tongchou.core import people as accounts
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Approval, ApprovalState, Event, Membership, Role, Team, User
from tongchou.core.models_calendars import Window
from tongchou.core.models_consent import ApprovalNeed
from tongchou.core.problems import AccessDenied, Conflict, Invalid, Problem
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Hold, Resource

TESTS = system("tests")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
GOOD = {
    "interruption": "no",
    "tested": "yes",
    "backout": "minutes",
    "experience": "often",
    "data": "no",
    "security": "no",
}
pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def people() -> tuple[Actor, Actor]:
    """Somebody who asks and somebody who agrees."""
    return (
        actor_for_user(make_user("asks", Role.OPERATOR)),
        actor_for_user(make_user("agrees", Role.APPROVER)),
    )


def host(name: str = "web-1") -> Resource:
    return inventory.create_resource(actor=TESTS, kind="host", name=name)


def draft(resources: list[Resource], **more: Any) -> Draft:
    fields: dict[str, Any] = {
        "title": "New kernel",
        "resources": [each.pk for each in resources],
        "starts_at": NOON,
        "ends_at": NOON + timedelta(hours=1),
        "backout": "boot the old one",
        "verification": "uname -r says 6.1",
        "tasks": [TaskDraft("drain"), TaskDraft("reboot")],
        "answers": GOOD,
    }
    return Draft(**(fields | more))


def agree(change: Change, by: Actor) -> Change:
    change.refresh_from_db()
    assert change.approval is not None
    approvals.approve(actor=by, approval=change.approval)
    control.decided(approval=change.approval)
    change.refresh_from_db()
    return change


@time_machine.travel(NOON - timedelta(hours=1), tick=False)
def test_a_normal_change_from_the_wish_to_the_review() -> None:
    asks, agrees = people()
    row = control.create(actor=asks, draft=draft([host()]))
    assert (row.name, row.state) == ("CHG-1", ChangeState.NEW)
    row = control.assess(actor=asks, change=row)
    assert (row.state, row.risk) == (ChangeState.ASSESS, "low")
    row = control.ask(actor=asks, change=row)
    assert row.state == ChangeState.AUTHORIZE
    row = agree(row, agrees)
    assert row.state == ChangeState.SCHEDULED
    with pytest.raises(Conflict) as early:
        control_work.begin(actor=asks, change=row)
    assert [each["code"] for each in early.value.extra["refusals"]] == ["early"]
    with time_machine.travel(NOON, tick=False):
        control_work.begin(actor=asks, change=row)
        with pytest.raises(Conflict, match="tasks_open"):
            control_work.finish(actor=asks, change=row)
        for position in (1, 2):
            control_work.do_task(actor=asks, change=row, position=position, state="done")
        control_work.finish(actor=asks, change=row)
        row = control_work.close(actor=asks, change=row, outcome="successful", review="")
    assert (row.state, row.outcome) == (ChangeState.CLOSED, "successful")
    verbs = Event.objects.filter(subject=f"changes.change:{row.pk}").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == [
        "change.created",
        "change.assessed",
        "change.assessed",
        "change.asked",
        "change.scheduled",
        "change.began",
        "change.task_done",
        "change.task_done",
        "change.finished",
        "change.closed",
    ]


@time_machine.travel(NOON, tick=False)
def test_an_edit_takes_consent_back_and_only_when_the_content_differs() -> None:
    asks, agrees = people()
    web, db = host(), host("db-1")
    row = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=draft([web]))), agrees)
    control.edit(actor=asks, change=row, draft=draft([web], assignee="agrees"))
    row.refresh_from_db()
    assert row.state == ChangeState.SCHEDULED  # who does it is no part of what is agreed on
    control.edit(actor=asks, change=row, draft=draft([web, db]))
    row.refresh_from_db()
    assert (row.state, row.asked_hash) == (ChangeState.ASSESS, "")
    with pytest.raises(Conflict):
        control_work.begin(actor=asks, change=row)


@time_machine.travel(NOON, tick=False)
def test_a_yes_to_what_was_edited_meanwhile_schedules_nothing() -> None:
    asks, _agrees = people()
    row = control.ask(actor=asks, change=control.create(actor=asks, draft=draft([host()])))
    old = row.approval
    assert old is not None
    row = control.edit(actor=asks, change=row, draft=draft([host("db-1")]))
    old.refresh_from_db()
    assert old.state == ApprovalState.CANCELLED
    Approval.objects.filter(pk=old.pk).update(state=ApprovalState.APPROVED)  # even if somebody was faster
    old.refresh_from_db()
    control.decided(approval=old)
    row.refresh_from_db()
    assert row.state == ChangeState.ASSESS


@pytest.mark.parametrize("meanwhile", ["withdrawn", "begun", "asked"])
@time_machine.travel(NOON, tick=False)
def test_what_moved_on_while_its_runs_were_planned_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    asks, _agrees = people()
    kind = "emergency" if meanwhile == "begun" else "normal"
    row = control.create(actor=asks, draft=draft([host()], kind=kind))
    plan, moves = covered_runs.plan, [meanwhile]

    def slow(change: Change, actor: Actor) -> covered_runs.Covered:
        found = plan(change, actor)
        match moves.pop() if moves else "":
            case "withdrawn":
                control.cancel(actor=asks, change=change, reason="not wanted")
            case "begun":
                control_work.begin(actor=asks, change=change, broke_glass="the shop is down")
            case "asked":
                control.ask(actor=asks, change=change)
        return found

    monkeypatch.setattr(covered_runs, "plan", slow)
    with pytest.raises(Conflict, match=r"change\.state"):
        control.ask(actor=asks, change=row)
    row.refresh_from_db()
    stays = {"withdrawn": ChangeState.CANCELLED, "begun": ChangeState.IMPLEMENT, "asked": ChangeState.AUTHORIZE}
    assert row.state == stays[meanwhile]
    assert Approval.objects.filter(state=ApprovalState.PENDING).count() == (1 if meanwhile == "asked" else 0)


def test_what_is_missing_is_named_all_at_once() -> None:
    asks, _agrees = people()
    row = control.create(actor=asks, draft=Draft(title="something", answers={"tested": "yes"}))
    with pytest.raises(Conflict) as caught:
        control.ask(actor=asks, change=row)
    missing = caught.value.extra["missing"]
    assert {"resources", "starts_at", "backout", "verification", "answers.data"} <= set(missing)
    assert "answers.tested" not in missing


@time_machine.travel(NOON, tick=False)
def test_a_standard_change_is_scheduled_at_once_while_its_entry_reads_as_agreed() -> None:
    asks, agrees = people()
    entry = catalogue_actions.put_template(
        actor=asks, name="reboot", title="Reboot a host", kinds=["host"], max_resources=1, max_minutes=60,
        tasks=[TaskDraft("reboot")], backout="none is needed",
    )  # fmt: skip
    wanted = draft([host()], kind="standard", template="reboot", tasks=[], backout="", verification="")
    row = control.create(actor=asks, draft=wanted)
    assert [each.title for each in row.tasks.all()] == ["reboot"]
    with pytest.raises(Conflict, match="template_not_agreed"):
        control.ask(actor=asks, change=row)
    approval = catalogue_actions.ask_template(actor=asks, template=entry)
    approvals.approve(actor=agrees, approval=approval)
    catalogue_actions.decided(approval=approval)
    assert control.ask(actor=asks, change=row).state == ChangeState.SCHEDULED
    with pytest.raises(Invalid, match=r"\[resources\]"):
        control.create(actor=asks, draft=replace(wanted, resources=[host("a").pk, host("b").pk]))
    with pytest.raises(Invalid, match=r"\[resources\]"):
        service = inventory.create_resource(actor=TESTS, kind="service", name="shop")
        control.create(actor=asks, draft=replace(wanted, resources=[service.pk]))
    catalogue_actions.put_template(
        actor=asks, name="reboot", title="Reboot a host", kinds=["host"], max_resources=1, max_minutes=60,
        tasks=[TaskDraft("reboot hard")], backout="none is needed",
    )  # fmt: skip
    with pytest.raises(Conflict) as caught:
        control_work.begin(actor=asks, change=row)
    assert [each["code"] for each in caught.value.extra["refusals"]] == ["not_agreed"]


@time_machine.travel(NOON, tick=False)
def test_an_emergency_may_break_the_glass_and_is_reviewed_by_somebody_else() -> None:
    asks, agrees = people()
    row = control.create(actor=asks, draft=draft([host()], kind="emergency", answers={}))
    with pytest.raises(Conflict):
        control_work.begin(actor=asks, change=row)
    control_work.begin(actor=asks, change=row, broke_glass="the shop is down")
    row.refresh_from_db()
    assert row.state == ChangeState.IMPLEMENT
    assert not Hold.objects.filter(lifted_at__isnull=True).exists()  # nobody agreed that its alerts be held back
    control_work.finish(actor=asks, change=row, backed_out=True)
    with pytest.raises(AccessDenied, match="own_review"):
        control_work.close(actor=asks, change=row, outcome="backed_out", review="it made things worse")
    control_work.close(actor=agrees, change=row, outcome="backed_out", review="it made things worse")
    with pytest.raises(Invalid, match=r"\[broke_glass\]"):
        control_work.begin(
            actor=asks, change=control.create(actor=asks, draft=draft([host("x")])), broke_glass="in a hurry"
        )


@time_machine.travel(NOON - timedelta(days=1), tick=False)
def test_collisions_are_found_and_have_to_be_accepted() -> None:
    asks, agrees = people()
    web, db = host(), host("db-1")
    inventory.relate(actor=TESTS, from_resource=web, to_resource=db, type="depends_on")
    first = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=draft([db]))), agrees)
    calendars.put_window(
        actor=actor_for_user(make_user("boss", Role.ADMIN)), name="sale", kind="freeze", starts_at="2026-03-02T00:00",
        duration_seconds=86_400, time_zone="UTC",
    )  # fmt: skip
    second = control.assess(actor=asks, change=control.create(actor=asks, draft=draft([web])))
    assert {(each["kind"], each["name"]) for each in second.conflicts} == {("related", first.name), ("freeze", "sale")}
    with pytest.raises(Conflict) as caught:
        control.ask(actor=asks, change=second)
    assert caught.value.extra["missing"] == ["conflicts_accepted"]
    control.accept_conflicts(actor=asks, change=second, reason="the sale was put off")
    second = agree(control.ask(actor=asks, change=second), agrees)
    with time_machine.travel(NOON, tick=False):
        with pytest.raises(Conflict) as refused:  # the freeze came after the first one was agreed on
            control_work.begin(actor=asks, change=first)
        assert (
            {"conflict_freeze", "conflict_related"}
            >= {each["code"] for each in refused.value.extra["refusals"]}
            > set()
        )
        assert control_work.begin(actor=asks, change=second).state == ChangeState.IMPLEMENT


def freeze(name: str, day: str = "2026-03-02", about: Sequence[str] = ()) -> Window:
    return calendars.put_window(
        actor=TESTS, name=name, kind="freeze", starts_at=f"{day}T00:00", duration_seconds=86_400, time_zone="UTC",
        about=about,
    )  # fmt: skip


def collisions(row: Change) -> set[tuple[str, str]]:
    return {(each.kind, each.name) for each in control_reads.conflicts_of(row)}


@time_machine.travel(NOON - timedelta(days=1), tick=False)
def test_a_reason_is_about_the_collisions_there_were_and_approvers_read_both() -> None:
    asks, agrees = people()
    web = host()
    first = control.assess(actor=asks, change=control.create(actor=asks, draft=draft([web])))
    row = control.assess(actor=asks, change=control.create(actor=asks, draft=draft([web])))
    control.accept_conflicts(actor=asks, change=row, reason="CHG-1 is only a cable")
    freeze("sale")
    with pytest.raises(Conflict) as caught:
        control.ask(actor=asks, change=row)
    assert caught.value.extra["missing"] == ["conflicts_accepted"]
    control.accept_conflicts(actor=asks, change=row, reason="the sale was put off")
    row = control.ask(actor=asks, change=row)
    assert row.approval is not None
    assert row.approval.scope["collides"] == [f"resource: {first.name}", "freeze: sale"]
    assert row.approval.scope["in_spite"] == "the sale was put off"
    row = agree(row, agrees)
    hold = inventory.place_hold(actor=TESTS, resource=web, kind="maintenance", reason="it smokes")
    with time_machine.travel(NOON, tick=False):
        with pytest.raises(Conflict, match="it smokes"):
            control_work.begin(actor=asks, change=row)
        inventory.lift_hold(actor=TESTS, hold=hold)
        assert control_work.begin(actor=asks, change=row).state == ChangeState.IMPLEMENT


@time_machine.travel(NOON - timedelta(days=1), tick=False)
def test_every_collision_counts_and_the_first_are_told() -> None:
    asks, agrees = people()
    web = host()
    row = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=draft([web]))), agrees)
    start = {"starts_at": NOON, "ends_at": NOON + timedelta(hours=1), "state": ChangeState.ASSESS}
    many = conflicts.MOST_SHOWN + 3
    made = Change.objects.bulk_create(
        Change(number=100 + n, title="x", requested_by_name="x", **start) for n in range(many)
    )
    ChangeResource.objects.bulk_create(ChangeResource(change=each, resource=web) for each in made)
    with time_machine.travel(NOON, tick=False), translation.override("en"), pytest.raises(Conflict) as caught:
        control_work.begin(actor=asks, change=row)
    told = caught.value.extra["refusals"]
    assert len(told) == conflicts.MOST_SHOWN + 1
    assert (told[-1]["code"], told[-1]["detail"]) == ("conflict_more", "It has 3 more collisions.")
    row = control.edit(actor=asks, change=row, draft=draft([web], title="Newer kernel"))
    assert len(control.assess(actor=asks, change=row).conflicts) == many


@time_machine.travel(NOON - timedelta(days=1), tick=False)
def test_a_hold_that_is_over_by_then_is_no_collision() -> None:
    asks, _agrees = people()
    web, shop = host(), inventory.create_resource(actor=TESTS, kind="service", name="shop")
    inventory.relate(actor=TESTS, from_resource=web, to_resource=shop, type="part_of")
    row = control.create(actor=asks, draft=draft([web]))
    for name, until in (("tonight", NOON), ("tomorrow", NOON + timedelta(minutes=1)), ("for good", None)):
        inventory.place_hold(actor=TESTS, resource=web, kind="maintenance", reason=name, until=until)
    inventory.place_hold(actor=TESTS, resource=shop, kind="deployment", reason="of all the shop")
    assert collisions(row) == {("hold", "tomorrow"), ("hold", "for good"), ("hold", "of all the shop")}
    (found,) = (each for each in control_reads.conflicts_of(row) if each.name == "tomorrow")
    assert found.span.seconds == 60


@time_machine.travel(NOON - timedelta(days=1), tick=False)
def test_a_freeze_is_of_what_is_in_it_and_of_what_a_team_owns() -> None:
    asks, _agrees = people()
    team = accounts.create_team(actor=TESTS, name="theirs")
    shop = inventory.create_resource(actor=TESTS, kind="service", name="shop", owner=team)
    web, other = host(), host("db-1")
    inventory.relate(actor=TESTS, from_resource=web, to_resource=shop, type="part_of")
    freeze("shop", about=[ref(shop)])
    freeze("theirs", about=[ref(team)])
    freeze("nothing of nobody", about=[ref(accounts.create_team(actor=TESTS, name="nobody"))])
    both = {("freeze", "shop"), ("freeze", "theirs")}
    assert collisions(control.create(actor=asks, draft=draft([shop]))) == both
    assert collisions(control.create(actor=asks, draft=draft([web]))) == both
    assert collisions(control.create(actor=asks, draft=draft([other]))) == set()
    Resource.objects.filter(pk=other.pk).update(owner=team)
    assert collisions(control.create(actor=asks, draft=draft([other]))) == {("freeze", "theirs")}


@time_machine.travel(NOON, tick=False)
def test_the_same_origin_makes_one_change() -> None:
    asks, _agrees = people()
    one = control.create(actor=asks, draft=draft([]), origin="changes.option:1", origin_key="option:1:0")
    other = control.create(actor=asks, draft=draft([]), origin="changes.option:1", origin_key="option:1:0")
    assert one == other


@time_machine.travel(NOON, tick=False)
def test_its_window_holds_alerts_and_lets_them_go() -> None:
    asks, agrees = people()
    row = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=draft([host()]))), agrees)
    (hold,) = Hold.objects.filter(lifted_at__isnull=True, kind="quiet")
    assert (hold.until, hold.opened_by) == (row.ends_at, f"changes.change:{row.pk}")
    assert control_work.keep_windows(NOON) == 0
    control_work.begin(actor=asks, change=row)
    assert Hold.objects.filter(lifted_at__isnull=True).count() == 1
    with time_machine.travel(NOON + timedelta(hours=2), tick=False):
        control_work.keep_windows(NOON + timedelta(hours=2))
        assert control_work.keep_windows(NOON + timedelta(hours=2)) == 0
        assert not Hold.objects.filter(lifted_at__isnull=True).exists()
        row.refresh_from_db()
        assert row.late_since is not None
        assert Event.objects.filter(verb="change.late").count() == 1


def test_who_may_not_edit_is_refused() -> None:
    viewer = actor_for_user(make_user("reads", Role.VIEWER))
    asks, _agrees = people()
    with pytest.raises(AccessDenied):
        control.create(actor=viewer, draft=draft([]))
    row = control.create(actor=asks, draft=draft([]))
    for act in (
        lambda: control.edit(actor=viewer, change=row, draft=draft([])),
        lambda: control.ask(actor=viewer, change=row),
        lambda: control.cancel(actor=viewer, change=row, reason="no"),
        lambda: control_work.begin(actor=viewer, change=row),
        lambda: control_work.finish(actor=viewer, change=row),
    ):
        with pytest.raises(AccessDenied):
            act()


def of_team(name: str, role: Role = Role.OPERATOR) -> tuple[Actor, Team]:
    """Somebody with a role in a team of their own, and in no other."""
    team, user = accounts.create_team(actor=TESTS, name=name), make_user(f"of-{name}", None)
    Membership.objects.create(user=user, team=team, role=role)
    return actor_for_user(user), team


@time_machine.travel(NOON, tick=False)
def test_nobody_touches_what_they_do_not_see_and_what_is_there_stays() -> None:
    ours, team = of_team("ours")
    mine, hidden = inventory.create_resource(actor=TESTS, kind="host", name="mine", owner=team), host("hidden")
    with pytest.raises(Invalid, match=r"\[resources\[1\]\]"):
        control.create(actor=ours, draft=draft([mine, hidden], team=team.pk))
    asks, _agrees = people()
    row = control.create(actor=asks, draft=draft([mine, hidden], team=team.pk))
    row = control.edit(actor=ours, change=row, draft=draft([mine, hidden], team=team.pk, title="Newer kernel"))
    assert row.touched.count() == 2
    with pytest.raises(Invalid, match=r"\[resources\[0\]\]"):
        control.edit(actor=ours, change=row, draft=draft([host("another")], team=team.pk))


@time_machine.travel(NOON, tick=False)
def test_a_standard_change_holds_nothing_back_whose_owner_was_not_asked() -> None:
    asks, agrees = people()
    ours, team = of_team("ours")
    _other, theirs = of_team("theirs")
    shared = inventory.create_resource(actor=TESTS, kind="host", name="shared", owner=theirs)
    entry = catalogue_actions.put_template(
        actor=asks, name="reboot", title="Reboot", tasks=[TaskDraft("reboot")], backout="none", team=theirs.pk
    )
    assert ours.user_id is not None
    Membership.objects.create(user_id=ours.user_id, team=theirs, role=Role.VIEWER)
    ours = actor_for_user(User.objects.get(pk=ours.user_id))
    approval = catalogue_actions.ask_template(actor=asks, template=entry)
    approvals.approve(actor=agrees, approval=approval)
    catalogue_actions.decided(approval=approval)
    wanted = draft([shared], kind="standard", template="reboot", tasks=[], team=team.pk, backout="", verification="")
    row = control.create(actor=ours, draft=wanted)
    with pytest.raises(AccessDenied, match="not_the_owner"):
        control.ask(actor=ours, change=row)
    assert not Hold.objects.exists()
    approval.refresh_from_db()
    ApprovalNeed.objects.create(approval=approval, kind="team", team=theirs, count=1, owner=True)
    assert control.ask(actor=ours, change=row).state == ChangeState.SCHEDULED


def test_nobody_gives_a_change_to_a_team_they_may_not_write_for() -> None:
    ours, team = of_team("ours")
    _other, theirs = of_team("theirs")
    row = control.create(actor=ours, draft=draft([], team=team.pk))
    for wrong in (theirs.pk, None):
        with pytest.raises(AccessDenied):
            control.edit(actor=ours, change=row, draft=draft([], team=wrong))
    Membership.objects.create(user_id=ours.user_id, team=theirs, role=Role.OPERATOR)
    ours = actor_for_user(User.objects.get(pk=ours.user_id))
    assert control.edit(actor=ours, change=row, draft=draft([], team=theirs.pk)).team == theirs


class Life(RuleBasedStateMachine):
    """Everything people and time can do to one change, in any order; a model keeps what was agreed on."""

    @initialize(kind=st.sampled_from(["normal", "emergency"]))
    def begin_life(self, kind: str) -> None:
        self.now = NOON - timedelta(hours=2)
        self.clock = time_machine.travel(self.now, tick=False)
        self.clock.start()
        tag = Change.objects.count()
        self.asks = actor_for_user(make_user(f"asks{tag}", Role.OPERATOR))
        self.agrees = actor_for_user(make_user(f"agrees{tag}", Role.APPROVER))
        self.resources = [host(f"h{tag}-{each}") for each in range(2)]
        self.kind, self.agreed = kind, ""
        self.row = control.create(actor=self.asks, draft=draft(self.resources[:1], kind=kind))
        self.began: list[tuple[str, str, bool]] = []

    def teardown(self) -> None:
        if hasattr(self, "clock"):
            self.clock.stop()

    def attempt(self, act: Any) -> bool:
        try:
            act()
        except Problem:
            return False
        finally:
            self.row.refresh_from_db()
        return True

    @rule(minutes=st.sampled_from([1, 30, 90]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.clock.stop()
        self.clock = time_machine.travel(self.now, tick=False)
        self.clock.start()
        control_work.keep_windows(self.now)

    @rule(title=st.sampled_from(["New kernel", "Newer kernel"]), later=st.booleans(), both=st.booleans())
    def edit(self, title: str, later: bool, both: bool) -> None:
        start = NOON + timedelta(hours=1 if later else 0)
        wanted = draft(
            self.resources if both else self.resources[:1],
            kind=self.kind, title=title, starts_at=start, ends_at=start + timedelta(hours=1),
        )  # fmt: skip
        self.attempt(lambda: control.edit(actor=self.asks, change=self.row, draft=wanted))

    @rule()
    def ask(self) -> None:
        self.attempt(lambda: control.ask(actor=self.asks, change=self.row))

    @rule(yes=st.booleans())
    def decide(self, yes: bool) -> None:
        approval = self.row.approval
        if approval is None:
            return
        shown = approval.content_hash
        act = approvals.approve if yes else approvals.reject
        if self.attempt(lambda: act(actor=self.agrees, approval=approval)) and yes:
            self.agreed = shown
        control.decided(approval=Approval.objects.get(pk=approval.pk))
        self.row.refresh_from_db()

    @rule(glass=st.booleans())
    def start(self, glass: bool) -> None:
        reason = "it burns" if glass else ""
        if self.attempt(lambda: control_work.begin(actor=self.asks, change=self.row, broke_glass=reason)):
            self.began.append((control_reads.content_of(self.row).sha256, self.agreed, glass))
            assert self.row.starts_at is not None
            assert self.row.ends_at is not None
            assert self.row.starts_at <= self.now < self.row.ends_at
            if not self.row.broke_glass:
                assert control_reads.content_of(self.row).sha256 == self.agreed
            else:
                assert self.kind == ChangeKind.EMERGENCY

    @rule()
    def withdraw(self) -> None:
        self.attempt(lambda: control.cancel(actor=self.asks, change=self.row, reason="not wanted"))

    @precondition(lambda self: self.row.state == ChangeState.IMPLEMENT)
    @rule(back=st.booleans())
    def finish(self, back: bool) -> None:
        self.attempt(lambda: control_work.finish(actor=self.asks, change=self.row, backed_out=back))

    @invariant()
    def it_began_once_at_most_and_only_in_order(self) -> None:
        if not hasattr(self, "row"):
            return
        assert len(self.began) <= 1
        if self.row.state in (ChangeState.IMPLEMENT, ChangeState.REVIEW, ChangeState.CLOSED):
            assert self.began
        if self.row.state == ChangeState.SCHEDULED and not self.row.broke_glass:
            assert self.row.asked_hash == self.agreed != ""
        quiet = Hold.objects.filter(
            opened_by=f"changes.change:{self.row.pk}", lifted_at__isnull=True, until__gt=self.now
        )
        if quiet.exists():
            assert self.row.state in (ChangeState.SCHEDULED, ChangeState.IMPLEMENT)
            assert self.row.asked_hash == self.agreed
            assert not self.row.broke_glass


class TestLife(TestCase):
    """Run by hypothesis's own case, which undoes each example."""

    def test_nothing_is_done_that_was_not_agreed_on(self) -> None:
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=25, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
