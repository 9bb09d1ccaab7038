"""What telemetry keeps in the relational store: searches of log lines that are counted."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone


class SavedSearch(models.Model):
    """A search whose new lines are counted into the series log_search_lines_total{search, service}.

    `totals` are lines per service since the search was made; `counted_to` is the place, in the order in which lines
    arrive, up to which they are counted.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    query = models.TextField(max_length=10_000)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    totals = models.JSONField(default=dict)
    counted_to = models.BigIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True, default="")
