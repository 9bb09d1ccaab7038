"""Nouns of what the inventory gives out: serial numbers of zones, subscriptions and what was sent to them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import User
from tongchou.core.sealed import SealedJSONField


class ZoneSerial(models.Model):
    """The serial a zone was last given out with, and for which content. It only grows."""

    zone = models.CharField(max_length=253, primary_key=True)
    digest = models.CharField(max_length=64)
    serial = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.zone} {self.serial}"


class Mode(models.TextChoices):
    """How an event is written into the request (CloudEvents 1.0, HTTP binding)."""

    STRUCTURED = "structured", _("structured: everything in the body")
    BINARY = "binary", _("binary: attributes as headers")


class Subscription(models.Model):
    """Who is told of changes of the inventory: an address, which events, and how far in the ledger it has come.

    `month`, `position`: the place in the sealed ledger of the last event that was looked at. `target`: url and headers.
    `stopped_at`: it failed too often in a row; what waits is kept, it goes on from there once it is switched on.
    `lost_events`, `lost_month`: what the ledger's retention pruned before it was read, and the last month of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    target = SealedJSONField(default=dict)  # addresses and headers may carry keys
    secret = SealedJSONField(null=True, blank=True)
    verbs = models.JSONField(default=list)
    kinds = models.JSONField(default=list, blank=True)
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.STRUCTURED)
    enabled = models.BooleanField(default=True)
    month = models.CharField(max_length=7, blank=True, default="")
    position = models.BigIntegerField(default=-1)
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    busy_until = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")
    last_sent_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    lost_events = models.BigIntegerField(default=0, db_default=0)
    lost_month = models.CharField(max_length=7, blank=True, default="", db_default="")

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class DeliveryState(models.TextChoices):
    """queued until the receiver took it; refused is what the receiver will never take."""

    QUEUED = "queued", _("Queued")
    SENT = "sent", _("Sent")
    REFUSED = "refused", _("Refused")


class Delivery(models.Model):
    """One event for one subscription, written before it is sent: every try sends the same bytes with the same id."""

    id = models.BigAutoField(primary_key=True)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="deliveries")
    event_number = models.BigIntegerField()
    event_id = models.CharField(max_length=60)
    verb = models.CharField(max_length=80)
    subject = models.CharField(max_length=140)
    body = models.JSONField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    status = models.PositiveIntegerField(null=True, blank=True)
    detail = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subscription", "event_id"], name="inventory_one_delivery")
        ]
        indexes: ClassVar = [
            models.Index(fields=["subscription", "state", "id"], name="inventory_to_deliver"),
            models.Index(fields=["finished_at"], name="inventory_delivered"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.state}"
