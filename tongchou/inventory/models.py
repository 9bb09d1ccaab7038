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
    """A tombstone is a resource nobody sees any more; seen again, it is active again, as the same resource.

    What is merged lives on in another resource (models_queues.Merge) and has no identity of its own until it is undone.
    """

    ACTIVE = "active", _("Active")
    TOMBSTONE = "tombstone", _("Gone")
    MERGED = "merged", _("Merged into another")


class Resource(models.Model):
    """A thing the engineer answers for. `labels` are the effective ones, derived from ResourceLabel rows.

    `attributes`, too, are derived: by name what the strongest source says (AttributeValue rows), but for values too
    long to filter by (precedence.MAX_DERIVED).

    `source` and `owner_source` say whose word the name (with kind) and the owner are. An owner that a person cleared is
    null by the word of "manual".
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
    custom_said = models.JSONField(default=dict, db_default={}, blank=True)  # those of them that sources put there
    attributes = models.JSONField(default=dict, db_default={}, blank=True)

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
    """A configured source. `missing_after` looks without a resource, and `grace_seconds` unseen, make it gone.

    `declares`: what it says is meant to be so (a discovery file, another ledger); else it tells what it observes.
    `attribute_precedence`: by attribute, "owner" or "name", the precedence it has there instead of its own.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=64)
    settings = models.JSONField(default=dict, blank=True)
    interval_seconds = models.FloatField(default=60.0)
    enabled = models.BooleanField(default=True)
    precedence = models.PositiveIntegerField(default=100)
    attribute_precedence = models.JSONField(default=dict, db_default={}, blank=True)
    missing_after = models.PositiveIntegerField(default=3)
    grace_seconds = models.FloatField(default=600.0)
    declares = models.BooleanField(default=False, db_default=False)
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


class KindDefinition(models.Model):
    """A kind that people defined. `parent`: the name of the kind whose fields it inherits, "" for none.

    Its own fields are custom fields (core.FieldDefinition) whose `subkinds` name it. `former`: names it had, so that
    what sources report under one of them is the same kind.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    label = models.JSONField(default=dict)  # {"en": ..., "zh": ...}
    description = models.JSONField(default=dict, blank=True)  # the same
    icon = models.CharField(max_length=64, default="shapes")
    tier = models.PositiveSmallIntegerField(default=3)
    group = models.CharField(max_length=64, default="other")
    parent = models.CharField(max_length=64, blank=True, default="")
    former = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class NeededEnd(models.TextChoices):
    """Which end of a relation the other one needs."""

    FROM = "from", _("the first needs to work for the second")
    TO = "to", _("the second needs to work for the first")
    NONE = "none", _("neither needs the other")


class RelationDefinition(models.Model):
    """A relation type that people defined; see catalogue.shapes.RelationType for what its facts mean."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    label = models.JSONField(default=dict)  # {"en": ..., "zh": ...}
    reverse_label = models.JSONField(default=dict)  # the same
    needed = models.CharField(max_length=4, choices=NeededEnd.choices, default=NeededEnd.TO)
    cardinality = models.CharField(max_length=20, default="many-to-many")
    from_kinds = models.JSONField(default=list, blank=True)
    to_kinds = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class SourceRun(models.Model):
    """A look of a source and what came of it; `looks` in a row without news, or with the same failure, are one.

    `at` is the first and `last_at` the newest of them; `plan` what was changed, as plan_lines, cut to a stated number.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(SourceConfig, on_delete=models.CASCADE, related_name="runs")
    at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)
    looks = models.PositiveIntegerField(default=1)
    by = models.CharField(max_length=150)
    failed = models.BooleanField(default=False)
    error = models.TextField(blank=True, default="")
    remedy = models.TextField(blank=True, default="")
    counts = models.JSONField(default=dict)
    notes = models.JSONField(default=list)
    plan = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["source", "-id"], name="inventory_runs_of"),
            models.Index(fields=["last_at"], name="inventory_runs_at"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


class Stamp(models.Model):
    """A token that changes with every change of what its row stands for.

    That is: the graph, anything recorded, the queues, definitions of kinds, prefixes and addresses.

    By the first the graph cache knows that it is stale; by the second a sync knows that somebody wrote between its
    comparison and its write; by the others a process that its copy of what people defined, or of the addresses, is.
    A token, not a count: rolled back, it is the old token again.
    """

    GRAPH = 1
    ANYTHING = 2
    QUEUES = 3
    KINDS = 4
    ADDRESSES = 5

    id = models.PositiveSmallIntegerField(primary_key=True)
    token = models.UUIDField(default=uuid.uuid4)

    def __str__(self) -> str:
        return str(self.token)
