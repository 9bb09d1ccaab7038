"""The list of dashboards."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, team_names
from tongchou.core.lists.tables import Column, Table, register
from tongchou.telemetry.dashboard_reads import LISTED_WITHOUT, VIEW, visible
from tongchou.telemetry.models import Dashboard


def _load(ids: Any) -> QuerySet[Dashboard]:
    return Dashboard.objects.filter(pk__in=ids).select_related("owner").defer(*LISTED_WITHOUT)


def _teams(actor: Actor) -> list[tuple[str, str]]:
    return [(name, name) for name in team_names(actor)]


register(
    Table(
        "telemetry.dashboard",
        _("Dashboards"),
        VIEW,
        visible,
        (
            Column("title", _("Title"), path="title", order=("title", "id")),
            Column("name", _("Name"), path="name", shown=False),
            Column("folder", _("Folder"), path="folder"),
            Column("tags", _("Tags"), value=lambda row: ", ".join(row.tags)),
            Column("panels", _("Panels"), "number", "panel_count"),
            Column(
                "owner",
                _("Owner"),
                "choice",
                "owner__name",
                value=lambda row: row.owner.name if row.owner else None,
                choices=_teams,
                shown=False,
            ),
            Column("changed", _("Changed"), "moment", "updated_at", order=("updated_at", "id")),
            Column("by", _("Changed by"), path="updated_by_name"),
            Column("version", _("Version"), "number", "version", shown=False),
        ),
        sort="title",
        search=("title", "name", "folder", "tags"),
        load=_load,
        unowned=True,
    )
)
