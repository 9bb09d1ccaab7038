"""Runs move forward as jobs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tongchou.core.jobs import job, periodic
from tongchou.runbooks import advance, journal, previews

# The claim of a run is what protects it; this only says when a dead worker's job goes back to the queue by itself.
JOB_SECONDS = 420.0


@job("runbooks.advance", max_attempts=10, timeout_seconds=JOB_SECONDS)
def advance_run(payload: dict[str, Any]) -> None:
    """Take one run as far as it goes now."""
    advance.advance(UUID(payload["run"]), payload["ticket"])


@job("runbooks.preview", max_attempts=10, timeout_seconds=JOB_SECONDS)
def preview_run(payload: dict[str, Any]) -> None:
    """Show what a run would change, then ask for its approval."""
    previews.prepare(UUID(payload["run"]), payload["ticket"])


@periodic("runbooks.wake", every_seconds=5)
def wake_runs() -> None:
    """Find runs that should move and have no job: after a crash, or when a deadline has come."""
    journal.wake_due()
