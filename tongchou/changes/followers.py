"""What happens elsewhere that changes react to. At least once, in any order: every action here is idempotent."""

from uuid import UUID

from tongchou.changes import (
    control_followers,  # noqa: F401  # registers: only this file is found by name
    playbook_followers,  # noqa: F401  # registers: only this file is found by name
    requirement_actions,
)
from tongchou.changes.release import followers as release_followers  # noqa: F401  # registers: only this file is found by name
from tongchou.core.ledger import follow
from tongchou.core.models import Approval, Event
from tongchou.core.refs import parse


def _acceptance_decided(event: Event) -> None:
    approval = Approval.objects.filter(pk=UUID(parse(event.subject).id)).first()
    if approval is not None and approval.action == requirement_actions.ACTION:
        requirement_actions.acceptance_decided(approval=approval)


for _verb in ("approval.approved", "approval.rejected", "approval.expired", "approval.cancelled"):
    follow(_verb)(_acceptance_decided)
