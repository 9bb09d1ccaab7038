"""Operate: objectives. How much of each error budget is left, how fast it goes, what fires because of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.alerting.models import Objective
from tongchou.alerting.slo import reads, rules
from tongchou.alerting.slo.budget import allowed_seconds
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import localized

PAGE = 200
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


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio * 100:.6g} %"


def _shown(row: Objective, budget: dict[str, Any] | None) -> dict[str, Any]:
    left = None if budget is None else budget["left_ratio"]
    return {
        "row": row,
        "title": localized(row.title, row.name),
        "budget": budget,
        "tone": tone_of(budget),
        "words": words_of(budget),
        "left_percent": None if left is None else f"{left * 100:.1f} %",
        "bar": 0 if left is None else max(0, min(100, round(left * 100))),
        "good": _percent(None if budget is None else budget["good_ratio"]),
        "target": _percent(row.target),
    }


@page("alerting.view")
def slos(request: PageRequest) -> HttpResponse:
    """Every objective with what was measured last."""
    rows = list(reads.objectives()[:PAGE])
    firing = reads.firing([row.name for row in rows])
    context = {
        "rows": [
            _shown(row, row.measured.get("budget"))
            | {
                "firing": firing[row.name],
                "burns": row.measured.get("burns", []),
                "error": row.measured.get("error", ""),
            }
            for row in rows
        ]
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
    context = _shown(row, measured.get("budget")) | {
        "ref": ref(row),
        "burns": measured.get("burns", []),
        "error": error,
        "firing": reads.firing([name])[name],
        "rule_file": rules.file_name(name),
        "allowed_seconds": allowed_seconds(row.target, row.window_seconds),
        "covered": _percent(round(measured["budget"]["covered"], 3)) if measured else "",
        # as text: a language's thousands separators are no part of a time
        "from_ms": str(round((now - timedelta(seconds=row.window_seconds)).timestamp() * 1000)),
        "to_ms": str(round(now.timestamp() * 1000)),
        "now": now,
    }
    return render(request, "operate/slo.html", context)


@page("alerting.view")
def slo_burn_down(request: PageRequest, name: str) -> JsonResponse:
    """What the chart of the burn-down reads: the share of the budget that was left, over the window that ends now."""
    row = reads.get(name)
    points = reads.points(reads.spec_of(row), timezone.now())
    known = any(point.left_ratio is not None for point in points)
    series = [{"name": _("Budget left"), "labels": {}, "values": [point.left_ratio for point in points]}]
    body = {
        "times": [point.at_ms for point in points] if known else [],
        "series": series if known else [],
        "dropped": 0,
        "step": reads.slice_seconds(row.window_seconds),
        "marks": [],
    }
    return JsonResponse(body, headers={"Cache-Control": "no-store"})
