"""Approvals: a person's consent to exactly one content, one scope, until a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check, check_own, system
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref


def request(
    *,
    actor: Actor,
    subject: str,
    action: str,
    content_hash: str,
    scope: Mapping[str, Any],
    reason: str,
    expires_at: datetime,
    about: Iterable[str] = (),
) -> Approval:
    """Ask for approval of `action` on `subject`, bound to `content_hash` and `scope`. Event approval.requested.

    The caller has checked that the actor may ask. Must run inside the caller's transaction.
    """
    if expires_at <= timezone.now():
        raise Invalid(
            "approval.expiry",
            _("The approval would expire in the past."),
            field="expires_at",
            value=expires_at.isoformat(),
            remedy=_("Choose a time in the future."),
        )
    row = Approval.objects.create(
        subject=subject,
        action=action,
        content_hash=content_hash,
        scope=dict(scope),
        reason=reason,
        about=list(about),
        requested_by_id=actor.user_id,
        requested_by_name=actor.name,
        expires_at=expires_at,
    )
    _tell(row, "approval.requested", actor)
    return row


def _tell(row: Approval, verb: str, actor: Actor) -> None:
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[row.subject, *row.about],
        payload={
            "action": row.action,
            "content_hash": row.content_hash,
            "scope": row.scope,
            "reason": row.reason,
            "requested_by": row.requested_by_name,
            "comment": row.comment,
        },
        dedupe_key=f"{verb}:{row.pk}",
    )


def _decide(row: Approval, state: ApprovalState, actor: Actor, comment: str) -> Approval:
    """Move pending -> `state` by guarded UPDATE: of two deciders exactly one wins."""
    with transaction.atomic():
        now = timezone.now()
        pending = Approval.objects.filter(pk=row.pk, state=ApprovalState.PENDING)
        if state is ApprovalState.APPROVED:
            pending = pending.filter(expires_at__gt=now)
        won = pending.update(
            state=state, decided_by=actor.user_id, decided_by_name=actor.name, decided_at=now, comment=comment[:2000]
        )
        row.refresh_from_db()
        if not won:
            raise Conflict(
                "approval.decided",
                _("This request is no longer pending: it is %(state)s.") % {"state": row.get_state_display()}
                if row.state != ApprovalState.PENDING
                else _("This request has expired."),
                remedy=_("Ask again if it is still wanted."),
            )
        _tell(row, f"approval.{state.value}", actor)
    return row


def approve(*, actor: Actor, approval: Approval, comment: str = "") -> Approval:
    """Approve a pending request. Refused for the one who asked, whatever their role or token."""
    check(actor, "approvals.decide")
    if actor.user_id is None or actor.user_id == approval.requested_by_id:
        raise AccessDenied(
            "approval.own_request",
            _("Nobody approves their own request."),
            remedy=_("Ask another person with the role approver."),
        )
    return _decide(approval, ApprovalState.APPROVED, actor, comment)


def reject(*, actor: Actor, approval: Approval, comment: str = "") -> Approval:
    """Reject a pending request."""
    check(actor, "approvals.decide")
    return _decide(approval, ApprovalState.REJECTED, actor, comment)


def cancel(*, actor: Actor, approval: Approval, comment: str = "") -> Approval:
    """Take a pending request back: by the one who asked, or by somebody who may decide."""
    if actor.user_id is None or actor.user_id != approval.requested_by_id:
        check(actor, "approvals.decide")
    else:
        check_own(actor, "approvals.decide")
    return _decide(approval, ApprovalState.CANCELLED, actor, comment)


def valid(*, subject: str, action: str, content_hash: str, scope: Mapping[str, Any]) -> Approval | None:
    """Return the approval that covers exactly this content and scope now, or None."""
    now = timezone.now()
    found = Approval.objects.filter(
        subject=subject, action=action, content_hash=content_hash, state=ApprovalState.APPROVED, expires_at__gt=now
    )
    return next((each for each in found.order_by("-decided_at") if each.scope == dict(scope)), None)


def pending() -> QuerySet[Approval]:
    """Return the requests that wait for a decision and have not expired, oldest first."""
    return Approval.objects.filter(state=ApprovalState.PENDING, expires_at__gt=timezone.now()).order_by("requested_at")


def expire_due() -> int:
    """Mark pending requests whose time is over as expired; return how many."""
    count = 0
    for row in Approval.objects.filter(state=ApprovalState.PENDING, expires_at__lte=timezone.now()):
        try:
            _decide(row, ApprovalState.EXPIRED, system("approvals"), "")
        except Conflict:
            continue  # decided in this moment
        count += 1
    return count
