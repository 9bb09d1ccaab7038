"""Nouns of consent: which policy asks for whom, whom one request needs, who said what, who stands in for whom."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Approval, Role, Team, User


class ApprovalPolicy(models.Model):
    """Whom requests of an action need. `conditions`: scope key -> allowed values; `needs`: see consent.read_needs.

    All enabled policies that fit a request hold together; without one, one approver is needed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    action = models.CharField(max_length=80)  # "*": every action
    conditions = models.JSONField(default=dict)
    needs = models.JSONField(default=list)
    expires_seconds = models.PositiveIntegerField(null=True, blank=True)  # at most so long a request waits and holds
    enabled = models.BooleanField(default=True)
    reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class ApprovalNeed(models.Model):
    """`count` different persons of one sort, needed for one request: fixed when it was asked."""

    class Kind(models.TextChoices):
        """Who may fill it."""

        ROLE = "role", _("Role")
        TEAM = "team", _("Approvers of a team")
        PERSON = "person", _("Person")

    id = models.BigAutoField(primary_key=True)
    approval = models.ForeignKey(Approval, on_delete=models.CASCADE, related_name="needs")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    role = models.CharField(max_length=10, choices=Role.choices, blank=True, default="")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="approval_needs")
    person = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="approval_needs")
    count = models.PositiveSmallIntegerField(default=1)
    owner = models.BooleanField(default=False)  # asked for as the team that owns what the request is about

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.count} x {self.kind}"


class ApprovalVote(models.Model):
    """What one person said to one request, for themselves or for one they stand in for. Taken back: withdrawn."""

    id = models.BigAutoField(primary_key=True)
    approval = models.ForeignKey(Approval, on_delete=models.CASCADE, related_name="votes")
    voter = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="approval_votes")
    voter_name = models.CharField(max_length=150)
    principal = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="approval_votes_for")
    principal_name = models.CharField(max_length=150)
    approves = models.BooleanField()
    fills = models.JSONField(default=list)  # the needs the principal could fill at that time
    comment = models.TextField(blank=True, default="")
    at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["approval", "principal"], condition=Q(withdrawn_at__isnull=True), name="core_one_vote_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.voter_name}: {'yes' if self.approves else 'no'}"


class Delegation(models.Model):
    """One person stands in for another until a time: decides as they could. Never passed on further."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    principal = models.ForeignKey(User, on_delete=models.CASCADE, related_name="delegations_given")
    delegate = models.ForeignKey(User, on_delete=models.CASCADE, related_name="delegations_held")
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField()
    reason = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-since", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(principal=F("delegate")), name="core_no_self_delegation"),
            models.CheckConstraint(condition=Q(until__gt=F("since")), name="core_delegation_lasts"),
        ]

    def __str__(self) -> str:
        return f"{self.delegate_id} for {self.principal_id}"
