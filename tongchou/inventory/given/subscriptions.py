"""Every write of subscriptions by people: made, changed, switched, deleted; a delivery sent again; a test event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core import jobs, ledger, url_mask, webhook_signature
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import checks
from tongchou.inventory.given import outbox
from tongchou.inventory.models_given import Delivery, DeliveryState, Mode, Subscription

MANAGE = "integrations.manage"
JOB = "inventory.deliver"
KEEP_DAYS = "inventory.deliveries_keep_days"
MOST = 100
MAX_SECRET = 1000
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")
_OURS = re.compile(r"content-type|content-length|host|user-agent|webhook-.*|ce-.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscription is to be; None leaves it as it is. `secret`: "" takes it away."""

    url: str | None = None
    headers: Mapping[str, str] | None = None
    secret: str | None = None
    verbs: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    mode: str | None = None
    enabled: bool | None = None


def find(actor: Actor, id_: UUID) -> Subscription:
    """A subscription, for who manages them; NotFound."""
    check(actor, MANAGE)
    row = Subscription.objects.filter(pk=id_).first()
    if row is None:
        raise NotFound("subscription.unknown", _("There is no subscription of this id."), field="id", value=id_)
    return row


def shown_url(row: Subscription) -> str:
    """The address as people may see it: keys in it are masked."""
    return url_mask.url(str(row.target["url"]))


def create(*, actor: Actor, name: str, wanted: Wanted) -> Subscription:
    """Make a subscription; it is told of what is recorded from now on. Event subscription.created."""
    check(actor, MANAGE)
    name = checks.name(name)
    if Subscription.objects.count() >= MOST:
        raise Conflict(
            "subscription.many",
            _("There are at most %(most)s subscriptions.") % {"most": MOST},
            remedy=_("Delete one that is not needed."),
        )
    if not wanted.url:
        raise _bad_url("")
    month, position = outbox.head()
    row = Subscription(name=name[:120], month=month, position=position, owner_id=actor.user_id, verbs=["*"])
    _apply(row, wanted)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            ledger.record(actor=actor, verb="subscription.created", subject=ref(row), payload=_facts(row))
    except IntegrityError:
        raise Conflict(
            "subscription.exists",
            _("There is a subscription of this name."),
            field="name",
            value=name,
            remedy=_("Choose another name."),
        ) from None
    return row


def change(*, actor: Actor, subscription: Subscription, wanted: Wanted) -> Subscription:
    """Change a subscription. Event subscription.changed.

    Switched on by a person after it was off, it is told of what is recorded from then on; after it was stopped by
    failures it goes on where it stopped. Sent elsewhere, its secret is dropped unless given anew.
    """
    check(actor, MANAGE)
    with transaction.atomic():
        row = Subscription.objects.select_for_update().get(pk=subscription.pk)
        was_on, before = row.enabled, str(row.target["url"])
        _apply(row, wanted)
        if row.target["url"] != before and wanted.secret is None:
            row.secret = None
        if row.enabled and not was_on:
            if row.stopped_at is None:
                row.month, row.position = outbox.head()
            row.failures, row.stopped_at, row.next_try_at, row.last_error = 0, None, None, ""
        if was_on and not row.enabled:
            row.stopped_at = None
        row.lost_events, row.lost_month = 0, ""  # it was seen; what is not passed over yet is counted again
        row.save(
            update_fields=[
                *("target", "secret", "verbs", "kinds", "mode", "enabled", "month", "position"),
                *("failures", "stopped_at", "next_try_at", "last_error", "lost_events", "lost_month"),
            ]
        )
        ledger.record(actor=actor, verb="subscription.changed", subject=ref(row), payload=_facts(row))
    return row


def delete(*, actor: Actor, subscription: Subscription) -> None:
    """Delete a subscription with its deliveries. Event subscription.deleted."""
    check(actor, MANAGE)
    with transaction.atomic():
        ledger.record(actor=actor, verb="subscription.deleted", subject=ref(subscription), payload=_facts(subscription))
        subscription.delete()


def redeliver(*, actor: Actor, delivery: Delivery) -> Delivery:
    """Send a delivery once more, the same bytes with the same id. Event subscription.redelivered."""
    check(actor, MANAGE)
    with transaction.atomic():
        changed = (
            Delivery.objects.filter(pk=delivery.pk)
            .exclude(state=DeliveryState.QUEUED)
            .update(state=DeliveryState.QUEUED, finished_at=None)
        )
        if changed:
            payload = {"name": delivery.subscription.name, "event": delivery.event_id}
            subject = ref(delivery.subscription)
            ledger.record(actor=actor, verb="subscription.redelivered", subject=subject, payload=payload)
            wake(delivery.subscription_id)
    delivery.refresh_from_db()
    return delivery


def wake(id_: UUID) -> None:
    """Have a worker send what waits, in the caller's transaction."""
    jobs.enqueue(JOB, {"subscription": str(id_)}, unique_key=f"{JOB}:{id_}")


def _facts(row: Subscription) -> dict[str, Any]:
    return {
        "name": row.name,
        "url": shown_url(row),
        "verbs": row.verbs,
        "kinds": row.kinds,
        "mode": row.mode,
        "enabled": row.enabled,
    }


def _apply(row: Subscription, wanted: Wanted) -> None:
    target = dict(row.target)
    if wanted.url is not None and not (target and wanted.url == url_mask.url(str(target.get("url", "")))):
        target["url"] = _url(wanted.url)
    if wanted.headers is not None:
        target["headers"] = _headers(wanted.headers)
    row.target = target
    if wanted.secret is not None:
        row.secret = _secret(wanted.secret) or None
    if wanted.verbs is not None:
        row.verbs = _verbs(wanted.verbs)
    if wanted.kinds is not None:
        row.kinds = sorted({checks.kind(each, "kinds") for each in wanted.kinds})
    if wanted.mode is not None:
        if wanted.mode not in Mode.values:
            raise Invalid(
                "subscription.mode",
                _("There is no such mode."),
                field="mode",
                value=wanted.mode,
                remedy=_("Use one of: %(known)s.") % {"known": ", ".join(Mode.values)},
            )
        row.mode = wanted.mode
    if wanted.enabled is not None:
        row.enabled = wanted.enabled


def _bad_url(url: str) -> Invalid:
    return Invalid(
        "subscription.url",
        _("A subscription needs an http or https URL without a password in it."),
        field="url",
        value=url[:200],
        remedy=_("Give the full address, e.g. https://receiver.example.org/events."),
    )


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        legal = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        _port = parts.port
    except ValueError:
        legal = False
    # A masked address that was changed: its key is not known any more.
    if not legal or len(url) > 2000 or not url.isprintable() or " " in url or url_mask.MASK in url:
        raise _bad_url(url)
    return url


def _secret(secret: str) -> str:
    try:
        webhook_signature.key_of(secret)
        legal = len(secret) <= MAX_SECRET and (not secret or len(secret) >= 16)
    except ValueError:
        legal = False
    if not legal:
        raise Invalid(
            "subscription.secret",
            _("A secret is whsec_ and base64, or any text of 16 to %(most)s characters.") % {"most": MAX_SECRET},
            field="secret",
            remedy=_("Make a long random one, e.g. with openssl rand -base64 32."),
        )
    return secret


def _verbs(verbs: Iterable[str]) -> list[str]:
    known = {*outbox.VERBS, "*", *(f"{each.partition('.')[0]}.*" for each in outbox.VERBS)}
    found = sorted(set(verbs))
    wrong = [each for each in found if each not in known]
    if wrong or not found:
        raise Invalid(
            "subscription.verbs",
            _("There is no event of this name.") if wrong else _("Name at least one event."),
            field="verbs",
            value=wrong[0][:80] if wrong else None,
            remedy=_("Use some of: %(known)s.") % {"known": ", ".join(sorted(known))},
        )
    return found


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    for name, value in given.items():
        if not _HEADER_NAME.fullmatch(name) or _OURS.fullmatch(name) or not (value.isprintable() and value.isascii()):
            raise Invalid(
                "subscription.headers",
                _("Headers are names and printable ASCII text, none of those we set ourselves."),
                field=f"headers.{name[:60]}",
            )
    return dict(given)


def forget_deliveries(*, before: datetime) -> int:
    """Drop deliveries that ended before a time; return how many. For the platform's own tidying."""
    gone, _each = Delivery.objects.filter(finished_at__lt=before).exclude(state=DeliveryState.QUEUED).delete()
    return gone
