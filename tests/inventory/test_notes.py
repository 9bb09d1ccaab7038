from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from tests.inventory.test_reconcile import carry, empty, plan_of
from tongchou.inventory import standard
from tongchou.inventory.notes import TEXTS, text
from tongchou.inventory.observation import Observation, ObservedRelation, ObservedResource
from tongchou.inventory.plan import Plan


def everything_that_can_be_told() -> list[dict[str, Any]]:
    twins = (
        ObservedResource("host", "a", ("k", "x"), {"os": 1}, {"env": "p"}, "ghosts"),
        ObservedResource("host", "b", ("k", "y"), {"os": 2}, {"env": "t"}),
    )
    recorded = empty()
    carry(
        plan_of(Observation((ObservedResource("host", "p", ("x",)), ObservedResource("host", "q", ("y",)))), recorded),
        recorded,
    )
    plans: list[Plan] = [plan_of(Observation(twins, warnings=("disks: refused",)), recorded)]
    plans.append(plan_of(Observation(), recorded))
    unfit = Observation(
        (
            ObservedResource("rack", "r", ("r",), {"rack_units": "many"}),
            ObservedResource("contract", "c", ("c",)),
            *(ObservedResource("site", each, (each,)) for each in ("s", "t")),
        ),
        tuple(ObservedRelation(*each) for each in (
            ("covered_by", (("c", "r"),)), ("located_in", (("r", "s"),)), ("located_in", (("r", "t"),))
        )),
    )  # fmt: skip
    found = [note for plan in plans for note in (*plan.warnings, *plan.conflicts)]
    return [note.as_dict() for note in (*found, *standard.notes(unfit, empty(), plan_of(unfit, empty())))]


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_note_has_its_sentence_with_all_facts(language: str) -> None:
    notes = everything_that_can_be_told()
    assert {note["code"] for note in notes} == TEXTS.keys()
    with translation.override(language):
        for note in notes:
            sentence = text(note)
            assert "%(" not in sentence
            assert all(str(fact) in sentence for fact in note["params"].values())
