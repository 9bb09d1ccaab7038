"""Nouns of the changes room: for now the deployment."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.inventory.models import Resource


class DeploymentStatus(models.TextChoices):
    """How a release ended, in the words of its sender's tool, folded to four."""

    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    RUNNING = "running", _("Running")


class Deployment(models.Model):
    """A release as a tool reported it. `service` is null while the name `service_name` is not in the inventory.

    (source, delivery_id) is the identity: a repeated delivery is the same deployment.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.CharField(max_length=80)
    delivery_id = models.CharField(max_length=120)
    service = models.ForeignKey(Resource, null=True, blank=True, on_delete=models.SET_NULL, related_name="deployments")
    service_name = models.CharField(max_length=253)
    version = models.CharField(max_length=120)
    previous_version = models.CharField(max_length=120, blank=True, default="")
    environment = models.CharField(max_length=80, blank=True, default="")
    status = models.CharField(max_length=10, choices=DeploymentStatus.choices, default=DeploymentStatus.SUCCEEDED)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(default=timezone.now)
    url = models.CharField(max_length=2000, blank=True, default="")
    actor_name = models.CharField(max_length=150, blank=True, default="")
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "delivery_id"], name="changes_one_delivery")]
        indexes: ClassVar = [
            models.Index(fields=["-started_at"], name="changes_newest"),
            models.Index(fields=["service", "-started_at"], name="changes_by_service"),
        ]

    def __str__(self) -> str:
        return f"{self.service_name} {self.version}"

    @property
    def title(self) -> str:
        """The release in one language-free line: "orders 1.3 → 1.4"."""
        if not self.previous_version or self.previous_version == self.version:
            return f"{self.service_name} {self.version}"
        return f"{self.service_name} {self.previous_version} → {self.version}"


class DeploymentSource(models.Model):
    """A sender of deployments: its name in the hook's URL. The signing secret is in core.secrets, never here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_delivery_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
