"""Nouns of design: what is required, which options there are, what was decided and why, what it was weighed by."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any, ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.core.models import Approval, Team, User
from tongchou.inventory.models import Resource

NOTHING_BELOW = [MinValueValidator(Decimal(0))]


class RequirementState(models.TextChoices):
    """draft -> in review -> accepted -> decided -> done; rejected and withdrawn ones may be taken up again."""

    DRAFT = "draft", _("Draft")
    IN_REVIEW = "in_review", _("In review")
    ACCEPTED = "accepted", pgettext_lazy("requirement", "Accepted")
    REJECTED = "rejected", _("Rejected")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    DECIDED = "decided", pgettext_lazy("requirement", "Decided")
    DONE = "done", _("Done")


OPEN_TO_EDIT = (RequirementState.DRAFT, RequirementState.IN_REVIEW, RequirementState.ACCEPTED)


class DataClass(models.TextChoices):
    """The most sensitive data that is concerned."""

    PUBLIC = "public", _("Public")
    INTERNAL = "internal", _("Internal")
    CONFIDENTIAL = "confidential", _("Confidential")
    PERSONAL = "personal", _("Personal data")


class DesignNumber(models.Model):
    """The last number given to a requirement, a decision and a scorecard; one row each, locked to give the next."""

    name = models.CharField(max_length=20, primary_key=True)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.last}"


class Requirement(models.Model):
    """What is wanted, why, until when and for how much; `drivers` are texts, `load` is read by requirement_draft.

    The budget covers the purchase and `budget_months` of running. `checklist`: the questions of the review with their
    answers. What was accepted is bound to `accepted_hash`: an edit takes the acceptance away.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    title = models.CharField(max_length=200)
    need = models.TextField(blank=True, default="")
    drivers = models.JSONField(default=list)
    wanted_on = models.DateField(null=True, blank=True)
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="requirements_owned")
    owner_team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="requirements")
    load = models.JSONField(default=list)
    budget = models.DecimalField(null=True, blank=True, max_digits=18, decimal_places=2, validators=NOTHING_BELOW)
    currency = models.CharField(max_length=3, blank=True, default="")
    budget_months = models.PositiveSmallIntegerField(default=12)
    services: models.ManyToManyField[Resource, Any] = models.ManyToManyField(
        Resource, blank=True, related_name="requirements"
    )
    slo_percent = models.DecimalField(null=True, blank=True, max_digits=9, decimal_places=6)
    rto_minutes = models.PositiveIntegerField(null=True, blank=True)
    rpo_minutes = models.PositiveIntegerField(null=True, blank=True)
    data_class = models.CharField(max_length=12, choices=DataClass.choices, blank=True, default="")
    mlps_level = models.PositiveSmallIntegerField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=RequirementState.choices, default=RequirementState.DRAFT)
    version = models.PositiveIntegerField(default=1)
    checklist = models.JSONField(default=list)
    approval = models.ForeignKey(
        Approval, null=True, blank=True, on_delete=models.SET_NULL, related_name="requirements"
    )
    accepted_hash = models.CharField(max_length=64, blank=True, default="")
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by_name = models.CharField(max_length=150, blank=True, default="")
    ended_note = models.TextField(blank=True, default="")  # why it was rejected, withdrawn or is done
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150)
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["state", "wanted_on"], name="changes_requirement_wanted"),
            models.Index(fields=["wanted_on", "number"], name="changes_requirement_due"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.title}"

    @property
    def name(self) -> str:
        """How people call it: REQ-3."""
        return f"REQ-{self.number}"


class Participant(models.Model):
    """A person asked for an opinion in a review; `about_hash`: the content it was said about."""

    class Answer(models.TextChoices):
        """What they said."""

        NONE = "", _("Not answered yet")
        YES = "yes", _("Yes")
        NO = "no", _("No")
        COMMENT = "comment", _("Comment")

    id = models.BigAutoField(primary_key=True)
    requirement = models.ForeignKey(Requirement, on_delete=models.CASCADE, related_name="participants")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="requirement_reviews")
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by_name = models.CharField(max_length=150)
    answer = models.CharField(max_length=8, choices=Answer.choices, blank=True, default=Answer.NONE)
    comment = models.TextField(blank=True, default="")
    said_at = models.DateTimeField(null=True, blank=True)
    about_hash = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["requirement", "user"], name="changes_participant_once")
        ]

    def __str__(self) -> str:
        return f"{self.requirement_id} {self.user_id} {self.answer}"


class Option(models.Model):
    """One way to meet a requirement. `resources`, `changes`, `risks`: rows as option_draft reads them.

    `structure` is an outline (see outline.py), `computed` what it came to when it was saved. Figures are null where
    nobody stated them; `sources` says of each where it is from. Money is in `currency`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requirement = models.ForeignKey(Requirement, on_delete=models.CASCADE, related_name="options")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=120)
    summary = models.TextField(blank=True, default="")
    resources = models.JSONField(default=list)
    changes = models.JSONField(default=list)
    risks = models.JSONField(default=list)
    structure = models.TextField(blank=True, default="")
    computed = models.JSONField(default=dict)
    availability = models.FloatField(null=True, blank=True)
    capex = models.DecimalField(null=True, blank=True, max_digits=18, decimal_places=2)
    opex_monthly = models.DecimalField(null=True, blank=True, max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3, blank=True, default="")
    energy_kwh_monthly = models.DecimalField(null=True, blank=True, max_digits=16, decimal_places=3)
    co2e_kg_monthly = models.DecimalField(null=True, blank=True, max_digits=16, decimal_places=3)
    lead_days = models.PositiveIntegerField(null=True, blank=True)
    sources = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["requirement", "position", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["requirement", "name"], name="changes_option_name"),
        ]

    def __str__(self) -> str:
        return self.name


class DecisionStatus(models.TextChoices):
    """The states of an architecture decision record."""

    PROPOSED = "proposed", _("Proposed")
    ACCEPTED = "accepted", pgettext_lazy("decision", "Accepted")
    SUPERSEDED = "superseded", _("Superseded")
    DEPRECATED = "deprecated", _("Deprecated")


class Decision(models.Model):
    """An architecture decision record. What was accepted is not edited, but superseded by another.

    One that chose an option keeps what the options were (`considered`) and the hash of all it was decided on.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    title = models.CharField(max_length=200)
    requirement = models.ForeignKey(
        Requirement, null=True, blank=True, on_delete=models.SET_NULL, related_name="decisions"
    )
    option = models.ForeignKey(Option, null=True, blank=True, on_delete=models.SET_NULL, related_name="decisions")
    owner_team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="decisions")
    context = models.TextField(blank=True, default="")
    considered = models.JSONField(default=list)
    decision = models.TextField(blank=True, default="")
    consequences = models.TextField(blank=True, default="")
    status = models.CharField(max_length=10, choices=DecisionStatus.choices, default=DecisionStatus.PROPOSED)
    supersedes = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="superseded_by"
    )
    content_hash = models.CharField(max_length=64, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by_name = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150)
    custom = models.JSONField(default=dict, db_default={}, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["requirement"],
                condition=Q(status="accepted", option__isnull=False),
                name="changes_one_choice",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.title}"

    @property
    def name(self) -> str:
        """How people call it: ADR-3."""
        return f"ADR-{self.number}"


class Scorecard(models.Model):
    """A weighted comparison. `criteria`: [{name, weight}], `candidates`: [names]; weights and scores are decimal texts.

    `scores`: {candidate: {criterion: {score, note}}}.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    title = models.CharField(max_length=200)
    purpose = models.TextField(blank=True, default="")
    requirement = models.ForeignKey(
        Requirement, null=True, blank=True, on_delete=models.SET_NULL, related_name="scorecards"
    )
    owner_team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="scorecards")
    criteria = models.JSONField(default=list)
    candidates = models.JSONField(default=list)
    scores = models.JSONField(default=dict)
    winner = models.CharField(max_length=300, blank=True, default="")  # for lists: the best, several where they tie
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150)
    custom = models.JSONField(default=dict, db_default={}, blank=True)

    def __str__(self) -> str:
        return f"{self.name} {self.title}"

    @property
    def name(self) -> str:
        """How people call it: SC-3."""
        return f"SC-{self.number}"
