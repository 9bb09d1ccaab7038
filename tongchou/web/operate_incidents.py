"""Operate: the incident room. What happened, who is suspected and why, what is affected, what can be done."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.core.problems import AccessDenied, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.incidents import actions, impact, reads
from tongchou.incidents.models import Incident
from tongchou.usage import words
from tongchou.usage.impact import expected_curve, from_json
from tongchou.web import incident_parts, incident_room
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import resolve
from tongchou.web.markdown import render_talk
from tongchou.web.review import TONES, Line
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import between, chip, when

# what the page counts on by itself, and the form's token, which is masked anew each time
MOVING = re.compile(
    r'(<(?:span|time)[^>]*data-(?:elapsed-since|ago)[^>]*>)[^<]*|name="csrfmiddlewaretoken" value="[^"]*"'
)


LOOK = register(
    Look(
        "incidents.incident",
        "web:incidents",
        "title",
        url=lambda row: reverse("web:incident", args=[row.number]),
        cells={
            "number": lambda row, _about: cells.link(reverse("web:incident", args=[row.number]), row.name, "nowrap"),
            "severity": lambda row, _about: chip(row.severity, row.get_severity_display()),
            "status": lambda row, _about: chip(row.state, row.get_state_display()),
            "commander": lambda row, _about: cells.person(row.commander),
            "began": lambda row, _about: when(row.started_at),
            "lasts": lambda row, _about: between(row.started_at, row.recovered_at or row.resolved_at),
        },
        icon="circle-check",
        empty=gettext_lazy("Nothing is broken"),
        hint=gettext_lazy(
            "An alert group of enough severity opens an incident by itself. Which severity is under Settings."
        ),
    )
)


@page("incidents.view")
def incidents(request: PageRequest) -> HttpResponseBase:
    """Incidents: open ones, or with `?state=resolved` the history."""
    more: dict[str, Any] = {"queue_counts": {"open": reads.open_count(request.actor)}}
    if request.GET.get("state") == "resolved":
        more |= {"empty_title": _("No incident was resolved yet"), "empty_hint": ""}
    return show(request, LOOK, "operate/incidents.html", more)


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
    return [
        Line(
            entry,
            links[entry.ref],
            TONES[entry.tone],
            render_talk(entry.text, ()) if entry.verb == "comment.added" else None,
        )
        for entry in found
    ]


@page("incidents.view")
def incident(request: PageRequest, number: int) -> HttpResponse:
    """The room: head and timeline. `?part=` renders one part alone, which the room loads and keeps fresh by itself."""
    part = request.GET.get("part", "")
    row = _get(request, number)
    if part == "impact-chart":
        return _impact_chart(row)
    if part == "impact":
        return _fresh(request, "operate/incident_impact.html", _impact(row))
    if part == "marks":
        return JsonResponse(incident_parts.marks(request, row), headers={"Cache-Control": "no-store"})
    if part in incident_parts.PARTS:
        return _fresh(request, *_part(request, row, part))
    now = timezone.now()
    begin, end = incident_room.span(row, now)
    context = {
        "incident": row,
        "ref": ref(row),
        "lines": _lines(row),
        "may_respond": _may_respond(request, row),
        "commands": row.commander_id is not None and row.commander_id == request.actor.user_id,
        "preset": incident_room.preset_for(row, now),
        "over": incident_room.ended_at(row) is not None,
        "begin_ms": round(begin.timestamp() * 1000),
        "end_ms": round(end.timestamp() * 1000),
    }
    if part in ("head", "timeline"):
        return render(request, f"operate/incident_{part}.html", context)
    return render(request, "operate/incident.html", context)


def _part(request: PageRequest, row: Incident, name: str) -> tuple[str, dict[str, Any]]:
    """The template of a part and what it shows; of one that is shut or does not answer, why and what to do."""
    part = incident_parts.PARTS[name]
    try:
        part.check(request)
        return f"operate/room_{name}.html", {"incident": row, "ref": ref(row), **part.read(request, row)}
    except Problem as problem:
        return "operate/room_unread.html", {"problem": problem, "part": name}


def _fresh(request: PageRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The part as HTML; 204 when it reads as what the page has (`?seen=`), so that nothing moves under a hand."""
    text = render_to_string(template, context, request)
    print_ = hashlib.sha256(MOVING.sub(r"\1", text).encode()).hexdigest()[:16]
    if request.GET.get("seen") == print_:
        return HttpResponse(status=204)
    return HttpResponse(text, headers={"X-Part": print_, "Cache-Control": "no-store"})


def _impact(incident: Incident) -> dict[str, Any]:
    """What it cost, with inputs and arithmetic."""
    try:
        row = impact.of(incident)
    except Problem as problem:
        return {"error": problem.detail}
    series = row.inputs.get("series")
    begin = datetime.fromisoformat(row.inputs["grid_start"]).timestamp() if series else 0.0
    return {
        "incident": incident,
        "row": row,
        "sentence": words.sentence(row),
        "sentences": words.sentences(row),
        "amounts": {
            name: words.amount(getattr(row, name), row.currency)
            for name in ("lost", "low", "high", "expected", "actual", "caught_up")
        },
        "series": series,
        "begins_ms": str(round(row.begins_at.timestamp() * 1000)),
        "ends_ms": str(round(row.ends_at.timestamp() * 1000)),
        "from_ms": str(round(begin * 1000)),
        "to_ms": str(round((begin + (len(series["actual"]) * series["step_seconds"] if series else 0)) * 1000)),
    }


def _impact_chart(incident: Incident) -> HttpResponse:
    """The columns of its chart: actual, expected and the band around it. Raises what reading telemetry raises."""
    row = impact.of(incident)
    series = row.inputs.get("series")
    if not series:
        return JsonResponse({"times": [], "series": [], "dropped": 0, "step": 0, "marks": []})
    inputs = from_json(series)
    expected, low, high = expected_curve(inputs)
    begin_ms = datetime.fromisoformat(row.inputs["grid_start"]).timestamp() * 1000
    lines = (
        (_("Actual"), inputs.actual, "accent", False),
        (_("Expected"), expected, "ok", True),
        (_("10 %"), low, "text-3", True),
        (_("90 %"), high, "text-3", True),
    )
    body = {
        "times": [round(begin_ms + (at + 1) * inputs.step_seconds * 1000) for at in range(len(inputs.actual))],
        "series": [
            {"name": name, "labels": {}, "values": values, "tone": tone, "dashed": dashed}
            for name, values, tone, dashed in lines
            if values
        ],
        "dropped": 0,
        "step": inputs.step_seconds,
        "marks": [{"at": round(row.begins_at.timestamp() * 1000), "title": incident.name, "verb": ""}],
    }
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


Act = Callable[[PageRequest, Incident], object]
ACTS: dict[str, Act] = {
    "acknowledge": lambda request, row: actions.acknowledge(actor=request.actor, incident=row),
    "command": lambda request, row: actions.take_command(actor=request.actor, incident=row),
    "mitigate": lambda request, row: actions.mitigate(
        actor=request.actor, incident=row, comment=request.POST.get("comment", "")
    ),
    "resolve": lambda request, row: actions.resolve(
        actor=request.actor, incident=row, comment=request.POST.get("comment", ""), force="force" in request.POST
    ),
    "reopen": lambda request, row: actions.reopen(
        actor=request.actor, incident=row, comment=request.POST.get("comment", "")
    ),
}


@page("incidents.respond")
@require_POST
def incident_act(request: PageRequest, number: int, act: str) -> HttpResponse:
    """Acknowledge, take command, mitigate, resolve or reopen."""
    if act not in ACTS:
        raise NotFound("incident.act", _("There is no such action."), remedy=_("Use the buttons of the incident room."))
    row = _get(request, number)
    ACTS[act](request, row)
    row.refresh_from_db()
    messages.success(request, _("%(name)s is now: %(state)s.") % {"name": row.name, "state": row.get_state_display()})
    return redirect("web:incident", number=number)
