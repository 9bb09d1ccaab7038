"""What core does by itself, on time: seal, expire, tidy."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils import timezone

from tongchou.core import approvals, attachments, field_definitions, inbox, jobs, retention, seal, search, storage
from tongchou.core.backup import actions as backups
from tongchou.core.lists import batches
from tongchou.core.models_backups import StorageReading

KEEP_READINGS = timedelta(days=400)


def seal_ledger() -> None:
    """Seal what is committed, batch by batch, until nothing waits."""
    while seal.seal_pending() == seal.BATCH:
        continue


def expire_approvals() -> None:
    """Turn requests whose time is over into expired ones."""
    approvals.expire_due()


def tidy() -> None:
    """Go on with changes of many rows that were left; delete old ones, dead sessions and old readings of storage."""
    now = timezone.now()
    batches.resume_lost()
    batches.prune()
    Session.objects.filter(expire_date__lt=now).delete()
    StorageReading.objects.filter(at__lt=now - KEEP_READINGS).delete()


def retain() -> None:
    """Delete what is past its time."""
    retention.run()


def measure_storage() -> None:
    """Keep how many bytes each class takes now."""
    storage.measure()


def follow_ledger() -> None:
    """Bring the search up to what the ledger told."""
    search.follow()


def read_all_rows() -> None:
    """Read rows the search has not read today."""
    search.go_on()


def start_backup() -> None:
    """Begin the scheduled backup when it is due."""
    backups.start_due()


jobs.periodic("core.seal_ledger", every_seconds=10)(seal_ledger)
jobs.periodic("core.expire_approvals", every_seconds=20)(expire_approvals)
jobs.periodic("core.tidy", every_seconds=3600)(tidy)
jobs.periodic("core.search_follow", every_seconds=3)(follow_ledger)
jobs.periodic("core.search_pass", every_seconds=10)(read_all_rows)
jobs.periodic("core.purge_fields", every_seconds=3600)(field_definitions.purge_due)
jobs.periodic("core.retention", every_seconds=60)(retain)
jobs.periodic("core.storage", every_seconds=3600)(measure_storage)
jobs.periodic("core.backup_schedule", every_seconds=30)(start_backup)
jobs.periodic("core.tidy_inbox", every_seconds=6 * 3600)(inbox.tidy)
jobs.periodic("core.tidy_files", every_seconds=6 * 3600)(attachments.tidy)
