"""Every write a person causes: save a procedure, ask for a run, answer, cancel, retry. A run's own: journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import approvals, ledger, settings_store
from tongchou.core.access import Actor, check, check_anywhere, check_own, system
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.runbooks import journal, limits, machine, procedure
from tongchou.runbooks.advance import next_key, view
from tongchou.runbooks.installed import previewer
from tongchou.runbooks.journal import ACTION, approval_scope
from tongchou.runbooks.machine import ACTIVE
from tongchou.runbooks.models import (
    Grade,
    Procedure,
    ProcedureVersion,
    Run,
    RunState,
    RunStep,
    RunTarget,
    StepState,
)
from tongchou.runbooks.prepare import Prepared, prepare
from tongchou.runbooks.reasons import Reason

STOP_REF = "core.setting:execution-stopped"
MIN_EXPIRY_SECONDS = 60
MAX_EXPIRY_SECONDS = 7 * 86_400
MAX_COMMENT = 2000

Answer = Literal["continue", "stop", "done", "repeat"]


def put_procedure(*, actor: Actor, name: str, text: str) -> Procedure:
    """Save a text as the newest version of the procedure `name`; the same text again changes nothing.

    Raises Invalid with the path, line, value and remedy of the first defect; the old version stays then.
    Runs keep the version they were requested with; a run not yet begun is refused at its start.
    Event procedure.changed.
    """
    check(actor, "runbooks.edit")
    definition = procedure.parse(text)
    if definition.name != name:
        raise Invalid(
            "procedure.name",
            _("The text names another procedure."),
            field="name",
            value=definition.name,
            remedy=_("Write name: %(name)s, or save it under its own name.") % {"name": name},
        )
    with transaction.atomic():
        row = Procedure.objects.select_for_update().filter(name=name).first()
        if row is not None and row.text == text and row.state == "active":
            return row
        fields = {
            "title": dict(definition.title),
            "text": text,
            "content_hash": definition.content_hash,
            "grade": definition.grade,
            "matches": [dict(match) for match in definition.matches],
            "state": "active",
            "updated_at": timezone.now(),
            "updated_by_name": actor.name,
        }
        if row is None:
            row = _create(name, fields)
        else:
            Procedure.objects.filter(pk=row.pk).update(version_number=row.version_number + 1, **fields)
            row.refresh_from_db()
        ProcedureVersion.objects.create(
            procedure=row,
            number=row.version_number,
            text=text,
            content_hash=definition.content_hash,
            created_by_name=actor.name,
        )
        payload = {
            "name": name,
            "version": row.version_number,
            "grade": row.grade,
            "content_hash": row.content_hash,
        }
        ledger.record(actor=actor, verb="procedure.changed", subject=ref(row), payload=payload)
    return row


def _create(name: str, fields: Mapping[str, Any]) -> Procedure:
    try:
        with transaction.atomic():
            return Procedure.objects.create(name=name, **fields)
    except IntegrityError:
        raise Conflict(
            "procedure.exists",
            _("Somebody else has just created the procedure %(name)s.") % {"name": name},
            remedy=_("Read theirs, then save yours again."),
        ) from None


def retire_procedure(*, actor: Actor, procedure: Procedure) -> Procedure:
    """Take a procedure out of use: no run can be requested or begin any more. Event procedure.retired."""
    check(actor, "runbooks.edit")
    with transaction.atomic():
        if Procedure.objects.filter(pk=procedure.pk, state="active").update(state="retired", updated_at=timezone.now()):
            ledger.record(
                actor=actor, verb="procedure.retired", subject=ref(procedure), payload={"name": procedure.name}
            )
    procedure.refresh_from_db()
    return procedure


def request_run(
    *,
    actor: Actor,
    procedure: Procedure,
    params: Mapping[str, Any],
    targets: Sequence[str],
    about_ref: str = "",
    incident_number: int | None = None,
    reason: str = "",
    expires_in_seconds: int = 3600,
) -> Run:
    """Plan a run and, if nothing forbids it, ask for its approval; a procedure of grade read is queued at once.

    Where a step can show what it would change, that is done first (state preparing), and the approval asked for then.
    The approval is bound to the hash of the version, parameters, targets and every resolved step, and expires.
    Raises Invalid or Conflict (`run.refused`) with every reason in `refusals`. Event run.requested.
    """
    check_anywhere(actor, "runbooks.request")
    if not MIN_EXPIRY_SECONDS <= expires_in_seconds <= MAX_EXPIRY_SECONDS:
        raise Invalid(
            "run.expiry",
            _("An approval expires after one minute to seven days."),
            field="expires_in_seconds",
            value=expires_in_seconds,
            remedy=_("For example 3600."),
        )
    raise_retired(procedure)
    prepared = prepare(procedure, actor=actor, params=params, target_names=targets, incident_number=incident_number)
    for resource in prepared.resources:
        check(actor, "runbooks.request", team=resource.owner_id)
    raise_refusals(prepared.plan.refusals)
    expires_at = timezone.now() + timedelta(seconds=expires_in_seconds)
    with transaction.atomic():
        newest = Procedure.objects.select_for_update().get(pk=procedure.pk)
        if newest.version_number != prepared.version.number or newest.state != "active":
            raise Conflict(
                "run.procedure_changed",
                _("The procedure was changed while the run was being planned."),
                remedy=_("Look at the new text and request the run again."),
            )
        raise_refusals(limits.exceeded(newest, prepared.definition.rate_limit))
        run = write_run(actor, newest, prepared, about_ref, incident_number, reason[:MAX_COMMENT], expires_in_seconds)
        if run.state == RunState.PREPARING:
            journal.wake_preparing(run.pk)
        elif run.state == RunState.QUEUED:
            journal.wake(run.pk)
        else:
            journal.ask_approval(actor, run, expires_at)
        tell_requested(actor, run, prepared)
    return run


def tell_requested(actor: Actor, run: Run, prepared: Prepared) -> None:
    """Record that a run was asked for, in the caller's commit. Event run.requested."""
    payload = {
        "grade": run.grade,
        "params": run.params,
        "reason": run.reason,
        "content_hash": run.content_hash,
        "steps": [step.name for step in prepared.plan.steps],
    }
    journal.tell(run, "run.requested", payload, actor=actor)


def raise_retired(procedure: Procedure) -> None:
    """Raise Conflict for a procedure that is out of use."""
    if procedure.state != "active":
        raise Conflict("run.retired", _("This procedure is retired."), remedy=_("Save it again to bring it back."))


def raise_refusals(refusals: Sequence[Reason]) -> None:
    """Raise Invalid or Conflict (`run.refused`) with every reason in `refusals`; nothing when there is none."""
    if not refusals:
        return
    first = refusals[0]
    said = [{"code": each.code, "detail": str(each)} for each in refusals]
    own_fault = first.code.startswith(("parameter_", "no_target", "too_many", "target_twice", "template", "query_"))
    kind = Invalid if own_fault else Conflict
    raise kind(
        "run.refused",
        str(first),
        field="params" if first.code.startswith("parameter_") else None,
        value=first.params.get("name"),
        remedy=_("See the dry run for every reason."),
        extra={"refusals": said},
    )


def write_run(
    actor: Actor,
    row: Procedure,
    prepared: Prepared,
    about_ref: str,
    incident_number: int | None,
    reason: str,
    expires_in_seconds: int = 3600,
    state: RunState | None = None,
) -> Run:
    """Write a planned run, its steps and its hold on its targets, in one commit; Conflict while they are taken.

    `state`: where it begins, when it is not the one in which it waits to be previewed or approved.
    """
    plan = prepared.plan
    run = Run.objects.create(
        procedure=row,
        version=prepared.version,
        grade=prepared.definition.grade,
        params=dict(plan.params),
        targets=[target.as_json() for target in prepared.targets],
        checks=[each.as_json() for each in plan.checks],
        content_hash=plan.content_hash,
        state=state or _first_state(prepared),
        lock=prepared.definition.lock,
        expires_in_seconds=expires_in_seconds,
        reason=reason,
        about_ref=about_ref,
        incident_number=incident_number,
        requested_by_id=actor.user_id,
        requested_by_name=actor.name,
    )
    RunStep.objects.bulk_create(
        RunStep(
            run=run,
            position=position,
            name=step.name,
            kind=step.kind,
            parent=step.parent,
            branch=step.branch,
            flow=dict(step.flow),
            target=step.target_ref,
            target_name=step.target_name,
            alters=step.alters,
            repeatable=step.repeatable,
            input=dict(step.input),
            idempotency_key=f"{run.pk}:{position}",
        )
        for position, step in enumerate(plan.steps)
    )
    rows = [RunTarget(run=run, procedure=row, resource=resource) for resource in prepared.resources]
    try:
        with transaction.atomic():
            RunTarget.objects.bulk_create(rows)
    except IntegrityError:
        raise _busy(row, [resource.pk for resource in prepared.resources]) from None
    return run


def _first_state(prepared: Prepared) -> RunState:
    if prepared.definition.grade == "read":
        return RunState.QUEUED
    return RunState.PREPARING if shows_first(prepared) else RunState.AWAITING_APPROVAL


def shows_first(prepared: Prepared) -> bool:
    """Tell whether a run shows what it would change before anybody agrees to it."""
    return any(previewer(step.kind) is not None for step in prepared.plan.steps)


def _busy(row: Procedure, resource_ids: Sequence[UUID]) -> Conflict:
    holder = RunTarget.objects.filter(procedure=row, resource__in=resource_ids, active=True).select_related("resource")
    first = holder.first()
    return Conflict(
        "run.busy",
        _("Another run of this procedure on %(target)s is not finished.")
        % {"target": first.resource.name if first else ", ".join(str(each) for each in resource_ids)},
        value=str(first.run_id) if first else None,
        remedy=_("Wait for it, or cancel it."),
    )


def start_approved(*, approval_id: str) -> Run | None:
    """Queue the run that waits for this approval; None when none does: a second delivery does nothing."""
    with transaction.atomic():
        run = Run.objects.select_related("procedure").filter(approval_id=approval_id).first()
        if run is None:
            return None
        waiting = Run.objects.filter(pk=run.pk, state=RunState.AWAITING_APPROVAL, approval_id=approval_id)
        if not waiting.update(state=RunState.QUEUED):
            return None
        journal.wake(run.pk)
    run.refresh_from_db()
    return run


def end_unapproved(*, approval_id: str, expired: bool, by: str, comment: str) -> Run | None:
    """Cancel the run whose approval was rejected, taken back or never decided. Event run.cancelled."""
    run = Run.objects.select_related("procedure").filter(approval_id=approval_id).first()
    if run is None or run.state != RunState.AWAITING_APPROVAL:
        return None
    reason = Reason("approval_lapsed") if expired else Reason("approval_rejected", {"by": by, "comment": comment})
    return run if journal.end_run(run, RunState.CANCELLED, reason, actor=system("approvals")) else None


def check_targets(actor: Actor, permission: str, run: Run) -> None:
    """Raise AccessDenied unless the actor may do it on what owns every target; of none, in any team."""
    owners = list(run.target_rows.values_list("resource__owner_id", flat=True))
    for owner in owners:
        check(actor, permission, team=owner)
    if not owners:
        check_anywhere(actor, permission)


def cancel(*, actor: Actor, run: Run, comment: str = "") -> Run:
    """Stop a run before its next step; a step that is being done is not torn off, its result is still written.

    Event run.cancelled says what was done and what was not.
    """
    if actor.user_id is None or actor.user_id != run.requested_by_id:
        check_targets(actor, "runbooks.request", run)
    else:
        check_own(actor, "runbooks.request")
    reason = Reason("cancelled", {"by": actor.name, "comment": comment[:MAX_COMMENT]})
    with transaction.atomic():
        if not journal.end_run(run, RunState.CANCELLED, reason, actor=actor):
            run.refresh_from_db()
            raise _not_now(run)
        pending = run.approval
        if pending is not None and pending.state == ApprovalState.PENDING:
            _take_back(pending)
    return run


def _take_back(approval: Approval) -> None:
    try:
        approvals.cancel(actor=journal.EXECUTOR, approval=approval, comment="the run was cancelled")
    except Conflict:
        return  # decided in this moment; the run is cancelled all the same


def _not_now(run: Run) -> Conflict:
    return Conflict(
        "run.state",
        _("The run is %(state)s; this cannot be done now.") % {"state": run.get_state_display()},
        value=run.state,
        remedy=_("Read the run again."),
    )


def answer(*, actor: Actor, run: Run, position: int, answer: Answer, comment: str = "") -> Run:
    """Answer the step a run waits for.

    A question takes continue or stop. A step of which nobody knows whether it took effect takes done (it did, go on),
    repeat (do it again, with the same idempotency key) or stop. Event run.answered.
    """
    check_targets(actor, "runbooks.answer", run)
    with transaction.atomic():
        if not Run.objects.select_for_update().filter(pk=run.pk, state__in=ACTIVE).exists():
            run.refresh_from_db()
            raise _not_now(run)
        step = run.steps.filter(position=position).first()
        allowed = possible_answers(step)
        if step is None or answer not in allowed:
            raise Conflict(
                "run.answer",
                _("This step does not wait for such an answer."),
                field="answer",
                value=answer,
                remedy=_("Possible now: %(answers)s.") % {"answers": ", ".join(allowed) or "-"},
            )
        _write_answer(actor, step, answer, comment[:MAX_COMMENT])
        payload = {"step": step.name, "position": position, "answer": answer, "comment": comment[:MAX_COMMENT]}
        journal.tell(run, "run.answered", payload, actor=actor)
        journal.wake(run.pk)
    run.refresh_from_db()
    return run


def possible_answers(step: RunStep | None) -> tuple[Answer, ...]:
    """The answers a step takes now; none when it waits for nobody."""
    if step is not None and step.state == StepState.WAITING and step.kind == "ask":
        return ("continue", "stop")
    if step is not None and step.state == StepState.UNCERTAIN:
        return ("done", "repeat", "stop")
    return ()


def _write_answer(actor: Actor, step: RunStep, answer: Answer, comment: str) -> None:
    mine = RunStep.objects.filter(pk=step.pk, state=step.state, attempts=step.attempts)
    kept = {**step.output, "answer": answer, "comment": comment}
    common = {"answered_by_name": actor.name, "output": kept, "deadline_at": None}
    if answer == "repeat":
        written = mine.update(state=StepState.PENDING, **common)
    elif answer == "stop":
        reason = Reason("answer_stop", {"by": actor.name, "comment": comment})
        written = mine.update(state=StepState.FAILED, reason=reason.as_json(), finished_at=timezone.now(), **common)
    else:
        written = mine.update(state=StepState.SUCCEEDED, finished_at=timezone.now(), **common)
    if not written:
        raise Conflict("run.answered", _("Somebody else has just answered."), remedy=_("Read the run again."))


def retry(*, actor: Actor, run: Run, expires_in_seconds: int = 3600) -> Run:
    """Go on with a failed run from the step that failed; finished steps are not done again. Event run.retried.

    While its approval is still good it goes on at once; otherwise it asks for a new one, after showing anew what the
    steps that are left would change.
    """
    check_targets(actor, "runbooks.request", run)
    seconds = max(MIN_EXPIRY_SECONDS, min(expires_in_seconds, MAX_EXPIRY_SECONDS))
    with transaction.atomic():
        at_once = goes_on_at_once(run)
        shows = any(previewer(kind) is not None for kind in run.steps.values_list("kind", flat=True))
        anew = RunState.PREPARING if shows else RunState.AWAITING_APPROVAL
        failed = Run.objects.filter(pk=run.pk, state=RunState.FAILED)
        state = RunState.QUEUED if at_once else anew
        if not failed.update(state=state, outcome={}, finished_at=None, expires_in_seconds=seconds):
            run.refresh_from_db()
            raise _not_now(run)
        try:
            with transaction.atomic():
                run.target_rows.update(active=True)
        except IntegrityError:
            raise _busy(run.procedure, list(run.target_rows.values_list("resource_id", flat=True))) from None
        _reopen_steps(run)
        run.refresh_from_db()
        if at_once:
            journal.wake(run.pk)
        elif shows:
            run.steps.filter(state=StepState.PENDING).update(preview={}, previewed_at=None)
            journal.wake_preparing(run.pk)
        else:
            journal.ask_approval(actor, run, timezone.now() + timedelta(seconds=seconds))
        journal.tell(run, "run.retried", {"state": run.state}, actor=actor)
    return run


def goes_on_at_once(run: Run) -> bool:
    """Tell whether a failed run that is tried again goes on without asking for consent."""
    if run.grade == Grade.READ:
        return True
    scope = approval_scope(run)
    return approvals.valid(subject=ref(run), action=ACTION, content_hash=run.content_hash, scope=scope) is not None


def _reopen_steps(run: Run) -> None:
    """Open the steps that failed or were not reached again, and what answered a failure that is now tried again."""
    steps = list(run.steps.order_by("position"))
    for position in machine.to_reopen([view(step) for step in steps], timezone.now()):
        step = steps[position]
        key = step.idempotency_key
        if step.state == StepState.FAILED:
            key = next_key(run, step, str(step.reason.get("code")))
        elif step.state == StepState.SUCCEEDED:
            key = f"{run.pk}:{step.position}:{step.attempts}"
        fresh: dict[str, Any] = {"reason": {}, "finished_at": None, "started_at": None, "poll_at": None, "retries": 0}
        RunStep.objects.filter(pk=step.pk).update(state=StepState.PENDING, idempotency_key=key, **fresh)


def pause(*, actor: Actor, run: Run) -> Run:
    """Hold a run under way before its next step; a step that is being done is brought to its end. Event run.paused.

    It keeps its lock and its targets, and goes on when a person resumes it.
    """
    check_targets(actor, "runbooks.request", run)
    with transaction.atomic():
        if not Run.objects.filter(pk=run.pk, state__in=machine.MOVING).update(state=RunState.PAUSED):
            run.refresh_from_db()
            raise _not_now(run)
        journal.tell(run, "run.paused", journal.told(list(run.steps.order_by("position"))), actor=actor)
    run.refresh_from_db()
    return run


def resume(*, actor: Actor, run: Run) -> Run:
    """Go on with a run that is paused; refused while the stop is on. Event run.resumed."""
    check_targets(actor, "runbooks.request", run)
    if journal.stopped():
        raise Conflict(
            "execution.stopped",
            _("The emergency stop is on."),
            remedy=_("Lift it first, once it is known to be safe."),
        )
    with transaction.atomic():
        if not Run.objects.filter(pk=run.pk, state=RunState.PAUSED).update(state=RunState.RUNNING):
            run.refresh_from_db()
            raise _not_now(run)
        journal.tell(run, "run.resumed", {}, actor=actor)
        journal.wake(run.pk)
    run.refresh_from_db()
    return run


# --- the emergency stop


def stop_execution(*, actor: Actor, reason: str) -> bool:
    """Let nothing begin any more, and pause what is under way before its next step. Event execution.stopped.

    A step that is being done is not torn off. False when it was on already: who stopped first, and why, stays.
    """
    check_anywhere(actor, "execution.stop")
    with transaction.atomic():
        if not _switch(actor, on=True):
            return False
        payload = {"reason": reason[:MAX_COMMENT]}
        ledger.record(actor=actor, verb="execution.stopped", subject=STOP_REF, payload=payload)
    return True


def lift_stop(*, actor: Actor, reason: str = "") -> bool:
    """Let runs begin again; those that were paused wait for a person each. Event execution.resumed."""
    check(actor, "execution.resume")
    with transaction.atomic():
        if not _switch(actor, on=False):
            return False
        payload = {"reason": reason[:MAX_COMMENT]}
        ledger.record(actor=actor, verb="execution.resumed", subject=STOP_REF, payload=payload)
        journal.wake_held()
    return True


def _switch(actor: Actor, *, on: bool) -> bool:
    """Turn the stop on or off; the permission was checked, and is not the one that edits settings."""
    if journal.stopped() == on:
        return False
    settings_store.put(actor=system(actor.name), key="execution.stopped", value=on)
    return True
