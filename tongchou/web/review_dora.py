"""Review: DORA's five metrics per service, what each is made of, and the list as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from tongchou.assurance.dora import Five
from tongchou.assurance.dora_reads import WINDOWS, ServiceFive, dora
from tongchou.assurance.dora_words import METRICS, number_of, why
from tongchou.core.lists.export import guarded
from tongchou.core.problems import NotFound
from tongchou.web.gate import PageRequest, page
from tongchou.web.templatetags.ui import duration

BOM = "\ufeff"  # so that spreadsheets read it as UTF-8
SHOWN = 300


def _days(request: PageRequest) -> int:
    text = request.GET.get("days", "")
    return int(text) if text in {str(each) for each in WINDOWS} else 30


def _value(unit: str, value: float | None) -> str:
    """A number as people read it; n/a where there is none."""
    if value is None:
        return _("n/a")
    if unit == "s":
        return str(duration(value))
    if unit == "share":
        return f"{value * 100:.1f} %"
    if value and value < 1:
        return _("%(count)s a week") % {"count": f"{value * 7:.1f}"}
    return _("%(count)s a day") % {"count": f"{value:.1f}"}


def _cells(numbers: Five) -> list[dict[str, Any]]:
    found = []
    for metric, (title, unit) in METRICS.items():
        number = number_of(numbers, metric)
        shown = _value(unit, number.value)
        found.append({"title": title, "shown": shown, "why": why(metric, number), "none": number.value is None})
    return found


def _address(each: ServiceFive, days: int) -> str:
    return f"{reverse('web:dora-service')}?{urlencode({'service': each.key, 'days': days})}"


@page("changes.view")
@require_GET
def dora_page(request: PageRequest) -> HttpResponse:
    """The five of each service with a deployment to production, over 7, 30 or 90 days."""
    days = _days(request)
    found = dora(request.actor, days=days, now=timezone.now())
    context = {
        "days": days,
        "windows": WINDOWS,
        "titles": [title for title, _unit in METRICS.values()],
        "rows": [
            {"each": each, "url": _address(each, days), "cells": _cells(each.five), "young": _young(each)}
            for each in found[:SHOWN]
        ],
        "hidden": max(0, len(found) - SHOWN),
    }
    return render(request, "review/dora.html", context)


def _young(each: ServiceFive) -> bool:
    """Whether we know its deployments for a shorter time than the days asked for: frequency says too little then."""
    return each.since is not None and (timezone.now() - each.since).days < each.five.days


@page("changes.view")
@require_GET
def dora_service(request: PageRequest) -> HttpResponse:
    """One service: its five, and the deployments they are made of."""
    days, key = _days(request), request.GET.get("service", "")[:300]
    found = dora(request.actor, days=days, now=timezone.now(), key=key) if key else []
    if not found:
        raise NotFound("dora.service", _("There is no deployment of such a service."))
    each = found[0]
    context = {
        "each": each,
        "days": days,
        "windows": [(window, _address(each, window)) for window in WINDOWS],
        "cells": _cells(each.five),
        "rows": each.five.rows[:SHOWN],
        "hidden": max(0, len(each.five.rows) - SHOWN),
        "young": _young(each),
    }
    return render(request, "review/dora_service.html", context)


@page("changes.view")
@require_GET
def dora_export(request: PageRequest) -> HttpResponse:
    """The services as CSV; with `service` the deployments of one."""
    days, key = _days(request), request.GET.get("service", "")[:300]
    found = dora(request.actor, days=days, now=timezone.now(), key=key)
    lines = _of_one(found) if key else _of_all(found)
    out = io.StringIO()
    csv.writer(out).writerows([[guarded(cell) for cell in line] for line in lines])
    named = f"dora-{days}d-{timezone.now():%Y%m%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{named}"'}
    return HttpResponse(BOM + out.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _of_all(found: Sequence[ServiceFive]) -> Iterable[list[object]]:
    units = {"s": "seconds", "per_day": "per_day", "share": "share"}
    head = [f"{metric}_{units[unit]}" for metric, (_title, unit) in METRICS.items()]
    yield ["service", "days", "deployments", *head, *(f"{metric}_why" for metric in METRICS)]
    for each in found:
        numbers = {metric: number_of(each.five, metric) for metric in METRICS}
        values = ["" if number.value is None else round(number.value, 6) for number in numbers.values()]
        reasons = [why(metric, number) for metric, number in numbers.items()]
        yield [each.name, each.five.days, len(each.five.rows), *values, *reasons]


def _of_one(found: Sequence[ServiceFive]) -> Iterable[list[object]]:
    yield [
        *("service", "deployment", "at", "succeeded", "lead_times_seconds", "commits_without_time", "failed"),
        *("incidents", "recovery_seconds", "rework", "because_of"),
    ]
    for each in found:
        for row in each.five.rows:
            told = row.deployed
            yield [
                each.name,
                told.title,
                told.at.isoformat(),
                told.succeeded,
                " ".join(f"{lead:.0f}" for lead in row.lead_seconds),
                row.commits_untimed,
                row.failed,
                " ".join(f"INC-{blame.number}" for blame in told.blames),
                "" if row.recovery_seconds is None else round(row.recovery_seconds),
                row.rework,
                f"INC-{told.incident_number}" if told.incident_number else "",
            ]
