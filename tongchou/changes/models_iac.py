"""Nouns of infrastructure as code: workspaces and their plans. What drifts from them is a Drift (models_drift)."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_control import Change
from tongchou.core.models import Approval, Team, User


class Program(models.TextChoices):
    """Which of the two programs runs."""

    TERRAFORM = "terraform", "Terraform"
    TOFU = "tofu", "OpenTofu"


class PlanKind(models.TextChoices):
    """What is planned: the configuration, what drifted (refresh only), or the end of everything."""

    PLAN = "plan", _("Plan")
    DRIFT = "drift", _("Drift check")
    DESTROY = "destroy", _("Destroy")


class PlanState(models.TextChoices):
    """See iac_states for the way between them. interrupted: cut off while applying; a person has to look."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Planning")
    READY = "ready", _("Changes planned")
    EMPTY = "empty", _("No changes")
    FAILED = "failed", _("Planning failed")
    OUTDATED = "outdated", _("Outdated")
    DISCARDED = "discarded", _("Discarded")
    APPLYING = "applying", _("Applying")
    APPLIED = "applied", _("Applied")
    APPLY_FAILED = "apply_failed", _("Apply failed")
    INTERRUPTED = "interrupted", _("Interrupted")


class Verdict(models.TextChoices):
    """What the policy checks came to."""

    PASS = "pass", _("Passed")
    WARN = "warn", _("Warnings")
    DENY = "deny", _("Denied")


class Workspace(models.Model):
    """One configuration with one state. `directory` lies in an allowed folder; secrets are names of core.secrets.

    `secret_variables`: variable -> secret, given as TF_VAR_; `secret_environment`: environment variable -> secret.
    Intervals of 0 mean never. `state_source`: the inventory source that is handed the state after an apply.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True)
    owner = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="workspaces")
    program = models.CharField(max_length=10, choices=Program.choices, default=Program.TERRAFORM)
    directory = models.CharField(max_length=1000)
    terraform_workspace = models.CharField(max_length=90, default="default")
    var_files = models.JSONField(default=list)
    secret_variables = models.JSONField(default=dict)
    secret_environment = models.JSONField(default=dict)
    plan_interval_seconds = models.PositiveIntegerField(default=0)
    drift_interval_seconds = models.PositiveIntegerField(default=0)
    next_plan_at = models.DateTimeField(null=True, blank=True, db_index=True)
    next_drift_at = models.DateTimeField(null=True, blank=True, db_index=True)
    alarm_after = models.PositiveIntegerField(default=2)
    policy = models.JSONField(default=list)
    run_checker = models.BooleanField(default=False)
    state_source = models.CharField(max_length=120, blank=True, default="")
    lock_timeout_seconds = models.PositiveIntegerField(default=60)
    timeout_seconds = models.PositiveIntegerField(default=1800)
    enabled = models.BooleanField(default=True)
    lineage = models.CharField(max_length=80, blank=True, default="")
    serial = models.PositiveBigIntegerField(default=0)
    resources = models.PositiveIntegerField(null=True, blank=True)
    drift_checked_at = models.DateTimeField(null=True, blank=True)
    plan_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    updated_by_name = models.CharField(max_length=150, blank=True, default="")
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Plan(models.Model):
    """One plan and what became of it. `sha256` is of the plan file; `summary` holds nothing sensitive.

    `claimed_by`: the ticket of the job that is at it, which says so at `seen_at`. The database lets one plan of a
    workspace be under way at a time, so that no crash can lose or double it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="plans")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=PlanKind.choices, default=PlanKind.PLAN)
    state = models.CharField(max_length=12, choices=PlanState.choices, default=PlanState.QUEUED, db_index=True)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    format_version = models.CharField(max_length=20, blank=True, default="")
    summary = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    verdict = models.CharField(max_length=4, choices=Verdict.choices, blank=True, default="")
    findings = models.JSONField(default=list)
    lineage = models.CharField(max_length=80, blank=True, default="")
    serial = models.PositiveBigIntegerField(default=0)
    reason = models.TextField(blank=True, default="")
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    requested_by_name = models.CharField(max_length=150)
    approval = models.ForeignKey(Approval, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    change = models.ForeignKey(Change, null=True, blank=True, on_delete=models.SET_NULL, related_name="plans")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    applied_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    applied_by_name = models.CharField(max_length=150, blank=True, default="")
    apply_started_at = models.DateTimeField(null=True, blank=True)
    apply_finished_at = models.DateTimeField(null=True, blank=True)
    output = models.TextField(blank=True, default="")
    outcome = models.JSONField(default=dict)
    claimed_by = models.CharField(max_length=64, blank=True, default="")
    seen_at = models.DateTimeField(null=True, blank=True)
    stopped_by_name = models.CharField(max_length=150, blank=True, default="")
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "number"], name="changes_plan_number"),
            models.UniqueConstraint(
                fields=["workspace"], condition=Q(state__in=["running", "applying"]), name="changes_one_plan_under_way"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["workspace", "-created_at"], name="changes_plan_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """What people call it: "shop-network #12"."""
        return f"{self.workspace.name} #{self.number}"
