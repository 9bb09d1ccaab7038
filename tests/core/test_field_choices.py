"""Choice sets: what is in use is not dropped, but may be replaced everywhere at once."""

from __future__ import annotations

from typing import Any

import pytest

from tongchou.core import field_choices as writes
from tongchou.core import field_definitions
from tongchou.core.access import Actor
from tongchou.core.field_definitions import Draft
from tongchou.core.models import Event
from tongchou.core.models_fields import ChoiceSet, FieldDefinition
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.inventory.models import Resource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

KIND = "inventory.resource"


def choices(*values: str, **more: Any) -> list[dict[str, Any]]:
    return [{"value": value, "en": value.title(), "zh": "", "colour": "blue", **more} for value in values]


def made(actor: Actor) -> ChoiceSet:
    row = writes.create(actor=actor, name="tiers", label={"en": "Tiers"}, choices=choices("gold", "tin", "lead"))
    for name, type_, default in (("tier", "select", "lead"), ("tiers", "multi_select", None)):
        field_definitions.create(
            actor=actor,
            kind=KIND,
            name=name,
            type_=type_,
            draft=Draft(label={"en": name}, choice_set="tiers", default=default),
        )
    return row


@pytest.mark.parametrize(
    "place, told",
    [
        ("choices", []),
        ("choices", choices("a", "a")),
        ("choices[0].value", choices("a;b")),
        ("choices[0].value", choices("")),
        ("choices[1].value", choices("a", "x" * 101)),
        ("choices[0].colour", choices("a", colour="url(x)")),
        ("choices[0].en", choices("a", en="x" * 101)),
    ],
)
def test_a_choice_that_cannot_be_is_refused_with_its_place(admin_actor: Actor, place: str, told: Any) -> None:
    with pytest.raises(Invalid) as refused:
        writes.create(actor=admin_actor, name="tiers", label={}, choices=told)
    assert refused.value.field == place


def test_a_choice_in_use_is_refused_with_its_count_or_replaced_everywhere(admin_actor: Actor) -> None:
    row = made(admin_actor)
    one = Resource.objects.create(kind="host", name="a", source="t", custom={"tier": "tin", "tiers": ["gold", "tin"]})
    two = Resource.objects.create(kind="host", name="b", source="t", custom={"tier": "gold"})
    with pytest.raises(Conflict) as refused:
        writes.change(actor=admin_actor, row=row, label={}, choices=choices("gold"))
    assert refused.value.extra == {"in_use": {"tin": 2, "lead": 1}}
    with pytest.raises(Invalid):
        writes.change(actor=admin_actor, row=row, label={}, choices=choices("gold"), replace={"tin": "iron"})
    one.refresh_from_db()
    assert one.custom["tier"] == "tin"
    writes.change(
        actor=admin_actor, row=row, label={}, choices=choices("gold"), replace={"tin": "gold", "lead": "gold"}
    )
    for each in (one, two):
        each.refresh_from_db()
    assert (one.custom, two.custom) == ({"tier": "gold", "tiers": ["gold"]}, {"tier": "gold"})
    assert FieldDefinition.objects.get(name="tier").default == "gold"
    told = Event.objects.filter(verb="custom_fields.changed").order_by("pk")
    assert [each.payload["old"] for each in told] == [{"tier": "tin"}, {"tiers": ["gold", "tin"]}]


def test_labels_and_colours_change_freely(admin_actor: Actor) -> None:
    row = made(admin_actor)
    Resource.objects.create(kind="host", name="a", source="t", custom={"tier": "tin"})
    writes.change(
        actor=admin_actor, row=row, label={"zh": "等级"}, choices=choices("lead", "tin", "gold", colour="red")
    )
    row.refresh_from_db()
    assert [each["value"] for each in row.choices] == ["lead", "tin", "gold"]


def test_a_set_in_use_is_not_deleted(admin_actor: Actor, operator_actor: Actor) -> None:
    row = made(admin_actor)
    with pytest.raises(AccessDenied):
        writes.delete(actor=operator_actor, row=row)
    with pytest.raises(Conflict):
        writes.delete(actor=admin_actor, row=row)
    for definition in row.definitions.all():
        field_definitions.delete(actor=admin_actor, row=definition)
        definition.refresh_from_db()
        field_definitions.purge(actor=admin_actor, row=definition)
    writes.delete(actor=admin_actor, row=row)
    assert not ChoiceSet.objects.exists()
