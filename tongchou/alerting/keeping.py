"""How long alerts that are over are kept; when a backup is restored, old notices are not sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.alerting.models import Alert, AlertGroup, AlertStateChoice, GroupState, Notification, NotificationState
from tongchou.core import retention
from tongchou.core.backup.parts import after_restore
from tongchou.core.retention import DataClass, Preview

OLDEST_SENT = timedelta(hours=1)


@after_restore
def drop_old_notices() -> dict[str, Any]:
    """Give up notifications that were queued more than an hour ago."""
    now = timezone.now()
    count = Notification.objects.filter(state=NotificationState.QUEUED, created_at__lt=now - OLDEST_SENT).update(
        state=NotificationState.FAILED, finished_at=now, detail=_("Not sent: it was old when a backup was restored.")
    )
    return {"notices_not_sent": count}


def _closed(before: datetime) -> QuerySet[AlertGroup]:
    return AlertGroup.objects.filter(state=GroupState.CLOSED, closed_at__lt=before).order_by("closed_at", "id")


def _alone(before: datetime) -> QuerySet[Alert]:
    """Alerts that are over and belong to no group."""
    over = Alert.objects.filter(state=AlertStateChoice.RESOLVED, group__isnull=True)
    return over.filter(Q(resolved_at__lt=before) | Q(resolved_at__isnull=True, active_at__lt=before))


def _older(before: datetime) -> Preview:
    ids = list(_closed(before).values_list("pk", flat=True))
    held = retention.held("alerts", ids)
    go = [each for each in ids if str(each) not in held]
    rows = len(go) + _alone(before).count()
    for first in range(0, len(go), retention.BATCH):
        part = go[first : first + retention.BATCH]
        rows += Alert.objects.filter(group__in=part).count() + Notification.objects.filter(group__in=part).count()
    return Preview(rows, retention.share(_size(), rows), len(held))


def _size() -> tuple[int, int]:
    sizes = [retention.estimate(model) for model in (Alert, AlertGroup, Notification)]
    return sum(rows for rows, _bytes in sizes), sum(size for _rows, size in sizes)


def _prune(before: datetime, limit: int) -> int:
    """The oldest closed groups that nothing holds, with their alerts and notices; then alerts without a group."""
    go: list[UUID] = []
    ids = _closed(before).values_list("pk", flat=True)
    for first in range(0, ids.count(), limit):
        part = list(ids[first : first + limit])
        held = retention.held("alerts", part)
        go += [each for each in part if str(each) not in held]
        if len(go) >= limit:
            break
    go = go[:limit]
    with transaction.atomic():
        Notification.objects.filter(group__in=go).delete()
        Alert.objects.filter(group__in=go).delete()
        AlertGroup.objects.filter(pk__in=go, state=GroupState.CLOSED).delete()
    alone = list(_alone(before).values_list("pk", flat=True)[: limit - len(go)]) if len(go) < limit else []
    Alert.objects.filter(pk__in=alone).delete()
    return len(go) + len(alone)


retention.register(
    DataClass(
        "alerts",
        gettext_lazy("closed alert groups with their alerts and notices"),
        400,
        _size,
        _older,
        _prune,
        note=gettext_lazy("What belongs to an incident stays with it."),
    )
)
