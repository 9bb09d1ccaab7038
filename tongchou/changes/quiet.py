"""Holds of a change: while its window is open and it is agreed on, alerts of what it touches do not page.

Each hold ends by itself with the window, so that nothing stays quiet when every process of the platform is dead.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from tongchou.changes import control_reads
from tongchou.changes.models_control import Change, ChangeState
from tongchou.core.access import system
from tongchou.core.refs import ref
from tongchou.inventory import actions, holds
from tongchou.inventory.graph import Graph, load_graph
from tongchou.inventory.models import Hold, Resource

KEEPER = system("change-keeper")
CHANGES = "changes.change:"
OPEN_IN = (ChangeState.SCHEDULED, ChangeState.IMPLEMENT)


def is_open(row: Change, now: datetime) -> bool:
    """Tell whether its window is open and what it says is agreed on."""
    return (
        row.state in OPEN_IN
        and row.starts_at is not None
        and row.ends_at is not None
        and row.starts_at <= now < row.ends_at
        and control_reads.is_agreed(row)
    )


def wanted(row: Change, graph: Graph) -> set[tuple[UUID, str]]:
    """Return the holds an open change has, as (resource, kind).

    Alerts: of what it touches; alerting reads what stands in that from the graph. Objectives: of services it touches,
    and of those a piece of which it touches.
    """
    touched = {each.resource_id for each in row.touched.all()}
    found = {(each, holds.QUIET) for each in touched} if row.quiet else set()
    if row.exclude_slo:
        near = touched.union(*(holds.containers(graph, each) for each in touched))
        found |= {
            (each, holds.SLO_EXCLUDED) for each in near if each in graph.nodes and graph.nodes[each].kind == "service"
        }
    return found


def holding() -> set[UUID]:
    """Return the changes that have placed holds which nobody lifted, past their end or not. One query."""
    rows = Hold.objects.filter(opened_by__startswith=CHANGES, lifted_at__isnull=True)
    return {UUID(each.removeprefix(CHANGES)) for each in rows.values_list("opened_by", flat=True).distinct()}


def keep(row: Change, now: datetime) -> tuple[int, int]:
    """Place the holds that are missing and lift those that should not be; returns how many of each. Idempotent."""
    name = ref(row)
    there = {
        (each.resource_id, each.kind): each
        for each in Hold.objects.select_related("resource").filter(opened_by=name, lifted_at__isnull=True)
    }
    should = wanted(row, load_graph()) if is_open(row, now) else set()
    surplus = {key: each for key, each in there.items() if key not in should or each.until != row.ends_at}
    for each in surplus.values():
        actions.lift_hold(actor=KEEPER, hold=each, reason=str(_("The window of the change is over or has moved.")))
    lacking = sorted(should - (there.keys() - surplus.keys()))
    resources = Resource.objects.in_bulk([resource for resource, _kind in lacking])
    for resource, kind in lacking:
        actions.place_hold(
            actor=KEEPER,
            resource=resources[resource],
            kind=kind,
            reason=f"{row.name} {row.title}",
            until=row.ends_at,
            opened_by=name,
        )
    return len(lacking), len(surplus)
