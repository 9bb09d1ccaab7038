"""One page of a table: reads what the address asks, and prepares everything its template shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.core.access import Actor
from tongchou.core.lists import conditions, places, views
from tongchou.core.lists.conditions import OPERATORS, ROW_COUNTS, WORDS, Condition, Wanted
from tongchou.core.lists.export import FORMATS, LIMIT, export
from tongchou.core.lists.tables import Column, Table
from tongchou.core.models_lists import ListPreference, SavedView, SharedWith
from tongchou.core.problems import NotFound
from tongchou.middleware import file_response
from tongchou.web.gate import PageRequest
from tongchou.web.tables import cells
from tongchou.web.tables.batch_pages import offers
from tongchou.web.tables.look import Look

OWN = ("after", "part", "format", "all_columns", "undo_view", "view", "page", "before")
LASTS: tuple[tuple[str, str | Promise], ...] = (
    ("1h", gettext_lazy("1 hour")),
    ("24h", gettext_lazy("24 hours")),
    ("7d", gettext_lazy("7 days")),
    ("30d", gettext_lazy("30 days")),
    ("90d", gettext_lazy("90 days")),
)


def show(request: PageRequest, look: Look, template: str, more: Mapping[str, Any] | None = None) -> HttpResponseBase:
    """Answer a request for a list: the page, its rows alone (htmx), a file, or the view it opens with."""
    look = look.at(request.GET.dict())
    table, actor = look.table, request.actor
    table.check(actor)
    preference = views.preference(actor, look.remembered)
    opened = _opening(request, look, preference)
    if opened is not None:
        return opened
    wanted = conditions.read(table, dict(request.GET.lists()))
    known = look.columns()
    columns = _shown(known, wanted, preference)
    if request.GET.get("format") in FORMATS:
        chosen = (
            table.all_columns()
            if request.GET.get("all_columns")
            else [each for each in columns if table.column(each.name)]
        )
        return file_response(
            export(actor=actor, table=table, wanted=wanted, columns=chosen, format_=request.GET["format"])
        )
    partial = bool(request.htmx and not request.htmx.boosted) or request.GET.get("part") == "live"
    context = _context(request, look, wanted, columns, preference) | offers(request, look)
    context["may_select"] = bool(context["changes"])
    if not partial:
        context |= _frame(request, look, wanted, columns, known)
        context["size"] = wanted.rows or preference.rows
    return render(request, "tables/rows.html" if partial else template, {**(more or {}), **context})


def _opening(request: PageRequest, look: Look, preference: ListPreference) -> HttpResponse | None:
    """Go to the address of the view that is asked for, or that the person opens this list with."""
    given = set(request.GET) - {"undo_view"}
    if given == {"view"}:
        try:
            view = views.get(request.actor, request.GET["view"])
        except NotFound:
            return None
        return redirect(view_url(look, view)) if view.kind == look.kind and view.query else None
    if not given and preference.view is not None and not request.htmx:
        view = preference.view
        if view.deleted_at is None and views.visible(request.actor).filter(pk=view.pk).exists() and view.query:
            return redirect(view_url(look, view))
    return None


def view_url(look: Look, view: SavedView) -> str:
    """Return the address of a saved view: all of it, so that it can be passed on."""
    query = QueryDict(view.query, mutable=True)
    query["view"] = str(view.pk)
    return f"{look.address}?{query.urlencode()}"


def _shown(listed: list[Column], wanted: Wanted, preference: ListPreference) -> list[Column]:
    known = {each.name: each for each in listed}
    names = [each for each in wanted.columns or preference.columns if each in known]
    if not names:
        return [each for each in known.values() if each.shown]
    return [known[each] for each in names]


# --- rows -----------------------------------------------------------------------------------------------------------


def _titles(column: Column, actor: Actor) -> dict[Any, Any]:
    return dict(column.choices(actor)) if column.choices else {}


def _context(
    request: PageRequest, look: Look, wanted: Wanted, columns: list[Column], preference: ListPreference
) -> dict[str, Any]:
    table, actor = look.table, request.actor
    size = wanted.rows or preference.rows
    shown = places.page(table, actor, wanted, after_text=request.GET.get("after", ""), size=size)
    about = look.about(shown.rows)
    titles = {each.name: _titles(each, actor) for each in columns if each.name not in look.cells}
    rows = []
    for row in shown.rows:
        url = look.url(row)
        drawn = []
        for column in columns:
            own = look.cells.get(column.name)
            html = own(row, about) if own else cells.draw(column, row, titles[column.name])
            drawn.append((column, cells.link(url, html, "wrap-any") if column.name == look.main and not own else html))
        chosen = look.selected is not None and look.selected(row, request.GET.dict())
        rows.append({"row": row, "cells": drawn, "url": url, "pk": str(row.pk), "selected": chosen})
    base = _query(request)
    return {
        "look": look,
        "table": table,
        "rows": rows,
        "head": [_head(each, wanted, base, look.main) for each in columns],
        "count": shown.count,
        "more_than": shown.over,
        "limit": places.COUNT_LIMIT,
        "after": shown.after,
        "first_page": shown.first,
        "chips": [_chip(each, table, base, actor) for each in wanted.conditions] + _search_chip(wanted, base),
        "wrong": wanted.wrong,
        "filtered": bool(wanted.search)
        or any(each.value != table.defaults.get(each.column.name) for each in wanted.conditions),
        "query": base.urlencode(),
        "next_url": _with(base, after=shown.after) if shown.after else "",
        "first_url": _with(base),
        "exports": [(name, _with(base, format=name), _with(base, format=name, all_columns="1")) for name in FORMATS],
        "export_limit": LIMIT,
        "clear_url": _cleared(look, wanted),
        "own_view": _own_view(request),
    }


def _own_view(request: PageRequest) -> dict[str, Any] | None:
    """The saved view one is in, and what one may do with it."""
    if not request.GET.get("view"):
        return None
    try:
        view = views.get(request.actor, request.GET["view"])
    except NotFound:
        return None
    return {"view": view, "may_edit": views.may_edit(request.actor, view)}


def _query(request: PageRequest) -> QueryDict:
    """The address as it narrows the list, without its place and without the name of the view it came from."""
    query = request.GET.copy()
    for name in OWN:
        query.pop(name, None)
    for name in [key for key, values in query.lists() if not any(values)]:
        query.pop(name)
    return query


def _with(query: QueryDict, **changes: str) -> str:
    changed = query.copy()
    for name, value in changes.items():
        changed[name] = value
    return f"?{changed.urlencode()}" if changed else "?view=none"


def _head(column: Column, wanted: Wanted, base: QueryDict, main: str) -> dict[str, Any]:
    down = wanted.sort == f"-{column.name}"
    up = wanted.sort == column.name
    return {
        "column": column,
        "url": _with(base, sort=f"-{column.name}" if up else column.name) if column.order else "",
        "aria": "ascending" if up else "descending" if down else "none",
        "up": up,
        "down": down,
        "number": column.type == "number",
        "unit": "" if column.unit in cells.DRAWN_UNITS else column.unit,
        "main": column.name == main,
    }


def _chip(condition: Condition, table: Table, base: QueryDict, actor: Actor) -> dict[str, Any]:
    """A condition in words, and the address without it."""
    column = condition.column
    titles = {str(key): str(word) for key, word in _titles(column, actor).items()}
    if condition.operator == "empty":
        word, value = (WORDS["empty"] if condition.value not in ("0", "no", "false") else WORDS["filled"]), ""
    else:
        parts = condition.value.split(",") if column.type == "choice" else [condition.value]
        value = ", ".join(titles.get(each, each) for each in parts)
        word = "" if condition.operator == OPERATORS[column.type][0] == "is" else WORDS[condition.operator]
    rest = base.copy()
    for key in [condition.key, *(key for key in base if key == column.name)]:
        rest.pop(key, None)
    if column.name in table.defaults:
        rest[column.name] = conditions.ANY
    return {"name": column.name, "title": column.title, "word": word, "value": value, "url": _with(rest)}


def _search_chip(wanted: Wanted, base: QueryDict) -> list[dict[str, Any]]:
    if not wanted.search:
        return []
    rest = base.copy()
    rest.pop("q", None)
    return [{"name": "q", "title": _("Search"), "word": "", "value": wanted.search, "url": _with(rest)}]


def _cleared(look: Look, wanted: Wanted) -> str:
    if wanted.queue is not None and wanted.queue.name:
        return f"{look.address}?{look.table.queue_word}={wanted.queue.name}"
    return f"{look.address}?view=none"


# --- the frame: what stays while the rows are exchanged ---------------------------------------------------------------


def _frame(
    request: PageRequest, look: Look, wanted: Wanted, columns: list[Column], known: list[Column]
) -> dict[str, Any]:
    table, actor = look.table, request.actor
    names = [each.name for each in columns]
    others = [each for each in known if each.name not in names]
    listed = views.of_list(actor, table.kind)
    current = request.GET.get("view", "")
    undo = None
    if request.GET.get("undo_view"):
        try:
            undo = views.get(actor, request.GET["undo_view"], deleted=True)
        except NotFound:
            undo = None
    return {
        "queues": [
            {
                "name": each.name,
                "title": each.title,
                "url": f"?{table.queue_word}={each.name}" if each.name else "?view=none",
                "on": each == wanted.queue and not current,
            }
            for each in table.queues
        ],
        "views": [
            {
                "view": each,
                "url": view_url(look, each),
                "on": str(each.pk) == current,
                "mine": each.owner_id == actor.user_id,
            }
            for each in listed
        ],
        "undo": undo if undo is not None and undo.deleted_at is not None else None,
        "fields": [_field(each, wanted, actor) for each in known if each.filterable],
        "kept": [(table.queue_word, wanted.queue.name)] if wanted.queue is not None and wanted.queue.name else [],
        "search": wanted.search,
        "chosen_columns": [(each, True) for each in columns] + [(each, False) for each in others],
        "row_counts": ROW_COUNTS,
        "sort": wanted.sort,
        "shares": SharedWith.choices,
        "my_teams": _my_teams(actor),
        "lasts": LASTS,
        "here": look.address,
        "filters_count": len(wanted.conditions),
    }


def _my_teams(actor: Actor) -> list[tuple[str, str]]:
    return [(str(pk), name) for pk, name in views.teams_of(actor)]


def _field(column: Column, wanted: Wanted, actor: Actor) -> dict[str, Any]:
    """A column as a line of the filter form: one input for each operator, with what is set now."""
    now = {each.operator: each.value for each in wanted.conditions if each.column == column}
    first = OPERATORS[column.type][0]
    inputs = {
        operator: {
            "name": column.name if operator == first else f"{column.name}.{operator}",
            "value": now.get(operator, ""),
        }
        for operator in OPERATORS[column.type]
    }
    listed = [(str(key), word) for key, word in column.choices(actor)] if column.choices else []
    chosen = set(now.get("is", "").split(","))
    return {
        "column": column,
        "type": "text" if column.type == "choice" and not listed else column.type,
        "inputs": inputs,
        "choices": [(key, word, key in chosen) for key, word in listed],
        "set": bool(now),
        "empties": "empty" in inputs and (column.type not in ("text", "choice") or "__" in column.path),
    }
