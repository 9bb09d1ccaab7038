"""Before the approval: asks each step that can show it what it would change, and keeps that for the approver to read.

A preview alters nothing, so one that a crash cut off is simply made again; one that was kept is not.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from tongchou.core.problems import Problem
from tongchou.runbooks import covered, doing, journal
from tongchou.runbooks.advance import CLAIM_SECONDS
from tongchou.runbooks.installed import previewer
from tongchou.runbooks.models import Run, RunState, RunStep
from tongchou.runbooks.prepare import definition_of
from tongchou.runbooks.reasons import Reason

STATES = (RunState.PREPARING,)


def prepare(run_id: UUID, ticket: str) -> None:
    """Make every preview the run still lacks, then ask for its approval; what forbids the run ends it with its reason.

    Delivered twice, or to two workers, exactly one makes them. While the emergency stop is on nothing is asked.
    """
    if journal.stopped() or not journal.claim(run_id, ticket, seconds=CLAIM_SECONDS, states=STATES):
        return
    try:
        run = Run.objects.select_related("procedure", "version", "requested_by").get(pk=run_id)
        for step in run.steps.filter(previewed_at=None).order_by("position"):
            if previewer(step.kind) is not None and not _one(run, step, ticket):
                return
        _ask(run, ticket)
    finally:
        journal.release(run_id, ticket)


def _one(run: Run, step: RunStep, ticket: str) -> bool:
    """Make one preview; False when the run has ended, is held, or is somebody else's now."""
    if journal.stopped():
        return False
    reason = _refused(run)
    if reason is not None:
        journal.end_run(run, RunState.FAILED, reason, ticket=ticket)
        return False
    if not journal.claim(run.pk, ticket, seconds=doing.longest_seconds(step) + CLAIM_SECONDS, states=STATES):
        return False
    result = doing.preview(run, step)
    answers_failure = step.parent is not None and not step.branch
    if result.reason is not None and not answers_failure:
        why = Reason("preview_failed", {"step": step.name, "why": str(result.reason)})
        journal.end_run(run, RunState.FAILED, why, ticket=ticket)
        return False
    # What answers a failure that has not happened yet may well not be able to show itself; then it says why.
    said = {"problem": str(result.reason)} if result.reason is not None else {}
    return journal.keep_preview(run, step, preview={**result.output, **said}, ticket=ticket)


def _refused(run: Run) -> Reason | None:
    try:
        return covered.refused_now(run, definition_of(run.version.text))
    except Problem:
        return Reason("content_changed")


def _ask(run: Run, ticket: str) -> None:
    steps = list(run.steps.order_by("position"))
    found = covered.digest(run, definition_of(run.version.text), steps)
    expires_at = timezone.now() + timedelta(seconds=run.expires_in_seconds)
    journal.finish_preparing(run, content_hash=found, expires_at=expires_at, ticket=ticket)
