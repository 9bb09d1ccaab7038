"""Deliver: the gate. May this service be deployed to now, why not, what it answered, its rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.changes import control_reads, gate, gate_actions, gate_reads
from tongchou.core.access import allows, allows_anywhere, team_names
from tongchou.core.problems import Invalid, NotFound, Problem
from tongchou.inventory import reads as inventory_reads
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import resolve

SHOWN = 50
DAYS = 30
MOST_SERVICES = 500
CRITICALITIES = ("critical", "high", "medium", "low")


@page(control_reads.VIEW)
def deploy_gate(request: PageRequest) -> HttpResponse:
    """The gate: `?service=` and `?environment=` ask it, without keeping the answer."""
    service = request.GET.get("service", "").strip()[:253]
    environment = request.GET.get("environment", "").strip()[:80]
    answer: dict[str, Any] = {}
    if service:
        _row, verdict = gate_reads.look(service=service, environment=environment)
        links = resolve(gate.because_of(each) for each in verdict.reasons if each.ref)
        answer = {
            "verdict": verdict,
            "reasons": [
                {
                    "weight": each.weight,
                    "text": gate.in_words(each.as_json()),
                    "remedy": gate.remedy_of(each.as_json()),
                    "link": links.get(gate.because_of(each)),
                }
                for each in verdict.reasons
            ],
        }
    rows = list(gate_reads.answers(request.actor)[:SHOWN])
    services = inventory_reads.visible(request.actor).filter(kind="service").order_by("name")
    context = {
        "service": service,
        "environment": environment,
        "answer": answer,
        "answers": [
            {"row": each, "why": [gate.in_words(reason) for reason in each.reasons if reason["weight"] == gate.DENY]}
            for each in rows
        ],
        "shares": gate_reads.shares(request.actor, timezone.now() - timedelta(days=DAYS)),
        "rules": gate_reads.rules(request.actor),
        "services": list(services.values_list("name", flat=True)[:MOST_SERVICES]),
        "teams": team_names(request.actor),
        "criticalities": CRITICALITIES,
        "may_break": allows_anywhere(request.actor, control_reads.EDIT),
        "may_manage": allows(request.actor, gate_actions.MANAGE),
    }
    return render(request, "deliver/gate.html", context)


@page(control_reads.EDIT)
@require_POST
def deploy_gate_break(request: PageRequest) -> HttpResponse:
    """Let deployments of a service pass for some minutes; leads to the emergency change that was made."""
    minutes = request.POST.get("minutes", "60")
    try:
        made = gate_actions.break_glass(
            actor=request.actor,
            service=request.POST.get("service", ""),
            reason=request.POST.get("reason", ""),
            minutes=int(minutes) if minutes.isascii() and minutes.isdecimal() and len(minutes) < 6 else 0,
            environment=request.POST.get("environment", ""),
        )
    except (Invalid, NotFound) as problem:
        messages.error(request, _told(problem))
        return redirect("web:deploy-gate")
    messages.warning(request, _("Deployments of this service pass until the window of the change ends."))
    return redirect("web:change", number=made.number)


@page(gate_actions.MANAGE)
@require_POST
def deploy_gate_rule(request: PageRequest) -> HttpResponse:
    """Make a rule, or replace what the rule of this name says."""
    form = request.POST
    try:
        gate_actions.put_rule(
            actor=request.actor,
            name=form.get("name", ""),
            position=int(_number(form.get("position", "100"), "position")),
            environment=form.get("environment", ""),
            criticality=form.get("criticality", ""),
            team=control_reads.team_called(form.get("team", "")),
            needs_change="needs_change" in form,
            needs_window="needs_window" in form,
            least_budget=_number(form.get("least_budget", "0"), "least_budget") / 100,
            warn_budget=_number(form.get("warn_budget", "25"), "warn_budget") / 100,
        )
    except Invalid as problem:
        messages.error(request, _told(problem))
    else:
        messages.success(request, _("Saved."))
    return redirect("web:deploy-gate")


@page(gate_actions.MANAGE)
@require_POST
def deploy_gate_rule_remove(request: PageRequest, rule_id: UUID) -> HttpResponse:
    """Remove a rule; the ledger keeps what it said."""
    row = gate_reads.rule(request.actor, rule_id)
    if row is not None:
        gate_actions.remove_rule(actor=request.actor, row=row)
        messages.success(request, _("The rule is removed. The ledger keeps what it said."))
    return redirect("web:deploy-gate")


def _number(text: str, field: str) -> float:
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = -1.0
    if not 0 <= found <= 10_000:  # NaN and infinity, too
        raise Invalid("change.field", _("A number is wanted."), field=field, value=text[:20])
    return found


def _told(problem: Problem) -> str:
    return " ".join(str(each) for each in (problem.detail, problem.remedy) if each)
