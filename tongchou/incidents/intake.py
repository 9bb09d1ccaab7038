"""Reads what the decision about an alert group needs: what it is about, how bad it is, which incidents are open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max

from tongchou.alerting.models import Alert, AlertGroup, AlertResource
from tongchou.incidents import severity
from tongchou.incidents.correlate import Member, OpenIncident
from tongchou.incidents.models import Incident, IncidentGroup, IncidentState
from tongchou.inventory.graph import Graph
from tongchou.inventory.models import Resource

MAX_TITLE = 300


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """An alert group as incidents see it: when its first alert became active, when its newest one fired."""

    id: UUID
    key: str
    title: str
    severity: str
    started_at: datetime
    last_fired_at: datetime | None
    closed_at: datetime | None
    resources: frozenset[UUID]

    @property
    def member(self) -> Member:
        """The group as `correlate` sees it."""
        return Member(self.started_at, self.resources)


def facts(group: AlertGroup) -> GroupFacts:
    """Return the facts of a group; at most four queries."""
    alerts = list(
        Alert.objects.filter(group=group)
        .order_by("active_at", "id")
        .values_list("id", "name", "severity", "labels", "active_at")
    )
    by_alert: dict[UUID, list[UUID]] = {}
    for alert_id, resource_id in AlertResource.objects.filter(alert__group=group).values_list(
        "alert_id", "resource_id"
    ):
        by_alert.setdefault(alert_id, []).append(resource_id)
    resources = frozenset(resource for each in by_alert.values() for resource in each)
    severities = [severity.of_labels({**labels, "severity": own}) for _id, _name, own, labels, _at in alerts]
    return GroupFacts(
        id=group.pk,
        key=group.key,
        title=_title(group, [name for _id, name, *_rest in alerts], _first_about(alerts, by_alert)),
        severity=severity.worst(severities) if severities else severity.of_labels({"severity": group.severity}),
        started_at=min((at for *_rest, at in alerts), default=group.started_at),
        last_fired_at=Alert.objects.filter(group=group).aggregate(at=Max("fired_at"))["at"],
        closed_at=group.closed_at,
        resources=resources,
    )


def _first_about(
    alerts: list[tuple[UUID, str, str, dict[str, str], datetime]], by_alert: dict[UUID, list[UUID]]
) -> str:
    """The name of what the first alert is about; the most particular thing (an instance before its service)."""
    resources = next((by_alert[alert_id] for alert_id, *_rest in alerts if alert_id in by_alert), [])
    rows = Resource.objects.filter(pk__in=resources).values_list("kind", "name") if resources else []
    named = sorted((kind == "service", name) for kind, name in rows)
    return named[0][1] if named else ""


def _title(group: AlertGroup, names: list[str], about: str) -> str:
    """A language-free line: the alerts' names, and what the first is about."""
    distinct = list(dict.fromkeys(names)) or [group.labels.get("alertname") or group.key]
    more = f" +{len(distinct) - 1}" if len(distinct) > 1 else ""
    place = about or next(
        (group.labels[name] for name in ("service", "instance", "job", "host") if group.labels.get(name)), ""
    )
    return f"{distinct[0]}{more} · {place}"[:MAX_TITLE] if place else f"{distinct[0]}{more}"[:MAX_TITLE]


def open_incidents(around: datetime, span: timedelta) -> list[OpenIncident]:
    """Return the unresolved incidents that began at most `span` from a time, with their groups; two queries."""
    rows = IncidentGroup.objects.filter(
        incident__started_at__gte=around - span, incident__started_at__lte=around + span
    ).exclude(incident__state=IncidentState.RESOLVED)
    links = list(
        rows.order_by("joined_at").values_list(
            "incident_id", "incident__number", "incident__started_at", "group_id", "started_at"
        )
    )
    about: dict[UUID, set[UUID]] = {}
    resources = AlertResource.objects.filter(alert__group__in=[group for *_rest, group, _at in links])
    for group_id, resource_id in resources.values_list("alert__group_id", "resource_id").distinct():
        about.setdefault(group_id, set()).add(resource_id)
    members: dict[tuple[UUID, int, datetime], list[Member]] = {}
    for incident_id, number, incident_started_at, group_id, started_at in links:
        member = Member(started_at, frozenset(about.get(group_id, ())))
        members.setdefault((incident_id, number, incident_started_at), []).append(member)
    return [OpenIncident(id_, number, at, tuple(each)) for (id_, number, at), each in members.items()]


def last_incident(key: str, *, but: UUID) -> Incident | None:
    """Return the incident in which an alert group of this key was last, `but` another group than this."""
    link = (
        IncidentGroup.objects.filter(group__key=key)
        .exclude(group_id=but)
        .select_related("incident")
        .order_by("-joined_at")
        .first()
    )
    return link.incident if link else None


def names(graph: Graph, incidents: list[OpenIncident], group: GroupFacts) -> dict[UUID, str]:
    """Return the names of all resources that a decision may speak of."""
    involved = group.resources.union(*(member.resources for each in incidents for member in each.members))
    return {resource: graph.nodes[resource].name for resource in involved if resource in graph}
