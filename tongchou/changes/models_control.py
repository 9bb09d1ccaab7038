"""Nouns of change control: the change, what it touches, its tasks; the catalogue of standard changes."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.core.models import Approval, Team, User
from tongchou.inventory.models import Resource
from tongchou.runbooks.models import Procedure, Run


class ChangeKind(models.TextChoices):
    """standard: from the catalogue, agreed on beforehand; emergency: cannot wait, is looked at afterwards."""

    STANDARD = "standard", _("Standard")
    NORMAL = "normal", _("Normal")
    EMERGENCY = "emergency", _("Emergency")


class ChangeState(models.TextChoices):
    """See `change_states` for the way between them, which differs by kind."""

    NEW = "new", _("New")
    ASSESS = "assess", _("Assess")
    AUTHORIZE = "authorize", _("Authorize")
    SCHEDULED = "scheduled", _("Scheduled")
    IMPLEMENT = "implement", _("Implement")
    REVIEW = "review", _("Review")
    CLOSED = "closed", _("Closed")
    CANCELLED = "cancelled", _("Cancelled")


class Outcome(models.TextChoices):
    """How a change went, as its review says. Only the first counts as a success."""

    SUCCESSFUL = "successful", _("Successful")
    WITH_ISSUES = "with_issues", _("Successful with issues")
    BACKED_OUT = "backed_out", _("Backed out")
    FAILED = "failed", _("Failed")


class RiskLevel(models.TextChoices):
    """What `risk` makes of the sum of its points."""

    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")


class ChangeNumber(models.Model):
    """The last number given to a change: one row, locked while one is made."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last)


class ChangeTemplate(models.Model):
    """A standard change of the catalogue. It may be used while `approved_hash` is the hash of what it says now."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=63, unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="change_templates")
    kinds = models.JSONField(default=list, blank=True)  # kinds of resources it may touch; none: any
    max_resources = models.PositiveIntegerField(default=10)
    max_minutes = models.PositiveIntegerField(default=240)
    tasks = models.JSONField(default=list, blank=True)  # as `change_content.Task` writes them
    backout = models.TextField(blank=True, default="")
    backout_procedure = models.ForeignKey(
        Procedure, null=True, blank=True, on_delete=models.PROTECT, related_name="backs_out_templates"
    )
    verification = models.TextField(blank=True, default="")
    # consent to the entry covers the runs of its procedures
    covers_runs = models.BooleanField(default=False, db_default=False)
    approval = models.ForeignKey(
        Approval, null=True, blank=True, on_delete=models.SET_NULL, related_name="change_templates"
    )
    approved_hash = models.CharField(max_length=64, blank=True, default="")
    retired_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.title


class Change(models.Model):
    """Something that is to be altered, from the wish to the review.

    `origin`: the Ref it was made for (an option, a plan, a deviation), with `origin_key` at most one change each.
    `starts_at`, `ends_at`: the window it may be done in. `asked_hash`: the content that approval was asked for, and
    that is carried out; an edit empties it. `bound`: what else the content is bound to, [{what, ref, sha256}].
    `broke_glass`: why an emergency began without consent. `late_since`: when its window ended before the work did.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    kind = models.CharField(max_length=10, choices=ChangeKind.choices, default=ChangeKind.NORMAL)
    state = models.CharField(max_length=10, choices=ChangeState.choices, default=ChangeState.NEW)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    template = models.ForeignKey(
        ChangeTemplate, null=True, blank=True, on_delete=models.PROTECT, related_name="changes"
    )
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="changes")
    assignee = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="changes_assigned"
    )
    requested_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="changes_requested"
    )
    requested_by_name = models.CharField(max_length=150)
    environment = models.CharField(max_length=80, blank=True, default="")
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    backout = models.TextField(blank=True, default="")
    backout_procedure = models.ForeignKey(
        Procedure, null=True, blank=True, on_delete=models.PROTECT, related_name="backs_out_changes"
    )
    backout_run = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="backs_out_changes"
    )
    verification = models.TextField(blank=True, default="")
    quiet = models.BooleanField(default=True)  # alerts of what it touches are held back in its window
    exclude_slo = models.BooleanField(default=True)  # objectives show their budget without its window, too
    bound = models.JSONField(default=list, blank=True)
    answers = models.JSONField(default=dict, blank=True)  # question of `risk` -> answer
    risk = models.CharField(max_length=8, choices=RiskLevel.choices, blank=True, default="")
    risk_reasons = models.JSONField(default=list, blank=True)
    conflicts = models.JSONField(default=list, blank=True)  # as they were when consent was asked for
    conflicts_accepted = models.TextField(blank=True, default="")  # why it may be done in spite of them
    accepted_conflicts = models.JSONField(default=list, db_default=[], blank=True)  # [kind, ref] of those it is about
    approval = models.ForeignKey(Approval, null=True, blank=True, on_delete=models.SET_NULL, related_name="changes")
    asked_hash = models.CharField(max_length=64, blank=True, default="")
    # position of a task, or "back" -> hash of the run that consent covers
    covered_runs = models.JSONField(default=dict, db_default={}, blank=True)
    origin = models.CharField(max_length=140, blank=True, default="", db_index=True)
    origin_key = models.CharField(max_length=200, null=True, blank=True, unique=True)  # null: of no origin
    because = models.CharField(max_length=140, blank=True, default="")  # a Ref: the incident it answers
    broke_glass = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    began_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    late_since = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices, blank=True, default="")
    review = models.TextField(blank=True, default="")
    reviewed_by_name = models.CharField(max_length=150, blank=True, default="")
    cancel_reason = models.TextField(blank=True, default="")
    implementer = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="changes_implemented"
    )
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["state", "-number"], name="changes_by_state"),
            models.Index(fields=["starts_at", "ends_at"], name="changes_by_window"),
            models.Index(fields=["kind", "team", "-closed_at"], name="changes_by_success"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                name="changes_window_lasts",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.title}"

    @property
    def name(self) -> str:
        """How people call it: CHG-7."""
        return f"CHG-{self.number}"


class ChangeResource(models.Model):
    """A resource that a change touches itself; what may feel it beyond that is read from the graph, not kept."""

    id = models.BigAutoField(primary_key=True)
    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="touched")
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="changes")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["change", "resource"], name="changes_touches_once")]

    def __str__(self) -> str:
        return f"{self.change_id} on {self.resource_id}"


class TaskState(models.TextChoices):
    """What became of a task; one with a procedure follows its run."""

    OPEN = "open", pgettext_lazy("task", "Open")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    SKIPPED = "skipped", _("Skipped")


class ChangeTask(models.Model):
    """A step of a change: by hand, or a procedure with its parameters."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="tasks")
    position = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    procedure = models.ForeignKey(
        Procedure, null=True, blank=True, on_delete=models.PROTECT, related_name="change_tasks"
    )
    params = models.JSONField(default=dict, blank=True)
    targets = models.JSONField(default=list, blank=True)  # names of resources; none: those the change touches
    state = models.CharField(max_length=8, choices=TaskState.choices, default=TaskState.OPEN)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="change_tasks")
    note = models.TextField(blank=True, default="")
    done_by_name = models.CharField(max_length=150, blank=True, default="")
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["change", "position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["change", "position"], name="changes_task_position")]

    def __str__(self) -> str:
        return f"{self.position} {self.title}"


class GateRule(models.Model):
    """What the gate asks of a deployment. Of several the lowest `position` that fits a service counts, alone.

    `environment`, `criticality`, `team`: "" or null fits everything. Shares are of an objective's budget, 0 to 1.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    position = models.PositiveIntegerField(default=100)
    enabled = models.BooleanField(default=True)
    environment = models.CharField(max_length=80, blank=True, default="")
    criticality = models.CharField(max_length=40, blank=True, default="")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="gate_rules")
    needs_change = models.BooleanField(default=False)
    needs_window = models.BooleanField(default=False)
    least_budget = models.FloatField(default=0.0)  # with less left than this: no
    warn_budget = models.FloatField(default=0.25)  # with less left than this: yes, with a warning
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class GateAnswer(models.Model):
    """What the gate answered, kept for a while: how often it says no, and how often it was overridden, are numbers."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    service = models.ForeignKey(Resource, null=True, blank=True, on_delete=models.CASCADE, related_name="gate_answers")
    service_name = models.CharField(max_length=253)
    environment = models.CharField(max_length=80, blank=True, default="")
    version = models.CharField(max_length=120, blank=True, default="")
    allowed = models.BooleanField()
    overridden = models.BooleanField(default=False)
    reasons = models.JSONField(default=list)
    asked_by_name = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["service_name", "-at"], name="changes_gate_by_service")]

    def __str__(self) -> str:
        return f"{self.service_name} {self.allowed}"
