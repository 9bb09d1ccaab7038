"""What a drift check saw goes into the one list of drift; who is responsible hears once a check of what is new."""

from __future__ import annotations

from tongchou.changes import drift_actions, iac_drift, iac_journal
from tongchou.changes.drift import Look
from tongchou.changes.drift_actions import Origin
from tongchou.changes.models_drift import DriftSource
from tongchou.changes.models_iac import Plan, PlanState, Workspace
from tongchou.core import clock, ledger
from tongchou.core.refs import ref

MAX_TOLD = 20  # addresses in an event


def write_down(plan: Plan) -> None:
    """Take what a drift check saw, within the caller's transaction. Event workspace.drifted when something opened."""
    workspace, now = plan.workspace, clock.now()
    addresses = sorted({each["address"] for each in plan.summary.get("drift") or ()})
    tally = drift_actions.observe(
        actor=iac_journal.ACTOR,
        origin=Origin(DriftSource.IAC, ref(workspace), workspace.name),
        found=iac_drift.found(plan.summary, iac_journal.resources_of(plan.lineage, addresses)),
        looked=None,
        look=Look(now, needed=workspace.alarm_after),
    )
    Workspace.objects.filter(pk=workspace.pk).update(drift_checked_at=now)
    if tally.opened:
        payload = {"name": workspace.name, "count": tally.opened, "addresses": addresses[:MAX_TOLD]}
        about = [ref(plan)]
        ledger.record(
            actor=iac_journal.ACTOR, verb="workspace.drifted", subject=ref(workspace), about=about, payload=payload
        )


def newest_check(workspace: Workspace) -> Plan | None:
    """The drift check that could be applied, which writes what was seen into the state."""
    return Plan.objects.filter(workspace=workspace, kind="drift", state=PlanState.READY).order_by("-number").first()
