"""The access review: who can do what, where it comes from, whether it is used; each line is confirmed or taken away."""

from __future__ import annotations

import csv
import io
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import access_review, settings_store
from tongchou.core.access import allows
from tongchou.core.lists.export import guarded
from tongchou.core.problems import Conflict, NotFound
from tongchou.web.gate import PageRequest, page

PAGE_LINES = 100
EXPORT_LINES = 20_000
COLUMNS = (
    "account",
    "kind",
    "owner",
    "role",
    "team",
    "source",
    "group",
    "last_sign_in",
    "last_used_token",
    "live_tokens",
    "second_factor",
    "unused",
    "reviewed_at",
    "reviewed_by",
)


@page("access.view")
def people_review(request: PageRequest) -> HttpResponse:
    """The lines, by account; `format=csv` exports them all; `show=open` leaves out what was reviewed."""
    show = request.GET.get("show", "all")
    rows = access_review.rows(active=show != "kept-out")
    if show == "open":
        rows = rows.filter(reviewed_at=None)
    if request.GET.get("format") == "csv":
        return _csv(access_review.lines(rows[:EXPORT_LINES]))
    listed = Paginator(rows, PAGE_LINES).get_page(request.GET.get("page"))
    context = {
        "page": listed,
        "lines": access_review.lines(listed.object_list),
        "show": show,
        "days": settings_store.get("sign_in.unused_days", 90),
        "may_edit": allows(request.actor, "access.manage"),
        "tab": "review",
    }
    return render(request, "access/review.html", context)


@page("access.manage")
@require_POST
def people_review_act(request: PageRequest, membership_id: UUID, act: str) -> HttpResponse:
    """Confirm one line, or take its role away."""
    row = access_review.find(membership_id)
    try:
        if act == "confirm":
            access_review.confirm(actor=request.actor, membership=row)
        elif act == "withdraw":
            access_review.withdraw(actor=request.actor, membership=row)
        else:
            raise NotFound("review.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    except Conflict as problem:
        messages.error(request, " ".join(str(each) for each in (problem.detail, problem.remedy) if each))
    else:
        messages.success(request, _("The review is written down."))
    return redirect("web:people-review")


def _csv(lines: list[access_review.Line]) -> HttpResponse:
    out = io.StringIO()
    out.write("\ufeff")  # so that Excel reads Chinese
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for each in lines:
        held, user = each.membership, each.user
        owner = user.owner or user.owner_team
        moments = [moment.isoformat() if moment else "" for moment in (each.last_sign_in, each.last_token)]
        cells: list[object] = [user.username, "service" if user.is_service else "person", owner or "", held.role]
        cells += [held.team or "*", held.source, held.source_group, *moments, each.live_tokens]
        cells += ["yes" if each.second_factor else "no", "yes" if each.unused else "no"]
        cells += [held.reviewed_at.isoformat() if held.reviewed_at else "", held.reviewed_by_name]
        writer.writerow([guarded(cell) for cell in cells])
    name = f"access-{timezone.now():%Y%m%d-%H%M}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)
