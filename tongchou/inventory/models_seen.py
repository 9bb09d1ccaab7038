"""What was seen to be used: the edges that connections and requests leave, never the connections themselves."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from tongchou.inventory.models import Resource


class Use(models.Model):
    """One edge as a source saw it. `looks`: in how many minutes; `count`: connections, or requests a minute, lately.

    The ends are identity keys (connections.SeenUse) and, where they are known, the resources they mean. Kept while
    its confidence is above nothing, about a fortnight after it was last seen.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=120)
    from_key = models.CharField(max_length=255)
    to_key = models.CharField(max_length=255)
    from_keys = models.JSONField(default=list)
    to_keys = models.JSONField(default=list)
    from_resource = models.ForeignKey(Resource, null=True, on_delete=models.SET_NULL, related_name="uses_out")
    to_resource = models.ForeignKey(Resource, null=True, on_delete=models.SET_NULL, related_name="uses_in")
    first_seen = models.DateTimeField(default=timezone.now)
    last_seen = models.DateTimeField(default=timezone.now)
    looks = models.PositiveIntegerField(default=1)
    count = models.FloatField(default=1.0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "from_key", "to_key"], name="inventory_one_use")
        ]

    def __str__(self) -> str:
        return f"{self.from_key} -> {self.to_key}"
