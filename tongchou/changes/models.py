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

    (source, delivery_id) is the identity: for the plain webhook the id of its delivery, for other formats what the tool
    calls the deployment, of which many deliveries tell. `told` says of each field how late the report was that it is
    from (fold.py). `commits` = [{sha, at}], `unplanned` and `incident_number` only when somebody said so in words.
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
    tier = models.CharField(max_length=20, blank=True, default="", db_default="")  # production, staging, ... if stated
    commit_sha = models.CharField(max_length=64, blank=True, default="", db_default="")
    commit_at = models.DateTimeField(null=True, blank=True)
    commits = models.JSONField(default=list, db_default=[], blank=True)
    artifact = models.CharField(max_length=500, blank=True, default="", db_default="")  # a package URL, mostly
    rollback = models.BooleanField(default=False, db_default=False)
    unplanned = models.BooleanField(default=False, db_default=False)
    incident_number = models.PositiveIntegerField(null=True, blank=True)
    told = models.JSONField(default=dict, db_default={}, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "delivery_id"], name="changes_one_delivery")]
        indexes: ClassVar = [
            models.Index(fields=["-started_at"], name="changes_newest"),
            models.Index(fields=["finished_at"], name="changes_by_end"),  # delivery performance reads a period of all
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


class SenderFormat(models.TextChoices):
    """What a sender speaks; it says how it proves itself, too."""

    PLAIN = "plain", _("Plain signed webhook")
    GITHUB = "github", "GitHub"
    GITLAB = "gitlab", "GitLab"
    JENKINS = "jenkins", _("Jenkins (Notification plugin)")
    ARGOCD = "argocd", "Argo CD"
    CDEVENTS = "cdevents", "CDEvents"


class DeploymentSource(models.Model):
    """A sender of deployments: its name in the hook's URL. The signing secret is in core.secrets, never here.

    `rules` say which service a repository, job or application is (mapping.py), the first that fits.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_delivery_at = models.DateTimeField(null=True, blank=True)
    format = models.CharField(
        max_length=20, choices=SenderFormat.choices, default=SenderFormat.PLAIN, db_default=SenderFormat.PLAIN
    )
    rules = models.JSONField(default=list, db_default=[], blank=True)
    enabled = models.BooleanField(default=True, db_default=True)

    def __str__(self) -> str:
        return self.name
