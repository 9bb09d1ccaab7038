"""Deciding that an improvement will not be done: one person says why, another one agrees (core.approvals)."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import approvals
from tongchou.core.access import Actor
from tongchou.core.consent import declare
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import Invalid
from tongchou.core.refs import ref
from tongchou.incidents.actions import check_respond
from tongchou.incidents.improvements_actions import CONSENT_FOR, MAX_COMMENT, locked, move, tell, withdraw, wrong_state
from tongchou.incidents.improvements_draft import consent_hash
from tongchou.incidents.models import ENDED, Improvement, ImprovementState

ACTION = declare("incidents.drop_improvement", _("Drop an improvement"))


def drop(*, actor: Actor, improvement: Improvement, reason: str) -> Improvement:
    """Ask another person to agree that it will not be done. Event improvement.drop_asked.

    Whatever was asked before is withdrawn; until the decision, work and proof go on. Invalid without a reason,
    Conflict for one that is over.
    """
    check_respond(actor, improvement.postmortem.incident)
    reason = reason.strip()
    if not reason or len(reason) > MAX_COMMENT:
        raise Invalid(
            "improvement.drop_reason",
            _("Say why it will not be done, in 1 to %(most)s characters.") % {"most": MAX_COMMENT},
            field="reason",
            remedy=_("Another person reads it, and so does who meets the next incident of this sort."),
        )
    now = timezone.now()
    with transaction.atomic():
        row = locked(improvement)
        if row.state in ENDED:
            raise wrong_state(row, _("It is over already."), _("Reopen it to decide anew."))
        withdraw(row)
        approval = approvals.request(
            actor=actor,
            subject=ref(row),
            action=ACTION,
            content_hash=_consent(row, reason),
            scope={
                "improvement": row.name,
                "title": row.title,
                "incident": row.postmortem.incident.name,
                "state": ImprovementState.DROPPED.value,
            },
            reason=reason,
            expires_at=now + CONSENT_FOR,
            about=[ref(row.postmortem), ref(row.postmortem.incident)],
        )
        if row.state == ImprovementState.PROVING and not row.has_check:  # its consent was just withdrawn
            move(row, ImprovementState.IN_PROGRESS, proving_since=None, approval=approval, drop_reason=reason)
        else:
            move(row, ImprovementState(row.state), approval=approval, drop_reason=reason)
        tell(actor, row, "improvement.drop_asked", {"reason": reason[:500]}, about=[ref(approval)])
    improvement.refresh_from_db()
    return improvement


def _consent(row: Improvement, reason: str) -> str:
    return consent_hash(number=row.number, title=row.title, details=row.details, reason=reason)


def decided(*, approval: Approval) -> Improvement | None:
    """Follow the decision: approved drops it, anything else lets it go on. Idempotent.

    Only an improvement that waits for exactly this approval, and still is what was agreed to, is dropped. Events
    improvement.dropped or improvement.drop_refused.
    """
    actor = Actor(kind="system", name=approval.decided_by_name or "approvals", user_id=approval.decided_by_id)
    with transaction.atomic():
        rows = Improvement.objects.select_for_update(of=("self",)).select_related("postmortem__incident")
        row = rows.filter(approval=approval).exclude(state__in=ENDED).first()
        if row is None or approval.action != ACTION or approval.state == ApprovalState.PENDING:
            return None
        if approval.state == ApprovalState.APPROVED and approval.content_hash == _consent(row, row.drop_reason):
            move(row, ImprovementState.DROPPED, proving_since=None, green_left=None)
            tell(actor, row, "improvement.dropped", {"reason": row.drop_reason[:500]}, about=[ref(approval)])
        else:
            move(row, ImprovementState(row.state), approval=None, drop_reason="")
            tell(actor, row, "improvement.drop_refused", {"comment": approval.comment[:500]}, about=[ref(approval)])
    row.refresh_from_db()
    return row
