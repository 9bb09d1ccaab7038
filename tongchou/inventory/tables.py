"""The list of resources, that of one kind with the columns of its fields, and the work queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core import custom_fields
from tongchou.core.access import Actor, team_names
from tongchou.core.field_types import FieldDef
from tongchou.core.lists import custom
from tongchou.core.lists.tables import Column, Queue, Table, chosen, register
from tongchou.core.models_fields import FieldType, FieldVisible
from tongchou.inventory import kinds, queues, reads
from tongchou.inventory.models import Resource, ResourceLabel, ResourceState, Sighting
from tongchou.inventory.models_queues import ItemState, QueueItem, QueueName

KIND = "inventory.resource"
PREFIX = "at."  # of the columns of standard fields, which are attributes
SHOWN = 6  # columns of a kind's own fields that its list begins with
WIDE = (FieldType.LONG_TEXT, FieldType.JSON)  # nothing for a cell


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


def _beyond(name: str) -> Column | None:
    """A standard field by its name: all kinds' columns would be far too many to offer."""
    field = kinds.field_named(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    return custom.column_of(field, PREFIX) if field is not None else None


TABLE = register(
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
        beyond=_beyond,
    )
)


# --- the work queues --------------------------------------------------------------------------------------------------
ITEM = "inventory.queueitem"


def _one_queue(name: QueueName) -> Queue:
    def narrow(rows: QuerySet[QueueItem], _actor: Actor) -> QuerySet[QueueItem]:
        return queues.waiting(rows.filter(queue=name), queues.soon())

    return Queue(name.value, name.label, narrow)


def _item_name(row: QueueItem) -> str:
    return row.resource.name if row.resource is not None else row.key


def _item_what(row: QueueItem) -> str | None:
    return row.facts.get("what") or (row.key if row.resource is not None else None)


def _item_labels(rows: QuerySet[QueueItem], operator: str, value: str) -> QuerySet[QueueItem]:
    return rows.filter(resource__in=_labels(Resource.objects.all(), operator, value).values("pk"))


def _named(rows: QuerySet[QueueItem], operator: str, value: str) -> QuerySet[QueueItem]:
    """The name of the resource, or the key of what is none yet."""
    lookup = "icontains" if operator == "contains" else "exact"
    fits = Q(resource__in=Resource.objects.filter(**{f"name__{lookup}": value}).values("pk"))
    fits |= Q(resource__isnull=True, **{f"key__{lookup}": value})
    return rows.exclude(fits) if operator == "not" else rows.filter(fits)


register(
    Table(
        ITEM,
        _("Work queues of the inventory"),
        "inventory.view",
        queues.items,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("name", _("Resource"), value=_item_name, narrow=_named),
            Column("queue", _("Queue"), "choice", "queue", choices=chosen(QueueName), shown=False),
            Column(
                "kind",
                _("Kind"),
                "choice",
                "resource__kind",
                value=lambda row: row.resource.kind if row.resource is not None else None,
                choices=_kinds,
            ),
            Column(
                "owner",
                _("Owner"),
                "choice",
                "resource__owner__name",
                value=lambda row: row.resource.owner.name if row.resource and row.resource.owner else None,
                choices=_owners,
            ),
            Column("label", _("Labels"), "labels", narrow=_item_labels, shown=False),
            Column("about", _("What"), path="key", value=_item_what),
            Column("declared", _("Declared"), value=lambda row: row.facts.get("declared")),
            Column("observed", _("Observed"), value=lambda row: row.facts.get("observed")),
            Column("due", _("Ends"), "date", "due", order=("due", "id"), nullable=True),
            Column("since", _("Age"), "moment", "since", order=("since", "id")),
            Column("state", _("State"), "choice", "state", choices=chosen(ItemState), shown=False),
            Column("until", _("Ignored until"), "moment", "until", shown=False),
            Column("reason", _("Reason"), path="reason", shown=False),
            Column("by", _("Decided by"), path="decided_by", shown=False),
        ),
        sort="since",
        search=("resource__name", "key"),
        load=lambda ids: QueueItem.objects.filter(pk__in=ids).select_related("resource__owner"),
        queues=(
            *(_one_queue(name) for name in QueueName),
            Queue("ends", _("All known ends"), lambda rows, _actor: rows.filter(queue=QueueName.EXPIRING)),
            Queue("decided", _("Kept or ignored"), lambda rows, _actor: rows.exclude(state=ItemState.OPEN)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
    )
)


def of_kind(name: str) -> Table:
    """Return the list of resources with the columns of one kind: its standard fields, then the custom ones."""
    shown = (
        {"name", "kind", "owner", "status", "seen"} if len(kinds.with_heirs(name)) > 1 else {"name", "owner", "seen"}
    )
    columns = tuple(replace(each, shown=each.shown and each.name in shown) for each in TABLE.columns)
    return replace(TABLE, columns=columns, more=lambda: _columns(name))


def _columns(name: str) -> Sequence[Column]:
    own = [each for each in custom_fields.fields_of(KIND, name) if each.visible != FieldVisible.HIDDEN]
    standard = kinds.fields(name)
    first = [each for each in (*own, *standard) if each.type not in WIDE][:SHOWN]

    def column(field: FieldDef, prefix: str) -> Column:
        return custom.column_of(field, prefix, shown=field in first)

    return [*(column(each, PREFIX) for each in standard), *(column(each, custom.PREFIX) for each in own)]


def kind_of_list(asked: str) -> str:
    """Return the kind whose columns a list of these kinds ("a,b") has: one that all are or inherit from; else ""."""
    names = [each for each in asked.split(",") if each]
    common = [name for name in names if all(name in kinds.lineage(each) for each in names)]
    return common[0] if common and kinds.listed(common[0]) else ""
