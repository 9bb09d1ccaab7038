"""How a procedure has fared: how often it succeeded, how long it takes, when it was last proved, where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from django.db.models import Count

from tongchou.core.access import Actor
from tongchou.runbooks import reads
from tongchou.runbooks.models import Run, RunState, RunStep, StepState

NEWEST = 200


@dataclass(frozen=True)
class StepFailures:
    """How often a step was done and how often it failed, over the runs that were looked at."""

    name: str
    done: int
    failed: int


@dataclass(frozen=True)
class History:
    """Of the newest runs that began and ended (at most NEWEST), as far as the reader may see them.

    `success_rate` is 0 to 1, None without a run; `median_seconds` from start to end of those that succeeded.
    """

    runs: int
    succeeded: int
    failed: int
    cancelled: int
    success_rate: float | None
    median_seconds: float | None
    last_proved_at: datetime | None
    last_proved_by: str
    steps: Sequence[StepFailures]


def of(actor: Actor, procedure: str) -> History:
    """The history of one procedure. Two SQL queries, whatever the number of runs."""
    ended = reads.runs(actor, states=[RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED], procedure=procedure)
    rows = list(ended.exclude(started_at=None)[:NEWEST])
    proved = [row for row in rows if row.state == RunState.SUCCEEDED]
    failed = sum(1 for row in rows if row.state == RunState.FAILED)
    took = [(row.finished_at - row.started_at).total_seconds() for row in proved if row.finished_at and row.started_at]
    decided = len(proved) + failed
    return History(
        runs=len(rows),
        succeeded=len(proved),
        failed=failed,
        cancelled=len(rows) - decided,
        success_rate=len(proved) / decided if decided else None,
        median_seconds=median(took) if took else None,
        last_proved_at=max((row.finished_at for row in proved if row.finished_at), default=None),
        last_proved_by=_by(proved),
        steps=_steps(rows),
    )


def _by(proved: Sequence[Run]) -> str:
    newest = max(proved, key=lambda row: row.finished_at or row.created_at, default=None)
    return newest.requested_by_name if newest else ""


def _steps(rows: Sequence[Run]) -> list[StepFailures]:
    """Steps that were reached, those that fail most often first."""
    counted = (
        RunStep.objects.filter(run__in=[row.pk for row in rows], state__in=[StepState.SUCCEEDED, StepState.FAILED])
        .values_list("name", "state")
        .annotate(count=Count("pk"))
        .order_by("name")
    )
    by: dict[str, dict[str, int]] = {}
    for name, state, count in counted:
        by.setdefault(name, {})[state] = count
    found = [
        StepFailures(name, states.get(StepState.SUCCEEDED, 0), states.get(StepState.FAILED, 0))
        for name, states in by.items()
    ]
    return sorted(found, key=lambda each: (-each.failed, each.name))
