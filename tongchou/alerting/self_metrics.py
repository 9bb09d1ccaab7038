"""What alerting tells of itself: notices, channels, rule groups."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count, Min
from django.utils import timezone

from tongchou.alerting.models import Channel, Notification, NotificationState, RuleGroup
from tongchou.core.meters import Family, by, collector, gauge


@collector("alerting")
def tell() -> Iterable[Family]:
    """Four small queries."""
    now = timezone.now()
    found = dict(Notification.objects.order_by().values_list("state").annotate(count=Count("*")))
    counts = {state: float(found.get(state, 0)) for state in NotificationState.values}
    yield by("gauge", "tongchou_notifications", "Notices kept, by state; failed ones were given up.", "state", counts)
    waiting = Notification.objects.filter(state=NotificationState.QUEUED).aggregate(at=Min("created_at"))["at"]
    age = (now - waiting).total_seconds() if waiting else 0.0
    yield gauge("tongchou_notifications_oldest_queued_seconds", "How long the oldest unsent notice waits.", age)
    failures = {
        name: float(count) for name, count in Channel.objects.filter(enabled=True).values_list("name", "failures")
    }
    yield by("gauge", "tongchou_channel_failures", "Failed tries in a row of each channel.", "channel", failures)
    groups = list(
        RuleGroup.objects.values_list("file__name", "name", "evaluated_at", "duration_seconds", "missed_iterations")
    )
    labelled = [((("file", file), ("group", group)), at, took, missed) for file, group, at, took, missed in groups]
    yield Family(
        "tongchou_rule_group_last_evaluation_timestamp_seconds",
        "gauge",
        "When each rule group was last evaluated, as far as it is written down.",
        [("", labels, at.timestamp()) for labels, at, _took, _missed in labelled if at is not None],
    )
    yield Family(
        "tongchou_rule_group_last_duration_seconds",
        "gauge",
        "How long the last evaluation took, as far as it is written down.",
        [("", labels, took) for labels, _at, took, _missed in labelled if took is not None],
    )
    yield Family(
        "tongchou_rule_group_missed_iterations_total",
        "counter",
        "Evaluations left out because the one before took too long.",
        [("", labels, float(missed)) for labels, _at, _took, missed in labelled],
    )
