"""The history of a source: what each look came to. Looks without news, and the same failure again, share a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet

from tongchou.core.access import Actor, check
from tongchou.inventory.models import SourceConfig, SourceRun
from tongchou.inventory.plan import Plan
from tongchou.inventory.plan_lines import lines_of
from tongchou.inventory.reads import VIEW

MAX_ERROR = 2000


def note_look(
    *, actor: Actor, source: SourceConfig, plan: Plan, notes: Sequence[dict[str, Any]], now: datetime
) -> None:
    """Write down a look that was carried out, inside its transaction. One without news joins the one before it."""
    counts = plan.counts()
    if not plan.changes_something and _joined(source, now, failed=False, counts=counts, plan={}, error=""):
        return
    lines = lines_of(plan) if plan.changes_something else {}
    SourceRun.objects.create(
        source=source, at=now, last_at=now, by=actor.name, counts=counts, notes=list(notes), plan=lines
    )


def note_failure(*, actor: Actor, source: SourceConfig, error: str, remedy: str, now: datetime) -> None:
    """Write down a look that failed, inside a transaction. The same failure again joins the one before it."""
    error, remedy = error[:MAX_ERROR], remedy[:MAX_ERROR]
    if not _joined(source, now, failed=True, counts={}, plan={}, error=error):
        SourceRun.objects.create(
            source=source, at=now, last_at=now, by=actor.name, failed=True, error=error, remedy=remedy
        )


def _joined(source: SourceConfig, now: datetime, **same: Any) -> bool:
    last = SourceRun.objects.filter(source=source).order_by("-id").first()
    if last is None or any(getattr(last, name) != value for name, value in same.items()):
        return False
    SourceRun.objects.filter(pk=last.pk).update(looks=F("looks") + 1, last_at=now)
    return True


def runs_of(*, actor: Actor, source: SourceConfig) -> QuerySet[SourceRun]:
    """Return the history of a source, newest first."""
    check(actor, VIEW)
    return SourceRun.objects.filter(source=source).order_by("-id")
