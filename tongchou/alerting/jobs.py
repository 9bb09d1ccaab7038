"""Work of alerting that a worker does later."""

from __future__ import annotations

import time
import uuid
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.alerting import settle, tell
from tongchou.alerting.actions import channel_kind, secret_name
from tongchou.alerting.mailing import send_inboxes
from tongchou.alerting.models import Channel
from tongchou.alerting.ports import AlertMessage, Message, Outcome
from tongchou.alerting.slo.actions import measure_all
from tongchou.alerting.state import fingerprint
from tongchou.core import ledger, secrets
from tongchou.core.access import Actor, check, system
from tongchou.core.jobs import job, periodic
from tongchou.core.problems import Problem
from tongchou.core.refs import ref

# One turn of a worker; a slow channel gets the next turn after everybody else's jobs.
TURN_SECONDS = 10.0


@job(tell.SETTLE_JOB, max_attempts=3, timeout_seconds=60)
def settle_groups(_payload: dict[str, Any]) -> None:
    """Decide which groups are told now; woken when alerts fire or end and when silences change."""
    settle.settle(timezone.now())


@periodic("alerting.look_at_groups", every_seconds=10)
def look_at_groups() -> None:
    """Time alone changes what is to be told: silences end, reminders are due, what is down comes back."""
    settle.settle(timezone.now())


@job(tell.JOB, max_attempts=3, timeout_seconds=60)
def tell_channel(payload: dict[str, Any]) -> None:
    """Tell what one channel has waiting, oldest first, until it fails, the turn is over or nothing is left."""
    channel_id = UUID(payload["channel"])
    channel = tell.take_channel(channel_id, timezone.now())
    if channel is None:
        held = Channel.objects.filter(pk=channel_id).first()
        if held is not None and held.busy_until is not None:
            tell.wake(channel_id, held.busy_until)
        return
    started = time.monotonic()
    try:
        while time.monotonic() - started < TURN_SECONDS:
            notification = tell.next_notification(channel, timezone.now()) if channel.enabled else None
            if notification is None:
                break
            tell.keep_channel(channel, timezone.now())
            outcome = deliver(channel, tell.message_for(notification, channel))
            tell.write_outcome(notification, channel, outcome, timezone.now())
            if not outcome.delivered:
                break
    finally:
        tell.release(channel_id)


def deliver(channel: Channel, message: Message) -> Outcome:
    """One try; a refusal of ours (no secret, no integration) is a failed try too, with its reason."""
    try:
        kind = channel_kind(channel.kind)
        needs = kind.secret_help() is not None
        has = secret_name(channel) in secrets.names()
        secret = secrets.reveal(secret_name(channel)) if needs and has else None
        return kind.send(channel.settings, secret, message)
    except Problem as error:
        return Outcome(False, str(error.detail))


def send_test(*, actor: Actor, channel: Channel) -> Outcome:
    """Send a message that says it is a test; not a notification, so no retry. Event alerting.channel_tested.

    A channel has no owner: a role in a team does not let anybody write to it.
    """
    check(actor, "alerting.edit")
    now = timezone.now()
    labels = {"alertname": "TongchouTest", "severity": "none"}
    summary = _("A test from Tongchou, sent by %(name)s.") % {"name": actor.name}
    alert = AlertMessage(
        status="firing",
        labels=labels,
        annotations={"summary": summary},
        starts_at=now,
        ends_at=None,
        fingerprint=fingerprint(labels),
        generator_url=settings.PUBLIC_URL,
    )
    message = Message(
        id=f"msg_{uuid.uuid4().hex}",
        status="firing",
        receiver=channel.name,
        group_key='{}:{alertname="TongchouTest"}',
        group_labels={"alertname": "TongchouTest"},
        alerts=(alert,),
        truncated=0,
        external_url=settings.PUBLIC_URL,
        url=settings.PUBLIC_URL,
    )
    outcome = deliver(channel, message)
    with transaction.atomic():
        ledger.record(
            actor=actor,
            verb="alerting.channel_tested",
            subject=ref(channel),
            payload={"name": channel.name, "delivered": outcome.delivered, "detail": outcome.detail[:1000]},
        )
    return outcome


@periodic("alerting.objectives", every_seconds=60)
def measure_objectives() -> None:
    """Keep the figures that lists of objectives show."""
    measure_all(actor=system("objectives"), at=timezone.now())


@periodic("alerting.send_inboxes", every_seconds=30)
def mail_inboxes() -> None:
    """Mail the inboxes that are due."""
    send_inboxes()
