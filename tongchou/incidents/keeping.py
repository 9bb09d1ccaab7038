"""What incidents keep of the rooms below: their alert groups, and months of the ledger while they are open."""

from __future__ import annotations

from uuid import UUID

from tongchou.core import retention
from tongchou.core.refs import ref
from tongchou.incidents.models import Improvement, Incident, IncidentGroup, IncidentState, Postmortem


def groups(ids: list[str]) -> set[str]:
    """Return the alert groups that belong to an incident: its room and its postmortem show them."""
    found: set[str] = set()
    for first in range(0, len(ids), 500):
        part = [UUID(each) for each in ids[first : first + 500]]
        rows = IncidentGroup.objects.filter(group__in=part)
        found |= {str(each) for each in rows.values_list("group_id", flat=True)}
    return found


def open_refs(refs: list[str]) -> set[str]:
    """Return which refs are of incidents that are not resolved, or of postmortems and improvements not done."""
    busy = {ref(each) for each in Incident.objects.exclude(state=IncidentState.RESOLVED)}
    busy |= {ref(each) for each in Postmortem.objects.exclude(state="published")}
    busy |= {ref(each) for each in Improvement.objects.exclude(state__in=["done", "dropped"])}
    return busy & set(refs)


retention.hold("alerts", groups)
retention.hold("ledger", open_refs)
