"""A choice becomes changes: what the chosen option proposes, made once, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from tongchou.changes import control, control_reads
from tongchou.changes.change_states import OVER
from tongchou.changes.draft import Draft
from tongchou.changes.models_control import Change
from tongchou.changes.models_requirements import Decision, Option, Requirement
from tongchou.core.access import Actor
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource


def make(*, actor: Actor, requirement: Requirement, option: Option, decision: Decision) -> list[Change]:
    """Make the changes that a chosen option proposes, in their order; again, they are the same ones.

    Each is of the requirement's team and about the existing resources of the option that are still there.
    """
    named = [each["existing"] for each in option.resources if each["existing"]]
    there = list(Resource.objects.filter(pk__in=named).values_list("pk", flat=True))
    return [
        control.create(
            actor=actor,
            draft=Draft(
                title=each["title"],
                description=_description(requirement, option, decision, number, each),
                team=requirement.owner_team_id,
                resources=there,
            ),
            origin=ref(option),
            origin_key=f"{ref(decision)}:{number}",
        )
        for number, each in enumerate(option.changes)
    ]


def _description(
    requirement: Requirement, option: Option, decision: Decision, number: int, said: dict[str, Any]
) -> str:
    """What is done, and what it is a part of: names that need no language."""
    new = [f"- {each['count']} x {each['name']} ({each['kind']})" for each in option.resources if not each["existing"]]
    head = f"{requirement.name} · {decision.name} · {option.name} · {number + 1}/{len(option.changes)}"
    return "\n\n".join(filter(None, (said["what"], head, "\n".join(new))))


def of_requirement(actor: Actor, requirement: Requirement) -> QuerySet[Change]:
    """Return the changes made for its options, as far as the actor may see them, in the order they were made."""
    origins = [f"changes.option:{each}" for each in requirement.options.values_list("pk", flat=True)]
    return control_reads.visible(actor).filter(origin__in=origins).order_by("number")


def open_ones(options: Sequence[Option]) -> list[str]:
    """Return the names of those not ended yet, whoever may see them."""
    origins = [ref(each) for each in options]
    rows = Change.objects.filter(origin__in=origins).exclude(state__in=OVER).order_by("number")
    return [each.name for each in rows.only("number")]
