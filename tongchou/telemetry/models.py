"""What telemetry keeps in the relational store: searches of log lines that are counted, dashboards."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from tongchou.core.models import Team


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


class Dashboard(models.Model):
    """Panels on one page. `definition` is what telemetry.dashboards.definition reads; `version` counts its changes.

    `owner` answers for it; who may see and change it is a matter of telemetry's permissions. `origin`: where it came
    from ("grafana", "offered:hosts", ""). A row that is deleted keeps its history, and its name is free again.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=80)
    title = models.CharField(max_length=200)
    folder = models.CharField(max_length=100, blank=True, default="")
    tags: Any = models.JSONField(default=list)
    description = models.TextField(max_length=20_000, blank=True, default="")
    owner = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="dashboards")
    definition: Any = models.JSONField(default=dict)
    panel_count = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)
    origin = models.CharField(max_length=60, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by_name = models.CharField(max_length=150, blank=True, default="")
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["title", "id"]
        indexes: ClassVar = [
            models.Index(fields=["title", "id"], name="telemetry_dashboard_title"),
            models.Index(fields=["updated_at", "id"], name="telemetry_dashboard_changed"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(deleted_at__isnull=True), name="telemetry_dashboard_name"
            )
        ]

    def __str__(self) -> str:
        return self.title


class DashboardVersion(models.Model):
    """What a dashboard was after one change, whole: any of them can be had back."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dashboard = models.ForeignKey(Dashboard, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content: Any = models.JSONField(default=dict)
    note = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    created_by_name = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["dashboard", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["dashboard", "number"], name="telemetry_dashboard_version")
        ]

    def __str__(self) -> str:
        return f"{self.dashboard_id} v{self.number}"
