"""Looks at checks as time goes on, and closes an improvement that is proven. Safe to run twice and to be cut off.

A turn reads the looks from `checked_until` on out of the telemetry store in one range query, so that a platform that
was down, or a job that came late, loses none; a look the store has no sample for is "no data". What was read is written
only when nobody else moved `checked_until` meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Problem
from tongchou.incidents import improvements_check as checks
from tongchou.incidents import improvements_proof as proofs
from tongchou.incidents.actions import PERMISSION, check_respond
from tongchou.incidents.improvements_actions import close_proven, locked, tell, wrong_state
from tongchou.incidents.improvements_proof import Day, Look, Proof, Span
from tongchou.incidents.models import ENDED, CheckSpan, Improvement, ImprovementState

# Samples arrive late (a scrape, a journal, a forwarder's buffer): a look waits this long before it is final.
LAG_SECONDS = 90
MOST_LOOKS = 2016  # in one turn: a week at five minutes
TURN_SECONDS = 40.0
SHOWN = timedelta(days=100)
KEPT = timedelta(days=proofs.MOST_DAYS + 1)  # no strip shows and no proof needs older looks
RETAKEN = timedelta(days=60)  # so far back looks are taken again after the clock was set back
MOST_EACH_TURN = 500


@dataclass(frozen=True, slots=True)
class Strip:
    """The newest days of an improvement's check, and the proof since the work was done."""

    days: list[Day]
    proof: Proof | None
    until: datetime | None


def zone() -> ZoneInfo:
    """The time zone whose calendar days count: the installation's (TONGCHOU_TIME_ZONE)."""
    return ZoneInfo(settings.DEFAULT_USER_TIME_ZONE)


def look_at_all(*, actor: Actor, now: datetime) -> int:
    """Bring every check up to now, the ones tried longest ago first; returns how many were looked at.

    The try is written before the look: whatever a look raises ends this turn, and the next one takes it last.
    """
    check(actor, PERMISSION)
    began, done = time.monotonic(), 0
    due = Improvement.objects.exclude(state__in=ENDED).exclude(check_query="")
    turns = F("check_tried_at").asc(nulls_first=True)
    for row in due.order_by(turns, "checked_until", "number")[:MOST_EACH_TURN]:
        if time.monotonic() - began > TURN_SECONDS:
            break
        if _range(row, now) is not None or _is_ahead(row, now):
            Improvement.objects.filter(pk=row.pk).update(check_tried_at=timezone.now())
            advance(actor=actor, improvement=row, now=now)
            done += 1
    return done


def _is_ahead(row: Improvement, now: datetime) -> bool:
    return row.checked_until is not None and row.checked_until > now


def _range(row: Improvement, now: datetime) -> tuple[int, int] | None:
    """The first and last look that are due; None when none is."""
    if row.checked_until is None:
        return None
    interval = row.interval_seconds
    first = proofs.on_grid(row.checked_until.timestamp(), interval) + interval
    last = min(proofs.on_grid(now.timestamp() - LAG_SECONDS, interval), first + (MOST_LOOKS - 1) * interval)
    return (first, last) if first <= last else None


def advance(*, actor: Actor, improvement: Improvement, now: datetime) -> Improvement:
    """Look at one check as far as it is due, write what was seen, close the improvement when it is proven.

    Events improvement.count_restarted and improvement.done. A query that fails leaves everything as it is, with the
    reason in `check_problem`: what was not seen is never green.
    """
    if _is_ahead(improvement, now):
        _set_back(improvement, now)
        improvement.refresh_from_db()
    due = _range(improvement, now)
    seen: list[Look] = []
    problem = ""
    if due is not None:
        try:
            seen = checks.looks(
                improvement.check_query, improvement.check_is, due[0], due[1], improvement.interval_seconds
            )
        except Problem as error:
            problem = str(error.detail)[:500]
    with transaction.atomic():
        row = locked(improvement)
        if not _same(row, improvement):
            return row  # somebody else looked, or changed the check: what was read is about something else
        if problem:
            Improvement.objects.filter(pk=row.pk).update(check_problem=problem)
        elif due is not None:
            _write(row, seen)
            Improvement.objects.filter(pk=row.pk).update(
                checked_until=datetime.fromtimestamp(due[1], UTC), check_problem=""
            )
        row.refresh_from_db()
        if not problem:
            _judge(actor, row, now)
    row.refresh_from_db()
    return row


def _same(row: Improvement, read: Improvement) -> bool:
    names = ("checked_until", "check_query", "check_is", "interval_seconds")
    return not row.ended and all(getattr(row, name) == getattr(read, name) for name in names)


def _set_back(improvement: Improvement, now: datetime) -> None:
    """The clock was set back: forget the looks since the work was done; the store has them all.

    Looks taken while it was ahead saw no sample that was still to come, and nobody knows since when it was.
    """
    since = max(improvement.proving_since or improvement.created_at, now - RETAKEN)
    latest = proofs.on_grid(now.timestamp() - LAG_SECONDS, improvement.interval_seconds)
    after = min(latest, proofs.on_grid(since.timestamp(), improvement.interval_seconds))
    with transaction.atomic():
        row = locked(improvement)
        if not _is_ahead(row, now):
            return
        kept = proofs.cut(_spans(row), after=after, interval=row.interval_seconds)
        CheckSpan.objects.filter(improvement=row).delete()
        CheckSpan.objects.bulk_create([_span_row(row, each) for each in kept])
        Improvement.objects.filter(pk=row.pk).update(checked_until=datetime.fromtimestamp(after, UTC))


def _write(row: Improvement, seen: list[Look]) -> None:
    newest = CheckSpan.objects.filter(improvement=row).order_by("-begins_at").first()
    last = _span(newest) if newest else None
    made = proofs.extended(last, seen, row.interval_seconds)
    if newest is not None and last is not None and made and made[0].begins == last.begins:
        CheckSpan.objects.filter(pk=newest.pk).update(ends_at=datetime.fromtimestamp(made[0].ends, UTC))
        made = made[1:]
    CheckSpan.objects.bulk_create([_span_row(row, each) for each in made])
    if made:
        old = datetime.fromtimestamp(made[-1].ends, UTC) - KEPT
        CheckSpan.objects.filter(improvement=row, ends_at__lt=old).delete()


def _span(row: CheckSpan) -> Span:
    states = {"green": proofs.GREEN, "red": proofs.RED}
    return Span(
        states.get(row.state, proofs.NO_DATA), int(row.begins_at.timestamp()), int(row.ends_at.timestamp()), row.seen
    )


def _span_row(row: Improvement, span: Span) -> CheckSpan:
    return CheckSpan(
        improvement=row,
        state=span.state,
        begins_at=datetime.fromtimestamp(span.begins, UTC),
        ends_at=datetime.fromtimestamp(span.ends, UTC),
        seen=span.seen[:200],
    )


def _spans(row: Improvement, since: datetime | None = None) -> list[Span]:
    rows = CheckSpan.objects.filter(improvement=row).order_by("begins_at")
    if since is not None:
        rows = rows.filter(ends_at__gte=since)
    return [_span(each) for each in rows]


def strip(row: Improvement) -> Strip:
    """The newest SHOWN days since the check was written, and the proof; two queries."""
    if row.checked_until is None or not row.has_check:
        return Strip([], None, row.checked_until)
    spans = _spans(row, row.checked_until - SHOWN)
    until = int(row.checked_until.timestamp())
    since = min((each.begins for each in spans), default=until + 1)
    shown = proofs.days(spans, since=since, until=until, interval=row.interval_seconds, zone=zone())
    return Strip(shown, _proof(row), row.checked_until)


def _proof(row: Improvement) -> Proof | None:
    """Count the days after the work was done; days before the newest that are needed cannot add to them. One query."""
    if row.proving_since is None or row.checked_until is None:
        return None
    until = row.checked_until
    since = max(row.proving_since, until - timedelta(days=row.green_days + 3))
    counted = proofs.days(
        _spans(row, since),
        since=int(since.timestamp()) + 1,  # the looks after it
        until=int(until.timestamp()),
        interval=row.interval_seconds,
        zone=zone(),
    )
    return proofs.proof(counted, row.green_days)


def _judge(actor: Actor, row: Improvement, now: datetime) -> None:
    """Under the row's lock: write how many days are left; at none, and only when every look is taken, it is done."""
    if row.state != ImprovementState.PROVING:
        return
    found = _proof(row)
    if found is None:
        return
    if found.proven and _range(row, now) is None:
        told = {"days": found.needed, "query": row.check_query[:500], "is": row.check_is}
        close_proven(actor, row, now, told)
        return
    if row.green_left is not None and found.left > row.green_left and found.broken is not None:
        day = found.broken
        tell(
            actor,
            row,
            "improvement.count_restarted",
            {"day": day.day.isoformat(), "state": day.state, "had": row.green_days - row.green_left},
            dedupe_key=f"improvement.count_restarted:{row.pk}:{row.version}:{day.day}",
        )
    if row.green_left != found.left:
        Improvement.objects.filter(pk=row.pk).update(green_left=found.left)


def close(*, actor: Actor, improvement: Improvement) -> Improvement:
    """Close one that is proven. Looks first, as far as looks are due.

    Raises Conflict improvement.unproven with the days that are left, and what broke the count, when it is not proven:
    there is no other way to close an improvement that has a check.
    """
    check_respond(actor, improvement.postmortem.incident)
    if improvement.state != ImprovementState.PROVING:
        raise wrong_state(improvement, _("Only one whose work is done can be closed."), _("Say that the work is done."))
    if not improvement.has_check:
        raise Conflict(
            "improvement.consent",
            _("It has no check: another person has to agree that it is done."),
            remedy=_("Ask somebody with the role approver to look under Approvals."),
        )
    row = improvement
    for _turn in range(60):
        row = advance(actor=actor, improvement=row, now=timezone.now())
        if row.state != ImprovementState.PROVING or row.check_problem or _range(row, timezone.now()) is None:
            break
    if row.state == ImprovementState.DONE:
        return row
    raise _unproven(row)


def _unproven(row: Improvement) -> Conflict:
    found = _proof(row)
    left = found.left if found is not None else row.green_days
    extra: dict[str, Any] = {"days_left": left, "days_needed": row.green_days}
    if row.check_problem:
        return Conflict(
            "improvement.unproven",
            _("The check cannot be looked at: %(problem)s") % {"problem": row.check_problem},
            field="check_query",
            remedy=_("Repair the query. What was not seen is not green."),
            extra=extra,
        )
    if found is not None and found.broken is not None:
        extra["broken_on"] = found.broken.day.isoformat()
        extra["broken_by"] = found.broken.state
    return Conflict(
        "improvement.unproven",
        _("It is not proven: the check must stay green %(left)s more whole days, of %(needed)s.")
        % {"left": left, "needed": row.green_days},
        field="state",
        value=row.state,
        remedy=_("It closes by itself then. A day that is red, or without data, begins the count anew."),
        extra=extra,
    )


def preview(*, query: str, is_: str, interval: int, now: datetime) -> list[Day]:
    """What a check would have said in the last seven days. Asks telemetry; raises Invalid or QueryError."""
    until = proofs.on_grid(now.timestamp() - LAG_SECONDS, interval)
    since = proofs.on_grid((now - timedelta(days=7)).timestamp(), interval) + interval
    seen = checks.looks(query, is_, since, until, interval)
    return proofs.days(proofs.extended(None, seen, interval), since=since, until=until, interval=interval, zone=zone())
