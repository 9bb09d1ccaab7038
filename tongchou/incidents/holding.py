"""Holds of an incident: nothing is deployed to the services it breaks until its impact has ended.

What stands is compared with what should, so that events may come twice, late and in any order.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import transaction

from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.refs import ref
from tongchou.incidents import severity
from tongchou.incidents.models import AffectedResource, AffectedRole, Incident, IncidentState
from tongchou.incidents.run_time_settings import HOLD_SEVERITY
from tongchou.inventory import actions, holds
from tongchou.inventory.graph import Graph, load_graph
from tongchou.inventory.models import Hold, Resource, ResourceState

KEEPER = system("incident-keeper")
UNDER_WAY = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)
MOST_HELD = 200  # services of one incident


def keep(incident_id: UUID) -> tuple[int, int]:
    """Place the holds that an incident lacks and lift those it should not have; returns how many of each. Idempotent.

    One for each incident and service. What a person lifted is not placed again, even when the incident reopens.
    """
    with transaction.atomic():
        incident = Incident.objects.select_for_update().filter(pk=incident_id).first()
        if incident is None:
            return 0, 0
        rows = Hold.objects.select_related("resource").filter(opened_by=ref(incident), kind=holds.DEPLOYMENT)
        there = {each.resource_id: each for each in rows if each.lifted_at is None}
        refused = {each.resource_id for each in rows if each.lifted_at is not None and each.lifted_by != KEEPER.name}
        should = _should(incident)
        surplus = [each for each in there.values() if each.resource_id not in should]
        for each in surplus:
            actions.lift_hold(actor=KEEPER, hold=each, reason=f"{incident.name}: {incident.state}")
        lacking = Resource.objects.filter(pk__in=should - there.keys() - refused).exclude(state=ResourceState.MERGED)
        placed = 0
        for resource in lacking.order_by("name", "pk")[:MOST_HELD]:
            actions.place_hold(
                actor=KEEPER,
                resource=resource,
                kind=holds.DEPLOYMENT,
                reason=f"{incident.name} {incident.title}",
                opened_by=ref(incident),
            )
            placed += 1
    return placed, len(surplus)


def keep_all() -> None:
    """Bring the holds of every incident that is not resolved up to date, as when the setting was changed."""
    for each in list(Incident.objects.exclude(state=IncidentState.RESOLVED).values_list("pk", flat=True)):
        keep(each)


def _should(incident: Incident) -> set[UUID]:
    """The services that an incident holds: none unless it is under way, and bad enough for the setting."""
    least = settings_store.get(HOLD_SEVERITY)
    if not least or incident.state not in UNDER_WAY or not severity.at_least(incident.severity, least):
        return set()
    rows = AffectedResource.objects.filter(incident=incident).values_list("resource_id", "role")
    affected = dict(rows)
    broken = {each for each, role in affected.items() if role in (AffectedRole.CAUSE, AffectedRole.SYMPTOM)}
    return services_of(load_graph(), broken, affected.keys() - broken)


def services_of(graph: Graph, broken: Collection[UUID], callers: Collection[UUID]) -> set[UUID]:
    """Return the services that are broken: themselves, by a piece of them, or for standing in what is.

    The nearest ones: a whole of which a broken service is a part is not, and its other parts may be deployed to. A
    caller that only needs what is broken is not broken either.
    """
    found = set()
    for each in broken:
        if _is_service(graph, each):
            found.add(each)
            continue
        above = {place for place in holds.containers(graph, each) if _is_service(graph, place)}
        wholes = {whole for place in above for whole in holds.containers(graph, place)}
        found |= above - wholes
    bare = {each for each in broken if not _is_service(graph, each)}
    return found | {each for each in callers if _is_service(graph, each) and holds.containers(graph, each) & bare}


def _is_service(graph: Graph, resource: UUID) -> bool:
    return resource in graph.nodes and graph.nodes[resource].kind == "service"
