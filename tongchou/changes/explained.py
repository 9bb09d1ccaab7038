"""Which modifications a change explains: those of what it touches, and of what stands in that."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from tongchou.changes import control_reads
from tongchou.changes.control_settings import TOLERANCE
from tongchou.changes.models_control import ChangeResource
from tongchou.core import settings_store
from tongchou.core.refs import ref
from tongchou.inventory import holds
from tongchou.inventory.graph import load_graph


def being_implemented(resources: Collection[UUID], at: datetime, since: datetime | None = None) -> dict[UUID, str]:
    """Return resource -> Ref of the change that was carried out on it at a moment, give or take the tolerance.

    With `since`: at any moment from then on. The one with the lowest number when there are several. Two queries,
    whatever the number of resources.
    """
    graph = load_graph()
    places = {each: (each, *sorted(holds.containers(graph, each))) for each in resources}
    wanted = {place for found in places.values() for place in found}
    slack = timedelta(minutes=int(settings_store.get(TOLERANCE)))
    rows = list(control_reads.implementing(wanted, at, slack=slack, since=since))
    touched: dict[UUID, list[UUID]] = {}
    for change, resource in ChangeResource.objects.filter(change__in=rows).values_list("change_id", "resource_id"):
        touched.setdefault(resource, []).append(change)
    names = {row.pk: (row.number, ref(row)) for row in rows}
    found: dict[UUID, str] = {}
    for resource, over in places.items():
        by = sorted(names[change] for place in over for change in touched.get(place, ()))
        if by:
            found[resource] = by[0][1]
    return found
