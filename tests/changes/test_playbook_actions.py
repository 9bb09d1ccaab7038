"""Projects: checked, approved, run in batches; nothing else is run than what was shown; a kill in the middle; drift."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.changes.playing import TESTS, KilledError, Player, install, project
from tests.conftest import make_user
from tongchou.changes import playbook_actions, playbook_reads
from tongchou.changes.models_drift import Drift
from tongchou.changes.models_playbooks import Playbook, PlaybookCheck, PlaybookHost
from tongchou.changes.playbook_actions import Draft
from tongchou.core import approvals, jobs, people
from tongchou.core.access import Actor, actor_for_user
from tongchou.core.models import Approval, Event, Membership, Role
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.inventory import actions as inventory
from tongchou.runbooks import actions as runs
from tongchou.runbooks import advance, journal
from tongchou.runbooks.models import Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> Player:
    return install(monkeypatch)


def checked(row: Playbook, *, drift: bool = False) -> PlaybookCheck:
    check = playbook_actions.ask_check(actor=TESTS, row=row, drift=drift)
    jobs.run_due()
    check.refresh_from_db()
    return check


def asked(check: PlaybookCheck, actor: Actor) -> Run:
    run = playbook_actions.request_run(actor=actor, check_id=check.pk, reason="because")
    jobs.run_due()
    run.refresh_from_db()
    assert run.state == "awaiting_approval", run.outcome
    return run


def approved(run: Run, approver: Actor) -> Run:
    approvals.approve(actor=approver, approval=Approval.objects.get(pk=run.approval_id))
    jobs.run_due()
    run.refresh_from_db()
    return run


def states(run: Run) -> dict[str, str]:
    return dict(PlaybookHost.objects.filter(run=run).values_list("name", "state"))


def test_checked_then_run_in_batches_on_what_would_change(
    player: Player, operator_actor: Actor, approver_actor: Actor
) -> None:
    player.wrong = {"w-1": "a", "w-2": "b", "w-4": "c"}
    run = asked(checked(project()), operator_actor)
    shown = [step.preview["diff"] for step in run.steps.order_by("position")]
    assert shown == ["# w-1\n-a\n+hello", "# w-2\n-b\n+hello\n# w-4\n-c\n+hello"]
    assert approved(run, approver_actor).state == "succeeded"
    assert player.calls == [(True, ["w-1", "w-2", "w-3", "w-4"]), (False, ["w-1"]), (False, ["w-2", "w-4"])]
    assert states(run) == dict.fromkeys(("w-1", "w-2", "w-4"), "changed")
    assert Event.objects.filter(verb="playbook.host_changed").count() == 3
    again = checked(Playbook.objects.get())
    with pytest.raises(Conflict, match="nothing"):
        playbook_actions.request_run(actor=operator_actor, check_id=again.pk)


@pytest.mark.parametrize("what", ["tree", "inventory", "vars", "shown"])
def test_nothing_is_run_that_was_not_shown(
    player: Player, operator_actor: Actor, approver_actor: Actor, what: str
) -> None:
    player.wrong = {"w-1": "a"}
    check = checked(project())
    run = asked(check, operator_actor)
    if what == "tree":
        player.text = "v2"
    elif what == "shown":
        PlaybookHost.objects.filter(of_check=check, name="w-1").update(diff="+something nicer")
    else:
        key = "hosts" if what == "inventory" else "extra_vars"
        PlaybookCheck.objects.filter(pk=check.pk).update(setup={**check.setup, key: {"w-1": {"address": "elsewhere"}}})
    run = approved(run, approver_actor)
    assert run.state == "failed"
    assert [call for call in player.calls if not call[0]] == []


def test_a_batch_with_too_many_failures_stops_the_run(
    player: Player, operator_actor: Actor, approver_actor: Actor
) -> None:
    player.wrong = {f"w-{number}": "a" for number in range(1, 5)}
    run = asked(checked(project()), operator_actor)
    player.state = {"w-2": "failed"}
    assert approved(run, approver_actor).state == "failed"
    assert states(run) == {"w-1": "changed", "w-2": "failed", "w-3": "changed", "w-4": "waiting"}
    assert Event.objects.get(verb="playbook.host_failed").payload["name"] == "w-2"


def test_some_failures_are_allowed(player: Player, operator_actor: Actor, approver_actor: Actor) -> None:
    player.wrong = {f"w-{number}": "a" for number in range(1, 5)}
    run = asked(checked(project(max_fail_percent=50)), operator_actor)
    player.state = {"w-2": "failed"}
    assert approved(run, approver_actor).state == "succeeded"
    assert states(run)["w-4"] == "changed"


def killed(run: Run, approver: Actor) -> None:
    """Approve it, and die in the middle of the second batch; another process comes to it later."""
    approvals.approve(actor=approver, approval=Approval.objects.get(pk=run.approval_id))
    runs.start_approved(approval_id=str(run.approval_id))
    with pytest.raises(KilledError):
        advance.advance(run.pk, "the one that dies")
    Run.objects.filter(pk=run.pk).update(claimed_until=timezone.now())
    journal.wake_due()
    jobs.run_due()
    run.refresh_from_db()


def test_a_kill_in_the_middle_of_a_batch_asks_and_repeats_only_what_is_not_finished(
    player: Player, operator_actor: Actor, approver_actor: Actor
) -> None:
    player.wrong = {f"w-{number}": "a" for number in range(1, 4)}
    run = asked(checked(project(3)), operator_actor)
    player.dies_at = "w-3"
    killed(run, approver_actor)
    assert run.state == "waiting"
    assert states(run) == {"w-1": "changed", "w-2": "cut_off", "w-3": "cut_off"}
    PlaybookHost.objects.filter(run=run, name="w-2").update(state="changed")  # had it been at its end already
    player.dies_at = ""
    runs.answer(actor=operator_actor, run=run, position=1, answer="repeat")
    jobs.run_due()
    run.refresh_from_db()
    assert run.state == "succeeded", run.outcome
    done = [names for check, names in player.calls if not check]
    assert done == [["w-1"], ["w-2", "w-3"], ["w-3"]]
    assert states(run)["w-3"] == "changed"


def test_an_idempotent_project_goes_on_by_itself_after_a_kill(
    player: Player, operator_actor: Actor, approver_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    player.wrong = {"w-1": "a", "w-2": "b"}
    run = asked(checked(project(2, idempotent=True)), operator_actor)
    real, died = player.do, []

    def once(*args: Any, **more: Any) -> Any:
        if not died:
            died.append(1)
            raise KilledError
        return real(*args, **more)

    monkeypatch.setattr(player, "do", once)
    killed(run, approver_actor)
    assert (run.state, states(run)) == ("succeeded", {"w-1": "changed", "w-2": "changed"})


def test_a_run_is_held_between_batches_and_goes_on(
    player: Player, operator_actor: Actor, approver_actor: Actor
) -> None:
    player.wrong = {"w-1": "a", "w-2": "b"}
    run = asked(checked(project(2, ask_between=True)), operator_actor)
    approved(run, approver_actor)
    assert (run.state, states(run)) == ("waiting", {"w-1": "changed", "w-2": "waiting"})
    runs.pause(actor=operator_actor, run=run)
    runs.answer(actor=operator_actor, run=run, position=1, answer="continue")
    jobs.run_due()
    run.refresh_from_db()
    assert (run.state, states(run)["w-2"]) == ("paused", "waiting")
    runs.resume(actor=operator_actor, run=run)
    jobs.run_due()
    run.refresh_from_db()
    assert (run.state, states(run)["w-2"]) == ("succeeded", "changed")
    with pytest.raises(Conflict):
        runs.pause(actor=operator_actor, run=run)


def test_scheduled_checks_find_drift_and_its_end(player: Player) -> None:
    row = project(2, check_every_seconds=300, drift_after=2)
    player.wrong = {"w-2": "by hand"}
    for turn in range(2):
        assert playbook_actions.check_due() == 0
        Playbook.objects.update(next_check_at=timezone.now() - timedelta(seconds=1))
        assert playbook_actions.check_due() == 1
        jobs.run_due()
        assert Drift.objects.get().state == ("watched", "open")[turn]
    player.state = {"w-2": "unreachable"}
    checked(row, drift=True)
    assert Drift.objects.get().state == "open"
    player.state, player.wrong = {}, {}
    checked(row, drift=True)
    assert Drift.objects.get().state == "cleared"


def test_a_run_that_ended_is_looked_at_again(player: Player, operator_actor: Actor, approver_actor: Actor) -> None:
    player.wrong = {"w-1": "by hand"}
    row = project(1, check_every_seconds=300)
    checked(row, drift=True)
    assert Drift.objects.get().state == "open"
    approved(asked(checked(row), operator_actor), approver_actor)
    jobs.run_due()
    assert Drift.objects.get().state == "cleared"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("folder", {"folder": "/etc"}),
        ("hosts", {"hosts": ""}),
        ("nonsense", {"hosts": "nonsense=1"}),
        ("batches", {"batches": ("0%",)}),
        ("forks", {"forks": 0}),
        ("check_every_seconds", {"check_every_seconds": 10}),
        ("extra_vars", {"extra_vars": {"ansible_ssh_common_args": "x"}}),
        ("extra_vars", {"extra_vars": {"a": "${target.name}"}}),
        ("extra_vars", {"extra_vars": {"a": "${secret.channel:x}"}}),
    ],
)
def test_a_project_that_does_not_fit_is_refused(player: Player, field: str, said: dict[str, Any]) -> None:
    draft = {"folder": "/srv/projects/a", "playbook": "site.yml", "hosts": "kind=host", **said}
    with pytest.raises(Invalid) as refused:
        playbook_actions.put(actor=TESTS, name="a", draft=Draft(**draft), owner=None)
    assert refused.value.field == field


def test_a_change_of_what_somebody_else_changed_is_refused(player: Player) -> None:
    row = project(1)
    draft = Draft("/srv/projects/site", "site.yml", "kind=host")
    playbook_actions.put(actor=TESTS, name="site", draft=draft, owner=None, version=row.version)
    with pytest.raises(Conflict):
        playbook_actions.put(actor=TESTS, name="site", draft=draft, owner=None, version=row.version)


def test_a_project_of_a_team_reaches_only_what_the_team_owns(player: Player) -> None:
    team = people.create_team(actor=TESTS, name="ours")
    row = project(2, owner=team)
    inventory.create_resource(actor=TESTS, kind="host", name="foreign")
    assert [each.name for each in playbook_actions.hosts_of(row)] == ["w-1", "w-2"]
    user = make_user("member", None)
    Membership.objects.create(user=user, team=team, role=Role.OPERATOR)
    actor = actor_for_user(user)
    draft = Draft("/srv/projects/site", "site.yml", "kind=host")
    with pytest.raises(AccessDenied):
        playbook_actions.put(actor=actor, name="all", draft=draft, owner=None)
    with pytest.raises(AccessDenied):
        playbook_actions.put(actor=actor, name="site", draft=draft, owner=None)
    assert playbook_actions.ask_check(actor=actor, row=row).requested_by_name == "member"
    assert list(playbook_reads.visible(actor)) == [row]


def test_a_check_that_cannot_be_made_says_why(player: Player) -> None:
    row = project(1)
    Playbook.objects.update(hosts="kind=database")
    check = checked(row)
    assert (check.state, "200" in check.problem) == ("failed", True)
