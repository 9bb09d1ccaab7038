"""How a resource is: joins alerts, scrapes and holds to the inventory, for one page of a list or for the whole map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from tongchou.alerting.models import AlertResource, AlertStateChoice
from tongchou.core.problems import Problem
from tongchou.incidents import severity
from tongchou.inventory import health
from tongchou.inventory.graph import Graph
from tongchou.inventory.health import Status
from tongchou.inventory.models import Endpoint, Relation
from tongchou.inventory.reads import active_holds, held_resources
from tongchou.web.telemetry_reads import instant

FROM_SEVERITY: dict[str, Status] = {"critical": "critical", "major": "critical", "warning": "warning"}


def _answering() -> dict[tuple[str, str], bool]:
    """Return whether each (job, instance) answered its last scrape."""
    try:
        return {(s.labels.get("job", ""), s.labels.get("instance", "")): s.value > 0 for s in instant("up")}
    except Problem:  # a page of resources is worth showing without it
        return {}


def own_statuses(only: Collection[UUID] | None = None) -> dict[UUID, Status]:
    """Return what measurements say of each resource itself (of `only`, or of all that anything is measured of).

    A resource is down when none of its endpoints answers; a firing alert about it colours it by severity.
    Two SQL queries.
    """
    found: dict[UUID, list[Status]] = defaultdict(list)
    up = _answering()
    endpoints = Endpoint.objects.filter(enabled=True).exclude(job="")
    if only is not None:
        endpoints = endpoints.filter(resource__in=only)
    answers: dict[UUID, list[bool]] = defaultdict(list)
    for resource_id, job, instance in endpoints.values_list("resource_id", "job", "instance"):
        if (job, instance) in up:
            answers[resource_id].append(up[(job, instance)])
    for resource_id, each in answers.items():
        found[resource_id].append("ok" if any(each) else "down")
    alerts = AlertResource.objects.filter(alert__state=AlertStateChoice.FIRING)
    if only is not None:
        alerts = alerts.filter(resource__in=only)
    for resource_id, labels in alerts.values_list("resource_id", "alert__labels"):
        status = FROM_SEVERITY.get(severity.of_labels(labels))
        if status:
            found[resource_id].append(status)
    return {resource_id: health.worst(each) for resource_id, each in found.items()}


def of_graph(graph: Graph, only: Collection[UUID] | None = None) -> dict[UUID, Status]:
    """Return the status of each resource (of `only` these): who needs a failing one is affected, parts make a whole."""
    own = own_statuses()
    pairs = [(edge.from_id, edge.to_id) for edge in graph.typed("part_of")]
    wholes = lift_parts(pairs, own)
    return health.statuses(graph, own=wholes, held=held_resources(), only=only)


def of_page(ids: Collection[UUID]) -> dict[UUID, Status]:
    """Return the status of a few resources: their own or, for a whole, its parts'. The graph stays unread."""
    pairs = list(
        Relation.objects.filter(type="part_of", to_resource__in=ids, valid_to__isnull=True).values_list(
            "from_resource_id", "to_resource_id"
        )
    )
    own: Mapping[UUID, Status] = lift_parts(pairs, own_statuses({*ids, *(part for part, _whole in pairs)}))
    on_hold = set(active_holds(ids).values_list("resource_id", flat=True))
    return {id_: _with_hold(own.get(id_, "unknown"), id_ in on_hold) for id_ in ids}


def _with_hold(status: Status, on_hold: bool) -> Status:
    return "held" if on_hold and status in ("ok", "unknown") else status


def lift_parts(pairs: Iterable[tuple[UUID, UUID]], own: Mapping[UUID, Status]) -> dict[UUID, Status]:
    """Give a whole (a service) that is not measured itself the status of its parts (instances).

    `pairs` are (part, whole). All parts down: down. Some: warning. Otherwise the worst of the parts. Pure.
    """
    parts: dict[UUID, list[Status]] = defaultdict(list)
    for part, whole in pairs:
        if part in own:
            parts[whole].append(own[part])
    result = dict(own)
    for whole, each in parts.items():
        down = each.count("down")
        status: Status = "down" if down == len(each) else "warning" if down else health.worst(each)
        result[whole] = health.worst([status, *([own[whole]] if whole in own else [])])
    return result
