"""The nouns of incidents that people work with."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.nouns import Noun, register
from tongchou.core.refs import ref
from tongchou.core.watching import team_ref
from tongchou.incidents import postmortem_reads, reads
from tongchou.incidents.actions import check_respond
from tongchou.incidents.models import AffectedResource

VIEW = "incidents.view"
MAX_AFFECTED = 400


def _affected(incident: Any) -> list[str]:
    """What the incident affects, and the teams that own it."""
    rows = AffectedResource.objects.filter(incident=incident).order_by("distance", "id")
    found = list(rows.values_list("resource_id", "resource__owner_id")[:MAX_AFFECTED])
    teams = {team for _resource, team in found if team is not None}
    return [*(f"inventory.resource:{resource}" for resource, _team in found), *(team_ref(team) for team in teams)]


def _of_improvement(row: Any) -> list[str]:
    """Its postmortem's incident, its resource, and the team that owns it."""
    found = [ref(row.postmortem.incident)]
    if row.resource_id is not None:
        found.append(f"inventory.resource:{row.resource_id}")
    return [*found, *([team_ref(row.owner_team_id)] if row.owner_team_id else [])]


register(
    Noun(
        "incidents.incident",
        _("Incident"),
        _("Incidents"),
        VIEW,
        reads.visible,
        check_respond,
        custom_fields=True,
        watched_through=_affected,
    )
)
register(
    Noun(
        "incidents.postmortem",
        _("Postmortem"),
        _("Postmortems"),
        VIEW,
        postmortem_reads.visible,
        lambda actor, row: check_respond(actor, row.incident),
        custom_fields=True,
        called=lambda row: str(row.incident),
        watched_through=lambda row: [ref(row.incident)],
        words=lambda row: [row.summary, row.lessons, row.went_well, row.went_badly, row.lucky],
    )
)
register(
    Noun(
        "incidents.improvement",
        _("Improvement"),
        _("Improvements"),
        VIEW,
        postmortem_reads.improvements,
        lambda actor, row: check_respond(actor, row.postmortem.incident),
        custom_fields=True,
        subkind="kind",
        watched_through=_of_improvement,
        words=lambda row: [row.details, row.no_check_reason, row.drop_reason],
    )
)
