"""Drift: what is not as code, playbooks and baselines say, deciding about it, the rules that ignore."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.changes import drift_actions, drift_reads
from tongchou.changes.models_drift import Drift, DriftIgnore, DriftSource, DriftState, DriftWhat
from tongchou.core.access import check_anywhere
from tongchou.core.refs import ref

router = Router(tags=["changes"])


class DriftDecisionIn(Body):
    """What is decided; a reason for all but "open", `until` for "ignored" (without: until something else is seen)."""

    decision: Literal["open", "adopt", "revert", "ignored"]
    reason: str = Field(default="", max_length=500)
    until: datetime | None = None


class IgnoreRuleIn(Body):
    """Shell patterns over the resource's name and the path; an empty one fits everything, not both."""

    reason: str = Field(min_length=1, max_length=500)
    resource: str = Field(default="", max_length=253)
    path: str = Field(default="", max_length=500)
    source_kind: Literal["", "iac", "playbook", "baseline", "observed"] = ""
    source_ref: str = Field(default="", max_length=140)
    until: datetime | None = None


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _item(row: Drift) -> dict[str, Any]:
    resource = row.resource
    facts = (
        "id", "source_kind", "what", "touched", "source_ref", "source_name", "subject", "path", "expected", "observed",
        "diff", "state", "consecutive", "returned", "first_seen_at", "last_seen_at", "opened_at", "cleared_at",
        "change_ref", "reason", "until", "decided_by_name", "decided_at",
    )  # fmt: skip
    named = {"ref": ref(resource), "kind": resource.kind, "name": resource.name} if resource is not None else None
    rule = str(row.ignored_by_id) if row.ignored_by_id else None
    return {**{name: getattr(row, name) for name in facts}, "ref": ref(row), "resource": named, "ignored_by": rule}


def _rule(row: DriftIgnore) -> dict[str, Any]:
    facts = ("id", "source_kind", "source_ref", "resource", "path", "reason", "until", "created_at", "created_by_name")
    return {name: getattr(row, name) for name in facts}


@router.get("/drift", response=Page)
def list_drift(
    request: HttpRequest,
    state: DriftState | Literal["all"] = DriftState.OPEN,
    source_kind: DriftSource | None = None,
    what: DriftWhat | None = None,
    source_ref: str | None = None,
    resource_id: UUID | None = None,
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List differences, the last seen first; by default those that nobody explained.

    `what`: of observations those of one sort.
    """
    found = drift_reads.items(actor_of(request))
    if state != "all":
        found = found.filter(state=state)
    if source_kind is not None:
        found = found.filter(source_kind=source_kind)
    if what is not None:
        found = found.filter(what=what)
    if source_ref is not None:
        found = found.filter(source_ref=source_ref)
    if resource_id is not None:
        found = found.filter(resource_id=resource_id)
    rows = page_of(found, max(0, offset), max(1, min(limit, 500)))
    return {"items": [_item(row) for row in rows], "count": found.count()}


@router.get("/drift/{uuid:drift_id}", response=dict[str, Any])
def get_drift(request: HttpRequest, drift_id: UUID) -> dict[str, Any]:
    """Return one difference."""
    return _item(drift_reads.item(actor_of(request), drift_id))


@router.post("/drift/{uuid:drift_id}", response=dict[str, Any])
def decide(request: HttpRequest, drift_id: UUID, body: DriftDecisionIn) -> dict[str, Any]:
    """Decide about a difference. It holds until something else is observed; the next look tells whether it is gone.

    To revert what was only observed opens a change that puts it back; `change_ref` names it.
    """
    actor = actor_of(request)
    check_anywhere(actor, drift_reads.VIEW)
    row = drift_reads.item(actor, drift_id)
    return _item(
        drift_actions.decide(
            actor=actor, drift_id=row.pk, decision=body.decision, reason=body.reason, until=_aware(body.until)
        )
    )


@router.get("/drift-ignore-rules", response=Page)
def list_rules(request: HttpRequest) -> dict[str, Any]:
    """List the rules that ignore, the oldest first, each with the number of differences it ignores now."""
    rows = drift_reads.rules(actor_of(request))
    found = [{**_rule(row), "ignored_now": getattr(row, "item_count", 0)} for row in rows]
    return {"items": found, "count": len(found)}


@router.post("/drift-ignore-rules", response={201: dict[str, Any]})
def add_rule(request: HttpRequest, body: IgnoreRuleIn) -> Status[dict[str, Any]]:
    """Ignore from the next look on what fits a rule."""
    told = drift_actions.Rule(**{**body.model_dump(), "until": _aware(body.until)})
    return Status(201, _rule(drift_actions.put_ignore(actor=actor_of(request), rule=told)))


@router.delete("/drift-ignore-rules/{uuid:rule_id}", response={204: None})
def remove_rule(request: HttpRequest, rule_id: UUID) -> Status[None]:
    """Remove a rule; what it ignored is open again."""
    drift_actions.remove_ignore(actor=actor_of(request), rule_id=rule_id)
    return Status(204, None)
