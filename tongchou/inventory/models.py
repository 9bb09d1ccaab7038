"""Nouns of the inventory: resources and what sources said about them, relations, holds, endpoints, sources."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Team


class ResourceState(models.TextChoices):
    """A tombstone is a resource nobody sees any more; seen again, it is active again, as the same resource."""

    ACTIVE = "active", _("Active")
    TOMBSTONE = "tombstone", _("Gone")


class Resource(models.Model):
    """A thing the engineer answers for. `labels` are the effective ones, derived from ResourceLabel rows.

    `source` and `owner_source` say whose word the name (with kind) and the owner are.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=64)
    name = models.CharField(max_length=253)
    owner = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="resources")
    labels = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=ResourceState.choices, default=ResourceState.ACTIVE)
    source = models.CharField(max_length=120)
    owner_source = models.CharField(max_length=120, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    gone_at = models.DateTimeField(null=True, blank=True)
    custom = models.JSONField(default=dict, db_default={}, blank=True)  # values of custom fields, by name

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["state", "name", "id"], name="inventory_by_name"),
            models.Index(fields=["state", "kind", "name", "id"], name="inventory_by_kind"),
            models.Index(fields=["owner", "state", "name", "id"], name="inventory_by_owner"),
            models.Index(fields=["name"], name="inventory_name"),
            models.Index(fields=["state", "created_at", "id"], name="inventory_by_age"),
            models.Index(fields=["kind", "name", "id"], name="inventory_all_by_kind"),  # with those that are gone
            models.Index(fields=["created_at", "id"], name="inventory_all_by_age"),
        ]

    def __str__(self) -> str:
        return self.name


class ResourceLabel(models.Model):
    """The index of labels, and whose word each one is: one row for each label a resource has."""

    id = models.BigAutoField(primary_key=True)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="label_rows")
    name = models.CharField(max_length=120)
    value = models.CharField(max_length=1000)
    source = models.CharField(max_length=120)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["resource", "name"], name="inventory_one_label")]
        indexes: ClassVar = [models.Index(fields=["name", "value", "resource"], name="inventory_by_label")]

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class Identity(models.Model):
    """A key by which a resource is recognised whoever reports it: serial, UUID, MAC, FQDN, "service:orders"."""

    id = models.BigAutoField(primary_key=True)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="identities")
    key = models.CharField(max_length=255, unique=True)

    def __str__(self) -> str:
        return self.key


class AttributeValue(models.Model):
    """What one source says about one attribute; written only when it changes (last_seen is the Sighting's)."""

    id = models.BigAutoField(primary_key=True)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="attribute_values")
    source = models.CharField(max_length=120)
    name = models.CharField(max_length=120)
    value = models.JSONField(null=True)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["resource", "name", "source"], name="inventory_one_value_a_source")
        ]

    def __str__(self) -> str:
        return f"{self.name}={self.value!r} ({self.source})"


class Sighting(models.Model):
    """When a source last saw a resource. `missed`: complete looks without it since; `gone_at`: it was given up."""

    id = models.BigAutoField(primary_key=True)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="sightings")
    source = models.CharField(max_length=120)
    last_seen = models.DateTimeField(default=timezone.now)
    missed = models.PositiveIntegerField(default=0)
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["resource", "source"], name="inventory_one_sighting")]
        indexes: ClassVar = [models.Index(fields=["source", "last_seen"], name="inventory_seen_by")]

    def __str__(self) -> str:
        return f"{self.source} {self.last_seen:%Y-%m-%d %H:%M:%S}"


class Relation(models.Model):
    """A typed edge and the time it held; open while `valid_to` is null. Closed, not deleted: the past is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    from_resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="relations_out")
    to_resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="relations_in")
    type = models.CharField(max_length=64)
    source = models.CharField(max_length=120)
    origin = models.CharField(max_length=20, default="declared")
    confidence = models.FloatField(default=1.0)
    valid_from = models.DateTimeField(default=timezone.now)
    valid_to = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["from_resource", "to_resource", "type", "source"],
                condition=Q(valid_to__isnull=True),
                name="inventory_one_open_relation",
            ),
            models.CheckConstraint(
                condition=~Q(from_resource=models.F("to_resource")), name="inventory_no_self_relation"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["source"], condition=Q(valid_to__isnull=True), name="inventory_open_by_source")
        ]

    def __str__(self) -> str:
        return f"{self.from_resource_id} {self.type} {self.to_resource_id}"


class Hold(models.Model):
    """A stop on a resource that lower rooms obey: no deployment, no page. Ends at `until` or when lifted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="holds")
    kind = models.CharField(max_length=64)
    reason = models.TextField()
    opened_by = models.CharField(max_length=150)
    opened_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["resource", "kind"], condition=Q(lifted_at__isnull=True), name="inventory_open_holds")
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason[:60]}"


class Endpoint(models.Model):
    """Where a resource can be read. `job` and `instance` repeat those labels, so that a series finds its resource."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="endpoints")
    purpose = models.CharField(max_length=32, default="metrics")
    url = models.CharField(max_length=2000)
    labels = models.JSONField(default=dict, blank=True)
    job = models.CharField(max_length=253, blank=True, default="")
    instance = models.CharField(max_length=253, blank=True, default="")
    interval_seconds = models.FloatField(default=15.0)
    timeout_seconds = models.FloatField(default=10.0)
    enabled = models.BooleanField(default=True)
    source = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["resource", "purpose", "url", "source"], name="inventory_one_endpoint")
        ]
        indexes: ClassVar = [models.Index(fields=["job", "instance"], name="inventory_by_target")]

    def __str__(self) -> str:
        return self.url


class SourceConfig(models.Model):
    """A configured source. `missing_after` looks without a resource, and `grace_seconds` unseen, make it gone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=64)
    settings = models.JSONField(default=dict, blank=True)
    interval_seconds = models.FloatField(default=60.0)
    enabled = models.BooleanField(default=True)
    precedence = models.PositiveIntegerField(default=100)
    missing_after = models.PositiveIntegerField(default=3)
    grace_seconds = models.FloatField(default=600.0)
    created_at = models.DateTimeField(default=timezone.now)
    last_run_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    last_remedy = models.TextField(blank=True, default="")
    last_result = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Stamp(models.Model):
    """A token that changes with every change of what its row stands for: the graph, or anything recorded.

    By the first the graph cache knows that it is stale; by the second a sync knows that somebody wrote between its
    comparison and its write. A token, not a count: rolled back, it is the old token again.
    """

    GRAPH = 1
    ANYTHING = 2

    id = models.PositiveSmallIntegerField(primary_key=True)
    token = models.UUIDField(default=uuid.uuid4)

    def __str__(self) -> str:
        return str(self.token)
