"""Whether a run may do its next step: it is what was approved, the approval is good, execution is allowed."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from tongchou.core import approvals
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.runbooks.definition import SAFE_METHODS, Definition
from tongchou.runbooks.journal import ACTION, approval_scope
from tongchou.runbooks.models import Run, RunStep
from tongchou.runbooks.plan import content_hash, refuse_execution
from tongchou.runbooks.planned import Target, approved_part
from tongchou.runbooks.prepare import definition_of, execution
from tongchou.runbooks.reasons import Reason


def stop_reason(run: Run) -> Reason | None:
    """Why the run may not do its next step: it is not what was approved, the approval is over, or execution is off."""
    steps = list(run.steps.order_by("position"))
    try:
        definition = definition_of(run.version.text)
    except Problem:
        return Reason("content_changed")
    reason = _not_covered(run, definition, digest(run, definition, steps), steps)
    return reason or refused_now(run, definition)


def refused_now(run: Run, definition: Definition) -> Reason | None:
    """Why the two switches forbid what the run would do."""
    targets = [Target(each["ref"], each["kind"], each["name"], each["labels"]) for each in run.targets]
    return next(iter(refuse_execution(definition.grade, targets, execution())), None)


def digest(run: Run, definition: Definition, steps: list[RunStep]) -> str:
    """The content hash of the run as its rows stand, previews included."""
    return content_hash(
        definition.content_hash,
        params=run.params,
        targets=run.targets,
        checks=run.checks,
        steps=[_approved_part(step) for step in steps],
    )


def _approved_part(step: RunStep) -> dict[str, Any]:
    return approved_part(
        name=step.name,
        kind=step.kind,
        target=step.target,
        input=step.input,
        alters=step.alters,
        repeatable=step.repeatable,
        parent=step.parent,
        branch=step.branch,
        flow=step.flow,
        preview=step.preview,
    )


def _not_covered(run: Run, definition: Definition, found_hash: str, steps: list[RunStep]) -> Reason | None:
    if found_hash != run.content_hash or run.lock != definition.lock:
        return Reason("content_changed")
    if definition.grade == "read":
        alters = any(step.alters or step.input.get("method", "GET") not in SAFE_METHODS for step in steps)
        return Reason("content_changed") if alters else None
    found = approvals.valid(subject=ref(run), action=ACTION, content_hash=found_hash, scope=approval_scope(run))
    if found is not None:
        return None
    return _why_not_approved(run.approval, found_hash)


def _why_not_approved(approval: Approval | None, found_hash: str) -> Reason:
    if approval is None or approval.state != ApprovalState.APPROVED:
        return Reason("approval_missing")
    if approval.expires_at <= timezone.now():
        return Reason("approval_expired")
    return Reason("content_changed" if approval.content_hash != found_hash else "approval_missing")
