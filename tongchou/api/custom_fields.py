"""Custom fields: what there are, their choice sets, and the values of any noun that has some."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.core import field_choices, nouns
from tongchou.core import field_definitions as definitions
from tongchou.core.access import Actor, check, check_anywhere
from tongchou.core.custom_fields import (
    display,
    fields_for,
    model_of,
    object_names,
    set_values,
    shown,
    troubles,
)
from tongchou.core.field_definitions import Draft
from tongchou.core.models_fields import ChoiceSet, FieldDefinition

router = Router(tags=["custom fields"])


class FieldIn(Body):
    """What is said about a field; texts are {"en": ..., "zh": ...}. Which rules a type has: see the docs."""

    label: dict[str, str]
    description: dict[str, str] = Field(default_factory=dict)
    group: dict[str, str] = Field(default_factory=dict)
    subkinds: list[str] = Field(default_factory=list, max_length=50)
    weight: int = Field(default=100, ge=0, le=definitions.MAX_WEIGHT)
    required: bool = False
    unique: bool = False
    default: Any = None
    minimum: float | int | None = None
    maximum: float | int | None = None
    pattern: str = ""
    max_length: int | None = None
    choice_set: str = ""
    object_kind: str = ""
    filter_logic: str = "loose"
    visible: str = "always"
    editable: str = "yes"
    cloneable: bool = True


class FieldCreate(FieldIn):
    """A new field. `kind` (inventory.resource), `name` and `type` are fixed once it exists."""

    kind: str
    name: str
    type: str


class FieldChange(FieldIn):
    """The definition anew. `keep_invalid`: values that would no longer fit stay, and are marked."""

    keep_invalid: bool = False


class OrderIn(Body):
    """Names of fields in the order they shall stand."""

    names: list[str] = Field(max_length=definitions.MAX_FIELDS)


class FieldOut(Schema):
    """A field. `rows`: how many have a value (only where one field is asked for)."""

    id: str
    kind: str
    name: str
    type: str
    label: dict[str, str]
    description: dict[str, str]
    group: dict[str, str]
    subkinds: list[str]
    weight: int
    required: bool
    unique: bool
    default: Any
    minimum: float | int | None
    maximum: float | int | None
    pattern: str
    max_length: int | None
    choice_set: str
    object_kind: str
    filter_logic: str
    visible: str
    editable: str
    cloneable: bool
    updated_at: datetime
    updated_by: str
    deleted_at: datetime | None
    rows: int | None = None


class FieldList(Schema):
    """Fields by sort, weight and name."""

    items: list[FieldOut]
    count: int


class ChoiceIn(Body):
    """A choice. `colour`: grey, red, orange, yellow, green, teal, blue, purple, pink, or none."""

    value: str = Field(max_length=100)
    en: str = Field(default="", max_length=100)
    zh: str = Field(default="", max_length=100)
    colour: str = Field(default="", max_length=20)


class SetIn(Body):
    """The choices in the order they are offered. `replace`: old value -> new one, for those in use that go."""

    label: dict[str, str] = Field(default_factory=dict)
    choices: list[ChoiceIn] = Field(min_length=1, max_length=field_choices.MAX_CHOICES)
    replace: dict[str, str] = Field(default_factory=dict)


class SetOut(Schema):
    """A choice set."""

    name: str
    label: dict[str, str]
    choices: list[dict[str, str]]
    updated_at: datetime
    updated_by: str


class SetList(Schema):
    """Choice sets by name."""

    items: list[SetOut]
    count: int


class ValuesIn(Body):
    """Values by name: those named are changed, null clears, the others stay."""

    values: dict[str, Any] = Field(max_length=definitions.MAX_FIELDS)


class ValuesOut(Schema):
    """The values of a row; `display` is what people read; `troubles` names what does not fit the definitions of now."""

    ref: str
    custom: dict[str, Any]
    display: dict[str, str]
    troubles: dict[str, str]


def manager_of(request: HttpRequest) -> Actor:
    """Return who acts; AccessDenied before they learn what there is."""
    actor = actor_of(request)
    check(actor, definitions.MANAGE)
    return actor


def _field(row: FieldDefinition, rows: int | None = None) -> dict[str, Any]:
    told = definitions.draft_of(row).__dict__
    same = ("kind", "name", "type", "updated_at", "deleted_at")
    return {
        **told,
        **{name: getattr(row, name) for name in same},
        "id": str(row.pk),
        "subkinds": row.subkinds,
        "updated_by": row.updated_by_name,
        "rows": rows,
    }


def _draft(body: FieldIn) -> Draft:
    told = body.model_dump(exclude={"kind", "name", "type", "keep_invalid", "subkinds"})
    return Draft(**told, subkinds=tuple(body.subkinds))


def _set(row: ChoiceSet) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("name", "label", "choices", "updated_at")},
        "updated_by": row.updated_by_name,
    }


@router.get("/custom-fields", response=FieldList)
def list_fields(request: HttpRequest, kind: str | None = None, deleted: bool = False) -> dict[str, Any]:
    """List fields, of one sort of noun or of all; `deleted` lists those that can still be put back."""
    check_anywhere(actor_of(request), "fields.view")
    rows = definitions.definitions(deleted=deleted)
    if kind:
        model_of(kind)
        rows = rows.filter(kind=kind)
    items = [_field(row) for row in rows]
    return {"items": items, "count": len(items)}


@router.post("/custom-fields", response={201: FieldOut})
def create_field(request: HttpRequest, body: FieldCreate) -> Status[dict[str, Any]]:
    """Define a field; it can be used at once."""
    row = definitions.create(
        actor=actor_of(request), kind=body.kind, name=body.name, type_=body.type, draft=_draft(body)
    )
    return Status(201, _field(row, 0))


@router.get("/custom-fields/{kind}/{name}", response=FieldOut)
def get_field(request: HttpRequest, kind: str, name: str) -> dict[str, Any]:
    """Return one field, and how many rows have a value of it."""
    check_anywhere(actor_of(request), "fields.view")
    row = definitions.get(kind, name)
    return _field(row, definitions.using(row).count())


@router.put("/custom-fields/{kind}/{name}", response=FieldOut)
def change_field(request: HttpRequest, kind: str, name: str, body: FieldChange) -> dict[str, Any]:
    """Change a definition. 409 custom_field.narrower with `rows` and `examples` when values would no longer fit."""
    actor = manager_of(request)
    row = definitions.change(
        actor=actor, row=definitions.get(kind, name), draft=_draft(body), keep_invalid=body.keep_invalid
    )
    return _field(row)


@router.delete("/custom-fields/{kind}/{name}", response=FieldOut)
def delete_field(request: HttpRequest, kind: str, name: str, purge: bool = False) -> dict[str, Any]:
    """Take a field out of use; restore puts it back with its values. `purge` deletes a deleted one for good."""
    actor = manager_of(request)
    if purge:
        row = definitions.get_deleted(kind, name)
        return _field(row, definitions.purge(actor=actor, row=row))
    row = definitions.get(kind, name)
    return _field(definitions.delete(actor=actor, row=row), definitions.using(row).count())


@router.post("/custom-fields/{kind}/{name}/restore", response=FieldOut)
def restore_field(request: HttpRequest, kind: str, name: str) -> dict[str, Any]:
    """Put a deleted field back, with its values."""
    actor = manager_of(request)
    return _field(definitions.restore(actor=actor, row=definitions.get_deleted(kind, name)))


@router.put("/custom-fields/{kind}", response=FieldList)
def order_fields(request: HttpRequest, kind: str, body: OrderIn) -> dict[str, Any]:
    """Put the fields of a sort in an order; those not named come after, as they were."""
    actor = manager_of(request)
    model_of(kind)
    definitions.reorder(actor=actor, kind=kind, names=body.names)
    return list_fields(request, kind)


@router.get("/choice-sets", response=SetList)
def list_sets(request: HttpRequest) -> dict[str, Any]:
    """List the choice sets of select fields."""
    check_anywhere(actor_of(request), "fields.view")
    items = [_set(row) for row in ChoiceSet.objects.order_by("name")]
    return {"items": items, "count": len(items)}


@router.put("/choice-sets/{name}", response=SetOut)
def put_set(request: HttpRequest, name: str, body: SetIn) -> dict[str, Any]:
    """Make or change a choice set. 409 choice_set.in_use with counts when a choice that is used is left out."""
    actor = actor_of(request)
    choices = [each.model_dump() for each in body.choices]
    row = ChoiceSet.objects.filter(name=name).first()
    if row is None:
        return _set(field_choices.create(actor=actor, name=name, label=body.label, choices=choices))
    return _set(field_choices.change(actor=actor, row=row, label=body.label, choices=choices, replace=body.replace))


@router.delete("/choice-sets/{name}", response={204: None})
def delete_set(request: HttpRequest, name: str) -> Status[None]:
    """Delete a choice set that no field uses."""
    field_choices.delete(actor=manager_of(request), row=field_choices.get(name))
    return Status(204, None)


def _values(request: HttpRequest, ref: str, row: Any) -> dict[str, Any]:
    fields = fields_for(row)
    custom = shown(row, fields)
    names = object_names(actor_of(request), fields, [custom])
    return {
        "ref": ref,
        "custom": custom,
        "display": {each.name: display(each, custom[each.name], names) for each in fields if each.name in custom},
        "troubles": {name: each.detail for name, each in troubles(fields, custom).items()},
    }


@router.get("/custom/{ref}", response=ValuesOut)
def get_values(request: HttpRequest, ref: str) -> dict[str, Any]:
    """Return the custom fields of any noun, by its ref (inventory.resource:...)."""
    row = nouns.row(actor_of(request), ref)
    model_of(ref.partition(":")[0])
    return _values(request, ref, row)


@router.put("/custom/{ref}", response=ValuesOut)
def put_values(request: HttpRequest, ref: str, body: ValuesIn) -> dict[str, Any]:
    """Change custom fields of any noun; a value that does not fit changes none."""
    actor = actor_of(request)
    row = nouns.row(actor, ref)
    model_of(ref.partition(":")[0])
    return _values(request, ref, set_values(actor=actor, row=row, values=body.values))
