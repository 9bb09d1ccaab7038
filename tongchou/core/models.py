"""Nouns of core: people and their access, the ledger, jobs, approvals, secrets, run-time settings."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Role(models.TextChoices):
    """What a person may do; each includes the one before it (see access.PERMISSIONS)."""

    VIEWER = "viewer", _("Viewer")
    OPERATOR = "operator", _("Operator")
    APPROVER = "approver", _("Approver")
    ADMIN = "admin", _("Administrator")


class Origin(models.TextChoices):
    """Who said so: an administrator here, or the groups of a directory or an identity provider."""

    LOCAL = "local", _("Local")
    OIDC = "oidc", _("OIDC")
    LDAP = "ldap", _("LDAP")


class User(AbstractUser):
    """A person or a service account. The password may be unusable (service accounts, OIDC, LDAP).

    `origin` says where an account comes from: only that place may sign it in by its name alone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    display_name = models.CharField(max_length=120, blank=True)
    language = models.CharField(max_length=10, default="zh-hans", choices=[("zh-hans", "简体中文"), ("en", "English")])
    time_zone = models.CharField(max_length=64, default="Asia/Shanghai")
    theme = models.CharField(
        max_length=10,
        default="auto",
        choices=[("auto", _("Follow the system")), ("light", _("Light")), ("dark", _("Dark"))],
    )
    is_service = models.BooleanField(default=False)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.LOCAL, db_default=Origin.LOCAL)
    must_change_password = models.BooleanField(default=False, db_default=False)
    password_changed_at = models.DateTimeField(null=True, blank=True)
    # of a service account: who answers for it, and what it is for
    owner = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="owned")
    owner_team = models.ForeignKey("Team", null=True, blank=True, on_delete=models.SET_NULL, related_name="owned")
    purpose = models.CharField(max_length=200, blank=True, default="", db_default="")

    def __str__(self) -> str:
        return self.display_name or self.username


class OldPassword(models.Model):
    """The hash of a password somebody had, so that it is not taken again."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="old_passwords")
    hash = models.CharField(max_length=128)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.user_id} until {self.at:%Y-%m-%d}"


class Team(models.Model):
    """A group of people that owns nouns; membership rows give roles inside it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A role of a user: everywhere (team is null) or on what one team owns.

    `source` other than local: `source_group` gave it, and only the next sign-in from there changes it by itself.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    source = models.CharField(max_length=10, choices=Origin.choices, default=Origin.LOCAL, db_default=Origin.LOCAL)
    source_group = models.CharField(max_length=255, blank=True, default="", db_default="")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reviewed_by_name = models.CharField(max_length=150, blank=True, default="", db_default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "team"], condition=Q(team__isnull=False), name="core_one_role_a_team"
            ),
            models.UniqueConstraint(fields=["user"], condition=Q(team__isnull=True), name="core_one_global_role"),
        ]

    def __str__(self) -> str:
        return f"{self.role} @ {self.team_id or '*'}"


class ApiToken(models.Model):
    """A bearer token `tc_...`; only its SHA-256 is stored. Never more than its user may do, cut down by scopes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    rotated_to = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="rotated_from"
    )

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"

    def usable(self) -> bool:
        """Tell whether the token is neither revoked nor expired at this moment."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())


class Event(models.Model):
    """One state transition: who did what to which noun, and what it is about. Written once, never changed.

    `id` grows with insertion, not with commit: two transactions may commit in the other order.
    Readers that follow the table must look back a gap window (see ledger.tail).
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    recorded_at = models.DateTimeField(default=timezone.now, db_index=True)
    actor_kind = models.CharField(max_length=10)
    actor_name = models.CharField(max_length=150)
    actor_id = models.UUIDField(null=True, blank=True)
    verb = models.CharField(max_length=80, db_index=True)
    subject = models.CharField(max_length=140)
    payload = models.JSONField(default=dict)
    correlation_id = models.CharField(max_length=80, blank=True, default="")
    dedupe_key = models.CharField(max_length=200, null=True, blank=True, unique=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.id} {self.verb} {self.subject}"


class EventAbout(models.Model):
    """The index of the ledger: every noun an event is about, its subject included."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="abouts")
    ref = models.CharField(max_length=140)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["ref", "event"], name="core_about_once")]

    def __str__(self) -> str:
        return f"{self.event_id} about {self.ref}"


class Segment(models.Model):
    """One month of sealed ledger: a hash chain whose head is signed and carried into the next month.

    `previous_head` is the head of the segment before, so months can be pruned and what is left stays provable.
    """

    id = models.BigAutoField(primary_key=True)
    month = models.CharField(max_length=7, unique=True)  # YYYY-MM, the month of sealing
    previous_head = models.CharField(max_length=64)
    head = models.CharField(max_length=64)
    count = models.BigIntegerField(default=0)
    signature = models.TextField(blank=True, default="")
    sealed_at = models.DateTimeField(default=timezone.now)
    pruned_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["month"]

    def __str__(self) -> str:
        return f"{self.month} ({self.count})"


class Seal(models.Model):
    """The place of one event in its segment's chain."""

    event = models.OneToOneField(Event, primary_key=True, on_delete=models.DO_NOTHING, related_name="seal")
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="seals")
    position = models.BigIntegerField()
    hash = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["segment", "position"], name="core_seal_position")]

    def __str__(self) -> str:
        return f"{self.segment_id}/{self.position}"


class JobState(models.TextChoices):
    """queued -> running -> done; a failed try goes back to queued; after the last try it is dead."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    DEAD = "dead", _("Dead")


class Job(models.Model):
    """Work to do later, at least once. Committed together with what caused it.

    `node`: the one that alone does it, "" for whichever is free.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    payload = models.JSONField(default=dict)
    event = models.ForeignKey(Event, null=True, blank=True, on_delete=models.CASCADE, related_name="jobs")
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    unique_key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001  # NULLs are not unique to each other
    attempts = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=5)
    recoveries = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    run_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=120, blank=True, default="")
    node = models.CharField(max_length=120, blank=True, default="", db_default="")
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["run_at"], condition=Q(state="queued"), name="core_job_due"),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="core_job_leased"),
            models.Index(fields=["state", "finished_at"], name="core_job_state"),
            models.Index(fields=["-created_at", "id"], name="core_job_newest"),
            models.Index(fields=["name", "state", "run_at"], name="core_job_kinds"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["unique_key"], condition=Q(state="queued", unique_key__isnull=False), name="core_job_unique_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.state}"


class Lease(models.Model):
    """Who holds a duty, and until when. Taken and renewed by guarded UPDATE."""

    name = models.CharField(primary_key=True, max_length=120)
    holder = models.CharField(max_length=120, blank=True, default="")
    until = models.DateTimeField(default=timezone.now)
    last_run_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return f"{self.name} -> {self.holder}"


class ApprovalState(models.TextChoices):
    """pending is decided once: approved, rejected, cancelled or expired. What was approved may end early: ended."""

    PENDING = "pending", _("Pending")
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")
    CANCELLED = "cancelled", _("Cancelled")
    EXPIRED = "expired", _("Expired")
    ENDED = "ended", pgettext_lazy("approval", "Ended")


class Approval(models.Model):
    """A person's consent to one content (by hash), one scope, until a time. Nobody approves their own request."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subject = models.CharField(max_length=140, db_index=True)
    action = models.CharField(max_length=80)
    content_hash = models.CharField(max_length=64)
    scope = models.JSONField(default=dict)
    reason = models.TextField(blank=True, default="")
    about = models.JSONField(default=list)
    state = models.CharField(max_length=10, choices=ApprovalState.choices, default=ApprovalState.PENDING, db_index=True)
    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="approvals_requested")
    requested_by_name = models.CharField(max_length=150)
    requested_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="approvals_decided"
    )
    decided_by_name = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True, default="")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["-requested_at"], name="core_approval_newest")]

    def __str__(self) -> str:
        return f"{self.action} {self.subject} {self.state}"


class Secret(models.Model):
    """A value encrypted with a key that is not in the database. Never shown, only used."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    ciphertext = models.TextField()
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)

    def __str__(self) -> str:
        return self.name


class SettingChange(models.Model):
    """A run-time setting is its newest row; the rows before it are its history."""

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=120)
    value = models.JSONField()
    changed_at = models.DateTimeField(default=timezone.now)
    changed_by_name = models.CharField(max_length=150)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["key", "-id"], name="core_setting_newest")]

    def __str__(self) -> str:
        return f"{self.key}={self.value!r}"
