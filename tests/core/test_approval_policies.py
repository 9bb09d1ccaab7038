"""Policies, several persons, owners, stand-ins: nothing is done with less consent than was asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tongchou.core import approval_policies, approvals, consent, ledger
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Approval, ApprovalState, Membership, Role, Team, User
from tongchou.core.models_consent import ApprovalNeed, ApprovalVote, Delegation
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
WHAT: dict[str, Any] = {
    "subject": "runbooks.run:1",
    "action": "runbooks.run",
    "content_hash": "a" * 64,
    "scope": {"targets": ["db-1"], "grade": "irreversible"},
}
Person = Callable[..., Actor]


@pytest.fixture
def person() -> Person:
    def make(name: str, role: Role | None = None, team: Team | None = None) -> Actor:
        user = User.objects.create_user(name)
        if role is not None:
            Membership.objects.create(user=user, team=team, role=role)
        return actor_for_user(user)

    return make


def ask(actor: Actor, **more: Any) -> Approval:
    with transaction.atomic():
        return approvals.request(
            actor=actor, reason="it is down", **{"expires_at": timezone.now() + timedelta(hours=1), **WHAT, **more}
        )


def policy(actor: Actor, *needs: dict[str, Any], name: str = "p", **more: Any) -> None:
    approval_policies.put_policy(actor=actor, name=name, action=more.pop("action", "runbooks.run"), needs=needs, **more)


PART = ("runbooks.run", {"targets": ["db-1"]})


@pytest.mark.parametrize("about", ["runbooks.run", "changes.implement"])
def test_a_policy_of_a_part_or_the_whole_does_not_stand_for_the_approver_the_other_needs(
    admin_actor: Actor, operator_actor: Actor, about: str
) -> None:
    policy(admin_actor, {"who": "owner"}, action=about, expires_seconds=600)
    team = Team.objects.create(name="ours")
    row = ask(operator_actor, action="changes.implement", scope={}, owners=[team.pk], parts=[PART])
    assert {each.kind for each in approvals.needs_of(row)} == {"team", "role"}
    limited = row.expires_at < timezone.now() + timedelta(seconds=601)
    assert limited == (about == "changes.implement")


def test_the_owner_of_what_nobody_owns_is_the_approver(admin_actor: Actor, operator_actor: Actor) -> None:
    policy(admin_actor, {"who": "owner"})
    row = ask(operator_actor, action="changes.implement", scope={}, parts=[PART])
    assert [(each.kind, each.count) for each in approvals.needs_of(row)] == [("role", 1)]


def test_an_administrator_who_is_asked_is_an_approver_too(admin_actor: Actor, operator_actor: Actor) -> None:
    policy(admin_actor, {"who": "role:admin"}, action="changes.implement")
    row = ask(operator_actor, action="changes.implement", scope={}, parts=[PART])
    assert [each.role for each in approvals.needs_of(row)] == ["admin"]


def test_two_approvers_are_two_persons(admin_actor: Actor, operator_actor: Actor, person: Person) -> None:
    policy(admin_actor, {"who": "role:approver", "count": 2}, conditions={"grade": ["irreversible"]})
    one, two = person("one", Role.APPROVER), person("two", Role.APPROVER)
    row = ask(operator_actor)
    approvals.approve(actor=one, approval=row)
    assert row.state == ApprovalState.PENDING
    assert approvals.valid(**WHAT) is None
    with pytest.raises(Conflict, match="voted"):
        approvals.approve(actor=one, approval=row)
    approvals.approve(actor=two, approval=row)
    assert row.state == ApprovalState.APPROVED
    assert approvals.valid(**WHAT) == row
    assert [each.verb for each in ledger.events(about=ref(row))] == [
        "approval.approved",
        "approval.voted",
        "approval.requested",
    ]
    assert ask(operator_actor, scope={"grade": "read"}).pk
    assert ApprovalNeed.objects.filter(approval__scope__grade="read").get().count == 1


def test_a_policy_changed_later_does_not_loosen_what_waits(
    admin_actor: Actor, operator_actor: Actor, approver_actor: Actor
) -> None:
    policy(admin_actor, {"who": "role:approver", "count": 2})
    row = ask(operator_actor)
    policy(admin_actor, {"who": "role:approver", "count": 1})
    approvals.approve(actor=approver_actor, approval=row)
    assert row.state == ApprovalState.PENDING


def test_the_owner_is_asked_and_another_team_is_not_enough(
    admin_actor: Actor, operator_actor: Actor, approver_actor: Actor, person: Person
) -> None:
    dba, web = Team.objects.create(name="dba"), Team.objects.create(name="web")
    policy(admin_actor, {"who": "owner"})
    row = ask(operator_actor, owners=[dba.pk])
    for other in (
        approver_actor,
        person("web-approver", Role.APPROVER, web),
        person("dba-operator", Role.OPERATOR, dba),
    ):
        with pytest.raises(AccessDenied):
            approvals.approve(actor=other, approval=row)
    owner = person("dba-approver", Role.APPROVER, dba)
    assert list(approvals.visible(owner)) == [row]
    approvals.approve(actor=owner, approval=row)
    assert row.state == ApprovalState.APPROVED
    unowned = ask(operator_actor, subject="runbooks.run:2")
    approvals.approve(actor=approver_actor, approval=unowned)
    assert unowned.state == ApprovalState.APPROVED


def test_a_team_that_is_gone_leaves_a_need_nobody_fills(
    admin_actor: Actor, operator_actor: Actor, person: Person
) -> None:
    team = Team.objects.create(name="security")
    policy(admin_actor, {"who": f"team:{team.pk}"})
    member = person("sec", Role.APPROVER, team)
    waiting = ask(operator_actor)
    team.delete()
    for row in (waiting, ask(operator_actor, subject="runbooks.run:2")):
        with pytest.raises(AccessDenied):
            approvals.approve(actor=member, approval=row)
        with pytest.raises(AccessDenied, match="not_asked"):
            approvals.approve(actor=person(f"a{row.subject[-1]}", Role.APPROVER), approval=row)


def test_the_shortest_time_of_the_policies_counts(admin_actor: Actor, operator_actor: Actor) -> None:
    policy(admin_actor, {"who": "owner"}, expires_seconds=600)
    policy(admin_actor, {"who": "owner"}, name="q", action="*", expires_seconds=300)
    row = ask(operator_actor)
    assert row.expires_at <= timezone.now() + timedelta(seconds=300)


def stand_in(principal: Actor, to: Actor, **more: Any) -> Delegation:
    return approval_policies.delegate(
        actor=principal,
        principal=User.objects.get(pk=principal.user_id),
        to=User.objects.get(pk=to.user_id),
        **{"until": timezone.now() + timedelta(days=1), **more},
    )


def test_a_stand_in_decides_as_the_other_could_and_no_longer(
    admin_actor: Actor, operator_actor: Actor, approver_actor: Actor, person: Person
) -> None:
    helper = person("helper", Role.VIEWER)
    held = stand_in(approver_actor, helper)
    principal = User.objects.get(pk=approver_actor.user_id)
    row = ask(operator_actor)
    with pytest.raises(AccessDenied):
        approvals.approve(actor=helper, approval=row)  # not for themselves
    approvals.approve(actor=helper, approval=row, principal=principal)
    assert row.state == ApprovalState.APPROVED
    vote = ApprovalVote.objects.get()
    assert (vote.voter_name, vote.principal_name) == ("helper", principal.username)
    approval_policies.end_delegation(actor=helper, row=held)
    with pytest.raises(AccessDenied, match="delegation"):
        approvals.approve(actor=helper, approval=ask(operator_actor, subject="runbooks.run:2"), principal=principal)


def test_a_stand_in_is_not_passed_on_and_not_a_way_to_approve_ones_own(
    admin_actor: Actor, operator_actor: Actor, approver_actor: Actor, person: Person
) -> None:
    middle = person("middle", Role.VIEWER)
    stand_in(approver_actor, middle)
    stand_in(middle, operator_actor)
    stand_in(approver_actor, operator_actor)
    row = ask(operator_actor)
    for principal in ("middle", "approver"):
        found = User.objects.filter(username=principal).first() or User.objects.get(pk=approver_actor.user_id)
        with pytest.raises(AccessDenied):
            approvals.approve(actor=operator_actor, approval=row, principal=found)
    asked_by_principal = ask(approver_actor, subject="runbooks.run:2")
    with pytest.raises(AccessDenied):
        approvals.approve(
            actor=middle, approval=asked_by_principal, principal=User.objects.get(pk=approver_actor.user_id)
        )


@pytest.mark.parametrize("days", [(-2, -1), (1, 2)])
def test_a_stand_in_counts_only_in_its_time(
    operator_actor: Actor, approver_actor: Actor, person: Person, days: tuple[int, int]
) -> None:
    helper = person("helper", Role.VIEWER)
    since, until = (timezone.now() + timedelta(days=day) for day in days)
    Delegation.objects.create(principal_id=approver_actor.user_id, delegate_id=helper.user_id, since=since, until=until)
    with pytest.raises(AccessDenied):
        approvals.approve(
            actor=helper, approval=ask(operator_actor), principal=User.objects.get(pk=approver_actor.user_id)
        )


def test_a_stand_in_for_another_is_named_by_themselves_or_an_admin(
    admin_actor: Actor, operator_actor: Actor, approver_actor: Actor
) -> None:
    approver = User.objects.get(pk=approver_actor.user_id)
    with pytest.raises(AccessDenied):
        approval_policies.delegate(
            actor=operator_actor,
            principal=approver,
            to=User.objects.get(pk=operator_actor.user_id),
            until=timezone.now() + timedelta(days=1),
        )
    approval_policies.delegate(
        actor=admin_actor,
        principal=approver,
        to=User.objects.get(pk=operator_actor.user_id),
        until=timezone.now() + timedelta(days=1),
    )
    with pytest.raises(Invalid, match=r"delegation\.until"):
        stand_in(approver_actor, operator_actor, until=timezone.now() - timedelta(days=1))
    with pytest.raises(Invalid, match=r"delegation\.to"):
        stand_in(approver_actor, approver_actor)


def test_those_who_are_asked_are_told_and_nobody_else(
    admin_actor: Actor, operator_actor: Actor, approver_actor: Actor, person: Person
) -> None:
    team = Team.objects.create(name="dba")
    owner, helper = person("dba-approver", Role.APPROVER, team), person("helper", Role.VIEWER)
    stand_in(owner, helper)
    policy(admin_actor, {"who": "owner"})
    assert approvals.people_asked(ask(operator_actor, owners=[team.pk])) == {owner.user_id, helper.user_id}
    unowned = approvals.people_asked(ask(approver_actor, subject="runbooks.run:2"))
    assert unowned == {admin_actor.user_id}  # an administrator may decide, the one who asked may not


def test_a_yes_can_be_taken_back_while_the_request_waits(
    admin_actor: Actor, operator_actor: Actor, approver_actor: Actor, person: Person
) -> None:
    policy(admin_actor, {"who": "role:approver", "count": 2})
    row = ask(operator_actor)
    approvals.approve(actor=approver_actor, approval=row)
    approvals.withdraw(actor=approver_actor, approval=row)
    approvals.approve(actor=person("two", Role.APPROVER), approval=row)
    assert row.state == ApprovalState.PENDING
    approvals.approve(actor=approver_actor, approval=row)
    assert row.state == ApprovalState.APPROVED
    with pytest.raises(Conflict):
        approvals.withdraw(actor=approver_actor, approval=row)


def test_a_request_of_the_release_before_needs_one_approver(operator_actor: Actor, approver_actor: Actor) -> None:
    row = ask(operator_actor)
    ApprovalNeed.objects.all().delete()
    approvals.approve(actor=approver_actor, approval=row)
    assert row.state == ApprovalState.APPROVED


def test_only_who_manages_approvals_changes_policies(operator_actor: Actor, approver_actor: Actor) -> None:
    for actor in (operator_actor, approver_actor):
        with pytest.raises(AccessDenied):
            policy(actor, {"who": "owner"})


@pytest.mark.django_db(transaction=True)
def test_of_two_last_votes_at_once_the_request_is_approved_once(
    admin_actor: Actor, operator_actor: Actor, person: Person
) -> None:
    policy(admin_actor, {"who": "role:approver", "count": 2})
    people = [person(f"p{n}", Role.APPROVER) for n in range(4)]
    row = ask(operator_actor)
    refused: list[Exception] = []

    def vote(actor: Actor) -> None:
        try:
            approvals.approve(actor=actor, approval=Approval.objects.get(pk=row.pk))
        except Conflict as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=vote, args=(actor,)) for actor in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row.refresh_from_db()
    assert row.state == ApprovalState.APPROVED
    assert ApprovalVote.objects.count() + len(refused) == 4
    assert ApprovalVote.objects.count() == 2
    assert len([each for each in ledger.events(about=ref(row)) if each.verb == "approval.approved"]) == 1


class Consent(RuleBasedStateMachine):
    """Whatever people do, in any order: approved means that enough different people who were asked said yes."""

    def __init__(self) -> None:
        super().__init__()
        self.people = []
        for n in range(4):
            user, _made = User.objects.get_or_create(username=f"s{n}")
            role = (Role.OPERATOR, Role.APPROVER, Role.APPROVER, Role.ADMIN)[n]
            Membership.objects.get_or_create(user=user, team=None, defaults={"role": role})
            self.people.append(user)
        Approval.objects.all().delete()
        Delegation.objects.all().delete()
        approval_policies.put_policy(
            actor=system("test"), name="two", action="runbooks.run", needs=[{"who": "role:approver", "count": 2}]
        )
        self.row = ask(actor_for_user(self.people[1]))  # asked by one who may decide in general

    def actor(self, n: int) -> Actor:
        return actor_for_user(User.objects.get(pk=self.people[n].pk))

    @rule(voter=st.integers(0, 3), principal=st.integers(0, 3))
    def approve(self, voter: int, principal: int) -> None:
        try:
            approvals.approve(actor=self.actor(voter), approval=self.row, principal=self.people[principal])
        except (AccessDenied, Conflict):
            return

    @precondition(lambda self: self.row.state == ApprovalState.PENDING)
    @rule(voter=st.integers(0, 3))
    def withdraw(self, voter: int) -> None:
        try:
            approvals.withdraw(actor=self.actor(voter), approval=self.row)
        except Conflict:
            return

    @rule(principal=st.integers(0, 3), to=st.integers(0, 3))
    def delegate(self, principal: int, to: int) -> None:
        try:
            stand_in(self.actor(principal), self.actor(to))
        except Invalid:
            return

    @invariant()
    def approved_means_enough_people(self) -> None:
        self.row.refresh_from_db()
        votes = list(ApprovalVote.objects.filter(approval=self.row, withdrawn_at__isnull=True))
        asker = self.people[1].pk
        assert all(asker not in (each.voter_id, each.principal_id) for each in votes)
        enough = {each.principal_id for each in votes if each.principal_id in {self.people[n].pk for n in (2, 3)}}
        if self.row.state == ApprovalState.APPROVED:
            assert len(enough) >= 2
            assert len({each.voter_id for each in votes}) >= 2


class TestConsent(TestCase):
    """The machine, each run on rows of its own."""

    def test_consent(self) -> None:
        machine = Consent.TestCase
        machine.settings = settings(
            max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        )
        machine().runTest()


def test_a_policy_about_nothing_is_refused_and_every_action_has_a_name(admin_actor: Actor) -> None:
    with pytest.raises(Invalid) as refused:
        approval_policies.put_policy(actor=admin_actor, name="none", action="run", needs=[{"who": "role:admin"}])
    assert (refused.value.code, refused.value.field) == ("policy.action", "action")
    assert "runbooks.run" in str(refused.value.remedy)
    asked = {"runbooks.run", "changes.implement", "changes.release", "changes.plan.apply"}
    assert asked <= set(consent.ACTIONS), "an action that consent is asked for cannot be named by a policy"
    assert all(str(each) for each in consent.ACTIONS.values())
