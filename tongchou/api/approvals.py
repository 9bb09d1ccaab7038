"""Approvals: requests and what is said to them, the policies that say who is asked, and stand-ins."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.core import approval_policies, approvals
from tongchou.core.models import Approval, ApprovalState, User
from tongchou.core.models_consent import ApprovalPolicy, Delegation
from tongchou.core.people import person_named
from tongchou.core.problems import Invalid, NotFound, Text

router = Router(tags=["approvals"])


class ApprovalOut(Schema):
    """A request for approval: what exactly, for which scope, until when."""

    id: UUID
    subject: str
    action: str
    content_hash: str
    scope: dict[str, Any]
    reason: str
    state: str
    requested_by_name: str
    requested_at: datetime
    expires_at: datetime
    decided_by_name: str
    decided_at: datetime | None
    comment: str


class NeedOut(Schema):
    """Whom a request needs, and how many are missing."""

    kind: str
    role: str
    team_id: UUID | None
    person_id: UUID | None
    owner: bool
    count: int
    missing: int


class VoteOut(Schema):
    """What one person said, for whom."""

    voter_name: str
    principal_name: str
    approves: bool
    comment: str
    at: datetime
    withdrawn_at: datetime | None


class ApprovalDetail(ApprovalOut):
    """A request with whom it needs and what was said."""

    needs: list[NeedOut]
    votes: list[VoteOut]


class ApprovalPage(Schema):
    """A page of approvals."""

    items: list[ApprovalOut]
    count: int


@router.get("/approvals", response=ApprovalPage)
def list_approvals(
    request: HttpRequest, state: str | None = None, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List the approvals you may see; state=pending gives the inbox."""
    rows = approvals.visible(actor_of(request))
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    rows = approvals.pending(rows) if state == ApprovalState.PENDING else rows.order_by("-requested_at", "pk")
    if state and state != ApprovalState.PENDING:
        rows = rows.filter(state=state)
    return {"items": page_of(rows, offset, limit), "count": rows.count()}


def _get(request: HttpRequest, approval_id: UUID) -> Approval:
    found = approvals.visible(actor_of(request)).filter(pk=approval_id).first()
    if found is None:
        raise NotFound(
            "approval.unknown",
            _("There is no such request."),
            remedy=_("GET /api/v1/approvals lists those you may see."),
        )
    return found


@router.get("/approvals/{uuid:approval_id}", response=ApprovalDetail)
def get_approval(request: HttpRequest, approval_id: UUID) -> dict[str, Any]:
    """Return one request with whom it needs and what was said."""
    row = _get(request, approval_id)
    missing = approvals.standing_of(row).missing
    needs = [
        {
            **{name: getattr(need, name) for name in NeedOut.model_fields if name != "missing"},
            "missing": missing[need.pk],
        }
        for need in approvals.needs_of(row)
    ]
    fields = {name: getattr(row, name) for name in ApprovalOut.model_fields}
    return {**fields, "needs": needs, "votes": list(approvals.votes_of(row))}


class Decision(Body):
    """What is said; `for`: the user name of the person one stands in for."""

    comment: str = Field(default="", max_length=2000)
    for_: str | None = Field(default=None, alias="for", max_length=150)


def _principal(body: Decision | None) -> User | None:
    return person_named(body.for_, "for") if body and body.for_ else None


@router.post("/approvals/{uuid:approval_id}/approve", response=ApprovalOut)
def approve(request: HttpRequest, approval_id: UUID, body: Decision | None = None) -> Approval:
    """Say yes; approved once everybody needed has. Refused to the one who asked."""
    return approvals.approve(
        actor=actor_of(request),
        approval=_get(request, approval_id),
        comment=body.comment if body else "",
        principal=_principal(body),
    )


@router.post("/approvals/{uuid:approval_id}/reject", response=ApprovalOut)
def reject(request: HttpRequest, approval_id: UUID, body: Decision | None = None) -> Approval:
    """Say no, which ends it."""
    return approvals.reject(
        actor=actor_of(request),
        approval=_get(request, approval_id),
        comment=body.comment if body else "",
        principal=_principal(body),
    )


@router.post("/approvals/{uuid:approval_id}/withdraw", response=ApprovalOut)
def withdraw(request: HttpRequest, approval_id: UUID) -> Approval:
    """Take your own yes back while the request waits."""
    return approvals.withdraw(actor=actor_of(request), approval=_get(request, approval_id))


@router.post("/approvals/{uuid:approval_id}/cancel", response=ApprovalOut)
def cancel(request: HttpRequest, approval_id: UUID) -> Approval:
    """Take your own request back."""
    return approvals.cancel(actor=actor_of(request), approval=_get(request, approval_id))


# --- policies -------------------------------------------------------------------------------------------------------


class NeedIn(Body):
    """So many different persons: role:approver, role:admin, owner, team:<id> or person:<id>."""

    who: str = Field(max_length=60)
    count: int = Field(default=1)


class PolicyIn(Body):
    """Whom requests of an action need. `conditions`: name in the scope -> values it may have."""

    action: str = Field(max_length=80)
    needs: list[NeedIn]
    conditions: dict[str, list[str]] = Field(default_factory=dict)
    expires_seconds: int | None = None
    enabled: bool = True
    reason: str = Field(default="", max_length=2000)


class PolicyOut(Schema):
    """A policy."""

    name: str
    action: str
    needs: list[dict[str, Any]]
    conditions: dict[str, list[str]]
    expires_seconds: int | None
    enabled: bool
    reason: str


@router.get("/approval-policies", response=list[PolicyOut])
def list_policies(request: HttpRequest) -> list[ApprovalPolicy]:
    """List every policy; without one that fits, one approver is asked."""
    return list(approval_policies.policies(actor_of(request)))


@router.put("/approval-policies/{str:name}", response=PolicyOut)
def put_policy(request: HttpRequest, name: str, body: PolicyIn) -> ApprovalPolicy:
    """Create or replace a policy. Requests that wait keep what they were asked with."""
    return approval_policies.put_policy(actor=actor_of(request), name=name, **body.model_dump())


@router.delete("/approval-policies/{str:name}", response={204: None})
def remove_policy(request: HttpRequest, name: str) -> Status[None]:
    """Remove a policy."""
    row = approval_policies.policies(actor_of(request)).filter(name=name).first()
    if row is None:
        raise _missing("policy.unknown", _("There is no such policy."), "/api/v1/approval-policies")
    approval_policies.remove_policy(actor=actor_of(request), row=row)
    return Status(204, None)


def _missing(code: str, detail: Text, path: str) -> NotFound:
    return NotFound(code, detail, remedy=_("GET %(path)s lists them.") % {"path": path})


# --- stand-ins ------------------------------------------------------------------------------------------------------


class DelegationIn(Body):
    """`to` decides for `principal` (yourself when left out) until a time. User names."""

    to: str = Field(max_length=150)
    principal: str | None = Field(default=None, max_length=150)
    since: datetime | None = None
    until: datetime
    reason: str = Field(default="", max_length=500)


class DelegationOut(Schema):
    """A stand-in."""

    id: UUID
    principal: str
    delegate: str
    since: datetime
    until: datetime
    ended_at: datetime | None
    reason: str


def _told(row: Delegation) -> dict[str, Any]:
    names = {"principal": row.principal.username, "delegate": row.delegate.username}
    return {**{name: getattr(row, name) for name in DelegationOut.model_fields}, **names}


@router.get("/delegations", response=list[DelegationOut])
def list_delegations(request: HttpRequest) -> list[dict[str, Any]]:
    """List the stand-ins you named or are; all for who manages approvals. At most 500, the latest first."""
    return [_told(row) for row in approval_policies.delegations(actor_of(request))[:500]]


@router.post("/delegations", response={201: DelegationOut})
def delegate(request: HttpRequest, body: DelegationIn) -> Status[dict[str, Any]]:
    """Name a stand-in."""
    actor = actor_of(request)
    principal = (
        person_named(body.principal, "principal")
        if body.principal
        else (User.objects.filter(pk=actor.user_id).first() if actor.user_id else None)
    )
    if principal is None:
        raise Invalid("delegation.principal", _("Say for whom."), field="principal", remedy=_("Give their user name."))
    row = approval_policies.delegate(
        actor=actor,
        principal=principal,
        to=person_named(body.to, "to"),
        since=_aware(body.since, "since") if body.since else None,
        until=_aware(body.until, "until"),
        reason=body.reason,
    )
    return Status(201, _told(row))


def _aware(at: datetime, field: str) -> datetime:
    if at.tzinfo is None:
        raise Invalid(
            "time.zone",
            _("This time has no offset."),
            field=field,
            value=at.isoformat(),
            remedy=_("Write it as 2026-03-01T22:00:00+08:00 or with Z."),
        )
    return at


@router.delete("/delegations/{uuid:delegation_id}", response=DelegationOut)
def end_delegation(request: HttpRequest, delegation_id: UUID) -> dict[str, Any]:
    """End a stand-in now; what was decided under it stays."""
    row = approval_policies.delegations(actor_of(request)).filter(pk=delegation_id).first()
    if row is None:
        raise _missing("delegation.unknown", _("There is no such stand-in."), "/api/v1/delegations")
    return _told(approval_policies.end_delegation(actor=actor_of(request), row=row))
