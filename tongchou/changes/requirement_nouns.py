"""The nouns of design that people work with: requirements, decision records, scorecards."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes import requirement_reads
from tongchou.core.access import Actor, check
from tongchou.core.nouns import Noun, register
from tongchou.core.watching import team_ref


def _of_requirement(row: Any) -> list[str]:
    """The services it concerns, and the team that owns it."""
    services = [f"inventory.resource:{each}" for each in row.services.values_list("pk", flat=True)]
    return [*services, *([team_ref(row.owner_team_id)] if row.owner_team_id else [])]


def _of_team(row: Any) -> list[str]:
    """Its requirement, and the team that owns it."""
    found = [f"changes.requirement:{row.requirement_id}"] if row.requirement_id else []
    return [*found, *([team_ref(row.owner_team_id)] if row.owner_team_id else [])]


def _check_team(actor: Actor, row: Any) -> None:
    check(actor, "changes.edit", team=row.owner_team_id)


register(
    Noun(
        "changes.requirement",
        _("Requirement"),
        _("Requirements"),
        "changes.view",
        requirement_reads.requirements,
        _check_team,
        custom_fields=True,
        watched_through=_of_requirement,
        words=lambda row: [row.need, *row.drivers],
    )
)
register(
    Noun(
        "changes.decision",
        _("Decision record"),
        _("Decision records"),
        "changes.view",
        requirement_reads.decisions,
        _check_team,
        custom_fields=True,
        watched_through=_of_team,
        words=lambda row: [row.context, row.decision, row.consequences],
    )
)
register(
    Noun(
        "changes.scorecard",
        _("Scorecard"),
        _("Scorecards"),
        "changes.view",
        requirement_reads.scorecards,
        _check_team,
        custom_fields=True,
        watched_through=_of_team,
        words=lambda row: [row.purpose, *row.candidates],
    )
)
