"""Plan: the form of a resource, drawn from the definition of its kind; and its relations, stated by hand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core.access import Actor, check, team_names
from tongchou.core.custom_fields import fields_of
from tongchou.core.problems import Invalid, NotFound, Problem
from tongchou.inventory import actions, checks, kinds, reads
from tongchou.inventory.bulk import EDIT, KIND, labels_of, team_named, write_labels
from tongchou.inventory.catalogue.shapes import RelationType
from tongchou.inventory.models import Resource, ResourceState
from tongchou.web import field_forms
from tongchou.web.gate import PageRequest, page
from tongchou.web.plan import resource_of
from tongchou.web.plan_kinds import grouped

MOST = 20


@page(EDIT)
def resource_new(request: PageRequest) -> HttpResponse:
    """Choose a kind; then the form of a new resource of it, and its save."""
    asked = request.GET.get("kind", "")
    if not asked:
        offered = list(kinds.every(retired=False))
        return render(request, "plan/choose_kind.html", {"groups": grouped(offered, {})})
    name = kinds.current(checks.kind(asked))
    given = {each: request.POST.get(each, "").strip() for each in ("name", "owner", "labels")}
    problem: Problem | None = None
    if request.method == "POST":
        try:
            row = _create(request, name, given)
        except Problem as refused:
            if refused.status == 403:
                raise
            problem = refused
        else:
            messages.success(request, _("%(name)s is in the inventory.") % {"name": row.name})
            if "another" in request.POST:
                return redirect(request.get_full_path())
            return redirect("web:resource", resource_id=row.pk)
    return _form(request, name, None, given, problem)


def _create(request: PageRequest, kind: str, given: dict[str, str]) -> Resource:
    stated = field_forms.posted(kinds.fields(kind), request.POST)
    with transaction.atomic():
        row = actions.create_resource(
            actor=request.actor,
            kind=kind,
            name=given["name"],
            owner=team_named(given["owner"]),
            labels=labels_of(given["labels"]),
            attributes={name: value for name, value in stated.items() if value is not None},
        )
        field_forms.save(request.actor, row, request.POST, new=True)
    return row


@page(EDIT)
def resource_edit(request: PageRequest, resource_id: UUID) -> HttpResponse:
    """The form of a resource there is. Only what was altered becomes the word of the person."""
    row = resource_of(request, resource_id)
    check(request.actor, EDIT, team=row.owner_id)
    labels = ", ".join(f"{name}={value}" for name, value in row.labels.items())
    given = {"name": row.name, "owner": row.owner.name if row.owner else "", "labels": labels}
    problem: Problem | None = None
    if request.method == "POST":
        given = {each: request.POST.get(each, "").strip() for each in given}
        try:
            _change(request, row, given, labels)
        except Problem as refused:
            if refused.status == 403:
                raise
            problem = refused
        else:
            messages.success(request, _("Saved."))
            return redirect("web:resource", resource_id=row.pk)
    return _form(request, row.kind, row, given, problem)


def _change(request: PageRequest, row: Resource, given: dict[str, str], labels: str) -> None:
    actor = request.actor
    stated = field_forms.changed(kinds.fields(row.kind), row.attributes, request.POST)
    owner = team_named(given["owner"])
    with transaction.atomic():
        row = actions.update_resource(
            actor=actor, resource=row, name=given["name"], owner=owner, clear_owner=owner is None
        )
        if given["labels"] != labels:
            write_labels(actor, row, labels_of(given["labels"]))
        if stated:
            row = actions.set_attributes(actor=actor, resource=row, values=stated)
        field_forms.save(actor, row, request.POST)


def _form(
    request: PageRequest, kind: str, row: Resource | None, given: dict[str, str], problem: Problem | None
) -> HttpResponse:
    actor, post = request.actor, request.POST if request.method == "POST" else None
    standard, custom = kinds.fields(kind), fields_of(KIND, kind)
    started = {each.name: each.default for each in custom}
    context: dict[str, Any] = {
        "row": row,
        "kind": kinds.kind(kind),
        "given": given,
        "teams": _teams(actor),
        "groups": field_forms.form(actor, standard, row.attributes if row else {}, post=post, problem=problem),
        "custom": field_forms.form(actor, custom, row.custom if row else started, post=post, problem=problem),
        "problem": problem,
    }
    return render(request, "plan/resource_form.html", context, status=problem.status if problem else 200)


def _teams(actor: Actor) -> list[str]:
    return list(team_names(actor))


# --- relations --------------------------------------------------------------------------------------------------------


def _said(text: str) -> tuple[bool, RelationType]:
    way, _colon, name = text.partition(":")
    known = kinds.relation(name)
    if way not in ("out", "in") or known is None:
        raise Invalid(
            "inventory.relation_type",
            _("There is no relation type of this name."),
            field="type",
            value=text[:80],
            remedy=_("Choose one from the list."),
        )
    return way == "out", known


def _other(actor: Actor, text: str) -> Resource:
    """The one resource that "kind/name" means."""
    kind, _slash, name = text.strip().partition("/")
    found = list(reads.visible(actor).filter(kind=kind, name=name, state=ResourceState.ACTIVE)[:2])
    if len(found) != 1:
        raise Invalid(
            "inventory.relation",
            _("There is no such resource to relate to.") if not found else _("Several resources are called so."),
            field="other",
            value=text[:200],
            remedy=_("Choose one of those that are offered while you type; it reads kind/name."),
        )
    return found[0]


@page(EDIT)
@require_POST
def resource_relate(request: PageRequest, resource_id: UUID) -> HttpResponse:
    """State a relation of a resource, or end one (`end` = its id)."""
    row = resource_of(request, resource_id)
    end = request.POST.get("end", "")
    if end:
        found = next((each for each in reads.relations(request.actor, resource_id=row.pk) if str(each.pk) == end), None)
        if found is None:
            raise NotFound(
                "inventory.relation", _("This relation does not hold any more."), remedy=_("Reload the page.")
            )
        actions.unrelate(actor=request.actor, relation=found)
        messages.success(request, _("The relation is ended."))
        return redirect("web:resource", resource_id=row.pk)
    out, of = _said(request.POST.get("type", ""))
    other = _other(request.actor, request.POST.get("other", ""))
    ends = (row, other) if out else (other, row)
    actions.relate(actor=request.actor, from_resource=ends[0], to_resource=ends[1], type=of.name)
    messages.success(request, _("The relation is stated."))
    return redirect("web:resource", resource_id=row.pk)


@page("inventory.view")
def resource_pick(request: PageRequest) -> HttpResponse:
    """Resources whose name holds a text, as options of an input: those that may stand at that end of a relation."""
    text = request.GET.get("other", "").strip().rpartition("/")[2].replace("\0", "")[:100]
    rows = reads.visible(request.actor).filter(state=ResourceState.ACTIVE)
    if text:
        rows = rows.filter(name__icontains=text)
    asked = request.GET.get("type", "")
    if asked:
        out, of = _said(asked)
        allowed = of.to_kinds if out else of.from_kinds
        if allowed:
            rows = rows.filter(kind__in=sorted({heir for each in allowed for heir in kinds.with_heirs(each)}))
    return render(request, "plan/pick.html", {"rows": rows.order_by("name", "id")[:MOST]})
