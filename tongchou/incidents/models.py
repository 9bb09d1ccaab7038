"""Nouns of the incidents room: the incident, its alert groups, what it affects, who is suspected."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.alerting.models import AlertGroup
from tongchou.core.models import User
from tongchou.inventory.models import Resource


class IncidentState(models.TextChoices):
    """open -> acknowledged -> mitigated (the impact ended) -> resolved (a person says so); the last two reopen."""

    OPEN = "open", _("Open")
    ACKNOWLEDGED = "acknowledged", _("Acknowledged")
    MITIGATED = "mitigated", _("Mitigated")
    RESOLVED = "resolved", _("Resolved")


class Severity(models.TextChoices):
    """How bad the worst alert of an incident is; `severity.py` reads it from labels."""

    CRITICAL = "critical", _("Critical")
    MAJOR = "major", _("Major")
    WARNING = "warning", _("Warning")
    INFO = "info", _("Information")


class Numbering(models.Model):
    """One row: the last number given. Its lock also makes "join or open" one decision at a time."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last)


class Incident(models.Model):
    """Something broke. `started_at`: the earliest symptom; `opened_at`: we noticed; `recovered_at`: all alerts ended.

    `previous` is the resolved incident of the same alert group key: the same thing happened again.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    title = models.CharField(max_length=300)
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.WARNING)
    state = models.CharField(max_length=12, choices=IncidentState.choices, default=IncidentState.OPEN)
    started_at = models.DateTimeField()
    opened_at = models.DateTimeField(default=timezone.now)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by_name = models.CharField(max_length=150, blank=True, default="")
    mitigated_at = models.DateTimeField(null=True, blank=True)
    recovered_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    ranked_at = models.DateTimeField(null=True, blank=True)  # when the evidence of the newest ranking was read
    commander = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="incidents_commanded"
    )
    previous = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="episodes")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["state", "-number"], name="incidents_by_state"),
            models.Index(fields=["-number"], condition=~Q(state="resolved"), name="incidents_unresolved"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.title}"

    @property
    def name(self) -> str:
        """How people call it: INC-7."""
        return f"INC-{self.number}"


class IncidentGroup(models.Model):
    """An alert group and the one incident it belongs to, with why (a code of reasons.JOIN_TEXTS and its facts)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="groups")
    group = models.OneToOneField(AlertGroup, on_delete=models.CASCADE, related_name="incident_link")
    started_at = models.DateTimeField()
    joined_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    reason_code = models.CharField(max_length=40)
    reason_params = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["joined_at", "id"]

    def __str__(self) -> str:
        return f"{self.group_id} in {self.incident_id}"


class AffectedRole(models.TextChoices):
    """cause: a suspect in the first place; symptom: an alert is about it; caller: it needs a symptom."""

    CAUSE = "cause", _("Probable cause")
    SYMPTOM = "symptom", _("Symptom")
    CALLER = "caller", _("Caller")


class AffectedResource(models.Model):
    """A resource the incident touches; `distance` is hops to the nearest symptom."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="affected")
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="incidents_affecting")
    role = models.CharField(max_length=10, choices=AffectedRole.choices)
    distance = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["incident", "resource"], name="incidents_affected_once")
        ]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.role}"


class SuspectKind(models.TextChoices):
    """A suspect is a resource, or an event (a change)."""

    RESOURCE = "resource", _("Resource")
    EVENT = "event", _("Change")


class Suspect(models.Model):
    """One line of the newest ranking. `reasons` = [{code, weight, params}]; the score is the sum of the weights."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="suspects")
    rank = models.PositiveIntegerField()
    ref = models.CharField(max_length=140)
    kind = models.CharField(max_length=10, choices=SuspectKind.choices)
    title = models.CharField(max_length=300)
    score = models.FloatField()
    reasons = models.JSONField(default=list)
    event_id = models.BigIntegerField(null=True, blank=True)
    about = models.JSONField(default=list)  # refs of the resources an event changed

    class Meta:
        ordering: ClassVar = ["rank"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["incident", "rank"], name="incidents_one_rank")]
        indexes: ClassVar = [models.Index(fields=["ref", "rank"], name="incidents_suspect_ref")]

    def __str__(self) -> str:
        return f"{self.rank}. {self.title} ({self.score})"
