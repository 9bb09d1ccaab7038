"""What telemetry keeps in the relational store: searches of log lines that are counted."""

from __future__ import annotations

import uuid
from typing import Any

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


class SeriesNumber(models.Model):
    """The number of a series in a telemetry store that several processes write; `digest` stands for its labels."""

    digest = models.BinaryField(primary_key=True, max_length=32)
    number = models.BigIntegerField(unique=True)

    def __str__(self) -> str:
        return str(self.number)


class SeriesCounter(models.Model):
    """One row: the next number of a series. Whoever gives out numbers holds its lock."""

    following = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.following)


class ScrapeSnapshot(models.Model):
    """One row: targets and metadata as the process that scrapes last wrote them down, for those that do not."""

    at = models.DateTimeField(default=timezone.now)
    targets: Any = models.JSONField(default=list)
    metadata: Any = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{len(self.targets)} targets"
