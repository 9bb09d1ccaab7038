"""Nouns of Ansible projects: a project, a check of it (the plan, or a look for drift), what came of each host."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Team
from tongchou.inventory.models import Resource
from tongchou.runbooks.models import Run


class Playbook(models.Model):
    """An Ansible project: a playbook in a folder, the hosts it is for, and how it goes over them.

    `hosts` is the query of a list of resources (`kind=host&label=role=web`), asked anew each time; with `view` it is
    that of a saved view. `owner` narrows it to what that team owns. `batches`: sizes in order, whole numbers or
    percentages, the last one repeated. `extra_vars` may hold `${secret.NAME}`, never a secret.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=50, unique=True)
    title = models.CharField(max_length=150, blank=True, default="")
    folder = models.CharField(max_length=500)
    playbook = models.CharField(max_length=200)
    hosts = models.CharField(max_length=2000)
    owner = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="playbooks")
    extra_vars = models.JSONField(default=dict, blank=True)
    ssh_key = models.CharField(max_length=120, blank=True, default="")
    accept_new = models.BooleanField(default=False)
    become = models.BooleanField(default=False)
    idempotent = models.BooleanField(default=False)
    irreversible = models.BooleanField(default=False)
    ask_between = models.BooleanField(default=False)
    batches = models.JSONField(default=list)
    max_fail_percent = models.PositiveSmallIntegerField(default=0)
    forks = models.PositiveSmallIntegerField(default=5)
    timeout_seconds = models.PositiveIntegerField(default=900)
    check_every_seconds = models.PositiveIntegerField(default=0)
    drift_after = models.PositiveSmallIntegerField(default=2)
    tolerance_seconds = models.PositiveIntegerField(default=0)
    next_check_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    retired_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["name"]
        indexes: ClassVar = [
            models.Index(
                fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="changes_playbook_due"
            )
        ]

    def __str__(self) -> str:
        return self.title or self.name


class CheckState(models.TextChoices):
    """A check that failed says why; one that a kill cut off is made again."""

    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class PlaybookCheck(models.Model):
    """`--check --diff` over the hosts of a moment. `setup` is all that was used, the inventory too, but no secret.

    `content_sha256` covers the setup (with the hash of the folder) and what was found: a run is made from it, and what
    an approval covers is exactly this. `drift`: whether what it found is written down as drift.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="checks")
    drift = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=CheckState.choices, default=CheckState.WAITING)
    setup = models.JSONField(default=dict)
    content_sha256 = models.CharField(max_length=64, blank=True, default="")
    problem = models.TextField(blank=True, default="")
    requested_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [models.Index(fields=["playbook", "-created_at", "-id"], name="changes_checks_newest")]

    def __str__(self) -> str:
        return f"{self.playbook_id} {self.created_at:%Y-%m-%d %H:%M}"


class HostState(models.TextChoices):
    """cut_off: the process died in the middle of it, and nobody knows how far it came."""

    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Running")
    OK = "ok", _("As it should be")
    CHANGED = "changed", _("Changed")
    FAILED = "failed", _("Failed")
    UNREACHABLE = "unreachable", _("Not reachable")
    CUT_OFF = "cut_off", _("Cut off")


class PlaybookHost(models.Model):
    """One host of a check or of a run, while it is being done and afterwards. Texts are masked and bounded."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    of_check = models.ForeignKey(PlaybookCheck, null=True, blank=True, on_delete=models.CASCADE, related_name="hosts")
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.CASCADE, related_name="playbook_hosts")
    resource = models.ForeignKey(Resource, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=253)
    batch = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=12, choices=HostState.choices, default=HostState.WAITING)
    counts = models.JSONField(default=dict)
    tasks = models.JSONField(default=list)
    diff = models.TextField(blank=True, default="")
    message = models.CharField(max_length=1000, blank=True, default="")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["batch", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["of_check", "name"], name="changes_host_of_check"),
            models.UniqueConstraint(fields=["run", "name"], name="changes_host_of_run"),
        ]

    def __str__(self) -> str:
        return self.name
