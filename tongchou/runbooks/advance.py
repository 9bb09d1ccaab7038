"""Takes one run as far as it goes now: decide from the journal, write, do, write. Only here are steps done."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from tongchou.core import approvals, secrets
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.runbooks import condition, journal, machine, observe
from tongchou.runbooks.actions import ACTION, approval_scope
from tongchou.runbooks.definition import SAFE_METHODS, Definition
from tongchou.runbooks.machine import Move, StepView, next_move
from tongchou.runbooks.mask import mask
from tongchou.runbooks.models import Run, RunState, RunStep, StepState
from tongchou.runbooks.plan import PlannedCheck, Target, content_hash, judge, refuse_execution
from tongchou.runbooks.ports import Context, StepCall, StepResult
from tongchou.runbooks.prepare import definition_of, execution, runners
from tongchou.runbooks.reasons import Reason

BUDGET_SECONDS = 20.0  # then the job ends and another goes on, so that one long run does not keep a worker
CLAIM_SECONDS = 15.0  # beyond what the step itself may take
QUERY_SECONDS = 35.0  # a query's own limit is 30 s
MAX_KEPT = 16_384  # characters of one value of a step's output
MAX_TRIES = 10  # of a step that never comes to an end, because the process dies in it each time


def advance(run_id: UUID, ticket: str) -> None:
    """Claim the run and move it until it must wait, has ended, or the budget is used up.

    Delivered twice, or to two workers, exactly one moves it; the other comes back a second later, because the first may
    have looked before what this one was woken for.
    """
    if not journal.claim(run_id, ticket, seconds=CLAIM_SECONDS):
        _come_back(run_id)
        return
    try:
        until = time.monotonic() + BUDGET_SECONDS
        going = True
        while going and time.monotonic() < until:
            going = _one_move(run_id, ticket)
    finally:
        journal.release(run_id, ticket)
    if going:
        with transaction.atomic():
            journal.wake(run_id)


def _come_back(run_id: UUID) -> None:
    active = Run.objects.filter(pk=run_id, state__in=[RunState.QUEUED, *machine.MOVING]).exists()
    if active:
        with transaction.atomic():
            journal.wake(run_id, at=timezone.now() + timedelta(seconds=1))


def _one_move(run_id: UUID, ticket: str) -> bool:
    """Make one move; False when there is nothing more to do now."""
    run = Run.objects.select_related("procedure", "version", "approval").get(pk=run_id)
    if run.state == RunState.QUEUED:
        return _begin(run, ticket)
    steps = list(run.steps.order_by("position"))
    views = [StepView(step.state, step.kind, step.repeatable, step.deadline_at, step.poll_at) for step in steps]
    move = next_move(run.state, views, timezone.now())
    if move.do == "succeed":
        journal.end_run(run, RunState.SUCCEEDED, None, ticket=ticket)
        return False
    if move.do == "sleep" and move.until is not None and steps[move.position].kind == "wait_until":
        with transaction.atomic():
            journal.wake(run.pk, at=move.until, position=move.position)
    if move.do in ("rest", "sleep"):
        return False
    return _move_step(run, steps[move.position], move, ticket)


def _move_step(run: Run, step: RunStep, move: Move, ticket: str) -> bool:
    if move.do == "fail":
        reason = Reason("step_failed", {"step": step.name})
        journal.end_run(run, RunState.FAILED, reason, ticket=ticket)
        return False
    if move.do == "doubt":
        journal.doubt_step(run, step, ticket)
        return False
    if move.do == "poll":
        return _poll(run, step, ticket)
    if move.do == "expire":
        return journal.finish_step(run, step, output=step.output, reason=_expired(step))
    return _do(run, step, ticket)


def _expired(step: RunStep) -> Reason:
    seconds = f"{step.input['timeout_seconds']:g}"
    if step.kind == "ask":
        return Reason("answer_none", {"seconds": seconds})
    held = f"{step.input['for_seconds']:g}"
    return Reason("wait_timeout", {"seconds": seconds, "is": step.input["is"], "for": held})


# --- whether it may go on


def _begin(run: Run, ticket: str) -> bool:
    """Check everything once more, as things stand now, and begin; a refusal ends the run with its reason."""
    reason = _stop_reason(run)
    newest = run.procedure
    if reason is None and (newest.content_hash != run.version.content_hash or newest.state != "active"):
        reason = Reason("newer_version")
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


def _stop_reason(run: Run) -> Reason | None:
    """Why the run may not do its next step: it is not what was approved, the approval is over, or execution is off."""
    steps = list(run.steps.order_by("position"))
    try:
        definition = definition_of(run.version.text)
    except Problem:
        return Reason("content_changed")
    digest = content_hash(
        definition.content_hash,
        params=run.params,
        targets=run.targets,
        checks=run.checks,
        steps=[_approved_part(step) for step in steps],
    )
    reason = _not_covered(run, definition, digest, steps)
    if reason is not None:
        return reason
    targets = [Target(each["ref"], each["kind"], each["name"], each["labels"]) for each in run.targets]
    return next(iter(refuse_execution(definition.grade, targets, execution())), None)


def _approved_part(step: RunStep) -> dict[str, Any]:
    """The part of a step's row that an approval covers; the same shape as PlannedStep.as_json."""
    return {
        "name": step.name,
        "kind": step.kind,
        "target": step.target,
        "input": step.input,
        "alters": step.alters,
        "repeatable": step.repeatable,
    }


def _not_covered(run: Run, definition: Definition, digest: str, steps: list[RunStep]) -> Reason | None:
    if digest != run.content_hash:
        return Reason("content_changed")
    if definition.grade == "read":
        alters = any(step.alters or step.input.get("method", "GET") not in SAFE_METHODS for step in steps)
        return Reason("content_changed") if alters else None
    found = approvals.valid(subject=ref(run), action=ACTION, content_hash=digest, scope=approval_scope(run))
    if found is not None:
        return None
    return _why_not_approved(run.approval, digest)


def _why_not_approved(approval: Approval | None, digest: str) -> Reason:
    if approval is None or approval.state != ApprovalState.APPROVED:
        return Reason("approval_missing")
    if approval.expires_at <= timezone.now():
        return Reason("approval_expired")
    return Reason("content_changed" if approval.content_hash != digest else "approval_missing")


# --- doing a step


def _do(run: Run, step: RunStep, ticket: str) -> bool:
    """Begin (or, after a crash, begin again) a step and do it."""
    reason = _stop_reason(run)
    if reason is not None:
        journal.end_run(run, RunState.FAILED, reason, ticket=ticket)
        return False
    runner = runners().get(step.kind)
    seconds = QUERY_SECONDS if runner is None else runner.timeout_seconds(step.input)
    if not journal.claim(run.pk, ticket, seconds=seconds + CLAIM_SECONDS):
        return False
    if not journal.begin_step(run, step, ticket):
        return False
    if step.attempts > MAX_TRIES:
        broken = Reason("step_broken", {"why": f"{MAX_TRIES} tries"})
        return journal.finish_step(run, step, output={}, reason=broken)
    if step.kind in ("ask", "wait_until"):
        return _wait(run, step, ticket)
    result = _read(step) if step.kind == "read" else _run(run, step)
    return journal.finish_step(run, step, output=result.output, reason=result.reason)


def _wait(run: Run, step: RunStep, ticket: str) -> bool:
    now = timezone.now()
    deadline = now + timedelta(seconds=step.input["timeout_seconds"])
    if step.kind == "ask":
        journal.wait_step(run, step, deadline_at=deadline, poll_at=None, why="ask", ticket=ticket)
        return False
    return journal.wait_step(run, step, deadline_at=deadline, poll_at=now, why="wait_until", ticket=ticket)


def _read(step: RunStep) -> StepResult:
    seen = observe.ask(step.input["query"])
    output = {"samples": list(seen.shown), "count": len(seen.values)}
    if seen.problem:
        return StepResult(output, Reason("read_failed", {"why": seen.problem}))
    wanted = condition.parse(step.input.get("is", ""))
    if wanted is not None and not wanted.holds(seen.values):
        return StepResult(output, Reason("read_false", {"is": wanted.text}))
    return StepResult(output)


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
        return journal.finish_step(run, step, output=output, reason=_expired(step))
    journal.note_look(run, step, output=output, true_since=result.true_since, poll_at=_next_look(step, now))
    return False


def _next_look(step: RunStep, now: datetime) -> datetime:
    at = now + timedelta(seconds=step.input["poll_seconds"])
    return min(at, step.deadline_at) if step.deadline_at is not None else at


@dataclass(frozen=True)
class _Secrets:
    values: Mapping[str, str]
    problem: str = ""


def _secrets(run: Run) -> _Secrets:
    found: dict[str, str] = {}
    try:
        for name in definition_of(run.version.text).secrets:
            found[name] = secrets.reveal(name)
    except Problem as problem:
        return _Secrets({}, str(problem.detail))
    return _Secrets(found)


def _run(run: Run, step: RunStep) -> StepResult:
    """Give the step to its Runner; whatever comes back is masked with every secret of the procedure."""
    runner = runners().get(step.kind)
    known = _secrets(run)
    if runner is None:
        return StepResult(reason=Reason("kind_unknown", {"step": step.name, "kind": step.kind}))
    if known.problem:
        return StepResult(reason=Reason("step_broken", {"why": known.problem}))
    call = StepCall(step.name, step.input, step.idempotency_key, step.repeatable)
    result = runner.run(call, Context(known.values))
    hidden = list(known.values.values())
    reason = result.reason and Reason(result.reason.code, mask(dict(result.reason.params), hidden))
    return StepResult(_bounded(mask(dict(result.output), hidden)), reason)


def _bounded(output: dict[str, Any]) -> dict[str, Any]:
    """The journal keeps the beginning of what is long; cut after masking, so that no cut leaves half a secret."""
    out: dict[str, Any] = {}
    for name, value in output.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(text) > MAX_KEPT:
            out[name], out["truncated"] = text[:MAX_KEPT], True
        else:
            out[name] = value
    return out
