"""The logs explorer: search, histogram by level, live tail, one line with its context, resource and incidents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import allows_anywhere, check
from tongchou.core.problems import Invalid
from tongchou.incidents import reads as incident_reads
from tongchou.incidents.models import Incident
from tongchou.inventory.reads import may_see, resources_for_labels
from tongchou.telemetry import log_reads
from tongchou.telemetry.backend import backend
from tongchou.telemetry.logs.detect import LEVELS
from tongchou.telemetry.logs.log_store import line_id, parse_line_id
from tongchou.telemetry.models import SavedSearch
from tongchou.web.gate import PageRequest, page
from tongchou.web.telemetry_reads import require_store, step_for

MAX_SPAN = timedelta(days=400)
AROUND = 8
LEAD = timedelta(minutes=10)  # how much before an incident began its logs are shown
EXAMPLES = (
    "level:error",
    '"connection refused"',
    "status:>=500 NOT path:/^\\/health/",
    "service:orders latency_ms:>500",
)


def _moment(text: str, field: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Invalid(
            "range.time", _("A time in milliseconds since 1970 is wanted."), field=field, value=text
        ) from error


@page("telemetry.view")
def logs(request: PageRequest) -> HttpResponse:
    """Search log lines; `?incident=<number>` shows the time of an incident."""
    check(request.actor, "telemetry.view")  # lines have no owner: a team's role does not open them
    if "incident" in request.GET:
        return _of_incident(request)
    context = {
        "text": request.GET.get("query", ""),
        "levels": LEVELS[::-1],
        "examples": EXAMPLES,
        "searches": SavedSearch.objects.order_by("name")[:50],
        "api": "/api/v1/logs",
    }
    return render(request, "operate/logs.html", context)


def _of_incident(request: PageRequest) -> HttpResponse:
    number = request.GET["incident"]
    wanted_number = int(number) if number.isdecimal() and len(number) < 10 else -1
    incident = get_object_or_404(incident_reads.visible(request.actor), number=wanted_number)
    start = incident.started_at - LEAD
    end = (incident.resolved_at or timezone.now()) + timedelta(minutes=1)
    wanted = {"from": round(start.timestamp() * 1000), "to": round(end.timestamp() * 1000)}
    return redirect(f"{reverse('web:logs')}?{urlencode(wanted | {'query': request.GET.get('query', '')})}")


@page("telemetry.view")
def logs_histogram(request: PageRequest) -> HttpResponse:
    """GET ?query=&start=&end=&points=: lines per step for each level, in the columns charts want."""
    check(request.actor, "telemetry.view")
    require_store()
    start, end = _moment(request.GET.get("start", ""), "start"), _moment(request.GET.get("end", ""), "end")
    if not timedelta(0) < end - start <= MAX_SPAN:
        raise Invalid("range.order", _("The start must be before the end."), field="start")
    step = step_for((end - start).total_seconds(), 120)
    first = datetime.fromtimestamp(start.timestamp() // step * step, UTC)
    found = log_reads.histogram(request.GET.get("query", ""), first, end, step_seconds=step)
    series = [
        {"name": level, "labels": {"level": level}, "values": found.counts[level]}
        for level in LEVELS
        if level in found.counts
    ]
    times = [round(first.timestamp() * 1000 + i * step * 1000) for i in range(found.steps)] if series else []
    answer = {"times": times, "series": series, "dropped": 0, "step": step, "marks": [], "total": found.total}
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


@page("telemetry.view")
def logs_line(request: PageRequest, line: str) -> HttpResponse:
    """One line opened: its facts, the lines around it, its resource, the incidents of its time."""
    check(request.actor, "telemetry.view")
    require_store()
    found = log_reads.line(parse_line_id(line))
    before, after = backend().logs.context(found, before=AROUND, after=AROUND, cost=log_reads.log_cost())
    at = log_reads.moment_of(found.ts_ns)
    context: dict[str, Any] = {
        "line": found,
        "id": line_id(found),
        "at": at,
        "around": [
            {"at": log_reads.moment_of(each.ts_ns), "line": each, "own": each.seq == found.seq}
            for each in (*before.lines, found, *after.lines)
        ],
        "resources": [row for row in resources_for_labels(found.labels) if may_see(request.actor, row.owner_id)],
        "incidents": _incidents(request, at),
    }
    return render(request, "operate/log_line.html", context)


def _incidents(request: PageRequest, at: datetime) -> list[Incident]:
    if not allows_anywhere(request.actor, "incidents.view"):
        return []
    running = incident_reads.visible(request.actor).filter(started_at__lte=at + LEAD)[:50]
    return [each for each in running if each.resolved_at is None or each.resolved_at >= at][:5]
