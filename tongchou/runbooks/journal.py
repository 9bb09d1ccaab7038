"""The journal of a run: every write of the one who executes it, each a guarded UPDATE with its event in one commit.

A run is claimed by the ticket of one job until a time. Whoever has lost the claim finds its guarded UPDATE matching
nothing, and stops: what it did is already told by the `started` it wrote before.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from tongchou.core import jobs, ledger
from tongchou.core.access import Actor, system
from tongchou.core.refs import ref
from tongchou.runbooks.machine import ACTIVE, MOVING
from tongchou.runbooks.models import Run, RunState, RunStep, RunTarget, StepState
from tongchou.runbooks.reasons import Reason

EXECUTOR = system("runbook-executor")


def about(run: Run) -> list[str]:
    """Everything an event of this run is about: the run, its procedure, its targets, the incident."""
    procedure = f"runbooks.procedure:{run.procedure_id}"
    return [
        ref(run),
        procedure,
        *(target["ref"] for target in run.targets),
        *([run.about_ref] if run.about_ref else []),
    ]


def tell(
    run: Run, verb: str, payload: Mapping[str, Any], *, actor: Actor = EXECUTOR, dedupe_key: str | None = None
) -> None:
    """Record an event of the run in the caller's transaction."""
    named = {"procedure": run.procedure.name, "targets": [target["name"] for target in run.targets], **payload}
    correlation = run.about_ref or ref(run)
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(run),
        about=about(run),
        payload=named,
        dedupe_key=dedupe_key,
        correlation_id=correlation[:80],
    )


def wake(run_id: uuid.UUID, *, at: datetime | None = None, position: int | None = None) -> None:
    """Enqueue a job that advances the run: now, or at a step's next look. In the caller's transaction."""
    key = f"runbooks.advance:{run_id}:{'now' if position is None else position}"
    jobs.enqueue("runbooks.advance", {"run": str(run_id), "ticket": uuid.uuid4().hex}, run_at=at, unique_key=key)


def wake_due() -> int:
    """Enqueue every run that is free, unfinished and has something to do now; return how many."""
    now = timezone.now()
    due_step = RunStep.objects.filter(run=OuterRef("pk")).filter(
        Q(state=StepState.WAITING) & (Q(poll_at__lte=now - timedelta(seconds=2)) | Q(deadline_at__lte=now))
    )
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    moving = Q(state__in=[RunState.QUEUED, RunState.RUNNING]) | (Q(state=RunState.WAITING) & Exists(due_step))
    found = list(Run.objects.filter(free & moving).values_list("pk", flat=True)[:500])
    for run_id in found:
        with transaction.atomic():
            wake(run_id)
    return len(found)


def claim(run_id: uuid.UUID, ticket: str, *, seconds: float) -> bool:
    """Take or keep the run for `ticket` until now + `seconds`; False when another ticket has it or it is not active."""
    now = timezone.now()
    free = Q(claimed_by=ticket) | Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    return bool(
        Run.objects.filter(free, pk=run_id, state__in=[RunState.QUEUED, *MOVING]).update(
            claimed_by=ticket, claimed_until=now + timedelta(seconds=seconds)
        )
    )


def release(run_id: uuid.UUID, ticket: str) -> None:
    """Let the run go, if it is still ours."""
    Run.objects.filter(pk=run_id, claimed_by=ticket).update(claimed_by="", claimed_until=None)


def _ours(run: Run, ticket: str) -> bool:
    """Lock the run's row in this transaction; whether `ticket` still has it and it is not finished."""
    row = Run.objects.select_for_update().filter(pk=run.pk).values_list("claimed_by", "state").first()
    return row is not None and row[0] == ticket and row[1] in (RunState.QUEUED, *MOVING)


def begin_run(run: Run, ticket: str) -> bool:
    """Move queued -> running. Event run.started."""
    with transaction.atomic():
        if not _ours(run, ticket):
            return False
        now = timezone.now()
        if not Run.objects.filter(pk=run.pk, state=RunState.QUEUED).update(state=RunState.RUNNING, started_at=now):
            return False
        tell(run, "run.started", {"grade": run.grade, "content_hash": run.content_hash})
    return True


def begin_step(run: Run, step: RunStep, ticket: str) -> bool:
    """Write that the step begins (or is begun again), before its effect; False: do not do it."""
    with transaction.atomic():
        if not _ours(run, ticket):
            return False
        mine = RunStep.objects.filter(pk=step.pk, state=step.state, attempts=step.attempts)
        if not mine.update(
            state=StepState.STARTED,
            attempts=F("attempts") + 1,
            started_at=step.started_at or timezone.now(),
            finished_at=None,
            reason={},
        ):
            return False
        Run.objects.filter(pk=run.pk, state=RunState.WAITING).update(state=RunState.RUNNING)
    step.refresh_from_db()
    return True


def finish_step(run: Run, step: RunStep, *, output: Mapping[str, Any], reason: Reason | None) -> bool:
    """Write what came of the step. Event run.step_finished.

    Written even when the claim is lost or the run was cancelled meanwhile: it happened. False when somebody else
    has already said what came of it.
    """
    state = StepState.SUCCEEDED if reason is None else StepState.FAILED
    with transaction.atomic():
        mine = RunStep.objects.filter(
            pk=step.pk, attempts=step.attempts, state__in=[StepState.STARTED, StepState.WAITING]
        )
        said = reason.as_json() if reason else {}
        if not mine.update(
            state=state, output=dict(output), reason=said, finished_at=timezone.now(), poll_at=None, deadline_at=None
        ):
            return False
        payload = {
            "step": step.name,
            "position": step.position,
            "kind": step.kind,
            "state": state.value,
            "reason": said,
        }
        tell(run, "run.step_finished", payload, dedupe_key=f"run.step_finished:{step.pk}:{step.attempts}")
    return True


def wait_step(
    run: Run, step: RunStep, *, deadline_at: datetime | None, poll_at: datetime | None, why: str, ticket: str
) -> bool:
    """Move step and run to waiting. Event run.waiting. The deadline is kept, so that it survives a restart."""
    with transaction.atomic():
        if not _ours(run, ticket):
            return False
        mine = RunStep.objects.filter(pk=step.pk, state=StepState.STARTED, attempts=step.attempts)
        if not mine.update(state=StepState.WAITING, deadline_at=deadline_at, poll_at=poll_at, true_since=None):
            return False
        _to_waiting(run, step, why)
    return True


def doubt_step(run: Run, step: RunStep, ticket: str) -> bool:
    """Move started -> uncertain: it may have happened, it may not be repeated, a person must say. Event run.waiting."""
    with transaction.atomic():
        if not _ours(run, ticket):
            return False
        mine = RunStep.objects.filter(pk=step.pk, state=StepState.STARTED, attempts=step.attempts)
        if not mine.update(state=StepState.UNCERTAIN):
            return False
        _to_waiting(run, step, "uncertain")
    return True


def _to_waiting(run: Run, step: RunStep, why: str) -> None:
    Run.objects.filter(pk=run.pk, state=RunState.RUNNING).update(state=RunState.WAITING)
    payload = {"step": step.name, "position": step.position, "kind": step.kind, "why": why}
    tell(run, "run.waiting", payload, dedupe_key=f"run.waiting:{step.pk}:{step.attempts}:{why}")


def note_look(
    run: Run, step: RunStep, *, output: Mapping[str, Any], true_since: datetime | None, poll_at: datetime
) -> None:
    """Keep what a look at the metrics saw, and when to look again. No event: a repeated look is no transition."""
    with transaction.atomic():
        RunStep.objects.filter(pk=step.pk, state=StepState.WAITING).update(
            output=dict(output), true_since=true_since, poll_at=poll_at
        )
        wake(run.pk, at=poll_at, position=step.position)


def end_run(run: Run, state: RunState, reason: Reason | None, *, actor: Actor = EXECUTOR, ticket: str = "") -> bool:
    """End an active run; steps not begun become skipped, its targets are free. Event run.<state> says what was done.

    False when it had ended already, or when the claim of `ticket` (empty: nobody's, a person ends it) is lost.
    """
    with transaction.atomic():
        row = Run.objects.select_for_update().get(pk=run.pk)
        if ticket and row.claimed_by != ticket:
            return False
        said = reason.as_json() if reason else {}
        ended = Run.objects.filter(pk=run.pk, state__in=ACTIVE).update(
            state=state, outcome=said, finished_at=timezone.now(), claimed_by="", claimed_until=None
        )
        if not ended:
            return False
        open_states = [StepState.PENDING, StepState.WAITING]
        run.steps.filter(state__in=open_states).update(state=StepState.SKIPPED, poll_at=None, deadline_at=None)
        RunTarget.objects.filter(run=run).update(active=False)
        steps = list(run.steps.order_by("position"))
        payload = {"reason": said, **told(steps)}
        tell(run, f"run.{state.value}", payload, actor=actor)
        run.refresh_from_db()
    return True


def told(steps: Sequence[RunStep]) -> dict[str, list[str]]:
    """Names of the steps that were done, failed, are unclear, and were not reached."""
    by = {
        "done": [StepState.SUCCEEDED],
        "failed": [StepState.FAILED],
        "unclear": [StepState.STARTED, StepState.UNCERTAIN],
        "not_done": [StepState.PENDING, StepState.SKIPPED, StepState.WAITING],
    }
    return {key: [step.name for step in steps if step.state in states] for key, states in by.items()}
