"""Administration of custom fields: what each sort of thing holds, its choice sets, and a preview of the form."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from tongchou.core import field_choices, nouns
from tongchou.core import field_definitions as definitions
from tongchou.core.custom_fields import field_of, model_of
from tongchou.core.field_definitions import Draft, draft_of
from tongchou.core.field_types import (
    NUMBERS,
    OBJECTS,
    SELECTS,
    TEXTS,
    UNIQUE_TYPES,
    FieldDef,
    Unfit,
    localized,
    read_text,
    write,
)
from tongchou.core.models_fields import (
    ChoiceSet,
    FieldDefinition,
    FieldEditable,
    FieldType,
    FieldVisible,
    FilterLogic,
)
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.web import field_forms
from tongchou.web.gate import PageRequest, page

BLANK_ROWS = 4
COLOUR_WORDS: dict[str, str | Promise] = {
    "": gettext_lazy("no colour"),
    "grey": gettext_lazy("grey"),
    "red": gettext_lazy("red"),
    "orange": gettext_lazy("orange"),
    "yellow": gettext_lazy("yellow"),
    "green": gettext_lazy("green"),
    "teal": gettext_lazy("teal"),
    "blue": gettext_lazy("blue"),
    "purple": gettext_lazy("purple"),
    "pink": gettext_lazy("pink"),
}
ICONS = {
    "text": "type",
    "long_text": "text-align-start",
    "integer": "hash",
    "decimal": "percent",
    "boolean": "toggle-left",
    "date": "calendar",
    "datetime": "calendar-clock",
    "url": "link",
    "json": "braces",
    "select": "circle-dot",
    "multi_select": "list-checks",
    "object": "box",
    "multi_object": "boxes",
}


def _sorts() -> list[nouns.Noun]:
    return [each for each in nouns.nouns() if each.custom_fields]


@page("fields.manage")
def fields(request: PageRequest) -> HttpResponse:
    """The fields of one sort of thing, what they are used for, the deleted ones, and the choice sets."""
    sorts = _sorts()
    kind = request.GET.get("kind", "inventory.resource")
    model_of(kind)
    usage = definitions.usage(kind)
    counts: dict[str, int] = {}
    for each in definitions.definitions():
        counts[each.kind] = counts.get(each.kind, 0) + 1
    context = {
        "sorts": [{"noun": each, "count": counts.get(each.kind, 0)} for each in sorts],
        "kind": kind,
        "sort": nouns.noun(kind),
        "rows": [_line(row, usage) for row in definitions.definitions().filter(kind=kind)],
        "deleted": [_line(row, usage) for row in definitions.definitions(deleted=True).filter(kind=kind)],
        "sets": [
            {"row": row, "title": localized(row.label, row.name), "fields": row.definitions.count()}
            for row in ChoiceSet.objects.prefetch_related("definitions")
        ],
        "most": definitions.MAX_FIELDS,
    }
    return render(request, "fields/list.html", context)


def _line(row: FieldDefinition, usage: dict[str, tuple[int, int]]) -> dict[str, Any]:
    used, missing = usage.get(row.name, (0, 0))
    asks = ngettext(
        "%(count)s row has a value. It is kept for some days, so that the field can be put back.",
        "%(count)s rows have a value. They are kept for some days, so that the field can be put back.",
        used,
    )
    final = ngettext("%(count)s value is lost for good.", "%(count)s values are lost for good.", used)
    return {
        "row": row,
        "field": field_of(row),
        "icon": ICONS[row.type],
        "used": used,
        "missing": missing,
        "delete": _("Delete the field %(name)s?") % {"name": row.name} + " " + asks % {"count": used},
        "purge": _("Delete %(name)s for good?") % {"name": row.name} + " " + final % {"count": used},
    }


def _back(kind: str) -> HttpResponse:
    return redirect(f"{reverse('web:fields')}?{urlencode({'kind': kind})}")


# --- one field --------------------------------------------------------------------------------------------------------


def _texts(post: QueryDict, place: str) -> dict[str, str]:
    return {language: post.get(f"{place}_{language}", "") for language in ("en", "zh")}


def _number(post: QueryDict, place: str) -> float | int | None:
    text = post.get(place, "").strip()
    if not text:
        return None
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise Invalid(
            "custom_field.definition",
            _("This is a number."),
            field=place,
            value=text,
            remedy=_("Write it like 12.5."),
        ) from None


def _whole(post: QueryDict, place: str) -> int | None:
    number = _number(post, place)
    if number is not None and not isinstance(number, int):
        raise Invalid(
            "custom_field.definition",
            _("This is a whole number."),
            field=place,
            value=post.get(place),
            remedy=_("Write digits only, for example 42."),
        )
    return number


def _draft(post: QueryDict, kind: str, type_: FieldType) -> Draft:
    """What the form says; what a type does not have is not in its form."""
    choice_set = post.get("choice_set", "")
    chosen = ChoiceSet.objects.filter(name=choice_set).first()
    bare = FieldDefinition(kind=kind, name="x", type=type_.value, choice_set=chosen)
    bare.object_kind = post.get("object_kind", "")
    texts = [text for text in post.getlist("default") if text]
    try:
        default: Any = read_text(field_of(bare), "; ".join(texts)) if texts else None
    except Unfit as unfit:
        raise Invalid(
            "custom_field.definition", str(unfit.detail), field="default", value=texts[0], remedy=unfit.remedy
        ) from None
    return Draft(
        label=_texts(post, "label"),
        description=_texts(post, "description"),
        group=_texts(post, "group"),
        subkinds=tuple(part.strip() for part in post.get("subkinds", "").replace("，", ",").split(",") if part.strip()),
        weight=_whole(post, "weight") or 0,
        required="required" in post,
        unique="unique" in post,
        default=default,
        minimum=_number(post, "minimum"),
        maximum=_number(post, "maximum"),
        pattern=post.get("pattern", ""),
        max_length=_whole(post, "max_length"),
        choice_set=choice_set,
        object_kind=post.get("object_kind", ""),
        filter_logic=post.get("filter_logic", FilterLogic.LOOSE.value),
        visible=post.get("visible", FieldVisible.ALWAYS.value),
        editable=post.get("editable", FieldEditable.YES.value),
    )


def _given(draft: Draft, made: FieldDef) -> dict[str, Any]:
    """What stands in the form of a definition that exists."""
    texts = {
        f"{place}_{language}": getattr(draft, place).get(language, "")
        for place in ("label", "description", "group")
        for language in ("en", "zh")
    }
    same = ("weight", "pattern", "choice_set", "object_kind", "filter_logic", "visible", "editable")
    numbers = {name: "" if getattr(draft, name) is None else getattr(draft, name) for name in ("minimum", "maximum")}
    return {
        **texts,
        **{name: getattr(draft, name) for name in same},
        **{name: f"{value:g}" if isinstance(value, float) else value for name, value in numbers.items()},
        "max_length": draft.max_length or "",
        "required": draft.required,
        "unique": draft.unique,
        "subkinds": ", ".join(draft.subkinds),
        "default": write(made, draft.default),
    }


def _form(request: PageRequest, kind: str, type_: FieldType, given: Any, **more: Any) -> HttpResponse:
    problem: Problem | None = more.get("problem")
    sort = nouns.noun(kind)
    column = sort.subkind
    in_use = model_of(kind).objects.order_by(column).values_list(column, flat=True).distinct()[:100] if column else []
    context = {
        "kind": kind,
        "sort": sort,
        "type": type_,
        "icon": ICONS[type_.value],
        "given": given,
        "subkinds_in_use": list(in_use),
        "texts": type_ in TEXTS,
        "numbers": type_ in NUMBERS,
        "selects": type_ in SELECTS,
        "objects": type_ in OBJECTS,
        "may_unique": type_ in UNIQUE_TYPES,
        "sets": [(row.name, localized(row.label, row.name)) for row in ChoiceSet.objects.order_by("name")],
        "sorts": nouns.nouns(),
        "logics": FilterLogic.choices,
        "visibles": FieldVisible.choices,
        "editables": FieldEditable.choices,
        **more,
    }
    return render(request, "fields/definition.html", context, status=problem.status if problem else 200)


def _type(text: str) -> FieldType | None:
    return FieldType(text) if text in FieldType.values else None


@page("fields.manage")
def field_new(request: PageRequest, kind: str) -> HttpResponse:
    """First the type, which is fixed later; then the rest."""
    model_of(kind)
    type_ = _type(request.GET.get("type", ""))
    if type_ is None:
        types = [{"value": each.value, "title": each.label, "icon": ICONS[each.value]} for each in FieldType]
        return render(
            request,
            "fields/types.html",
            {"types": types, "kind": kind, "sort": nouns.noun(kind), "subkinds": request.GET.get("subkinds", "")},
        )
    if request.method != "POST":
        start = {"weight": 100, "filter_logic": "loose", "visible": "always", "editable": "yes"}
        start["subkinds"] = request.GET.get("subkinds", "")[:200]
        return _form(request, kind, type_, start)
    post = request.POST
    try:
        row = definitions.create(
            actor=request.actor,
            kind=kind,
            name=post.get("name", "").strip(),
            type_=type_.value,
            draft=_draft(post, kind, type_),
        )
    except (Invalid, Conflict, NotFound) as problem:
        return _form(request, kind, type_, post, problem=problem)
    messages.success(request, _("The field %(name)s is defined.") % {"name": row.name})
    return _back(kind)


@page("fields.manage")
def field_edit(request: PageRequest, kind: str, name: str) -> HttpResponse:
    """Change a definition; what would break existing values is told before anything is changed."""
    row = definitions.get(kind, name)
    type_ = FieldType(row.type)
    if request.method != "POST":
        return _form(request, kind, type_, _given(draft_of(row), field_of(row)), row=row)
    try:
        definitions.change(
            actor=request.actor,
            row=row,
            draft=_draft(request.POST, kind, type_),
            keep_invalid="keep_invalid" in request.POST,
        )
    except (Invalid, Conflict) as problem:
        return _form(request, kind, type_, request.POST, row=row, problem=problem)
    messages.success(request, _("Saved."))
    return _back(kind)


@page("fields.manage")
@require_POST
def field_act(request: PageRequest, kind: str, name: str, act: str) -> HttpResponse:
    """Delete, put back, delete for good, or move a field up or down."""
    if act == "delete":
        definitions.delete(actor=request.actor, row=definitions.get(kind, name))
        messages.success(request, _("The field %(name)s is deleted. It can be put back below.") % {"name": name})
    elif act == "restore":
        definitions.restore(actor=request.actor, row=definitions.get_deleted(kind, name))
        messages.success(request, _("The field %(name)s is back, with its values.") % {"name": name})
    elif act == "purge":
        gone = definitions.purge(actor=request.actor, row=definitions.get_deleted(kind, name))
        text = ngettext("Deleted for good, with %(count)s value.", "Deleted for good, with %(count)s values.", gone)
        messages.success(request, text % {"count": gone})
    elif act in ("up", "down"):
        names = [each.name for each in definitions.definitions().filter(kind=kind)]
        if name in names:
            place = names.index(name)
            other = place - 1 if act == "up" else place + 1
            if 0 <= other < len(names):
                names[place], names[other] = names[other], names[place]
                definitions.reorder(actor=request.actor, kind=kind, names=names)
    else:
        raise NotFound("fields.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    return _back(kind)


@page("fields.manage")
@require_POST
def field_preview(request: PageRequest, kind: str) -> HttpResponse:
    """What people will see, of a definition that is not saved; or what is wrong with it."""
    model_of(kind)
    type_ = _type(request.GET.get("type", "")) or FieldType.TEXT
    context: dict[str, Any] = {}
    try:
        row = FieldDefinition(
            id=uuid4(), kind=kind, name=request.POST.get("name", "") or "preview", type=type_.value, updated_by_name=""
        )
        made = definitions.fill(row, _draft(request.POST, kind, type_))
        context["each"] = field_forms.draw(made, made.default)
    except Problem as problem:
        context["problem"] = problem
    return render(request, "fields/preview.html", context)


# --- choice sets ------------------------------------------------------------------------------------------------------


def _choices(post: QueryDict) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The choices in the order of their numbers, and which old value each new one takes the place of."""
    columns = [post.getlist(name) for name in ("order", "old", "value", "en", "zh", "colour")]
    found, replace = [], {}
    for place, (order, old, value, en, zh, colour) in enumerate(zip(*columns, strict=False)):
        if value.strip():
            number = int(order) if order.isascii() and order.isdigit() and len(order) < 7 else 10**6
            found.append((number, place, {"value": value.strip(), "en": en, "zh": zh, "colour": colour}))
            if old and old != value.strip():
                replace[old] = value.strip()
        elif old and post.get(f"replace-{old}"):
            replace[old] = post[f"replace-{old}"]
    return [each for _number, _place, each in sorted(found, key=lambda each: each[:2])], replace


def _set_form(request: PageRequest, row: ChoiceSet | None, problem: Problem | None = None) -> HttpResponse:
    post = request.POST
    if problem is not None:
        columns = [post.getlist(name) for name in ("old", "value", "en", "zh", "colour")]
        lines = [
            dict(zip(("old", "value", "en", "zh", "colour"), each, strict=True)) for each in zip(*columns, strict=False)
        ]
        given = {"name": post.get("name", ""), "en": post.get("label_en", ""), "zh": post.get("label_zh", "")}
    else:
        lines = [{**each, "old": each["value"]} for each in (row.choices if row else [])]
        lines += [{"old": "", "value": "", "en": "", "zh": "", "colour": ""}] * BLANK_ROWS
        given = {"name": row.name if row else "", **(row.label if row else {})}
    in_use = problem.extra.get("in_use", {}) if problem else {}
    context = {
        "row": row,
        "lines": lines,
        "given": given,
        "problem": problem,
        "colours": [(name, COLOUR_WORDS[name]) for name in field_choices.COLOURS],
        "in_use": sorted(in_use.items()),
        "left": [each["value"] for each in lines if each["value"]],
        "fields": list(row.definitions.order_by("kind", "name")) if row else [],
        "used": field_choices.used(row) if row and problem is None else {},
    }
    return render(request, "fields/choice_set.html", context, status=problem.status if problem else 200)


@page("fields.manage")
def field_set_new(request: PageRequest) -> HttpResponse:
    """Make a choice set."""
    if request.method != "POST":
        return _set_form(request, None)
    try:
        row = field_choices.create(
            actor=request.actor,
            name=request.POST.get("name", "").strip(),
            label=_texts(request.POST, "label"),
            choices=_choices(request.POST)[0],
        )
    except (Invalid, Conflict) as problem:
        return _set_form(request, None, problem)
    messages.success(request, _("The choice set %(name)s is made.") % {"name": row.name})
    return redirect("web:fields")


@page("fields.manage")
def field_set(request: PageRequest, name: str) -> HttpResponse:
    """Change a choice set, or delete one that no field uses. A value written anew is changed in every row."""
    row = field_choices.get(name)
    if request.method != "POST":
        return _set_form(request, row)
    try:
        if "delete" in request.POST:
            field_choices.delete(actor=request.actor, row=row)
            messages.success(request, _("The choice set %(name)s is deleted.") % {"name": name})
            return redirect("web:fields")
        choices, replace = _choices(request.POST)
        field_choices.change(
            actor=request.actor, row=row, label=_texts(request.POST, "label"), choices=choices, replace=replace
        )
    except (Invalid, Conflict) as problem:
        return _set_form(request, row, problem)
    messages.success(request, _("Saved."))
    return redirect("web:fields")
