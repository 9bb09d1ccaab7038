"""The registry of nouns: each is seen and changed as its room says, and what is hidden looks like what is absent."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from django.apps import apps

from tongchou.core import nouns
from tongchou.core.access import NOBODY, Actor
from tongchou.core.apps import CoreConfig
from tongchou.core.problems import AccessDenied, NotFound
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db


def test_every_noun_names_a_model_and_its_rows_are_of_it(admin_actor: Actor) -> None:
    assert len(nouns.nouns()) >= 9
    for noun in nouns.nouns():
        model = apps.get_model(noun.kind)
        assert noun.rows(admin_actor).model is model
        assert nouns.noun_of(model()) is noun


def test_core_starts_with_its_own_configuration() -> None:
    """Of two configurations in one file Django takes none, and nothing would be registered."""
    assert isinstance(apps.get_app_config("core"), CoreConfig)


def test_nobody_sees_no_noun() -> None:
    for noun in nouns.nouns():
        with pytest.raises(AccessDenied):
            nouns.row(NOBODY, f"{noun.kind}:{uuid4()}")


@pytest.mark.parametrize("text", ["", "x", "inventory.resource:nope", f"inventory.resource:{UUID(int=7)}"])
def test_what_is_not_there_is_refused_with_the_field(admin_actor: Actor, text: str) -> None:
    with pytest.raises(NotFound) as refused:
        nouns.row(admin_actor, text)
    assert refused.value.field == "ref"


def test_an_unknown_sort_names_those_there_are(admin_actor: Actor) -> None:
    with pytest.raises(NotFound, match=r"noun\.unknown") as refused:
        nouns.row(admin_actor, "core.nothing:1")
    assert "inventory.resource" in str(refused.value.remedy)


def test_a_row_is_found_by_its_ref_and_changed_by_those_who_may(admin_actor: Actor, viewer_actor: Actor) -> None:
    row = Resource.objects.create(kind="host", name="web-1", source="test")
    assert nouns.row(viewer_actor, ref(row)) == row
    assert nouns.may_change(admin_actor, row)
    assert not nouns.may_change(viewer_actor, row)
