"""The logs explorer: search, histogram by level, live tail, one line with its context, resource and incidents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from tongchou.core.access import allows, allows_anywhere, check
from tongchou.core.problems import Invalid
from tongchou.incidents import reads as incident_reads
from tongchou.incidents.models import Incident
from tongchou.inventory.reads import may_see, resources_for_labels
from tongchou.telemetry import log_reads, saved_searches
from tongchou.telemetry.backend import backend
from tongchou.telemetry.logs.detect import LEVELS
from tongchou.telemetry.logs.facets import members
from tongchou.telemetry.logs.log_store import line_id, parse_line_id
from tongchou.telemetry.logs.query import quoted
from tongchou.telemetry.models import SavedSearch
from tongchou.web.gate import PageRequest, page
from tongchou.web.telemetry_reads import require_store, step_for

MAX_SPAN = timedelta(days=400)
AROUND, MOST_AROUND = 8, 200
TONES = {
    "critical": "series-5",
    "error": "critical",
    "warning": "warning",
    "info": "accent",
    "debug": "series-2",
    "trace": "series-8",
    "unknown": "text-3",
}
WORDS: dict[str, str | Promise] = {
    "waiting": _("%n new lines wait: show them"),
    "dropped": _("%n lines are not shown here"),
    "following": _("Following"),
    "only": _("Only lines with this"),
    "without": _("Only lines without this"),
    "column": _("Show as a column"),
    "distinct": _("values: %n"),
    "sampled": _("other fields: newest %n lines"),
    "no_facets": _("The lines of this search have no fields."),
}
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
        "searches": [
            {"name": row.name, "query": row.query, "series": f'{saved_searches.METRIC}{{search="{row.name}"}}'}
            for row in SavedSearch.objects.order_by("name")[: saved_searches.MAX_SEARCHES]
        ],
        "may_save": allows(request.actor, "alerting.edit"),
        "words": {key: str(word) for key, word in WORDS.items()},
        "most": log_reads.MAX_FILE_LINES,
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
        {"name": level, "labels": {"level": level}, "values": found.counts[level], "tone": TONES[level]}
        for level in LEVELS
        if level in found.counts
    ]
    times = [round(first.timestamp() * 1000 + i * step * 1000) for i in range(found.steps)] if series else []
    answer = {"times": times, "series": series, "dropped": 0, "step": step, "marks": [], "total": found.total}
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


@page("telemetry.view")
def logs_line(request: PageRequest, line: str) -> HttpResponse:
    """One line opened: its facts, the lines around it (`?around=` each way), its resource, incidents of its time."""
    check(request.actor, "telemetry.view")
    require_store()
    found = log_reads.line(parse_line_id(line))
    wanted = request.GET.get("around", "")
    around = max(1, min(MOST_AROUND, int(wanted))) if wanted.isdecimal() and len(wanted) < 6 else AROUND
    before, after = backend().logs.context(found, before=around, after=around, cost=log_reads.log_cost())
    at = log_reads.moment_of(found.ts_ns)
    context: dict[str, Any] = {
        "line": found,
        "id": line_id(found),
        "at": at,
        "around": [
            {"at": log_reads.moment_of(each.ts_ns), "line": each, "own": each.seq == found.seq}
            for each in (*before.lines, found, *after.lines)
        ],
        "members": members(found.body),
        "stream": " ".join(f"{name}:{quoted(value)}" for name, value in found.labels.items()),
        "more": min(MOST_AROUND, around * 5) if (before.more or after.more) and around < MOST_AROUND else 0,
        "resources": [row for row in resources_for_labels(found.labels) if may_see(request.actor, row.owner_id)],
        "incidents": _incidents(request, at),
    }
    return render(request, "operate/log_line.html", context)


@page("alerting.edit")
@require_POST
def logs_searches(request: PageRequest) -> HttpResponse:
    """Save the search that is shown under a name, or delete a saved one; back to the search."""
    name, query = request.POST.get("name", "").strip(), request.POST.get("query", "")
    try:
        if "delete" in request.POST:
            saved_searches.delete(actor=request.actor, name=request.POST["delete"])
            messages.success(request, _("The saved search is deleted; its series ends."))
        else:
            saved_searches.save(actor=request.actor, name=name, query=query)
            said = _(
                'Saved. Its lines are counted in log_search_lines_total{search="%(name)s"}: rules can alert on it.'
            )
            messages.success(request, said % {"name": name})
    except Invalid as problem:
        messages.error(request, str(problem.detail))
    return redirect(f"{reverse('web:logs')}?{urlencode({'query': query})}")


def _incidents(request: PageRequest, at: datetime) -> list[Incident]:
    if not allows_anywhere(request.actor, "incidents.view"):
        return []
    running = incident_reads.visible(request.actor).filter(started_at__lte=at + LEAD)[:50]
    return [each for each in running if each.resolved_at is None or each.resolved_at >= at][:5]
