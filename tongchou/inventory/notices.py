"""What happens to resources that inboxes hear of: not every attribute a source reads anew."""

from tongchou.core.inbox import Notice, tell, tell_watchers
from tongchou.core.models import Event
from tongchou.core.refs import parse
from tongchou.inventory.models import Hold


def _held(event: Event) -> str:
    """The resource of a hold."""
    found = Hold.objects.filter(pk=parse(event.subject).id).values_list("resource_id", flat=True).first()
    return f"inventory.resource:{found}" if found is not None else ""


tell(Notice("hold.placed", about=_held))
tell(Notice("hold.lifted", about=_held))
tell_watchers("resource.gone", "resource.returned")
