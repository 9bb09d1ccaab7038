"""The life of a plan: which states there are, what leads where, who holds what. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from tongchou.changes.models_iac import PlanState

UNDER_WAY = (PlanState.RUNNING, PlanState.APPLYING)
OPEN = (PlanState.QUEUED, *UNDER_WAY)
ENDED = tuple(each for each in PlanState if each not in (*OPEN, PlanState.READY))
TRANSITIONS: dict[PlanState, tuple[PlanState, ...]] = {
    PlanState.QUEUED: (PlanState.RUNNING, PlanState.FAILED, PlanState.DISCARDED),
    PlanState.RUNNING: (PlanState.READY, PlanState.EMPTY, PlanState.FAILED, PlanState.QUEUED),
    PlanState.READY: (PlanState.APPLYING, PlanState.OUTDATED, PlanState.DISCARDED),
    # interrupted -> applied or failed: the one who was at it lived after all, and knows
    PlanState.APPLYING: (PlanState.APPLIED, PlanState.APPLY_FAILED, PlanState.INTERRUPTED, PlanState.OUTDATED),
    PlanState.INTERRUPTED: (PlanState.APPLIED, PlanState.APPLY_FAILED),
}
SILENT_SECONDS = 180.0  # whoever is at a plan says so every two seconds, and every two minutes while the tool is asked
QUEUE_SECONDS = 900.0  # so long a job may wait for a thread


def may(state: str, to: PlanState) -> bool:
    """Whether the one may follow the other."""
    return to in TRANSITIONS.get(PlanState(state), ())


def silent(seen_at: datetime | None, now: datetime, *, claimed: bool) -> bool:
    """Whether nobody is at it any more."""
    return seen_at is None or now - seen_at > timedelta(seconds=SILENT_SECONDS if claimed else QUEUE_SECONDS)
