"""Administration: how much room data takes and how long it lasts, how long each class is kept, backups."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import retention, settings_store
from tongchou.core import storage as room
from tongchou.core.access import allows, check
from tongchou.core.backup import actions
from tongchou.core.models_backups import Backup
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.web.gate import PageRequest, page

SHOWN_BACKUPS = 30


@page("storage.view")
def storage(request: PageRequest) -> HttpResponse:
    """Bytes by class with growth and days left; what is kept how long; backups for who may manage them."""
    check(request.actor, "storage.view")  # room has no owner: a team's role does not open it
    may_backup = allows(request.actor, actions.MANAGE)
    kept = []
    for each in retention.classes():
        rows, size = each.size()
        days = int(settings_store.get(each.days_key, each.default_days))
        most = int(settings_store.get(each.size_key, 0)) if each.shrink is not None else 0
        kept.append({"class": each, "rows": rows, "bytes": size, "days": days, "most": most * 1_000_000})
    backups = list(Backup.objects.order_by("-created_at")[:SHOWN_BACKUPS]) if may_backup else []
    context = {
        "figures": room.figures(),
        "kept": kept,
        "backups": backups,
        "busy": any(each.state in actions.OPEN for each in backups),
        "folder": actions.folder() if may_backup else "",
        "times": settings_store.get("backup.times"),
        "last": actions.last_good() if may_backup else None,
        "may_backup": may_backup,
        "may_edit": allows(request.actor, "settings.edit"),
    }
    template = "admin/storage_backups.html" if request.GET.get("part") == "backups" else "admin/storage.html"
    return render(request, template, context)


@page("storage.view")
def storage_preview(request: PageRequest, name: str) -> HttpResponse:
    """What would be deleted of one class, now or with other `days`; nothing is."""
    check(request.actor, "storage.view")
    text = request.GET.get("days", "")
    if text and not (text.isdecimal() and len(text) < 6):
        raise Invalid(
            "retention.days",
            _("A number of days is wanted."),
            field="days",
            value=text,
            remedy=_("Use a whole number; 0 keeps for good."),
        )
    found = retention.find(name)
    before, preview = retention.preview(found, actor=request.actor, days=int(text) if text else None)
    days = int(text) if text else int(settings_store.get(found.days_key, found.default_days))
    context = {"class": found, "before": before, "preview": preview, "days": days, "now": timezone.now()}
    return render(request, "admin/storage_preview.html", context)


@page("backups.manage")
@require_POST
def storage_backup(request: PageRequest) -> HttpResponse:
    """Begin a backup now."""
    try:
        actions.request(actor=request.actor)
        messages.success(request, _("The backup has begun."))
    except Conflict as problem:
        messages.warning(request, str(problem.detail))
    return redirect("web:storage")


@page("backups.manage")
@require_POST
def storage_verify(request: PageRequest, backup_id: UUID) -> HttpResponse:
    """Begin to read a backup whole."""
    row = Backup.objects.filter(pk=backup_id).first()
    if row is None:
        raise NotFound("backup.unknown", _("There is no such backup."), remedy=_("Reload the page."))
    actions.request_verify(actor=request.actor, backup=row)
    messages.success(request, _("The backup is being checked."))
    return redirect("web:storage")
