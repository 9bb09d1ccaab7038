"""Nouns of alerting: rule files, groups and rules, alerts and their groups, channels and notifications."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Team
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

    class Meta:
        ordering: ClassVar = ["-opened_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key"], condition=Q(state="open"), name="alerting_one_open_group")
        ]
        indexes: ClassVar = [models.Index(fields=["state", "-opened_at"], name="alerting_group_newest")]

    def __str__(self) -> str:
        return self.key


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
    settings = models.JSONField(default=dict)
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


class Notification(models.Model):
    """One message to one channel about one state of one group; told at most once when the channel answers."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    group = models.ForeignKey(AlertGroup, on_delete=models.CASCADE, related_name="notifications")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="notifications")
    status = models.CharField(max_length=10, choices=[("firing", _("Firing")), ("resolved", _("Resolved"))])
    state = models.CharField(max_length=10, choices=NotificationState.choices, default=NotificationState.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    next_try_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    detail = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["created_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["group", "channel", "status"], name="alerting_told_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["channel", "next_try_at"], condition=Q(state="queued"), name="alerting_to_tell")
        ]

    def __str__(self) -> str:
        return f"{self.channel_id} {self.status} {self.state}"
