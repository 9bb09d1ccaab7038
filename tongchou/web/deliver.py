"""Deliver: what was released, and what waits for somebody's consent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.changes import reads
from tongchou.core import approvals as consent
from tongchou.core.access import allows, check
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import NotFound
from tongchou.runbooks.models import Run
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import resolve

PAGE = 50


@page("changes.view")
def deployments(request: PageRequest) -> HttpResponse:
    """Releases as the tools reported them, the latest first."""
    service = request.GET.get("service", "").strip()[:253]
    found = reads.deployments(request.actor, service=service or None)
    chosen = request.GET.get("id", "")
    rows = list(found[:PAGE])
    context = {
        "rows": rows,
        "service": service,
        "chosen": chosen,
        "sources": reads.sources(request.actor) if allows(request.actor, "changes.view") else [],
        "may_manage": allows(request.actor, "integrations.manage"),
    }
    return render(request, "deliver/deployments.html", context)


def _described(request: PageRequest, row: Approval) -> dict[str, Any]:
    """An approval with everything its decider must see: exactly what would run, where, bound to which hash."""
    run = Run.objects.select_related("procedure", "version").prefetch_related("steps").filter(approval=row).first()
    own = row.requested_by_id is not None and row.requested_by_id == request.actor.user_id
    links = resolve([row.subject, *row.about])
    return {
        "row": row,
        "run": run,
        "steps": list(run.steps.all()) if run else [],
        "own": own,
        "subject": links[row.subject],
        "about": [links[each] for each in row.about if links[each].url],
        "may_decide": allows(request.actor, "approvals.decide"),
        "scope": sorted(row.scope.items()),
    }


@page("approvals.view")
def approvals(request: PageRequest) -> HttpResponse:
    """The inbox: what waits for a decision, and what was decided lately."""
    check(request.actor, "approvals.view")  # approvals have no owner: a team's role does not open the inbox
    state = request.GET.get("state", "pending")
    if state == "decided":
        rows = Approval.objects.exclude(state=ApprovalState.PENDING).order_by("-decided_at", "-requested_at")
    else:
        rows = consent.pending()
    listed = list(rows[:PAGE])
    chosen = next((each for each in listed if str(each.pk) == request.GET.get("id")), None)
    if chosen is None and _is_uuid(request.GET.get("id", "")):
        chosen = Approval.objects.filter(pk=request.GET["id"]).first()
    if chosen is None and listed:
        chosen = listed[0]
    context = {
        "state": state,
        "rows": listed,
        "pending": consent.pending().count(),
        "chosen": _described(request, chosen) if chosen else None,
    }
    if request.GET.get("part") == "live":
        return render(request, "deliver/approvals_live.html", context)
    return render(request, "deliver/approvals.html", context)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@page("approvals.view")
@require_POST
def approval_decide(request: PageRequest, approval_id: UUID) -> HttpResponse:
    """Approve, reject or take back (`do` = approve | reject | cancel) with a comment."""
    row = Approval.objects.filter(pk=approval_id).first()
    if row is None:
        raise NotFound("approval.unknown", _("There is no such request."), remedy=_("Open the inbox again."))
    act, comment = request.POST.get("do", ""), request.POST.get("comment", "").strip()
    if act == "approve":
        consent.approve(actor=request.actor, approval=row, comment=comment)
        messages.success(request, _("Approved."))
    elif act == "reject":
        consent.reject(actor=request.actor, approval=row, comment=comment)
        messages.success(request, _("Rejected."))
    elif act == "cancel":
        consent.cancel(actor=request.actor, approval=row, comment=comment)
        messages.success(request, _("The request is taken back."))
    run = Run.objects.filter(approval=row).first()
    if run is not None and act == "approve":
        return redirect("web:run", run_id=run.pk)
    return redirect("web:approvals")
