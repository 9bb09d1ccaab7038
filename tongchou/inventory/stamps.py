"""Gives the tokens by which processes notice that what they keep is not the newest any more."""

from __future__ import annotations

from uuid import UUID, uuid4

from tongchou.inventory.models import Stamp


def renew(*stamps: int) -> UUID:
    """Give these stamps (Stamp.GRAPH, ...) one new token, in the caller's transaction; return it. One statement."""
    token = uuid4()
    rows = [Stamp(pk=each, token=token) for each in stamps]
    Stamp.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=["token"])
    return token


def current(stamp: int) -> UUID | None:
    """Return the token of a stamp; None before it was first given one. One query."""
    return Stamp.objects.filter(pk=stamp).values_list("token", flat=True).first()
