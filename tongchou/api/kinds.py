"""Kinds with their fields, and relation types: those of the catalogue, and those that people define."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import translation
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.core.access import Actor, check, check_anywhere
from tongchou.core.custom_fields import fields_of
from tongchou.core.field_types import FieldDef
from tongchou.core.problems import NotFound, Text
from tongchou.inventory import kind_actions as actions
from tongchou.inventory import kinds, reads
from tongchou.inventory.catalogue.shapes import NOUN, Kind, RelationType
from tongchou.inventory.kind_actions import KindDraft, RelationDraft

router = Router(tags=["inventory"])
VIEW = "inventory.view"


class KindChange(Body):
    """What is said about a kind; texts are {"en": ..., "zh": ...}. `parent`: the kind whose fields it inherits."""

    label: dict[str, str]
    description: dict[str, str] = Field(default_factory=dict)
    icon: str = Field(default="shapes", max_length=64)
    tier: int = Field(default=3, ge=0, le=actions.TIERS)
    group: str = Field(default="other", max_length=64)
    parent: str = Field(default="", max_length=64)
    name: str = Field(default="", max_length=64)


class KindIn(KindChange):
    """A new kind. Its fields are custom fields of inventory.resource whose `subkinds` name it."""

    name: str = Field(max_length=64)


class RelationTypeChange(Body):
    """What is said about a relation type. `needed`: from, to, none; `cardinality`: many-to-many, many-to-one, ..."""

    label: dict[str, str]
    reverse_label: dict[str, str]
    needed: str = Field(default="to", max_length=4)
    cardinality: str = Field(default="many-to-many", max_length=20)
    from_kinds: list[str] = Field(default_factory=list, max_length=100)
    to_kinds: list[str] = Field(default_factory=list, max_length=100)


class RelationTypeIn(RelationTypeChange):
    """A new relation type; its name is fixed."""

    name: str = Field(max_length=64)


class KindField(Schema):
    """A field of a kind. `column`: attributes for a standard field, custom for a custom one: where its value goes."""

    name: str
    label: dict[str, str]
    type: str
    unit: str
    required: bool
    column: str
    choices: list[str]


class KindOut(Schema):
    """A kind with its fields, inherited ones too. `count`: active resources you may see."""

    name: str
    label: dict[str, str]
    description: dict[str, str]
    icon: str
    tier: int
    group: str
    parent: str
    defined: bool
    retired: bool
    count: int
    fields: list[KindField]


class KindList(Schema):
    """Kinds, those of the catalogue first."""

    items: list[KindOut]
    count: int


class RelationTypeOut(Schema):
    """A relation type. Empty lists of kinds allow every kind."""

    name: str
    label: dict[str, str]
    reverse_label: dict[str, str]
    needed: str
    cardinality: str
    from_kinds: list[str]
    to_kinds: list[str]
    defined: bool
    retired: bool


class RelationTypeList(Schema):
    """Relation types, those of the catalogue first."""

    items: list[RelationTypeOut]
    count: int


def _both(text: Text) -> dict[str, str]:
    return {language: _in(language, text) for language in ("en", "zh")}


def _field(each: FieldDef) -> dict[str, Any]:
    label = {language: _in(language, text) for language, text in each.label.items()}
    unit = str(each.unit)
    choices = [choice.value for choice in each.choices]
    facts = {"name": each.name, "type": each.type.value, "required": each.required, "column": each.column}
    return {**facts, "label": label, "unit": unit, "choices": choices}


def _in(language: str, text: Text) -> str:
    with translation.override("zh-hans" if language == "zh" else language):
        return str(text)


def _kind(kind: Kind, counts: dict[str, int], custom: list[FieldDef]) -> dict[str, Any]:
    facts = ("name", "icon", "tier", "group", "parent", "defined", "retired")
    return {
        **{name: getattr(kind, name) for name in facts},
        "label": _both(kind.title),
        "description": _both(kind.help),
        "count": counts.get(kind.name, 0),
        "fields": [_field(each) for each in (*kinds.fields(kind.name), *custom)],
    }


def _relation_type(of: RelationType) -> dict[str, Any]:
    facts = ("name", "needed", "cardinality", "defined", "retired")
    ends = {"from_kinds": list(of.from_kinds), "to_kinds": list(of.to_kinds)}
    return {
        **{name: getattr(of, name) for name in facts},
        **ends,
        "label": _both(of.title),
        "reverse_label": _both(of.reverse_title),
    }


def _shown(request: HttpRequest, name: str) -> dict[str, Any]:
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    found = kinds.listed(name)
    if found is None:
        raise NotFound("kind.unknown", _unknown(), field="name", value=name[:64])
    return _kind(found, reads.counts_by_kind(actor), fields_of(NOUN, name))


def _unknown() -> str:
    return translation.gettext("There is no kind of this name in the catalogue or among those people defined.")


def _manager(request: HttpRequest) -> Actor:
    """Who asks, if they may define kinds; asked before what is there is looked up."""
    actor = actor_of(request)
    check(actor, actions.MANAGE)
    return actor


# --- kinds ------------------------------------------------------------------------------------------------------------


@router.get("/kinds", response=KindList)
def list_kinds(request: HttpRequest, retired: bool = False) -> dict[str, Any]:
    """List kinds with their standard fields and how many resources there are of each; custom fields by GET of one."""
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    counts = reads.counts_by_kind(actor)
    items = [_kind(each, counts, []) for each in kinds.every(retired=retired)]
    return {"items": items, "count": len(items)}


@router.get("/kinds/{name}", response=KindOut)
def get_kind(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return a kind with all its fields, custom ones too."""
    return _shown(request, name)


def _draft(body: KindChange) -> KindDraft:
    return KindDraft(body.label, body.description, body.icon, body.tier, body.group, body.parent)


@router.post("/kinds", response={201: KindOut})
def create_kind(request: HttpRequest, body: KindIn) -> Status[dict[str, Any]]:
    """Define a kind. It is there at once: forms, lists, search, import, export."""
    row = actions.create_kind(actor=_manager(request), name=body.name, draft=_draft(body))
    return Status(201, _shown(request, row.name))


@router.put("/kinds/{name}", response=KindOut)
def change_kind(request: HttpRequest, name: str, body: KindChange) -> dict[str, Any]:
    """Change a kind people defined; with another `name` rename it: everything of it follows."""
    row = actions.change_kind(actor=_manager(request), row=actions.kind_row(name), draft=_draft(body), name=body.name)
    return _shown(request, row.name)


@router.post("/kinds/{name}/retire", response=KindOut)
def retire_kind(request: HttpRequest, name: str) -> dict[str, Any]:
    """Offer a kind no more; what there is of it stays."""
    actions.retire_kind(actor=_manager(request), row=actions.kind_row(name))
    return _shown(request, name)


@router.post("/kinds/{name}/restore", response=KindOut)
def restore_kind(request: HttpRequest, name: str) -> dict[str, Any]:
    """Offer a retired kind again."""
    actions.restore_kind(actor=_manager(request), row=actions.kind_row(name))
    return _shown(request, name)


@router.delete("/kinds/{name}", response={204: None})
def delete_kind(request: HttpRequest, name: str) -> Status[None]:
    """Delete a kind that nothing uses; 409 says what does."""
    actions.delete_kind(actor=_manager(request), row=actions.kind_row(name))
    return Status(204, None)


# --- relation types ---------------------------------------------------------------------------------------------------


@router.get("/relation-types", response=RelationTypeList)
def list_relation_types(request: HttpRequest, retired: bool = False) -> dict[str, Any]:
    """List relation types with the kinds they join, how many, and which end needs the other."""
    check_anywhere(actor_of(request), VIEW)
    items = [_relation_type(each) for each in kinds.relations(retired=retired)]
    return {"items": items, "count": len(items)}


def _relation_draft(body: RelationTypeChange) -> RelationDraft:
    ends = (tuple(body.from_kinds), tuple(body.to_kinds))
    return RelationDraft(body.label, body.reverse_label, body.needed, body.cardinality, *ends)


@router.post("/relation-types", response={201: RelationTypeOut})
def create_relation_type(request: HttpRequest, body: RelationTypeIn) -> Status[dict[str, Any]]:
    """Define a relation type."""
    row = actions.create_relation_type(actor=_manager(request), name=body.name, draft=_relation_draft(body))
    return Status(201, _relation_type(kinds.relation_of(row)))


@router.put("/relation-types/{name}", response=RelationTypeOut)
def change_relation_type(request: HttpRequest, name: str, body: RelationTypeChange) -> dict[str, Any]:
    """Change a relation type people defined; relations there are stay."""
    actor = _manager(request)
    draft = _relation_draft(body)
    row = actions.change_relation_type(actor=actor, row=actions.relation_row(name), draft=draft)
    return _relation_type(kinds.relation_of(row))


@router.post("/relation-types/{name}/retire", response=RelationTypeOut)
def retire_relation_type(request: HttpRequest, name: str) -> dict[str, Any]:
    """Let people state no more relations of a type."""
    row = actions.retire_relation_type(actor=_manager(request), row=actions.relation_row(name))
    return _relation_type(kinds.relation_of(row))


@router.post("/relation-types/{name}/restore", response=RelationTypeOut)
def restore_relation_type(request: HttpRequest, name: str) -> dict[str, Any]:
    """Offer a retired relation type again."""
    row = actions.restore_relation_type(actor=_manager(request), row=actions.relation_row(name))
    return _relation_type(kinds.relation_of(row))


@router.delete("/relation-types/{name}", response={204: None})
def delete_relation_type(request: HttpRequest, name: str) -> Status[None]:
    """Delete a relation type that was never used; 409 says how many relations are of it."""
    actions.delete_relation_type(actor=_manager(request), row=actions.relation_row(name))
    return Status(204, None)
