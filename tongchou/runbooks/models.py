"""Nouns of runbooks: procedures and their versions, runs and the journal of their steps."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Approval, User
from tongchou.inventory.models import Resource


class Grade(models.TextChoices):
    """What a procedure can do at worst; only `read` runs without an approval."""

    READ = "read", _("Reads only")
    REVERSIBLE = "reversible", _("Reversible")
    IRREVERSIBLE = "irreversible", _("Irreversible")


class RunState(models.TextChoices):
    """See machine.TRANSITIONS for the way between them."""

    PREPARING = "preparing", _("Preparing")
    AWAITING_APPROVAL = "awaiting_approval", _("Awaiting approval")
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    WAITING = "waiting", _("Waiting")
    PAUSED = "paused", _("Paused")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class StepState(models.TextChoices):
    """uncertain: begun, the process died, and repeating it is for a person to decide."""

    PENDING = "pending", _("Pending")
    STARTED = "started", _("Started")
    WAITING = "waiting", _("Waiting")
    UNCERTAIN = "uncertain", _("Uncertain")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    SKIPPED = "skipped", _("Not done")


class Procedure(models.Model):
    """How to act. `text` is the newest version's; `title`, `grade` and `matches` are read out of it for lists."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True)
    title = models.JSONField(default=dict)
    text = models.TextField()
    content_hash = models.CharField(max_length=64)
    grade = models.CharField(max_length=12, choices=Grade.choices)
    matches = models.JSONField(default=list)
    state = models.CharField(
        max_length=10, default="active", choices=[("active", _("Active")), ("retired", _("Retired"))]
    )
    version_number = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class ProcedureVersion(models.Model):
    """A text once saved, kept as it was: a run points at the version it was requested with."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    content_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["procedure", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["procedure", "number"], name="runbooks_version_number")
        ]

    def __str__(self) -> str:
        return f"{self.procedure} v{self.number}"


class Run(models.Model):
    """One execution of one version with its parameters and targets. `content_hash` covers every resolved step.

    `claimed_by` holds the ticket of the job that advances it, until `claimed_until`: two jobs never advance one run.
    `outcome` is a reasons.Reason as JSON, empty while all is well. `lock`: the database itself lets only one run with
    the same lock be under way, so that a crash can neither lose it nor double it. `expires_in_seconds` is how long the
    approval is good for that a run asks for once its previews are there.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, related_name="runs")
    version = models.ForeignKey(ProcedureVersion, on_delete=models.PROTECT, related_name="runs")
    grade = models.CharField(max_length=12, choices=Grade.choices)
    params = models.JSONField(default=dict)
    targets = models.JSONField(default=list)
    checks = models.JSONField(default=list)
    content_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=20, choices=RunState.choices, default=RunState.AWAITING_APPROVAL, db_index=True)
    outcome = models.JSONField(default=dict)
    reason = models.TextField(blank=True, default="")
    about_ref = models.CharField(max_length=140, blank=True, default="", db_index=True)
    incident_number = models.PositiveIntegerField(null=True, blank=True)
    requested_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs_requested"
    )
    requested_by_name = models.CharField(max_length=150)
    approval = models.ForeignKey(Approval, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    claimed_by = models.CharField(max_length=64, blank=True, default="")
    claimed_until = models.DateTimeField(null=True, blank=True)
    lock = models.CharField(max_length=63, blank=True, default="", db_default="")
    expires_in_seconds = models.PositiveIntegerField(default=3600, db_default=3600)
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["lock"],
                condition=Q(state__in=["running", "waiting", "paused"]) & ~Q(lock=""),
                name="runbooks_one_run_a_lock",
            )
        ]

    def __str__(self) -> str:
        return f"{self.procedure} {self.state}"


class RunTarget(models.Model):
    """A run's hold on a target: while `active`, no other run of the same procedure may have it."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="target_rows")
    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, related_name="target_rows")
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="runs")
    active = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "resource"], name="runbooks_target_once"),
            models.UniqueConstraint(
                fields=["procedure", "resource"], condition=Q(active=True), name="runbooks_one_active_run"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} on {self.resource_id}"


class RunStep(models.Model):
    """One line of a run's journal. `started` is written before the effect, the result after it.

    `input` is resolved but for secrets; `output` and `preview` have secrets masked; `reason` is a reasons.Reason as
    JSON. `parent` is the position of the step it belongs to: a step of kind `parallel`, whose branch `branch` it is in,
    or (`branch` empty) one whose failure it answers. `flow` is what the text says of failure, condition and retries.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20)
    parent = models.PositiveIntegerField(null=True, blank=True)
    branch = models.CharField(max_length=253, blank=True, default="", db_default="")
    flow = models.JSONField(default=dict, db_default={})
    target = models.CharField(max_length=140, blank=True, default="")
    target_name = models.CharField(max_length=253, blank=True, default="")
    alters = models.BooleanField(default=False)
    repeatable = models.BooleanField(default=True)
    state = models.CharField(max_length=10, choices=StepState.choices, default=StepState.PENDING)
    input = models.JSONField(default=dict)
    output = models.JSONField(default=dict)
    reason = models.JSONField(default=dict)
    idempotency_key = models.CharField(max_length=80, unique=True)
    preview = models.JSONField(default=dict, db_default={})
    previewed_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    retries = models.PositiveIntegerField(default=0, db_default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    poll_at = models.DateTimeField(null=True, blank=True)
    true_since = models.DateTimeField(null=True, blank=True)
    answered_by_name = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["run", "position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "position"], name="runbooks_step_position")]

    def __str__(self) -> str:
        return f"{self.position} {self.name}"

    @property
    def answers_failure(self) -> bool:
        """Whether it is done only when the step it stands in has failed."""
        return self.parent is not None and not self.branch
