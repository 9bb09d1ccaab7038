"""What is told to subscriptions: sealed events of the inventory become deliveries, in order and each once.

The sealed ledger is the one order of events in which none appears behind one that was already read (ADR 0026).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from tongchou.core import ledger
from tongchou.core.access import system
from tongchou.core.models import Event, EventAbout, Seal, Segment
from tongchou.core.refs import is_ref, parse, ref
from tongchou.inventory.given.cloudevents import DATA_TYPE, SPEC, TYPE_PREFIX
from tongchou.inventory.given.gathered import without_secrets
from tongchou.inventory.models import Resource
from tongchou.inventory.models_given import Delivery, DeliveryState, Subscription

VERBS = (
    *("resource.created", "resource.changed", "resource.gone", "resource.returned", "resource.recorded"),
    *("resource.confirmed", "resource.merged", "resource.unmerged", "resource.split", "resource.keys_moved"),
    *("relation.added", "relation.removed", "hold.placed", "hold.lifted"),
    *("endpoint.registered", "endpoint.enabled", "endpoint.disabled", "drift.accepted", "drift.kept"),
    *("source.added", "source.configured", "source.removed", "source.failed", "source.recovered"),
)
READ = 500  # sealed events looked at in one transaction
MOST_QUEUED = 500  # deliveries of a subscription that wait; the rest waits in the ledger
RESOURCE = "inventory.resource:"


def head() -> tuple[str, int]:
    """The place of the newest sealed event: where a new subscription begins."""
    newest = Segment.objects.order_by("-month").first()
    return (newest.month, newest.count - 1) if newest else ("", -1)


def pruned_months() -> list[tuple[str, int]]:
    """The months that the ledger's retention pruned, each with how many events it had; one query."""
    rows = Segment.objects.filter(pruned_at__isnull=False).order_by("month")
    return list(rows.values_list("month", "count"))


def unread(place: tuple[str, int], months: Sequence[tuple[str, int]]) -> tuple[int, str]:
    """How many events of pruned months, of whatever sort, lie behind a place, and the last such month; pure."""
    found = [
        (events - (place[1] + 1 if month == place[0] else 0), month) for month, events in months if month >= place[0]
    ]
    left = [(events, month) for events, month in found if events > 0]
    return sum(events for events, _month in left), left[-1][1] if left else ""


def lost(row: Subscription, months: Sequence[tuple[str, int]]) -> tuple[int, str]:
    """What was pruned before the subscription read it: what stands on it, and what it will find; (0, "") for none."""
    count, last = unread((row.month, row.position), months)
    return row.lost_events + count, max(row.lost_month, last)


def _pass_over(row: Subscription) -> None:
    """Write on the subscription what was pruned before it was read, and go on behind it. Event subscription.lost."""
    months = pruned_months()
    count, month = unread((row.month, row.position), months)
    if not count:
        return
    row.month, row.position = month, dict(months)[month] - 1
    row.lost_events, row.lost_month = row.lost_events + count, month
    with transaction.atomic():
        row.save(update_fields=["month", "position", "lost_events", "lost_month"])
        payload = {"name": row.name, "events": count, "month": month}
        ledger.record(actor=system("subscriptions"), verb="subscription.lost", subject=ref(row), payload=payload)


def fits(verbs: Sequence[str], verb: str) -> bool:
    """Whether a verb is among those wanted, "resource.*" standing for all of resources; pure."""
    return verb in verbs or f"{verb.partition('.')[0]}.*" in verbs or "*" in verbs


def fill(row: Subscription) -> int:
    """Make deliveries of what was sealed since the place the subscription is at; return how many were looked at.

    For who holds the subscription. The deliveries and the new place are one commit: a crash repeats all or nothing.
    """
    if Delivery.objects.filter(subscription=row, state=DeliveryState.QUEUED).count() >= MOST_QUEUED:
        return 0
    _pass_over(row)
    seals = list(_after(row)[:READ])
    if not seals:
        return 0
    wanted = [seal for seal in seals if seal.event.verb in VERBS and fits(row.verbs, seal.event.verb)]
    known = _resources(wanted)
    made = []
    for seal in wanted:
        about = known[seal.event_id]
        if not row.kinds or any(each["kind"] in row.kinds for each in about):
            made.append(_delivery(row, seal, about))
    last = seals[-1]
    with transaction.atomic():
        Delivery.objects.bulk_create(made, ignore_conflicts=True, batch_size=500)
        Subscription.objects.filter(pk=row.pk).update(month=last.segment.month, position=last.position)
    row.month, row.position = last.segment.month, last.position
    return len(seals)


def _after(row: Subscription) -> QuerySet[Seal]:
    later = Q(segment__month=row.month, position__gt=row.position) | Q(segment__month__gt=row.month)
    return Seal.objects.filter(later).select_related("event", "segment").order_by("segment__month", "position")


def _resources(seals: Sequence[Seal]) -> dict[int, list[dict[str, Any]]]:
    """Event -> the resources it is about, its subject first, as they are called now. Two queries."""
    refs: dict[int, list[str]] = {seal.event_id: [seal.event.subject] for seal in seals}
    others = EventAbout.objects.filter(event_id__in=list(refs)).order_by("pk")
    for event_id, other in others.values_list("event_id", "ref"):
        if other not in refs[event_id]:
            refs[event_id].append(other)
    ids = {parse(one).id for each in refs.values() for one in each if one.startswith(RESOURCE) and is_ref(one)}
    rows = {str(row.pk): row for row in Resource.objects.filter(pk__in=ids).select_related("owner")}
    return {
        event_id: [_told(rows[parse(one).id]) for one in each if one.startswith(RESOURCE) and parse(one).id in rows]
        for event_id, each in refs.items()
    }


def _told(row: Resource) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "name": row.name,
        "owner": row.owner.name if row.owner else None,
        "labels": without_secrets(row.labels),
        "url": f"{settings.PUBLIC_URL}/resources/{row.pk}",
    }


def _delivery(row: Subscription, seal: Seal, about: list[dict[str, Any]]) -> Delivery:
    event = seal.event
    id_ = f"{event.pk}-{seal.hash[:16]}"
    return Delivery(
        subscription=row,
        event_number=event.pk,
        event_id=id_,
        verb=event.verb,
        subject=event.subject,
        body=cloud_event(event, id_, about),
    )


def cloud_event(event: Event, id_: str, about: list[dict[str, Any]]) -> dict[str, Any]:
    """The event as a CloudEvent. `id`: its number, and the begin of its hash, since a restored ledger numbers anew."""
    attributes = {
        "specversion": SPEC,
        "id": id_,
        "source": f"{settings.PUBLIC_URL}/events",
        "type": TYPE_PREFIX + event.verb,
        "subject": event.subject,
        "time": _rfc3339(event.at),
        "datacontenttype": DATA_TYPE,
    }
    if event.correlation_id:
        attributes["correlationid"] = event.correlation_id
    data: Mapping[str, Any] = {
        "verb": event.verb,
        "actor": {"kind": event.actor_kind, "name": event.actor_name},
        "resources": about,
        "payload": without_secrets(event.payload),
    }
    return {**attributes, "data": data}


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
