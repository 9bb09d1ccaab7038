"""Operate: an objective in a form, measured before it is put in force."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.alerting.durations import format_seconds, parse_seconds
from tongchou.alerting.slo import actions, reads, rules
from tongchou.alerting.slo.spec import PLACE, Spec
from tongchou.core.access import check
from tongchou.core.problems import Invalid, Problem
from tongchou.web import field_forms
from tongchou.web.gate import PageRequest, page
from tongchou.web.operate_slo import outlook_of, tone_of, words_of

NEW = {
    "name": "",
    "title_en": "",
    "title_zh": "",
    "service": "",
    "error_query": f'sum(increase(http_requests_total{{service="shop",code=~"5.."}}[{PLACE}])) or vector(0)',
    "total_query": f'sum(increase(http_requests_total{{service="shop"}}[{PLACE}]))',
    "target": "99.9",
    "window": "30d",
    "min_events": "100",
    "min_errors": "3",
}


def _given(spec: Spec) -> dict[str, str]:
    """The fields of the form for an objective there is."""
    return {
        "name": spec.name,
        "title_en": spec.title.get("en", ""),
        "title_zh": spec.title.get("zh", ""),
        "service": spec.service,
        "error_query": spec.error_query,
        "total_query": spec.total_query,
        "target": f"{spec.target * 100:.12g}",
        "window": format_seconds(spec.window_seconds),
        "min_events": str(spec.min_events),
        "min_errors": str(spec.min_errors),
    }


def _number(given: dict[str, str], name: str) -> float:
    try:
        return float(given[name])
    except ValueError:
        raise Invalid("slo.number", _("A number is wanted."), field=name, value=given[name][:60]) from None


def _whole(given: dict[str, str], name: str) -> int:
    if not given[name].isdecimal() or len(given[name]) > 9:
        raise Invalid("slo.number", _("A whole number is wanted."), field=name, value=given[name][:60])
    return int(given[name])


def _spec(given: dict[str, str]) -> Spec:
    """The objective the form says. Raises Invalid."""
    try:
        window = parse_seconds(given["window"])
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "slo.window", str(error), field="window", value=given["window"][:60], remedy=_("Write 30d or 12h.")
        ) from None
    title = {key: given[f"title_{key}"] for key in ("en", "zh") if given[f"title_{key}"]}
    return Spec(
        name=given["name"],
        title=title,
        service=given["service"],
        error_query=given["error_query"],
        total_query=given["total_query"],
        target=round(_number(given, "target") / 100, 12),
        window_seconds=int(window),
        min_events=_whole(given, "min_events"),
        min_errors=_whole(given, "min_errors"),
    )


def _trial(spec: Spec) -> dict[str, Any]:
    """What the objective would say now. Raises Problem."""
    actions.check_spec(spec)
    found = reads.measure(spec, timezone.now()).as_json()
    return {
        "tone": tone_of(found["budget"]),
        "words": words_of(found["budget"]),
        "outlook": "" if found["budget"]["left"] is None else outlook_of(found["forecast"]),
        "budget": found["budget"],
        "covered": f"{found['budget']['covered'] * 100:.3g} %",
        "rules": rules.text(spec),
    }


@page("alerting.edit")
def slo_form(request: PageRequest, name: str = "") -> HttpResponse:
    """Write an objective, try it, put it in force, or delete the one there is."""
    check(request.actor, "alerting.edit")  # trying one reads metrics, which have no owner
    row = reads.get(name) if name else None
    given = _given(reads.spec_of(row)) if row else dict(NEW)
    context: dict[str, Any] = {"row": row}
    if request.method == "POST":
        if "delete" in request.POST and row is not None:
            actions.delete_objective(actor=request.actor, name=name)
            messages.success(request, _("The objective and its rules are deleted; its alerts are resolved."))
            return redirect("web:slos")
        given = {key: request.POST.get(key, "").strip() for key in NEW} | ({"name": name} if name else {})
        try:
            spec = _spec(given)
            if "try" not in request.POST:
                with transaction.atomic():
                    kept = actions.put_objective(actor=request.actor, spec=spec)
                    field_forms.save(request.actor, kept, request.POST, new=row is None)
                messages.success(request, _("The objective is in force, with its burn-rate rules."))
                return redirect("web:slo", name=kept.name)
            context["trial"] = _trial(spec)
        except Problem as problem:
            context["problem"] = problem
    told: dict[str, Any] = {
        "post": request.POST if request.method == "POST" else None,
        "problem": context.get("problem"),
    }
    context["cf_form"] = (
        field_forms.of_row(request.actor, row, **told)
        if row
        else field_forms.of_new(request.actor, "alerting.objective", **told)
    )
    status = 422 if "problem" in context else 200
    return render(request, "operate/slo_form.html", context | {"given": given}, status=status)
