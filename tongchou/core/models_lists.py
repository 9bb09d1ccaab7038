"""Nouns of lists: saved views, how each person wants each list, and batches that change many rows."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import ApiToken, Team, User


class SharedWith(models.TextChoices):
    """Who besides its owner sees a saved view. It never shows them more rows than they may see."""

    NOBODY = "nobody", _("Only me")
    TEAM = "team", _("A team")
    EVERYBODY = "everybody", _("Everybody")


class SavedView(models.Model):
    """A list as somebody wants to see it again: `query` is the address without its "?" (filters, sort, columns).

    Deleted is a time, not an absence, so that it can be undone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=80)
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=4000, blank=True, default="")
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="views")
    shared = models.CharField(max_length=10, choices=SharedWith.choices, default=SharedWith.NOBODY)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="views")
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["kind", "name"], name="core_view_by_kind")]

    def __str__(self) -> str:
        return self.name


class ListPreference(models.Model):
    """How one person wants one list: columns in their order, rows a page, the view it opens with."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="list_preferences")
    kind = models.CharField(max_length=80)
    columns = models.JSONField(default=list)
    rows = models.PositiveIntegerField(default=50)
    view = models.ForeignKey(SavedView, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "kind"], name="core_one_list_preference")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.user_id}"


class BatchState(models.TextChoices):
    """planned (shown, nothing written) -> queued -> running -> done; done may be undone, planned be dropped."""

    PLANNED = "planned", _("Planned")
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    UNDOING = "undoing", _("Being undone")
    UNDONE = "undone", _("Undone")
    DROPPED = "dropped", _("Dropped")


class Batch(models.Model):
    """One change of many rows, or one import: who, what, how far. Its id is the correlation id in the ledger."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=80)
    act = models.CharField(max_length=40)  # the change's name, or "import"
    values = models.JSONField(default=dict)
    file_name = models.CharField(max_length=200, blank=True, default="")
    state = models.CharField(max_length=10, choices=BatchState.choices, default=BatchState.PLANNED)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="batches")
    token = models.ForeignKey(ApiToken, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["user", "-created_at"], name="core_batch_of_user")]

    def __str__(self) -> str:
        return f"{self.act} {self.kind} ({self.state})"


class BatchRow(models.Model):
    """One row of a batch: what it was, what it becomes, and what came of it.

    `plan`: create, change, unchanged or refused. `result` is empty until it was tried: done, failed; then undone, kept.
    """

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField()
    key = models.CharField(max_length=140, blank=True, default="")  # the primary key of the row, once it has one
    label = models.CharField(max_length=300)
    plan = models.CharField(max_length=10)
    result = models.CharField(max_length=10, blank=True, default="")
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["batch", "number"], name="core_batch_row")]
        indexes: ClassVar = [models.Index(fields=["batch", "plan", "result"], name="core_batch_open")]

    def __str__(self) -> str:
        return f"{self.batch_id}#{self.number} {self.plan}"
