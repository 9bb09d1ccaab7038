"""Plans and applies run as jobs; schedules and what was cut off are looked after by the clock."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tongchou.changes import (
    build_jobs,  # noqa: F401  # registers: only this file is found by name
    control_jobs,  # noqa: F401  # registers: only this file is found by name
    iac_applying,
    iac_planning,
    observed_jobs,  # noqa: F401  # registers: only this file is found by name
    playbook_jobs,  # noqa: F401  # registers: only this file is found by name
)
from tongchou.changes.iac_workspaces import MAX_TIMEOUT
from tongchou.changes.release import jobs as release_jobs  # noqa: F401  # registers: only this file is found by name
from tongchou.core.jobs import job, periodic

# The claim of a plan is what protects it; this only says when a dead worker's job goes back to the queue by itself.
JOB_SECONDS = MAX_TIMEOUT + 600.0


@job(iac_planning.JOB, max_attempts=3, timeout_seconds=JOB_SECONDS)
def make_plan(payload: dict[str, Any]) -> None:
    """Make one plan."""
    iac_planning.do_plan(UUID(payload["plan"]))


@job(iac_applying.JOB, max_attempts=3, timeout_seconds=JOB_SECONDS)
def apply_plan(payload: dict[str, Any]) -> None:
    """Apply one plan; called again after a crash it only says that it was cut off."""
    iac_applying.do_apply(UUID(payload["plan"]))


@periodic("changes.workspaces", every_seconds=30)
def look_after_workspaces() -> None:
    """Ask for what is due, and find what nobody is at any more."""
    iac_applying.sweep()
    iac_planning.schedule_due()
