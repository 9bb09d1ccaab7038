"""The index of IP prefixes and addresses: what resources say of them, in a form that a database can search."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tongchou.inventory.models import Resource


class Use(models.TextChoices):
    """What an entry stands for. `shared`: an address that several things may have (anycast, virtual)."""

    PREFIX = "prefix", _("prefix")
    ADDRESS = "address", _("planned")
    SHARED = "shared", _("shared")
    SEEN = "seen", _("reported")  # a thing reports it as its own; nobody needs to have planned it


class AddressEntry(models.Model):
    """A prefix or an address of an active resource, derived from its attributes by ip_index, written by nothing else.

    `start` is ip_plan.key of the first address: text of a fixed width, so that order and ranges are those of numbers
    on both databases, IPv6 too. `vrf` "": the global table. `pool`: all addresses of the prefix may be used.
    """

    id = models.BigAutoField(primary_key=True)
    resource = models.ForeignKey(  # the unique constraint begins with it, and is its index
        Resource, on_delete=models.CASCADE, related_name="address_entries", db_index=False
    )
    use = models.CharField(max_length=8, choices=Use.choices)
    vrf = models.CharField(max_length=120, blank=True, default="")
    family = models.PositiveSmallIntegerField()
    start = models.CharField(max_length=32)
    length = models.PositiveSmallIntegerField()
    pool = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["resource", "start", "length"], name="inventory_one_address_entry")
        ]
        indexes: ClassVar = [
            models.Index(fields=["vrf", "family", "start", "use", "length"], name="inventory_by_address"),
            models.Index(
                fields=["vrf", "family", "start", "length"], condition=Q(use="prefix"), name="inventory_by_prefix"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.use} {self.start}/{self.length}"
