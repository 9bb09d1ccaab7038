"""The data of every chart: columns of a query over a range, and what the ledger says happened meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.models import Event
from tongchou.core.problems import Invalid
from tongchou.core.refs import is_ref
from tongchou.telemetry.dashboards import frames
from tongchou.web import telemetry_reads, units
from tongchou.web.gate import PageRequest, page
from tongchou.web.review import entries
from tongchou.web.visibility import readable

MAX_SPAN = timedelta(days=400)
MAX_POINTS = 1000
MOST_LINES = 100
MOST_BUCKETS = 400  # series of a heatmap: buckets that are left out are counted in the band above them
MOST_MARKS = 60
CHANGE_VERBS = ("deployment.finished", "run.started", "plan.applied", "incident.opened")


def moment(text: str, field: str) -> datetime:
    """Return a time given in milliseconds since 1970. Raises Invalid that names `field`."""
    try:
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Invalid(
            "range.time", _("A time in milliseconds since 1970 is wanted."), field=field, value=text
        ) from error


def span(request: PageRequest) -> tuple[datetime, datetime]:
    """Return ?start= and ?end=. Raises Invalid when they are no times or more than 400 days apart."""
    start, end = moment(request.GET.get("start", ""), "start"), moment(request.GET.get("end", ""), "end")
    if end <= start:
        raise Invalid("range.order", _("The start must be before the end."), field="start")
    if end - start > MAX_SPAN:
        raise Invalid("range.too_long", _("The time range is longer than 400 days."), field="start")
    return start, end


def bounded(text: str | None, least: int, most: int, fallback: int) -> int:
    """Return a number of a query string within bounds; the fallback for what is no number."""
    try:
        return max(least, min(most, int(text or fallback)))
    except ValueError:
        return fallback


def marks(actor: Actor, start: datetime, end: datetime, about: str = "") -> list[dict[str, Any]]:
    """Return changes and incidents of a range that the actor may read, for vertical lines; about one ref or all."""
    found = ledger.events(
        about=about if is_ref(about) else None, verbs=CHANGE_VERBS, since=start, until=end, limit=MOST_MARKS
    )
    return marks_of(readable(actor, found))


def marks_of(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return events as charts.js draws them: at (ms), a short title, the sentence, the page."""
    shown = []
    rows = list(events)
    for event, line in zip(rows, entries(rows), strict=True):
        payload = event.payload if isinstance(event.payload, dict) else {}
        title = payload.get("version") or payload.get("procedure") or payload.get("title") or event.verb
        shown.append(
            {
                "at": round(event.at.timestamp() * 1000),
                "title": str(title)[:60],
                "text": str(line.entry.text)[:200],
                "verb": event.verb,
                "url": line.link.url or "",
            }
        )
    return shown


@page("telemetry.view")
def panel_query(request: PageRequest) -> HttpResponse:
    """GET ?query=&start=&end=&points=&legend=&about=&limit=&offset=: a chart's columns; 4xx as problem+json.

    `offset` (seconds) compares with that much earlier. The answer tells the unit its names suggest. With heat=1 it
    has the cells of a heatmap instead of series.
    """
    check(request.actor, "telemetry.view")  # metrics have no owner: a team's role does not open them
    query = request.GET.get("query", "").strip()
    if not query:
        raise Invalid("query.empty", _("Write a PromQL expression."), field="query")
    start, end = span(request)
    wants_heat = request.GET.get("heat") == "1"
    limit = bounded(request.GET.get("limit"), 1, MOST_LINES, telemetry_reads.MAX_LINES)
    found = telemetry_reads.columns(
        query,
        start,
        end,
        points=bounded(request.GET.get("points"), 10, MAX_POINTS, 600),
        legend=request.GET.get("legend", "")[:200],
        limit=MOST_BUCKETS if wants_heat else limit,
        offset=timedelta(seconds=bounded(request.GET.get("offset"), 0, round(MAX_SPAN.total_seconds()), 0)),
    )
    about = request.GET.get("about", "")
    found_marks = marks(request.actor, start, end, about) if is_ref(about) else []
    more: dict[str, Any] = {"marks": found_marks, "unit": units.guess(query)}
    if wants_heat:
        more |= {"count": len(found.series), **heat_of([query], found.series)}
    return JsonResponse(found.as_json() | more, headers={"Cache-Control": "no-store"})


def heat_of(queries: Sequence[str], series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cells of a heatmap in place of the series of these queries, with the unit of its bounds."""
    cells = frames.heat([(line["labels"], line["values"]) for line in series])
    unit = units.of_bounds(queries[0]) if queries else ""
    return {"series": [], "heat": frames.heat_as_json(cells) | {"unit": unit}}


@page("ledger.view")
def panel_marks(request: PageRequest) -> HttpResponse:
    """GET ?start=&end=&about=: what changed in that time, as far as the person may read it."""
    start, end = span(request)
    found = marks(request.actor, start, end, request.GET.get("about", ""))
    return JsonResponse({"marks": found}, headers={"Cache-Control": "no-store"})
