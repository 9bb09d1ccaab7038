"""What happens to requirements and decision records that inboxes hear of."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from tongchou.changes.models_requirements import Requirement
from tongchou.core.inbox import Notice, tell, tell_watchers
from tongchou.core.models import Event, Membership
from tongchou.core.models_talk import Reason
from tongchou.core.refs import parse


def _asked(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    yield UUID(event.payload["user_id"]), Reason.ASSIGNED


def _owners(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    row = Requirement.objects.filter(pk=parse(event.subject).id).only("owner_id", "owner_team_id").first()
    if row is None:
        return
    yield row.owner_id, Reason.ASSIGNED
    if row.owner_team_id is not None:
        for user_id in Membership.objects.filter(team_id=row.owner_team_id).values_list("user_id", flat=True):
            yield user_id, Reason.ASSIGNED


tell(Notice("requirement.participant_asked", whom=_asked))
for _verb in ("requirement.accepted", "requirement.rejected", "requirement.returned"):
    tell(Notice(_verb, whom=_owners))
tell_watchers(
    "requirement.submitted",
    "requirement.changed",
    "requirement.participant_said",
    "requirement.withdrawn",
    "requirement.done",
    "option.chosen",
    "decision.accepted",
    "decision.superseded",
    "decision.deprecated",
)
