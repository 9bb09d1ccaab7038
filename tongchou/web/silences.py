"""Operate: silences. What they match is shown before they are made."""

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

from tongchou.alerting import matchers as matching
from tongchou.alerting import silences
from tongchou.alerting.models import SilenceState
from tongchou.core.access import allows
from tongchou.core.problems import Invalid, NotFound, Problem
from tongchou.web.gate import PageRequest, page

PAGE = 200
HOURS = (1, 2, 4, 8, 24, 72, 168)
MAX_TEXT = 10_000


def _preview(request: PageRequest, text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        found = silences.preview(actor=request.actor, matchers=matching.parse(text[:MAX_TEXT]), limit=50)
    except Problem as problem:
        return {"problem": problem}
    return {"preview": found}


@page("alerting.view")
def silence_list(request: PageRequest) -> HttpResponse:
    """Silences with their states, and the form of a new one, prefilled by `?matchers=`."""
    now = timezone.now()
    rows = [{"row": row, "state": row.state_at(now)} for row in silences.silences(now=now)[:PAGE]]
    rows.sort(key=lambda each: each["state"] == SilenceState.EXPIRED)
    text = request.GET.get("matchers", "")[:MAX_TEXT]
    context = {"rows": rows, "text": text, "may_respond": allows(request.actor, "alerting.respond"), "hours": HOURS}
    return render(request, "operate/silences.html", context | _preview_of(request, context, text))


def _preview_of(request: PageRequest, context: dict[str, Any], text: str) -> dict[str, Any]:
    return _preview(request, text) if context["may_respond"] else {}


@page("alerting.respond")
def silence_preview(request: PageRequest) -> HttpResponse:
    """What the matchers being written match now; a part of the page."""
    return render(request, "operate/silence_preview.html", _preview(request, request.GET.get("matchers", "")))


@page("alerting.respond")
@require_POST
def silence_create(request: PageRequest) -> HttpResponse:
    """Create a silence; a mistake is shown above the form, which keeps what was written."""
    text, comment = request.POST.get("matchers", "")[:MAX_TEXT], request.POST.get("comment", "")
    hours = request.POST.get("hours", "")
    try:
        if hours not in {str(each) for each in HOURS}:
            raise Invalid("silence.ends_at", _("Choose how long the silence lasts."), field="hours", value=hours)
        silences.create_silence(
            actor=request.actor,
            matchers=matching.parse(text),
            ends_at=timezone.now() + timedelta(hours=int(hours)),
            comment=comment,
        )
    except Invalid as problem:
        now = timezone.now()
        rows = [{"row": row, "state": row.state_at(now)} for row in silences.silences(now=now)[:PAGE]]
        context = {"rows": rows, "text": text, "comment": comment, "hours": HOURS, "may_respond": True}
        return render(request, "operate/silences.html", context | {"problem": problem}, status=422)
    messages.success(request, _("The silence is made."))
    return redirect("web:silences")


@page("alerting.respond")
@require_POST
def silence_act(request: PageRequest, silence_id: UUID, act: str) -> HttpResponse:
    """End a silence now, or let it last an hour longer."""
    if act == "expire":
        silences.expire_silence(actor=request.actor, silence_id=silence_id)
        messages.success(request, _("The silence has ended."))
    elif act == "extend":
        row = silences.silences().filter(pk=silence_id).first()
        if row is None:
            raise silences.unknown_silence(silence_id)
        silences.extend_silence(actor=request.actor, silence_id=silence_id, ends_at=row.ends_at + timedelta(hours=1))
        messages.success(request, _("The silence lasts an hour longer."))
    else:
        raise NotFound("silence.act", _("There is no such page."))
    return redirect("web:silences")
