"""Nouns of truth about the inventory: what waits for a person's decision, what was accepted, what was made one."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.inventory.models import Resource


class QueueName(models.TextChoices):
    """The queues. Each says what is not known for sure, or what nobody answers for."""

    DIFFERS = "differs", _("Declared differs from observed")
    UNRECORDED = "unrecorded", _("Seen, not recorded")
    UNSEEN = "unseen", _("Not seen for long")
    UNOWNED = "unowned", _("Without owner")
    EXPIRING = "expiring", _("Expiring, end of life")
    IDENTITY = "identity", _("Conflicts of identity")
    UNRELATED = "unrelated", _("Without its relations")
    UNFILLED = "unfilled", _("Required fields empty")


class ItemState(models.TextChoices):
    """Open; kept as declared until the observed value is another one; ignored until a day."""

    OPEN = "open", _("Open")
    KEPT = "kept", _("Kept as declared")
    IGNORED = "ignored", _("Ignored for a time")


class QueueItem(models.Model):
    """One thing in a queue. It is there exactly as long as it is true, whoever looks; `since`: how long it is known.

    `key` tells the items of one resource apart (an attribute, an end). Without a resource it is the thing itself, such
    as a scraped instance. `mark` is the digest of what was found: a decision holds for that, not for something else.
    Of the queue "expiring" every known end is here with its day `due` (NULL: unknown), the far ones too.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    queue = models.CharField(max_length=16, choices=QueueName.choices)
    resource = models.ForeignKey(Resource, null=True, blank=True, on_delete=models.CASCADE, related_name="queue_items")
    key = models.CharField(max_length=255, blank=True, default="")
    facts = models.JSONField(default=dict, blank=True)
    mark = models.CharField(max_length=64, blank=True, default="")
    due = models.DateField(null=True, blank=True)
    since = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=8, choices=ItemState.choices, default=ItemState.OPEN)
    until = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, default="")
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["queue", "resource", "key"], condition=Q(resource__isnull=False), name="inventory_one_item"
            ),
            models.UniqueConstraint(
                fields=["queue", "key"], condition=Q(resource__isnull=True), name="inventory_one_item_alone"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["queue", "state", "since", "id"], name="inventory_queue"),
            models.Index(fields=["queue", "state", "due", "id"], name="inventory_due"),
            models.Index(fields=["since", "id"], name="inventory_items_by_age"),
            models.Index(fields=["due", "id"], name="inventory_items_by_due"),
            models.Index(fields=["until"], condition=Q(until__isnull=False), name="inventory_items_ignored"),
        ]

    def __str__(self) -> str:
        name = self.resource.name if self.resource is not None else self.key
        return f"{name}: {self.get_queue_display()}"


class Acceptance(models.Model):
    """A person took what a source had only observed into the inventory: from then on it is recorded."""

    id = models.BigAutoField(primary_key=True)
    resource = models.OneToOneField(Resource, on_delete=models.CASCADE, related_name="acceptance")
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True, default="")

    def __str__(self) -> str:
        return f"{self.by} {self.at:%Y-%m-%d}"


class Merge(models.Model):
    """Two resources were one: `absorbed` went into `kept`. `journal`: what moved, so that it can be taken apart again.

    One row in force for each absorbed resource: its old id points on to `kept`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kept = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="merges")
    absorbed = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="merged_by")
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True, default="")
    journal = models.JSONField(default=dict)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["absorbed"], condition=Q(undone_at__isnull=True), name="inventory_merged_once"
            ),
            models.CheckConstraint(condition=~Q(kept=models.F("absorbed")), name="inventory_no_self_merge"),
        ]

    def __str__(self) -> str:
        return f"{self.absorbed_id} -> {self.kept_id}"
