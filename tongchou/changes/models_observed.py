"""Nouns of what sources observe: how far the ledger was read, and where each observed attribute stands."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tongchou.changes.models_drift import Drift


class ObservedPlace(models.Model):
    """How far the sealed ledger was read (ADR 0026): the one row there is. Locked, it is the turn to read on."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True)
    month = models.CharField(max_length=7, blank=True, default="")
    position = models.BigIntegerField(default=-1)

    def __str__(self) -> str:
        return f"{self.month}/{self.position}"


class ObservedStanding(models.Model):
    """What is known of one observed attribute beside its item; see observed_fold.Standing for the first five.

    `resources`: of an item that tells of many at once their ids, as many as a change may touch.
    """

    drift = models.OneToOneField(Drift, primary_key=True, on_delete=models.CASCADE, related_name="standing")
    floor = models.BigIntegerField(default=0)
    base_event = models.BigIntegerField(default=0)
    base = models.TextField(blank=True, default="")
    last_event = models.BigIntegerField(default=0)
    last = models.TextField(blank=True, default="")
    resources = models.JSONField(default=list, blank=True)

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.base} -> {self.last}"
