"""Notifications: one row for each (group, channel, state, round), told in order, one channel at a time.

A channel that hangs or fails holds up only itself: at most one worker waits for it, and it is tried more and more
rarely. What was not answered is sent again with the same id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from tongchou.alerting.models import Alert, AlertGroup, Channel, NoticeReason, Notification, NotificationState
from tongchou.alerting.ports import AlertMessage, ExplainedMessage, Message, Outcome
from tongchou.alerting.suppress import EXPLAINED
from tongchou.core import jobs, ledger
from tongchou.core.access import system
from tongchou.core.refs import ref

JOB = "alerting.tell"
SETTLE_JOB = "alerting.settle"
MAX_ATTEMPTS = 12
MAX_WAIT_SECONDS = 300.0
# How long a try may take when the channel's settings do not say, and what is added to hold the channel for it.
TRY_SECONDS = 20.0
HOLD_MARGIN_SECONDS = 5.0
MAX_ALERTS = 500

ACTOR = system("notifier")


def enqueue(told: Sequence[tuple[AlertGroup, str]], reasons: Mapping[UUID, str] | None = None) -> None:
    """Queue the round ``told_round`` of groups, in the caller's transaction; what is there already stays.

    ``firing`` goes to every enabled channel, ``resolved`` to those that were to be told that it fires. ``reasons``:
    group id -> a NoticeReason.
    """
    if not told:
        return
    channels = list(Channel.objects.filter(enabled=True))
    ended = [group.pk for group, status in told if status == "resolved"]
    before = Notification.objects.filter(group__in=ended, status="firing").order_by()
    knows = set(before.values_list("group", "channel").distinct()) if ended else set()
    rows = [
        Notification(
            group=group,
            channel=channel,
            status=status,
            round=max(1, group.told_round),
            reason=(reasons or {}).get(group.pk, NoticeReason.CLOSED if status == "resolved" else NoticeReason.OPENED),
        )
        for group, status in told
        for channel in channels
        if status == "firing" or (group.pk, channel.pk) in knows
    ]
    Notification.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    for channel in channels:
        wake(channel.pk)


def wake_settle() -> None:
    """Have a worker decide which groups are told and which are held."""
    jobs.enqueue(SETTLE_JOB, {}, unique_key=SETTLE_JOB)


def wake(channel_id: UUID, run_at: datetime | None = None) -> None:
    """Have a worker tell what the channel has waiting."""
    jobs.enqueue(JOB, {"channel": str(channel_id)}, run_at=run_at, unique_key=f"{JOB}:{channel_id}")


def take_channel(channel_id: UUID, now: datetime) -> Channel | None:
    """Hold the channel for one try; None while another worker holds it or it is gone.

    A killed worker's hold runs out by itself soon after its try would have.
    """
    channel = Channel.objects.filter(pk=channel_id).first()
    if channel is None:
        return None
    free = Q(busy_until__isnull=True) | Q(busy_until__lt=now)
    won = Channel.objects.filter(free, pk=channel_id).update(busy_until=now + hold_time(channel))
    return channel if won else None


def hold_time(channel: Channel) -> timedelta:
    """How long one try may hold the channel."""
    seconds = channel.settings.get("timeout_seconds", TRY_SECONDS)
    return timedelta(seconds=float(seconds) + HOLD_MARGIN_SECONDS)


def keep_channel(channel: Channel, now: datetime) -> None:
    """Hold the channel for another try."""
    Channel.objects.filter(pk=channel.pk).update(busy_until=now + hold_time(channel))


def next_notification(channel: Channel, now: datetime) -> Notification | None:
    """The oldest notification that waits; None when none does or its time has not come."""
    queued = channel.notifications.filter(state=NotificationState.QUEUED).select_related("group")
    first = queued.order_by("created_at", "id").first()
    return first if first is not None and first.next_try_at <= now else None


def message_for(notification: Notification, channel: Channel) -> Message:
    """The message as the group is now: resolved alerts are part of it, those nobody is to hear of are not."""
    group = notification.group
    told = Q(told_at__isnull=False) if notification.status == "resolved" else Q(suppressed="")
    members = Alert.objects.filter(told, group=group).order_by("active_at", "id")
    alerts = list(members[: MAX_ALERTS + 1])
    count = members.count() if len(alerts) > MAX_ALERTS else len(alerts)
    link = f"{settings.PUBLIC_URL}/alerts/groups/{group.pk}"
    return Message(
        id=f"msg_{notification.pk.hex}",
        status=notification.status,
        receiver=channel.name,
        group_key=f"{{}}:{group.key}",
        group_labels=group.labels,
        alerts=tuple(
            AlertMessage(
                status="resolved" if notification.status == "resolved" or alert.state == "resolved" else "firing",
                labels=alert.labels,
                annotations=alert.annotations,
                starts_at=alert.fired_at or alert.active_at,
                ends_at=alert.resolved_at,
                fingerprint=alert.fingerprint,
                generator_url=link,
            )
            for alert in alerts[:MAX_ALERTS]
        ),
        truncated=max(0, count - MAX_ALERTS),
        external_url=settings.PUBLIC_URL,
        url=link,
        reason=notification.reason,
        thread=group.pk.hex,
        explained=_explained(group) if notification.status == "firing" else (),
    )


def _explained(group: AlertGroup) -> tuple[ExplainedMessage, ...]:
    """What is not told because of this group, by the groups it would have been told with."""
    counts: dict[str, int] = defaultdict(int)
    for alert in explained_by(group):
        if alert.group is not None:
            counts[alert.group.key] += 1
    return tuple(ExplainedMessage(f"{{}}:{key}", count) for key, count in sorted(counts.items()))


def explained_by(group: AlertGroup) -> list[Alert]:
    """The firing alerts of other groups that are not told because of this one."""
    if not group.explains:
        return []
    found = Alert.objects.filter(state="firing", suppressed=EXPLAINED).select_related("group").order_by("active_at")
    return [alert for alert in found if ref(group) in alert.suppressed_by]


def wait_seconds(failures: int) -> float:
    """How long to leave a channel alone after that many failures in a row: 1, 2, 4 ... capped."""
    return min(MAX_WAIT_SECONDS, 2.0 ** (max(1, failures) - 1))


def write_outcome(notification: Notification, channel: Channel, outcome: Outcome, now: datetime) -> None:
    """Write what became of a try; an event when it was told or given up."""
    with transaction.atomic():
        notification.attempts += 1
        notification.detail = outcome.detail[:1000]
        given_up = not outcome.delivered and (not outcome.retry or notification.attempts >= MAX_ATTEMPTS)
        if outcome.delivered or given_up:
            notification.state = NotificationState.SENT if outcome.delivered else NotificationState.FAILED
            notification.finished_at = now
        channel.failures = 0 if outcome.delivered else channel.failures + 1
        channel.last_error = "" if outcome.delivered else outcome.detail[:1000]
        if outcome.delivered:
            channel.last_sent_at = now
        else:
            notification.next_try_at = now + timedelta(seconds=wait_seconds(channel.failures))
        changed = Notification.objects.filter(pk=notification.pk, state=NotificationState.QUEUED).update(
            state=notification.state,
            attempts=notification.attempts,
            detail=notification.detail,
            finished_at=notification.finished_at,
            next_try_at=notification.next_try_at,
        )
        Channel.objects.filter(pk=channel.pk).update(
            failures=channel.failures, last_error=channel.last_error, last_sent_at=channel.last_sent_at
        )
        if not changed or not (outcome.delivered or given_up):
            return
        verb = "notification.sent" if outcome.delivered else "notification.failed"
        ledger.record(
            actor=ACTOR,
            verb=verb,
            subject=ref(notification),
            about=[ref(notification.group), ref(channel)],
            payload={
                "channel": channel.name,
                "kind": channel.kind,
                "status": notification.status,
                "reason": notification.reason,
                "attempts": notification.attempts,
                "detail": notification.detail,
            },
            dedupe_key=f"{verb}:{notification.pk}",
            at=now,
        )


def release(channel_id: UUID) -> None:
    """Let the channel go, and come back for what still waits."""
    with transaction.atomic():
        Channel.objects.filter(pk=channel_id).update(busy_until=None)
        waiting = Notification.objects.filter(channel=channel_id, channel__enabled=True, state=NotificationState.QUEUED)
        first = waiting.order_by("created_at", "id").first()
        if first is not None:
            wake(channel_id, max(first.next_try_at, timezone.now()))
