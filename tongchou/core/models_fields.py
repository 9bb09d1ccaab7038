"""Nouns of core: the custom fields that people define, their choices, and the stamp of both."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ChoiceSet(models.Model):
    """The choices of select fields. `choices`: [{"value", "en", "zh", "colour"}] in the order they are offered."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=50, unique=True)
    label = models.JSONField(default=dict)  # {"en": ..., "zh": ...}
    choices = models.JSONField(default=list)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class FieldType(models.TextChoices):
    """What a custom field holds; fixed once the field exists."""

    TEXT = "text", _("Text")
    LONG_TEXT = "long_text", _("Long text")
    INTEGER = "integer", _("Whole number")
    DECIMAL = "decimal", _("Decimal number")
    BOOLEAN = "boolean", _("Yes or no")
    DATE = "date", _("Date")
    DATE_TIME = "datetime", _("Date and time")
    URL = "url", _("Web address")
    JSON = "json", _("JSON")
    SELECT = "select", _("One choice")
    MULTI_SELECT = "multi_select", _("Several choices")
    OBJECT = "object", _("One thing")
    MULTI_OBJECT = "multi_object", _("Several things")


class FilterLogic(models.TextChoices):
    """How lists may be filtered by a field: not at all, by a part of the text, by the whole value only."""

    DISABLED = "disabled", _("No filter")
    LOOSE = "loose", _("A part is enough")
    EXACT = "exact", _("The whole value")


class FieldVisible(models.TextChoices):
    """When pages show a field."""

    ALWAYS = "always", _("Always")
    IF_SET = "if_set", _("When it has a value")
    HIDDEN = "hidden", _("Never")


class FieldEditable(models.TextChoices):
    """Whether forms offer a field; the API and imports may write it in any case."""

    YES = "yes", _("Yes")
    NO = "no", _("Shown, not changed")
    HIDDEN = "hidden", _("Not in forms")


class FieldDefinition(models.Model):
    """A custom field of one sort of noun. `kind`: "room.noun". `subkinds`: [] for all of them.

    Deleted ones keep their values until `custom_fields.keep_deleted_days` are over, so that they can be put back.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=80)
    subkinds = models.JSONField(default=list)
    name = models.CharField(max_length=50)
    type = models.CharField(max_length=20, choices=FieldType.choices)
    label = models.JSONField(default=dict)  # {"en": ..., "zh": ...}
    description = models.JSONField(default=dict)  # the same
    group = models.JSONField(default=dict)  # the same; {} without a heading
    weight = models.PositiveIntegerField(default=100)
    required = models.BooleanField(default=False)
    unique = models.BooleanField(default=False)
    default = models.JSONField(null=True, blank=True)
    minimum = models.JSONField(null=True, blank=True)
    maximum = models.JSONField(null=True, blank=True)
    pattern = models.CharField(max_length=500, blank=True, default="")
    max_length = models.PositiveIntegerField(null=True, blank=True)
    choice_set = models.ForeignKey(
        ChoiceSet, null=True, blank=True, on_delete=models.PROTECT, related_name="definitions"
    )
    object_kind = models.CharField(max_length=80, blank=True, default="")
    filter_logic = models.CharField(max_length=10, choices=FilterLogic.choices, default=FilterLogic.LOOSE)
    visible = models.CharField(max_length=10, choices=FieldVisible.choices, default=FieldVisible.ALWAYS)
    editable = models.CharField(max_length=10, choices=FieldEditable.choices, default=FieldEditable.YES)
    cloneable = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["kind", "weight", "name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["kind", "name"], name="core_field_name_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class FieldStamp(models.Model):
    """One row whose token changes with every change of a definition: by it every process knows its copy is stale.

    A token, not a count: rolled back, it is the old token again.
    """

    id = models.PositiveSmallIntegerField(primary_key=True)
    token = models.UUIDField(default=uuid.uuid4)

    def __str__(self) -> str:
        return str(self.token)
