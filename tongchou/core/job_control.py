"""What a person sees of the job table and does to it: figures, the schedule, trying again, taking back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count, Min
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import jobs, ledger
from tongchou.core.access import Actor, check
from tongchou.core.models import Job, JobState, Lease
from tongchou.core.problems import Conflict, NotFound
from tongchou.core.refs import ref

VIEW, MANAGE = "jobs.view", "jobs.manage"
# words of an error -> what helps; the first that fits
REMEDIES: tuple[tuple[tuple[str, ...], str | Promise], ...] = (
    (("no job is registered",), _("Switch its integration on again, or leave it: nothing runs it.")),
    (
        ("the process that ran it died",),
        _("It took its process down many times. Look into the log before trying again."),
    ),
    (("cancelled by",), _("A person took it back. Try it again if it is wanted after all.")),
    (("Timeout", "timed out"), _("What it asks answers too slowly. See whether it is reachable, then try again.")),
    (
        ("Connect", "refused", "resolve"),
        _("What it asks cannot be reached. Check address and network, then try again."),
    ),
    (("OperationalError", "disk"), _("The database refused. Check disk and database, then try again.")),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """A periodic job or a duty: when it ran last, when it is due, who holds it. `kind` is periodic or duty."""

    name: str
    kind: str
    holder: str
    held: bool
    last_run_at: datetime | None
    next_run_at: datetime | None
    every_seconds: float | None
    last_error: str


def figures(counted: Iterable[Mapping[str, Any]] | None = None) -> dict[str, int]:
    """Return how many jobs there are by state, and how many queued ones are overdue (`due`). Two queries.

    One query with what `kinds` counted already.
    """
    rows = list(kinds() if counted is None else counted)
    due = Job.objects.filter(state=JobState.QUEUED, run_at__lte=timezone.now()).count()
    return {**{state: sum(row[state] for row in rows) for state in JobState.values}, "due": due}


def kinds() -> list[dict[str, Any]]:
    """Return each kind of job with its counts by state and its oldest queued time, those with dead ones first."""
    rows: dict[str, dict[str, Any]] = {}
    counted = Job.objects.order_by().values("name", "state").annotate(count=Count("*"), oldest=Min("run_at"))
    for row in counted:
        own = rows.setdefault(row["name"], {"name": row["name"], "oldest": None, **dict.fromkeys(JobState.values, 0)})
        own[row["state"]] = row["count"]
        if row["state"] == JobState.QUEUED:
            own["oldest"] = row["oldest"]
    return sorted(rows.values(), key=lambda each: (not each[JobState.DEAD], str(each["name"])))


def schedule(now: datetime | None = None) -> list[Turn]:
    """Return periodic jobs by when they are due, then duties by name. One query."""
    now = now or timezone.now()
    leases = {row.name: row for row in Lease.objects.all()}
    turns = []
    for name, seconds in jobs.periodic_seconds().items():
        if jobs.rests(name):  # its module is off: it has no turn
            continue
        row = leases.get(f"periodic:{name}")
        last = row.last_run_at if row else None
        due = last + timedelta(seconds=seconds) if last else now
        turns.append(
            Turn(name, "periodic", row.holder if row else "", False, last, due, seconds, row.last_error if row else "")
        )
    turns.sort(key=lambda each: (each.next_run_at or now, each.name))
    for name in sorted(each for each in jobs.duty_names() if not jobs.rests(each)):
        row = leases.get(f"duty:{name}")
        held = row is not None and bool(row.holder) and row.until > now
        turns.append(
            Turn(name, "duty", row.holder if row else "", held, None, None, None, row.last_error if row else "")
        )
    return turns


def remedy(error: str) -> str:
    """Return what helps against a job's error, in the language spoken now; "" for no error. Pure."""
    if not error:
        return ""
    for words, text in REMEDIES:
        if any(word in error for word in words):
            return str(text)
    return str(_("Repair what the error names, then try again."))


def retry(*, actor: Actor, job_id: UUID) -> Job:
    """Put a dead job back in the queue with fresh tries. Event job.retried. Raises Conflict when it is not dead."""
    check(actor, MANAGE)
    row = _get(job_id)
    try:
        with transaction.atomic():
            if not jobs.retry_dead(row):
                raise _conflict(row)
            ledger.record(actor=actor, verb="job.retried", subject=ref(row), payload={"name": row.name})
    except IntegrityError as error:  # one with the same unique key is queued already
        raise _conflict(row) from error
    row.refresh_from_db()
    return row


def cancel(*, actor: Actor, job_id: UUID) -> Job:
    """Take back a job that has not begun: it becomes dead and says by whom. Event job.cancelled; Conflict otherwise."""
    check(actor, MANAGE)
    row = _get(job_id)
    with transaction.atomic():
        won = Job.objects.filter(pk=row.pk, state=JobState.QUEUED).update(
            state=JobState.DEAD, finished_at=timezone.now(), error=f"cancelled by {actor.name}"
        )
        if not won:
            raise _conflict(row)
        ledger.record(actor=actor, verb="job.cancelled", subject=ref(row), payload={"name": row.name})
    row.refresh_from_db()
    return row


def _get(job_id: UUID) -> Job:
    row = Job.objects.filter(pk=job_id).first()
    if row is None:
        raise NotFound("job.unknown", _("There is no such job (any more)."), remedy=_("Reload the list of jobs."))
    return row


def _conflict(row: Job) -> Conflict:
    return Conflict(
        "job.state",
        _("The job is not in a state for this (any more)."),
        field="state",
        value=row.state,
        remedy=_("Dead jobs are tried again, queued ones are taken back. Reload the list."),
    )
