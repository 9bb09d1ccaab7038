"""Named reads of alerting for the rooms above, the API and pages. Numbers of queries do not grow with the rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Prefetch, Q, QuerySet, Window
from django.db.models.functions import RowNumber

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
from tongchou.core.counting import count_of
from tongchou.inventory.models import Resource


def _visible(actor: Actor | None, prefix: str = "") -> Q:
    """What the actor may see: everything with a global role, else what their teams own. None: no filter."""
    teams = None if actor is None else visible_teams(actor)
    return Q() if teams is None else Q(**{f"{prefix}team__in": teams})


def visible_groups(actor: Actor) -> QuerySet[AlertGroup]:
    """The groups an actor may see, bare: for lists, which load what they show for one page."""
    return AlertGroup.objects.filter(_visible(actor))


def visible_alerts(actor: Actor) -> QuerySet[Alert]:
    """The alerts an actor may see, bare. Pending ones belong to no team yet: only a global role sees them."""
    return Alert.objects.filter(_visible(actor, "group__"))


def groups(*, actor: Actor | None = None, state: str | None = None) -> QuerySet[AlertGroup]:
    """Groups, newest first, with ``alerts`` (and their resources) prefetched and ``firing`` counted."""
    found = AlertGroup.objects.filter(_visible(actor))
    if state is not None:
        found = found.filter(state=state)
    alerts = Alert.objects.order_by("-state", "active_at", "id").prefetch_related("resources__resource")
    return (
        found.annotate(firing=count_of(Alert.objects.filter(state=AlertStateChoice.FIRING), "group"))
        .prefetch_related(Prefetch("alerts", queryset=alerts))
        .order_by("-opened_at", "id")
    )


def listed_groups(ids: Iterable[UUID]) -> list[Any]:
    """These groups, and of their alerts what a list says. Four queries; the alerts stay unread, they may be very many.

    ``firing`` and ``members`` are counts, ``about`` the resources by name.
    """
    wanted = list(ids)
    counts = alert_counts(wanted)
    pairs = (
        AlertResource.objects.filter(alert__group__in=wanted).values_list("alert__group_id", "resource_id").distinct()
    )
    about: dict[UUID | None, set[UUID]] = defaultdict(set)
    for group_id, resource_id in pairs:
        about[group_id].add(resource_id)
    known = {row.pk: row for row in Resource.objects.filter(pk__in=set().union(*about.values())).order_by("name", "pk")}
    rows: list[Any] = list(AlertGroup.objects.filter(pk__in=wanted).select_related("team"))
    for row in rows:
        row.firing = counts[row.pk][AlertStateChoice.FIRING]
        row.members = counts[row.pk].total()
        row.about = [each for pk, each in known.items() if pk in about[row.pk]]
    return rows


def alert_counts(groups: Iterable[UUID]) -> dict[UUID | None, Counter[str]]:
    """How many alerts of each state each of these groups has. One query."""
    found: dict[UUID | None, Counter[str]] = defaultdict(Counter)
    rows = Alert.objects.filter(group__in=list(groups)).order_by().values_list("group_id", "state")
    for group_id, state, count in rows.annotate(count=Count("*")):
        found[group_id][state] = count
    return found


def first_alerts(groups: Iterable[UUID], most: int) -> dict[UUID | None, list[Alert]]:
    """The alerts of each of these groups, firing ones first, then the newest, at most ``most`` each. Four queries."""
    place = Window(RowNumber(), partition_by="group_id", order_by=["state", "-active_at", "id"])
    placed = Alert.objects.filter(group__in=list(groups)).order_by().annotate(place=place).filter(place__lte=most)
    rows = Alert.objects.filter(pk__in=list(placed.values_list("pk", flat=True)))
    found: dict[UUID | None, list[Alert]] = defaultdict(list)
    for alert in rows.order_by("state", "-active_at", "id").prefetch_related("resources__resource"):
        found[alert.group_id].append(alert)
    return found


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


def alerts_of_resource(*resource_ids: UUID, limit: int = 100) -> QuerySet[Alert]:
    """Alerts about a resource (and about those that were merged into it), firing first, then the newest."""
    about = AlertResource.objects.filter(resource__in=resource_ids).values("alert")
    found = Alert.objects.filter(pk__in=about).exclude(state=AlertStateChoice.PENDING)
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
        firing=count_of(Alert.objects.filter(state=AlertStateChoice.FIRING), "rule"),
        pending=count_of(Alert.objects.filter(state=AlertStateChoice.PENDING), "rule"),
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
