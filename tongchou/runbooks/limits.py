"""How often a procedure may run: its `rate_limit` against the runs there were. Reads only."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from tongchou.runbooks.definition import RateLimit
from tongchou.runbooks.models import Procedure, Run, RunState
from tongchou.runbooks.reasons import Reason


def exceeded(row: Procedure, limit: RateLimit | None) -> list[Reason]:
    """Why no run may be asked for now, and when one may be again. A run cancelled before it began does not count."""
    if limit is None:
        return []
    since = timezone.now() - timedelta(seconds=limit.seconds)
    recent = Run.objects.filter(procedure=row, created_at__gt=since)
    counted = recent.exclude(state=RunState.CANCELLED, started_at=None).order_by("-created_at")
    oldest = counted.values_list("created_at", flat=True)[limit.runs - 1 : limit.runs].first()
    if oldest is None:
        return []
    again = oldest + timedelta(seconds=limit.seconds)
    at = again.strftime("%Y-%m-%d %H:%M:%S UTC")
    return [Reason("rate_limited", {"runs": limit.runs, "per": limit.per, "at": at})]
