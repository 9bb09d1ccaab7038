"""The calendar of ends, also as a file for calendar programs, and telling of those that come near."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.core import ledger
from tongchou.core.access import Actor
from tongchou.core.icalendar import Day
from tongchou.core.models import Event
from tongchou.inventory import end_of_life, kinds, queues
from tongchou.inventory.apply import resource_ref
from tongchou.inventory.models_queues import ItemState, QueueItem, QueueName

LATE_DAYS = 7  # an end found so long after it is still told of; older ones wait in the queue alone
MOST_TOLD = 500  # of one pass
FEED_DAYS_BACK = 90  # of ends that are over, in a calendar file that names no other day
MOST_IN_FEED = 5000


def known_ends(actor: Actor, *, sort: str = "") -> QuerySet[QueueItem]:
    """Return every end the actor may see, the decided ones too; `sort` is one of end_of_life.TITLES."""
    rows = queues.items(actor).filter(queue=QueueName.EXPIRING)
    return rows.filter(facts__sort=sort) if sort else rows


def in_order(rows: QuerySet[QueueItem]) -> QuerySet[QueueItem]:
    """Order ends by their day, the unknown ones last."""
    return rows.order_by(F("due").asc(nulls_last=True), "id")


def what_of(row: QueueItem) -> str:
    """Return what ends: a product and its version, or the attribute with the day, as the standard field is called."""
    name = str(row.facts.get("what", row.key))
    field = kinds.field_named(name)
    return name if field is None else str(field.title)


def by_day(rows: QuerySet[QueueItem], first: date, last: date) -> dict[date, int]:
    """Return how many ends each day of a span has. One query."""
    within = rows.filter(due__gte=first, due__lte=last).order_by()
    return dict(within.values_list("due").annotate(rows=Count("pk")))


def in_feed(actor: Actor, *, sort: str, since: date | None, until: date | None) -> list[QueueItem]:
    """Return the ends of a calendar file: those with a day, the first MOST_IN_FEED from `since` on. Two queries."""
    first = since if since is not None else timezone.localdate() - timedelta(days=FEED_DAYS_BACK)
    rows = known_ends(actor, sort=sort).filter(due__gte=first, resource__isnull=False)
    rows = rows if until is None else rows.filter(due__lte=until)
    return list(in_order(rows).select_related("resource__owner")[:MOST_IN_FEED])


def days_of(rows: Iterable[QueueItem]) -> Iterator[Day]:
    """Write ends as days of a calendar, in the reader's language.

    The same end of the same resource keeps its UID, also when it was found anew or its day moved.
    """
    for row in rows:
        resource = row.resource
        if resource is None or row.due is None:
            continue
        sort = str(row.facts.get("sort", "other"))
        title, what = str(end_of_life.TITLES.get(sort, sort)), what_of(row)
        mark = hashlib.blake2b(row.key.encode(), digest_size=8).hexdigest()
        kind, owner, further = _("Kind"), _("Owner"), _("Further support until")
        told = [
            f"{kind}: {kinds.kind(resource.kind).title}",
            f"{owner}: {resource.owner.name if resource.owner is not None else '–'}",
        ]
        if row.facts.get("extended"):
            told.append(f"{further}: {row.facts['extended']}")
        if row.facts.get("source"):
            told.append(str(row.facts["source"]))
        yield Day(
            uid=f"{resource.pk}-{mark}@tongchou",
            day=row.due,
            summary=_("%(name)s: %(sort)s ends (%(what)s)") % {"name": resource.name, "sort": title, "what": what},
            description="\n".join(told),
            url=f"{settings.PUBLIC_URL}/resources/{resource.pk}",
            category=title,
        )


def tell_near(actor: Actor) -> int:
    """Tell once that an end has come near, and once that it has passed. Event resource.expiring; returns how many."""
    today, soon = timezone.localdate(), queues.soon()
    near = QueueItem.objects.filter(
        queue=QueueName.EXPIRING, state=ItemState.OPEN, due__lte=soon, due__gte=today - timedelta(days=LATE_DAYS)
    )
    keys = {}
    for row in near.select_related("resource").order_by("due", "id")[: 10 * MOST_TOLD]:
        phase = "near" if row.due is not None and row.due >= today else "over"
        keys[f"expiring:{row.resource_id}:{row.key}:{row.due}:{phase}"[:200]] = row
    told = set(Event.objects.filter(dedupe_key__in=list(keys)).values_list("dedupe_key", flat=True))
    new = [(key, row) for key, row in keys.items() if key not in told][:MOST_TOLD]
    for key, row in new:
        if row.resource is None or row.resource_id is None:
            continue
        payload = {
            "name": row.resource.name,
            "what": row.facts.get("what", ""),
            "sort": row.facts.get("sort", ""),
            "due": row.due.isoformat() if row.due else None,
        }
        with transaction.atomic():
            ledger.record(
                actor=actor,
                verb="resource.expiring",
                subject=resource_ref(row.resource_id),
                payload=payload,
                dedupe_key=key,
            )
    return len(new)
