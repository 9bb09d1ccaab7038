"""Plan: what there is. The list of resources, one resource with whose word each attribute is, and the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.alerting.reads import alerts_of_resource
from tongchou.core import ledger
from tongchou.core.access import allows, allows_anywhere
from tongchou.core.lists.tables import Column
from tongchou.core.models import Event, EventAbout
from tongchou.core.problems import Invalid, NotFound
from tongchou.core.refs import is_ref, ref
from tongchou.inventory import actions, kinds, merge, reads
from tongchou.inventory.apply import resource_ref
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import Resource
from tongchou.inventory.words import words_of
from tongchou.web import health, panels, telemetry_reads
from tongchou.web.deliver_releases import of_service
from tongchou.web.design import seen_by
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import resolve
from tongchou.web.plan_kinds import list_address, of_address, relation_choices, standard_lines
from tongchou.web.review import entries
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip, icon
from tongchou.web.visibility import readable

MOST_HOURS = 720  # that a hold is placed for on the page; the API takes any end
MOST_FORMER = 10  # merged resources whose history is shown on a page


def _about(rows: Sequence[Resource]) -> dict[str, Any]:
    """How each resource of the page is."""
    return {"status": health.of_page([row.pk for row in rows])}


def _kind(row: Resource, _about: Mapping[str, Any]) -> str:
    kind = kinds.kind(row.kind)
    return format_html('<span class="nowrap">{} {}</span>', icon(kind.icon, 15, **{"class": "faint"}), kind.title)


LOOK = register(
    Look(
        "inventory.resource",
        "web:resources",
        "name",
        url=lambda row: reverse("web:resource", args=[row.pk]),
        about=_about,
        cells={
            "kind": _kind,
            "status": lambda row, about: chip("tombstone" if row.gone_at else about["status"][row.pk]),
        },
        beside=(("name", Column("status", gettext_lazy("Status"))),),
        icon="server",
        empty=gettext_lazy("The inventory is empty"),
        hint=gettext_lazy(
            "Add a source: this host is looked at by itself; http_sd reads your service discovery; everything else can"
            " be stated by hand, by an import or by the API."
        ),
        varied=of_address,
    )
)


@page("inventory.view")
def resources(request: PageRequest) -> HttpResponseBase:
    """The list of resources."""
    name = LOOK.at(request.GET.dict()).subkind
    context = {
        "may_source": allows(request.actor, "inventory.manage_sources"),
        "may_edit": allows_anywhere(request.actor, "inventory.edit"),
        "kind": kinds.kind(name) if name else None,
    }
    return show(request, LOOK, "plan/resources.html", context)


def resource_of(request: PageRequest, resource_id: UUID) -> Resource:
    """Return the resource of an address to one who may see it; NotFound."""
    row = reads.visible(request.actor).select_related("owner").filter(pk=resource_id).first()
    if row is None:
        raise NotFound(
            "resource.unknown",
            _("There is no such resource, or your teams do not own it."),
            remedy=_("Search for it with Ctrl-K."),
        )
    return row


def posted_id(request: PageRequest, field: str, code: str, detail: str = "") -> UUID:
    """Return the id that a form posts in a field; NotFound with this code (and detail) when it is none."""
    try:
        return UUID(request.POST.get(field, ""))
    except ValueError:
        raise NotFound(code, detail or _("This is no id."), field=field, remedy=_("Reload the page.")) from None


def _events(refs: Sequence[str]) -> list[Event]:
    """The newest events about a resource, and about what was merged into it."""
    if len(refs) == 1:
        return list(ledger.events(about=refs[0], limit=30))
    newest = EventAbout.objects.filter(ref__in=refs).order_by("-event_id").values_list("event_id", flat=True)[:60]
    return list(Event.objects.filter(pk__in=list(newest)).order_by("-at", "-pk")[:30])


def _charts(detail: reads.Detail) -> list[panels.Panel]:
    """Panels of what this resource (or its parts) exports."""
    instances = [endpoint.instance for endpoint in detail.endpoints if endpoint.instance]
    if not instances:
        parts = [
            each.from_resource_id
            for each in detail.relations
            if each.type == "part_of" and each.to_resource_id == detail.resource.pk
        ]
        rows = Resource.objects.filter(pk__in=parts, endpoints__instance__gt="").values_list(
            "endpoints__instance", flat=True
        )
        instances = sorted(set(rows))[:30]
    if not instances:
        return []
    names = telemetry_reads.metric_names_of("instance", instances)
    alternatives = "|".join(escaped(each) for each in instances)
    return panels.suggest(names, telemetry_reads.label_names, selector=f'instance=~"{alternatives}"')


def escaped(text: str) -> str:
    """Escape a label value for a regular expression inside a double-quoted PromQL string."""
    literal = "".join(f"\\{char}" if char in ".+*?()|[]{}^$\\" else char for char in text)
    return literal.replace("\\", "\\\\").replace('"', '\\"')


@page("inventory.view")
def resource(request: PageRequest, resource_id: UUID) -> HttpResponse:
    """One resource: what is said about it and by whom, what it needs and who needs it, how it is."""
    row = resource_of(request, resource_id)
    other = merge.successor(row)
    if other.pk != row.pk and reads.may_see(request.actor, other.owner_id):
        messages.info(request, _("%(name)s was merged into this resource.") % {"name": row.name})
        return redirect("web:resource", resource_id=other.pk)
    detail = reads.detail(row)
    graph = load_graph()
    statuses = health.of_graph(graph) if row.pk in graph else health.of_page([row.pk])
    relations = []
    for each in detail.relations:
        out = each.from_resource_id == row.pk
        other = each.to_resource if out else each.from_resource
        if not reads.may_see(request.actor, other.owner_id):
            continue
        words = kinds.relation_words(each.type, out=out)
        relations.append(
            {
                "row": each,
                "words": words,
                "other": other,
                "kind": kinds.kind(other.kind),
                "status": statuses.get(other.pk, "unknown"),
            }
        )
    seen = seen_by(request.actor, graph)
    lived_as = merge.absorbed_by(row.pk)[:MOST_FORMER]
    lines, others = standard_lines(request.actor, row.kind, words_of(detail, timezone.now()))
    context = {
        "row": row,
        "ref": ref(row),
        "kind": kinds.kind(row.kind),
        "detail": detail,
        "held_by": resolve(each.opened_by for each in detail.holds if is_ref(each.opened_by)),
        "lines": lines,
        "others": others,
        "status": "tombstone" if row.gone_at else statuses.get(row.pk, "unknown"),
        "relations": relations,
        "needs": len(seen.downstream(row.pk)),
        "needed_by": len(seen.upstream(row.pk)),
        "alerts": alerts_of_resource(row.pk, *lived_as, limit=20),
        "former": len(lived_as),
        "entries": entries(readable(request.actor, _events([ref(row), *map(resource_ref, lived_as)]))),
        "versions": of_service(request.actor, row) if row.kind == "service" else None,
        "panels": _charts(detail) if allows(request.actor, "telemetry.view") else [],
        "may_edit": allows(request.actor, "inventory.edit", team=row.owner_id),
        "relation_choices": relation_choices(row.kind),
        "list_url": list_address(row.kind),
    }
    return render(request, "plan/resource.html", context)


def _length(hours: str) -> timedelta | None:
    """How long a hold lasts; None, until it is lifted, for nothing. What is no number is no hold without end."""
    text = hours.strip()
    if not text:
        return None
    try:
        found = float(text) if text.isascii() else -1.0
    except ValueError:
        found = -1.0
    if not 0 < found <= MOST_HOURS:  # NaN and infinity, too
        raise Invalid(
            "hold.hours",
            _("“For how many hours” is no number above 0 and up to %(most)s.") % {"most": MOST_HOURS},
            field="hours",
            value=text[:40],
            remedy=_("Write it like 2 or 0.5; leave it empty to hold until it is lifted."),
        )
    return timedelta(hours=found)


@page("inventory.edit")
@require_POST
def hold(request: PageRequest, resource_id: UUID) -> HttpResponse:
    """Place a hold, or lift one (`lift` = its id)."""
    row = resource_of(request, resource_id)
    lift = request.POST.get("lift", "")
    if lift:
        found = next((each for each in reads.active_holds([row.pk]) if str(each.pk) == lift), None)
        if found is None:
            raise NotFound("hold.unknown", _("This hold is not in force any more."), remedy=_("Reload the page."))
        actions.lift_hold(actor=request.actor, hold=found, reason=request.POST.get("reason", ""))
        messages.success(request, _("The hold is lifted."))
    else:
        length = _length(request.POST.get("hours", ""))
        actions.place_hold(
            actor=request.actor,
            resource=row,
            kind=request.POST.get("kind", "maintenance"),
            reason=request.POST.get("reason", ""),
            until=timezone.now() + length if length is not None else None,
        )
        messages.success(request, _("The hold is in force."))
    return redirect("web:resource", resource_id=row.pk)


@page("inventory.edit")
@require_POST
def retire(request: PageRequest, resource_id: UUID) -> HttpResponse:
    """Declare a resource gone, or bring it back."""
    row = resource_of(request, resource_id)
    if row.gone_at:
        actions.restore_resource(actor=request.actor, resource=row)
        messages.success(request, _("It is active again."))
    else:
        actions.retire_resource(actor=request.actor, resource=row, reason=request.POST.get("reason", ""))
        messages.success(request, _("It is marked as gone. A source that sees it again brings it back."))
    return redirect("web:resource", resource_id=row.pk)
