"""What a run does next, from its journal alone. Pure: to resume after a crash is to ask the same question again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

PREPARING, AWAITING_APPROVAL, QUEUED = "preparing", "awaiting_approval", "queued"
RUNNING, WAITING, PAUSED = "running", "waiting", "paused"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
ACTIVE = (PREPARING, AWAITING_APPROVAL, QUEUED, RUNNING, WAITING, PAUSED)
FINAL = (SUCCEEDED, FAILED, CANCELLED)
MOVING = (RUNNING, WAITING)
HOLDING = (RUNNING, WAITING, PAUSED)  # of its lock

PENDING, STARTED, DONE, STEP_FAILED, STEP_WAITING, UNCERTAIN, SKIPPED = (
    "pending", "started", "succeeded", "failed", "waiting", "uncertain", "skipped",
)  # fmt: skip

# old state -> the states a run may go to; everything else is refused by the guarded UPDATE that names the old one
TRANSITIONS: dict[str, tuple[str, ...]] = {
    PREPARING: (AWAITING_APPROVAL, FAILED, CANCELLED),
    AWAITING_APPROVAL: (QUEUED, CANCELLED),
    QUEUED: (RUNNING, FAILED, CANCELLED),
    RUNNING: (WAITING, PAUSED, SUCCEEDED, FAILED, CANCELLED),
    WAITING: (RUNNING, PAUSED, SUCCEEDED, FAILED, CANCELLED),
    PAUSED: (RUNNING, CANCELLED),
    SUCCEEDED: (),
    FAILED: (PREPARING, AWAITING_APPROVAL, QUEUED),
    CANCELLED: (),
}


@dataclass(frozen=True)
class StepView:
    """What the decision needs to know of one step's row. `parent`, `branch`: see models.RunStep.

    `passed_over`: it was skipped because its own condition was false; such a step counts as done.
    """

    state: str
    kind: str
    repeatable: bool = True
    deadline_at: datetime | None = None
    poll_at: datetime | None = None
    parent: int | None = None
    branch: str = ""
    on_failure: str = "stop"
    then: str = "stop"
    passed_over: bool = False


@dataclass(frozen=True)
class Move:
    """One thing to do.

    begin: write `started`, then do the step · repeat: do a started step again, same idempotency key · doubt: a started
    step that may not be repeated becomes uncertain · poll: ask the metrics again · expire: the deadline has passed ·
    close: every branch of a parallel step has ended, `failed` names those that failed · sleep: nothing before `until`
    (None: until a person acts).
    """

    do: Literal["begin", "repeat", "doubt", "poll", "expire", "close", "sleep"]
    position: int
    until: datetime | None = None
    failed: Sequence[str] = ()

    @property
    def is_effect(self) -> bool:
        """Whether it may alter something, which is what the emergency stop holds back."""
        return self.do in ("begin", "repeat")


@dataclass(frozen=True)
class Decision:
    """What a run does next. `moves` may be made at the same time, each of another step; with `end` there are none.

    rest: it has ended, or does not move · succeed · fail: `position` failed; `rescued`: every step that answers this
    failure was done; `rescue_failed` is the one of them that failed.
    """

    moves: Sequence[Move] = ()
    end: Literal["", "rest", "succeed", "fail"] = ""
    position: int = -1
    rescued: bool = False
    rescue_failed: int | None = None


@dataclass(frozen=True)
class _Result:
    """What has come of a part: ok, failed, active (has moves), or held: it was not finished and will not be."""

    state: Literal["ok", "failed", "active", "held"]
    moves: Sequence[Move] = ()
    position: int = -1
    rescued: bool = False
    rescue_failed: int | None = None


_OK = _Result("ok")
_HELD = _Result("held")


def decide(state: str, steps: Sequence[StepView], now: datetime) -> Decision:
    """The next moves of a run in `state`. `steps` are in order of position; a finished one is never begun again."""
    if state not in MOVING:
        return Decision(end="rest")
    found = _Tree(steps, now).sequence(None, "", held=False)
    if found.state == "active":
        return Decision(found.moves)
    if found.state == "ok":
        return Decision(end="succeed")
    return Decision(end="fail", position=found.position, rescued=found.rescued, rescue_failed=found.rescue_failed)


class _Tree:
    """The rows of a journal as the tree they are: sequences, parallel branches, answers to failures."""

    def __init__(self, steps: Sequence[StepView], now: datetime) -> None:
        self.steps = steps
        self.now = now
        self.children: dict[int | None, dict[str, list[int]]] = {}
        for position, step in enumerate(steps):
            self.children.setdefault(step.parent, {}).setdefault(step.branch, []).append(position)

    def members(self, parent: int | None, branch: str) -> Sequence[int]:
        return self.children.get(parent, {}).get(branch, ())

    def branches(self, position: int) -> list[str]:
        return [name for name in self.children.get(position, {}) if name]

    def sequence(self, parent: int | None, branch: str, *, held: bool) -> _Result:
        """One step after the other; the first that is not done decides. `held`: begin nothing new."""
        for position in self.members(parent, branch):
            found = self.one(position, held=held)
            if found.state != "ok":
                return found
        return _OK

    def one(self, position: int, *, held: bool) -> _Result:
        step = self.steps[position]
        if step.state in (DONE, SKIPPED):
            return _OK
        if step.state == STEP_FAILED:
            return self.failed(position)
        if step.state == PENDING:
            return _HELD if held else _Result("active", [_pending(position, step, self.now)])
        if step.kind == "parallel":
            return self.group(position, held=held)
        return _Result("active", [_of_step(position, step, self.now)])

    def failed(self, position: int) -> _Result:
        """What a failure means: an answer to it that has begun is always brought to its end, held or not."""
        step = self.steps[position]
        if step.on_failure == "continue":
            return _OK
        if step.on_failure != "steps":
            return _Result("failed", position=position)
        answer = self.sequence(position, "", held=False)
        if answer.state == "active":
            return answer
        if answer.state == "failed":
            return _Result("failed", position=position, rescue_failed=answer.position)
        return _OK if step.then == "continue" else _Result("failed", position=position, rescued=True)

    def group(self, position: int, *, held: bool) -> _Result:
        """All branches at once; when one has failed the others finish the step they are in and begin no other."""
        names = self.branches(position)
        found = {name: self.sequence(position, name, held=held) for name in names}
        failed = [name for name, each in found.items() if each.state == "failed"]
        if failed and not held:
            found = {name: self.sequence(position, name, held=True) for name in names}
        moves = [move for each in found.values() for move in each.moves]
        if moves:
            return _Result("active", moves)
        if held and not failed and any(each.state == "held" for each in found.values()):
            return _HELD
        return _Result("active", [Move("close", position, failed=failed)])

    # --- what a retry opens again

    def reopened(self, parent: int | None, branch: str) -> Iterator[int]:
        for position in self.members(parent, branch):
            step = self.steps[position]
            if step.state == DONE or step.passed_over:
                continue
            if step.state == STEP_FAILED and self.failed(position).state == "ok":
                continue
            yield position
            for name in self.branches(position):
                yield from self.reopened(position, name)
            yield from self.under(position, "")

    def under(self, parent: int, branch: str) -> Iterator[int]:
        for position in self.members(parent, branch):
            yield position
            for name in self.children.get(position, {}):
                yield from self.under(position, name)


def to_reopen(steps: Sequence[StepView], now: datetime) -> list[int]:
    """Positions that a retry of a failed run opens again: what failed, what was not reached, and the answers to both.

    What is done stays done, except the steps that answered a failure which is now tried again: they may be needed anew.
    """
    return sorted(_Tree(steps, now).reopened(None, ""))


def _pending(position: int, step: StepView, now: datetime) -> Move:
    """A step that waits to be tried again has the time of it in `poll_at`."""
    if step.poll_at is not None and step.poll_at > now:
        return Move("sleep", position, step.poll_at)
    return Move("begin", position)


def _of_step(position: int, step: StepView, now: datetime) -> Move:
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
