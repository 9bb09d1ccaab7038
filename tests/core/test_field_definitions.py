"""Changing what fields there are: nothing that exists is broken without saying how much, and deleting can be undone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tongchou.core import field_definitions as writes
from tongchou.core import settings_store
from tongchou.core.access import Actor
from tongchou.core.custom_fields import clean, fields_of, filter_rows, set_values, troubles
from tongchou.core.field_definitions import Draft, draft_of
from tongchou.core.models import Event
from tongchou.core.models_fields import FieldDefinition
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

KIND = "inventory.resource"


def define(actor: Actor, name: str = "rack", type_: str = "text", **more: Any) -> FieldDefinition:
    return writes.create(actor=actor, kind=KIND, name=name, type_=type_, draft=Draft(label={"en": name}, **more))


def rows(*values: Any, name: str = "rack", kind: str = "host") -> list[Resource]:
    return [
        Resource.objects.create(kind=kind, name=f"r{place}", source="test", custom={name: value})
        for place, value in enumerate(values)
    ]


def changed(row: FieldDefinition, **more: Any) -> Draft:
    return replace(draft_of(row), **more)


@pytest.mark.parametrize("name", ["", "Rack", "a-b", "a__b", "123", "x" * 51, "机架", "a b", "rack\n"])
def test_a_name_is_of_small_letters_digits_and_underscores(admin_actor: Actor, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        define(admin_actor, name)
    assert refused.value.field == "name"


@pytest.mark.parametrize(
    "type_, place, rules",
    [
        ("text", "label", {"label": {}}),
        ("text", "label.fr", {"label": {"fr": "Baie"}}),
        ("text", "minimum", {"minimum": 1}),
        ("text", "choice_set", {"choice_set": "x"}),
        ("text", "object_kind", {"object_kind": KIND}),
        ("text", "pattern", {"pattern": "("}),
        ("text", "max_length", {"max_length": 5000}),
        ("text", "default", {"default": "abc", "max_length": 2}),
        ("text", "default", {"default": "abc", "unique": True}),
        ("text", "weight", {"weight": -1}),
        ("text", "visible", {"visible": "sometimes"}),
        ("text", "subkinds", {"subkinds": ("a b",)}),
        ("boolean", "unique", {"unique": True}),
        ("integer", "maximum", {"minimum": 5, "maximum": 4}),
        ("integer", "pattern", {"pattern": "x"}),
        ("select", "choice_set", {}),
        ("object", "object_kind", {"object_kind": "core.user"}),
        ("nothing", "type", {}),
    ],
)
def test_a_rule_that_cannot_hold_is_refused_with_its_place(
    admin_actor: Actor, type_: str, place: str, rules: dict[str, Any]
) -> None:
    with pytest.raises(Invalid) as refused:
        writes.create(
            actor=admin_actor, kind=KIND, name="a", type_=type_, draft=Draft(**{"label": {"en": "A"}, **rules})
        )
    assert refused.value.field == place
    assert refused.value.remedy
    assert not FieldDefinition.objects.exists()


def test_only_an_administrator_changes_definitions(operator_actor: Actor, admin_actor: Actor) -> None:
    row = define(admin_actor)
    for act in (
        lambda: define(operator_actor, "other"),
        lambda: writes.change(actor=operator_actor, row=row, draft=draft_of(row)),
        lambda: writes.delete(actor=operator_actor, row=row),
        lambda: writes.restore(actor=operator_actor, row=row),
        lambda: writes.purge(actor=operator_actor, row=row),
        lambda: writes.reorder(actor=operator_actor, kind=KIND, names=[]),
    ):
        with pytest.raises(AccessDenied):
            act()


def test_a_narrower_rule_says_how_many_rows_it_breaks_and_may_keep_them(admin_actor: Actor) -> None:
    row = define(admin_actor)
    good, bad = rows("A3", "abc")
    with pytest.raises(Conflict) as refused:
        writes.change(actor=admin_actor, row=row, draft=changed(row, pattern="[A-Z][0-9]"))
    assert refused.value.extra == {"rows": 1, "examples": [ref(bad)]}
    assert FieldDefinition.objects.get().pattern == ""
    writes.change(actor=admin_actor, row=row, draft=changed(row, pattern="[A-Z][0-9]"), keep_invalid=True)
    (field,) = fields_of(KIND)
    assert (list(troubles([field], good.custom)), list(troubles([field], bad.custom))) == ([], ["rack"])
    with pytest.raises(Invalid):
        set_values(actor=admin_actor, row=bad, values={"rack": "xyz"})
    set_values(actor=admin_actor, row=bad, values={"rack": "abc"})  # said again as it is: nothing changes
    event = Event.objects.get(verb="custom_field.changed")
    assert (event.payload["old"], event.payload["new"], event.payload["broken"]) == (
        {"pattern": ""},
        {"pattern": "[A-Z][0-9]"},
        1,
    )


def test_fewer_subkinds_count_the_rows_that_would_lose_the_field(admin_actor: Actor) -> None:
    row = define(admin_actor)
    rows("A", kind="host")
    rows("B", kind="database")
    with pytest.raises(Conflict) as refused:
        writes.change(actor=admin_actor, row=row, draft=changed(row, subkinds=("host",)))
    assert refused.value.extra["rows"] == 1


def test_unique_is_refused_while_values_repeat(admin_actor: Actor) -> None:
    row = define(admin_actor)
    rows("A", "B", "A")
    with pytest.raises(Conflict) as refused:
        writes.change(actor=admin_actor, row=row, draft=changed(row, unique=True), keep_invalid=True)
    assert refused.value.field == "unique"
    Resource.objects.filter(custom={"rack": "A"}).first().delete()  # type: ignore[union-attr]  # it is there
    assert writes.change(actor=admin_actor, row=row, draft=changed(row, unique=True)).unique


def test_what_is_required_later_breaks_nothing_and_those_without_are_found(admin_actor: Actor) -> None:
    row = define(admin_actor)
    empty = Resource.objects.create(kind="host", name="empty", source="test")
    rows("A")
    writes.change(actor=admin_actor, row=row, draft=changed(row, required=True))
    (field,) = fields_of(KIND)
    assert list(filter_rows(Resource.objects.all(), field, "empty")) == [empty]
    assert troubles([field], empty.custom)["rack"].missing


def test_a_deleted_field_comes_back_with_its_values(admin_actor: Actor) -> None:
    row = define(admin_actor)
    (one,) = rows("A")
    writes.delete(actor=admin_actor, row=row)
    assert fields_of(KIND) == []
    with pytest.raises(Conflict):
        define(admin_actor)
    assert Event.objects.get(verb="custom_field.deleted").payload["rows"] == 1
    with pytest.raises(Invalid):
        clean(KIND, {"rack": "B"})
    writes.restore(actor=admin_actor, row=row)
    assert [each.name for each in fields_of(KIND)] == ["rack"]
    one.refresh_from_db()
    assert one.custom == {"rack": "A"}


def test_values_go_when_the_days_are_over_and_not_before(admin_actor: Actor) -> None:
    row = define(admin_actor)
    kept = define(admin_actor, "kept")
    (one,) = rows("A")
    Resource.objects.filter(pk=one.pk).update(custom={"rack": "A", "kept": "B"})
    with pytest.raises(Conflict):
        writes.purge(actor=admin_actor, row=row)
    writes.delete(actor=admin_actor, row=row)
    days = settings_store.get(writes.KEEP_DAYS)
    FieldDefinition.objects.filter(pk=row.pk).update(deleted_at=timezone.now() - timedelta(days=days - 1))
    writes.purge_due()
    assert FieldDefinition.objects.count() == 2
    FieldDefinition.objects.filter(pk=row.pk).update(deleted_at=timezone.now() - timedelta(days=days + 1))
    writes.purge_due()
    one.refresh_from_db()
    assert one.custom == {"kept": "B"}
    assert list(FieldDefinition.objects.all()) == [kept]
    assert Event.objects.get(verb="custom_field.purged").payload["rows"] == 1


def test_fields_stand_in_the_order_given(admin_actor: Actor) -> None:
    for name in ("aa", "bb", "cc"):
        define(admin_actor, name)
    writes.reorder(actor=admin_actor, kind=KIND, names=["cc", "aa"])
    assert [each.name for each in fields_of(KIND)] == ["cc", "aa", "bb"]


def test_a_sort_has_a_most_of_fields(admin_actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "MAX_FIELDS", 1)
    define(admin_actor)
    with pytest.raises(Conflict, match="too_many"):
        define(admin_actor, "other")
