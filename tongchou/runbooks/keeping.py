"""How long the output of steps is kept; and what becomes of runs when a backup is restored: a person decides."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core import retention
from tongchou.core.access import system
from tongchou.core.backup.parts import after_restore
from tongchou.core.retention import DataClass, Preview
from tongchou.runbooks.actions import stop_execution
from tongchou.runbooks.models import Run, RunState, RunStep

UNDER_WAY = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING, RunState.PAUSED)


@after_restore
def stop_what_was_under_way() -> dict[str, Any]:
    """Turn the emergency stop on when a run was under way: its next step may have been done after the backup."""
    count = Run.objects.filter(state__in=UNDER_WAY).count()
    if count:
        stop_execution(actor=system("restore"), reason="A backup was restored while runs were under way in it.")
    return {"runs_under_way": count}


def _old(before: datetime) -> QuerySet[RunStep]:
    """Steps of finished runs that still hold what they answered or showed."""
    over = RunStep.objects.filter(run__finished_at__lt=before).exclude(run__state__in=UNDER_WAY)
    return over.exclude(output={}, preview={})


def _older(before: datetime) -> Preview:
    rows = _old(before).count()
    return Preview(rows, retention.share(retention.estimate(RunStep), rows))


def _prune(before: datetime, limit: int) -> int:
    """Empty them; the steps themselves, their states and reasons stay."""
    ids = list(_old(before).order_by("run__finished_at").values_list("pk", flat=True)[:limit])
    RunStep.objects.filter(pk__in=ids).update(output={}, preview={})
    return len(ids)


retention.register(
    DataClass(
        "run_output",
        _("answers and previews of finished runs' steps"),
        400,
        lambda: retention.estimate(RunStep),
        _older,
        _prune,
        note=_("The runs themselves, their states and reasons stay."),
    )
)
