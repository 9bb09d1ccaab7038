"""Runs each source when its interval has passed."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from tongchou.core.access import system
from tongchou.core.jobs import enqueue, job, periodic
from tongchou.core.problems import Problem
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.sources import SYNC_JOB, run_source

log = logging.getLogger(__name__)


@job(SYNC_JOB, max_attempts=1, timeout_seconds=300)
def sync(payload: dict[str, Any]) -> None:
    """Sync one source. A failure is on the source with its remedy; the next interval is the retry."""
    source = SourceConfig.objects.filter(name=payload["source"], enabled=True).first()
    if source is None:
        return
    try:
        run_source(actor=system(f"source:{source.name}"), source=source)
    except Problem as problem:
        log.warning("source %s: %s", source.name, problem)


@periodic("inventory.sync_due", every_seconds=5)
def sync_due() -> None:
    """Enqueue every enabled source whose interval has passed since its last run."""
    now = timezone.now()
    for name, interval_seconds, last_run_at in SourceConfig.objects.filter(enabled=True).values_list(
        "name", "interval_seconds", "last_run_at"
    ):
        if last_run_at is None or last_run_at > now or now - last_run_at >= timedelta(seconds=interval_seconds):
            with transaction.atomic():
                enqueue(SYNC_JOB, {"source": name}, unique_key=f"{SYNC_JOB}:{name}")
