"""Changing many rows and importing: choose, look at what would happen, confirm, watch, undo."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core.access import allows_anywhere
from tongchou.core.lists import batches, conditions, imports, reading
from tongchou.core.lists.changes import Input, change_of, changes_of
from tongchou.core.lists.export import guarded, text
from tongchou.core.lists.importers import Importer, importer, importer_of
from tongchou.core.lists.reading import Sheet
from tongchou.core.models_lists import Batch, BatchRow, BatchState
from tongchou.core.problems import Invalid, NotFound, Problem
from tongchou.web.gate import ANY_PERSON, PageRequest, page
from tongchou.web.tables.look import Look, list_look, look_of

SHOWN_ROWS = 300
LIVE_ROWS = 20  # while it is under way: drawn each second beside the work itself
SAMPLES = 3


@page(ANY_PERSON)
@require_POST
def list_change(request: PageRequest, kind: str) -> HttpResponse:
    """Plan a change of the selected rows, or of all the filter shows (`all`), and go to what it would do."""
    post = request.POST
    query = QueryDict(post.get("query", ""))
    look = list_look(request.actor, kind).at(query.dict())
    change = change_of(kind, post.get("change", ""))
    batch = batches.plan(
        actor=request.actor,
        of=look.table,
        change=change,
        wanted=conditions.read(look.table, dict(query.lists())),
        ids=None if post.get("all") else post.getlist("row"),
        form={name.removeprefix("set-"): str(post[name]) for name in post if name.startswith("set-")},
    )
    return redirect("web:list-batch", batch_id=batch.pk)


def _shown_value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_shown_value(each)}" for name, each in sorted(value.items()))
    if isinstance(value, list):
        return "; ".join(str(each) for each in value)
    return text(value)


def _facts(row: BatchRow) -> list[tuple[str, str, str]]:
    """What differs, as (name, old, new); one nameless line for a value that is not a mapping."""
    old, new = row.before, row.after
    if isinstance(new, dict):
        before = old if isinstance(old, dict) else {}
        names = [name for name in {**before, **new} if before.get(name) != new.get(name)]
        return [(name, _shown_value(before.get(name)), _shown_value(new.get(name))) for name in names]
    return [("", _shown_value(old), _shown_value(new))]


def _counts(batch: Batch) -> dict[str, int]:
    found: dict[str, int] = {}
    rows = BatchRow.objects.filter(batch=batch).order_by().values_list("plan", "result").annotate(n=Count("pk"))
    for plan, result, n in rows:
        found[plan] = found.get(plan, 0) + n
        if result:
            found[result] = found.get(result, 0) + n
    return found


def _title(batch: Batch) -> str:
    look = look_of(batch.kind)
    name = str(look.table.title) if look else batch.kind
    if batch.act == batches.IMPORT:
        return _("Import of %(file)s") % {"file": batch.file_name}
    return f"{change_of(batch.kind, batch.act).title} · {name}"


@page(ANY_PERSON)
def list_batch(request: PageRequest, batch_id: UUID) -> HttpResponseBase:
    """What a change or an import would do, how far it is, what came of it; `?format=csv` its errors."""
    batch = batches.get(request.actor, batch_id)
    if request.GET.get("format") == "csv":
        return _errors(batch)
    if "sheet" in batch.values:
        return _mapping(request, batch)
    if request.method != "GET":
        return redirect("web:list-batch", batch_id=batch.pk)
    only = request.GET.get("plan", "")
    rows = BatchRow.objects.filter(batch=batch).order_by("number")
    if only in ("create", "change", "unchanged", "refused"):
        rows = rows.filter(plan=only)
    elif only in ("failed", "kept"):
        rows = rows.filter(result=only)
    look = look_of(batch.kind)
    under_way = batch.state in (BatchState.QUEUED, BatchState.RUNNING, BatchState.UNDOING)
    shown = LIVE_ROWS if under_way else SHOWN_ROWS
    counts = _counts(batch)
    of = importer_of(batch.kind) if batch.act == batches.IMPORT else None
    reversible = of.reversible if of else batch.act != batches.IMPORT and change_of(batch.kind, batch.act).reversible
    context = {
        "batch": batch,
        "title": _title(batch),
        "counts": counts,
        "tabs": [
            (name, word, counts[name])
            for name, word in (
                ("create", _("To create")),
                ("change", _("To change")),
                ("unchanged", _("Unchanged")),
                ("refused", _("Refused")),
                ("failed", _("Failed")),
                ("kept", _("Left alone")),
            )
            if counts.get(name)
        ],
        "only": only,
        "rows": [{"row": each, "facts": _facts(each) if each.plan != "refused" else []} for each in rows[:shown]],
        "shown_rows": shown,
        "all_rows": sum(counts.get(name, 0) for name in ("create", "change", "unchanged", "refused")),
        "under_way": under_way,
        "percent": round(100 * batch.done / batch.total) if batch.total else 100,
        "may_undo": batches.may_undo(batch),
        "reversible": reversible,
        "digest": batch.values.get("digest", ""),
        "blocked": bool(of and of.whole and batch.state == BatchState.PLANNED and counts.get("refused")),
        "none_written": bool(of and of.whole and batch.state == BatchState.DONE and counts.get("failed")),
        "no_way_back": of.no_way_back if of is not None else "",
        "back": look.address if look else "/",
        "bad": counts.get("refused", 0) + counts.get("failed", 0) + counts.get("kept", 0),
        "help": "" if batch.act == batches.IMPORT else change_of(batch.kind, batch.act).help,
    }
    part = request.GET.get("part") == "live"
    return render(request, "tables/batch_live.html" if part else "tables/batch.html", context)


def _errors(batch: Batch) -> HttpResponse:
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(["row", "what", "field", "value", "detail", "remedy"])
    for row in BatchRow.objects.filter(batch=batch, error__isnull=False).order_by("number"):
        told = row.error or {}
        cells = [row.label, *(told.get(name, "") for name in ("field", "value", "detail", "remedy"))]
        writer.writerow([row.number, *(guarded(each) for each in cells)])
    return HttpResponse(
        out.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="errors-{batch.pk}.csv"'},
    )


def _run(request: PageRequest, batch: Batch) -> None:
    batches.start(actor=request.actor, batch=batch, digest=request.POST.get("digest") or None)


def _undo(request: PageRequest, batch: Batch) -> None:
    batches.undo(actor=request.actor, batch=batch)


def _drop(request: PageRequest, batch: Batch) -> None:
    batches.drop(actor=request.actor, batch=batch)
    messages.success(request, _("Nothing was changed."))


ACTS: dict[str, Callable[[PageRequest, Batch], None]] = {"run": _run, "undo": _undo, "drop": _drop}


@page(ANY_PERSON)
@require_POST
def list_batch_act(request: PageRequest, batch_id: UUID, act: str) -> HttpResponse:
    """Confirm what was shown, undo what was done, or leave it."""
    if act not in ACTS:
        raise NotFound("batch.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    batch = batches.get(request.actor, batch_id)
    ACTS[act](request, batch)
    look = look_of(batch.kind)
    if act == "drop" and look is not None:
        return redirect(look.address)
    return redirect("web:list-batch", batch_id=batch.pk)


# --- import -----------------------------------------------------------------------------------------------------------


def _import_context(request: PageRequest, look: Look) -> dict[str, Any]:
    of = importer(request.actor, look.kind)
    return {
        "look": look,
        "title": look.table.title,
        "fields": of.offered(request.GET.getlist("about")),
        "about": request.GET.getlist("about"),
        "of": of,
        "most_rows": batches.MAX_WHOLE if of.whole else reading.MAX_ROWS,
        "back": look.address,
        "limits": {"rows": reading.MAX_ROWS, "bytes": reading.MAX_BYTES, "columns": reading.MAX_COLUMNS},
    }


@page(ANY_PERSON)
def list_import(request: PageRequest, kind: str) -> HttpResponseBase:
    """Choose a file; then its columns are matched, and every row is shown before anything is written."""
    look = list_look(request.actor, kind)
    context = _import_context(request, look)
    if request.GET.get("template"):
        return _template(importer(request.actor, kind), request.GET.getlist("about"))
    if request.method != "POST":
        return render(request, "tables/import.html", context)
    try:
        upload = request.FILES.get("file")
        if upload is None:
            raise Invalid(
                "import.file", _("No file was sent."), field="file", remedy=_("Choose a CSV, XLSX or JSON file.")
            )
        content = upload.read(reading.MAX_BYTES + 1)
        sheet = reading.read(upload.name or "", content, request.POST.get("encoding", ""))
        batch = imports.hold(actor=request.actor, kind=kind, sheet=sheet, file_name=upload.name or "")
    except Problem as problem:
        return render(request, "tables/import.html", context | {"problem": problem}, status=problem.status)
    return redirect("web:list-batch", batch_id=batch.pk)


def _template(of: Importer, subkinds: list[str]) -> HttpResponse:
    name = of.kind.rpartition(".")[2]
    return HttpResponse(
        imports.template(of, subkinds),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}s.csv"'},
    )


def _guess(batch: Batch, sheet: Sheet) -> dict[str, str]:
    of = importer_of(batch.kind)
    if of is None:
        return {}
    return imports.guess(of, sheet)


def _mapping(request: PageRequest, batch: Batch) -> HttpResponseBase:
    """Which column of the file is which field; posted, every row is planned."""
    look = list_look(request.actor, batch.kind)
    sheet = imports.held(batch)
    context = _import_context(request, look) | {"batch": batch, "how": sheet.how, "row_count": len(sheet.rows)}
    asked = _guess(batch, sheet)
    of: Importer = context["of"]
    fields = of.offered(imports.subkinds_in(of, sheet, asked))
    offered = {each.name for each in fields}
    context["fields"] = [*fields, *(e for e in of.known() if e.name in asked.values() and e.name not in offered)]
    if request.method == "POST":
        asked = {column: request.POST.get(f"column-{n}", "") for n, column in enumerate(sheet.columns)}
        try:
            planned = imports.dry_run(
                actor=request.actor, kind=batch.kind, sheet=sheet, file_name=batch.file_name, mapping=asked
            )
        except Problem as problem:
            context["problem"] = problem
        else:
            batches.drop(actor=request.actor, batch=batch)
            return redirect("web:list-batch", batch_id=planned.pk)
    context["columns"] = list(_columns(sheet, asked))
    return render(request, "tables/mapping.html", context, status=422 if "problem" in context else 200)


def _columns(sheet: Sheet, asked: dict[str, str]) -> Iterator[dict[str, Any]]:
    for n, column in enumerate(sheet.columns):
        samples = [cells[n] for _number, cells in sheet.rows[:SAMPLES] if n < len(cells) and cells[n]]
        yield {"name": f"column-{n}", "column": column, "field": asked.get(column, ""), "samples": samples}


@dataclass(frozen=True, slots=True)
class Offered:
    """A field of a change's form with its choices."""

    input: Input
    choices: list[tuple[str, Any]]


def importing(request: PageRequest, kind: str) -> Importer | None:
    """Return how rows of a table are imported when this person may, for what an empty list says."""
    of = importer_of(kind)
    return of if of is not None and of.allowed(request.actor) else None


def offers(request: PageRequest, look: Look) -> dict[str, Any]:
    """What a list needs: the changes this person may try, with their forms, and whether they may import."""
    changes = []
    for each in changes_of(look.kind):
        if each.permission and not allows_anywhere(request.actor, each.permission):
            continue
        inputs = [Offered(one, list(one.choices(request.actor)) if one.choices else []) for one in each.inputs]
        if any(one.input.required and one.input.choices and not one.choices for one in inputs):
            continue  # nothing to choose from: no custom field is defined, say
        changes.append({"change": each, "inputs": inputs})
    return {
        "changes": changes,
        "importing": importing(request, look.kind),
        "most_rows": batches.MAX_ROWS,
    }
