"""Administration of kinds and relation types: what people defined, their forms, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core.access import Actor, allows
from tongchou.core.custom_fields import fields_of
from tongchou.core.problems import Invalid, NotFound, Problem
from tongchou.inventory import icons, kinds, reads
from tongchou.inventory import kind_actions as actions
from tongchou.inventory.catalogue.shapes import CARDINALITIES, NOUN
from tongchou.inventory.catalogue.shared_fields import GROUPS
from tongchou.inventory.kind_actions import KindDraft, RelationDraft
from tongchou.inventory.models import KindDefinition, NeededEnd, RelationDefinition
from tongchou.web.gate import PageRequest, page
from tongchou.web.plan_kinds import list_address

MANAGE = actions.MANAGE


@page(MANAGE)
def kind_list(request: PageRequest) -> HttpResponse:
    """The kinds and relation types that people defined, with how many resources there are of each."""
    counts = reads.counts_by_kind(request.actor)
    named = [set(each.subkinds) for each in fields_of(NOUN)]
    rows = KindDefinition.objects.order_by("retired_at", "name")
    context = {
        "rows": [
            {
                "row": row,
                "kind": kinds.kind_of(row),
                "count": counts.get(row.name, 0),
                "fields": sum(1 for each in named if row.name in each),
                "parent": kinds.kind(row.parent) if row.parent else None,
                "url": list_address(row.name),
            }
            for row in rows
        ],
        "relations": [
            {"row": row, "of": kinds.relation_of(row)}
            for row in RelationDefinition.objects.order_by("retired_at", "name")
        ],
    }
    return render(request, "kinds/list.html", context)


def _texts(post: QueryDict, place: str) -> dict[str, str]:
    return {language: post.get(f"{place}_{language}", "") for language in ("en", "zh")}


def _given(draft: Any, *places: str) -> dict[str, Any]:
    """What stands in the form of a definition that exists."""
    texts = {f"{place}_{lang}": getattr(draft, place).get(lang, "") for place in places for lang in ("en", "zh")}
    return {**texts, **{name: getattr(draft, name) for name in draft.__slots__ if name not in places}}


# --- a kind -----------------------------------------------------------------------------------------------------------


def _kind_draft(post: QueryDict) -> KindDraft:
    tier = post.get("tier", "3").strip()
    if not tier.isascii() or not tier.isdigit() or len(tier) > 3:
        raise Invalid("kind.definition", _("This is a whole number."), field="tier", value=tier[:20])
    return KindDraft(
        _texts(post, "label"),
        _texts(post, "description"),
        post.get("icon", "").strip(),
        int(tier),
        post.get("group", "other"),
        post.get("parent", ""),
    )


@page(MANAGE)
def kind_form(request: PageRequest, name: str = "") -> HttpResponse:
    """Define a kind, or change one there is; its fields are listed beside."""
    row = actions.kind_row(name) if name else None
    given: Any = _given(actions.draft_of(row), "label", "description") if row else {"tier": 3, "group": "other"}
    given = {"name": name, "icon": "shapes", **given}
    problem: Problem | None = None
    if request.method == "POST":
        given, wanted = request.POST, request.POST.get("name", "").strip()
        try:
            draft = _kind_draft(request.POST)
            if row is None:
                row = actions.create_kind(actor=request.actor, name=wanted, draft=draft)
                messages.success(request, _("The kind %(name)s is defined. Give it fields.") % {"name": row.name})
            else:
                row = actions.change_kind(actor=request.actor, row=row, draft=draft, name=wanted)
                messages.success(request, _("Saved."))
        except Problem as refused:
            if refused.status == 403:
                raise
            problem = refused
        else:
            return redirect("web:kind", name=row.name)
    context = {
        "row": row,
        "given": given,
        "problem": problem,
        "groups": GROUPS,
        "parents": sorted(kinds.every(retired=False), key=lambda each: str(each.title)),
        "icon_names": sorted(icons.names()),
        "inherited": kinds.fields(row.name) if row else [],
        "fields": fields_of(NOUN, row.name) if row else [],
        "list_url": list_address(row.name) if row else "",
        "may_fields": allows(request.actor, "fields.manage"),
    }
    return render(request, "kinds/kind.html", context, status=problem.status if problem else 200)


Act = Callable[..., object]
KIND_ACTS: dict[str, Act] = {
    "retire": actions.retire_kind,
    "restore": actions.restore_kind,
    "delete": actions.delete_kind,
}
RELATION_ACTS: dict[str, Act] = {
    "retire": actions.retire_relation_type,
    "restore": actions.restore_relation_type,
    "delete": actions.delete_relation_type,
}


def _act(actor: Actor, acts: dict[str, Act], act: str, row: KindDefinition | RelationDefinition) -> None:
    if act not in acts:
        raise NotFound("kinds.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    acts[act](actor=actor, row=row)


@page(MANAGE)
@require_POST
def kind_act(request: PageRequest, name: str, act: str) -> HttpResponse:
    """Retire a kind, bring it back, or delete one that nothing uses."""
    _act(request.actor, KIND_ACTS, act, actions.kind_row(name))
    messages.success(request, _("Saved."))
    return redirect("web:kinds")


# --- a relation type --------------------------------------------------------------------------------------------------


def _relation_draft(post: QueryDict) -> RelationDraft:
    return RelationDraft(
        _texts(post, "label"),
        _texts(post, "reverse_label"),
        post.get("needed", ""),
        post.get("cardinality", ""),
        tuple(post.getlist("from_kinds")),
        tuple(post.getlist("to_kinds")),
    )


@page(MANAGE)
def kind_relation(request: PageRequest, name: str = "") -> HttpResponse:
    """Define a relation type, or change one there is."""
    row = actions.relation_row(name) if name else None
    given: Any = {"needed": "to", "cardinality": "many-to-many", "from_kinds": (), "to_kinds": ()}
    if row:
        given = _given(actions.relation_draft_of(row), "label", "reverse_label")
    problem: Problem | None = None
    if request.method == "POST":
        post = request.POST
        given = {**post.dict(), "from_kinds": post.getlist("from_kinds"), "to_kinds": post.getlist("to_kinds")}
        try:
            draft = _relation_draft(post)
            if row is None:
                row = actions.create_relation_type(actor=request.actor, name=post.get("name", "").strip(), draft=draft)
            else:
                row = actions.change_relation_type(actor=request.actor, row=row, draft=draft)
        except Problem as refused:
            if refused.status == 403:
                raise
            problem = refused
        else:
            messages.success(request, _("Saved."))
            return redirect("web:kinds")
    words = {
        "many-to-many": _("any number at both ends"),
        "many-to-one": _("each first has one second at most"),
        "one-to-many": _("each second has one first at most"),
        "one-to-one": _("one of each at most"),
    }
    context = {
        "row": row,
        "given": given,
        "problem": problem,
        "needs": NeededEnd.choices,
        "cardinalities": [(each, words[each]) for each in CARDINALITIES],
        "kinds": sorted(kinds.every(), key=lambda each: str(each.title)),
    }
    return render(request, "kinds/relation.html", context, status=problem.status if problem else 200)


@page(MANAGE)
@require_POST
def kind_relation_act(request: PageRequest, name: str, act: str) -> HttpResponse:
    """Retire a relation type, bring it back, or delete one that was never used."""
    _act(request.actor, RELATION_ACTS, act, actions.relation_row(name))
    messages.success(request, _("Saved."))
    return redirect("web:kinds")
