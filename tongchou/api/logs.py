"""Log lines: search, histogram, what arrives, one line and its context, labels; saved searches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import Query as InQuery
from ninja import Router, Schema, Status

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.document import bytes_of
from tongchou.core.access import check
from tongchou.core.problems import Invalid
from tongchou.telemetry import log_reads, saved_searches
from tongchou.telemetry.backend import backend
from tongchou.telemetry.logs.facets import Facet
from tongchou.telemetry.logs.log_store import MAX_CONTEXT_LINES, MAX_LINES, Query, line_id, parse_line_id
from tongchou.telemetry.models import SavedSearch
from tongchou.telemetry.store.log_tables import NS, StoredLine

router = Router(tags=["logs"])
DEFAULT_SPAN = timedelta(hours=1)
Text = Annotated[str, InQuery(max_length=10_000)]


class LineOut(Schema):
    """One line. `size` is the whole line's length in bytes; in lists `body` is at most its first 16,384 characters."""

    id: str
    at: datetime
    ts_ns: str
    level: str
    resource: str
    trace_id: str
    labels: dict[str, str]
    fields: dict[str, str]
    body: str
    size: int


class LineList(Schema):
    """Lines, and the cursor for the next ones; null when there are no more."""

    items: list[LineOut]
    next: str | None


def shown(line: StoredLine) -> dict[str, Any]:
    """A line as the API gives it."""
    return {
        "id": line_id(line),
        "at": log_reads.moment_of(line.ts_ns),
        "ts_ns": str(line.ts_ns),
        "level": line.level,
        "resource": line.resource,
        "trace_id": line.trace_id,
        "labels": line.labels,
        "fields": line.fields,
        "body": line.body,
        "size": line.size,
    }


def _span(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    until = (end or timezone.now() + timedelta(minutes=10)).astimezone(UTC)
    since = start.astimezone(UTC) if start else timezone.now() - DEFAULT_SPAN
    if since >= until:
        raise Invalid("range.order", _("The start must be before the end."), field="start")
    return since, until


@router.get("/logs", response=LineList)
def search(
    request: HttpRequest,
    query: Text = "",
    start: datetime | None = None,
    end: datetime | None = None,
    limit: Annotated[int, InQuery(ge=1, le=MAX_LINES)] = 100,
    direction: Literal["backward", "forward"] = "backward",
    cursor: str = "",
) -> dict[str, Any]:
    """Find lines by the search language between two times (default: the last hour), the newest first."""
    check(actor_of(request), "telemetry.view")
    page = backend().logs.search(
        log_reads.query_of(query, *_span(start, end)),
        limit=limit,
        cost=log_reads.log_cost(),
        cursor=parse_line_id(cursor) if cursor else None,
        forward=direction == "forward",
    )
    following = line_id(page.lines[-1]) if page.more else None
    return {"items": [shown(line) for line in page.lines], "next": following}


class HistogramOut(Schema):
    """Lines per step and level: counts[level][i] lie between start + i * step_seconds and the next step."""

    start: datetime
    step_seconds: float
    steps: int
    total: int
    counts: dict[str, list[int]]


@router.get("/logs/histogram", response=HistogramOut)
def histogram(
    request: HttpRequest,
    query: Text = "",
    start: datetime | None = None,
    end: datetime | None = None,
    steps: Annotated[int, InQuery(ge=1, le=500)] = 60,
) -> dict[str, Any]:
    """Count the lines of a search by time and level."""
    check(actor_of(request), "telemetry.view")
    since, until = _span(start, end)
    found = log_reads.histogram(query, since, until, step_seconds=(until - since).total_seconds() / steps)
    return {
        "start": log_reads.moment_of(found.start_ns),
        "step_seconds": found.step_ns / NS,
        "steps": found.steps,
        "total": found.total,
        "counts": found.counts,
    }


class FacetValue(Schema):
    """A value and how many lines have it."""

    value: str
    lines: int


class FacetOut(Schema):
    """A field with its ten most frequent values; `distinct` are all of them."""

    name: str
    distinct: int
    values: list[FacetValue]


class FacetsOut(Schema):
    """`labels` (and the level) were counted on every line, `fields` on the newest `sampled` lines."""

    labels: list[FacetOut]
    fields: list[FacetOut]
    sampled: int


def _facet(found: Facet) -> dict[str, Any]:
    values = [{"value": value, "lines": lines} for value, lines in found.values]
    return {"name": found.name, "distinct": found.distinct, "values": values}


@router.get("/logs/facets", response=FacetsOut)
def facets(
    request: HttpRequest, query: Text = "", start: datetime | None = None, end: datetime | None = None
) -> dict[str, Any]:
    """Say which values the fields of a search's lines have; ids, which differ on every line, are left out."""
    check(actor_of(request), "telemetry.view")
    found = log_reads.facets(query, *_span(start, end))
    return {
        "labels": [_facet(each) for each in found.labels],
        "fields": [_facet(each) for each in found.fields],
        "sampled": found.sampled,
    }


@router.get("/logs/download", openapi_extra=bytes_of("application/x-ndjson", "text/csv"))
def download(
    request: HttpRequest,
    query: Text = "",
    start: datetime | None = None,
    end: datetime | None = None,
    format: log_reads.Form = "ndjson",  # noqa: A002  # the name in the address
    limit: Annotated[int, InQuery(ge=1, le=log_reads.MAX_FILE_LINES)] = 10_000,
    cursor: str = "",
) -> HttpResponse:
    """Give the newest lines of a search as a file; the header X-Next-Cursor is there when there are more.

    A CSV cell that a spreadsheet would take for a formula has an apostrophe before it.
    """
    check(actor_of(request), "telemetry.view")
    place = parse_line_id(cursor) if cursor else None
    found = log_reads.download(query, *_span(start, end), form=format, limit=limit, cursor=place)
    kind = "text/csv; charset=utf-8" if format == "csv" else "application/x-ndjson"
    name = f"logs-{timezone.now():%Y%m%dT%H%M%SZ}.{format}"
    answer = HttpResponse(found.body, content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["X-Lines"] = str(found.lines)
    if found.cursor is not None:
        answer["X-Next-Cursor"] = f"{found.cursor[0]}-{found.cursor[1]}"
    return answer


class TailOut(Schema):
    """Lines in the order in which they arrived; give `after` back to get what arrived since."""

    items: list[LineOut]
    after: str


@router.get("/logs/tail", response=TailOut)
def tail(
    request: HttpRequest,
    query: Text = "",
    after: str = "",
    limit: Annotated[int, InQuery(ge=1, le=1000)] = 500,
) -> dict[str, Any]:
    """Give lines that arrived after `after` (empty: from now on), each once, none skipped."""
    check(actor_of(request), "telemetry.view")
    store = backend().logs
    if not after:
        return {"items": [], "after": str(store.ingest.readable)}
    if not after.isdecimal() or len(after) > 19:
        raise Invalid("logs.after", _("Give back what the last answer said."), field="after", value=after)
    now = store.clock_ns()
    wanted = Query(now - 86_400 * NS, now + 3600 * NS, log_reads.parsed(query))
    lines, upto = store.arrived(wanted, after=int(after), limit=limit, cost=log_reads.log_cost())
    return {"items": [shown(line) for line in lines], "after": str(upto)}


@router.get("/logs/labels", response=list[str])
def label_names(request: HttpRequest, start: datetime | None = None, end: datetime | None = None) -> list[str]:
    """List the names of labels on lines between two times."""
    check(actor_of(request), "telemetry.view")
    return backend().logs.label_names(log_reads.query_of("", *_span(start, end)), cost=log_reads.log_cost())


@router.get("/logs/labels/{name}/values", response=list[str])
def label_values(
    request: HttpRequest, name: str, start: datetime | None = None, end: datetime | None = None
) -> list[str]:
    """List the values of one label on lines between two times, at most 1,000."""
    check(actor_of(request), "telemetry.view")
    return backend().logs.label_values(name, log_reads.query_of("", *_span(start, end)), cost=log_reads.log_cost())


@router.get("/logs/lines/{id}", response=LineOut)
def line(request: HttpRequest, id: str) -> dict[str, Any]:  # noqa: A002  # the name in the address
    """Give one line, whole."""
    check(actor_of(request), "telemetry.view")
    return shown(log_reads.line(parse_line_id(id)))


class ContextOut(Schema):
    """The lines of the same stream before and after one line, in the order of time."""

    before: list[LineOut]
    line: LineOut
    after: list[LineOut]


Around = Annotated[int, InQuery(ge=0, le=MAX_CONTEXT_LINES)]


@router.get("/logs/lines/{id}/context", response=ContextOut)
def context(request: HttpRequest, id: str, before: Around = 10, after: Around = 10) -> dict[str, Any]:  # noqa: A002  # the same
    """Give the lines of the same stream around one line, within a day of it."""
    check(actor_of(request), "telemetry.view")
    found = log_reads.line(parse_line_id(id))
    older, newer = backend().logs.context(found, before=before, after=after, cost=log_reads.log_cost())
    return {
        "before": [shown(each) for each in older.lines],
        "line": shown(found),
        "after": [shown(each) for each in newer.lines],
    }


@router.get("/logs/storage", response=dict[str, int])
def storage(request: HttpRequest) -> dict[str, int]:
    """Say how many lines are kept and what they take; ingest counters count since the start of the process."""
    check(actor_of(request), "telemetry.view")
    return log_reads.log_stats()


class SearchIn(Body):
    """A search to save."""

    query: str
    enabled: bool = True


class SearchOut(Schema):
    """A saved search; `total` lines were counted since it was made."""

    name: str
    query: str
    enabled: bool
    total: int
    last_error: str


class SearchList(Schema):
    """Saved searches by name."""

    items: list[SearchOut]
    count: int


def _search(row: SavedSearch) -> dict[str, Any]:
    total = sum(row.totals.values())
    return {"name": row.name, "query": row.query, "enabled": row.enabled, "total": total, "last_error": row.last_error}


@router.get("/logs/searches", response=SearchList)
def searches(request: HttpRequest) -> dict[str, Any]:
    """List the saved searches, which are counted into log_search_lines_total{search, service}."""
    check(actor_of(request), "telemetry.view")
    items = [_search(row) for row in SavedSearch.objects.order_by("name")]
    return {"items": items, "count": len(items)}


@router.put("/logs/searches/{name}", response=SearchOut)
def save_search(request: HttpRequest, name: str, body: SearchIn) -> dict[str, Any]:
    """Make or change a saved search."""
    row = saved_searches.save(actor=actor_of(request), name=name, query=body.query, enabled=body.enabled)
    return _search(row)


@router.delete("/logs/searches/{name}", response={204: None})
def delete_search(request: HttpRequest, name: str) -> Status[None]:
    """Remove a saved search; its series ends."""
    saved_searches.delete(actor=actor_of(request), name=name)
    return Status(204, None)
