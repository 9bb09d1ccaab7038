"""Operate: objectives. How much of each error budget is left, how fast it goes, what fires because of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.alerting.models import Objective
from tongchou.alerting.slo import reads, rules
from tongchou.alerting.slo.budget import allowed_seconds
from tongchou.core.access import allows, allows_anywhere
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.incidents import reads as incident_reads
from tongchou.incidents.models import Incident
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import localized
from tongchou.web.tables.batch_pages import importing
from tongchou.web.templatetags.ui import duration

PAGE = 200
MAX_INCIDENTS = 12
LOW = 0.25  # a quarter of the budget left is worth a look


def tone_of(budget: dict[str, Any] | None) -> str:
    """Return the status word of a budget: no data is unknown, never good."""
    if budget is None or budget["left_ratio"] is None:
        return "unknown"
    if budget["left_ratio"] < 0:
        return "critical"
    return "warning" if budget["left_ratio"] < LOW else "ok"


def words_of(budget: dict[str, Any] | None) -> str:
    """Return what is left in words a person understands: so many errors."""
    if budget is None:
        return _("Not measured yet")
    if budget["left"] is None:
        return _("No data in this window")
    if budget["left"] < 0:
        return _("%(n)s errors too many") % {"n": f"{-budget['left']:,.0f}"}
    return _("%(n)s errors left") % {"n": f"{budget['left']:,.0f}"}


def outlook_of(forecast: dict[str, Any] | None) -> str:
    """Return when the budget is empty at the rate of late, in words; "" when nothing was foretold."""
    if not forecast:
        return ""
    last = duration(forecast["rate_seconds"])
    if forecast["state"] == "empties":
        facts = {"time": duration(forecast["empty_in_seconds"]), "last": last}
        return _("empty in %(time)s at the rate of the last %(last)s") % facts
    if forecast["state"] == "lasts":
        return _("lasts at the rate of the last %(last)s") % {"last": last}
    if forecast["state"] == "empty":
        return _("the budget is spent")
    return _("too few events in the last %(last)s for a forecast") % {"last": last}


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio * 100:.6g} %"


def _shown(row: Objective, measured: dict[str, Any]) -> dict[str, Any]:
    budget = measured.get("budget")
    left = None if budget is None else budget["left_ratio"]
    return {
        "row": row,
        "title": localized(row.title, row.name),
        "budget": budget,
        "tone": tone_of(budget),
        "words": words_of(budget),
        "left_percent": None if left is None else f"{left * 100:.1f} %",
        "bar": 0 if left is None else max(0, min(100, round(left * 100))),
        "counts": {
            key: "–" if not budget or budget[key] is None else f"{budget[key]:,.0f}"
            for key in ("events", "errors", "allowed")
        },
        "good": _percent(None if budget is None else budget["good_ratio"]),
        "target": _percent(row.target),
        "outlook": "" if left is None else outlook_of(measured.get("forecast")),
    }


@page("alerting.view")
def slos(request: PageRequest) -> HttpResponse:
    """Every objective with what was measured last."""
    rows = list(reads.objectives()[:PAGE])
    firing = reads.firing([row.name for row in rows])
    context = {
        "may_edit": allows(request.actor, "alerting.edit"),
        "importing": importing(request, "alerting.objective"),
        "rows": [
            _shown(row, row.measured)
            | {
                "firing": firing[row.name],
                "burns": row.measured.get("burns", []),
                "error": row.measured.get("error", ""),
            }
            for row in rows
        ],
    }
    part = request.GET.get("part") == "live"
    return render(request, "operate/slos_live.html" if part else "operate/slos.html", context)


@page("alerting.view")
def slo(request: PageRequest, name: str) -> HttpResponse:
    """One objective, measured now."""
    row = reads.get(name)
    now = timezone.now()
    error = ""
    try:
        measured = reads.measure(reads.spec_of(row), now).as_json()
    except Problem as problem:
        measured, error = {}, str(problem.detail)
    context = _shown(row, measured) | {
        "ref": ref(row),
        "may_edit": allows(request.actor, "alerting.edit"),
        "burns": measured.get("burns", []),
        "error": error,
        "firing": reads.firing([name])[name],
        "rule_file": rules.file_name(name),
        "allowed_seconds": allowed_seconds(row.target, row.window_seconds),
        "covered": _percent(round(measured["budget"]["covered"], 3)) if measured else "",
        "without": _without(measured),
        "excluded_seconds": measured.get("excluded_seconds", 0),
        # as text: a language's thousands separators are no part of a time
        "from_ms": str(round((now - timedelta(seconds=row.window_seconds)).timestamp() * 1000)),
        "to_ms": str(round(now.timestamp() * 1000)),
        "now": now,
        "incidents": _incidents(request, row, measured.get("budget"), now),
    }
    return render(request, "operate/slo.html", context)


def _without(measured: dict[str, Any]) -> str:
    """What is left of the budget when the windows of changes are left out; "" when there were none."""
    left = (measured.get("without") or {}).get("left_ratio")
    return "" if left is None else f"{left * 100:.1f} %"


def _of_service(request: PageRequest, row: Objective, now: datetime) -> list[Incident]:
    """The newest incidents about the objective's service that touch its window, among those the reader may see."""
    if not allows_anywhere(request.actor, "incidents.view"):
        return []
    since = now - timedelta(seconds=row.window_seconds)
    about = Q(groups__group__labels__service=row.service) | Q(groups__group__alerts__labels__service=row.service)
    touching = Q(resolved_at__isnull=True) | Q(resolved_at__gte=since)
    return list(incident_reads.visible(request.actor).filter(about, touching).distinct()[:MAX_INCIDENTS])


def _incidents(
    request: PageRequest, row: Objective, budget: dict[str, Any] | None, now: datetime
) -> list[dict[str, Any]]:
    """Incidents with the errors counted while each lasted, and the share of the budget that is."""
    found = []
    for each in _of_service(request, row, now):
        end = each.recovered_at or each.resolved_at or now
        try:
            errors = reads.errors_between(reads.spec_of(row), each.started_at, end)
        except Problem:
            errors = None
        allowed = budget["allowed"] if budget else None
        share = f"{errors / allowed * 100:.1f} %" if errors is not None and allowed else "–"
        found.append({"incident": each, "end": end, "errors": errors, "share": share})
    return found


@page("alerting.view")
def slo_burn_down(request: PageRequest, name: str) -> JsonResponse:
    """What the chart of the burn-down reads: the share of the budget that was left, over the window that ends now."""
    row = reads.get(name)
    now = timezone.now()
    points = reads.points(reads.spec_of(row), now)
    known = any(point.left_ratio is not None for point in points)
    series = [{"name": _("Budget left"), "labels": {}, "values": [point.left_ratio for point in points]}]
    body = {
        "times": [point.at_ms for point in points] if known else [],
        "series": series if known else [],
        "dropped": 0,
        "step": reads.slice_seconds(row.window_seconds),
        "marks": [
            {"at": round(each.started_at.timestamp() * 1000), "title": each.name, "verb": ""}
            for each in reversed(_of_service(request, row, now))
        ],
    }
    return JsonResponse(body, headers={"Cache-Control": "no-store"})
