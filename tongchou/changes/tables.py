"""The lists of deployments and of drift."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.changes import (
    baseline_tables,  # noqa: F401  # registers: only this file is found by name
    control_tables,  # noqa: F401  # registers: only this file is found by name
    drift_reads,
    iac_tables,  # noqa: F401  # registers workspaces and plans
    playbook_tables,  # noqa: F401  # registers: only this file is found by name
    reads,
    requirement_tables,  # noqa: F401  # registers: only this file is found by name
)
from tongchou.changes.models import Deployment, DeploymentStatus
from tongchou.changes.models_drift import Drift, DriftSource, DriftState, DriftWhat
from tongchou.changes.release import tables as release_tables  # noqa: F401  # registers: only this file is found by name
from tongchou.core.lists import custom
from tongchou.core.lists.tables import Column, Queue, Table, by_state, chosen, register

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
            Column("commit", _("Commit"), path="commit_sha", shown=False),
            Column("committed", _("Committed"), "moment", "commit_at", shown=False),
            Column("artifact", _("Artifact"), path="artifact", shown=False),
            Column("unplanned", _("Unplanned"), "yes", "unplanned", shown=False),
            Column("url", _("Address"), path="url", shown=False),
            Column("delivery", _("Delivery"), path="delivery_id", shown=False),
        ),
        sort="-started",
        search=("service_name", "version"),
        load=lambda ids: Deployment.objects.filter(pk__in=ids).select_related("service"),
        more=custom.columns("changes.deployment"),
    )
)
register(
    Table(
        "changes.drift",
        _("Drift"),
        "changes.view",
        drift_reads.items,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column(
                "resource",
                _("Resource"),
                path="resource__name",
                value=lambda row: row.resource.name if row.resource is not None else row.subject,
            ),
            Column("path", _("What differs"), path="path"),
            Column("expected", _("Expected"), path="expected"),
            Column("observed", _("Observed"), path="observed"),
            Column("status", _("State"), "choice", "state", choices=chosen(DriftState)),
            Column("source_kind", _("Kind of source"), "choice", "source_kind", choices=chosen(DriftSource)),
            Column("what", _("What was observed"), "choice", "what", choices=chosen(DriftWhat)),
            Column("source", _("Source"), path="source_name"),
            Column("touched", _("Told of at once"), "number", "touched", shown=False),
            Column("consecutive", _("Looks in a row"), "number", "consecutive"),
            Column("first", _("First seen"), "moment", "first_seen_at"),
            Column("last", _("Last seen"), "moment", "last_seen_at", order=("last_seen_at", "id")),
            Column("returned", _("Came back"), "number", "returned", shown=False),
            Column("reason", _("Reason"), path="reason", shown=False),
            Column("decided", _("Decided by"), path="decided_by_name", shown=False),
            Column("until", _("Ignored until"), "moment", "until", shown=False),
            Column("gone", _("Gone since"), "moment", "cleared_at", shown=False),
        ),
        sort="-last",
        search=("resource__name", "subject", "path"),
        load=lambda ids: Drift.objects.filter(pk__in=ids).select_related("resource").defer("diff"),
        queues=(
            Queue("open", DriftState.OPEN.label, lambda rows, _actor: rows.filter(state=DriftState.OPEN)),
            *(each for each in by_state(DriftState) if each.name not in ("open", "watched")),
            Queue("watched", DriftState.WATCHED.label, lambda rows, _actor: rows.filter(state=DriftState.WATCHED)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        queue_word="state",
    )
)
