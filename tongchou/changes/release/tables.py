"""The lists of releases and of versions."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_release import Artefact, Release, ReleaseState
from tongchou.changes.release import machine, reads
from tongchou.core.lists import custom
from tongchou.core.lists.tables import Column, Queue, Table, chosen, register


def _load_releases(ids: Any) -> QuerySet[Release]:
    return (
        Release.objects.filter(pk__in=ids)
        .select_related("environment")
        .defer("content")
        .annotate(
            service_count=Count("items", distinct=True),
            batch_count=Count("items__batches", distinct=True),
        )
    )


register(
    Table(
        "changes.release",
        _("Releases"),
        reads.VIEW,
        reads.visible,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("number", _("Number"), "number", "number", order=("number",)),
            Column("title", _("Title"), path="title"),
            Column("environment", _("Environment"), path="environment__name", value=lambda row: row.environment.name),
            Column("status", _("State"), "choice", "state", choices=chosen(ReleaseState)),
            Column("services", _("Services"), "number", value=lambda row: row.service_count),
            Column("batches", _("Batches"), "number", value=lambda row: row.batch_count, shown=False),
            Column("started", _("Started"), "moment", "started_at"),
            Column("finished", _("Finished"), "moment", "finished_at"),
            Column("requested", _("Requested by"), path="requested_by_name"),
            Column("by", _("Started by"), path="started_by_name", shown=False),
            Column("created", _("Created"), "moment", "created_at", shown=False),
        ),
        sort="-number",
        search=("title", "environment__name"),
        queues=(
            Queue("open", _("Not over"), lambda rows, _actor: rows.exclude(state__in=machine.ENDED)),
            Queue(
                "moving",
                _("Under way"),
                lambda rows, _actor: rows.filter(state__in=(*machine.MOVING, ReleaseState.PAUSED)),
            ),
            Queue("over", _("Over"), lambda rows, _actor: rows.filter(state__in=machine.ENDED)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        more=custom.columns("changes.release"),
        load=_load_releases,
    )
)


def _load_artefacts(ids: Any) -> QuerySet[Artefact]:
    return Artefact.objects.filter(pk__in=ids).select_related("service").defer("notes")


register(
    Table(
        "changes.artefact",
        _("Versions of services"),
        reads.VIEW,
        reads.artefacts,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("service", _("Service"), path="service__name", value=lambda row: row.service.name),
            Column("version", _("Version"), path="version"),
            Column("reference", _("Artefact"), path="reference"),
            Column("digest", "SHA-256", path="digest", shown=False),
            Column("commit", _("Commit"), path="commit_sha"),
            Column("source", _("Told by"), path="source"),
            Column("created", _("Known since"), "moment", "created_at", order=("created_at", "id")),
            Column("withdrawn", _("Withdrawn"), "moment", "withdrawn_at"),
            Column("reason", _("Reason"), path="withdrawn_reason", shown=False),
        ),
        sort="-created",
        search=("service__name", "version", "reference", "commit_sha"),
        queues=(
            Queue("usable", _("Can be rolled out"), lambda rows, _actor: rows.filter(withdrawn_at=None)),
            Queue("withdrawn", _("Withdrawn"), lambda rows, _actor: rows.exclude(withdrawn_at=None)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        load=_load_artefacts,
    )
)
