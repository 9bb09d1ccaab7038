"""What can be done to many jobs, or many tokens, at once."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core import job_control, tokens
from tongchou.core.access import Actor, check
from tongchou.core.lists.changes import Change, register
from tongchou.core.models import ApiToken, Job, JobState
from tongchou.core.problems import Conflict


def _check_job(actor: Actor, _row: Job) -> None:
    check(actor, "jobs.manage")


def _dead(row: Job, _said: Any) -> dict[str, str]:
    if row.state != JobState.DEAD:
        raise Conflict("job.state", _("Only a job that failed for good is tried again."), value=row.state)
    return {"state": JobState.QUEUED.value}


def _queued(row: Job, _said: Any) -> dict[str, str]:
    if row.state != JobState.QUEUED:
        raise Conflict("job.state", _("Only a queued job is taken back."), value=row.state)
    return {"state": JobState.DEAD.value}


def _state(row: Job) -> dict[str, str]:
    return {"state": row.state}


register(
    Change(
        "core.job",
        "retry",
        _("Try again"),
        _state,
        _dead,
        lambda actor, row, _wanted: job_control.retry(actor=actor, job_id=row.pk),
        _check_job,
        permission="jobs.manage",
    )
)
register(
    Change(
        "core.job",
        "cancel",
        _("Take back"),
        _state,
        _queued,
        lambda actor, row, _wanted: job_control.cancel(actor=actor, job_id=row.pk),
        _check_job,
        permission="jobs.manage",
        help=_("What they were to do is not done."),
    )
)


def _revoked(row: ApiToken, _said: Any) -> dict[str, bool]:
    return {"revoked": True}


register(
    Change(
        "core.apitoken",
        "revoke",
        _("Revoke"),
        lambda row: {"revoked": row.revoked_at is not None},
        _revoked,
        lambda actor, row, _wanted: tokens.revoke(actor=actor, token=row),
        lambda actor, _row: check(actor, "access.manage"),
        permission="access.manage",
        help=_("What uses them stops at once."),
    )
)
