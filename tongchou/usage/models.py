"""Nouns of the usage room: what a span of time cost, with all that went into the figure."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone


class Impact(models.Model):
    """The revenue lost by one thing (an incident), as computed last; `inputs` hold every number that went into it.

    Computing `impact.assess` again from `inputs` gives the same figures. `reason` says why there is none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    about = models.CharField(max_length=140, unique=True)  # a ref
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    final = models.BooleanField(default=False)  # the time for catching up is over: later samples change nothing
    reason = models.CharField(max_length=40, blank=True, default="")
    query = models.TextField(blank=True, default="")
    currency = models.CharField(max_length=3, default="CNY")
    lost = models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True)
    low = models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True)
    high = models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True)
    expected = models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True)
    actual = models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True)
    caught_up = models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True)
    inputs = models.JSONField(default=dict)
    method = models.CharField(max_length=40)
    assessed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-begins_at"]

    def __str__(self) -> str:
        return f"{self.about}: {self.lost if self.lost is not None else self.reason} {self.currency}"
