"""What an incident was caused by, as somebody said outright: the only link by which a deployment counts as failed."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.incidents.models import Incident


class CausedByVia(models.TextChoices):
    """Where it was said: by a person in the room, or as a trigger in the postmortem (and gone with that)."""

    PERSON = "person", _("in the incident room")
    POSTMORTEM = "postmortem", _("in the postmortem")


class CausedBy(models.Model):
    """An incident names a deployment that caused it. `ref` points at a noun of a room this one does not know."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="caused_by")
    ref = models.CharField(max_length=140)
    title = models.CharField(max_length=300, blank=True, default="")
    via = models.CharField(max_length=12, choices=CausedByVia.choices, default=CausedByVia.PERSON)
    named_at = models.DateTimeField(default=timezone.now)
    named_by_name = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["named_at", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["incident", "ref"], name="incidents_caused_once")]
        indexes: ClassVar = [models.Index(fields=["ref"], name="incidents_caused_ref")]

    def __str__(self) -> str:
        return f"{self.incident_id} {self.ref}"
