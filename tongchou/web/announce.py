"""Which events are worth a toast on every open page, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from tongchou.core.access import Actor, allows
from tongchou.core.models import Event
from tongchou.core.refs import parse
from tongchou.incidents.timeline import scope_facts


@dataclass(frozen=True)
class Announcement:
    """A short sentence, its tone (ok, warning, critical) and the page that shows more."""

    text: str
    tone: str
    url: str


def announcement(event: Event, actor: Actor) -> Announcement | None:
    """Return what to tell this actor about the event; None for most events. Pure but for the language spoken now.

    Only a global role is told: an event does not say which teams may see what it is about.
    """
    subject = parse(event.subject)
    payload = event.payload if isinstance(event.payload, dict) else {}
    if event.verb == "incident.opened" and allows(actor, "incidents.view"):
        number = payload.get("number")
        url = f"/incidents/{number}" if number else "/incidents"
        return Announcement(
            _("New incident: %(title)s") % {"title": payload.get("title") or number or ""}, "critical", url
        )
    if event.verb == "approval.requested" and allows(actor, "approvals.decide"):
        if event.actor_id is not None and event.actor_id == actor.user_id:
            return None
        return Announcement(_asked(event.actor_name, payload), "warning", f"/approvals?id={subject.id}")
    if event.verb == "run.failed" and allows(actor, "runbooks.view"):
        name = payload.get("procedure") or ""
        return Announcement(_("Run failed: %(name)s") % {"name": name}, "critical", f"/runs/{subject.id}")
    return None


def _asked(name: str, payload: Mapping[str, Any]) -> str:
    """Say who asks to run what and where, as far as the request names it."""
    scope = payload.get("scope")
    facts = {"name": name, **(scope_facts(scope) if isinstance(scope, Mapping) else {})}
    if "procedure" not in facts:
        return _("%(name)s asks for an approval.") % facts
    if "targets" not in facts:
        return _("%(name)s asks to run %(procedure)s.") % facts
    return _("%(name)s asks to run %(procedure)s on %(targets)s.") % facts
