"""Which events are worth a toast on every open page, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from tongchou.core.access import Actor, allows_anywhere
from tongchou.core.models import Event
from tongchou.core.refs import parse


@dataclass(frozen=True)
class Announcement:
    """A short sentence, its tone (ok, warning, critical) and the page that shows more."""

    text: str
    tone: str
    url: str


def announcement(event: Event, actor: Actor) -> Announcement | None:
    """Return what to tell this actor about the event; None for most events. Pure but for the language spoken now."""
    subject = parse(event.subject)
    payload = event.payload if isinstance(event.payload, dict) else {}
    if event.verb == "incident.opened" and allows_anywhere(actor, "incidents.view"):
        number = payload.get("number")
        url = f"/incidents/{number}" if number else "/incidents"
        return Announcement(
            _("New incident: %(title)s") % {"title": payload.get("title") or number or ""}, "critical", url
        )
    if event.verb == "approval.requested" and allows_anywhere(actor, "approvals.decide"):
        if event.actor_id is not None and event.actor_id == actor.user_id:
            return None
        return Announcement(
            _("%(name)s asks for an approval.") % {"name": event.actor_name}, "warning", f"/approvals?id={subject.id}"
        )
    if event.verb == "run.failed" and allows_anywhere(actor, "runbooks.view"):
        name = payload.get("procedure") or ""
        return Announcement(_("Run failed: %(name)s") % {"name": name}, "critical", f"/runs/{subject.id}")
    return None
