"""Plan: what ends and when, a month at a time; and how complete the inventory is."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from tongchou.core.access import check_anywhere
from tongchou.inventory import completeness, end_of_life, expiries, kinds, reads
from tongchou.inventory.completeness import Score
from tongchou.inventory.models_queues import QueueItem, QueueName
from tongchou.inventory.truth import settings_of_now
from tongchou.web.gate import PageRequest, page

MOST_SHOWN = 500


def month_of(text: str) -> date:
    """Return the first day of the month an address names ("2026-11"), of this one when it names none."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return timezone.localdate().replace(day=1)


def _weeks(first: date, counts: dict[date, int]) -> list[list[dict[str, Any] | None]]:
    """The days of a month by weeks, Monday first; a place of another month is None."""
    days = [first + timedelta(days=n) for n in range(monthrange(first.year, first.month)[1])]
    cells: list[dict[str, Any] | None] = [None] * first.weekday()
    cells += [{"day": day, "count": counts.get(day, 0)} for day in days]
    cells += [None] * (-len(cells) % 7)
    return [cells[n : n + 7] for n in range(0, len(cells), 7)]


def _shown(row: QueueItem) -> dict[str, Any]:
    sort = str(row.facts.get("sort", "other"))
    return {"row": row, "sort": end_of_life.TITLES.get(sort, sort), "what": expiries.what_of(row)}


@page("inventory.view")
def ends(request: PageRequest) -> HttpResponse:
    """The calendar of ends: a month with its list, per sort."""
    check_anywhere(request.actor, reads.VIEW)
    first = month_of(request.GET.get("month", ""))
    last = first.replace(day=monthrange(first.year, first.month)[1])
    asked = request.GET.get("sort", "")
    sort = asked if asked in end_of_life.TITLES else ""
    rows = expiries.known_ends(request.actor, sort=sort)
    counts = expiries.by_day(rows, first, last)
    within = rows.filter(due__gte=first, due__lte=last).select_related("resource__owner").order_by("due", "id")
    today = timezone.localdate()
    context = {
        "first": first,
        "before": f"{first - timedelta(days=1):%Y-%m}",
        "after": f"{last + timedelta(days=1):%Y-%m}",
        "weeks": _weeks(first, counts),
        "letters": [first - timedelta(days=first.weekday()) + timedelta(days=n) for n in range(7)],
        "today": today,
        "yesterday": today - timedelta(days=1),
        "rows": [_shown(row) for row in within[:MOST_SHOWN]],
        "more": sum(counts.values()) > MOST_SHOWN,
        "total": sum(counts.values()),
        "sorts": list(end_of_life.TITLES.items()),
        "sort": sort,
        "overdue": rows.filter(due__lt=today).count(),
        "unknown": rows.filter(due__isnull=True).count(),
        "pack": end_of_life.pack(),
    }
    return render(request, "plan/expiries.html", context)


def _line(grouping: str, each: Score, label: str) -> dict[str, Any]:
    narrow = {
        "kind": {"kind": each.name},
        "team": {"owner": each.name} if each.name else {"owner.empty": "1"},
        "site": {"label": f"{label}={each.name}"},
    }[grouping]
    lacks = [
        {
            "count": each.lacking[aspect],
            "url": f"{reverse('web:queues')}?{urlencode({'queue': aspect.value, **narrow})}",
        }
        for aspect in completeness.ASPECTS
    ]
    title = kinds.kind(each.name).title if grouping == "kind" else each.name
    percent = None if each.score is None else round(100 * each.score)
    return {"name": title, "total": each.total, "percent": percent, "lacks": lacks}


@page("inventory.view")
def complete(request: PageRequest) -> HttpResponse:
    """The scores by kind, team and site, each number with the list behind it."""
    check_anywhere(request.actor, reads.VIEW)
    found = completeness.scores(request.actor)
    label = settings_of_now().site_label
    [whole] = found["all"]
    context = {
        "whole": _line("kind", whole, label),
        "groups": [(by, [_line(by, each, label) for each in found[by]]) for by in completeness.GROUPINGS],
        "aspects": [QueueName(each).label for each in completeness.ASPECTS],
        "site_label": label,
    }
    return render(request, "plan/completeness.html", context)
