"""Batches: many rows planned, shown, then changed one by one through the rooms' actions; and the way back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import jobs, ledger
from tongchou.core.access import NOBODY, Actor, actor_for_user, allows_anywhere, denied
from tongchou.core.lists import places
from tongchou.core.lists.changes import Change, change_of
from tongchou.core.lists.conditions import Wanted, apply
from tongchou.core.lists.importers import importer_of
from tongchou.core.lists.tables import Table, table
from tongchou.core.models import Job, JobState, Role
from tongchou.core.models_lists import Batch, BatchRow, BatchState
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref

MAX_ROWS = 1000  # of one change
# Rows of one import that is written all or none. SQLite has one writer: the others wait for it, at most 20 s, and an
# objective with its rules takes about 12 ms, a person 3 ms.
MAX_WHOLE = 500
AT_ONCE = 50  # up to so many rows are changed in the request; more in a job with progress
AT_ONCE_SECONDS = 120.0  # so long the request's work is respected; then a worker goes on with what a dead one left
IMPORT = "import"
JOB = "lists.batch"
KEPT_DAYS = 30
OPEN = (BatchState.QUEUED, BatchState.RUNNING, BatchState.UNDOING)
_STEP = 20  # rows between two looks at the progress


def get(actor: Actor, batch_id: UUID | str) -> Batch:
    """Return a batch to the one who made it, and to administrators; NotFound."""
    rows = Batch.objects.select_related("user", "token")
    if actor.kind != "system" and actor.global_role != Role.ADMIN:
        rows = rows.filter(user_id=actor.user_id) if actor.user_id else rows.none()
    try:
        row = rows.filter(pk=batch_id).first()
    except (ValueError, ValidationError):
        row = None
    if row is None:
        raise NotFound("batch.unknown", _("There is no such change."), remedy=_("Begin it again in the list."))
    return row


def told(problem: Problem) -> dict[str, str]:
    """Return a refusal as a batch row keeps it."""
    facts = {"field": problem.field, "value": problem.value, "detail": problem.detail, "remedy": problem.remedy}
    return {name: str(text) for name, text in facts.items() if text}


# --- planning a change ------------------------------------------------------------------------------------------------


def selected(actor: Actor, of: Table, wanted: Wanted, ids: Sequence[str] | None) -> QuerySet[Any]:
    """Return the rows meant: those of `ids` the actor may see, or without ids all that the filter shows."""
    rows = of.visible(actor)
    if ids is None:
        return places.ordered(apply(of, rows, actor, wanted), places.steps(of, wanted.sort or of.sort))
    try:
        return rows.filter(pk__in=list(ids)[: MAX_ROWS + 1])
    except (ValueError, ValidationError):
        raise Invalid(
            "batch.rows", _("These are no rows of this list."), remedy=_("Select rows in the list.")
        ) from None


def plan(
    *, actor: Actor, of: Table, change: Change, wanted: Wanted, ids: Sequence[str] | None, form: Mapping[str, str]
) -> Batch:
    """Write down what the change would do to each row: old, new, unchanged, refused and why. Nothing is altered yet.

    At most MAX_ROWS rows; Invalid beyond and for none.
    """
    of.check(actor)
    rows = selected(actor, of, wanted, ids)
    count = rows.order_by()[: MAX_ROWS + 1].count()
    if not 1 <= count <= MAX_ROWS:
        detail = (
            _("No row is selected.") if not count else _("More than %(most)s rows are selected.") % {"most": MAX_ROWS}
        )
        remedy = _("Select rows in the list.") if not count else _("Narrow the filter, and change them in parts.")
        raise Invalid("batch.count", detail, field="rows", value=count, remedy=remedy)
    said = change.read(actor, form)
    planned = []
    for number, row in enumerate(places.loaded(of, list(rows)), start=1):
        planned.append(_planned(actor, change, row, said, number))
    return _kept(actor, of.kind, change.name, {"said": said}, planned)


def _planned(actor: Actor, change: Change, row: Any, said: Any, number: int) -> BatchRow:
    planned = BatchRow(number=number, key=str(row.pk), label=str(row)[:300], before=change.before(row))
    try:
        change.check(actor, row)
        planned.after = change.after(row, said)
        planned.plan = "unchanged" if planned.after == planned.before else "change"
    except Problem as problem:
        planned.plan, planned.error = "refused", told(problem)
    return planned


def _kept(
    actor: Actor, kind: str, act: str, values: dict[str, Any], rows: Sequence[BatchRow], file_name: str = ""
) -> Batch:
    with transaction.atomic():
        batch = Batch.objects.create(
            kind=kind,
            act=act,
            values=values | ({"digest": _digest(values, rows)} if act == IMPORT and "sheet" not in values else {}),
            file_name=file_name[:200],
            user_id=actor.user_id,
            token_id=actor.token_id,
            actor_name=actor.name[:150],
            total=sum(1 for row in rows if row.plan in ("change", "create")),
        )
        for row in rows:
            row.batch = batch
        BatchRow.objects.bulk_create(rows, batch_size=500)
    return batch


keep = _kept


def _digest(values: Mapping[str, Any], rows: Sequence[BatchRow]) -> str:
    """Return the SHA-256 of the file that was read and of all that was shown of it: what is done is exactly that."""
    shown = [[row.number, row.key, row.plan, row.before, row.after] for row in rows]
    text = json.dumps([values.get("sha256", ""), shown], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_other(batch: Batch, digest: str | None) -> None:
    """Conflict when an import is not what was shown, or may not be done while rows of it are refused."""
    kept = batch.values.get("digest")
    rows = list(BatchRow.objects.filter(batch=batch).order_by("number"))
    if (kept and kept != _digest(batch.values, rows)) or (digest and digest != kept):
        raise Conflict(
            "import.other",
            _("This is not what was shown."),
            field="digest",
            value=(digest or "")[:64],
            remedy=_("Read the file once more, and look at what it would do."),
        )
    refused = [row.number for row in rows if row.plan == "refused"]
    of = importer_of(batch.kind)
    if refused and of is not None and of.whole:
        raise Conflict(
            "import.refused",
            _("Some rows are refused; nothing was written."),
            field="row",
            value=", ".join(str(each) for each in refused[:20]),
            remedy=_("Correct them in the file, and import it again."),
        )


# --- doing ------------------------------------------------------------------------------------------------------------


def start(*, actor: Actor, batch: Batch, digest: str | None = None) -> Batch:
    """Do a planned batch: up to AT_ONCE rows at once, more as a job. Event list.changing; Conflict if it began.

    `digest`: that of the import which was looked at; Conflict when this is another one.
    """
    _refuse_narrower(actor, batch)
    if batch.act == IMPORT and batch.state == BatchState.PLANNED:
        _refuse_other(batch, digest)
    return _go(batch, _move(actor, batch, BatchState.PLANNED, BatchState.QUEUED, "list.changing"))


def _refuse_narrower(actor: Actor, batch: Batch) -> None:
    """AccessDenied when the actor may not do such a thing: rows are done with the rights of who planned them.

    A token that only reads must not do what its person planned in a browser.
    """
    if batch.act == IMPORT:
        of = importer_of(batch.kind)
        if of is not None and not of.allowed(actor):
            raise denied(actor, of.permission)
        return
    try:
        permission = change_of(batch.kind, batch.act).permission
    except NotFound:
        return  # nothing of it can be done any more
    if not allows_anywhere(actor, permission):
        raise denied(actor, permission)


def undo(*, actor: Actor, batch: Batch) -> Batch:
    """Put back what a finished batch changed, but for what was changed since. Event list.undoing."""
    if not may_undo(batch):
        raise Conflict(
            "batch.no_way_back",
            _("This cannot be undone."),
            remedy=_("Only finished changes that have a way back can be undone, and once."),
        )
    _refuse_narrower(actor, batch)
    return _go(batch, _move(actor, batch, BatchState.DONE, BatchState.UNDOING, "list.undoing"))


def drop(*, actor: Actor, batch: Batch) -> Batch:
    """Leave a planned batch: nothing was altered, and what was read for it is forgotten."""
    with transaction.atomic():
        if Batch.objects.filter(pk=get(actor, batch.pk).pk, state=BatchState.PLANNED).update(
            state=BatchState.DROPPED, values={}
        ):
            BatchRow.objects.filter(batch=batch).delete()
    batch.refresh_from_db()
    return batch


def prune() -> int:
    """Delete batches KEPT_DAYS old: what they did stays in the ledger. Returns how many."""
    old = timezone.now() - timedelta(days=KEPT_DAYS)
    gone, _by_model = Batch.objects.filter(created_at__lt=old).exclude(state__in=OPEN).delete()
    return gone


def resume_lost() -> int:
    """Give a job to batches that are under way and have none; return how many. A dead job waits for a person."""
    found = 0
    for pk in Batch.objects.filter(state__in=OPEN).values_list("pk", flat=True):
        key = _job_key(pk)
        with transaction.atomic():
            if not Job.objects.filter(name=JOB, unique_key=key).exclude(state=JobState.DONE).exists():
                jobs.enqueue(JOB, {"batch": str(pk)}, unique_key=key)
                found += 1
    return found


def may_undo(batch: Batch) -> bool:
    """Whether a batch has a way back now."""
    if batch.state != BatchState.DONE:
        return False
    if batch.act == IMPORT:
        of = importer_of(batch.kind)
        plans = [
            *(["create"] if of is not None and of.retire is not None else []),
            *(["change"] if of is not None and of.change is not None else []),
        ]
        return BatchRow.objects.filter(batch=batch, result="done", plan__in=plans).exists()
    try:
        return change_of(batch.kind, batch.act).reversible
    except NotFound:
        return False


def _job_key(batch_id: UUID) -> str:
    return f"{JOB}:{batch_id}"


def _move(actor: Actor, batch: Batch, old: BatchState, new: BatchState, verb: str) -> Job:
    """Move a batch on together with the job that does it: what begins is never without one."""
    with transaction.atomic():
        if not Batch.objects.filter(pk=batch.pk, state=old).update(state=new, done=0):
            raise Conflict(
                "batch.state",
                _("This change is not in the state for that."),
                field="state",
                value=batch.state,
                remedy=_("Reload the page."),
            )
        ledger.record(
            actor=actor,
            verb=verb,
            subject=ref(batch),
            payload={"kind": batch.kind, "act": batch.act, "rows": batch.total, "file": batch.file_name},
            correlation_id=str(batch.pk),
        )
        payload, key = {"batch": str(batch.pk)}, _job_key(batch.pk)
        if batch.total > AT_ONCE:
            return jobs.enqueue(JOB, payload, unique_key=key)
        return jobs.hold(JOB, payload, unique_key=key, seconds=AT_ONCE_SECONDS)


def _go(batch: Batch, job: Job) -> Batch:
    if batch.total <= AT_ONCE:
        jobs.run_one(job)  # what fails is tried again by a worker, as all jobs are
    batch.refresh_from_db()
    return batch


def actor_of(batch: Batch) -> Actor:
    """Return who acts in a batch, with the roles of now; NOBODY when person or token are gone."""
    if batch.user is None:
        return NOBODY
    if batch.token is not None and not batch.token.usable():
        return NOBODY
    return actor_for_user(batch.user, token=batch.token)


@jobs.job(JOB, timeout_seconds=900)
def _job(payload: dict[str, Any]) -> None:
    work(UUID(payload["batch"]))


def work(batch_id: UUID) -> None:
    """Go on with a batch where it stands: what is done is not done again, by two at once neither."""
    batch = Batch.objects.select_related("user", "token").filter(pk=batch_id, state__in=OPEN).first()
    if batch is None:
        return  # gone, or another try of the job has ended it
    actor = actor_of(batch)
    back = batch.state == BatchState.UNDOING
    if not back:
        Batch.objects.filter(pk=batch.pk, state=BatchState.QUEUED).update(state=BatchState.RUNNING)
    rows = BatchRow.objects.filter(batch=batch, result="done" if back else "", plan__in=("change", "create"))
    of = importer_of(batch.kind) if batch.act == IMPORT else None
    with ledger.correlated(str(batch.pk)):
        if of is not None and of.whole and not back:
            done = _all_or_none(actor, batch, rows.order_by("number"))
        else:
            done = _one_by_one(_undo_row if back else _do_row, actor, batch, rows)
    now = timezone.now()
    mine = Batch.objects.filter(pk=batch.pk, state=BatchState.UNDOING if back else BatchState.RUNNING)
    with transaction.atomic():
        if back:
            ended = mine.update(state=BatchState.UNDONE, undone_at=now, done=done)
        else:
            ended = mine.update(state=BatchState.DONE, finished_at=now, done=batch.total)
        if ended:
            _tell_end(actor, batch, back=back)


Turn = Callable[[Actor, Batch, BatchRow], None]


def _one_by_one(turn: Turn, actor: Actor, batch: Batch, rows: QuerySet[BatchRow]) -> int:
    """Each row by itself; one that cannot be stops no other. Returns how many were tried."""
    done = 0
    for row in list(rows.order_by("-number" if turn is _undo_row else "number")):
        result, row.error = _tried(turn, actor, batch, row, keep=True)
        if result in _BAD:
            BatchRow.objects.filter(pk=row.pk, result=row.result).update(result=result, error=row.error, key=row.key)
        done += 1
        if done % _STEP == 0:
            Batch.objects.filter(pk=batch.pk).update(done=done)
    return done


class _StopError(Exception):
    """Takes back what an import wrote: one of its rows could not be."""


def _all_or_none(actor: Actor, batch: Batch, fits: QuerySet[BatchRow]) -> int:
    """All rows in one transaction, or none and the one that could not be with its error. Returns how many were tried.

    The ledger's events and the rows' results are in the same transaction: a try that was cut off left nothing.
    """
    stopped: BatchRow | None = None
    rows: list[BatchRow] = []
    try:
        with transaction.atomic():
            Batch.objects.select_for_update().get(pk=batch.pk)  # another try ends first, and leaves no row
            rows = list(fits)
            for row in rows:
                row.result, row.error = _tried(_do_row, actor, batch, row)
                if row.result != "done":
                    stopped = row
                    raise _StopError
            BatchRow.objects.bulk_update(rows, ["plan", "result", "error", "key", "after"], batch_size=500)
    except _StopError:
        if stopped is not None:
            BatchRow.objects.filter(pk=stopped.pk).update(result=stopped.result, error=stopped.error)
    return len(rows)


def _tell_end(actor: Actor, batch: Batch, *, back: bool) -> None:
    results = list(BatchRow.objects.filter(batch=batch).values_list("result", flat=True))
    payload: dict[str, Any] = {"kind": batch.kind, "act": batch.act, "file": batch.file_name}
    payload |= {name: results.count(name) for name in ("done", "failed", "undone", "kept")}
    ledger.record(
        actor=actor,
        verb="list.undone" if back else "list.changed",
        subject=ref(batch),
        payload=payload,
        correlation_id=str(batch.pk),
    )


_BAD = ("kept", "failed")


def _tried(
    turn: Turn, actor: Actor, batch: Batch, row: BatchRow, *, keep: bool = False
) -> tuple[str, dict[str, str] | None]:
    """Do one row; what a room refuses becomes the row's own error and stops no other.

    `keep`: its result is written in the same transaction, so that a try that is cut off leaves both or none; a row that
    somebody else has just done is left alone.
    """
    good, bad = ("undone", "kept") if turn is _undo_row else ("done", "failed")
    try:
        with transaction.atomic():
            if keep and not BatchRow.objects.filter(pk=row.pk, result=row.result).update(result=good, error=None):
                return good, None
            turn(actor, batch, row)
            if keep:
                row.save(update_fields=["key", "after", "plan"])
    except Problem as problem:
        return bad, told(problem)
    except DatabaseError as error:
        return bad, {"detail": f"{type(error).__name__}: {error}"[:500]}
    return good, None


def _row(actor: Actor, batch: Batch, key: str) -> Any:
    of = table(batch.kind)
    found = places.loaded(of, list(of.visible(actor).filter(pk=key)[:1]))
    if not found:
        raise NotFound("batch.row", _("It is not there any more, or not yours to see."))
    return found[0]


def _changed_since(what: Any, field: str | None = None) -> Conflict:
    return Conflict(
        "batch.changed_since",
        _("Somebody changed it in between; it was left alone."),
        field=field,
        value=str(what)[:200],
        remedy=_("Look at it, and change it by hand."),
    )


def _do_row(actor: Actor, batch: Batch, row: BatchRow) -> None:
    if batch.act == IMPORT:
        _import_row(actor, batch, row)
        return
    change = change_of(batch.kind, batch.act)
    noun = _row(actor, batch, row.key)
    now = change.before(noun)
    if now == row.after:
        return  # a try that was cut off had done it
    if now != row.before:
        raise _changed_since(now)
    change.write(actor, noun, row.after)


def _undo_row(actor: Actor, batch: Batch, row: BatchRow) -> None:
    noun = _row(actor, batch, row.key)
    if batch.act == IMPORT:
        _unimport_row(actor, batch, row, noun)
        return
    change = change_of(batch.kind, batch.act)
    now = change.before(noun)
    if now != row.after:
        raise _changed_since(now)
    change.write(actor, noun, row.before)


# --- an import's rows -------------------------------------------------------------------------------------------------


def _differs(now: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if now.get(name) != value}


differs = _differs


def _import_row(actor: Actor, batch: Batch, row: BatchRow) -> None:
    importer = importer_of(batch.kind)
    if importer is None:
        raise NotFound("import.kind", _("Nothing is imported here any more."))
    values = dict(row.after or {})
    if row.plan == "create":
        [found] = importer.find(actor, [values])
        if isinstance(found, Problem):
            raise found
        if found is not None:
            importer.check(actor, found)
            row.key = str(found.pk)
            if _differs(importer.now(found), values):
                raise _changed_since(row.label)
            row.plan = "unchanged"  # a try that was cut off left nothing: somebody else made it, no undo takes it away
            return
        made = importer.create(actor, values)
        row.key = str(made.pk)
        made.refresh_from_db()
        now = importer.now(made)
        row.after = {name: now.get(name) for name in values}  # what it really became, for the way back
        return
    noun = _row(actor, batch, row.key)
    now = importer.now(noun)
    wanted = _differs(now, values)
    if not wanted:
        return
    if {name: now.get(name) for name in values} != row.before:
        raise _changed_since(row.label)
    if importer.change is None:
        raise _changed_since(row.label)
    importer.change(actor, noun, wanted)


def _unimport_row(actor: Actor, batch: Batch, row: BatchRow, noun: Any) -> None:
    importer = importer_of(batch.kind)
    if importer is None:
        raise NotFound("import.kind", _("Nothing is imported here any more."))
    now = importer.now(noun)
    since = _differs(row.after or {}, {name: now.get(name) for name in row.after or {}})
    if since:
        field, value = next(iter(since.items()))
        raise _changed_since(value, field)
    if row.plan == "create" and importer.retire is not None:
        importer.retire(actor, noun)
    elif row.plan == "change" and importer.change is not None:
        importer.change(actor, noun, dict(row.before or {}))
    else:
        raise Conflict("import.stays", importer.no_way_back, value=row.label)
