"""What agents told: of each machine the newest report, and nothing older. Facts are state, not history."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from tongchou.core.models import User


class AgentReport(models.Model):
    """The newest report of one machine. `machine` is its strongest key; `twin` counts machines that share it (clones).

    `run` and `number` name the report: a run of the agent, and a count within it. `about` is the machine itself, `macs`
    are those of its interfaces; `body` is the rest of the reading. `kept`: parts that this report could not read, and
    when they were read last; they stand in `body` as they were then.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    machine = models.CharField(max_length=255)
    twin = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=128)
    about = models.JSONField(default=dict)
    macs = models.JSONField(default=list)
    body = models.JSONField(default=dict)
    kept = models.JSONField(default=dict)
    run = models.CharField(max_length=64)
    number = models.PositiveBigIntegerField(default=0)
    reported_at = models.DateTimeField(default=timezone.now)
    received_at = models.DateTimeField(default=timezone.now)
    first_at = models.DateTimeField(default=timezone.now)
    interval_seconds = models.FloatField(default=60.0)
    agent_version = models.CharField(max_length=40, blank=True, default="")
    sender = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    sender_name = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["machine", "twin"], name="inventory_one_agent")]
        indexes: ClassVar = [
            models.Index(fields=["name", "id"], name="inventory_agent_by_name"),
            models.Index(fields=["received_at"], name="inventory_agent_by_age"),
        ]

    def __str__(self) -> str:
        return self.name
