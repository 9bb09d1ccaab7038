"""Nouns of alerting: rule files, groups and rules, alerts and their groups, channels and notifications."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Team
from tongchou.core.sealed import SealedJSONField
from tongchou.inventory.models import Resource


class Health(models.TextChoices):
    """How the last evaluation went."""

    UNKNOWN = "unknown", _("Not evaluated yet")
    OK = "ok", _("OK")
    ERROR = "err", _("Error")


class RuleFile(models.Model):
    """A Prometheus rule file as it was given; replaced as a whole or not at all."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    text = models.TextField()
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=10, default="active")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class RuleGroup(models.Model):
    """Rules evaluated in order, at one time.

    ``evaluated_at`` is exact while anything is pending: there ``for`` resumes after a restart.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    file = models.ForeignKey(RuleFile, on_delete=models.CASCADE, related_name="groups")
    name = models.CharField(max_length=250)
    position = models.PositiveIntegerField()
    interval_seconds = models.FloatField(null=True, blank=True)
    query_offset_seconds = models.FloatField(default=0)
    limit = models.PositiveIntegerField(default=0)
    evaluated_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.FloatField(null=True, blank=True)
    missed_iterations = models.BigIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["file", "position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["file", "name"], name="alerting_group_once_a_file")]

    def __str__(self) -> str:
        return self.name


class Rule(models.Model):
    """One rule. Kept after it leaves its file (``retired_at``), as its alerts are history."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    group = models.ForeignKey(RuleGroup, null=True, blank=True, on_delete=models.SET_NULL, related_name="rules")
    kind = models.CharField(max_length=10, choices=[("alert", _("Alert")), ("record", _("Recording"))])
    name = models.CharField(max_length=250)
    position = models.PositiveIntegerField()
    line = models.PositiveIntegerField(default=0)
    expr = models.TextField()
    for_seconds = models.FloatField(default=0)
    keep_firing_for_seconds = models.FloatField(default=0)
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    health = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN)
    last_error = models.TextField(blank=True, default="")
    evaluated_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.FloatField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["group", "position"]
        indexes: ClassVar = [models.Index(fields=["name"], name="alerting_rule_name")]

    def __str__(self) -> str:
        return self.name


class GroupState(models.TextChoices):
    """A group is open while one of its alerts fires."""

    OPEN = "open", _("Open")
    CLOSED = "closed", _("Closed")


class AlertGroup(models.Model):
    """Alerts that are told together. At most one is open for a key; a closed one is history."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=500)
    labels = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=GroupState.choices, default=GroupState.OPEN)
    severity = models.CharField(max_length=60, blank=True, default="")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="alert_groups")
    started_at = models.DateTimeField()
    opened_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by_name = models.CharField(max_length=150, blank=True, default="")
    acknowledged_until = models.DateTimeField(null=True, blank=True)
    # What ``settle`` decided last. ``told_round`` counts the notices of this group; ``held_*``: since when and why none
    # of its alerts is told; ``explains``: how many alerts of other groups are not told because of this one.
    settled_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)
    told_round = models.PositiveIntegerField(default=0)
    held_at = models.DateTimeField(null=True, blank=True)
    held_by = models.CharField(max_length=10, blank=True, default="")
    released_at = models.DateTimeField(null=True, blank=True)
    explains = models.PositiveIntegerField(default=0)
    told_explains = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["-opened_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key"], condition=Q(state="open"), name="alerting_one_open_group")
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "-opened_at"], name="alerting_group_newest"),
            models.Index(fields=["-opened_at", "id"], name="alerting_group_all_newest"),
            models.Index(fields=["id"], condition=Q(settled_at=None), name="alerting_group_unsettled"),
        ]

    def __str__(self) -> str:
        return self.key


class Suppressed(models.TextChoices):
    """Why an alert is not told."""

    SILENCED = "silenced", _("Silenced")
    HELD = "held", _("Held back")
    INHIBITED = "inhibited", _("Inhibited")
    EXPLAINED = "explained", _("Explained")


class AlertStateChoice(models.TextChoices):
    """Where an alert is in its life."""

    PENDING = "pending", _("Pending")
    FIRING = "firing", _("Firing")
    RESOLVED = "resolved", _("Resolved")


class Alert(models.Model):
    """One occurrence of a rule's alert for one label set; an alert that comes back is a new row.

    ``fingerprint`` is Alertmanager's hash of the labels. ``value_text`` holds the value as text: JSON and SQL have no
    infinity and no NaN.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="alerts")
    group = models.ForeignKey(AlertGroup, null=True, blank=True, on_delete=models.SET_NULL, related_name="alerts")
    fingerprint = models.CharField(max_length=16)
    name = models.CharField(max_length=250)
    severity = models.CharField(max_length=60, blank=True, default="")
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=AlertStateChoice.choices)
    value_text = models.CharField(max_length=40, default="0")
    active_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    keep_since = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by_name = models.CharField(max_length=150, blank=True, default="")
    # Notices only. ``suppressed_by``: refs of silences, of inhibiting alerts, or of the groups that explain it.
    suppressed = models.CharField(max_length=10, choices=Suppressed.choices, blank=True, default="")
    suppressed_by = models.JSONField(default=list)
    released_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-active_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["rule", "fingerprint"],
                condition=Q(state__in=["pending", "firing"]),
                name="alerting_one_active_alert",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "-active_at"], name="alerting_alert_newest"),
            models.Index(fields=["rule", "-active_at"], name="alerting_alert_history"),
            models.Index(fields=["-resolved_at"], condition=Q(state="resolved"), name="alerting_alert_ended"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def value(self) -> float:
        """The value at the last evaluation that was written down."""
        return float(self.value_text)


class AlertResource(models.Model):
    """A resource an alert is about, found by its labels when it fired."""

    id = models.BigAutoField(primary_key=True)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="resources")
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="alerts")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["alert", "resource"], name="alerting_resource_once")]

    def __str__(self) -> str:
        return str(self.resource_id)


class Channel(models.Model):
    """A place notifications go to. Secrets are kept by core.secrets under ``channel:<id>``, never in ``settings``."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=40)
    settings = SealedJSONField(default=dict)  # addresses and headers may carry keys
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    busy_until = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")
    last_sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class NotificationState(models.TextChoices):
    """queued until sent, or given up after the last try."""

    QUEUED = "queued", _("Queued")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")


class NoticeReason(models.TextChoices):
    """Why something is told now."""

    OPENED = "opened", _("Opened")
    UPDATE = "update", _("Update")
    REPEAT = "repeat", _("Reminder")
    LEFTOVER = "leftover", _("Still firing")
    CLOSED = "closed", _("Closed")


class Notification(models.Model):
    """One message to one channel: one round of one group; told at most once when the channel answers."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    group = models.ForeignKey(AlertGroup, on_delete=models.CASCADE, related_name="notifications")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="notifications")
    status = models.CharField(max_length=10, choices=[("firing", _("Firing")), ("resolved", _("Resolved"))])
    reason = models.CharField(max_length=10, choices=NoticeReason.choices, default=NoticeReason.OPENED)
    round = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=NotificationState.choices, default=NotificationState.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    next_try_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    detail = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["created_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["group", "channel", "status", "round"], name="alerting_told_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["channel", "next_try_at"], condition=Q(state="queued"), name="alerting_to_tell"),
            models.Index(fields=["-created_at", "id"], name="alerting_told_newest"),
            models.Index(fields=["finished_at"], condition=Q(state="failed"), name="alerting_not_told"),
        ]

    def __str__(self) -> str:
        return f"{self.channel_id} {self.status} {self.state}"


class SilenceState(models.TextChoices):
    """Where a silence is in its time."""

    PENDING = "pending", _("Pending")
    ACTIVE = "active", _("Active")
    EXPIRED = "expired", _("Expired")


class Silence(models.Model):
    """Alerts that match every matcher are not told from ``starts_at`` until ``ends_at``.

    ``about`` is the Ref of a change or an incident, or "". ``expired_at`` is set when its end is in the ledger.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    matchers = models.JSONField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    comment = models.TextField()
    about = models.CharField(max_length=120, blank=True, default="")
    created_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    expired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-ends_at", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gte=models.F("starts_at")), name="alerting_silence_times")
        ]
        indexes: ClassVar = [
            models.Index(fields=["ends_at"], condition=Q(expired_at=None), name="alerting_silence_live")
        ]

    def __str__(self) -> str:
        return ", ".join(f'{each["name"]}{each["op"]}"{each["value"]}"' for each in self.matchers)

    def state_at(self, now: datetime) -> SilenceState:
        """pending, active or expired at ``now``."""
        if self.ends_at <= now:
            return SilenceState.EXPIRED
        return SilenceState.ACTIVE if self.starts_at <= now else SilenceState.PENDING


class Objective(models.Model):
    """What a service promises: a share of good events over a window; its alert rules are the file ``slo-<name>``.

    ``measured`` is what slo.reads found at ``measured_at``, for lists; an objective not measured yet holds {}.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    title = models.JSONField()  # {"en": ..., "zh": ...}
    service = models.CharField(max_length=200)
    error_query = models.TextField()
    total_query = models.TextField()
    target = models.FloatField()
    window_seconds = models.PositiveIntegerField()
    min_events = models.PositiveIntegerField()
    min_errors = models.PositiveIntegerField()
    measured = models.JSONField(default=dict)
    measured_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        ordering: ClassVar = ["service", "name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(target__gt=0, target__lt=1), name="alerting_objective_target")
        ]

    def __str__(self) -> str:
        return self.name
