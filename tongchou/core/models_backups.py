"""Nouns of core: backups, and how much room data takes."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class BackupState(models.TextChoices):
    """queued -> running -> done or failed; done -> gone when its file was deleted by the keep rule."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    GONE = "gone", _("Deleted")


class Backup(models.Model):
    """One backup file of everything, and what became of it. `key_name` is the secret that holds its passphrase."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=BackupState.choices, default=BackupState.QUEUED)
    reason = models.CharField(max_length=20)
    path = models.TextField(blank=True, default="")
    key_name = models.CharField(max_length=120, blank=True, default="")
    encrypted = models.BooleanField(default=False)
    with_keys = models.BooleanField(default=False)
    requested_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    progress = models.JSONField(default=dict)
    facts = models.JSONField(default=dict)
    problem = models.JSONField(default=dict)
    verified_at = models.DateTimeField(null=True, blank=True)
    verify_problem = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M} {self.state}"


class StorageReading(models.Model):
    """How many bytes one class of data took at one time; what growth is measured from."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now)
    name = models.CharField(max_length=60)
    bytes = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["name", "at"], name="core_storage_at")]

    def __str__(self) -> str:
        return f"{self.name} {self.bytes}"
