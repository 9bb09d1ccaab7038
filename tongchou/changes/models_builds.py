"""Nouns of build servers: a server that builds, how far its jobs were looked at, builds that procedures started."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from tongchou.changes.models import DeploymentSource


class BuildServerKind(models.TextChoices):
    """What it is."""

    JENKINS = "jenkins", "Jenkins"


class BuildServer(models.Model):
    """A server that builds: procedures start its jobs, its builds become deployments. The token is in core.secrets.

    With a `sender` its builds are looked at every `poll_every_seconds` and taken as if that sender had told of them,
    by the sender's rules. `failing_since`: when it last began not to answer (None: it answers, or was never asked).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=50, unique=True)
    kind = models.CharField(max_length=20, choices=BuildServerKind.choices, default=BuildServerKind.JENKINS)
    url = models.CharField(max_length=500)
    user = models.CharField(max_length=150, blank=True, default="")
    enabled = models.BooleanField(default=True)
    sender = models.ForeignKey(
        DeploymentSource, null=True, blank=True, on_delete=models.SET_NULL, related_name="build_servers"
    )
    poll_every_seconds = models.PositiveIntegerField(default=60)
    next_poll_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True, default="")
    version = models.CharField(max_length=60, blank=True, default="")
    known_as = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class PolledJob(models.Model):
    """How far a job was looked at: every build up to `seen` is dealt with, and those in `ended` above it."""

    id = models.BigAutoField(primary_key=True)
    server = models.ForeignKey(BuildServer, on_delete=models.CASCADE, related_name="jobs")
    job = models.CharField(max_length=500)
    seen = models.PositiveBigIntegerField(default=0)
    ended = models.JSONField(default=list)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["server", "job"], name="changes_polled_job")]

    def __str__(self) -> str:
        return self.job


class BuildStart(models.Model):
    """A build that a step of a procedure asked for: written before the request, so that a kill cannot start two.

    `sent_at` without `queue_id` and `number`: the request was about to go out, and nobody heard the answer. `keyed`: it
    carried the key as a parameter of the build, by which it can be found. `begun_at`: when the try under way began (or
    the one that was cut off); its time is counted from there.
    """

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=80, unique=True)
    server_name = models.CharField(max_length=50)
    job = models.CharField(max_length=500)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    begun_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    queue_id = models.BigIntegerField(null=True, blank=True)
    number = models.BigIntegerField(null=True, blank=True)
    keyed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.server_name} {self.job} {self.key}"
