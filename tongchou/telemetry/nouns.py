"""The nouns of telemetry that people work with."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, allows, check
from tongchou.core.nouns import Noun, register
from tongchou.core.watching import team_ref
from tongchou.telemetry.dashboard_actions import EDIT
from tongchou.telemetry.dashboard_reads import VIEW, visible
from tongchou.telemetry.models import Dashboard


def _rows(actor: Actor) -> QuerySet[Dashboard]:
    """None for a role in a team: dashboards, like metrics, have no owner who would open them."""
    return visible(actor) if allows(actor, VIEW) else Dashboard.objects.none()


def _edit(actor: Actor, row: Any) -> None:
    check(actor, EDIT)


register(
    Noun(
        "telemetry.dashboard",
        _("Dashboard"),
        _("Dashboards"),
        VIEW,
        _rows,
        _edit,
        called=lambda row: str(row.title),
        watched_through=lambda row: [team_ref(row.owner_id)] if row.owner_id else [],
        words=lambda row: [row.name, row.folder, *row.tags, row.description],
    )
)
