"""What people do to a change once it is scheduled: begin, work on tasks, finish, go back, review; and its windows."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import control_reads, covered_runs, permit, quiet
from tongchou.changes.control import check_edit, locked, tell, wrong_state
from tongchou.changes.draft import invalid
from tongchou.changes.models_control import (
    Change,
    ChangeKind,
    ChangeState,
    ChangeTask,
    Outcome,
    TaskState,
)
from tongchou.core.access import Actor
from tongchou.core.models import User
from tongchou.core.problems import AccessDenied, Conflict
from tongchou.core.refs import parse, ref
from tongchou.inventory.graph import load_graph
from tongchou.runbooks import consented
from tongchou.runbooks.models import Run, RunState

MAX_NOTE = 4000
ENDED = {TaskState.DONE, TaskState.FAILED, TaskState.SKIPPED}
OF_RUN = {RunState.SUCCEEDED: TaskState.DONE, RunState.FAILED: TaskState.FAILED, RunState.CANCELLED: TaskState.FAILED}


def refusals(row: Change, now: datetime, standing: control_reads.Standing) -> list[permit.Refusal]:
    """Return why the work may not begin now; empty when it may."""
    conflicts = control_reads.conflicts_of(row, load_graph()) if row.state == ChangeState.SCHEDULED else []
    known = control_reads.accepted(row)
    return permit.refusals(
        permit.Facts(
            kind=row.kind,
            state=row.state,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            agreed=standing.agreed,
            ran_out=standing.ran_out,
            broke_glass=bool(row.broke_glass),
            conflicts=tuple((each.kind, each.name) for each in conflicts if (each.kind, each.ref) not in known),
        ),
        now,
    )


def refusals_now(row: Change, standing: control_reads.Standing) -> list[permit.Refusal]:
    """Return why the work on a scheduled change may not begin at this moment; nothing for one in another state."""
    return refusals(row, timezone.now(), standing) if row.state == ChangeState.SCHEDULED else []


def begin(*, actor: Actor, change: Change, broke_glass: str = "") -> Change:
    """Begin the work: in the window, to what was agreed on. Events change.began, change.broke_glass.

    `broke_glass`: why an emergency cannot wait for consent; it is then reviewed by somebody else afterwards, and its
    alerts are not held back. Conflict with every reason in `refusals`.
    """
    check_edit(actor, change)
    now = timezone.now()
    with transaction.atomic():
        row = locked(change)
        if broke_glass.strip():
            _break_glass(row, broke_glass.strip()[:2000], now)
        found = refusals(row, now, control_reads.standing(row))
        if found:
            raise Conflict(
                "change.not_now",
                found[0].text,
                field="state",
                value=row.state,
                remedy=found[0].remedy,
                extra={"refusals": [{"code": each.code, "detail": str(each.text)} for each in found]},
            )
        row.state, row.began_at = ChangeState.IMPLEMENT, now
        row.implementer = User.objects.filter(pk=actor.user_id).first() if actor.user_id else None
        row.save(update_fields=["state", "began_at", "implementer", "broke_glass", "starts_at"])
        if row.broke_glass:
            tell(actor, row, "change.broke_glass", {"reason": row.broke_glass})
        tell(actor, row, "change.began", {"content_hash": row.asked_hash})
        quiet.keep(row, now)
    return row


def _break_glass(row: Change, reason: str, now: datetime) -> None:
    if row.kind != ChangeKind.EMERGENCY:
        raise invalid(
            "broke_glass", reason[:80], _("Only an emergency begins without consent."), _("Make it an emergency.")
        )
    row.broke_glass = reason
    if row.state in (ChangeState.NEW, ChangeState.AUTHORIZE):
        row.state = ChangeState.SCHEDULED
    if row.starts_at is None or row.starts_at > now:
        row.starts_at = now


def finish(*, actor: Actor, change: Change, backed_out: bool = False) -> Change:
    """Say that the work is done, or was taken back: what was held back is heard of again. Event change.finished.

    Conflict while a task is open, unless it was backed out: open tasks are then skipped; and while a task or the way
    back is being run. Consent to runs of it that failed ends: who tries one again later asks for it.
    """
    check_edit(actor, change)
    now = timezone.now()
    with transaction.atomic():
        row = locked(change)
        if row.state != ChangeState.IMPLEMENT:
            raise wrong_state(row, _("Only work that has begun is finished."))
        tasks = list(
            ChangeTask.objects.select_for_update(of=("self",))
            .select_related("run")
            .filter(change=row)
            .order_by("position")
        )
        running = [each for each in tasks if each.state == TaskState.RUNNING or _is_under_way(each.run)]
        left = [each for each in tasks if each.state == TaskState.OPEN]
        if running or (left and not backed_out):
            first = (running or left)[0]
            raise Conflict(
                "change.tasks_open",
                _("Task %(n)s is not done: %(title)s.") % {"n": first.position, "title": first.title},
                field="tasks",
                value=first.position,
                remedy=_("Do it, skip it with a note, or say that the change was backed out."),
            )
        if _is_under_way(row.backout_run):
            raise Conflict(
                "change.backing_out", _("The way back is being run."), remedy=_("Wait for it, or cancel its run.")
            )
        ChangeTask.objects.filter(pk__in=[each.pk for each in left]).update(
            state=TaskState.SKIPPED, done_at=now, done_by_name=actor.name
        )
        row.state, row.finished_at = ChangeState.REVIEW, now
        row.outcome = Outcome.BACKED_OUT if backed_out else ""
        row.save(update_fields=["state", "finished_at", "outcome"])
        tell(actor, row, "change.finished", {"backed_out": backed_out, "late": row.late_since is not None})
        _end_consent(row, Run.objects.filter(about_ref=ref(row), state=RunState.FAILED))
        quiet.keep(row, now)
    return row


def close(*, actor: Actor, change: Change, outcome: str, review: str) -> Change:
    """Say how it went. Event change.closed.

    One that was backed out or failed is not called successful; of an emergency that broke the glass somebody else than
    who carried it out says so.
    """
    check_edit(actor, change)
    if outcome not in Outcome.values:
        raise invalid("outcome", outcome, _("There is no such outcome."), ", ".join(Outcome.values))
    with transaction.atomic():
        row = locked(change)
        if row.state != ChangeState.REVIEW:
            raise wrong_state(row, _("A change is reviewed once the work is finished."))
        failed = ChangeTask.objects.filter(change=row, state=TaskState.FAILED).count()
        if outcome == Outcome.SUCCESSFUL and (failed or row.outcome == Outcome.BACKED_OUT):
            raise invalid(
                "outcome", outcome, _("A task failed, or it was backed out."), _("Choose what fits: it is no blame.")
            )
        if outcome != Outcome.SUCCESSFUL and not review.strip():
            raise invalid("review", "", _("Say what happened."), _("A sentence for who does it next."))
        if row.broke_glass and (actor.user_id is None or actor.user_id == row.implementer_id):
            raise AccessDenied(
                "change.own_review",
                _("An emergency that began without consent is reviewed by somebody else."),
                remedy=_("Ask another person to review it."),
            )
        row.state, row.outcome, row.review = ChangeState.CLOSED, outcome, review.strip()[:20_000]
        row.closed_at, row.reviewed_by_name = timezone.now(), actor.name
        row.save(update_fields=["state", "outcome", "review", "closed_at", "reviewed_by_name"])
        payload = {"outcome": outcome, "failed_tasks": failed, "late": row.late_since is not None}
        tell(actor, row, "change.closed", payload)
    return row


# --- tasks ----------------------------------------------------------------------------------------------------------


def do_task(*, actor: Actor, change: Change, position: int, state: str, note: str = "") -> ChangeTask:
    """Say that a task by hand is done, has failed or is skipped (with a note). Event change.task_done.

    Of a run of it that failed, consent ends when it is done or skipped: trying it again would do it once more.
    """
    check_edit(actor, change)
    if state not in ENDED:
        raise invalid("state", state, _("A task is done, failed or skipped."), ", ".join(sorted(ENDED)))
    if state != TaskState.DONE and not note.strip():
        raise invalid("note", "", _("Say why."), _("A sentence for the review."))
    with transaction.atomic():
        row = _working(change)
        task = _task(row, position)
        _raise_unless_open(task)
        _end_task(actor, row, task, TaskState(state), note.strip()[:MAX_NOTE])
        if state != TaskState.FAILED and task.run_id is not None:
            _end_consent(row, Run.objects.filter(pk=task.run_id))
    return task


def run_task(*, actor: Actor, change: Change, position: int) -> ChangeTask:
    """Request the run of a task's procedure on what the change touches; the task then follows the run.

    It begins at once when consent to the change covers exactly what it would do, and asks for its own otherwise.
    A second request while one is under way is refused by the task's state, under the lock of the change's row; consent
    to a run in whose place it comes ends. Event change.task_run.
    """
    check_edit(actor, change)
    with transaction.atomic():
        row = _working(change)
        task = _task(row, position)
        if task.procedure is None:
            raise invalid("position", position, _("This task is done by hand."), _("Say that it is done."))
        _raise_unless_open(task)
        replaced = task.run_id
        run = covered_runs.request_task(actor, row, task, task.procedure)
        task.run, task.state = run, TaskState.RUNNING
        task.save(update_fields=["run", "state"])
        tell(actor, row, "change.task_run", {"position": position, "task": task.title}, about=[ref(run)])
        if replaced is not None:
            _end_consent(row, Run.objects.filter(pk=replaced))
    follow_run(run_id=run.pk)
    task.refresh_from_db()
    return task


def back_out(*, actor: Actor, change: Change) -> Run:
    """Request the run of the procedure that takes the change back. Event change.backing_out.

    Consent to runs of it that failed ends: trying one again would do anew what is taken back.
    """
    check_edit(actor, change)
    with transaction.atomic():
        row = _working(change)
        if row.backout_procedure is None:
            raise Conflict(
                "change.no_backout", _("The way back of this change is no procedure."), remedy=_("Do it by hand.")
            )
        if _is_under_way(row.backout_run):
            raise Conflict("change.backing_out", _("The way back is being run already."), remedy=_("Look at its run."))
        run = covered_runs.request_back(actor, row, row.backout_procedure)
        row.backout_run = run
        row.save(update_fields=["backout_run"])
        tell(actor, row, "change.backing_out", {}, about=[ref(run)])
        _end_consent(row, Run.objects.filter(about_ref=ref(row), state=RunState.FAILED))
    return run


def follow_run(*, run_id: UUID) -> None:
    """Take over where the run of a task is: its end, or that it is tried again. Idempotent, in any order.

    Of a run that fails once the work on its change is over, or is being taken back, or its task was ended by hand,
    consent ends too: the way back itself may be tried again.
    """
    run = Run.objects.filter(pk=run_id, about_ref__startswith=f"{Change._meta.label_lower}:").first()
    if run is None:
        return
    with transaction.atomic():
        row = Change.objects.select_for_update().filter(pk=UUID(parse(run.about_ref).id)).first()
        if row is None:
            return
        run.refresh_from_db()
        if row.state != ChangeState.IMPLEMENT:
            _end_consent(row, Run.objects.filter(pk=run_id, state=RunState.FAILED))
            return
        task = ChangeTask.objects.select_for_update().filter(change=row, run=run_id).first()
        followed = task is not None and task.state in (TaskState.RUNNING, TaskState.FAILED)
        overtaken = row.backout_run_id is not None or (task is not None and not followed)
        if overtaken and run_id != row.backout_run_id:
            _end_consent(row, Run.objects.filter(pk=run_id, state=RunState.FAILED))
        ended = OF_RUN.get(RunState(run.state))
        if task is None or not followed or task.state == ended:
            return
        if ended is None:
            ChangeTask.objects.filter(pk=task.pk).update(state=TaskState.RUNNING, done_at=None, done_by_name="")
        else:
            _end_task(quiet.KEEPER, row, task, ended, "")


def _is_under_way(run: Run | None) -> bool:
    return run is not None and run.state not in OF_RUN


def _raise_unless_open(task: ChangeTask) -> None:
    """Refuse what is done, or is being run: a run may be tried again and not be followed yet."""
    if task.state not in (TaskState.OPEN, TaskState.FAILED) or _is_under_way(task.run):
        raise _task_state(task)


def _end_consent(row: Change, failed: QuerySet[Run]) -> None:
    consented.end(actor=quiet.KEEPER, failed=failed, because=f"{row.name} {row.title}")


def _working(change: Change) -> Change:
    """The change, locked, while work on it may go on."""
    row = locked(change)
    if row.state != ChangeState.IMPLEMENT:
        raise wrong_state(row, _("Tasks are done once the work has begun."))
    return row


def _task(row: Change, position: int) -> ChangeTask:
    found = ChangeTask.objects.select_for_update().filter(change=row, position=position).first()
    if found is None:
        raise invalid("position", position, _("There is no such task."))
    return found


def _task_state(task: ChangeTask) -> Conflict:
    state = TaskState.RUNNING if _is_under_way(task.run) else TaskState(task.state)
    return Conflict(
        "change.task_state",
        _("Task %(n)s is %(state)s.") % {"n": task.position, "state": state.label},
        field="position",
        value=task.position,
        remedy=_("Reload the page."),
    )


def _end_task(actor: Actor, row: Change, task: ChangeTask, state: TaskState, note: str) -> None:
    task.state, task.note, task.done_at, task.done_by_name = state, note, timezone.now(), actor.name
    task.save(update_fields=["state", "note", "done_at", "done_by_name"])
    tell(actor, row, "change.task_done", {"position": task.position, "task": task.title, "state": state, "note": note})


# --- windows --------------------------------------------------------------------------------------------------------


def keep_windows(now: datetime) -> int:
    """Open and close what windows open and close; note work that outlasts its window. Event change.late, once each."""
    late = Q(state=ChangeState.IMPLEMENT, late_since__isnull=True)
    rows = Change.objects.filter(
        Q(ends_at__gt=now) | late | Q(pk__in=quiet.holding()), state__in=quiet.OPEN_IN, starts_at__lte=now
    ).select_related("approval", "template", "template__backout_procedure", "backout_procedure")
    moved = 0
    for row in rows.prefetch_related("touched"):
        with transaction.atomic():
            placed, lifted = quiet.keep(row, now)
        moved += placed + lifted
        if row.state == ChangeState.IMPLEMENT and row.ends_at is not None and row.ends_at <= now:
            with transaction.atomic():
                if Change.objects.filter(pk=row.pk, state=row.state, late_since__isnull=True).update(late_since=now):
                    tell(quiet.KEEPER, row, "change.late", {})
    return moved
