"""The list of deployments."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.changes import reads
from tongchou.changes.models import Deployment, DeploymentStatus
from tongchou.core.lists import custom
from tongchou.core.lists.tables import Column, Table, chosen, register

register(
    Table(
        "changes.deployment",
        _("Deployments"),
        "changes.view",
        reads.deployments,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("started", _("Started"), "moment", "started_at", order=("started_at", "id")),
            Column("service", _("Service"), path="service_name"),
            Column("version", _("Version"), path="version"),
            Column("previous", _("Version before"), path="previous_version", shown=False),
            Column("status", _("Status"), "choice", "status", choices=chosen(DeploymentStatus)),
            Column("environment", _("Environment"), path="environment"),
            Column("finished", _("Finished"), "moment", "finished_at", shown=False),
            Column(
                "took",
                _("Took"),
                "number",
                value=lambda row: (
                    round((row.finished_at - row.started_at).total_seconds(), 1) if row.finished_at else None
                ),
                unit="s",
            ),
            Column("by", _("Who"), path="actor_name"),
            Column("source", _("Source"), path="source"),
            Column("url", _("Address"), path="url", shown=False),
            Column("delivery", _("Delivery"), path="delivery_id", shown=False),
        ),
        sort="-started",
        search=("service_name", "version"),
        load=lambda ids: Deployment.objects.filter(pk__in=ids).select_related("service"),
        more=custom.columns("changes.deployment"),
    )
)
