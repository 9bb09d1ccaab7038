"""What the inventory tells of itself: how much waits in its queues, how complete it is."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count

from tongchou.core.access import system
from tongchou.core.meters import Family, by, collector, gauge
from tongchou.inventory.completeness import scores
from tongchou.inventory.models import Resource, ResourceState
from tongchou.inventory.queues import counts

UNHEALTHY = {"smart_health": ("warning", "failed"), "health": ("degraded", "rebuilding", "failed")}


@collector("inventory-queues")
def tell() -> Iterable[Family]:
    """Few small queries while the queues do not change."""
    actor = system("self-metrics")
    found = {name: float(count) for name, count in counts(actor).items()}
    told = "Items that wait for a decision, by queue of the inventory; far ends and ignored ones do not count."
    yield by("gauge", "tongchou_inventory_queue_items", told, "queue", found)
    [whole] = scores(actor)["all"]
    if whole.score is not None:
        yield gauge("tongchou_inventory_completeness_ratio", "How complete the inventory is, from 0 to 1.", whole.score)
    yield by(
        "gauge", "tongchou_inventory_storage_unhealthy", "Disks, RAID sets and pools, by health.", "health", _unwell()
    )


def _unwell() -> dict[str, float]:
    """Return how many disks, RAID sets and pools are in each state that is not health."""
    found = {state: 0.0 for states in UNHEALTHY.values() for state in states}
    there = Resource.objects.filter(state=ResourceState.ACTIVE, kind__in=("disk", "raid_set", "storage_pool"))
    for field in UNHEALTHY:
        unwell = there.filter(**{f"attributes__{field}__in": list(found)})  # a source may have said anything, lists too
        for state, count in unwell.values_list(f"attributes__{field}").annotate(count=Count("pk")).order_by():
            found[state] += count
    return found
