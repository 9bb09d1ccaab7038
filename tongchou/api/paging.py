"""How far a list may be asked to skip: one bound for every list, within what both databases count with."""

from __future__ import annotations

from typing import Annotated, TypeVar

from django.db.models import Model, QuerySet
from ninja import Query

Row = TypeVar("Row", bound=Model)

MAX_OFFSET = 1_000_000_000

# Below zero counts as zero (the lists clamp it); above the bound is refused with 422.
Offset = Annotated[int, Query(le=MAX_OFFSET)]

FAR = 1000  # rows skipped, from which on finding the page first is worth a query


def page_of(rows: QuerySet[Row], offset: int, limit: int) -> list[Row]:
    """A page of an ordered list; an offset below zero is its beginning. With joins, or far back, keys are found first.

    What is skipped is not read then, and no planner begins with the other table and sorts all that hangs on it.
    """
    offset = max(0, offset)
    if offset < FAR and not rows.query.select_related:
        return list(rows[offset : offset + limit])
    keys = list(rows.select_related(None).values_list("pk", flat=True)[offset : offset + limit])
    return list(rows.filter(pk__in=keys)) if keys else []
