"""Dashboards: the list, one of them, and what is done with it whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.core.access import allows, check
from tongchou.core.refs import ref
from tongchou.telemetry import dashboard_actions, dashboard_reads
from tongchou.telemetry.dashboards import definition, substitute, words
from tongchou.telemetry.dashboards.definition import Definition, Panel
from tongchou.telemetry.dashboards.offered import OFFERS, ORIGIN, offer
from tongchou.telemetry.models import Dashboard
from tongchou.web import markdown, telemetry_reads
from tongchou.web.gate import PageRequest, page
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register

EDIT = "telemetry.edit"


def _tags(row: Dashboard, _about: Mapping[str, Any]) -> str:
    return format_html_join(" ", '<span class="tag">{}</span>', ((each,) for each in row.tags))


LOOK = register(
    Look(
        "telemetry.dashboard",
        "web:dashboards",
        "title",
        url=lambda row: reverse("web:dashboard", args=[row.name]),
        cells={"tags": _tags},
        icon="layout-dashboard",
        empty=gettext_lazy("No dashboard yet"),
        hint=gettext_lazy(
            "A dashboard is a page of graphs, figures and tables over your metrics and logs. Make an empty one, or"
            " import what you have in Grafana."
        ),
    )
)


@page("telemetry.view")
def dashboards(request: PageRequest) -> HttpResponseBase:
    """The dashboards there are; `?undo=` offers to bring back the one just deleted."""
    check(request.actor, "telemetry.view")
    may_edit = allows(request.actor, EDIT)
    more = {"may_edit": may_edit, "gone": _gone(request) if may_edit else None, "offers": _offers() if may_edit else []}
    return show(request, LOOK, "operate/dashboards.html", more)


def _offers() -> list[dict[str, Any]]:
    """The dashboards that come with the platform and nobody added yet; those whose metrics arrive first."""
    there = set(
        Dashboard.objects.filter(deleted_at__isnull=True, origin__startswith=ORIGIN).values_list("origin", flat=True)
    )
    arriving = set(telemetry_reads.metric_names())
    found = [
        {
            "name": each.name,
            "title": each.title,
            "about": each.about,
            "needs": each.needs,
            "fits": each.needs in arriving,
        }
        for each in OFFERS
        if f"{ORIGIN}{each.name}" not in there
    ]
    return sorted(found, key=lambda each: not each["fits"])


@page(EDIT)
@require_POST
def dashboard_offered(request: PageRequest, name: str) -> HttpResponse:
    """Add a dashboard that comes with the platform, in the language spoken now, and open it."""
    check(request.actor, EDIT)
    found = offer(name)
    if found is None:
        raise dashboard_reads.missing(name)
    made = dashboard_actions.Content(str(found.title), found.make(), description=str(found.about))
    row = dashboard_actions.create(actor=request.actor, made=made, origin=f"{ORIGIN}{name}")
    return redirect("web:dashboard", name=row.name)


def _gone(request: PageRequest) -> Dashboard | None:
    try:
        id_ = UUID(request.GET.get("undo", ""))
    except ValueError:
        return None
    return Dashboard.objects.filter(pk=id_, deleted_at__isnull=False).defer("definition").first()


@page("telemetry.view")
def dashboard(request: PageRequest, name: str) -> HttpResponse:
    """One dashboard. What its panels show is asked for by the page once they come into view; `?kiosk=1`: no frame."""
    check(request.actor, "telemetry.view")
    row = dashboard_reads.get(request.actor, name)
    found = definition.parse(row.definition)
    may_edit = allows(request.actor, EDIT)
    undo = request.GET.get("undo", "")
    context = {
        "row": row,
        "editing": may_edit and request.GET.get("edit") == "1",
        "undo": undo if may_edit and undo.isascii() and undo.isdigit() and len(undo) < 8 else "",
        "ref": ref(row),
        "found": found,
        "rows": [_shown_row(each, found) for each in found.rows],
        "last_row": len(found.rows) - 1,
        "kiosk": request.GET.get("kiosk") == "1",
        "may_edit": may_edit,
        "may_marks": found.marks and allows(request.actor, "ledger.view"),
        "marks_off": request.GET.get("marks") == "0",
        "refreshes": REFRESHES,
        "has_variables": any(not each.hide and each.kind != "constant" for each in found.variables),
    }
    return render(request, "operate/dashboard.html", context)


REFRESHES = (
    (0, gettext_lazy("As the range suggests")),
    (5, gettext_lazy("Every 5 seconds")),
    (15, gettext_lazy("Every 15 seconds")),
    (60, gettext_lazy("Every minute")),
    (300, gettext_lazy("Every 5 minutes")),
    (86_400, gettext_lazy("Not by itself")),
)


def _shown_row(row: definition.Row, found: Definition) -> dict[str, Any]:
    return {"row": row, "panels": [shown_panel(each, found) for each in row.panels]}


def shown_panel(panel: Panel, found: Definition) -> dict[str, Any]:
    """Return what the template needs of a panel; a text without variables is there already."""
    known = {each.name for each in found.variables}
    still = panel.kind == "text" and not substitute.names_in(panel.title + panel.text) & known
    return {
        "panel": panel,
        "html": markdown.render(panel.text) if still else None,
        "about": {
            "kind": panel.kind,
            "draw": panel.draw,
            "stack": panel.stack,
            "unit": panel.unit,
            "decimals": panel.decimals,
            "min": panel.min,
            "max": panel.max,
            "reduce": panel.reduce,
            "thresholds": [[each.at, each.tone] for each in panel.thresholds],
            "names": [[each.least, each.most, each.text, each.tone] for each in panel.names],
        },
        "explore": [each.expr for each in panel.queries if panel.kind in words.QUERIED and not each.hidden],
    }


@page(EDIT)
@require_POST
def dashboard_act(request: PageRequest, name: str, act: str) -> HttpResponse:
    """Delete a dashboard: it can be brought back from the list that is shown then."""
    check(request.actor, EDIT)
    row = dashboard_reads.get(request.actor, name)
    if act == "delete":
        dashboard_actions.delete(actor=request.actor, dashboard=row)
        return redirect(f"{reverse('web:dashboards')}?undo={row.pk}")
    return redirect("web:dashboard", name=row.name)


@page(EDIT)
@require_POST
def dashboard_undelete(request: PageRequest, dashboard_id: UUID) -> HttpResponse:
    """Bring back a dashboard that was deleted."""
    row = dashboard_actions.undelete(actor=request.actor, dashboard_id=dashboard_id)
    messages.success(request, _("The dashboard %(title)s is back.") % {"title": row.title})
    return redirect("web:dashboard", name=row.name)


@page(EDIT)
@require_POST
def dashboard_new(request: PageRequest) -> HttpResponse:
    """Make an empty dashboard with the title that was given, and open it."""
    made = dashboard_actions.content({"title": request.POST.get("title", "")[:200]})
    row = dashboard_actions.create(actor=request.actor, made=made)
    return redirect("web:dashboard", name=row.name)
