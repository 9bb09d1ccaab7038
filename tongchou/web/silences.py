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
from tongchou.alerting.durations import parse_seconds
from tongchou.alerting.models import SilenceState
from tongchou.core.access import allows
from tongchou.core.problems import Invalid, NotFound, Problem
from tongchou.web.gate import PageRequest, page
from tongchou.web.tables.batch_pages import importing

PAGE = 200
LASTS = ("30m", "1h", "2h", "4h", "8h", "1d", "3d", "1w")
LONGER = ("1h", "4h", "1d", "1w")
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
    text = request.GET.get("matchers", "")[:MAX_TEXT]
    context = _listed() | {
        "text": text,
        "comment": request.GET.get("comment", "")[: silences.MAX_COMMENT],
        "lasts": "2h",
        "may_respond": allows(request.actor, "alerting.respond"),
        "importing": importing(request, "alerting.silence"),
    }
    return render(request, "operate/silences.html", context | _preview_of(request, context, text))


def _listed() -> dict[str, Any]:
    """The silences with their states and how many alerts each holds, those that have ended last."""
    now = timezone.now()
    found = list(silences.silences(now=now)[:PAGE])
    held = silences.held_by(found)
    rows = [{"row": row, "state": row.state_at(now), "held": held[row.pk]} for row in found]
    rows.sort(key=lambda each: each["state"] == SilenceState.EXPIRED)
    return {"rows": rows, "choices": LASTS, "longer": LONGER}


def _duration(request: PageRequest, name: str, default: str = "") -> timedelta:
    """A Prometheus duration out of the form; raises Invalid naming the field."""
    given = request.POST.get(name, "").strip() or default
    try:
        return timedelta(seconds=parse_seconds(given))
    except (ValueError, OverflowError):
        raise Invalid(
            "silence.duration",
            _("A duration is wanted."),
            field=name,
            value=given[:60],
            remedy=_("Write e.g. 90m, 2h or 3d."),
        ) from None


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
    try:
        starts_at = timezone.now() + _duration(request, "starts_in", "0s")
        silences.create_silence(
            actor=request.actor,
            matchers=matching.parse(text),
            starts_at=starts_at,
            ends_at=starts_at + _duration(request, "lasts"),
            comment=comment,
        )
    except Invalid as problem:
        context = _listed() | {
            "text": text,
            "comment": comment,
            "lasts": request.POST.get("lasts", ""),
            "starts_in": request.POST.get("starts_in", ""),
            "may_respond": True,
        }
        return render(request, "operate/silences.html", context | {"problem": problem}, status=422)
    messages.success(request, _("The silence is made."))
    return redirect("web:silences")


@page("alerting.respond")
@require_POST
def silence_act(request: PageRequest, silence_id: UUID, act: str) -> HttpResponse:
    """End a silence now, or let it last longer."""
    if act == "expire":
        silences.expire_silence(actor=request.actor, silence_id=silence_id)
        messages.success(request, _("The silence has ended."))
    elif act == "extend":
        row = silences.silences().filter(pk=silence_id).first()
        if row is None:
            raise silences.unknown_silence(silence_id)
        longer = _duration(request, "longer", "1h")
        silences.extend_silence(actor=request.actor, silence_id=silence_id, ends_at=row.ends_at + longer)
        messages.success(request, _("The silence lasts longer now."))
    else:
        raise NotFound("silence.act", _("There is no such page."))
    return redirect("web:silences")
