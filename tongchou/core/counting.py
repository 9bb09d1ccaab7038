"""Counts beside a row, taken for the rows shown: a join with GROUP BY counts for all before it takes a page."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce


def count_of(rows: QuerySet[Any], parent: str) -> Coalesce:
    """How many of the rows hang on the outer row by their foreign key `parent`; for annotate."""
    hanging: Any = rows.filter(**{parent: OuterRef("pk")}).order_by().values(parent)
    return Coalesce(Subquery(hanging.annotate(rows=Count("pk")).values("rows"), output_field=IntegerField()), 0)
