"""Operate: the incident room. What happened, who is suspected and why, what is affected, what can be done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core.access import allows_anywhere
from tongchou.core.problems import AccessDenied, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.incidents import actions, impact, reads
from tongchou.incidents.models import Incident, IncidentState
from tongchou.inventory import kinds
from tongchou.runbooks.models import Run
from tongchou.usage import words
from tongchou.usage.impact import expected_curve, from_json
from tongchou.web import health
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import group_title, localized, resolve
from tongchou.web.review import TONES, Line

PAGE = 50
MOST_CHARTS = 4
MOST_AFFECTED = 30
# reasons that follow from the graph alone: a suspect with no other has nothing recorded against it
NO_EVIDENCE = frozenset({"not_failing", "explains", "hop"})


@page("incidents.view")
def incidents(request: PageRequest) -> HttpResponse:
    """Incidents: open ones, or with `?state=resolved` the history."""
    state = request.GET.get("state", "open")
    states = (
        [IncidentState.RESOLVED]
        if state == "resolved"
        else [each for each in IncidentState.values if each != IncidentState.RESOLVED]
    )
    rows = reads.listing(request.actor, states=states)
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 10:
        rows = rows.filter(number__lt=int(before))
    found = list(rows[: PAGE + 1])
    context = {
        "rows": found[:PAGE],
        "next": found[PAGE - 1].number if len(found) > PAGE else None,
        "state": state,
        "open": reads.open_count(request.actor),
    }
    part = request.GET.get("part") == "live"
    return render(request, "operate/incidents_live.html" if part else "operate/incidents.html", context)


def _get(request: PageRequest, number: int) -> Incident:
    found = reads.visible(request.actor).filter(number=number).values_list("pk", flat=True).first()
    if found is None:
        raise NotFound("incident.unknown", _("There is no such incident."), remedy=_("Open the list of incidents."))
    return reads.get(request.actor, found)


def _may_respond(request: PageRequest, incident: Incident) -> bool:
    try:
        actions.check_respond(request.actor, incident)
    except AccessDenied:
        return False
    return True


def _lines(incident: Incident) -> list[Line]:
    found = reads.timeline_page(incident, limit=200).items
    links = resolve(entry.ref for entry in found)
    return [Line(entry, links[entry.ref], TONES[entry.tone]) for entry in found]


def _suspects(incident: Incident) -> list[dict[str, Any]]:
    found = reads.suspects(incident)
    links = resolve([*(each.ref for each in found), *(about for each in found for about in each.about)])
    return [
        {
            "suspect": each,
            "link": links[each.ref],
            "about": [links[about] for about in each.about[:4]],
            "kind": kinds.kind(each.resource_kind).title if each.resource_kind else _("Change"),
            "bare": each.rank > 1 and NO_EVIDENCE.issuperset(reason.code for reason in each.reasons),
        }
        for each in found
    ]


def _room(request: PageRequest, incident: Incident) -> dict[str, Any]:
    links = reads.groups(incident)
    affected = reads.affected(incident)[:MOST_AFFECTED]
    statuses = health.of_page([each.resource_id for each in affected])
    alerts = [alert for link in links for alert in link.group.alerts.select_related("rule")]
    alerts.sort(key=lambda alert: (alert.severity != "critical", alert.active_at))
    rules = {alert.rule_id: alert.rule for alert in alerts}
    may_request = allows_anywhere(request.actor, "runbooks.request")
    suspects = _suspects(incident)
    suggestions = [
        {"suggestion": each, "title": localized(each.title, each.name), "targets": ",".join(each.target_names)}
        for each in (reads.suggested_procedures(links) if allows_anywhere(request.actor, "runbooks.view") else [])
    ]
    return {
        "incident": incident,
        "ref": ref(incident),
        "lines": _lines(incident),
        "suspects": [each for each in suspects if not each["bare"]],
        "bare_suspects": [each for each in suspects if each["bare"]],
        "groups": [
            {"link": link, "title": group_title(link.group), "reason": reads.join_reason(link)} for link in links
        ],
        "affected": [
            {"row": each, "kind": kinds.kind(each.resource.kind), "status": statuses.get(each.resource_id, "unknown")}
            for each in affected
        ],
        "charts": list(rules.values())[:MOST_CHARTS],
        "suggestions": suggestions,
        "runs": Run.objects.filter(about_ref=ref(incident)).select_related("procedure").order_by("-created_at")[:10],
        "may_respond": _may_respond(request, incident),
        "may_request": may_request,
    }


@page("incidents.view")
def incident(request: PageRequest, number: int) -> HttpResponse:
    """The room. `?part=` renders one live part alone: head, timeline or aside."""
    part = request.GET.get("part", "")
    if part in ("impact", "impact-chart"):
        return _impact(request, _get(request, number), chart=part == "impact-chart")
    context = _room(request, _get(request, number))
    if part in ("head", "timeline", "aside"):
        return render(request, f"operate/incident_{part}.html", context)
    return render(request, "operate/incident.html", context)


def _impact(request: PageRequest, incident: Incident, *, chart: bool) -> HttpResponse:
    """What it cost, with inputs and arithmetic; or the columns of its chart."""
    try:
        row = impact.of(incident)
    except Problem as problem:
        return render(request, "operate/incident_impact.html", {"error": problem.detail})
    series = row.inputs.get("series")
    if not chart:
        begin = datetime.fromisoformat(row.inputs["grid_start"]).timestamp() if series else 0.0
        context = {
            "incident": incident,
            "row": row,
            "sentence": words.sentence(row),
            "amounts": {
                name: words.amount(getattr(row, name), row.currency)
                for name in ("lost", "low", "high", "expected", "actual", "caught_up")
            },
            "series": series,
            "from_ms": str(round(begin * 1000)),
            "to_ms": str(round((begin + (len(series["actual"]) * series["step_seconds"] if series else 0)) * 1000)),
        }
        return render(request, "operate/incident_impact.html", context)
    if not series:
        return JsonResponse({"times": [], "series": [], "dropped": 0, "step": 0, "marks": []})
    inputs = from_json(series)
    expected, low, high = expected_curve(inputs)
    begin_ms = datetime.fromisoformat(row.inputs["grid_start"]).timestamp() * 1000
    lines = ((_("Actual"), inputs.actual), (_("Expected"), expected), (_("10 %"), low), (_("90 %"), high))
    body = {
        "times": [round(begin_ms + (at + 1) * inputs.step_seconds * 1000) for at in range(len(inputs.actual))],
        "series": [{"name": name, "labels": {}, "values": values} for name, values in lines if values],
        "dropped": 0,
        "step": inputs.step_seconds,
        "marks": [{"at": round(row.begins_at.timestamp() * 1000), "title": incident.name, "verb": ""}],
    }
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


Act = Callable[[PageRequest, Incident], object]
ACTS: dict[str, Act] = {
    "acknowledge": lambda request, row: actions.acknowledge(actor=request.actor, incident=row),
    "mitigate": lambda request, row: actions.mitigate(
        actor=request.actor, incident=row, comment=request.POST.get("comment", "")
    ),
    "resolve": lambda request, row: actions.resolve(
        actor=request.actor, incident=row, comment=request.POST.get("comment", ""), force="force" in request.POST
    ),
    "reopen": lambda request, row: actions.reopen(
        actor=request.actor, incident=row, comment=request.POST.get("comment", "")
    ),
    "note": lambda request, row: actions.add_note(actor=request.actor, incident=row, text=request.POST.get("text", "")),
}


@page("incidents.respond")
@require_POST
def incident_act(request: PageRequest, number: int, act: str) -> HttpResponse:
    """Acknowledge, mitigate, resolve, reopen, or write a note."""
    if act not in ACTS:
        raise NotFound("incident.act", _("There is no such action."), remedy=_("Use the buttons of the incident room."))
    row = _get(request, number)
    ACTS[act](request, row)
    if act != "note":
        row.refresh_from_db()
        messages.success(
            request, _("%(name)s is now: %(state)s.") % {"name": row.name, "state": row.get_state_display()}
        )
    return redirect("web:incident", number=number)
