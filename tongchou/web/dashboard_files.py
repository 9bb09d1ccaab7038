"""Importing dashboards: a file or pasted JSON, what would become of it and what would not, then saving; exporting."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.core.access import check
from tongchou.core.problems import BadRequest, Problem, TooLarge
from tongchou.telemetry import dashboard_actions, dashboard_files, dashboard_reads
from tongchou.telemetry.dashboard_files import Loaded
from tongchou.web.gate import PageRequest, page

EDIT = "telemetry.edit"
WEIGHTS = (
    ("lost", gettext_lazy("Not taken over"), "critical"),
    ("changed", gettext_lazy("Taken over differently"), "warning"),
    ("look", gettext_lazy("Only how it looks"), ""),
)


@page(EDIT)
def dashboard_import(request: PageRequest) -> HttpResponse:
    """Read a file and show what it becomes; with `save` keep it. Nothing is written before that."""
    check(request.actor, EDIT)
    context: dict[str, Any] = {"most": dashboard_files.MAX_BYTES // 1_000_000}
    if request.method != "POST":
        return render(request, "operate/dashboard_import.html", context)
    try:
        text = _text(request)
        loaded = dashboard_files.load(text)
        if "save" in request.POST:
            return _save(request, loaded)
    except Problem as problem:
        context |= {"problem": problem, "text": request.POST.get("text", "")[: dashboard_files.MAX_BYTES]}
        return render(request, "operate/dashboard_import.html", context, status=problem.status)
    context |= _shown(loaded) | {"text": text}
    return render(request, "operate/dashboard_import.html", context)


def _text(request: PageRequest) -> str:
    file = request.FILES.get("file")
    if file is None:
        text = request.POST.get("text", "")
        if not text.strip():
            raise BadRequest("dashboard.no_file", gettext_lazy("Choose a file, or paste JSON."), field="file")
        return text
    if (file.size or 0) > dashboard_files.MAX_BYTES:
        raise TooLarge("dashboard.file_too_large", gettext_lazy("The file is too large."), field="file")
    try:
        content: str = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest("dashboard.no_json", gettext_lazy("The file is no text in UTF-8."), field="file") from error
    return content


def _shown(loaded: Loaded) -> dict[str, Any]:
    panels = list(loaded.made.definition.panels())
    kinds = sorted({each.kind for each in panels})
    groups = [
        {
            "title": title,
            "tone": tone,
            "weight": weight,
            "notes": [each for each in loaded.notes if each.weight == weight],
        }
        for weight, title, tone in WEIGHTS
    ]
    return {
        "made": loaded.made,
        "panel_count": len(panels),
        "kinds": [(kind, sum(1 for each in panels if each.kind == kind)) for kind in kinds],
        "groups": [each for each in groups if each["notes"]],
        "of_grafana": loaded.origin == "grafana",
    }


def _save(request: PageRequest, loaded: Loaded) -> HttpResponse:
    title = request.POST.get("title", "").strip()[:200]
    made = dashboard_actions.content(
        {
            "title": title or loaded.made.title,
            "folder": request.POST.get("folder", loaded.made.folder)[:100],
            "tags": list(loaded.made.tags),
            "description": loaded.made.description,
            "definition": loaded.made.definition.as_json(),
        }
    )
    note = _("imported from Grafana") if loaded.origin == "grafana" else _("imported from a file")
    row = dashboard_actions.create(actor=request.actor, made=made, origin=loaded.origin, note=note)
    messages.success(request, _("Imported with %(count)d panels.") % {"count": row.panel_count})
    return redirect("web:dashboard", name=row.name)


@page("telemetry.view")
def dashboard_export(request: PageRequest, name: str) -> HttpResponse:
    """A dashboard as a file; `?form=grafana`: as Grafana reads it."""
    check(request.actor, "telemetry.view")
    row = dashboard_reads.get(request.actor, name)
    form: dashboard_files.Form = "grafana" if request.GET.get("form") == "grafana" else "own"
    text = json.dumps(dashboard_files.dump(row, form), ensure_ascii=False, indent=2)
    file = f"{row.name}.grafana.json" if form == "grafana" else f"{row.name}.json"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    return HttpResponse(text, content_type="application/json", headers=headers)
