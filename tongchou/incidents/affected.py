"""Writes which resources an incident touches: symptoms, their callers, the probable cause."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from tongchou.alerting.models import AlertResource
from tongchou.incidents import topology
from tongchou.incidents.models import AffectedResource, AffectedRole, Incident
from tongchou.inventory.graph import Graph
from tongchou.inventory.models import Resource


def refresh(incident: Incident, graph: Graph, *, causes: Collection[UUID] | None = None) -> None:
    """Make the rows say what alerts and graph say now; `causes` None keeps the ones that were found before.

    Inside the caller's transaction, under the incident's row lock; writes only rows that differ.
    """
    rows = {row.resource_id: row for row in AffectedResource.objects.filter(incident=incident)}
    alerts = AlertResource.objects.filter(alert__group__incident_link__incident=incident)
    symptoms = set(alerts.values_list("resource_id", flat=True).distinct())
    if causes is None:
        causes = {resource for resource, row in rows.items() if row.role == AffectedRole.CAUSE}
    wanted: dict[UUID, tuple[str, int]] = {
        resource: (AffectedRole.CALLER, hops) for resource, hops in topology.callers(graph, symptoms).items()
    }
    wanted |= dict.fromkeys(symptoms, (AffectedRole.SYMPTOM, 0))
    for cause in causes:
        wanted[cause] = (AffectedRole.CAUSE, 0)
    existing = set(Resource.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    changed, new = [], []
    for resource, (role, distance) in wanted.items():
        row = rows.get(resource)
        if row is None:
            if resource in existing:
                new.append(AffectedResource(incident=incident, resource_id=resource, role=role, distance=distance))
        elif (row.role, row.distance) != (role, distance):
            row.role, row.distance = role, distance
            changed.append(row)
    gone = [row.pk for resource, row in rows.items() if resource not in wanted]
    if gone:
        AffectedResource.objects.filter(pk__in=gone).delete()
    if changed:
        AffectedResource.objects.bulk_update(changed, ["role", "distance"])
    if new:
        AffectedResource.objects.bulk_create(new, ignore_conflicts=True)
