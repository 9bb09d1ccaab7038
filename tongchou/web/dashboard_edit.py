"""Editing a dashboard: its panels with a live preview, where they stand, its rows, its variables, its versions."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core.access import allows, check
from tongchou.core.models import Team
from tongchou.core.problems import Invalid, NotFound, Problem
from tongchou.telemetry import dashboard_actions, dashboard_reads
from tongchou.telemetry.dashboards import definition, edit, lines, words
from tongchou.telemetry.dashboards.definition import Definition, Panel, Query
from tongchou.telemetry.dashboards.layout import Place
from tongchou.telemetry.models import Dashboard
from tongchou.web import dashboard_data
from tongchou.web.dashboards import shown_panel
from tongchou.web.gate import PageRequest, page

EDIT = "telemetry.edit"
SPARE = 2  # empty rows of queries and variables in a form
DIFF_LINES = 400


def save(request: PageRequest, row: Dashboard, made: Definition, *, version: int, note: str = "") -> Dashboard:
    """Keep a changed definition as the next version; everything else stays."""
    content = dashboard_actions.Content(row.title, made, row.folder, tuple(row.tags), row.description, row.owner)
    return dashboard_actions.update(actor=request.actor, dashboard=row, version=version, made=content, note=note)


def whole(form: QueryDict, name: str, default: int = -1) -> int:
    """Return a whole number of a form; the default for what is none."""
    text = form.get(name, "")
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else default


# --- a panel ----------------------------------------------------------------------------------------------------------


def panel_of(form: QueryDict, before: Panel) -> Panel:
    """Return the panel a form tells, at the place of `before`. Raises Invalid naming the field."""
    said: dict[str, Any] = {
        "id": before.id, "x": before.x, "y": before.y, "w": before.w, "h": before.h,
        "unit": form.get("unit", ""),
        "kind": form.get("kind", before.kind),
        "title": form.get("title", ""),
        "description": form.get("description", "").replace("\r\n", "\n"),
        "draw": form.get("draw", before.draw),
        "stack": "stack" in form,
        "reduce": form.get("reduce", before.reduce),
        "text": form.get("text", "").replace("\r\n", "\n"),
        "decimals": _number(form, "decimals"),
        "min": _number(form, "min"),
        "max": _number(form, "max"),
        "thresholds": lines.read_thresholds(form.get("thresholds", ""), "thresholds"),
        "names": lines.read_names(form.get("names", ""), "names"),
        "queries": _queries(form),
    }  # fmt: skip
    for key in ("w", "h"):
        if form.get(key):
            said[key] = whole(form, key)
    if said["decimals"] is not None:
        said["decimals"] = round(said["decimals"])
    found = definition.parse({"rows": [{"panels": [said]}]}).rows[0].panels[0]
    return replace(found, x=before.x, y=before.y)


def _number(form: QueryDict, name: str) -> float | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise Invalid("dashboard.definition", _("A number is wanted here."), field=name, value=text)
    return found


def _queries(form: QueryDict) -> list[dict[str, Any]]:
    out = []
    for at in range(words.MAX_QUERIES):
        expr = form.get(f"expr-{at}", "").replace("\r\n", "\n").strip()
        if expr:
            legend = form.get(f"legend-{at}", "")
            marks = {"instant": f"instant-{at}" in form, "hidden": f"hidden-{at}" in form}
            out.append({"expr": expr, "legend": legend, **marks})
    return out


@page(EDIT)
def dashboard_panel_edit(request: PageRequest, name: str, number: int) -> HttpResponse:
    """The form of a panel with its preview; number 0 is a new one, in the row `?row=`."""
    check(request.actor, EDIT)
    row = dashboard_reads.get(request.actor, name)
    found = definition.parse(row.definition)
    panel = Panel(found.next_id()) if number == 0 else found.panel(number)
    if panel is None:
        raise edit.no_panel(number)
    problem, version = None, row.version
    if request.method == "POST":
        version = whole(request.POST, "version", row.version)
        try:
            made = panel_of(request.POST, panel)
            place = whole(request.POST, "row")
            changed = edit.with_panel(found, made, row=place if number == 0 and place >= 0 else None)
            save(request, row, changed, version=version, note=_("panel: %(title)s") % {"title": made.title})
            return redirect(f"{reverse('web:dashboard', args=[row.name])}?edit=1#panel-{made.id}")
        except Problem as error:
            problem = error
    context = _panel_form(request, found, panel) | {
        "row": row, "number": number, "version": version, "problem": problem,
        "at_row": whole(request.GET if request.method == "GET" else request.POST, "row"),
    }  # fmt: skip
    return render(request, "operate/dashboard_panel.html", context, status=problem.status if problem else 200)


def _panel_form(request: PageRequest, found: Definition, panel: Panel) -> dict[str, Any]:
    said = request.POST if request.method == "POST" else None
    queries = [*panel.queries, *(Query("") for _spare in range(SPARE))][: words.MAX_QUERIES]
    shown = []
    for at, each in enumerate(queries):
        filled = {"expr": each.expr, "legend": each.legend, "instant": each.instant, "hidden": each.hidden}
        if said is not None:
            filled = {"expr": said.get(f"expr-{at}", ""), "legend": said.get(f"legend-{at}", ""),
                      "instant": f"instant-{at}" in said, "hidden": f"hidden-{at}" in said}  # fmt: skip
        shown.append(filled | {"letter": dashboard_data.LETTERS[at], "at": at})
    values: Mapping[str, Any] = {
        "title": panel.title, "description": panel.description, "kind": panel.kind, "unit": panel.unit,
        "decimals": "" if panel.decimals is None else panel.decimals,
        "min": _plain(panel.min), "max": _plain(panel.max), "draw": panel.draw, "stack": panel.stack,
        "reduce": panel.reduce, "text": panel.text, "thresholds": lines.write_thresholds(panel.thresholds),
        "names": lines.write_names(panel.names), "w": panel.w, "h": panel.h,
    }  # fmt: skip
    if said is not None:
        values = {key: said.get(key, "") for key in values} | {"stack": "stack" in said}
    return {
        "panel": panel, "values": values, "queries": shown, "kinds": words.PANEL_KINDS, "units": words.UNITS,
        "reducers": words.REDUCED, "ways": words.DRAWN, "tones": words.TONES, "found": found,
        "variables": [each.name for each in found.variables], "example_legend": "{{instance}}",
    }  # fmt: skip


def _plain(number: float | None) -> str:
    return "" if number is None else repr(number).removesuffix(".0")


@page(EDIT)
@require_POST
def dashboard_try(request: PageRequest, name: str) -> HttpResponse:
    """What a panel would show that is not saved: the form of a panel in the body, the range in the address."""
    check(request.actor, EDIT)
    check(request.actor, "telemetry.view")
    found = definition.parse(dashboard_reads.get(request.actor, name).definition)
    panel = panel_of(request.POST, Panel(found.next_id()))
    about = shown_panel(panel, found)["about"]
    if panel.kind != "text" and not panel.queries:
        return JsonResponse({"about": about, "answer": None}, headers=dashboard_data.NO_STORE)
    answer = dashboard_data.panel_data(found, panel, dashboard_data.asked(request))
    return JsonResponse({"about": about, "answer": answer}, headers=dashboard_data.NO_STORE)


# --- changes in one step ----------------------------------------------------------------------------------------------

Change = Callable[[Definition, QueryDict], Definition]


def _places(found: Definition, form: QueryDict) -> Definition:
    """`places`: JSON of {panel id: [row, x, y, w, h]}."""
    try:
        said = json.loads(form.get("places", "{}"))
        places = {int(key): (int(row), Place(*(int(each) for each in place))) for key, (row, *place) in said.items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise Invalid("dashboard.places", _("The places of the panels cannot be read."), field="places") from error
    return edit.rearranged(found, places)


CHANGES: dict[str, Change] = {
    "places": _places,
    "double": lambda found, form: edit.doubled(found, whole(form, "panel")),
    "remove": lambda found, form: edit.without_panel(found, whole(form, "panel")),
    "row-add": lambda found, form: edit.with_new_row(found, form.get("title", "")[: words.MAX_TITLE] or _("Row")),
    "row-name": lambda found, form: edit.named_row(
        found, whole(form, "row"), form.get("title", "")[: words.MAX_TITLE], collapsed="collapsed" in form
    ),
    "row-up": lambda found, form: edit.moved_row(found, whole(form, "row"), -1),
    "row-down": lambda found, form: edit.moved_row(found, whole(form, "row"), 1),
    "row-remove": lambda found, form: edit.without_row(found, whole(form, "row")),
}


@page(EDIT)
@require_POST
def dashboard_change(request: PageRequest, name: str) -> HttpResponse:
    """One change of what stands where (`act`, as in "double:7"), as a version of its own that can be undone."""
    check(request.actor, EDIT)
    row = dashboard_reads.get(request.actor, name)
    act, _colon, at = request.POST.get("act", "").partition(":")
    version = whole(request.POST, "version")
    if act not in CHANGES:
        raise NotFound("dashboard.no_act", _("There is no such change."), field="act", value=act)
    said = request.POST.copy()
    if at:
        said["row" if act.startswith("row-") else "panel"] = at
    made = CHANGES[act](definition.parse(row.definition), said)
    changed = save(request, row, made, version=version)
    undo = f"&undo={version}" if changed.version != version else ""
    return redirect(f"{reverse('web:dashboard', args=[row.name])}?edit=1{undo}")


# --- settings and variables -------------------------------------------------------------------------------------------


@page(EDIT)
def dashboard_settings(request: PageRequest, name: str) -> HttpResponse:
    """Title, folder, tags, owner, what it opens with, and its variables."""
    check(request.actor, EDIT)
    row = dashboard_reads.get(request.actor, name)
    found = definition.parse(row.definition)
    problem, version = None, row.version
    if request.method == "POST":
        version = whole(request.POST, "version", row.version)
        try:
            _save_settings(request, row, found, version)
            messages.success(request, _("Saved."))
            return redirect("web:dashboard", name=row.name)
        except Problem as error:
            problem = error
    context = {
        "row": row, "found": found, "version": version, "problem": problem, "ranges": words.RANGES,
        "teams": Team.objects.order_by("name"), "kinds": words.VARIABLE_KINDS, "sorts": words.SORTS,
        "variables": [*enumerate(found.variables), *((len(found.variables) + at, None) for at in range(SPARE))],
        "tags": ", ".join(row.tags),
    }  # fmt: skip
    return render(request, "operate/dashboard_settings.html", context, status=problem.status if problem else 200)


def _save_settings(request: PageRequest, row: Dashboard, found: Definition, version: int) -> None:
    form = request.POST
    said = found.as_json() | {
        "range": form.get("range", found.range),
        "refresh_seconds": whole(form, "refresh_seconds", found.refresh_seconds),
        "marks": "marks" in form,
        "variables": _variables(form),
    }
    made = dashboard_actions.content(
        {
            "title": form.get("title", ""),
            "folder": form.get("folder", ""),
            "tags": list(dashboard_actions.names(form.get("tags", ""))),
            "description": form.get("description", "").replace("\r\n", "\n"),
            "definition": said,
        },
        owner=Team.objects.filter(pk=form["owner"]).first() if form.get("owner") else None,
    )
    dashboard_actions.update(actor=request.actor, dashboard=row, version=version, made=made, note=_("settings"))


def _variables(form: QueryDict) -> list[dict[str, Any]]:
    out = []
    for at in range(words.MAX_VARIABLES):
        name = form.get(f"name-{at}", "").strip()
        if not name or f"gone-{at}" in form:
            continue
        texts = {key: form.get(f"{key}-{at}", "") for key in ("kind", "label", "query", "regex", "sort", "all_value")}
        flags = {key: f"{key}-{at}" in form for key in ("multi", "all", "hide")}
        value = [each for each in form.get(f"value-{at}", "").splitlines() if each]
        out.append({"name": name, "value": value, **texts, **flags})
    return out


# --- versions ---------------------------------------------------------------------------------------------------------


@page("telemetry.view")
def dashboard_history(request: PageRequest, name: str) -> HttpResponse:
    """The versions that are kept; `?number=` shows what one of them changed."""
    check(request.actor, "telemetry.view")
    row = dashboard_reads.get(request.actor, name)
    shown = list(dashboard_reads.versions(row).defer("content"))
    number = whole(request.GET, "number", row.version)
    pair = {each.number: each.content for each in dashboard_reads.versions(row).filter(number__in=(number - 1, number))}
    changed = difference(pair.get(number - 1), pair.get(number)) if number in pair else []
    context = {
        "row": row, "versions": shown, "number": number, "changed": changed[:DIFF_LINES],
        "more": max(0, len(changed) - DIFF_LINES), "first": number - 1 not in pair,
        "may_edit": allows(request.actor, EDIT),
    }  # fmt: skip
    return render(request, "operate/dashboard_history.html", context)


def difference(before: object, after: object) -> list[tuple[str, str]]:
    """Return (class, line) of what differs between two contents written as JSON, a few lines around each. Pure."""
    old = json.dumps(before or {}, ensure_ascii=False, indent=1, sort_keys=True).splitlines()
    new = json.dumps(after or {}, ensure_ascii=False, indent=1, sort_keys=True).splitlines()
    out = []
    for line in list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]:
        kind = {"+": "add", "-": "del", "@": "head"}.get(line[:1], "")
        out.append((kind, line))
    return out


@page(EDIT)
@require_POST
def dashboard_restore(request: PageRequest, name: str) -> HttpResponse:
    """Have a version back: `number`, while the newest is `version`."""
    check(request.actor, EDIT)
    row = dashboard_reads.get(request.actor, name)
    number = whole(request.POST, "number")
    dashboard_actions.restore(actor=request.actor, dashboard=row, version=whole(request.POST, "version"), number=number)
    messages.success(request, _("It is as in version %(number)d again.") % {"number": number})
    back = "?edit=1" if "edit" in request.POST else ""
    return redirect(f"{reverse('web:dashboard', args=[row.name])}{back}")
