"""The catalogue holds together: names, fields of one name, ends of relations, inheritance."""

from __future__ import annotations

import pytest
from django.utils import translation

from tongchou.core.field_types import FieldDef
from tongchou.inventory import kinds
from tongchou.inventory.catalogue.everything import KINDS, RELATION_TYPES
from tongchou.inventory.catalogue.shapes import CARDINALITIES
from tongchou.inventory.catalogue.shared_fields import GROUPS


def facts(field: FieldDef) -> tuple[object, ...]:
    choices = tuple(each.value for each in field.choices)
    return (field.type, field.unit, field.minimum, field.maximum, field.pattern, choices)


def test_a_field_means_the_same_in_every_kind_that_has_it() -> None:
    seen: dict[str, tuple[object, ...]] = {}
    differing = [
        f"{kind.name}.{field.name}"
        for kind in KINDS.values()
        for field in kind.fields
        if seen.setdefault(field.name, facts(field)) != facts(field)
    ]
    assert differing == []


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_stands_in_a_group_and_no_field_of_it_twice(name: str) -> None:
    kind = KINDS[name]
    assert kind.group in {each.name for each in GROUPS}
    names = [each.name for each in kind.fields]
    assert len(names) == len(set(names))
    assert not set(names) & {"id", "kind", "name", "owner", "label", "source", "state"}
    assert not kind.parent or kind.parent in KINDS
    assert kind.fields or kind.parent
    assert set(kind.wanted) <= {each.name for each in kinds.fields(name) if not each.required}


def test_ends_of_relations_are_kinds_there_are() -> None:
    for each in RELATION_TYPES.values():
        assert set(each.from_kinds) | set(each.to_kinds) <= KINDS.keys(), each.name
        assert each.cardinality in CARDINALITIES


def test_every_title_is_said_in_both_languages() -> None:
    with translation.override("zh-hans"):
        chinese = {(kind.name, field.name): field.title for kind in KINDS.values() for field in kind.fields}
        titles = {kind.name: str(kind.title) for kind in KINDS.values()}
    plain = {"Pod", *(f for f in chinese.values() if f.isupper())}
    assert [name for name, title in titles.items() if title.isascii() and title not in plain] == []
    assert [key for key, title in chinese.items() if title.isascii() and title not in plain] == []
    with translation.override("en"):
        assert [kind.name for kind in KINDS.values() if not str(kind.title).isascii()] == []


def test_an_heir_has_the_fields_of_its_parent_before_its_own() -> None:
    device = [each.name for each in kinds.fields("device")]
    switch = [each.name for each in kinds.fields("switch")]
    assert switch[: len(device)] == device
    assert switch[-1] == "ports"
    assert kinds.lineage("switch") == ("switch", "device")
    assert set(kinds.with_heirs("device")) >= {"device", "switch", "chassis", "storage_array"}
    assert kinds.fits("switch", ("device",))
    assert not kinds.fits("device", ("switch",))
    assert kinds.fits("anything", ())


def test_what_is_not_listed_shows_under_its_own_name_and_needs_what_it_points_at() -> None:
    assert kinds.kind("balloon").title == "balloon"
    assert kinds.listed("balloon") is None
    assert kinds.fields("balloon") == []
    assert kinds.dependency("tied_to", "a", "b") == ("a", "b")
    assert kinds.dependency("hosts", "a", "b") == ("b", "a")
    assert not kinds.flows("covered_by")
    with translation.override("en"):
        assert kinds.relation_words("mounted_in", out=False) == "carries mounted"
