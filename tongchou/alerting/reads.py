"""Named reads of alerting for the rooms above, the API and pages. Numbers of queries do not grow with the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Prefetch, Q, QuerySet

from tongchou.alerting.models import (
    Alert,
    AlertGroup,
    AlertResource,
    AlertStateChoice,
    GroupState,
    Notification,
    Rule,
    RuleFile,
)
from tongchou.alerting.state import severity_rank
from tongchou.core.access import Actor, visible_teams
from tongchou.inventory.models import Resource


def _visible(actor: Actor | None, prefix: str = "") -> Q:
    """What the actor may see: everything with a global role, else what their teams own. None: no filter."""
    teams = None if actor is None else visible_teams(actor)
    return Q() if teams is None else Q(**{f"{prefix}team__in": teams})


def groups(*, actor: Actor | None = None, state: str | None = None) -> QuerySet[AlertGroup]:
    """Groups, newest first, with ``alerts`` (and their resources) prefetched and ``firing`` counted."""
    found = AlertGroup.objects.filter(_visible(actor))
    if state is not None:
        found = found.filter(state=state)
    alerts = Alert.objects.order_by("-state", "active_at", "id").prefetch_related("resources__resource")
    return (
        found.annotate(firing=Count("alerts", filter=Q(alerts__state=AlertStateChoice.FIRING)))
        .prefetch_related(Prefetch("alerts", queryset=alerts))
        .order_by("-opened_at", "id")
    )


def open_groups(*, actor: Actor | None = None) -> QuerySet[AlertGroup]:
    """The open groups with their alerts."""
    return groups(actor=actor, state=GroupState.OPEN)


def alerts(*, actor: Actor | None = None, state: str | None = None) -> QuerySet[Alert]:
    """Alerts, newest first; without ``state`` those active now. Pending ones belong to no group and no team yet."""
    found = Alert.objects.select_related("group", "rule").prefetch_related("resources__resource")
    teams = None if actor is None else visible_teams(actor)
    if teams is not None:
        found = found.filter(group__team__in=teams)
    if state is None:
        return found.filter(state__in=[AlertStateChoice.PENDING, AlertStateChoice.FIRING]).order_by("-active_at", "id")
    return found.filter(state=state).order_by("-active_at", "id")


def counts_by_severity(*, actor: Actor | None = None) -> dict[str, int]:
    """How many alerts fire, by severity ("" for none), the worst first. One query."""
    found = Alert.objects.filter(state=AlertStateChoice.FIRING)
    teams = None if actor is None else visible_teams(actor)
    if teams is not None:
        found = found.filter(group__team__in=teams)
    rows = found.order_by().values_list("severity").annotate(count=Count("pk"))
    return dict(sorted(rows, key=lambda row: (-severity_rank(row[0]), row[0])))


def rule_history(rule_id: UUID, *, limit: int = 100) -> QuerySet[Alert]:
    """What a rule has fired, newest first; pending ones left out."""
    found = Alert.objects.filter(rule=rule_id).exclude(state=AlertStateChoice.PENDING)
    return found.select_related("group").order_by("-active_at", "id")[:limit]


@dataclass(frozen=True, slots=True)
class ResourceState:
    """The worst that fires about a resource now."""

    severity: str
    rank: int
    count: int


def worst_by_resource(resource_ids: Iterable[UUID] | None = None) -> dict[UUID, ResourceState]:
    """The worst firing severity for each resource that has one; all resources without ``resource_ids``. One query."""
    found = AlertResource.objects.filter(alert__state=AlertStateChoice.FIRING)
    if resource_ids is not None:
        found = found.filter(resource__in=list(resource_ids))
    seen: dict[UUID, list[tuple[str, int]]] = defaultdict(list)
    rows = found.values_list("resource_id", "alert__severity").annotate(count=Count("pk"))
    for resource_id, severity, count in rows:
        seen[resource_id].append((severity, count))
    return {
        resource_id: ResourceState(
            severity=max((severity for severity, _count in pairs), key=severity_rank),
            rank=max(severity_rank(severity) for severity, _count in pairs),
            count=sum(count for _severity, count in pairs),
        )
        for resource_id, pairs in seen.items()
    }


def alerts_of_resource(resource_id: UUID, *, limit: int = 100) -> QuerySet[Alert]:
    """Alerts about a resource, firing first, then the newest."""
    found = Alert.objects.filter(resources__resource=resource_id).exclude(state=AlertStateChoice.PENDING)
    return found.select_related("group").order_by("state", "-active_at", "id")[:limit]


def resources_of(alert: Alert) -> list[Resource]:
    """The resources an alert is about, by name; no query when they were prefetched."""
    return sorted((row.resource for row in alert.resources.all()), key=lambda each: (each.name, str(each.pk)))


def rules(*, kind: str | None = None, health: str | None = None) -> QuerySet[Rule]:
    """Rules in force, in the order of their files, with how many of their alerts are pending and firing."""
    found = Rule.objects.filter(retired_at__isnull=True, group__isnull=False).select_related("group__file")
    if kind is not None:
        found = found.filter(kind=kind)
    if health is not None:
        found = found.filter(health=health)
    return found.annotate(
        firing=Count("alerts", filter=Q(alerts__state=AlertStateChoice.FIRING)),
        pending=Count("alerts", filter=Q(alerts__state=AlertStateChoice.PENDING)),
    ).order_by("group__file__name", "group__position", "position")


def rule_files() -> QuerySet[RuleFile]:
    """Rule files by name, with their numbers of groups and rules."""
    live = Q(groups__rules__retired_at__isnull=True, groups__rules__isnull=False)
    return RuleFile.objects.annotate(
        group_count=Count("groups", distinct=True), rule_count=Count("groups__rules", filter=live, distinct=True)
    ).order_by("name")


def notifications(
    *, actor: Actor | None = None, group: UUID | None = None, state: str | None = None
) -> QuerySet[Notification]:
    """Notifications, newest first, with their channel and group."""
    found = Notification.objects.filter(_visible(actor, "group__")).select_related("channel", "group")
    if group is not None:
        found = found.filter(group=group)
    if state is not None:
        found = found.filter(state=state)
    return found.order_by("-created_at", "id")


def alert_row(alert: Alert) -> dict[str, Any]:
    """An alert for the API; its resources must be prefetched."""
    return {
        "id": alert.pk,
        "name": alert.name,
        "state": alert.state,
        "severity": alert.severity,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "value": alert.value_text,
        "active_at": alert.active_at,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "fingerprint": alert.fingerprint,
        "group_id": alert.group_id,
        "rule_id": alert.rule_id,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": alert.acknowledged_by_name,
        "suppressed": alert.suppressed,
        "suppressed_by": alert.suppressed_by,
        "resources": [{"id": each.pk, "kind": each.kind, "name": each.name} for each in resources_of(alert)],
    }
