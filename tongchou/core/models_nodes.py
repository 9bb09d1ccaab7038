"""The processes that are this platform together."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class NodeRole(models.TextChoices):
    """What a process does: pages, API and ingest; jobs and duties; or both."""

    ALL = "all", _("All")
    WEB = "web", _("Web")
    WORKER = "worker", pgettext_lazy("node", "Worker")


class Node(models.Model):
    """One process. `seen_at` is its last heartbeat by the database's clock; it is gone when that is long ago.

    `keys` are fingerprints of the keys all nodes must share, never keys. `worker` is the name its jobs and leases bear.
    """

    name = models.CharField(primary_key=True, max_length=120)
    instance = models.UUIDField(default=uuid.uuid4)
    role = models.CharField(max_length=10, choices=NodeRole.choices, default=NodeRole.ALL)
    version = models.CharField(max_length=40, blank=True, default="")
    address = models.CharField(max_length=255, blank=True, default="")
    worker = models.CharField(max_length=120, blank=True, default="")
    store = models.CharField(max_length=20, blank=True, default="")
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    left_at = models.DateTimeField(null=True, blank=True)
    beat_seconds = models.FloatField(default=3.0)
    clock_skew_seconds = models.FloatField(default=0.0)
    keys: Any = models.JSONField(default=dict)
    figures: Any = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.name} ({self.role})"
