"""Reminds owners of overdue improvements: on the ledger, and through the channel an administrator chose."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from tongchou.alerting import jobs as alerting_jobs
from tongchou.alerting.models import Channel
from tongchou.alerting.ports import AlertMessage, Message
from tongchou.alerting.state import fingerprint
from tongchou.core import jobs, settings_store
from tongchou.core.access import Actor, check
from tongchou.core.problems import Unavailable
from tongchou.core.refs import ref
from tongchou.incidents.actions import PERMISSION
from tongchou.incidents.improvements_actions import tell
from tongchou.incidents.improvements_proving import zone
from tongchou.incidents.models import ENDED, Improvement
from tongchou.incidents.run_time_settings import REMINDER_CHANNEL, REMINDER_DAYS

TELL_JOB = "incidents.tell_of_overdue"
ALERTNAME = "ImprovementOverdue"
MOST = 100


def remind(*, actor: Actor, now: datetime) -> int:
    """Remind of each overdue improvement at most once in incidents.reminder_days; returns how many.

    Event improvement.overdue, about its owner too. Safe to run twice: the row's `reminded_at` is the guard.
    """
    check(actor, PERMISSION)
    today = now.astimezone(zone()).date()
    again = now - timedelta(days=settings_store.get(REMINDER_DAYS))
    due = Q(reminded_at__isnull=True) | Q(reminded_at__lte=again)
    rows = Improvement.objects.filter(due, due_on__lt=today).exclude(state__in=ENDED)
    rows = rows.select_related("postmortem__incident", "owner", "owner_team").order_by("due_on", "number")
    told: list[str] = []
    with transaction.atomic():  # together: a row that is marked and whose message is not queued would be told to nobody
        for row in rows[:MOST]:
            if not Improvement.objects.filter(due, pk=row.pk).update(reminded_at=now):
                continue
            owner = row.owner or row.owner_team
            tell(
                actor,
                row,
                "improvement.overdue",
                {"days": (today - row.due_on).days, "due_on": row.due_on.isoformat(), "owner": str(owner or "")},
                about=[ref(owner)] if owner is not None else [],
            )
            told.append(str(row.pk))
        if told and settings_store.get(REMINDER_CHANNEL):
            turn = {"improvements": told, "at": now.isoformat(), "today": today.isoformat()}
            jobs.enqueue(TELL_JOB, turn, unique_key=f"{TELL_JOB}:{now.isoformat()}")
    return len(told)


def tell_channel(payload: dict[str, Any]) -> None:
    """Send one message with an entry for each improvement that is still overdue.

    Raises Unavailable when the channel did not take it and may do so later. Nothing to tell or no channel: no message.
    """
    channel = Channel.objects.filter(name=settings_store.get(REMINDER_CHANNEL), enabled=True).first()
    rows = Improvement.objects.filter(pk__in=[UUID(each) for each in payload["improvements"]])
    rows = rows.exclude(state__in=ENDED).select_related("owner", "owner_team", "postmortem__incident")
    found = list(rows.order_by("due_on", "number"))
    if channel is None or not found:
        return
    outcome = alerting_jobs.deliver(channel, message(found, channel, payload["at"], payload["today"]))
    if not outcome.delivered and outcome.retry:
        raise Unavailable("improvement.channel", outcome.detail)


def message(rows: list[Improvement], channel: Channel, at: str, today: str) -> Message:
    """The message; the same id for every try of one turn."""
    return Message(
        id=f"msg_improvements_{channel.pk.hex}_{at}",
        status="firing",
        receiver=channel.name,
        group_key=f'{{}}:{{alertname="{ALERTNAME}"}}',
        group_labels={"alertname": ALERTNAME},
        alerts=tuple(_entry(row, date.fromisoformat(today)) for row in rows),
        truncated=0,
        external_url=settings.PUBLIC_URL,
        url=f"{settings.PUBLIC_URL}/improvements?queue=overdue",
        reason="repeat",
        thread=ALERTNAME,
    )


def _entry(row: Improvement, today: date) -> AlertMessage:
    owner = str(row.owner or row.owner_team or _("nobody"))
    labels = {"alertname": ALERTNAME, "severity": "info", "improvement": row.name, "owner": owner}
    facts = {"name": row.name, "title": row.title, "owner": owner, "days": (today - row.due_on).days}
    return AlertMessage(
        status="firing",
        labels=labels,
        annotations={"summary": _("%(name)s is %(days)s days overdue (%(owner)s): %(title)s") % facts},
        starts_at=datetime.combine(row.due_on, datetime.min.time(), tzinfo=zone()),
        ends_at=None,
        fingerprint=fingerprint(labels),
        generator_url=f"{settings.PUBLIC_URL}/improvements/{row.number}",
    )
