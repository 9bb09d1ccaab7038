"""Operate: the metrics explorer. Several queries on one chart, completion of what is typed, the numbers as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import check
from tongchou.core.lists.export import guarded
from tongchou.core.problems import Invalid, Problem
from tongchou.telemetry import target_snapshot
from tongchou.telemetry.series import METRIC_NAME, Matcher, written_name, written_series
from tongchou.web import completion, panels, telemetry_reads
from tongchou.web.charts import MAX_POINTS, MOST_LINES, span
from tongchou.web.completion import Place
from tongchou.web.gate import PageRequest, page
from tongchou.web.promql_words import AGGREGATIONS, DURATIONS, FUNCTIONS, KEYWORDS

OFFERED = 40
MOST_QUERIES = 10
NAMES_SHOWN = 1000
FAMILY_TAILS = ("_bucket", "_count", "_sum", "_total")
COMPARISONS = (("3600", _("an hour ago")), ("86400", _("a day ago")), ("604800", _("a week ago")))
UNIT_WORDS = {
    "percent": _("percent"),
    "ratio": _("ratio"),
    "bytes": _("bytes"),
    "bytes_per_second": _("bytes per second"),
    "seconds": _("seconds"),
    "per_second": _("per second"),
}
LEGEND_COLUMNS = (
    ("name", _("Series")),
    ("last", _("Last")),
    ("min", _("Min")),
    ("mean", _("Mean")),
    ("max", _("Max")),
)
Item = dict[str, Any]


@page("telemetry.view")
def explore(request: PageRequest) -> HttpResponse:
    """Write PromQL, see charts, tables and numbers. What is asked stands in the address alone."""
    check(request.actor, "telemetry.view")
    names = telemetry_reads.metric_names()
    context = {
        "names": names[:NAMES_SHOWN],
        "name_count": len(names),
        "units": [(unit, UNIT_WORDS[unit]) for unit in panels.UNITS[1:]],
        "comparisons": COMPARISONS,
        "most_queries": MOST_QUERIES,
        "person": str(request.user.pk),
        "example_legend": "{{job}} {{instance}}",
        "legend_columns": LEGEND_COLUMNS,
    }
    return render(request, "operate/explore.html", context)


@page("telemetry.view")
def explore_complete(request: PageRequest) -> HttpResponse:
    """GET ?text=&cursor=: {start, end, kind, items, count, note}, at most OFFERED items of `count`."""
    check(request.actor, "telemetry.view")
    text = request.GET.get("text", "")
    cursor = request.GET.get("cursor", "")
    place = completion.place(text, int(cursor) if cursor.isdecimal() and len(cursor) < 7 else len(text))
    note = ""
    try:
        items, count = OFFERS[place.kind](place) if place.kind in OFFERS else ([], 0)
    except Problem as problem:  # too many series, or a regular expression that is not finished yet
        items, count, note = [], 0, str(problem.detail)
    body = {"start": place.start, "end": place.end, "kind": place.kind, "items": items, "count": count, "note": note}
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


def _item(
    text: str, kind: str, *, detail: object = "", help_text: object = "", insert: str = "", back: int = 0
) -> Item:
    """One offer: `insert` is written (`text` when empty), then the cursor goes `back` characters."""
    return {
        "text": text,
        "kind": kind,
        "detail": str(detail),
        "help": str(help_text),
        "insert": insert or text,
        "back": back,
    }


def _expression(place: Place) -> tuple[list[Item], int]:
    words = {**AGGREGATIONS, **FUNCTIONS}
    names = set(telemetry_reads.metric_names())
    found, count = completion.ranked({*words, *KEYWORDS, *names}, place.prefix, limit=OFFERED)
    known = target_snapshot.metadata()
    items = []
    for name in found:
        if name in names:
            meta = known.get(name) or next((known[f] for f in _families(name) if f in known), None)
            insert = written_series({METRIC_NAME: name})
            about = (meta.type, meta.help) if meta else ("", "")
            items.append(_item(name, "metric", detail=about[0], help_text=about[1], insert=insert))
        elif name in words:
            kind = "aggregation" if name in AGGREGATIONS else "function"
            word = words[name]
            items.append(_item(name, kind, detail=word.signature, help_text=word.help, insert=f"{name}()", back=1))
        else:
            items.append(_item(name, "keyword"))
    return items, count


def _families(name: str) -> list[str]:
    return [name.removesuffix(tail) for tail in FAMILY_TAILS if name.endswith(tail)]


def _label(place: Place) -> tuple[list[Item], int]:
    names = telemetry_reads.label_names_of([list(place.matchers)] if place.matchers else [])
    found, count = completion.ranked((each for each in names if each != METRIC_NAME), place.prefix, limit=OFFERED)
    return [_item(name, "label", insert=f'{written_name(name)}=""', back=1) for name in found], count


def _grouping(place: Place) -> tuple[list[Item], int]:
    names = telemetry_reads.label_names_of([[Matcher(METRIC_NAME, "=", each)] for each in place.metrics])
    found, count = completion.ranked((each for each in names if each != METRIC_NAME), place.prefix, limit=OFFERED)
    return [_item(name, "label", insert=written_name(name)) for name in found], count


def _value(place: Place) -> tuple[list[Item], int]:
    values = telemetry_reads.label_values_of(place.label, place.matchers)
    found, count = completion.ranked(values, place.prefix, limit=OFFERED)
    return [_item(value, "value", insert=completion.value_text(value, place)) for value in found], count


def _duration(place: Place) -> tuple[list[Item], int]:
    found = [each for each in DURATIONS if each.startswith(place.prefix)]
    return [_item(each, "duration") for each in found], len(found)


OFFERS: dict[str, Callable[[Place], tuple[list[Item], int]]] = {
    "expression": _expression,
    "label": _label,
    "grouping": _grouping,
    "value": _value,
    "duration": _duration,
}


@page("telemetry.view")
def explore_csv(request: PageRequest) -> HttpResponse:
    """GET ?query=...&query=...&start=&end=: a row for each step, a column for each series, UTF-8 with a mark."""
    check(request.actor, "telemetry.view")
    queries = [each.strip() for each in request.GET.getlist("query")[:MOST_QUERIES] if each.strip()]
    if not queries:
        raise Invalid("query.empty", _("Write a PromQL expression."), field="query")
    start, end = span(request)
    text = table([telemetry_reads.columns(each, start, end, points=MAX_POINTS, limit=MOST_LINES) for each in queries])
    name = f"metrics-{timezone.now():%Y%m%d-%H%M%S}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)


def table(answers: Sequence[telemetry_reads.Columns]) -> str:
    """Write answers over one grid as CSV; no heading is taken for a formula, numbers stay numbers. Pure."""
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out)
    times = next((answer.times for answer in answers if answer.times), [])
    lines: list[tuple[str, list[float | None]]] = []
    for letter, answer in zip("ABCDEFGHIJ", answers, strict=False):
        prefix = f"{letter}: " if len(answers) > 1 else ""
        lines += [(prefix + telemetry_reads.full_name(line["labels"]), line["values"]) for line in answer.series]
    writer.writerow(["time", *(guarded(name) for name, _values in lines)])
    for at, ms in enumerate(times):
        cells = [values[at] if at < len(values) else None for _name, values in lines]
        writer.writerow(
            [datetime.fromtimestamp(ms / 1000, UTC).isoformat(), *("" if each is None else each for each in cells)]
        )
    return out.getvalue()
