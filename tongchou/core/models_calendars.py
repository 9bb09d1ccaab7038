"""Nouns of time: calendars (which days and hours are worked) and windows (when something may, or must not, be done)."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Calendar(models.Model):
    """A week's hours in a time zone, a country's holidays, exceptions. `week`: seven lists of ["09:00", "18:00"]."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64)
    country = models.CharField(max_length=2, blank=True, default="")
    week = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.title or self.name


class CalendarDay(models.Model):
    """An exception: what is worked on one day, whatever the week and the holidays say. No hours: a day off."""

    id = models.BigAutoField(primary_key=True)
    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    hours = models.JSONField(default=list)
    note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["day"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["calendar", "day"], name="core_calendar_day_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.note}"


class WindowKind(models.TextChoices):
    """What a window means to those who read it."""

    MAINTENANCE = "maintenance", _("Maintenance window")
    FREEZE = "freeze", _("Freeze")
    HOURS = "hours", _("Hours of attendance")


class WindowDays(models.TextChoices):
    """Which of the occurrences count, by the window's calendar and the local day they begin on."""

    ALL = "all", _("Every day of the rule")
    WORKDAYS = "workdays", _("Only workdays")
    DAYS_OFF = "days_off", _("Only days off")


class Window(models.Model):
    """A time that repeats. `starts_at` is the wall clock in `time_zone`; `rule` is RFC 5545 ("" = once).

    `about`: Refs it is for; none means everything. `left_out` and `added`: wall times as ISO text.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=12, choices=WindowKind.choices)
    reason = models.TextField(blank=True, default="")
    calendar = models.ForeignKey(Calendar, null=True, blank=True, on_delete=models.PROTECT, related_name="windows")
    time_zone = models.CharField(max_length=64)
    starts_at = models.CharField(max_length=16)  # 2026-03-01T22:00
    duration_seconds = models.PositiveIntegerField()
    rule = models.CharField(max_length=500, blank=True, default="")
    days = models.CharField(max_length=10, choices=WindowDays.choices, default=WindowDays.ALL)
    left_out = models.JSONField(default=list, blank=True)
    added = models.JSONField(default=list, blank=True)
    about = models.JSONField(default=list, blank=True)
    created_by_name = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name"], condition=Q(ended_at__isnull=True), name="core_window_name"),
            models.CheckConstraint(condition=Q(duration_seconds__gt=0), name="core_window_lasts"),
        ]

    def __str__(self) -> str:
        return self.name
