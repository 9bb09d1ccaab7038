"""Nouns of configuration baselines: what hosts of a role should look like, and what each looked like last."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from tongchou.core.models import Team
from tongchou.inventory.models import Resource


class Baseline(models.Model):
    """A baseline. `watch`: what is collected of a host; `expected`: what it should be, see baseline.py for both.

    `hosts`, `owner`, `ssh_key`, `accept_new`, `become`: as of an Ansible project. `showable`: patterns of paths whose
    text may be kept; of all other files only the SHA-256 is.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=50, unique=True)
    title = models.CharField(max_length=150, blank=True, default="")
    hosts = models.CharField(max_length=2000)
    owner = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="baselines")
    watch = models.JSONField(default=dict)
    showable = models.JSONField(default=list)
    expected = models.JSONField(default=dict)
    taken_from = models.ForeignKey(Resource, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    ssh_key = models.CharField(max_length=120, blank=True, default="")
    accept_new = models.BooleanField(default=False)
    become = models.BooleanField(default=False)
    check_every_seconds = models.PositiveIntegerField(default=0)
    drift_after = models.PositiveSmallIntegerField(default=2)
    tolerance_seconds = models.PositiveIntegerField(default=0)
    next_check_at = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=2000, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    retired_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["name"]
        indexes: ClassVar = [
            models.Index(
                fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="changes_baseline_due"
            )
        ]

    def __str__(self) -> str:
        return self.title or self.name


class Snapshot(models.Model):
    """What one host looked like when it last answered; `problem`: why it did not answer the last time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    baseline = models.ForeignKey(Baseline, on_delete=models.CASCADE, related_name="snapshots")
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="+")
    content = models.JSONField(default=dict)
    taken_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=1000, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["baseline", "resource"], name="changes_one_snapshot"),
        ]

    def __str__(self) -> str:
        return f"{self.baseline_id} {self.resource_id}"
