from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tongchou.core import approvals, ledger
from tongchou.core.access import Actor
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
WHAT: dict[str, Any] = {
    "subject": "runbooks.run:1",
    "action": "runbooks.run",
    "content_hash": "a" * 64,
    "scope": {"targets": ["db-1"]},
}


def ask(actor: Actor, **more: Any) -> Approval:
    with transaction.atomic():
        return approvals.request(
            actor=actor, reason="it is down", **{"expires_at": timezone.now() + timedelta(minutes=10), **WHAT, **more}
        )


def test_an_approval_covers_exactly_its_content_and_scope(operator_actor: Actor, approver_actor: Actor) -> None:
    row = ask(operator_actor)
    assert approvals.valid(**WHAT) is None
    approvals.approve(actor=approver_actor, approval=row)
    assert approvals.valid(**WHAT) == row
    assert approvals.valid(**{**WHAT, "content_hash": "b" * 64}) is None
    assert approvals.valid(**{**WHAT, "scope": {"targets": ["db-1", "db-2"]}}) is None
    assert approvals.valid(**{**WHAT, "subject": "runbooks.run:2"}) is None
    assert approvals.valid(**{**WHAT, "action": "other"}) is None


def test_nobody_approves_their_own_request_whatever_their_role(approver_actor: Actor, admin_actor: Actor) -> None:
    for actor in (approver_actor, admin_actor):
        row = ask(actor)
        with pytest.raises(AccessDenied, match="own_request"):
            approvals.approve(actor=actor, approval=row)
        row.refresh_from_db()
        assert row.state == ApprovalState.PENDING


def test_an_operator_may_not_decide(operator_actor: Actor, admin_actor: Actor) -> None:
    row = ask(admin_actor)
    with pytest.raises(AccessDenied):
        approvals.approve(actor=operator_actor, approval=row)
    with pytest.raises(AccessDenied):
        approvals.reject(actor=operator_actor, approval=row)


def test_a_decision_is_made_once(operator_actor: Actor, approver_actor: Actor) -> None:
    row = ask(operator_actor)
    approvals.reject(actor=approver_actor, approval=row, comment="not now")
    with pytest.raises(Conflict):
        approvals.approve(actor=approver_actor, approval=row)
    assert approvals.valid(**WHAT) is None
    assert [each.verb for each in ledger.events(about=ref(row))] == ["approval.rejected", "approval.requested"]


def test_an_expired_request_cannot_be_approved_and_an_expired_approval_does_not_count(
    operator_actor: Actor, approver_actor: Actor
) -> None:
    late = ask(operator_actor)
    Approval.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Conflict):
        approvals.approve(actor=approver_actor, approval=late)
    assert approvals.expire_due() == 1
    late.refresh_from_db()
    assert late.state == ApprovalState.EXPIRED
    in_time = ask(operator_actor)
    approvals.approve(actor=approver_actor, approval=in_time)
    Approval.objects.filter(pk=in_time.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert approvals.valid(**WHAT) is None


def test_a_request_that_expires_in_the_past_is_refused(operator_actor: Actor) -> None:
    with pytest.raises(Invalid):
        ask(operator_actor, expires_at=timezone.now() - timedelta(seconds=1))


def test_the_one_who_asked_may_take_it_back(operator_actor: Actor) -> None:
    row = approvals.cancel(actor=operator_actor, approval=ask(operator_actor))
    assert row.state == ApprovalState.CANCELLED


@pytest.mark.django_db(transaction=True)
def test_of_two_deciders_at_once_one_wins(operator_actor: Actor, approver_actor: Actor, admin_actor: Actor) -> None:
    row = ask(operator_actor)
    results: list[str] = []
    start = threading.Barrier(2)

    def decide(actor: Actor, how: Any) -> None:
        start.wait()
        try:
            how(actor=actor, approval=Approval.objects.get(pk=row.pk))
            results.append("won")
        except Conflict:
            results.append("lost")
        connection.close()

    threads = [
        threading.Thread(target=decide, args=(approver_actor, approvals.approve)),
        threading.Thread(target=decide, args=(admin_actor, approvals.reject)),
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == ["lost", "won"]


def test_a_token_that_only_reads_does_not_take_its_persons_request_back(operator_actor: Actor) -> None:
    row = ask(operator_actor)
    for scope in ("read", "ingest"):
        with pytest.raises(AccessDenied):
            approvals.cancel(actor=replace(operator_actor, kind="token", scopes=(scope,)), approval=row)
    row.refresh_from_db()
    assert row.state == ApprovalState.PENDING
    approvals.cancel(actor=replace(operator_actor, kind="token", scopes=("write",)), approval=row)
    row.refresh_from_db()
    assert row.state == ApprovalState.CANCELLED
