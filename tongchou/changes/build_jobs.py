"""Looks at the builds of servers are jobs, asked for when their time has come."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tongchou.changes import build_polling, build_starts
from tongchou.core.jobs import job, periodic


@job(build_polling.JOB, max_attempts=3, timeout_seconds=build_polling.CLAIM_SECONDS)
def poll_builds(payload: dict[str, Any]) -> None:
    """Look at one server."""
    build_polling.poll(UUID(payload["server"]))


@periodic("changes.build_servers_due", every_seconds=15)
def build_servers_due() -> None:
    """Ask for the looks whose time has come."""
    build_polling.poll_due()


@periodic("changes.build_starts_prune", every_seconds=86_400)
def build_starts_prune() -> None:
    """Forget builds that no run can ask for any more."""
    build_starts.prune()
