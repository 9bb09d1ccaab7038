"""Plan: where the inventory comes from. Sources, how their last look went, and adding one."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from tongchou.core.access import allows, check
from tongchou.core.problems import Invalid, Problem
from tongchou.inventory import sources
from tongchou.inventory.models import SourceConfig
from tongchou.web.gate import PageRequest, page


def _context(request: PageRequest, **more: Any) -> dict[str, Any]:
    return {
        "rows": SourceConfig.objects.order_by("name"),
        "kinds": sorted(sources.source_kinds()),
        "may_edit": allows(request.actor, "inventory.manage_sources"),
        "form": {
            "settings": '{\n  "url": "http://discovery.example:8000/targets"\n}',
            "interval": "60",
            "kind": "http_sd",
        },
        **more,
    }


@page("inventory.view")
def resource_sources(request: PageRequest) -> HttpResponse:
    """The sources; POST adds or changes one."""
    check(request.actor, "inventory.view")  # a source has no owner: a team's role does not open it
    if request.method != "POST":
        return render(request, "plan/sources.html", _context(request))
    post = request.POST
    form = {key: post.get(key, "").strip() for key in ("name", "kind", "settings", "interval")}
    try:
        settings = json.loads(form["settings"] or "{}")
        if not isinstance(settings, dict):
            raise Invalid("source.settings", _("The settings are a JSON object."), field="settings")
        interval = float(form["interval"] or 60)
        wanted = sources.Wanted(kind=form["kind"], settings=settings, interval_seconds=interval, enabled=True)
        sources.configure_source(actor=request.actor, name=form["name"], wanted=wanted)
    except ValueError as error:
        return render(request, "plan/sources.html", _context(request, form=form, error=str(error)), status=422)
    except Problem as problem:
        if problem.status not in (409, 422):
            raise
        return render(
            request,
            "plan/sources.html",
            _context(request, form=form, error=problem.detail, remedy=problem.remedy),
            status=problem.status,
        )
    messages.success(request, _("The source is saved. Its first look begins now."))
    return redirect("web:resource-sources")


@page("inventory.manage_sources")
@require_POST
def resource_source_act(request: PageRequest, name: str) -> HttpResponse:
    """Look now, switch on or off, or delete (`do` = run | enable | disable | delete)."""
    row = sources.get_source(name)
    act = request.POST.get("do", "")
    if act == "run":
        plan = sources.run_source(actor=request.actor, source=row)
        count = len(plan.seen)
        text = ngettext("Looked: %(count)d resource seen.", "Looked: %(count)d resources seen.", count) % {
            "count": count
        }
        messages.success(request, text)
    elif act in ("enable", "disable"):
        sources.configure_source(actor=request.actor, name=name, wanted=sources.Wanted(enabled=act == "enable"))
        messages.success(request, _("Saved."))
    elif act == "delete":
        sources.delete_source(actor=request.actor, source=row)
        messages.success(request, _("The source is deleted. What only it knew is marked as gone."))
    return redirect("web:resource-sources")
