"""Nouns of the incidents room: the incident, its groups, what it affects, who is suspected; and what is learned."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.alerting.models import AlertGroup
from tongchou.core.models import Approval, Team, User
from tongchou.inventory.models import Resource


class IncidentState(models.TextChoices):
    """open -> acknowledged -> mitigated (the impact ended) -> resolved (a person says so); the last two reopen."""

    OPEN = "open", _("Open")
    ACKNOWLEDGED = "acknowledged", _("Acknowledged")
    MITIGATED = "mitigated", _("Mitigated")
    RESOLVED = "resolved", _("Resolved")


class Severity(models.TextChoices):
    """How bad the worst alert of an incident is; `severity.py` reads it from labels."""

    CRITICAL = "critical", _("Critical")
    MAJOR = "major", _("Major")
    WARNING = "warning", _("Warning")
    INFO = "info", _("Information")


class Numbering(models.Model):
    """The last number given: row 1 of incidents, 2 of improvements. Row 1's lock makes "join or open" one decision."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last)


class Incident(models.Model):
    """Something broke. `started_at`: the earliest symptom; `opened_at`: we noticed; `recovered_at`: all alerts ended.

    `previous` is the resolved incident of the same alert group key: the same thing happened again.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    title = models.CharField(max_length=300)
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.WARNING)
    state = models.CharField(max_length=12, choices=IncidentState.choices, default=IncidentState.OPEN)
    started_at = models.DateTimeField()
    opened_at = models.DateTimeField(default=timezone.now)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by_name = models.CharField(max_length=150, blank=True, default="")
    mitigated_at = models.DateTimeField(null=True, blank=True)
    recovered_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    ranked_at = models.DateTimeField(null=True, blank=True)  # when the evidence of the newest ranking was read
    # of the newest ranking: what was looked at and what was not, and what the baselines would have answered
    ranking = models.JSONField(null=True, blank=True)
    commander = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="incidents_commanded"
    )
    previous = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="episodes")
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["state", "-number"], name="incidents_by_state"),
            models.Index(fields=["-number"], condition=~Q(state="resolved"), name="incidents_unresolved"),
            models.Index(Coalesce("mitigated_at", "resolved_at", "opened_at"), F("number"), name="incidents_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.title}"

    @property
    def name(self) -> str:
        """How people call it: INC-7."""
        return f"INC-{self.number}"


class IncidentGroup(models.Model):
    """An alert group and the one incident it belongs to, with why (a code of reasons.JOIN_TEXTS and its facts)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="groups")
    group = models.OneToOneField(AlertGroup, on_delete=models.CASCADE, related_name="incident_link")
    started_at = models.DateTimeField()
    joined_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    reason_code = models.CharField(max_length=40)
    reason_params = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["joined_at", "id"]

    def __str__(self) -> str:
        return f"{self.group_id} in {self.incident_id}"


class AffectedRole(models.TextChoices):
    """cause: a suspect in the first place; symptom: an alert is about it; caller: it needs a symptom."""

    CAUSE = "cause", _("Probable cause")
    SYMPTOM = "symptom", _("Symptom")
    CALLER = "caller", _("Caller")


class AffectedResource(models.Model):
    """A resource the incident touches; `distance` is hops to the nearest symptom."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="affected")
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="incidents_affecting")
    role = models.CharField(max_length=10, choices=AffectedRole.choices)
    distance = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["incident", "resource"], name="incidents_affected_once")
        ]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.role}"


class SuspectKind(models.TextChoices):
    """A suspect is a resource, or an event (a change)."""

    RESOURCE = "resource", _("Resource")
    EVENT = "event", _("Change")


class Suspect(models.Model):
    """One line of the newest ranking. `reasons` = [{code, weight, params}]; the score is the sum of the weights."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="suspects")
    rank = models.PositiveIntegerField()
    ref = models.CharField(max_length=140)
    kind = models.CharField(max_length=10, choices=SuspectKind.choices)
    title = models.CharField(max_length=300)
    score = models.FloatField()
    reasons = models.JSONField(default=list)
    event_id = models.BigIntegerField(null=True, blank=True)
    about = models.JSONField(default=list)  # refs of the resources an event changed

    class Meta:
        ordering: ClassVar = ["rank"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["incident", "rank"], name="incidents_one_rank")]
        indexes: ClassVar = [models.Index(fields=["ref", "rank"], name="incidents_suspect_ref")]

    def __str__(self) -> str:
        return f"{self.rank}. {self.title} ({self.score})"


# --- what is learned from it ------------------------------------------------------------------------------------


class PostmortemState(models.TextChoices):
    """draft (may be written) -> review (nothing may change) -> published; review goes back, published is revised."""

    DRAFT = "draft", _("Draft")
    REVIEW = "review", _("In review")
    PUBLISHED = "published", _("Published")


class Postmortem(models.Model):
    """What one incident taught. `facts` is a snapshot (postmortem_prefill) taken at `facts_at`, free of language.

    `version` rises with every write: who writes names the version they read. `marks` says of timeline events, by id,
    {"hidden": bool, "note": str}. `edition` counts what was published; `content_hash` is the hash that is reviewed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incident = models.OneToOneField(Incident, on_delete=models.CASCADE, related_name="postmortem")
    state = models.CharField(max_length=10, choices=PostmortemState.choices, default=PostmortemState.DRAFT)
    version = models.PositiveIntegerField(default=1)
    edition = models.PositiveIntegerField(default=0)
    facts = models.JSONField(default=dict)
    facts_at = models.DateTimeField()
    marks = models.JSONField(default=dict)
    summary = models.TextField(blank=True, default="")
    went_well = models.TextField(blank=True, default="")
    went_badly = models.TextField(blank=True, default="")
    lucky = models.TextField(blank=True, default="")
    lessons = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)
    submitted_at = models.DateTimeField(null=True, blank=True)
    submitted_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="postmortems_submitted"
    )
    submitted_by_name = models.CharField(max_length=150, blank=True, default="")
    published_at = models.DateTimeField(null=True, blank=True)
    published_by_name = models.CharField(max_length=150, blank=True, default="")
    content_hash = models.CharField(max_length=64, blank=True, default="")
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        indexes: ClassVar = [models.Index(fields=["state", "-created_at"], name="incidents_postmortem_state")]

    def __str__(self) -> str:
        return f"{self.incident_id} {self.state}"


class PostmortemEdition(models.Model):
    """A postmortem as it was published, kept as it was. `content_hash` is over the canonical JSON of `content`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    postmortem = models.ForeignKey(Postmortem, on_delete=models.CASCADE, related_name="editions")
    number = models.PositiveIntegerField()
    content = models.JSONField()
    content_hash = models.CharField(max_length=64)
    submitted_by_name = models.CharField(max_length=150, blank=True, default="")
    published_at = models.DateTimeField(default=timezone.now)
    published_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["postmortem", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["postmortem", "number"], name="incidents_edition_number")
        ]

    def __str__(self) -> str:
        return f"{self.postmortem_id} v{self.number}"


class CauseKind(models.TextChoices):
    """What sort of contribution: there are always several, and none is "the" cause."""

    TRIGGER = "trigger", _("Technical trigger")
    LATENT = "latent", _("Latent condition")
    PROCESS = "process", _("Process")
    DETECTION = "detection", _("Detection gap")
    RESPONSE = "response", _("Response gap")
    EXTERNAL = "external", _("External")


class Cause(models.Model):
    """One contributing cause. `ref` points at a suspect, an event or a resource; `evidence` is a query or a search."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    postmortem = models.ForeignKey(Postmortem, on_delete=models.CASCADE, related_name="causes")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=12, choices=CauseKind.choices)
    description = models.TextField()
    ref = models.CharField(max_length=140, blank=True, default="")
    evidence_kind = models.CharField(
        max_length=8, blank=True, default="", choices=[("query", _("Metrics query")), ("logs", _("Log search"))]
    )
    evidence = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["position", "id"]

    def __str__(self) -> str:
        return f"{self.position}. {self.kind}"


class ImprovementState(models.TextChoices):
    """open -> in progress -> proving (the work is done, the check must stay green) -> done; a recurrence reopens.

    dropped: another person agreed that it will not be done; a person may reopen it.
    """

    OPEN = "open", _("Open")
    IN_PROGRESS = "in_progress", _("In progress")
    PROVING = "proving", _("Being proven")
    DONE = "done", _("Done")
    DROPPED = "dropped", pgettext_lazy("improvement", "Won't do")


ENDED = (ImprovementState.DONE, ImprovementState.DROPPED)


class ImprovementKind(models.TextChoices):
    """What an improvement does about the next incident of this sort."""

    PREVENT = "prevent", _("Prevent")
    DETECT = "detect", _("Detect sooner")
    MITIGATE = "mitigate", _("Mitigate faster")
    PROCESS = "process", _("Process")


class Priority(models.TextChoices):
    """How soon; sorted as text, high first."""

    HIGH = "1", _("High")
    MEDIUM = "2", _("Medium")
    LOW = "3", _("Low")


class Improvement(models.Model):
    """What will be better, whose it is, and how it is proven: by a check that stays green `green_days` whole days.

    A check is a PromQL query and a condition, looked at every `interval_seconds` and written down as CheckSpans up to
    `checked_until`. `proving_since` is when its days began to count. Without a check there is a written reason, and
    another person approves the closing; so does one that it will not be done (`drop_reason`). `green_left` is what the
    newest look found, for lists.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    postmortem = models.ForeignKey(Postmortem, on_delete=models.CASCADE, related_name="improvements")
    cause = models.ForeignKey(Cause, null=True, blank=True, on_delete=models.SET_NULL, related_name="improvements")
    resource = models.ForeignKey(
        Resource, null=True, blank=True, on_delete=models.SET_NULL, related_name="improvements"
    )
    title = models.CharField(max_length=200)
    details = models.TextField(blank=True, default="")
    kind = models.CharField(max_length=10, choices=ImprovementKind.choices)
    priority = models.CharField(max_length=1, choices=Priority.choices, default=Priority.MEDIUM)
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="improvements_owned")
    owner_team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="improvements_owned"
    )
    due_on = models.DateField()
    state = models.CharField(max_length=12, choices=ImprovementState.choices, default=ImprovementState.OPEN)
    version = models.PositiveIntegerField(default=1)
    check_query = models.TextField(blank=True, default="")
    check_is = models.CharField(max_length=60, blank=True, default="")
    green_days = models.PositiveIntegerField(default=14)
    interval_seconds = models.PositiveIntegerField(default=300)
    no_check_reason = models.TextField(blank=True, default="")
    drop_reason = models.TextField(blank=True, default="", db_default="")  # why somebody asked not to do it
    approval = models.ForeignKey(
        Approval, null=True, blank=True, on_delete=models.SET_NULL, related_name="improvements"
    )
    checked_until = models.DateTimeField(null=True, blank=True)
    check_tried_at = models.DateTimeField(null=True, blank=True)  # whether or not the look succeeded
    check_problem = models.TextField(blank=True, default="")
    green_left = models.PositiveIntegerField(null=True, blank=True)
    proving_since = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by_name = models.CharField(max_length=150, blank=True, default="")
    reopened_at = models.DateTimeField(null=True, blank=True)
    reopened_by = models.ForeignKey(
        Incident, null=True, blank=True, on_delete=models.SET_NULL, related_name="improvements_reopened"
    )
    reopened_count = models.PositiveIntegerField(default=0)
    reminded_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150)
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["state", "due_on"], name="incidents_improvement_due"),
            models.Index(fields=["checked_until"], condition=~Q(state="done"), name="incidents_improvement_check"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.title}"

    @property
    def name(self) -> str:
        """How people call it: IMP-3."""
        return f"IMP-{self.number}"

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done: done, or dropped."""
        return self.state in ENDED

    @property
    def has_check(self) -> bool:
        """Whether a check proves it (else a person does)."""
        return bool(self.check_query)


class CheckState(models.TextChoices):
    """What a check said at one instant; no data is not green."""

    GREEN = "green", _("Green")
    RED = "red", _("Red")
    NO_DATA = "no_data", _("No data")


class CheckSpan(models.Model):
    """Looks at a check, one after another, that gave the same state; both instants are looks. `seen`: at the first."""

    id = models.BigAutoField(primary_key=True)
    improvement = models.ForeignKey(Improvement, on_delete=models.CASCADE, related_name="spans")
    state = models.CharField(max_length=8, choices=CheckState.choices)
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    seen = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["improvement", "begins_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["improvement", "begins_at"], name="incidents_span_once")
        ]

    def __str__(self) -> str:
        return f"{self.improvement_id} {self.state} {self.begins_at}"


class Recurrence(models.Model):
    """An incident that is an earlier one again, with why (a code of reasons.RECURRENCE_TEXTS and its facts)."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="recurrences")
    earlier = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="recurred_as")
    reason_code = models.CharField(max_length=40)
    reason_params = models.JSONField(default=dict)
    reopened = models.JSONField(default=list)  # names of the improvements it re-opened
    found_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["incident", "-found_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["incident", "earlier"], name="incidents_recurred_once")
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} again {self.earlier_id}"
