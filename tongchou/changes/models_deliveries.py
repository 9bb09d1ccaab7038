"""The log of what senders of deployments delivered: bounded, without what was in it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.changes.models import Deployment, DeploymentSource


class Verdict(models.TextChoices):
    """What became of a delivery. An ignored one may be sent again and be taken then, as rules may have changed."""

    ACCEPTED = "accepted", _("Accepted")
    DUPLICATE = "duplicate", pgettext_lazy("delivery", "Duplicate")
    IGNORED = "ignored", _("Ignored")
    REFUSED = "refused", _("Refused")


class SenderDelivery(models.Model):
    """One delivery of a sender; it is accepted once: (source, delivery_id).

    `event` is what it called itself, `reason` a code of delivery_reasons.REASONS, `field` the place in the body. Body,
    headers and values are not kept: they may hold what is nobody's business.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(DeploymentSource, on_delete=models.CASCADE, related_name="deliveries")
    delivery_id = models.CharField(max_length=120)
    event = models.CharField(max_length=80, blank=True, default="")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    reason = models.CharField(max_length=60, blank=True, default="")
    field = models.CharField(max_length=80, blank=True, default="")
    deployment = models.ForeignKey(
        Deployment, null=True, blank=True, on_delete=models.SET_NULL, related_name="deliveries"
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "delivery_id"], condition=Q(verdict="accepted"), name="changes_accepted_once"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["source", "-id"], name="changes_deliveries")]

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.verdict}"
