"""Nouns of drift: what was observed of a resource and is not what code, a playbook or a baseline expects."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.inventory.models import Resource


class DriftSource(models.TextChoices):
    """Who says what should be."""

    IAC = "iac", _("Infrastructure as code")
    PLAYBOOK = "playbook", _("Playbook")
    BASELINE = "baseline", _("Baseline")
    OBSERVED = "observed", _("Observation")


class DriftWhat(models.TextChoices):
    """What was observed, of items that no code and no baseline says anything about."""

    FACT = "fact", _("Fact")
    LISTENER = "listener", _("Listening port")
    SCHEMA = "schema", _("Database schema")
    DEPLOYMENT = "deployment", _("Deployment")


class DriftState(models.TextChoices):
    """See drift.py for the way between them. `open` is the queue of unexplained modifications."""

    WATCHED = "watched", _("Watched")
    OPEN = "open", _("Unexplained")
    WITH_CHANGE = "with_change", _("With a change")
    ADOPT = "adopt", _("To be adopted")
    REVERT = "revert", _("To be reverted")
    IGNORED = "ignored", _("Ignored")
    CLEARED = "cleared", _("Gone")


class DriftIgnore(models.Model):
    """A rule: what fits it is ignored, with its reason, until a day. Empty patterns fit everything.

    `resource` and `path` are shell patterns (`*`, `?`) over the resource's name and the path of a difference.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source_kind = models.CharField(max_length=10, choices=DriftSource.choices, blank=True, default="")
    source_ref = models.CharField(max_length=140, blank=True, default="")
    resource = models.CharField(max_length=253, blank=True, default="")
    path = models.CharField(max_length=500, blank=True, default="")
    reason = models.CharField(max_length=500)
    until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.resource or '*'} {self.path or '*'}"


class Drift(models.Model):
    """One difference of one resource, from when it was first seen until it is gone, and again when it returns.

    (`source_ref`, `subject`, `path`) is the identity, kept as its SHA-256 in `key`. `subject` is what the source calls
    the thing (an address of Terraform, a host's name); `resource` is null while the inventory does not know it.
    `consecutive` counts looks that saw it without one in between that did not. `expected`, `observed` and `diff` are
    bounded and hold no secret: who observes has masked them. `change_ref`: the change that explains it, or that was
    opened to put it back. `what`: of an observation its sort; `touched`: how many resources the item tells of.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=64, unique=True)
    source_kind = models.CharField(max_length=10, choices=DriftSource.choices)
    what = models.CharField(max_length=10, choices=DriftWhat.choices, blank=True, default="", db_default="")
    touched = models.PositiveIntegerField(default=1, db_default=1)
    source_ref = models.CharField(max_length=140)
    source_name = models.CharField(max_length=253)
    resource = models.ForeignKey(Resource, null=True, blank=True, on_delete=models.SET_NULL, related_name="drift")
    subject = models.CharField(max_length=500)
    path = models.CharField(max_length=1000)
    expected = models.TextField(blank=True, default="")
    observed = models.TextField(blank=True, default="")
    diff = models.TextField(blank=True, default="")
    state = models.CharField(max_length=12, choices=DriftState.choices, default=DriftState.WATCHED)
    consecutive = models.PositiveIntegerField(default=1)
    returned = models.PositiveIntegerField(default=0)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True)
    cleared_at = models.DateTimeField(null=True, blank=True)
    ignored_by = models.ForeignKey(DriftIgnore, null=True, blank=True, on_delete=models.SET_NULL, related_name="items")
    change_ref = models.CharField(max_length=140, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")
    until = models.DateTimeField(null=True, blank=True)
    decided_by_name = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["state", "-last_seen_at", "-id"], name="changes_drift_queue"),
            models.Index(fields=["-last_seen_at", "-id"], name="changes_drift_newest"),
            models.Index(fields=["source_ref", "state"], name="changes_drift_of_source"),
            models.Index(fields=["resource", "state"], name="changes_drift_of_resource"),
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {self.path}"

    @property
    def differing(self) -> bool:
        """Whether the last look still saw it."""
        return self.state != DriftState.CLEARED
