"""What holds mean to the rooms that obey them, and what stands in what: a host on hold holds its machines, too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from tongchou.core.spans import Span, union
from tongchou.inventory.graph import Graph
from tongchou.inventory.models import Hold

MAINTENANCE = "maintenance"  # nothing is deployed to it, and its alerts do not page
DEPLOYMENT = "deployment"  # nothing is deployed to it
QUIET = "quiet"  # its alerts do not page
SLO_EXCLUDED = "slo_excluded"  # its objectives show their budget without this time, too
STOPS_DEPLOYMENTS = (MAINTENANCE, DEPLOYMENT)
QUIETENS = (MAINTENANCE, QUIET)

# from -> to: what is at the left stands in, or is a piece of, what is at the right, and is worked on with it
INSIDE = frozenset({"runs_on", "part_of", "mounted_in", "located_in"})
MAX_INSIDE = 400


def containers(graph: Graph, resource: UUID) -> set[UUID]:
    """Return what a resource stands in or is a piece of, directly or not: its host, rack, site; its service."""
    found: set[UUID] = set()
    edge_of = {resource}
    while edge_of and len(found) < MAX_INSIDE:
        touching = graph.touching(edge_of)
        above = {each.to_id for each in touching if each.type in INSIDE and each.from_id in edge_of}
        above |= {each.from_id for each in touching if each.type == "hosts" and each.to_id in edge_of}
        edge_of = above - found - {resource}
        found |= edge_of
    return found


def in_force(now: datetime) -> Q:
    """Return the condition of a hold that is not lifted and not past its end."""
    return Q(lifted_at__isnull=True) & (Q(until__isnull=True) | Q(until__gt=now))


def quiet_by(now: datetime) -> dict[UUID, list[UUID]]:
    """Return the resources whose alerts do not page now, each with the holds that say so, oldest first. One query."""
    found: dict[UUID, list[UUID]] = defaultdict(list)
    rows = Hold.objects.filter(in_force(now), kind__in=QUIETENS, opened_at__lte=now).order_by("opened_at", "id")
    for key, resource in rows.values_list("pk", "resource_id"):
        found[resource].append(key)
    return dict(found)


def held_through(graph: Graph, about: Collection[UUID], quiet: dict[UUID, list[UUID]]) -> tuple[UUID, ...]:
    """Return the holds by which all of `about` is quiet: each itself, or something it stands in; else nothing.

    Of an instance and the service it is a piece of only the instance has to be: an alert of it names both.
    """
    above = {each: containers(graph, each) for each in about}
    leaves = [each for each in about if not any(each in above[other] for other in about if other != each)]
    found: list[UUID] = []
    for each in leaves or about:
        holding = [hold for place in (each, *sorted(above[each])) for hold in quiet.get(place, ())]
        if not holding:
            return ()
        found += holding
    return tuple(dict.fromkeys(found))


def excluded_spans(service: str, since: datetime, until: datetime) -> list[Span]:
    """Return the time between two moments that objectives of a service may leave out, as `union` gives it."""
    rows: Iterable[tuple[datetime, datetime | None, datetime | None]] = (
        Hold.objects.filter(kind=SLO_EXCLUDED, resource__kind="service", resource__name=service, opened_at__lt=until)
        .filter(Q(lifted_at__isnull=True) | Q(lifted_at__gt=since))
        .filter(Q(until__isnull=True) | Q(until__gt=since))
        .values_list("opened_at", "until", "lifted_at")
    )
    return union(
        Span(max(opened, since), min(each for each in (end, lifted, until) if each is not None))
        for opened, end, lifted in rows
        if max(opened, since) < min(each for each in (end, lifted, until) if each is not None)
    )
