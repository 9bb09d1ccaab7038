"""Takes down when a resource was away, at the moment it is back: its row tells only of being gone now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import OuterRef, QuerySet

from tongchou.inventory.models import Resource
from tongchou.inventory.models_past import Absence

BATCH = 2000


def note_return(rows: Iterable[Resource], now: datetime) -> None:
    """Keep since when these resources were gone, before their `gone_at` is cleared and in the same transaction."""
    Absence.objects.bulk_create(
        [Absence(resource=row, gone_at=row.gone_at, came_at=now) for row in rows if row.gone_at is not None],
        batch_size=BATCH,
    )


def over(at: datetime) -> QuerySet[Absence]:
    """Return the absences within which a moment lies."""
    return Absence.objects.filter(gone_at__lte=at, came_at__gt=at)


def of_row(at: datetime) -> QuerySet[Absence]:
    """Return the same, of the resource that an outer query is at."""
    return over(at).filter(resource=OuterRef("pk"))
