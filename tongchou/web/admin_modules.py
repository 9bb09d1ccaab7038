"""Administration: parts of the platform that are switched on and off."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import modules
from tongchou.core.access import allows, check
from tongchou.core.models import SettingChange
from tongchou.core.problems import Conflict
from tongchou.web.gate import PageRequest, page

CHANGES = 20


def _context(request: PageRequest, problem: Conflict | None = None) -> dict[str, Any]:
    titles = {each.name: each.title for each in modules.known()}
    rows = [
        {"module": each, "on": each.name not in modules.off(), "needs": [titles[name] for name in each.needs]}
        for each in modules.known()
    ]
    return {
        "rows": rows,
        "problem": problem,
        "changes": SettingChange.objects.filter(key=modules.OFF).order_by("-pk")[:CHANGES],
        "may_manage": allows(request.actor, "platform.manage"),
    }


@page("platform.view")
def module_list(request: PageRequest) -> HttpResponse:
    """What can be switched off, what is, and who switched it."""
    check(request.actor, "platform.view")  # the installation has no owner: a team's role does not open it
    return render(request, "admin/modules.html", _context(request))


@page("platform.manage")
@require_POST
def module_switch(request: PageRequest, name: str) -> HttpResponse:
    """Switch one part; a refusal (another part needs it) is shown on the list."""
    try:
        changed = modules.switch(actor=request.actor, name=name, on=request.POST.get("on") == "true")
    except Conflict as problem:
        return render(request, "admin/modules.html", _context(request, problem), status=problem.status)
    if changed:
        messages.success(request, _("Switched. Other processes follow within seconds."))
    return redirect("web:modules")
