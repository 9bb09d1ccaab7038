"""What happens to incidents, postmortems and improvements that inboxes hear of."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from tongchou.core.inbox import Notice, tell, tell_watchers
from tongchou.core.models import Event, Membership
from tongchou.core.models_talk import Reason
from tongchou.core.refs import parse
from tongchou.incidents.models import Improvement, Incident


def _commander(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    row = Incident.objects.filter(pk=parse(event.subject).id).only("commander_id").first()
    yield (row.commander_id if row is not None else None), Reason.ASSIGNED


def _acknowledger(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    yield event.actor_id, Reason.ASSIGNED


def _owners(event: Event, reason: Reason) -> Iterator[tuple[UUID | None, Reason]]:
    row = Improvement.objects.filter(pk=parse(event.subject).id).only("owner_id", "owner_team_id").first()
    if row is None:
        return
    yield row.owner_id, reason
    if row.owner_team_id is not None:
        for user_id in Membership.objects.filter(team_id=row.owner_team_id).values_list("user_id", flat=True):
            yield user_id, reason


def _assigned(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    return _owners(event, Reason.ASSIGNED)


def _due(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    return _owners(event, Reason.DUE)


tell(Notice("incident.commander_changed", whom=_commander))
tell(Notice("incident.acknowledged", whom=_acknowledger))
tell(Notice("improvement.added", whom=_assigned))
tell(Notice("improvement.reopened", whom=_assigned))
tell(Notice("improvement.overdue", whom=_due))
tell_watchers(
    "incident.opened",
    "incident.severity_raised",
    "incident.mitigated",
    "incident.recovered",
    "incident.resolved",
    "incident.reopened",
    "postmortem.started",
    "postmortem.submitted",
    "postmortem.returned",
    "postmortem.published",
    "improvement.changed",
    "improvement.proving",
    "improvement.done",
    "improvement.dropped",
)
