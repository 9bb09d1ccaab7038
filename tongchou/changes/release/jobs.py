"""Releases under way are looked after by the clock; the end of a run brings them on at once (followers)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from tongchou.changes.models_release import Release
from tongchou.changes.release import engine
from tongchou.core import jobs
from tongchou.core.jobs import job, periodic

JOB = "changes.release"
JOB_SECONDS = 900.0  # checks are asked one after the other, each within a query's own limit


@job(JOB, max_attempts=3, timeout_seconds=JOB_SECONDS)
def advance_release(payload: dict[str, Any]) -> None:
    """Bring one release as far as it goes now."""
    release = Release.objects.filter(pk=UUID(payload["release"])).values_list("pk", flat=True).first()
    if release is not None:
        engine.advance(release)


@periodic("changes.releases", every_seconds=5)
def wake_releases() -> None:
    """Call for each release that moves: a job of its own, so that none waits for another one's checks."""
    for release in engine.due():
        with transaction.atomic():
            jobs.enqueue(JOB, {"release": str(release)}, unique_key=f"{JOB}:{release}")
