"""What happens to resources that inboxes hear of: not every attribute a source reads anew."""

from collections.abc import Iterator
from uuid import UUID

from tongchou.core.inbox import Notice, tell, tell_watchers
from tongchou.core.models import Event
from tongchou.core.models_talk import Reason
from tongchou.core.refs import parse
from tongchou.inventory.models import Hold
from tongchou.inventory.models_given import Subscription


def _held(event: Event) -> str:
    """The resource of a hold."""
    found = Hold.objects.filter(pk=parse(event.subject).id).values_list("resource_id", flat=True).first()
    return f"inventory.resource:{found}" if found is not None else ""


def _maker(event: Event) -> Iterator[tuple[UUID | None, Reason]]:
    """Who made a subscription hears that it was stopped, or that something was lost to it."""
    row = Subscription.objects.filter(pk=parse(event.subject).id).first()
    yield (row.owner_id if row is not None else None), Reason.REQUESTED


tell(Notice("hold.placed", about=_held))
tell(Notice("hold.lifted", about=_held))
tell(Notice("subscription.stopped", whom=_maker))
tell(Notice("subscription.lost", whom=_maker))
tell_watchers("resource.gone", "resource.returned", "resource.merged", "resource.split", "resource.keys_moved")
tell_watchers("resource.expiring")
