"""Takes one run as far as it goes now: decide from the journal, write, do, write. Only here are steps done.

Steps of parallel branches are done at the same time, each in a thread of its own; every decision is made in one place,
from the journal, and what a thread is about to do or has done is a row before anybody acts on it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from tongchou.runbooks import condition, doing, journal, machine, observe
from tongchou.runbooks.covered import stop_reason
from tongchou.runbooks.doing import QUERY_SECONDS
from tongchou.runbooks.machine import Decision, Move, StepView, decide
from tongchou.runbooks.models import Run, RunState, RunStep, StepState
from tongchou.runbooks.plan import judge
from tongchou.runbooks.planned import PlannedCheck
from tongchou.runbooks.ports import StepResult
from tongchou.runbooks.reasons import DEFINITE, Reason

BUDGET_SECONDS = 20.0  # then the job ends and another goes on, so that one long run does not keep a worker
CLAIM_SECONDS = 15.0  # beyond what the step itself may take
MAX_TRIES = 10  # of a step that never comes to an end, because the process dies in it each time
MAX_AT_ONCE = 10  # steps of one run under way at the same time


def advance(run_id: UUID, ticket: str) -> None:
    """Claim the run and move it until it must wait, has ended, or the budget is used up.

    Delivered twice, or to two workers, exactly one moves it; the other comes back when the first lets go, because that
    one may have looked before what this one was woken for.
    """
    if not journal.claim(run_id, ticket, seconds=CLAIM_SECONDS):
        journal.come_back(run_id)
        return
    crew = _Crew(run_id, ticket)
    try:
        unfinished = crew.work(until=time.monotonic() + BUDGET_SECONDS)
    finally:
        crew.join()
        journal.release(run_id, ticket)
    if unfinished:
        with transaction.atomic():
            journal.wake(run_id)


def view(step: RunStep) -> StepView:
    """A step's row as the decision sees it."""
    return StepView(
        state=step.state,
        kind=step.kind,
        repeatable=step.repeatable,
        deadline_at=step.deadline_at,
        poll_at=step.poll_at,
        parent=step.parent,
        branch=step.branch,
        on_failure=step.flow.get("on_failure", "stop"),
        then=step.flow.get("then", "stop"),
        passed_over=step.state == StepState.SKIPPED and step.reason.get("code") == "when_false",
    )


@dataclass(frozen=True)
class _Done:
    """A thread's move has ended: False in `ours` says that the claim is lost; `broke`: it raised (the log has it)."""

    position: int
    ours: bool
    broke: bool = False


class _Crew:
    """Moves one run. A move alone is made in this thread; moves of several branches each have a thread."""

    def __init__(self, run_id: UUID, ticket: str) -> None:
        self.run_id = run_id
        self.ticket = ticket
        self.busy: dict[int, threading.Thread] = {}
        self.done: queue.Queue[_Done] = queue.Queue()

    def work(self, *, until: float) -> bool:
        """Move until nothing is left to do now; True when only the time was too short."""
        while True:
            if not self.busy and time.monotonic() >= until:
                return True
            run = Run.objects.select_related("procedure", "version", "approval").get(pk=self.run_id)
            if run.state == RunState.QUEUED:
                if not _begin(run, self.ticket):
                    return False
                continue
            steps = list(run.steps.order_by("position"))
            decision = decide(run.state, [view(step) for step in steps], timezone.now())
            if decision.end:
                _end(run, steps, decision, self.ticket)
                return False
            if not self._one_round(run, steps, decision.moves):
                return False

    def _one_round(self, run: Run, steps: Sequence[RunStep], moves: Sequence[Move]) -> bool:
        """Make what moves there are, or wait for one that is being made; False when nothing is left to do now."""
        open_ = [move for move in moves if move.position not in self.busy]
        ready = [move for move in open_ if move.do != "sleep"]
        if any(move.is_effect for move in ready) and journal.stopped():
            ready = [move for move in ready if not move.is_effect]
            if not ready and not self.busy:
                journal.pause_run(run, self.ticket)
                return False
        if len(moves) == 1 and ready:
            return _move(run, steps[ready[0].position], ready[0], self.ticket)
        for move in ready[: MAX_AT_ONCE - len(self.busy)]:
            self._start(run, steps[move.position], move)
        if self.busy:
            return self._wait([move.until for move in open_ if move.until is not None])
        _sleep(run, steps, open_, self.ticket)
        return False

    def _start(self, run: Run, step: RunStep, move: Move) -> None:
        def make() -> None:
            done = _Done(step.position, ours=False, broke=True)  # what stands when the move raises
            try:
                done = _Done(step.position, ours=_move(run, step, move, self.ticket))
            finally:
                connection.close()
                self.done.put(done)

        thread = threading.Thread(target=make, name=f"run-step-{step.position}", daemon=True)
        self.busy[step.position] = thread
        thread.start()

    def _wait(self, wakes: Sequence[datetime]) -> bool:
        """Wait until a move has been made or a sleeper's time has come; False when the claim is lost."""
        seconds = min(((at - timezone.now()).total_seconds() for at in wakes), default=None)
        try:
            first = self.done.get(timeout=None if seconds is None else max(0.05, seconds))
        except queue.Empty:
            return True
        return self._take(first)

    def _take(self, done: _Done) -> bool:
        self.busy.pop(done.position).join()
        if done.broke:
            raise RuntimeError(f"step {done.position} of run {self.run_id} raised in its thread; the log says what")
        return done.ours

    def join(self) -> None:
        """Wait for every thread: what it does is written by itself, whatever became of the run."""
        for thread in self.busy.values():
            thread.join()


def _end(run: Run, steps: Sequence[RunStep], decision: Decision, ticket: str) -> None:
    if decision.end == "succeed":
        journal.end_run(run, RunState.SUCCEEDED, None, ticket=ticket)
    elif decision.end == "fail":
        failed = steps[decision.position]
        reason = Reason("step_failed", {"step": failed.name})
        if decision.rescued:
            names = [step.name for step in steps if step.parent == failed.position and not step.branch]
            reason = Reason("rolled_back", {"step": failed.name, "by": ", ".join(names)})
        elif decision.rescue_failed is not None:
            reason = Reason("rescue_failed", {"step": failed.name, "by": steps[decision.rescue_failed].name})
        journal.end_run(run, RunState.FAILED, reason, ticket=ticket)


def _sleep(run: Run, steps: Sequence[RunStep], moves: Sequence[Move], ticket: str) -> None:
    """Have the run woken when its next wait is over; the deadline of a question is for wake_due."""
    with transaction.atomic():
        for move in moves:
            if move.until is not None and steps[move.position].kind != "ask":
                journal.wake(run.pk, at=move.until, position=move.position)
    journal.settle(run, ticket)


# --- whether it may begin


def _begin(run: Run, ticket: str) -> bool:
    """Check everything once more, as things stand now, and begin; a refusal ends the run with its reason."""
    reason = stop_reason(run)
    newest = run.procedure
    if reason is None and (newest.content_hash != run.version.content_hash or newest.state != "active"):
        reason = Reason("newer_version")
    if reason is None and (journal.stopped() or journal.lock_holder(run) is not None):
        return False  # it stays queued: lifting the stop, or the end of the holder, wakes it
    if reason is None and not run.steps.filter(state=StepState.SUCCEEDED).exists():
        journal.claim(run.pk, ticket, seconds=CLAIM_SECONDS + QUERY_SECONDS * max(1, len(run.checks)))
        reason = _unmet(run)
    if reason is not None:
        journal.end_run(run, RunState.FAILED, reason, ticket=ticket)
        return False
    return journal.begin_run(run, ticket)


def _unmet(run: Run) -> Reason | None:
    checks = [PlannedCheck(each["query"], each["is"], each["says"], each["target_name"]) for each in run.checks]
    return next(iter(judge(checks, observe.answers(checks))), None)


# --- moves


def _move(run: Run, step: RunStep, move: Move, ticket: str) -> bool:
    """Make one move; False when the claim is lost or the run has ended."""
    if move.do == "doubt":
        return journal.doubt_step(run, step, ticket)
    if move.do == "poll":
        return _poll(run, step, ticket)
    if move.do == "expire":
        return _finish(run, step, StepResult(step.output, _expired(step)))
    if move.do == "close":
        reason = Reason("branch_failed", {"branches": ", ".join(move.failed)}) if move.failed else None
        return journal.finish_step(run, step, output={}, reason=reason)
    return _do(run, step, ticket)


def _expired(step: RunStep) -> Reason:
    seconds = f"{step.input['timeout_seconds']:g}"
    if step.kind == "ask":
        return Reason("answer_none", {"seconds": seconds})
    held = f"{step.input['for_seconds']:g}"
    return Reason("wait_timeout", {"seconds": seconds, "is": step.input["is"], "for": held})


def _do(run: Run, step: RunStep, ticket: str) -> bool:
    """Begin (or, after a crash, begin again) a step and do it."""
    reason = stop_reason(run)
    if reason is not None:
        journal.end_run(run, RunState.FAILED, reason, ticket=ticket)
        return False
    asks = "when" in step.flow and step.started_at is None
    seconds = doing.longest_seconds(step) + CLAIM_SECONDS + (QUERY_SECONDS if asks else 0)
    if not journal.claim(run.pk, ticket, seconds=seconds):
        return False
    unknown = None
    if asks:
        skip, unknown = doing.false_condition(step)
        if skip is not None:
            return journal.skip_step(run, step, skip, ticket)
    if not journal.begin_step(run, step, ticket):
        return False
    if unknown is not None:
        return journal.finish_step(run, step, output={}, reason=unknown)
    if step.attempts > MAX_TRIES + step.retries:
        broken = Reason("step_broken", {"why": f"{MAX_TRIES} tries"})
        return journal.finish_step(run, step, output={}, reason=broken)
    if step.kind == "parallel":
        return True  # open; its branches are the next moves
    if step.kind in ("ask", "wait_until"):
        return _wait(run, step, ticket)
    return _finish(run, step, doing.read(step) if step.kind == "read" else doing.run(run, step))


def _finish(run: Run, step: RunStep, result: StepResult) -> bool:
    """Write what came of a step: its end, or its next try."""
    retry = step.flow.get("retry")
    if result.reason is None or not retry or step.retries >= retry["times"]:
        return journal.finish_step(run, step, output=result.output, reason=result.reason)
    again_at = timezone.now() + timedelta(seconds=retry["wait_seconds"])
    key = next_key(run, step, result.reason.code)
    return journal.retry_step(run, step, output=result.output, reason=result.reason, again_at=again_at, key=key)


def next_key(run: Run, step: RunStep, code: str) -> str:
    """The idempotency key of the next try.

    After a definite answer it is a new request for the other side, hence a new key; when nobody knows whether it took
    effect the key stays, so that the other side can tell a repetition.
    """
    return f"{run.pk}:{step.position}:{step.attempts}" if code in DEFINITE else step.idempotency_key


def _wait(run: Run, step: RunStep, ticket: str) -> bool:
    now = timezone.now()
    deadline = now + timedelta(seconds=step.input["timeout_seconds"])
    poll_at = None if step.kind == "ask" else now
    return journal.wait_step(run, step, deadline_at=deadline, poll_at=poll_at, why=step.kind, ticket=ticket)


def _poll(run: Run, step: RunStep, ticket: str) -> bool:
    """Look once. Done, not yet, or too late: after the deadline one last look has been made."""
    if not journal.claim(run.pk, ticket, seconds=QUERY_SECONDS + CLAIM_SECONDS):
        return False
    seen = observe.ask(step.input["query"])
    now = timezone.now()
    wanted = condition.parse(step.input["is"])
    holds = not seen.problem and wanted is not None and wanted.holds(seen.values)
    result = machine.look(holds, step.true_since, now, step.input["for_seconds"])
    output = {"samples": list(seen.shown), "count": len(seen.values), "problem": seen.problem, "holds": holds}
    if result.done:
        return journal.finish_step(run, step, output=output, reason=None)
    if step.deadline_at is not None and step.deadline_at <= now:
        return _finish(run, step, StepResult(output, _expired(step)))
    journal.note_look(run, step, output=output, true_since=result.true_since, poll_at=_next_look(step, now))
    return True


def _next_look(step: RunStep, now: datetime) -> datetime:
    at = now + timedelta(seconds=step.input["poll_seconds"])
    return min(at, step.deadline_at) if step.deadline_at is not None else at
