"""Checks of Ansible projects and looks of baselines are jobs, asked for when their time has come."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tongchou.changes import baseline_actions, playbook_actions
from tongchou.core.jobs import job, periodic

# Longer than any check: the claim of a dead process is given back by its node's end, not by this.
CHECK_SECONDS = 3_700.0


@job(playbook_actions.JOB, max_attempts=3, timeout_seconds=CHECK_SECONDS)
def check_playbook(payload: dict[str, Any]) -> None:
    """Make one check."""
    playbook_actions.do_check(UUID(payload["check"]))


@periodic("changes.playbooks_due", every_seconds=30)
def check_due() -> None:
    """Ask for the checks whose time has come."""
    playbook_actions.check_due()


@job(baseline_actions.JOB, max_attempts=3, timeout_seconds=baseline_actions.LOOK_SECONDS + 60.0)
def look_at_baseline(payload: dict[str, Any]) -> None:
    """Look at the hosts of one baseline."""
    baseline_actions.look(UUID(payload["baseline"]))


@periodic("changes.baselines_due", every_seconds=30)
def looks_due() -> None:
    """Ask for the looks whose time has come."""
    baseline_actions.look_due()
