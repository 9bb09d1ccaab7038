"""The custom fields of one thing: shown and changed in place, on the page of any noun; and the picker of things."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from tongchou.core import nouns
from tongchou.core.access import check_anywhere
from tongchou.core.custom_fields import fields_for, fields_of, model_of, names_of, set_values, shown
from tongchou.core.field_types import OBJECTS, SEVERAL
from tongchou.core.models_fields import FieldEditable
from tongchou.core.problems import NotFound, Problem
from tongchou.web import field_forms
from tongchou.web.gate import ANY_PERSON, PageRequest, page
from tongchou.web.links import resolve

MOST = 20
# Where each sort of thing is looked for by what people type.
SEARCHED: dict[str, tuple[str, ...]] = {
    "inventory.resource": ("name",),
    "incidents.incident": ("title", "number"),
    "incidents.postmortem": ("incident__title", "incident__number"),
    "incidents.improvement": ("title", "number"),
    "alerting.objective": ("name", "service"),
    "alerting.alertgroup": ("key",),
    "alerting.rulefile": ("name",),
    "alerting.silence": ("comment",),
    "runbooks.procedure": ("name",),
    "runbooks.run": ("procedure__name", "reason"),
    "changes.deployment": ("service_name", "version"),
}


def _row(request: PageRequest, ref: str) -> Any:
    row = nouns.row(request.actor, ref)
    model_of(ref.partition(":")[0])
    return row


def panel_context(request: PageRequest, row: Any, ref: str) -> dict[str, Any]:
    """Return what the panel shows: groups of fields, and whether the person may change them."""
    fields = fields_for(row)
    return {
        "cf_ref": ref,
        "cf_groups": field_forms.panel(request.actor, fields, shown(row, fields)) if fields else [],
        "cf_may": any(each.editable is FieldEditable.YES for each in fields) and nouns.may_change(request.actor, row),
    }


@page(ANY_PERSON)
def field_values(request: PageRequest, ref: str) -> HttpResponse:
    """The panel (GET), its form (GET ?edit=1), and its save (POST). Who may not see the thing finds nothing."""
    row = _row(request, ref)
    context: dict[str, Any] = {"cf_row": row, "cf_ref": ref}
    status = 200
    editing = bool(request.GET.get("edit"))
    if request.method == "POST":
        nouns.check_change(request.actor, row)
        fields = fields_for(row)
        try:
            set_values(actor=request.actor, row=row, values=field_forms.posted(fields, request.POST))
        except Problem as problem:
            if problem.status == 403:
                raise
            editing, status = True, problem.status
            values = shown(row, fields)
            context |= {
                "problem": problem,
                "cf_form": field_forms.form(request.actor, fields, values, post=request.POST, problem=problem),
            }
        else:
            if not request.htmx:
                messages.success(request, _("Saved."))
                return redirect(resolve([ref])[ref].url or request.path)
            editing = False
    elif editing:
        nouns.check_change(request.actor, row)
        fields = fields_for(row)
        context["cf_form"] = field_forms.form(request.actor, fields, shown(row, fields))
    if not editing:
        context |= panel_context(request, row, ref)
    if request.htmx:
        # 200 for a refused form: htmx swaps only what succeeded, and the form says what is wrong
        return render(request, "fields/form.html" if editing else "fields/panel.html", context)
    context["link"] = resolve([ref])[ref]
    return render(request, "fields/page.html", context, status=status)


def _found(request: PageRequest, kind: str, text: str) -> QuerySet[Any]:
    rows = nouns.noun(kind).rows(request.actor)
    wanted = Q()
    for column in SEARCHED.get(kind, ()):
        if column.endswith("number"):
            digits = text.rpartition("-")[2]
            if digits.isascii() and digits.isdigit() and len(digits) < 10:
                wanted |= Q(**{column: int(digits)})
        else:
            wanted |= Q(**{f"{column}__icontains": text})
    return rows.filter(wanted) if text and wanted else rows


@page(ANY_PERSON)
def field_pick(request: PageRequest, kind: str, name: str) -> HttpResponse:
    """What an object field can point at: what is chosen, ticked, and what fits the words, not ticked."""
    field = next((each for each in fields_of(kind) if each.name == name and each.type in OBJECTS), None)
    if field is None:
        raise NotFound("custom_field.unknown", _("There is no such field."), remedy=_("Reload the page."))
    check_anywhere(request.actor, nouns.noun(kind).view)
    check_anywhere(request.actor, nouns.noun(field.object_kind).view)
    text = request.GET.get("q", "").strip().replace("\0", "")[:100]
    chosen = [each for each in request.GET.getlist(field_forms.PREFIX + name) if each][:100]
    names = names_of(request.actor, chosen)
    options = [(ref, names[ref]) for ref in chosen]
    sort = nouns.noun(field.object_kind)
    for row in _found(request, field.object_kind, text)[:MOST]:
        ref = f"{sort.kind}:{row.pk}"
        if ref not in names:
            options.append((ref, sort.called(row)))
    context = {
        "name": field_forms.PREFIX + name,
        "options": options,
        "chosen": chosen,
        "several": field.type in SEVERAL,
        "searched": text,
        "most": MOST,
    }
    return render(request, "fields/options.html", context)
