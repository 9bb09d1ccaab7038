"""The room's part on which deployment caused the incident: what was said, what could be said, and taking it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.changes import reads as changes
from tongchou.core.access import allows_anywhere
from tongchou.core.problems import AccessDenied, NotFound
from tongchou.core.refs import ref
from tongchou.incidents import actions, caused_by, reads
from tongchou.incidents.models import Incident, Suspect
from tongchou.incidents.models_caused import CausedBy
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import resolve

OFFERED = 30
BEFORE = timedelta(days=7)


def causes(request: PageRequest, incident: Incident) -> dict[str, Any]:
    """The deployments the incident names; for who may respond, those of the week before, suspects first."""
    named = list(CausedBy.objects.filter(incident=incident))
    links = resolve(each.ref for each in named)
    offered: list[dict[str, Any]] = []
    if _may(request, incident) and allows_anywhere(request.actor, "changes.view"):
        until = incident.recovered_at or incident.resolved_at or incident.opened_at
        near = Q(started_at__gte=incident.started_at - BEFORE, started_at__lte=max(until, incident.opened_at))
        taken = {each.ref for each in named}
        rows = changes.deployments(request.actor).filter(near).exclude(status="cancelled")[:OFFERED]
        suspected = Suspect.objects.filter(incident=incident, ref__startswith=caused_by.DEPLOYMENT)
        rank = dict(suspected.values_list("ref", "rank"))
        offered = [{"ref": ref(row), "row": row, "rank": rank.get(ref(row))} for row in rows if ref(row) not in taken]
        offered.sort(key=lambda each: each["rank"] or len(rank) + OFFERED)
    return {
        "named": [{"row": each, "link": links[each.ref]} for each in named],
        "offered": offered,
        "may_respond": _may(request, incident),
    }


def _may(request: PageRequest, incident: Incident) -> bool:
    try:
        actions.check_respond(request.actor, incident)
    except AccessDenied:
        return False
    return True


@page("incidents.respond")
@require_POST
def incident_cause(request: PageRequest, number: int) -> HttpResponse:
    """Name a deployment as the cause, or take it back (`do` = name | withdraw)."""
    row = reads.visible(request.actor).filter(number=number).first()
    if row is None:
        raise NotFound("incident.unknown", _("There is no such incident."), remedy=_("Open the list of incidents."))
    deployment = request.POST.get("ref", "")[:140]
    if request.POST.get("do") == "withdraw":
        caused_by.withdraw_cause(actor=request.actor, incident=row, deployment=deployment)
        messages.success(request, _("Taken back."))
    else:
        made = caused_by.name_cause(actor=request.actor, incident=row, deployment=deployment)
        messages.success(request, _("%(title)s is named as the cause.") % {"title": made.title})
    return redirect("web:incident", number=number)
