"""What core does by itself, on time: seal, expire, tidy."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils import timezone

from tongchou.core import approvals, jobs, seal

KEEP_DONE_JOBS = timedelta(days=3)


def seal_ledger() -> None:
    """Seal what is committed, batch by batch, until nothing waits."""
    while seal.seal_pending() == seal.BATCH:
        continue


def expire_approvals() -> None:
    """Turn requests whose time is over into expired ones."""
    approvals.expire_due()


def tidy() -> None:
    """Delete done jobs after three days and dead sessions."""
    now = timezone.now()
    jobs.prune(done_before=now - KEEP_DONE_JOBS)
    Session.objects.filter(expire_date__lt=now).delete()


jobs.periodic("core.seal_ledger", every_seconds=10)(seal_ledger)
jobs.periodic("core.expire_approvals", every_seconds=20)(expire_approvals)
jobs.periodic("core.tidy", every_seconds=3600)(tidy)
