"""What happens to runs and procedures that inboxes hear of."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from tongchou.core.inbox import Notice, tell, tell_watchers
from tongchou.core.models import Event
from tongchou.core.models_talk import Reason
from tongchou.core.refs import parse
from tongchou.runbooks.models import Run


def _requester(event: Event, reason: Reason) -> Iterator[tuple[UUID | None, Reason]]:
    row = Run.objects.filter(pk=parse(event.subject).id).only("requested_by_id").first()
    yield (row.requested_by_id if row is not None else None), reason


def _asked(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    return _requester(event, Reason.REQUESTED)


def _waits(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    return _requester(event, Reason.WAITING)


def _ended(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    return _requester(event, Reason.FINISHED)


tell(Notice("run.requested", whom=_asked))
tell(Notice("run.waiting", whom=_waits))
tell(Notice("run.answered", watchers=False, settles=Reason.WAITING))
for _verb in ("run.succeeded", "run.failed", "run.cancelled"):
    tell(Notice(_verb, whom=_ended, settles=Reason.WAITING))
tell_watchers("run.paused", "procedure.changed", "procedure.retired")
