"""The figures beside the menu: what waits for somebody."""

from __future__ import annotations

from tongchou.alerting import reads as alerting_reads
from tongchou.alerting.models import AlertStateChoice
from tongchou.changes import drift_reads
from tongchou.core import approvals
from tongchou.core.access import Actor, allows, allows_anywhere
from tongchou.incidents import postmortem_reads
from tongchou.incidents import reads as incident_reads
from tongchou.runbooks import reads as run_reads
from tongchou.runbooks.models import RunState


def menu_counts(actor: Actor) -> dict[str, int]:
    """Return what this actor may see of open incidents, drift, firing alerts, pending approvals and waiting runs."""
    counts: dict[str, int] = {}
    if allows(actor, "approvals.view"):  # approvals have no owner
        counts["approvals"] = approvals.pending().count()
    if allows_anywhere(actor, drift_reads.VIEW):
        counts["drift"] = drift_reads.unexplained(actor).count()
    if allows_anywhere(actor, "incidents.view"):
        counts["incidents"] = incident_reads.open_count(actor)
        counts["improvements"] = postmortem_reads.overdue_count(actor, postmortem_reads.today())
    if allows_anywhere(actor, "alerting.view"):
        counts["alerts"] = alerting_reads.alerts(actor=actor, state=AlertStateChoice.FIRING).count()
    if allows_anywhere(actor, "runbooks.view"):
        counts["runs"] = run_reads.runs(actor, states=[RunState.WAITING]).count()
    return counts
