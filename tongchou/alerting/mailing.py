"""Sends inboxes by mail, through the mail channel that an operator names in `inbox.mail_channel`."""

from __future__ import annotations

import time

from tongchou.alerting.actions import channel_kind, secret_name
from tongchou.alerting.models import Channel
from tongchou.alerting.ports import Mailer, Outcome
from tongchou.core import inbox_mail, secrets, settings_store
from tongchou.core.inbox_mail import Letter
from tongchou.core.problems import Problem

TURN_SECONDS = 40.0  # the rest comes at the next turn


def send_inboxes() -> int:
    """Send every mail that is due; return how many were accepted. One that is refused stays due, its reason kept."""
    channel = Channel.objects.filter(name=settings_store.get(inbox_mail.CHANNEL) or "", enabled=True).first()
    if channel is None:
        return 0
    begun, sent = time.monotonic(), 0
    for preference, letter, rows in inbox_mail.letters():
        outcome = _deliver(channel, letter)
        inbox_mail.mailed(preference, rows, problem="" if outcome.delivered else outcome.detail or "refused")
        sent += outcome.delivered
        if time.monotonic() - begun > TURN_SECONDS:
            break
    return sent


def _deliver(channel: Channel, letter: Letter) -> Outcome:
    try:
        kind = channel_kind(channel.kind)
        if not isinstance(kind, Mailer):
            return Outcome(False, f"channel {channel.name} is no mail channel", retry=False)
        has = secret_name(channel) in secrets.names()
        secret = secrets.reveal(secret_name(channel)) if has else None
        return kind.mail(channel.settings, secret, letter)
    except Problem as error:
        return Outcome(False, str(error.detail))
