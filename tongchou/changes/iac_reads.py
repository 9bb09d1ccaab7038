"""Named reads of workspaces and their plans, scoped by the team that owns the workspace."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_drift import Drift, DriftState
from tongchou.changes.models_iac import Plan, Workspace
from tongchou.core.access import Actor, check_anywhere, visible_teams
from tongchou.core.problems import NotFound
from tongchou.core.refs import ref

PERMISSION = "changes.view"


def workspaces(actor: Actor) -> QuerySet[Workspace]:
    """The workspaces an actor may see, by name, with their owner."""
    check_anywhere(actor, PERMISSION)
    teams = visible_teams(actor)
    found = Workspace.objects.select_related("owner").order_by("name")
    return found if teams is None else found.filter(owner__in=teams)


def workspace(actor: Actor, name: str) -> Workspace:
    """One workspace by name; NotFound for one that is not there or not to be seen."""
    row = workspaces(actor).filter(name=name).first()
    if row is None:
        raise NotFound(
            "workspace.unknown",
            _("There is no workspace of this name."),
            field="name",
            remedy=_("GET /api/v1/workspaces lists them."),
        )
    return row


def plans(actor: Actor, *, workspace: str | None = None, kind: str | None = None) -> QuerySet[Plan]:
    """The plans of workspaces an actor may see, the newest first, without their output."""
    check_anywhere(actor, PERMISSION)
    teams = visible_teams(actor)
    found = (
        Plan.objects.select_related("workspace", "approval", "change").order_by("-created_at", "-id").defer("output")
    )
    found = found if teams is None else found.filter(workspace__owner__in=teams)
    found = found.filter(workspace__name=workspace) if workspace else found
    return found.filter(kind=kind) if kind else found


def plan(actor: Actor, plan_id: UUID) -> Plan:
    """One plan with all of it; NotFound for one that is not there or not to be seen."""
    row = plans(actor).defer(None).filter(pk=plan_id).first()
    if row is None:
        raise NotFound("plan.unknown", _("There is no such plan."), remedy=_("GET /api/v1/plans lists them."))
    return row


def drift_of(workspace: Workspace) -> QuerySet[Drift]:
    """What differs now, of all kinds; whoever may see the workspace may see it."""
    found = Drift.objects.filter(source_ref=ref(workspace)).exclude(state=DriftState.CLEARED)
    return found.select_related("resource").order_by("subject", "path")
