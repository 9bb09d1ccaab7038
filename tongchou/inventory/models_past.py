"""What is kept so that the past can be shown as it was, where the rows of now say too little of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tongchou.inventory.models import Resource


class Absence(models.Model):
    """A time in which a resource was not there: gone, or merged into another, and then back as the same one.

    Written when it comes back; while it is gone, Resource.gone_at says so. Kept for good, as closed relations are.
    """

    id = models.BigAutoField(primary_key=True)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="absences")
    gone_at = models.DateTimeField()
    came_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["came_at", "gone_at", "resource"], name="inventory_absences")]

    def __str__(self) -> str:
        return f"{self.gone_at:%Y-%m-%d %H:%M:%S} - {self.came_at:%Y-%m-%d %H:%M:%S}"
