"""Sends what subscriptions have waiting: oldest first, one at a time, the same bytes at every try.

A receiver that fails holds up only its own subscription; one that fails too often in a row stops it, and nothing of
what waits is lost. What was not answered is sent again: at least once, with the same id.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from tongchou.core import http, ledger, settings_store, url_mask, webhook_signature
from tongchou.core.access import system
from tongchou.core.refs import ref
from tongchou.inventory.given import cloudevents, outbox
from tongchou.inventory.models_given import Delivery, DeliveryState, Mode, Subscription

STOP_AFTER = "inventory.subscription_stop_after"
TIMEOUT_SECONDS = 10.0
HOLD_SECONDS = TIMEOUT_SECONDS + 5.0
TURN_SECONDS = 10.0
MAX_WAIT_SECONDS = 600.0
MAX_ANSWER_BYTES = 64_000
# Of this body the receiver has said that it will never take it; 401, 403 and 404 are mistakes of the address or secret.
NEVER = frozenset({400, 405, 406, 411, 413, 414, 415, 422, 431})
GONE = 410
ACTOR = system("subscriptions")


def wait_seconds(failures: int) -> float:
    """How long to leave a receiver alone after so many failures in a row: 1, 2, 4 ... capped."""
    return min(MAX_WAIT_SECONDS, 2.0 ** (max(1, min(failures, 30)) - 1))


def _ready(now: datetime) -> QuerySet[Subscription]:
    """Those that are on, due, and held by nobody."""
    free = Q(busy_until__isnull=True) | Q(busy_until__lt=now)
    due = Q(next_try_at__isnull=True) | Q(next_try_at__lte=now)
    return Subscription.objects.filter(free, due, enabled=True)


def take(id_: UUID, now: datetime) -> Subscription | None:
    """Hold a subscription that is on and due; None when another worker holds it. A dead worker's hold runs out."""
    if not _ready(now).filter(pk=id_).update(busy_until=now + timedelta(seconds=HOLD_SECONDS)):
        return None
    return Subscription.objects.filter(pk=id_).first()


def with_work(now: datetime) -> list[UUID]:
    """Those for which something waits, or the ledger has sealed events they have not looked at. Three queries."""
    rows = list(_ready(now))
    if not rows:
        return []
    queued = Delivery.objects.filter(subscription__in=rows, state=DeliveryState.QUEUED).order_by()
    waiting = set(queued.values_list("subscription_id", flat=True).distinct())
    newest = outbox.head()
    return [row.pk for row in rows if row.pk in waiting or (row.month, row.position) < newest]


def work(id_: UUID) -> bool:
    """One turn of a subscription; whether there may be more to do at once."""
    row = take(id_, timezone.now())
    if row is None:
        return False
    started, more = time.monotonic(), True
    try:
        while more and time.monotonic() - started < TURN_SECONDS:
            read = outbox.fill(row)
            waiting = Delivery.objects.filter(subscription=row, state=DeliveryState.QUEUED).order_by("id")
            first = waiting.first()
            if first is None:
                more = read > 0
                continue
            if not _keep(row):
                return False
            more = _send(row, first)
    finally:
        Subscription.objects.filter(pk=row.pk).update(busy_until=None)
    return more


def _keep(row: Subscription) -> bool:
    """Hold it for another try; False when it was switched off or deleted meanwhile."""
    held = timezone.now() + timedelta(seconds=HOLD_SECONDS)
    return bool(Subscription.objects.filter(pk=row.pk, enabled=True).update(busy_until=held))


def request_of(row: Subscription, delivery: Delivery, now: datetime) -> tuple[dict[str, str], bytes]:
    """(headers, body) of one try: the same but for the time of the signature."""
    encode = cloudevents.binary if row.mode == Mode.BINARY else cloudevents.structured
    headers, body = encode(delivery.body)
    headers = {**row.target.get("headers", {}), **headers, "webhook-id": delivery.event_id}
    if row.secret:
        seconds = int(now.timestamp())
        headers |= webhook_signature.headers(str(row.secret), delivery.event_id, seconds, body)
    return headers, body


def _send(row: Subscription, delivery: Delivery) -> bool:
    """One try and what became of it; whether the next delivery may be sent at once."""
    headers, body = request_of(row, delivery, timezone.now())
    url = str(row.target["url"])
    try:
        answer = http.fetch(
            "POST",
            url,
            purpose="inventory subscription",
            headers=headers,
            body=body,
            timeout_seconds=TIMEOUT_SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
        )
    except http.HttpError as error:
        return _failed(row, delivery, None, url_mask.text(f"{error.reason}: {error.detail}", url))
    if 200 <= answer.status < 300:
        return _delivered(row, delivery, answer.status)
    known = [str(row.secret or ""), *row.target.get("headers", {}).values()]
    said = url_mask.words(answer.body.decode("utf-8", errors="replace").strip(), known)[:200]
    return _failed(row, delivery, answer.status, url_mask.text(f"HTTP {answer.status} {said}".strip(), url))


def _delivered(row: Subscription, delivery: Delivery, status: int) -> bool:
    now = timezone.now()
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(
            state=DeliveryState.SENT, status=status, detail="", attempts=F("attempts") + 1, finished_at=now
        )
        Subscription.objects.filter(pk=row.pk).update(failures=0, last_error="", last_sent_at=now, next_try_at=None)
    row.failures = 0
    return True


def _failed(row: Subscription, delivery: Delivery, status: int | None, detail: str) -> bool:
    now, detail = timezone.now(), detail[:1000]
    never = status in NEVER
    row.failures += 1
    stop = status == GONE or row.failures >= int(settings_store.get(STOP_AFTER))
    wait = None if never else now + timedelta(seconds=wait_seconds(row.failures))
    with transaction.atomic():
        state = {"state": DeliveryState.REFUSED, "finished_at": now} if never else {}
        Delivery.objects.filter(pk=delivery.pk).update(
            status=status, detail=detail, attempts=F("attempts") + 1, **state
        )
        Subscription.objects.filter(pk=row.pk).update(failures=row.failures, last_error=detail, next_try_at=wait)
        if stop and Subscription.objects.filter(pk=row.pk, enabled=True).update(enabled=False, stopped_at=now):
            payload = {"name": row.name, "failures": row.failures, "detail": detail}
            ledger.record(actor=ACTOR, verb="subscription.stopped", subject=ref(row), payload=payload)
    return never and not stop
