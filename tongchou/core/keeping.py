"""How long core keeps what it writes: done jobs and whole months of the sealed ledger."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, retention, seal, storage
from tongchou.core.backup.actions import folder
from tongchou.core.models import Event, EventAbout, Job, JobState, Segment
from tongchou.core.refs import ref
from tongchou.core.retention import DataClass, Preview, register


# --- done jobs -----------------------------------------------------------------------------------------------------
def _old_jobs(before: datetime) -> Preview:
    rows = Job.objects.filter(state=JobState.DONE, finished_at__lt=before).count()
    return Preview(rows, retention.share(retention.estimate(Job), rows))


def _prune_jobs(before: datetime, limit: int) -> int:
    old = Job.objects.filter(state=JobState.DONE, finished_at__lt=before)
    ids = list(old.order_by("finished_at").values_list("pk", flat=True)[:limit])
    Job.objects.filter(pk__in=ids, state=JobState.DONE).delete()
    return len(ids)


register(DataClass("jobs", _("done jobs"), 3, lambda: retention.estimate(Job), _old_jobs, _prune_jobs))


# --- the ledger ----------------------------------------------------------------------------------------------------
def _months(before: datetime) -> list[Segment]:
    """Whole sealed months before a moment, oldest first, some of whose events are still here."""
    old = Segment.objects.filter(month__lt=before.strftime("%Y-%m"), seals__isnull=False)
    return list(old.distinct().order_by("month"))


def _is_held(segment: Segment) -> bool:
    """Whether an event of the month is about something that is open still."""
    abouts = EventAbout.objects.filter(event__seal__segment=segment).values_list("ref", flat=True).distinct()
    return bool(retention.held("ledger", abouts))


def _old_events(before: datetime) -> Preview:
    months = _months(before)
    holding = [each for each in months if _is_held(each)]
    rows = sum(each.count for each in months if each not in holding)
    size = retention.estimate(Event)
    return Preview(rows, retention.share(size, rows), sum(each.count for each in holding))


def _prune_ledger(before: datetime, limit: int) -> int:
    """Some events of the oldest whole month that may go. Its head stays, marked as pruned before the first one goes."""
    segment = next((each for each in _months(before) if each.pruned_at or not _is_held(each)), None)
    if segment is None:
        return 0
    with transaction.atomic():
        if segment.pruned_at is None:
            segment.pruned_at = timezone.now()
            segment.save(update_fields=["pruned_at"])
            payload = {"month": segment.month, "events": segment.count, "head": segment.head}
            ledger.record(actor=retention.ACTOR, verb="ledger.pruned", subject=ref(segment), payload=payload)
        ids = list(segment.seals.order_by("position").values_list("event_id", flat=True)[:limit])
        seal.forget(ids)
    return len(ids)


register(
    DataClass(
        "ledger",
        _("events of the ledger"),
        0,
        lambda: retention.estimate(Event),
        _old_events,
        _prune_ledger,
        note=_("Whole months only; signed heads stay, so that the rest can still be verified. Many rules ask for 180."),
    )
)
storage.register("backups", _("backups in their folder"), lambda: storage.folder_bytes(folder()))
