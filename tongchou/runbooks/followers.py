"""What a decision about an approval means for the run it is about."""

from __future__ import annotations

from tongchou.core.ledger import follow
from tongchou.core.models import Event
from tongchou.core.refs import parse
from tongchou.runbooks import actions


@follow("approval.approved")
def start(event: Event) -> None:
    """Queue the run the approval is for. Delivered twice it changes nothing the second time."""
    actions.start_approved(approval_id=parse(event.subject).id)


@follow("approval.rejected")
@follow("approval.expired")
@follow("approval.cancelled")
def end(event: Event) -> None:
    """Cancel the run that will not be approved any more."""
    actions.end_unapproved(
        approval_id=parse(event.subject).id,
        expired=event.verb == "approval.expired",
        by=event.actor_name,
        comment=str(event.payload.get("comment", "")),
    )
