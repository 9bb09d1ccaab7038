"""Operate: the cockpit and its panels."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from tongchou.alerting import reads as alerting_reads
from tongchou.alerting.models import AlertStateChoice
from tongchou.core import approvals, ledger, settings_store
from tongchou.core.access import Actor, allows, check
from tongchou.core.problems import Invalid, Problem
from tongchou.incidents import reads as incident_reads
from tongchou.incidents import severity
from tongchou.incidents.models import IncidentState
from tongchou.inventory.models import ResourceState
from tongchou.inventory.reads import visible
from tongchou.web import panels, telemetry_reads
from tongchou.web.design import small_map
from tongchou.web.gate import PageRequest, page
from tongchou.web.review import entries
from tongchou.web.verbs import NEWS
from tongchou.web.visibility import readable

FEED = 14
FIRST_PANELS = 6  # what a desk's window shows before it is scrolled
FEED_SCANNED = 300  # how many are looked through for those a role in a team may read


def _figures(actor: Actor) -> dict[str, Any]:
    """What the actor may see of each; what has no owner (targets, approvals) counts for a global role alone."""
    firing_alerts = alerting_reads.alerts(actor=actor, state=AlertStateChoice.FIRING)
    firing = Counter(severity.of_labels(labels) for labels in firing_alerts.values_list("labels", flat=True))
    unresolved = incident_reads.visible(actor).exclude(state=IncidentState.RESOLVED)
    incidents = Counter(unresolved.values_list("state", flat=True))
    try:
        up = telemetry_reads.instant("up") if allows(actor, "telemetry.view") else []
    except Problem:  # the panels tell why
        up = []
    return {
        "incidents": incidents.total(),
        "incidents_open": incidents[IncidentState.OPEN],
        "incidents_mitigated": incidents[IncidentState.MITIGATED],
        "firing": firing.total(),
        "firing_by": [(name, firing[name]) for name in reversed(severity.ORDER) if firing[name]],
        "pending_alerts": alerting_reads.alerts(actor=actor, state=AlertStateChoice.PENDING).count(),
        "resources": visible(actor).filter(state=ResourceState.ACTIVE).count(),
        "targets": len(up),
        "targets_up": sum(1 for sample in up if sample.value > 0),
        "targets_down": sum(1 for sample in up if sample.value == 0),
        "approvals": approvals.pending().count() if allows(actor, "approvals.view") else 0,
    }


def _panels() -> list[panels.Panel]:
    return panels.configured() or panels.suggest(telemetry_reads.metric_names(), telemetry_reads.label_names)


@page("telemetry.view")
def cockpit(request: PageRequest) -> HttpResponse:
    """How everything is, on one page."""
    actor = request.actor
    since = timezone.now() - timedelta(hours=24)
    told = ledger.events(since=since, verbs=NEWS, limit=FEED if allows(actor, "ledger.view") else FEED_SCANNED)
    shown = _panels() if allows(actor, "telemetry.view") else []
    context = {
        "figures": _figures(actor),
        "panels": shown,
        "ahead": json.dumps([[each.query, each.legend] for each in shown[:FIRST_PANELS]]),
        "map": small_map(actor),
        "entries": entries(readable(actor, told)[:FEED]),
        "open_incidents": incident_reads.visible(actor).exclude(state=IncidentState.RESOLVED)[:4],
        "may_edit": allows(actor, "settings.edit"),
    }
    if request.GET.get("part") == "live":
        return render(request, "operate/cockpit_live.html", context)
    return render(request, "operate/cockpit.html", context)


@page("settings.view")
def panels_edit(request: PageRequest) -> HttpResponse:
    """Change the cockpit's panels, as JSON."""
    check(request.actor, "settings.view")
    context: dict[str, Any] = {
        "text": json.dumps(panels.as_rows(_panels()), ensure_ascii=False, indent=2),
        "may_edit": allows(request.actor, "settings.edit"),
        "units": panels.UNITS[1:],
        "custom": bool(panels.configured()),
        "example_legend": "{{service}}",
    }
    if request.method != "POST":
        return render(request, "operate/panels.html", context)
    text = request.POST.get("text", "")
    try:
        rows = [] if "reset" in request.POST else json.loads(text)
        settings_store.put(actor=request.actor, key=panels.PANELS, value=rows)
    except json.JSONDecodeError as error:
        context |= {"text": text, "error": f"{error.msg} (line {error.lineno}, column {error.colno})"}
        return render(request, "operate/panels.html", context, status=422)
    except Invalid as error:
        context |= {"text": text, "error": error.detail}
        return render(request, "operate/panels.html", context, status=422)
    return HttpResponse(status=302, headers={"Location": "/"})
