"""Why each suspect ranks where it does: its reasons with facts, the way to it, what would have changed the order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from tongchou.incidents import reads, sensitivity
from tongchou.incidents.changes_seen import RESOURCE
from tongchou.incidents.models import AffectedResource, AffectedRole, Incident
from tongchou.inventory.graph import Graph, load_graph

MOST_STARTS, MOST_TARGETS = 30, 5  # a walk of the graph for each pair


@dataclass(frozen=True, slots=True)
class Why:
    """A suspect; `path` are the names from a failing resource, through what each needs, to the suspect."""

    suspect: reads.SuspectView
    order: sensitivity.Order
    path: list[str]


def why(incident: Incident, *, facts: bool) -> list[Why]:
    """The newest ranking explained, best first; without `facts` (lines and series) for who may not see telemetry."""
    found = reads.suspects(incident)
    if not facts:
        found = [replace(each, reasons=[replace(reason, facts={}) for reason in each.reasons]) for each in found]
    orders = sensitivity.orders(
        [(each.score, [(reason.code, reason.weight) for reason in each.reasons]) for each in found]
    )
    failing = list(
        AffectedResource.objects.filter(incident=incident, distance=0)
        .exclude(role=AffectedRole.CALLER)
        .values_list("resource_id", flat=True)[:MOST_STARTS]
    )
    graph = load_graph()
    return [
        Why(each, order, _path(graph, failing, [each.ref] if each.kind == "resource" else each.about))
        for each, order in zip(found, orders, strict=True)
    ]


def _path(graph: Graph, failing: Sequence[UUID], refs: Sequence[str]) -> list[str]:
    """The longest of the shortest chains from a failing resource to any of these: how far the harm has come."""
    targets = [UUID(each.removeprefix(RESOURCE)) for each in refs[:MOST_TARGETS] if each.startswith(RESOURCE)]
    chains = [
        chain
        for start in failing
        for target in targets
        if start in graph and target in graph and (chain := graph.path(start, target)) is not None
    ]
    best = max(chains, key=lambda chain: (len(chain), [graph.nodes[each].name for each in chain]), default=[])
    return [graph.nodes[each].name for each in best]
