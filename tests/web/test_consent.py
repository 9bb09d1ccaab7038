"""The pages of approval policies and stand-ins, and the inbox of who is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from tests.conftest import make_user
from tongchou.core import approvals
from tongchou.core.access import Actor
from tongchou.core.models import Approval, Membership, Role, Team, User
from tongchou.core.models_consent import ApprovalPolicy, ApprovalVote, Delegation

pytestmark = pytest.mark.django_db
Browser = Callable[..., Client]
POLICY = {"name": "two", "action": "runbooks.run", "conditions": "grade: irreversible", "who": ["role:approver", ""], "count": ["2", "1"], "minutes": "30", "enabled": "on"}  # fmt: skip


def ask(actor: Actor, **more: object) -> Approval:
    with transaction.atomic():
        return approvals.request(
            actor=actor, subject="runbooks.run:1", action="runbooks.run", content_hash="a" * 64,
            scope={"grade": "irreversible"}, reason="down", expires_at=timezone.now() + timedelta(hours=1), **more,  # type: ignore[arg-type]  # owners
        )  # fmt: skip


def test_a_policy_is_written_shown_and_removed(browser: Browser, admin_user: User) -> None:
    client = browser(admin_user)
    assert client.post("/approvals/policies", POLICY).status_code == 302
    row = ApprovalPolicy.objects.get()
    assert (row.needs, row.conditions, row.expires_seconds) == (
        [{"who": "role:approver", "count": 2}],
        {"grade": ["irreversible"]},
        1800,
    )
    assert "2 x approver" in client.get("/approvals/policies?name=two").content.decode()
    refused = client.post("/approvals/policies", {**POLICY, "count": ["many", "1"]})
    assert refused.status_code == 422
    assert "needs[0].count" in refused.content.decode()
    client.post(f"/approvals/policies/{row.pk}/remove")
    assert not ApprovalPolicy.objects.exists()


def test_two_approvers_see_who_is_missing(browser: Browser, admin_user: User, operator_actor: Actor) -> None:
    browser(admin_user).post("/approvals/policies", POLICY)
    row = ask(operator_actor)
    people = [User.objects.create_user(f"a{n}") for n in range(2)]
    for user in people:
        Membership.objects.create(user=user, role=Role.APPROVER)
    first, second = (browser(user) for user in people)
    assert "2 missing" in first.get(f"/approvals?id={row.pk}").content.decode()
    first.post(f"/approvals/{row.pk}", {"do": "approve", "comment": "fine"})
    text = first.get(f"/approvals?id={row.pk}").content.decode()
    assert "You have said yes" in text
    assert "1 missing" in text
    first.post(f"/approvals/{row.pk}", {"do": "withdraw"})
    assert "2 missing" in second.get(f"/approvals?id={row.pk}").content.decode()
    for client in (first, second):
        client.post(f"/approvals/{row.pk}", {"do": "approve"})
    row.refresh_from_db()
    assert row.state == "approved"


def test_a_team_s_approver_sees_what_asks_the_team_and_nothing_else(
    browser: Browser, admin_user: User, operator_actor: Actor
) -> None:
    team = Team.objects.create(name="dba")
    member = User.objects.create_user("dba")
    Membership.objects.create(user=member, team=team, role=Role.APPROVER)
    ApprovalPolicy.objects.create(name="owner", action="runbooks.run", needs=[{"who": "owner", "count": 1}])
    asked, other = ask(operator_actor, owners=[team.pk]), ask(operator_actor)
    client = browser(member)
    text = client.get("/approvals").content.decode()
    assert str(asked.pk) in text
    assert str(other.pk) not in text
    assert client.post(f"/approvals/{other.pk}", {"do": "approve"}).status_code == 404
    client.post(f"/approvals/{asked.pk}", {"do": "approve"})
    asked.refresh_from_db()
    assert asked.state == "approved"


def test_a_stand_in_is_named_decides_and_is_ended(browser: Browser, operator_actor: Actor) -> None:
    approver = make_user("approver", Role.APPROVER)
    helper = User.objects.create_user("helper")
    Membership.objects.create(user=helper, role=Role.VIEWER)
    mine = browser(approver)
    until = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    since = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert mine.post("/approvals/stand-ins", {"to": "helper", "since": since, "until": until}).status_code == 302
    row = ask(operator_actor)
    client = browser(helper)
    assert "Decide for" in client.get(f"/approvals?id={row.pk}").content.decode()
    client.post(f"/approvals/{row.pk}", {"do": "approve", "for": approver.username})
    assert ApprovalVote.objects.get().principal == approver
    held = Delegation.objects.get()
    stranger = browser(User.objects.create_user("stranger"))
    assert stranger.post(f"/approvals/stand-ins/{held.pk}/end").status_code == 404
    client.post(f"/approvals/stand-ins/{held.pk}/end")
    assert Delegation.objects.get().ended_at is not None
    assert mine.post("/approvals/stand-ins", {"to": "nobody", "since": since, "until": until}).status_code == 422
