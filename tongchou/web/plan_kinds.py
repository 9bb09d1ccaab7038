"""Plan: the kinds there are, by group with their counts, and the list of one kind with its own columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from tongchou.core.access import Actor, allows, allows_anywhere
from tongchou.core.field_types import FieldDef
from tongchou.core.lists import views
from tongchou.inventory import kinds, queues, reads
from tongchou.inventory.catalogue.shapes import Kind
from tongchou.inventory.catalogue.shared_fields import GROUPS
from tongchou.inventory.tables import kind_of_list, of_kind
from tongchou.inventory.words import AttributeWord
from tongchou.web import field_forms
from tongchou.web.gate import PageRequest, page
from tongchou.web.plan_queues import tiles
from tongchou.web.tables.look import Look
from tongchou.web.templatetags.ui import nbytes


def of_address(look: Look, query: Mapping[str, str]) -> Look:
    """Return the list of resources as an address shows it: filtered by kinds that are one sort, with its columns."""
    name = kind_of_list(query.get("kind", ""))
    if not name:
        return look
    kind = kinds.kind(name)
    return replace(
        look,
        own=of_kind(name),
        memory=views.of_subkind(look.kind, name),
        subkind=name,
        icon=kind.icon,
        empty=_("No %(kind)s yet") % {"kind": kind.title},
    )


def list_address(kind: str) -> str:
    """Return where the list of a kind is, with all that inherit from it."""
    return f"{reverse('web:resources')}?{urlencode({'kind': ','.join(_heirs_after(kind))})}"


def _heirs_after(kind: str) -> list[str]:
    return [kind, *(each for each in kinds.with_heirs(kind) if each != kind)]


def grouped(found: list[Kind], counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return kinds by group in the groups' order; those of no known group come last. Empty groups are left out."""
    groups = []
    known = {each.name for each in GROUPS}
    for group in GROUPS:
        mine = [each for each in found if (each.group if each.group in known else "other") == group.name]
        if mine:
            lines = [{"kind": each, "count": counts.get(each.name, 0), "url": list_address(each.name)} for each in mine]
            groups.append({"group": group, "kinds": lines, "count": sum(counts.get(each.name, 0) for each in mine)})
    return groups


# --- one resource by the definition of its kind -----------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A standard field on the page of a resource: its value as people read it, and whose word that is."""

    shown: field_forms.Shown
    text: str
    word: AttributeWord


def standard_lines(
    actor: Actor, kind: str, words: Sequence[AttributeWord]
) -> tuple[list[tuple[str, list[Line]]], list[AttributeWord]]:
    """Return the standard fields that have a value, by heading in the kind's order, and all other attributes."""
    by_name = {each.view.name: each for each in words}
    fields = [each for each in kinds.fields(kind) if each.name in by_name]
    groups = field_forms.panel(actor, fields, {each.name: by_name[each.name].view.value for each in fields})

    def line(shown: field_forms.Shown) -> Line:
        word = by_name[shown.field.name]
        return Line(shown, with_unit(shown.field, word.view.value, shown.text), word)

    lines = [(heading, [line(each) for each in shown]) for heading, shown in groups]
    known = {each.name for each in fields}
    return lines, [each for each in words if each.view.name not in known]


def with_unit(field: FieldDef, value: object, text: str) -> str:
    """Return the text of a value with its unit; bytes in the largest that fills."""
    if not field.unit or not isinstance(value, int | float) or isinstance(value, bool):
        return text
    return nbytes(value) if field.unit == "B" else f"{text} {field.unit}"


def relation_choices(kind: str) -> list[tuple[str, str]]:
    """Return what may be stated of a thing of this kind: (type and direction, how it reads), the usual ones first."""
    found = []
    for each in kinds.relations(retired=False):
        for out, mine in ((True, each.from_kinds), (False, each.to_kinds)):
            if kinds.fits(kind, mine) and not (not out and each.title == each.reverse_title):
                found.append((f"{'out' if out else 'in'}:{each.name}", str(each.title if out else each.reverse_title)))
    return sorted(found, key=lambda pair: pair[1])


@page("inventory.view")
def home(request: PageRequest) -> HttpResponse:
    """The inventory at a glance: kinds by group with counts, what is defined by people among them, and where to go."""
    counts = reads.counts_by_kind(request.actor)
    listed = list(kinds.every())
    known = {each.name for each in listed}
    unlisted = [kinds.kind(name) for name in sorted(counts) if name not in known]
    every = bool(request.GET.get("all"))
    shown = [
        each for each in (*listed, *unlisted) if every or counts.get(each.name) or (each.defined and not each.retired)
    ]
    context = {
        "groups": grouped(shown, counts),
        "tiles": tiles(queues.counts(request.actor)),
        "every": every,
        "total": sum(counts.values()),
        "kind_count": len(counts),
        "hidden": len(listed) + len(unlisted) - len(shown),
        "may_edit": allows_anywhere(request.actor, "inventory.edit"),
        "may_source": allows(request.actor, "inventory.manage_sources"),
        "may_define": allows(request.actor, "inventory.manage_kinds"),
    }
    return render(request, "plan/home.html", context)
