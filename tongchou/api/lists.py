"""Lists: what tables there are, their export, saved views."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from ninja import Router, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.document import bytes_of
from tongchou.core.lists import conditions, views
from tongchou.core.lists.export import export
from tongchou.core.lists.tables import table, tables
from tongchou.core.models import Team
from tongchou.core.models_lists import SavedView
from tongchou.core.problems import AccessDenied
from tongchou.middleware import file_response

router = Router(tags=["lists"])
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BESIDE = frozenset({"format", "all_columns"})


@router.get("/export", response=Page)
def list_tables(request: HttpRequest) -> dict[str, Any]:
    """List the tables the caller may export, with their columns, filters and order."""
    actor = actor_of(request)
    items = []
    for each in tables():
        try:
            each.check(actor)
        except AccessDenied:
            continue
        columns = [
            {
                "name": column.name,
                "title": str(column.title),
                "type": column.type,
                "operators": list(conditions.OPERATORS[column.type]) if column.filterable else [],
                "sortable": bool(column.order),
            }
            for column in each.all_columns()
        ]
        queues = [queue.name for queue in each.queues]
        items.append({"kind": each.kind, "title": str(each.title), "columns": columns, "queues": queues})
    return {"items": items, "count": len(items)}


@router.get("/export/{kind}", openapi_extra=bytes_of("text/csv", XLSX, "application/json"))
def export_list(
    request: HttpRequest,
    kind: str,
    format: str = "csv",  # noqa: A002  # the parameter's public name
    all_columns: bool = True,
) -> HttpResponseBase:
    """Export a table as csv, xlsx or json: at most 200,000 rows. Filters as on its page: name=web, created.last=7d, q=.

    `columns=a,b` chooses columns; without it all (all_columns=false: those the page shows at first). `sort=-name`
    orders. A queue (state=open, say) narrows as its tab does; without one the first counts. Written to the ledger.
    """
    actor = actor_of(request)
    wanted_table = table(kind)
    wanted_table.check(actor)
    wanted = conditions.read(wanted_table, dict(request.GET.lists()), strict=True, beside=BESIDE)
    columns = [each for each in wanted_table.all_columns() if all_columns or each.shown]
    if wanted.columns:
        known = {each.name: each for each in wanted_table.all_columns()}
        columns = [known[each] for each in wanted.columns]
    file = export(actor=actor, table=wanted_table, wanted=wanted, columns=columns, format_=format)
    return file_response(file)


# --- saved views ------------------------------------------------------------------------------------------------------


class ViewIn(Body):
    """A view to keep: `query` is the address of the list without its "?"."""

    kind: str = Field(max_length=80)
    name: str = Field(max_length=200)
    query: str = Field(default="", max_length=4000)
    shared: str = "nobody"
    team: str | None = None


class ViewPatch(Body):
    """What to change of a view."""

    name: str | None = Field(default=None, max_length=200)
    query: str | None = Field(default=None, max_length=4000)
    shared: str | None = None
    team: str | None = None


def _view(row: SavedView) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": row.kind,
        "name": row.name,
        "query": row.query,
        "shared": row.shared,
        "team": row.team.name if row.team else None,
        "owner": row.owner.username,
        "created_at": row.created_at,
        "changed_at": row.changed_at,
    }


def _team(name: str | None) -> Team | None:
    return Team.objects.filter(name=name).first() if name else None


@router.get("/views", response=Page)
def list_views(request: HttpRequest, kind: str | None = None) -> dict[str, Any]:
    """List the saved views the caller sees: their own, their teams', everybody's."""
    rows = [row for row in views.views_for(actor_of(request)) if kind in (None, row.kind)]
    return {"items": [_view(row) for row in rows], "count": len(rows)}


@router.post("/views", response={201: dict[str, Any]})
def save_view(request: HttpRequest, body: ViewIn) -> Status[dict[str, Any]]:
    """Keep a view; it is the caller's own."""
    row = views.save(
        actor=actor_of(request),
        kind=body.kind,
        name=body.name,
        query=body.query,
        shared=body.shared,
        team=_team(body.team),
    )
    return Status(201, _view(row))


@router.patch("/views/{id}", response=dict[str, Any])
def change_view(request: HttpRequest, id: UUID, body: ViewPatch) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Rename a view, keep another filter in it, or share it otherwise: its owner and administrators."""
    actor = actor_of(request)
    row = views.change(
        actor=actor,
        view=views.get(actor, id),
        name=body.name,
        query=body.query,
        shared=body.shared,
        team=_team(body.team),
    )
    return _view(views.get(actor, row.pk))


@router.delete("/views/{id}", response={204: None})
def delete_view(request: HttpRequest, id: UUID) -> Status[None]:  # noqa: A002  # the path's own name
    """Delete a view; POST /views/{id}/restore undoes it."""
    actor = actor_of(request)
    views.delete(actor=actor, view=views.get(actor, id))
    return Status(204, None)


@router.post("/views/{id}/restore", response=dict[str, Any])
def restore_view(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Bring a view of one's own back."""
    actor = actor_of(request)
    return _view(views.restore(actor=actor, view=views.get(actor, id, deleted=True)))
