"""The list of resources."""

from __future__ import annotations

from typing import Any

from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, team_names
from tongchou.core.lists import custom
from tongchou.core.lists.tables import Column, Table, chosen, register
from tongchou.inventory import kinds, reads
from tongchou.inventory.models import Resource, ResourceLabel, ResourceState, Sighting

KIND = "inventory.resource"


def _kinds(actor: Actor) -> list[tuple[str, Any]]:
    return sorted(((name, kinds.kind(name).title) for name in reads.kinds_in_use(actor)), key=lambda pair: str(pair[1]))


def _owners(actor: Actor) -> list[tuple[str, str]]:
    return [(name, name) for name in team_names(actor)]


def _labels(rows: QuerySet[Resource], operator: str, value: str) -> QuerySet[Resource]:
    """Every label has to be there: name, or name=value; with "not" none of them may be."""
    for part in (each.strip() for each in value.split(",") if each.strip()):
        name, has_value, text = part.partition("=")
        having = ResourceLabel.objects.filter(name=name, **({"value": text} if has_value else {}))
        found = reads.having(having)
        rows = rows.filter(found) if operator == "is" else rows.exclude(found)
    return rows


def _source(rows: QuerySet[Resource], operator: str, value: str) -> QuerySet[Resource]:
    """Whom the source sees now, not only whose word the name is."""
    if operator == "empty":
        return rows.filter(source="")
    seen = reads.having(Sighting.objects.filter(source__in=value.split(","), gone_at__isnull=True))
    return rows.filter(seen) if operator in ("is", "contains") else rows.exclude(seen)


def _load(ids: Any) -> QuerySet[Resource]:
    seen = Max("sightings__last_seen", filter=Q(sightings__gone_at__isnull=True))
    return Resource.objects.filter(pk__in=ids).select_related("owner").annotate(seen_at=seen)


register(
    Table(
        KIND,
        _("Resources"),
        "inventory.view",
        reads.visible,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("name", _("Name"), path="name", order=("name", "id")),
            Column("kind", _("Kind"), "choice", "kind", order=("kind", "name", "id"), choices=_kinds),
            Column(
                "owner",
                _("Owner"),
                "choice",
                "owner__name",
                value=lambda row: row.owner.name if row.owner else None,
                choices=_owners,
            ),
            Column("label", _("Labels"), "labels", value=lambda row: row.labels, narrow=_labels),
            Column("source", _("Source"), value=lambda row: row.source, narrow=_source),
            Column("seen", _("Last seen"), "moment", value=lambda row: row.seen_at),
            Column("state", _("State"), "choice", "state", choices=chosen(ResourceState), shown=False),
            Column("created", _("First seen"), "moment", "created_at", order=("created_at", "id"), shown=False),
            Column("gone", _("Gone since"), "moment", "gone_at", shown=False),
        ),
        sort="name",
        search=("name",),
        load=_load,
        defaults={"state": ResourceState.ACTIVE.value},
        more=custom.columns("inventory.resource"),
    )
)
