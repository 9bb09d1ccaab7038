"""Sealing: committed events are chained in order by one leased job, so that tampering with a sealed row is found.

Each month is a segment: hash(position n) = SHA-256(hash(n-1) || canonical event). The head of a segment is signed
(Ed25519) and is the start of the next one, so old months can be pruned and what is left stays provable.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.keys import load_or_create_key
from tongchou.core.models import Event, EventAbout, Job, Seal, Segment
from tongchou.core.refs import ref

GENESIS = "0" * 64
BATCH = 1000
LOOK_BACK_IDS = 100_000  # a transaction is never open while this many other events are inserted


@dataclass(frozen=True)
class Finding:
    """One place where the chain does not hold."""

    segment: str
    position: int
    event_id: int | None
    what: str


@cache
def _key(path: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key_text()))


def key_text() -> str:
    """The signing key itself, made when there is none. For its use and its fingerprint only."""

    def make() -> str:
        return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()

    return load_or_create_key(settings.LEDGER_KEY_FILE, make=make)


def _private_key() -> Ed25519PrivateKey:
    return _key(str(settings.LEDGER_KEY_FILE))


def canonical(event: Event, abouts: Iterable[str]) -> bytes:
    """Return the bytes that are hashed: JSON with sorted keys, UTC microseconds, sorted refs."""

    def stamp(moment: datetime) -> str:
        return moment.astimezone(UTC).isoformat(timespec="microseconds")

    body: dict[str, Any] = {
        "id": event.pk,
        "at": stamp(event.at),
        "recorded_at": stamp(event.recorded_at),
        "actor": [event.actor_kind, event.actor_name, str(event.actor_id or "")],
        "verb": event.verb,
        "subject": event.subject,
        "payload": event.payload,
        "correlation_id": event.correlation_id,
        "dedupe_key": event.dedupe_key,
        "about": sorted(abouts),
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def link(previous: str, event: Event, abouts: Iterable[str]) -> str:
    """Return the hash of one link: SHA-256 over the previous hash and the canonical event."""
    return hashlib.sha256(previous.encode() + canonical(event, abouts)).hexdigest()


def _sign(segment: Segment) -> str:
    text = f"{segment.month}|{segment.previous_head}|{segment.head}|{segment.count}"
    return base64.b64encode(_private_key().sign(text.encode())).decode()


def _signature_holds(segment: Segment) -> bool:
    text = f"{segment.month}|{segment.previous_head}|{segment.head}|{segment.count}"
    try:
        _private_key().public_key().verify(base64.b64decode(segment.signature), text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _abouts_of(event_ids: list[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for event_id, about in EventAbout.objects.filter(event_id__in=event_ids).values_list("event_id", "ref"):
        found.setdefault(event_id, []).append(about)
    return found


def seal_pending(*, now: datetime | None = None) -> int:
    """Seal up to BATCH committed events; return how many. Call it under a lease: positions are handed out in order."""
    now = now or timezone.now()
    month = now.strftime("%Y-%m")
    with transaction.atomic():
        highest = Seal.objects.aggregate(most=Max("event_id"))["most"] or 0
        waiting = list(Event.objects.filter(seal__isnull=True, pk__gt=highest - LOOK_BACK_IDS).order_by("pk")[:BATCH])
        if not waiting:
            return 0
        newest = Segment.objects.select_for_update().order_by("-month").first()
        if newest is None or newest.month < month:
            head = newest.head if newest else GENESIS
            segment = Segment.objects.create(month=month, previous_head=head, head=head)
        else:
            segment = newest  # the clock may have been set back: the chain only goes forward
        abouts = _abouts_of([event.pk for event in waiting])
        seals = []
        for position, event in enumerate(waiting, start=segment.count):
            segment.head = link(segment.head, event, abouts.get(event.pk, []))
            seals.append(Seal(event=event, segment=segment, position=position, hash=segment.head))
        Seal.objects.bulk_create(seals)
        segment.count += len(seals)
        segment.sealed_at = now
        segment.signature = _sign(segment)
        segment.save(update_fields=["head", "count", "sealed_at", "signature"])
    return len(seals)


def unsealed_count() -> int:
    """Return how many committed events are not sealed yet (the lag shown on the events page)."""
    highest = Seal.objects.aggregate(most=Max("event_id"))["most"] or 0
    return Event.objects.filter(seal__isnull=True, pk__gt=highest - LOOK_BACK_IDS).count()


def verify() -> list[Finding]:
    """Recompute every chain that is still here; return where it does not hold (empty: all is as it was sealed)."""
    findings: list[Finding] = []
    carried: str | None = None
    for segment in Segment.objects.order_by("month"):
        if carried is not None and segment.previous_head != carried:
            findings.append(Finding(segment.month, -1, None, "does not start at the head of the month before"))
        if not _signature_holds(segment):
            findings.append(Finding(segment.month, -1, None, "signature does not fit the head"))
        if segment.pruned_at is None:
            findings += _verify_links(segment)
        carried = segment.head
    return findings


def _verify_links(segment: Segment) -> list[Finding]:
    """Walk a month's chain to its head. What is sealed meanwhile belongs to a newer head, which is read then."""
    findings: list[Finding] = []
    expected, position = segment.previous_head, 0
    while True:
        expected, position, found = _walk(segment, expected, position)
        findings += found
        told = segment.count
        segment.refresh_from_db()
        if segment.count == told:
            break
        if not _signature_holds(segment):
            findings.append(Finding(segment.month, -1, None, "signature does not fit the head"))
            break
    if position != segment.count:
        findings.append(
            Finding(segment.month, position, None, f"{segment.count} events were sealed, {position} are here")
        )
    if expected != segment.head:
        findings.append(Finding(segment.month, position, None, "the chain does not end at the signed head"))
    return findings


def _walk(segment: Segment, expected: str, position: int) -> tuple[str, int, list[Finding]]:
    """Follow the chain from a position on to its end; return the last hash, the position after it, what is wrong."""
    findings: list[Finding] = []
    while seals := list(segment.seals.filter(position__gte=position).order_by("position")[:BATCH]):
        ids = [seal.event_id for seal in seals]
        events, abouts = Event.objects.in_bulk(ids), _abouts_of(ids)
        for seal in seals:
            if seal.position != position:
                findings.append(Finding(segment.month, position, None, "a seal is missing"))
                position = seal.position
            event = events.get(seal.event_id)
            if event is None:
                findings.append(Finding(segment.month, position, seal.event_id, "the event is gone"))
            elif link(expected, event, abouts.get(event.pk, [])) != seal.hash:
                findings.append(Finding(segment.month, position, event.pk, "the event was changed after sealing"))
            expected = seal.hash
            position += 1
    return expected, position, findings


def forget(event_ids: list[int]) -> None:
    """Delete sealed events with all that hangs on them, in the caller's transaction."""
    for start in range(0, len(event_ids), 500):
        part = event_ids[start : start + 500]
        Seal.objects.filter(event_id__in=part).delete()
        EventAbout.objects.filter(event_id__in=part).delete()
        Job.objects.filter(event_id__in=part).delete()
        Event.objects.filter(pk__in=part).delete()


def prune(*, actor: Actor, before_month: str) -> int:
    """Delete the events of sealed months before `before_month` (YYYY-MM); heads stay. Return events deleted."""
    check(actor, "settings.edit")
    deleted = 0
    for segment in Segment.objects.filter(month__lt=before_month, pruned_at__isnull=True).order_by("month"):
        with transaction.atomic():
            ids = list(segment.seals.values_list("event_id", flat=True))
            forget(ids)
            segment.pruned_at = timezone.now()
            segment.save(update_fields=["pruned_at"])
            ledger.record(
                actor=actor,
                verb="ledger.pruned",
                subject=ref(segment),
                payload={"month": segment.month, "events": len(ids), "head": segment.head},
            )
        deleted += len(ids)
    return deleted
