"""Builds what incidents read: a small topology, alert groups with their events, as the rooms below write them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from tongchou.alerting.models import Alert, AlertGroup, AlertResource, Rule
from tongchou.core import jobs, ledger
from tongchou.core.access import system
from tongchou.core.models import Event, Team
from tongchou.core.refs import ref
from tongchou.incidents.models import Incident
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource

TESTS = system("tests")


def resource(kind: str, name: str, owner: Team | None = None) -> Resource:
    """A resource."""
    row = inventory.create_resource(actor=TESTS, kind=kind, name=name, owner=owner)
    assert isinstance(row, Resource)
    return row


class Shop:
    """storefront calls orders, orders calls database; the database has a primary and a standby; search stands alone."""

    def __init__(self, owner: Team | None = None) -> None:
        self.host = resource("host", "host-a")
        self.storefront, self.orders, self.database, self.search = (
            resource("service", name, owner) for name in ("storefront", "orders", "database", "search")
        )
        self.orders_1 = resource("instance", "orders-1", owner)
        self.primary, self.standby = (resource("instance", f"database-{n}", owner) for n in ("primary", "standby"))
        for a, kind, b in (
            (self.storefront, "calls", self.orders),
            (self.orders, "calls", self.database),
            (self.orders_1, "part_of", self.orders),
            (self.primary, "part_of", self.database),
            (self.standby, "part_of", self.database),
            (self.primary, "replicates_to", self.standby),
            *((each, "runs_on", self.host) for each in (self.orders_1, self.primary, self.standby, self.search)),
        ):
            inventory.relate(actor=TESTS, from_resource=a, to_resource=b, type=kind)


EXPRESSIONS = {
    "TargetDown": "up == 0",
    "ErrorRatioHigh": 'rate(http_requests_total{code=~"5.."}[1m]) > 0.05',
    "SlowAnswers": "histogram_quantile(0.95, rate(x_bucket[1m])) > 1",
}


def alert(
    group: AlertGroup, name: str, *resources: Resource, at: datetime, severity: str = "critical", **labels: str
) -> Alert:
    """A firing alert in a group."""
    rule, _created = Rule.objects.get_or_create(
        kind="alert", name=name, defaults={"position": 0, "expr": EXPRESSIONS.get(name, "x > 1")}
    )
    row = Alert.objects.create(
        rule=rule,
        group=group,
        fingerprint=f"{Alert.objects.count():016x}",
        name=name,
        severity=severity,
        labels={"alertname": name, "severity": severity, **labels},
        state="firing",
        active_at=at,
        fired_at=at + timedelta(seconds=5),
    )
    AlertResource.objects.bulk_create([AlertResource(alert=row, resource_id=each.pk) for each in resources])
    return row


def group(key: str, at: datetime, severity: str = "critical") -> AlertGroup:
    """An open alert group without alerts."""
    return AlertGroup.objects.create(key=key, labels={"alertname": key}, severity=severity, started_at=at)


def tell(row: AlertGroup, verb: str) -> Event:
    """Record an event of a group, which enqueues the followers."""
    with transaction.atomic():
        return ledger.record(actor=TESTS, verb=f"alert.{verb}", subject=ref(row), payload={"key": row.key})


def opened(
    name: str,
    *resources: Resource,
    at: datetime | None = None,
    severity: str = "critical",
    key: str = "",
    **labels: str,
) -> AlertGroup:
    """A group with one firing alert, told to the ledger."""
    at = at or timezone.now() - timedelta(seconds=10)
    row = group(key or f"{name}:{','.join(each.name for each in resources)}", at, severity)
    alert(row, name, *resources, at=at, severity=severity, **labels)
    tell(row, "group_opened")
    return row


def close(row: AlertGroup, at: datetime | None = None, *, told: bool = True) -> AlertGroup:
    """Close a group, told to the ledger."""
    at = at or timezone.now()
    row.alerts.filter(state="firing").update(state="resolved", resolved_at=at)
    row.state, row.closed_at = "closed", at
    row.save(update_fields=["state", "closed_at"])
    if told:
        tell(row, "group_closed")
    return row


def deployed(service: Resource, at: datetime, version: str = "2", *about: Resource, **payload: Any) -> Event:
    """A deployment's event, as the changes room records it."""
    told = {
        "title": f"{service.name} 1 → {version}",
        "service": service.name,
        "version": version,
        "previous_version": "1",
    }
    with transaction.atomic():
        return ledger.record(
            actor=TESTS,
            verb="deployment.finished",
            subject=f"changes.deployment:{service.name}-{version}",
            about=[ref(service), *map(ref, about)],
            payload={**told, "started_at": at.isoformat(), **payload},
            at=at,
        )


def run_jobs(later: timedelta = timedelta(minutes=5)) -> None:
    """Run all that is queued, what is due later too."""
    jobs.run_due(until=timezone.now() + later)


def only_incident() -> Incident:
    """The one incident there is."""
    return Incident.objects.get()
