"""Plan: what there is. The list of resources, one resource with whose word each attribute is, and the sources."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.alerting.reads import alerts_of_resource
from tongchou.core import ledger
from tongchou.core.access import allows
from tongchou.core.problems import NotFound
from tongchou.core.refs import ref
from tongchou.inventory import actions, kinds, reads
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import Resource, ResourceState
from tongchou.web import health, panels, telemetry_reads
from tongchou.web.design import seen_by
from tongchou.web.gate import PageRequest, page
from tongchou.web.review import entries
from tongchou.web.visibility import readable

PAGE = 50
COUNT_LIMIT = 10_000  # counting stops here: nobody reads the difference between 10,000 and 100,000
EXPORT_LIMIT = 200_000
SORTS: dict[str, tuple[str, ...]] = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "kind": ("kind", "name", "id"),
    "-kind": ("-kind", "-name", "-id"),
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _wanted(request: PageRequest) -> tuple[reads.Filter, dict[str, str]]:
    get = request.GET
    shown = {key: get.get(key, "").strip()[:200] for key in ("q", "kind", "owner", "label", "state", "source")}
    state: str | None = {"": ResourceState.ACTIVE, "all": None}.get(shown["state"], shown["state"])
    owner = None if not shown["owner"] else "" if shown["owner"] == "-" else shown["owner"]
    labels = tuple(part.strip() for part in shown["label"].split(",") if part.strip())
    found = reads.Filter(shown["kind"] or None, owner, labels, state, shown["q"] or None, shown["source"] or None)
    return found, shown


def _after(rows: QuerySet[Resource], order: tuple[str, ...], last: list[str]) -> QuerySet[Resource]:
    """Keep the rows after `last` in `order`: the first column as a range, so that the index finds the place."""
    names = [column.lstrip("-") for column in order]
    way = "lt" if order[0].startswith("-") else "gt"
    beyond = Q()
    for depth, name in enumerate(names):
        equal = dict(zip(names[:depth], last[:depth], strict=True))
        beyond |= Q(**equal, **{f"{name}__{way}": last[depth]})
    return rows.filter(beyond, **{f"{names[0]}__{way}e": last[0]})


def _cursor(text: str, size: int) -> list[str] | None:
    try:
        last = json.loads(text)
        if isinstance(last, list) and len(last) == size and all(isinstance(part, str) for part in last):
            UUID(last[-1])
            return last
    except ValueError:
        pass
    return None


@page("inventory.view")
def resources(request: PageRequest) -> HttpResponse:
    """The list: filtered, sorted, paged by place (the last page costs what the first does), exported as CSV."""
    wanted, shown = _wanted(request)
    sort = request.GET.get("sort", "name")
    order = SORTS.get(sort, SORTS["name"])
    rows = reads.find(request.actor, wanted).order_by(*order)
    if request.GET.get("format") == "csv":
        return _csv(rows)
    count = rows.order_by()[: COUNT_LIMIT + 1].count()
    last = _cursor(request.GET.get("after", ""), len(order))
    found = list((_after(rows, order, last) if last else rows)[: PAGE + 1])
    shown_rows = found[:PAGE]
    ids = [row.pk for row in shown_rows]
    statuses, seen = health.of_page(ids), reads.last_seen(ids)
    ending = shown_rows[-1] if len(found) > PAGE else None
    context = {
        "rows": [
            {
                "row": row,
                "status": "tombstone" if row.gone_at else statuses[row.pk],
                "seen": seen.get(row.pk),
                "kind": kinds.kind(row.kind),
            }
            for row in shown_rows
        ],
        "count": count,
        "more_than": count > COUNT_LIMIT,
        "limit": COUNT_LIMIT,
        "shown": shown,
        "filtered": any(shown.values()),
        "kinds": sorted(
            ((name, kinds.kind(name).title) for name in reads.kinds_in_use(request.actor)),
            key=lambda pair: str(pair[1]),
        ),
        "sort": sort if sort in SORTS else "name",
        "after": json.dumps([str(getattr(ending, name.lstrip("-"))) for name in order], ensure_ascii=False)
        if ending
        else "",
        "first_page": last is None,
        "may_source": allows(request.actor, "inventory.manage_sources"),
    }
    template = "plan/resources_table.html" if request.htmx and not request.htmx.boosted else "plan/resources.html"
    return render(request, template, context)


def guarded(cell: object) -> str:
    """Return a CSV cell that no spreadsheet takes for a formula."""
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(rows: QuerySet[Resource]) -> HttpResponse:
    """All rows as CSV in UTF-8 with a byte order mark, so that Excel reads Chinese."""
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(["id", "kind", "name", "owner", "state", "labels", "source", "created_at"])
    for row in rows[:EXPORT_LIMIT].iterator(chunk_size=2000):
        labels = json.dumps(row.labels, ensure_ascii=False, sort_keys=True) if row.labels else ""
        owner = row.owner.name if row.owner else ""
        cells = [row.pk, row.kind, row.name, owner, row.state, labels, row.source, row.created_at.isoformat()]
        writer.writerow([guarded(cell) for cell in cells])
    name = f"resources-{timezone.now():%Y%m%d-%H%M}.csv"
    return HttpResponse(
        out.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _get(request: PageRequest, resource_id: UUID) -> Resource:
    row = reads.visible(request.actor).select_related("owner").filter(pk=resource_id).first()
    if row is None:
        raise NotFound(
            "resource.unknown",
            _("There is no such resource, or your teams do not own it."),
            remedy=_("Search for it with Ctrl-K."),
        )
    return row


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
    escaped = "|".join(_escape(each) for each in instances)
    return panels.suggest(names, telemetry_reads.label_names, selector=f'instance=~"{escaped}"')


def _escape(text: str) -> str:
    """Escape a label value for a regular expression inside a double-quoted PromQL string."""
    literal = "".join(f"\\{char}" if char in ".+*?()|[]{}^$\\" else char for char in text)
    return literal.replace("\\", "\\\\").replace('"', '\\"')


@page("inventory.view")
def resource(request: PageRequest, resource_id: UUID) -> HttpResponse:
    """One resource: what is said about it and by whom, what it needs and who needs it, how it is."""
    row = _get(request, resource_id)
    detail = reads.detail(row)
    graph = load_graph()
    statuses = health.of_graph(graph) if row.pk in graph else health.of_page([row.pk])
    relations = []
    for each in detail.relations:
        out = each.from_resource_id == row.pk
        other = each.to_resource if out else each.from_resource
        if not reads.may_see(request.actor, other.owner_id):
            continue
        known = kinds.RELATION_TYPES.get(each.type)
        words = (known.title if out else known.reverse_title) if known else each.type
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
    context = {
        "row": row,
        "ref": ref(row),
        "kind": kinds.kind(row.kind),
        "detail": detail,
        "status": "tombstone" if row.gone_at else statuses.get(row.pk, "unknown"),
        "relations": relations,
        "needs": len(seen.downstream(row.pk)),
        "needed_by": len(seen.upstream(row.pk)),
        "alerts": alerts_of_resource(row.pk, limit=20),
        "entries": entries(readable(request.actor, ledger.events(about=ref(row), limit=30))),
        "panels": _charts(detail) if allows(request.actor, "telemetry.view") else [],
        "may_edit": allows(request.actor, "inventory.edit", team=row.owner_id),
    }
    return render(request, "plan/resource.html", context)


@page("inventory.edit")
@require_POST
def hold(request: PageRequest, resource_id: UUID) -> HttpResponse:
    """Place a hold, or lift one (`lift` = its id)."""
    row = _get(request, resource_id)
    lift = request.POST.get("lift", "")
    if lift:
        found = next((each for each in reads.active_holds([row.pk]) if str(each.pk) == lift), None)
        if found is None:
            raise NotFound("hold.unknown", _("This hold is not in force any more."), remedy=_("Reload the page."))
        actions.lift_hold(actor=request.actor, hold=found, reason=request.POST.get("reason", ""))
        messages.success(request, _("The hold is lifted."))
    else:
        hours = request.POST.get("hours", "")
        until = timezone.now() + timedelta(hours=float(hours)) if hours.replace(".", "", 1).isdigit() else None
        actions.place_hold(
            actor=request.actor,
            resource=row,
            kind=request.POST.get("kind", "maintenance"),
            reason=request.POST.get("reason", ""),
            until=until,
        )
        messages.success(request, _("The hold is in force."))
    return redirect("web:resource", resource_id=row.pk)


@page("inventory.edit")
@require_POST
def retire(request: PageRequest, resource_id: UUID) -> HttpResponse:
    """Declare a resource gone, or bring it back."""
    row = _get(request, resource_id)
    if row.gone_at:
        actions.restore_resource(actor=request.actor, resource=row)
        messages.success(request, _("It is active again."))
    else:
        actions.retire_resource(actor=request.actor, resource=row, reason=request.POST.get("reason", ""))
        messages.success(request, _("It is marked as gone. A source that sees it again brings it back."))
    return redirect("web:resource", resource_id=row.pk)
