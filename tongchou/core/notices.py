"""What core's own events tell inboxes: comments and approvals."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from tongchou.core import approvals
from tongchou.core.inbox import Notice, tell
from tongchou.core.models import Approval, Event
from tongchou.core.models_talk import Reason
from tongchou.core.refs import parse


def _spoken_to(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    for each in event.payload.get("mentions") or ():
        yield UUID(each), Reason.MENTIONED


def _commented(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    yield from _spoken_to(event)
    if event.payload.get("reply_to"):
        yield UUID(event.payload["reply_to"]), Reason.REPLIED
    yield event.actor_id, Reason.COMMENTED


def _approval(event: Event) -> Approval | None:
    return Approval.objects.filter(pk=parse(event.subject).id).first()


def _about(event: Event) -> str:
    row = _approval(event)
    return row.subject if row is not None else ""


def _asked(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    """Those the request asks, by its policies, and who stands in for them; never the one who asked."""
    row = _approval(event)
    for user_id in sorted(approvals.people_asked(row)) if row is not None else ():
        yield user_id, Reason.APPROVAL
    yield (row.requested_by_id if row is not None else None), Reason.REQUESTED


def _requester(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    row = _approval(event)
    yield (row.requested_by_id if row is not None else None), Reason.REQUESTED


tell(Notice("comment.added", whom=_commented))
tell(Notice("comment.edited", whom=_spoken_to, watchers=False))
tell(Notice("approval.requested", whom=_asked, about=_about))
for _verb in ("approval.approved", "approval.rejected", "approval.expired", "approval.cancelled"):
    tell(Notice(_verb, whom=_requester, about=_about, settles=Reason.APPROVAL))
