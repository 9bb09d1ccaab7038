"""Imports and changes of many rows: a dry run first, then the same rows; progress, errors, undo."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Router, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.core.lists import batches, conditions, imports, reading
from tongchou.core.lists.changes import change_of, changes_of
from tongchou.core.lists.importers import importer, importers
from tongchou.core.lists.tables import table
from tongchou.core.models_lists import Batch, BatchRow
from tongchou.core.problems import Conflict

router = Router(tags=["lists"])
SHOWN = 500
FILE = {"schema": {"type": "string", "format": "binary"}}


def _batch(batch: Batch) -> dict[str, Any]:
    rows = BatchRow.objects.filter(batch=batch).order_by("number")
    plans = list(rows.values_list("plan", "result"))
    errors = rows.filter(error__isnull=False)[:SHOWN]
    return {
        "id": batch.pk,
        "kind": batch.kind,
        "act": batch.act,
        "state": batch.state,
        "file": batch.file_name,
        "how": batch.values.get("how", ""),
        "columns": batch.values.get("columns", {}),
        "ignored": batch.values.get("ignored", []),
        "sha256": batch.values.get("sha256", ""),
        "digest": batch.values.get("digest", ""),
        "total": batch.total,
        "done": batch.done,
        "counts": {
            **{
                name: sum(1 for plan, _r in plans if plan == name)
                for name in ("create", "change", "unchanged", "refused")
            },
            **{name: sum(1 for _p, result in plans if result == name) for name in ("done", "failed", "undone", "kept")},
        },
        "errors": [{"row": row.number, "what": row.label, **(row.error or {})} for row in errors],
        "may_undo": batches.may_undo(batch),
        "created_at": batch.created_at,
        "finished_at": batch.finished_at,
    }


@router.get("/imports", response=Page)
def list_importers(request: HttpRequest) -> dict[str, Any]:
    """List what the caller may import, with the columns a file may have."""
    actor = actor_of(request)
    items = [
        {
            "kind": each.kind,
            "all_or_none": each.whole,
            "fields": [
                {"name": field.name, "title": str(field.title), "required": field.required, "help": str(field.help)}
                for field in each.fields()
            ],
        }
        for each in importers()
        if each.allowed(actor)
    ]
    return {"items": items, "count": len(items)}


@router.post(
    "/imports",
    response={201: dict[str, Any]},
    openapi_extra={
        "requestBody": {
            "content": {"text/csv": FILE, "application/octet-stream": FILE, "application/json": {"schema": {}}},
            "required": True,
        }
    },
)
def import_file(
    request: HttpRequest,
    kind: str,
    name: str = "import.csv",
    dry_run: bool = True,
    strict: bool = False,
    encoding: str = "",
) -> Status[dict[str, Any]]:
    """Import a file; the body is the file, `name` its name (.csv, .xlsx or .json): at most 5,000 rows and 10 MB.

    A dry run (the default) plans every row and writes nothing: POST /batches/{id}/run does it. With dry_run=false it is
    done at once. All rows are written or none; resources are written one by one, and those that are refused are left
    out, or with strict=true nothing is written while one is refused. The same file again changes nothing. `encoding`
    of a text: utf-8 or gb18030; without it, it is found out.
    """
    actor = actor_of(request)
    sheet = reading.read(name[:200], request.body, encoding)
    batch = imports.dry_run(actor=actor, kind=kind, sheet=sheet, file_name=name[:200])
    if not dry_run:
        of = importer(actor, kind)
        if (strict or of.whole) and BatchRow.objects.filter(batch=batch, plan="refused").exists():
            raise Conflict(
                "import.refused",
                _("Some rows are refused; nothing was written."),
                remedy=_("Correct them in the file, and import it again."),
                extra={"batch": _batch_json(batch)},
            )
        batch = batches.start(actor=actor, batch=batch)
    return Status(201, _batch(batch))


def _batch_json(batch: Batch) -> dict[str, Any]:
    found = _batch(batch)
    return {"id": str(found["id"]), "counts": found["counts"], "errors": found["errors"]}


class BulkIn(Body):
    """A change of many rows: of `ids`, or of all that the filter shows (column or column.operator -> value)."""

    kind: str = Field(max_length=80)
    change: str = Field(max_length=40)
    values: dict[str, str] = Field(default_factory=dict)
    ids: list[str] | None = Field(default=None, max_length=1000)
    filter: dict[str, str] = Field(default_factory=dict)
    dry_run: bool = True


@router.post("/bulk", response={201: dict[str, Any]})
def bulk(request: HttpRequest, body: BulkIn) -> Status[dict[str, Any]]:
    """Change up to 1,000 rows; a dry run (the default) shows what would be done, POST /batches/{id}/run does it."""
    actor = actor_of(request)
    of = table(body.kind)
    of.check(actor)
    wanted = conditions.read(of, {name: [value] for name, value in body.filter.items()}, strict=True)
    batch = batches.plan(
        actor=actor,
        of=of,
        change=change_of(body.kind, body.change),
        wanted=wanted,
        ids=body.ids,
        form=body.values,
    )
    if not body.dry_run:
        batch = batches.start(actor=actor, batch=batch)
    return Status(201, _batch(batch))


@router.get("/bulk/{kind}", response=Page)
def list_changes(request: HttpRequest, kind: str) -> dict[str, Any]:
    """List the changes a table offers, with their inputs and whether there is a way back."""
    table(kind).check(actor_of(request))
    items = [
        {
            "name": each.name,
            "title": str(each.title),
            "reversible": each.reversible,
            "inputs": [
                {"name": one.name, "title": str(one.title), "type": one.type, "required": one.required}
                for one in each.inputs
            ],
        }
        for each in changes_of(kind)
    ]
    return {"items": items, "count": len(items)}


@router.get("/batches/{id}", response=dict[str, Any])
def get_batch(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Return how far a change or an import is, with its first 500 errors."""
    return _batch(batches.get(actor_of(request), id))


@router.post("/batches/{id}/run", response=dict[str, Any])
def run_batch(request: HttpRequest, id: UUID, digest: str = "") -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Do what a dry run planned; more than 50 rows are done by a job. `digest` of the dry run: 409 for another one."""
    actor = actor_of(request)
    return _batch(batches.start(actor=actor, batch=batches.get(actor, id), digest=digest or None))


@router.post("/batches/{id}/undo", response=dict[str, Any])
def undo_batch(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Put back what a finished change did; rows that were changed since are left alone and listed."""
    actor = actor_of(request)
    return _batch(batches.undo(actor=actor, batch=batches.get(actor, id)))
