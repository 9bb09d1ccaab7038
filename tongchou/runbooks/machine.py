"""What a run does next, from its journal alone. Pure: to resume after a crash is to ask the same question again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

AWAITING_APPROVAL, QUEUED, RUNNING, WAITING = "awaiting_approval", "queued", "running", "waiting"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
ACTIVE = (AWAITING_APPROVAL, QUEUED, RUNNING, WAITING)
FINAL = (SUCCEEDED, FAILED, CANCELLED)
MOVING = (RUNNING, WAITING)

PENDING, STARTED, DONE, STEP_FAILED, STEP_WAITING, UNCERTAIN, SKIPPED = (
    "pending", "started", "succeeded", "failed", "waiting", "uncertain", "skipped",
)  # fmt: skip

# old state -> the states a run may go to; everything else is refused by the guarded UPDATE that names the old one
TRANSITIONS: dict[str, tuple[str, ...]] = {
    AWAITING_APPROVAL: (QUEUED, CANCELLED),
    QUEUED: (RUNNING, FAILED, CANCELLED),
    RUNNING: (WAITING, SUCCEEDED, FAILED, CANCELLED),
    WAITING: (RUNNING, SUCCEEDED, FAILED, CANCELLED),
    SUCCEEDED: (),
    FAILED: (AWAITING_APPROVAL, QUEUED),
    CANCELLED: (),
}


@dataclass(frozen=True)
class StepView:
    """What the decision needs to know of one step's row."""

    state: str
    kind: str
    repeatable: bool
    deadline_at: datetime | None = None
    poll_at: datetime | None = None


@dataclass(frozen=True)
class Move:
    """The next thing to do.

    begin: write `started`, then do the step · repeat: do a started step again, same idempotency key · doubt: a started
    step that may not be repeated becomes uncertain · poll: ask the metrics again · expire: the deadline has passed ·
    sleep: nothing before `until` (None: until a person acts) · succeed, fail: the run ends · rest: it has ended.
    """

    do: Literal["begin", "repeat", "doubt", "poll", "expire", "sleep", "succeed", "fail", "rest"]
    position: int = -1
    until: datetime | None = None


def next_move(state: str, steps: Sequence[StepView], now: datetime) -> Move:
    """The next move of a run in `state`. Steps are in order; one that is finished is never begun or repeated."""
    if state not in MOVING:
        return Move("rest")
    for position, step in enumerate(steps):
        if step.state in (DONE, SKIPPED):
            continue
        return _of_step(position, step, now)
    return Move("succeed")


def _of_step(position: int, step: StepView, now: datetime) -> Move:
    if step.state == PENDING:
        return Move("begin", position)
    if step.state == STEP_FAILED:
        return Move("fail", position)
    if step.state == UNCERTAIN:
        return Move("sleep", position)
    if step.state == STARTED:
        return Move("repeat" if step.repeatable else "doubt", position)
    if step.kind == "wait_until" and (step.poll_at is None or step.poll_at <= now):
        return Move("poll", position)
    if step.deadline_at is not None and step.deadline_at <= now:
        return Move("expire", position)
    wakes = [at for at in (step.deadline_at, step.poll_at) if at is not None]
    return Move("sleep", position, min(wakes) if wakes else None)


def may_go(old: str, new: str) -> bool:
    """Whether a run may go from one state to the other."""
    return new in TRANSITIONS.get(old, ())


@dataclass(frozen=True)
class Wait:
    """What one look at the metrics makes of a wait: done, or since when it has been true."""

    done: bool
    true_since: datetime | None


def look(holds: bool, true_since: datetime | None, now: datetime, for_seconds: float) -> Wait:
    """A wait is done when every look in `for_seconds` said yes; one that says no starts it afresh."""
    if not holds:
        return Wait(False, None)
    since = true_since or now
    return Wait((now - since).total_seconds() >= for_seconds, since)
