"""What core tells of itself: jobs, their schedule, the ledger, the relational store."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Min
from django.utils import timezone

from tongchou.core.backup import actions
from tongchou.core.job_control import figures, schedule
from tongchou.core.meters import Family, by, collector, gauge
from tongchou.core.models import Event, Job, JobState
from tongchou.core.models_backups import StorageReading
from tongchou.core.seal import unsealed_count
from tongchou.core.storage import database_bytes


@collector("core")
def tell() -> Iterable[Family]:
    """Six small queries."""
    now = timezone.now()
    counts = figures()
    due = counts.pop("due")
    oldest = Job.objects.filter(state=JobState.QUEUED, run_at__lte=now).aggregate(at=Min("run_at"))["at"]
    yield by("gauge", "tongchou_jobs", "Jobs in the table, by state; dead ones failed for good.", "state", counts)
    yield gauge("tongchou_jobs_due", "Queued jobs whose time has come.", due)
    age = (now - oldest).total_seconds() if oldest else 0.0
    yield gauge("tongchou_jobs_oldest_due_seconds", "How long the oldest due job has been due.", age)
    turns = schedule(now)
    last = {each.name: each.last_run_at.timestamp() for each in turns if each.last_run_at is not None}
    name = "tongchou_periodic_last_run_timestamp_seconds"
    yield by("gauge", name, "When each periodic job was last given its turn.", "name", last)
    overdue = {
        each.name: max(0.0, (now - each.next_run_at).total_seconds()) for each in turns if each.next_run_at is not None
    }
    yield by("gauge", "tongchou_periodic_overdue_seconds", "How late each periodic job is.", "name", overdue)
    held = {each.name: float(each.held) for each in turns if each.kind == "duty"}
    yield by("gauge", "tongchou_duty_held", "Whether some process holds the duty.", "name", held)
    newest = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    yield gauge("tongchou_ledger_events", "Number of the newest event of the ledger.", newest)
    yield gauge("tongchou_ledger_unsealed", "Events that wait for their seal.", unsealed_count())
    yield gauge("tongchou_database_size_bytes", "Size of the relational store.", database_bytes())


@collector("storage")
def tell_storage() -> Iterable[Family]:
    """The newest reading of each class; no folder is walked here."""
    newest = StorageReading.objects.order_by("-at").values_list("at", flat=True).first()
    rows = StorageReading.objects.filter(at=newest).values_list("name", "bytes") if newest else []
    sizes = {name: float(size) for name, size in rows}
    yield by("gauge", "tongchou_storage_bytes", "Bytes by class of data, at the newest reading.", "class", sizes)
    last = actions.last_good()
    at = last.finished_at.timestamp() if last and last.finished_at else 0.0
    yield gauge("tongchou_backup_last_success_timestamp_seconds", "When the last good backup ended; 0: never.", at)
    yield gauge(
        "tongchou_backup_last_success_size_bytes", "Size of the last good backup.", (last.size or 0) if last else 0
    )
