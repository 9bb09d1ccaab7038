"""The figures beside the menu: what waits for somebody."""

from __future__ import annotations

from tongchou.alerting.models import Alert, AlertStateChoice
from tongchou.core import approvals
from tongchou.core.access import Actor, allows_anywhere
from tongchou.incidents.models import Incident, IncidentState
from tongchou.runbooks.models import Run, RunState


def menu_counts(actor: Actor) -> dict[str, int]:
    """Return what this actor may see of open incidents, firing alerts, pending approvals and waiting runs."""
    counts: dict[str, int] = {}
    if allows_anywhere(actor, "approvals.view"):
        counts["approvals"] = approvals.pending().count()
    if allows_anywhere(actor, "incidents.view"):
        counts["incidents"] = Incident.objects.exclude(state=IncidentState.RESOLVED).count()
    if allows_anywhere(actor, "alerting.view"):
        counts["alerts"] = Alert.objects.filter(state=AlertStateChoice.FIRING).count()
    if allows_anywhere(actor, "runbooks.view"):
        counts["runs"] = Run.objects.filter(state=RunState.WAITING).count()
    return counts
