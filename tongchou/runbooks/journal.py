"""The journal of a run: every write of the one who executes it, each a guarded UPDATE with its event in one commit.

A run is claimed by the ticket of one job until a time. Whoever has lost the claim finds its guarded UPDATE matching
nothing, and stops: what it did is already told by the `started` it wrote before.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy

from tongchou.core import approvals, jobs, ledger, settings_store
from tongchou.core.access import Actor, system
from tongchou.core.consent import declare
from tongchou.core.refs import ref
from tongchou.runbooks.machine import ACTIVE, HOLDING, MOVING
from tongchou.runbooks.models import Run, RunState, RunStep, RunTarget, StepState
from tongchou.runbooks.reasons import Reason

EXECUTOR = system("runbook-executor")
COME_BACK_SECONDS = 15.0
ACTION = declare("runbooks.run", gettext_lazy("Run a procedure"))  # what an approval of a run is for


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
    payload = {"run": str(run_id), "ticket": uuid.uuid4().hex}
    jobs.enqueue("runbooks.advance", payload, run_at=at, unique_key=_key(run_id, position))


def _key(run_id: uuid.UUID, position: int | None = None) -> str:
    return f"runbooks.advance:{run_id}:{'now' if position is None else position}"


def come_back(run_id: uuid.UUID) -> None:
    """Enqueue a job that advances the run once whoever has it lets go: at the end of the claim at the latest.

    While a claim lasts it looks every COME_BACK_SECONDS; `release` calls it at once.
    """
    active = Run.objects.filter(pk=run_id, state__in=[RunState.QUEUED, *MOVING])
    until = active.values_list("claimed_until", flat=True).first()
    if until is None and not active.exists():
        return
    now = timezone.now()
    with transaction.atomic():
        wake(run_id, at=min(until or now, now + timedelta(seconds=COME_BACK_SECONDS)))
    if not active.filter(claimed_until__gt=timezone.now()).exists():
        jobs.hurry(_key(run_id))  # let go of before the job was there to be called


def wake_preparing(run_id: uuid.UUID) -> None:
    """Enqueue the job that shows what a run would change. In the caller's transaction."""
    payload = {"run": str(run_id), "ticket": uuid.uuid4().hex}
    jobs.enqueue("runbooks.preview", payload, unique_key=f"runbooks.preview:{run_id}")


def wake_due() -> int:
    """Enqueue every run that is free, unfinished and has something to do now; return how many."""
    now = timezone.now()
    steps = RunStep.objects.filter(run=OuterRef("pk"))
    due_step = steps.filter(
        Q(state=StepState.WAITING) & (Q(poll_at__lte=now - timedelta(seconds=2)) | Q(deadline_at__lte=now))
        | Q(state=StepState.PENDING, poll_at__lte=now)
    )
    holders = Run.objects.filter(lock=OuterRef("lock"), state__in=HOLDING).exclude(lock="")
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    beginning = Q(state=RunState.QUEUED) & ~Exists(holders)
    moving = beginning | Q(state=RunState.RUNNING) | (Q(state=RunState.WAITING) & Exists(due_step))
    preparing: list[uuid.UUID] = []
    if stopped():  # what is under way must still find out that it has to pause
        moving = ~Q(state=RunState.QUEUED) & moving
    else:
        preparing = list(_preparing().filter(free).values_list("pk", flat=True)[:500])
    found = list(Run.objects.filter(free & moving).values_list("pk", flat=True)[:500])
    for run_id in found:
        with transaction.atomic():
            wake(run_id)
    for run_id in preparing:
        with transaction.atomic():
            wake_preparing(run_id)
    return len(found) + len(preparing)


def _preparing() -> QuerySet[Run]:
    return Run.objects.filter(state=RunState.PREPARING)


def wake_held() -> None:
    """Enqueue every run that the emergency stop kept from beginning. In the caller's transaction."""
    for run_id in Run.objects.filter(state=RunState.QUEUED).values_list("pk", flat=True):
        wake(run_id)
    for run_id in _preparing().values_list("pk", flat=True):
        wake_preparing(run_id)


def stopped() -> bool:
    """Whether the emergency stop is on. One SQL query."""
    return bool(settings_store.get("execution.stopped"))


def claim(
    run_id: uuid.UUID, ticket: str, *, seconds: float, states: Iterable[str] = (RunState.QUEUED, *MOVING)
) -> bool:
    """Take or keep the run for `ticket` until now + `seconds` (never less than it has); False when another has it."""
    now = timezone.now()
    until = now + timedelta(seconds=seconds)
    free = Q(claimed_by=ticket) | Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    return bool(
        Run.objects.filter(free, pk=run_id, state__in=list(states)).update(
            claimed_by=ticket, claimed_until=Greatest(Coalesce("claimed_until", Value(until)), Value(until))
        )
    )


def release(run_id: uuid.UUID, ticket: str) -> None:
    """Let the run go, if it is still ours, and call the job that waits for that."""
    if Run.objects.filter(pk=run_id, claimed_by=ticket).update(claimed_by="", claimed_until=None):
        jobs.hurry(_key(run_id))


def _ours(run: Run, ticket: str) -> bool:
    """Lock the run's row in this transaction; whether `ticket` still has it and it is not finished."""
    row = Run.objects.select_for_update().filter(pk=run.pk).values_list("claimed_by", "state").first()
    return row is not None and row[0] == ticket and row[1] in (RunState.PREPARING, RunState.QUEUED, *MOVING)


def lock_holder(run: Run) -> Run | None:
    """The other run that is under way with this run's lock."""
    if not run.lock:
        return None
    held = Run.objects.filter(lock=run.lock, state__in=HOLDING).exclude(pk=run.pk)
    return held.select_related("procedure").first()


def begin_run(run: Run, ticket: str) -> bool:
    """Move queued -> running. Event run.started. False when another run has the lock: the database itself says so."""
    try:
        with transaction.atomic():
            if not _ours(run, ticket):
                return False
            queued = Run.objects.filter(pk=run.pk, state=RunState.QUEUED)
            if not queued.update(state=RunState.RUNNING, started_at=timezone.now()):
                return False
            tell(run, "run.started", {"grade": run.grade, "content_hash": run.content_hash})
    except IntegrityError:
        if lock_holder(run) is None:
            raise
        return False
    return True


def pause_run(run: Run, ticket: str) -> bool:
    """Move a run under way to paused: the emergency stop is on. It keeps its lock. Event run.paused."""
    with transaction.atomic():
        if not _ours(run, ticket):
            return False
        if not Run.objects.filter(pk=run.pk, state__in=MOVING).update(state=RunState.PAUSED):
            return False
        tell(run, "run.paused", told(list(run.steps.order_by("position"))))
    return True


def settle(run: Run, ticket: str) -> None:
    """Running -> waiting when all it still has under way are waits. No event: each wait was told when it began."""
    with transaction.atomic():
        waits = run.steps.filter(state__in=[StepState.WAITING, StepState.UNCERTAIN]).exists()
        if waits and _ours(run, ticket):
            Run.objects.filter(pk=run.pk, state=RunState.RUNNING).update(state=RunState.WAITING)


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
            poll_at=None,
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
        _tell_step(run, step, state, said)
    return True


def skip_step(run: Run, step: RunStep, reason: Reason, ticket: str) -> bool:
    """Pass over a step whose condition is false. Event run.step_finished with the state skipped."""
    with transaction.atomic():
        if not _ours(run, ticket):
            return False
        mine = RunStep.objects.filter(pk=step.pk, state=StepState.PENDING, attempts=step.attempts)
        if not mine.update(state=StepState.SKIPPED, reason=reason.as_json(), finished_at=timezone.now()):
            return False
        _tell_step(run, step, StepState.SKIPPED, reason.as_json())
    return True


def retry_step(
    run: Run, step: RunStep, *, output: Mapping[str, Any], reason: Reason, again_at: datetime, key: str
) -> bool:
    """Open a step that failed for its next try, not before `again_at`. Event run.step_retried.

    Like finish_step it is written even when the claim is lost: it happened. False when somebody else has said so.
    """
    with transaction.atomic():
        mine = RunStep.objects.filter(
            pk=step.pk, attempts=step.attempts, state__in=[StepState.STARTED, StepState.WAITING]
        )
        again = {"retries": F("retries") + 1, "poll_at": again_at, "deadline_at": None, "true_since": None}
        kept = {"output": dict(output), "reason": reason.as_json(), "idempotency_key": key}
        if not mine.update(state=StepState.PENDING, **again, **kept):
            return False
        payload = {"step": step.name, "position": step.position, "kind": step.kind, "reason": reason.as_json()}
        tell(run, "run.step_retried", payload, dedupe_key=f"run.step_retried:{step.pk}:{step.attempts}")
        wake(run.pk, at=again_at, position=step.position)
    return True


def _tell_step(run: Run, step: RunStep, state: StepState, said: Mapping[str, Any]) -> None:
    payload = {"step": step.name, "position": step.position, "kind": step.kind, "state": state.value, "reason": said}
    payload["target"] = step.target_name
    tell(run, "run.step_finished", payload, dedupe_key=f"run.step_finished:{step.pk}:{step.attempts}")


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
        unfinished = Q(state__in=[StepState.PENDING, StepState.WAITING]) | Q(state=StepState.STARTED, kind="parallel")
        run.steps.filter(unfinished).update(state=StepState.SKIPPED, poll_at=None, deadline_at=None)
        RunTarget.objects.filter(run=run).update(active=False)
        steps = list(run.steps.order_by("position"))
        payload = {"reason": said, **told(steps)}
        tell(run, f"run.{state.value}", payload, actor=actor)
        _pass_lock(run)
        run.refresh_from_db()
    return True


def _pass_lock(run: Run) -> None:
    """Wake the run that has waited longest for the lock this one had; should that one not begin, wake_due goes on."""
    if run.lock:
        following = Run.objects.filter(lock=run.lock, state=RunState.QUEUED).order_by("created_at").first()
        if following is not None:
            wake(following.pk)


def told(steps: Sequence[RunStep]) -> dict[str, list[str]]:
    """Names of the steps that were done, failed, are unclear, and were not reached."""
    by = {
        "done": [StepState.SUCCEEDED],
        "failed": [StepState.FAILED],
        "unclear": [StepState.STARTED, StepState.UNCERTAIN],
        "not_done": [StepState.PENDING, StepState.SKIPPED, StepState.WAITING],
    }
    return {key: [step.name for step in steps if step.state in states] for key, states in by.items()}


# --- previews


def keep_preview(run: Run, step: RunStep, *, preview: Mapping[str, Any], ticket: str) -> bool:
    """Write what a step would change. No event for each: run.previewed tells of all."""
    with transaction.atomic():
        if not _ours(run, ticket):
            return False
        mine = RunStep.objects.filter(pk=step.pk, state=StepState.PENDING, previewed_at=None)
        return bool(mine.update(preview=dict(preview), previewed_at=timezone.now()))


def finish_preparing(run: Run, *, content_hash: str, expires_at: datetime, ticket: str) -> bool:
    """Move preparing -> awaiting approval, bound to what was shown. Event run.previewed."""
    with transaction.atomic():
        if not _ours(run, ticket):
            return False
        preparing = Run.objects.filter(pk=run.pk, state=RunState.PREPARING)
        if not preparing.update(state=RunState.AWAITING_APPROVAL, content_hash=content_hash):
            return False
        run.content_hash = content_hash
        shown = [step.name for step in run.steps.order_by("position") if step.previewed_at is not None]
        tell(run, "run.previewed", {"steps": shown, "content_hash": content_hash})
        user = run.requested_by_id
        asker = Actor("user" if user else "system", run.requested_by_name, user_id=user)
        ask_approval(asker, run, expires_at)
    return True


def ask_approval(actor: Actor, run: Run, expires_at: datetime) -> None:
    """Ask another person to approve exactly this run. In the caller's transaction."""
    run.approval = approvals.request(
        actor=actor,
        subject=ref(run),
        action=ACTION,
        content_hash=run.content_hash,
        scope=approval_scope(run),
        reason=run.reason,
        expires_at=expires_at,
        about=about(run)[1:],
        owners={pk for pk in run.target_rows.values_list("resource__owner_id", flat=True) if pk is not None},
    )
    Run.objects.filter(pk=run.pk).update(approval=run.approval)


def approval_scope(run: Run) -> dict[str, Any]:
    """The scope an approval of this run is bound to, as an approver reads it."""
    return scope_of(run.procedure.name, run.version.number, run.grade, [target["name"] for target in run.targets])


def scope_of(procedure: str, version: int, grade: str, targets: Sequence[str]) -> dict[str, Any]:
    """The scope of consent to a run, one that is or one to come: policies ask about these keys."""
    return {"procedure": procedure, "version": version, "grade": grade, "targets": list(targets)}
