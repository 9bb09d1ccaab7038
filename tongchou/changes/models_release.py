"""Nouns of releases: environments, artefacts, how a service is rolled out, the release, its items and batches."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.changes.models import Deployment
from tongchou.changes.models_control import Change
from tongchou.core.models import Approval, User
from tongchou.inventory.models import Resource
from tongchou.runbooks.models import Procedure, Run


class Consent(models.TextChoices):
    """Whom a release into an environment asks: each release by itself, or once the way it is rolled out."""

    EACH = "each", _("Each release")
    STANDING = "standing", _("The way it is rolled out, once")


class Environment(models.Model):
    """A step of the way of a version, such as test, staging, production. A version goes from low positions to high.

    `soak_seconds`: how long it must have been in the environment before without a rollback. `consent`: see Consent.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    position = models.PositiveIntegerField(default=100)
    needs_previous = models.BooleanField(default=True)
    soak_seconds = models.PositiveIntegerField(default=0)
    consent = models.CharField(max_length=10, choices=Consent.choices, default=Consent.EACH)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class Artefact(models.Model):
    """A version of a service that can be rolled out: what it is, where it lies, what it was built from.

    `reference`: an image, a package URL, an address. `digest` (sha256, hexadecimal) never changes once it is known.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    service = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="artefacts")
    version = models.CharField(max_length=120)
    reference = models.CharField(max_length=500, blank=True, default="")
    digest = models.CharField(max_length=64, blank=True, default="")
    commit_sha = models.CharField(max_length=64, blank=True, default="")
    commit_at = models.DateTimeField(null=True, blank=True)
    url = models.CharField(max_length=2000, blank=True, default="")
    notes = models.TextField(blank=True, default="")
    source = models.CharField(max_length=80)
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["service", "version"], name="changes_one_artefact")]
        indexes: ClassVar = [models.Index(fields=["-created_at", "-id"], name="changes_artefact_newest")]

    def __str__(self) -> str:
        return f"{self.service.name} {self.version}"


class OnFailure(models.TextChoices):
    """What a release does when a batch fails or a check says no."""

    ROLLBACK = "rollback", _("Roll back")
    PAUSE = "pause", _("Pause and ask")


class Rollout(models.Model):
    """How a service is rolled out in an environment: the procedure, its targets, batches, checks, and the way back.

    `params` may name ${version} and the like (release.said). `batches` are sizes, a number or a percentage; the last
    goes on. `checks`: [{query, is, says, always}] or [{objective}], asked while a batch bakes. `approved_hash`: the
    content that consent was given to once, where the environment wants that.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    service = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="rollouts")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="rollouts")
    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, related_name="rollouts")
    params = models.JSONField(default=dict, blank=True)
    targets = models.JSONField(default=dict, blank=True)
    batches = models.JSONField(default=list, blank=True)
    bake_seconds = models.PositiveIntegerField(default=60)
    confirm_after = models.PositiveIntegerField(default=0)  # batches, after which a person says go on; 0: never
    checks = models.JSONField(default=list, blank=True)
    on_failure = models.CharField(max_length=10, choices=OnFailure.choices, default=OnFailure.ROLLBACK)
    rollback_procedure = models.ForeignKey(
        Procedure, null=True, blank=True, on_delete=models.PROTECT, related_name="rolls_back"
    )
    rollback_params = models.JSONField(default=dict, blank=True)
    approval = models.ForeignKey(Approval, null=True, blank=True, on_delete=models.SET_NULL, related_name="rollouts")
    approved_hash = models.CharField(max_length=64, blank=True, default="")
    version_number = models.PositiveIntegerField(default=1)
    retired_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["service", "environment"], condition=Q(retired_at__isnull=True), name="changes_one_rollout"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service.name} {self.environment.name}"


class ReleaseState(models.TextChoices):
    """See release.machine for the way between them."""

    DRAFT = "draft", _("Draft")
    AUTHORIZE = "authorize", _("Awaiting approval")
    READY = "ready", _("Ready")
    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    ROLLING_BACK = "rolling_back", _("Rolling back")
    SUCCEEDED = "succeeded", _("Succeeded")
    ROLLED_BACK = "rolled_back", _("Rolled back")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class PieceState(models.TextChoices):
    """Of an item or a batch. left: it was altered and nobody took it back; skipped: never touched."""

    WAITING = "waiting", pgettext_lazy("batch", "Waiting")
    RUNNING = "running", _("Running")
    BAKING = "baking", _("Being watched")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    ROLLING_BACK = "rolling_back", _("Rolling back")
    ROLLED_BACK = "rolled_back", _("Rolled back")
    LEFT = "left", _("Left as it is")
    SKIPPED = "skipped", _("Not touched")


class Release(models.Model):
    """Versions that go into an environment together, one service after the other, each in batches.

    `content` is everything that consent covers, with the hash of each run that will be requested; `content_hash` its
    hash. `outcome` is a reason as {code, params}: why it paused, failed or went back.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    title = models.CharField(max_length=200)
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="releases")
    state = models.CharField(max_length=12, choices=ReleaseState.choices, default=ReleaseState.DRAFT)
    together = models.BooleanField(default=True)  # when one service fails, those before it go back, too
    skip_promotion = models.CharField(max_length=500, blank=True, default="")  # why the environment before is skipped
    content = models.JSONField(default=dict)
    content_hash = models.CharField(max_length=64, blank=True, default="")
    change = models.ForeignKey(Change, null=True, blank=True, on_delete=models.SET_NULL, related_name="releases")
    approval = models.ForeignKey(Approval, null=True, blank=True, on_delete=models.SET_NULL, related_name="releases")
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="releases")
    requested_by_name = models.CharField(max_length=150)
    started_by_name = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.JSONField(default=dict, blank=True)
    confirmed = models.PositiveIntegerField(default=0)  # batches, up to which a person said go on
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        indexes: ClassVar = [models.Index(fields=["state", "-number"], name="changes_release_by_state")]

    def __str__(self) -> str:
        return f"{self.name} {self.title}"

    @property
    def name(self) -> str:
        """How people call it: REL-7."""
        return f"REL-{self.number}"


class ReleaseItem(models.Model):
    """A service of a release, with the version it goes to and the one it comes from ("": nobody knows)."""

    id = models.BigAutoField(primary_key=True)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField()
    service = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="release_items")
    artefact = models.ForeignKey(Artefact, on_delete=models.PROTECT, related_name="release_items")
    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="release_items")
    previous_version = models.CharField(max_length=120, blank=True, default="")
    state = models.CharField(max_length=12, choices=PieceState.choices, default=PieceState.WAITING)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deployment = models.ForeignKey(
        Deployment, null=True, blank=True, on_delete=models.SET_NULL, related_name="release_items"
    )

    class Meta:
        ordering: ClassVar = ["release", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["release", "position"], name="changes_item_position"),
            models.UniqueConstraint(fields=["release", "service"], name="changes_item_service"),
        ]

    def __str__(self) -> str:
        return f"{self.service.name} {self.artefact.version}"


class ReleaseBatch(models.Model):
    """Targets of an item that are done together. `checks`: what was seen while it baked, the last of each.

    `attempt` counts runs that were requested for it; `run` is the last, `rollback_run` the one that took it back.
    """

    id = models.BigAutoField(primary_key=True)
    item = models.ForeignKey(ReleaseItem, on_delete=models.CASCADE, related_name="batches")
    number = models.PositiveIntegerField()
    targets = models.JSONField(default=list)  # [{ref, name}]
    state = models.CharField(max_length=12, choices=PieceState.choices, default=PieceState.WAITING)
    attempt = models.PositiveIntegerField(default=0)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="release_batches")
    rollback_run = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="release_batches_back"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    bakes_since = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    checks = models.JSONField(default=list)
    reason = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["item", "number"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["item", "number"], name="changes_batch_number")]

    def __str__(self) -> str:
        return f"{self.item} {self.number}"
