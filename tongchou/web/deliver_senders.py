"""Deliver: who reports deployments, by which rules, what came of it; and all that is known of one deployment."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from tongchou.changes import actions, deployment, reads
from tongchou.changes.delivery_reasons import REASONS
from tongchou.changes.mapping import MAX_RULES, PATTERNS, RESULTS
from tongchou.changes.models import Deployment, DeploymentSource, SenderFormat
from tongchou.core import nouns
from tongchou.core.access import allows, check
from tongchou.core.problems import Conflict, Invalid
from tongchou.web.gate import PageRequest, page

MANAGE = "integrations.manage"
LINES = 100
SPARE_RULES = 2


def _hook(request: PageRequest, name: str) -> str:
    return request.build_absolute_uri(reverse("deployment-hook", args=[name]))


@page("changes.view")
def deployment_senders(request: PageRequest) -> HttpResponse:
    """The senders; POST makes one."""
    check(request.actor, "changes.view")  # a sender has no owner: a team's role does not open it
    if request.method != "POST":
        return _list(request)
    name, kind = request.POST.get("name", "").strip(), request.POST.get("format", "")
    try:
        if DeploymentSource.objects.filter(name=name).exists():
            raise Conflict("deployment_source.exists", _("There is a sender of this name."), field="name", value=name)
        wanted = actions.SenderWanted(secret=request.POST.get("secret", ""), format=kind)
        actions.configure_sender(actor=request.actor, name=name, wanted=wanted)
    except (Invalid, Conflict) as problem:
        return _list(request, problem=problem, name=name, kind=kind, status=problem.status)
    messages.success(request, _("The sender is set up. Below is what to enter in the tool."))
    return redirect("web:deployment-sender", name)


def _list(request: PageRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    context = {
        "rows": reads.sources(request.actor),
        "formats": SenderFormat.choices,
        "may_edit": allows(request.actor, MANAGE),
        **more,
    }
    return render(request, "deliver/senders.html", context, status=status)


@page("changes.view")
def deployment_sender(request: PageRequest, name: str) -> HttpResponse:
    """A sender: what to enter in its tool, its rules, its last deliveries; POST changes it."""
    row = reads.sender(request.actor, name)
    if request.method != "POST":
        return _sender(request, row, row.rules)
    rules = _posted_rules(request.POST)
    wanted = actions.SenderWanted(
        secret=request.POST.get("secret") or None,
        format=request.POST.get("format", ""),
        rules=rules,
        enabled=request.POST.get("enabled") == "1",
    )
    try:
        actions.configure_sender(actor=request.actor, name=row.name, wanted=wanted)
    except Invalid as problem:
        return _sender(request, row, rules, problem=problem, status=problem.status)
    messages.success(request, _("Saved."))
    return redirect("web:deployment-sender", row.name)


def _sender(
    request: PageRequest, row: DeploymentSource, rules: list[dict[str, Any]], *, status: int = 200, **more: Any
) -> HttpResponse:
    may_edit = allows(request.actor, MANAGE)
    lines = list(reads.deliveries(request.actor, row)[:LINES])
    spare: list[dict[str, Any]] = [{} for _each in range(min(SPARE_RULES, MAX_RULES - len(rules)))] if may_edit else []
    context = {
        "row": row,
        "hook": _hook(request, row.name),
        "formats": SenderFormat.choices,
        "rules": [*rules, *spare],
        "lines": [(each, str(REASONS.get(each.reason, each.reason))) for each in lines],
        "may_edit": may_edit,
        **more,
    }
    return render(request, "deliver/sender.html", context, status=status)


def _posted_rules(post: QueryDict) -> list[dict[str, Any]]:
    """The rows of the form that say anything, in their order."""
    fields = (*PATTERNS, *RESULTS)
    columns = [post.getlist(f"rule_{name}") for name in fields]
    ignores = set(post.getlist("rule_ignore"))
    rules: list[dict[str, Any]] = []
    for place in range(min(len(column) for column in columns)):
        rule: dict[str, Any] = {name: columns[at][place].strip() for at, name in enumerate(fields)}
        rule["ignore"] = str(place) in ignores
        if any(rule.values()):
            rules.append(rule)
    return rules


@page("changes.view")
@require_GET
def deployment_page(request: PageRequest, deployment_id: UUID) -> HttpResponse:
    """One deployment with what its sender told."""
    return _deployment(request, reads.deployment(request.actor, deployment_id))


def _deployment(request: PageRequest, row: Deployment, *, status: int = 200, **more: Any) -> HttpResponse:
    context = {
        "row": row,
        "lines": [(each, str(REASONS.get(each.reason, each.reason))) for each in row.deliveries.order_by("-id")[:20]],
        "may_edit": nouns.may_change(request.actor, row),
        **more,
    }
    return render(request, "deliver/deployment.html", context, status=status)


@page("changes.edit")
@require_POST
def deployment_mark(request: PageRequest, deployment_id: UUID) -> HttpResponse:
    """Say that it is unplanned work because of an incident, or take that back (`do` = mark | clear)."""
    row = reads.deployment(request.actor, deployment_id)
    unplanned = request.POST.get("do") != "clear"
    try:
        number = deployment.incident_number(request.POST.get("incident", "").strip()) if unplanned else None
        actions.mark_deployment(actor=request.actor, deployment=row, unplanned=unplanned, incident_number=number)
    except Invalid as problem:
        return _deployment(request, row, problem=problem, status=problem.status)
    messages.success(request, _("Saved."))
    return redirect("web:deployment", row.pk)
