"""What happens to workspaces and plans that inboxes hear of."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from tongchou.changes.models_iac import Plan, Workspace
from tongchou.core.inbox import Notice, tell, tell_watchers
from tongchou.core.models import Event, Membership, Role
from tongchou.core.models_talk import Reason
from tongchou.core.refs import parse


def _asked(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    row = Plan.objects.filter(pk=parse(event.subject).id).only("requested_by_id", "applied_by_id").first()
    yield (row.requested_by_id if row is not None else None), Reason.REQUESTED
    yield (row.applied_by_id if row is not None else None), Reason.REQUESTED


def _ended(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    for user_id, _reason in _asked(event):
        yield user_id, Reason.FINISHED


def _responsible(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    """Who set the workspace up, and those of the team that owns it who may act."""
    row = Workspace.objects.filter(pk=parse(event.subject).id).select_related("owner").first()
    if row is None:
        return
    yield row.updated_by_id, Reason.ASSIGNED
    if row.owner is None:
        return
    acting = [Role.OPERATOR, Role.APPROVER, Role.ADMIN]
    members = Membership.objects.filter(team__isnull=False, team=row.owner, role__in=acting)
    for user_id in members.values_list("user_id", flat=True):
        yield user_id, Reason.ASSIGNED


tell_watchers("workspace.changed")
tell(Notice("workspace.drifted", whom=_responsible))
tell(Notice("plan.requested", whom=_asked))
tell(Notice("plan.ready", whom=_asked))
for _verb in ("plan.failed", "plan.applied", "plan.apply_failed", "plan.interrupted"):
    tell(Notice(_verb, whom=_ended))
