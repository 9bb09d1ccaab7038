"""Alerts that fire and resolve: the groups they open, change and close, the events and notifications that follow.

Everything here runs inside the caller's transaction. Open groups are locked in the order of their keys, so that two
evaluations cannot wait for each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from tongchou.alerting import tell
from tongchou.alerting.models import Alert, AlertGroup, AlertResource, AlertStateChoice, GroupState, Rule
from tongchou.alerting.run_time_settings import GROUP_BY
from tongchou.alerting.state import group_key, worst_severity
from tongchou.core import ledger, settings_store
from tongchou.core.access import Actor
from tongchou.core.ledger import Entry
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource
from tongchou.inventory.reads import resources_for_labels

MAX_ALERTS_TOLD = 50


@dataclass(slots=True)
class _Change:
    group: AlertGroup
    opened: bool
    joined: list[Alert] = field(default_factory=list)


def change(*, actor: Actor, fired: Sequence[Alert], resolved: Sequence[Alert], at: datetime, reason: str = "") -> None:
    """Take alerts that began to fire (rows already saved as firing) into their groups, and settle those that ended.

    The caller has made sure, under its lock, that none of them was told before.
    Writes alert.fired, alert.resolved, alert.group_opened, alert.group_changed, alert.group_closed, and the
    notifications of the end of groups that were told. Whether the others are told is for ``settle``, which is woken.
    """
    keys = _keys(fired)
    left = {alert.group_id for alert in resolved if alert.group_id is not None}
    groups, opened = _lock_or_open(keys, left, fired, at)
    changes = _join(keys, groups, opened, fired)
    resources = _resources(fired)
    _write_joined(changes, resources, at)
    _record_fired(actor, changes, resources, at)
    _resolve(actor, resolved, at, reason)
    closed = _close_empty(actor, left, at)
    tell.enqueue([(group, "resolved") for group in closed if group.told_at is not None])
    if fired or resolved:
        tell.wake_settle()


def resolve_rules(*, actor: Actor, rules: Iterable[Rule], reason: str) -> None:
    """End every active alert of rules that are no more; inside the caller's transaction."""
    ids = [rule.pk for rule in rules]
    if not ids:
        return
    Alert.objects.filter(rule__in=ids, state=AlertStateChoice.PENDING).delete()
    firing = list(Alert.objects.filter(rule__in=ids, state=AlertStateChoice.FIRING).select_related("group"))
    change(actor=actor, fired=[], resolved=firing, at=timezone.now(), reason=reason)


def _keys(fired: Sequence[Alert]) -> dict[UUID, tuple[str, dict[str, str]]]:
    if not fired:
        return {}
    group_by = settings_store.get(GROUP_BY)
    return {alert.pk: group_key(alert.labels, group_by) for alert in fired}


def _lock_or_open(
    keys: dict[UUID, tuple[str, dict[str, str]]], left: set[UUID], fired: Sequence[Alert], at: datetime
) -> tuple[dict[str, AlertGroup], set[UUID]]:
    """The open groups by key, locked, with those missing created; and the ids of the created."""
    wanted = dict(keys.values())
    made: set[UUID] = set()
    started: dict[str, datetime] = {}
    for alert in fired:
        key = keys[alert.pk][0]
        started[key] = min(started.get(key, alert.active_at), alert.active_at)
    while True:
        held = AlertGroup.objects.select_for_update().filter(Q(key__in=wanted) | Q(pk__in=left), state=GroupState.OPEN)
        groups = {group.key: group for group in held.order_by("key")}
        missing = sorted(set(wanted) - set(groups))
        if not missing:
            return groups, {group.pk for group in groups.values() if group.pk in made}
        fresh = [
            AlertGroup(key=key[:500], labels=wanted[key], started_at=started[key], opened_at=at, changed_at=at)
            for key in missing
        ]
        # Another process may open the same group at this moment: the constraint lets one row in, and we join it.
        AlertGroup.objects.bulk_create(fresh, ignore_conflicts=True)
        made |= {group.pk for group in fresh}


def _join(
    keys: dict[UUID, tuple[str, dict[str, str]]],
    groups: dict[str, AlertGroup],
    opened: set[UUID],
    fired: Sequence[Alert],
) -> list[_Change]:
    changes: dict[str, _Change] = {}
    for alert in fired:
        group = groups[keys[alert.pk][0]]
        one = changes.setdefault(group.key, _Change(group, group.pk in opened))
        one.joined.append(alert)
        alert.group = group
        group.severity = worst_severity([each for each in (group.severity, alert.severity) if each])
        group.started_at = min(group.started_at, alert.active_at)
    return list(changes.values())


def _resources(fired: Sequence[Alert]) -> dict[UUID, list[Resource]]:
    known: dict[tuple[tuple[str, str], ...], list[Resource]] = {}
    found: dict[UUID, list[Resource]] = {}
    for alert in fired:
        # Those that inventory.reads.resources_for_labels looks at: a storm of alerts has few different ones.
        telling = {name: alert.labels[name] for name in ("job", "instance", "service", "host") if name in alert.labels}
        key = tuple(telling.items())
        if key not in known:
            known[key] = list(resources_for_labels(telling))
        found[alert.pk] = known[key]
    return found


def _write_joined(changes: list[_Change], resources: dict[UUID, list[Resource]], at: datetime) -> None:
    alerts = [alert for one in changes for alert in one.joined]
    Alert.objects.bulk_update(alerts, ["group"], batch_size=500)
    rows = [AlertResource(alert=alert, resource=each) for alert in alerts for each in resources[alert.pk]]
    AlertResource.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    for one in changes:
        owners = {each.owner_id for alert in one.joined for each in resources[alert.pk]}
        if one.opened and len(owners) == 1:
            one.group.team_id = owners.pop()
        elif not one.opened and one.group.team_id is not None and owners - {one.group.team_id}:
            one.group.team_id = None  # several owners: only those with a global role see it
        one.group.changed_at = at
    AlertGroup.objects.bulk_update([one.group for one in changes], ["severity", "started_at", "changed_at", "team"])


def _record_fired(actor: Actor, changes: list[_Change], resources: dict[UUID, list[Resource]], at: datetime) -> None:
    for one in changes:
        refs: dict[str, None] = {}
        entries = []
        for alert in one.joined:
            about = [ref(each) for each in resources[alert.pk]]
            refs.update(dict.fromkeys(about))
            payload = {**alert_payload(alert, about), "group": ref(one.group), "group_key": one.group.key}
            entries.append(Entry("alert.fired", ref(alert), (ref(one.group), *about), payload))
        ledger.record_many(actor=actor, entries=entries)
        ids = sorted(str(alert.pk) for alert in one.joined)
        verb = "alert.group_opened" if one.opened else "alert.group_changed"
        payload = {
            "key": one.group.key,
            "labels": one.group.labels,
            "severity": one.group.severity,
            "started_at": one.group.started_at.isoformat(),
            "resources": list(refs),
            "alerts": [alert_payload(a, [ref(r) for r in resources[a.pk]]) for a in one.joined[:MAX_ALERTS_TOLD]],
            "alerts_count": len(one.joined),
        }
        dedupe = f"{verb}:{one.group.pk}" if one.opened else f"{verb}:{one.group.pk}:{ids[0]}"
        ledger.record(
            actor=actor, verb=verb, subject=ref(one.group), about=list(refs), payload=payload, dedupe_key=dedupe, at=at
        )


def alert_payload(alert: Alert, resource_refs: list[str]) -> dict[str, Any]:
    """What events say of an alert."""
    return {
        "alert": ref(alert),
        "alertname": alert.name,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "summary": alert.annotations.get("summary", ""),
        "severity": alert.severity,
        "active_at": alert.active_at.isoformat(),
        "value": alert.value_text,
        "resources": resource_refs,
    }


def _resolve(actor: Actor, resolved: Sequence[Alert], at: datetime, reason: str) -> None:
    if not resolved:
        return
    ids = [alert.pk for alert in resolved]
    Alert.objects.filter(pk__in=ids, state=AlertStateChoice.FIRING).update(
        state=AlertStateChoice.RESOLVED, resolved_at=at, keep_since=None
    )
    refs: dict[UUID, list[str]] = defaultdict(list)
    for row in AlertResource.objects.filter(alert__in=ids).select_related("resource"):
        refs[row.alert_id].append(ref(row.resource))
    entries = []
    for alert in resolved:
        about = [ref(alert.group)] if alert.group else []
        payload = {
            **alert_payload(alert, refs[alert.pk]),
            "group": about[0] if about else None,
            "resolved_at": at.isoformat(),
            "reason": reason,
        }
        entries.append(Entry("alert.resolved", ref(alert), (*about, *refs[alert.pk]), payload))
    ledger.record_many(actor=actor, entries=entries)


def _close_empty(actor: Actor, left: set[UUID], at: datetime) -> list[AlertGroup]:
    """Close those groups in which nothing fires any more; their rows are locked by this transaction."""
    if not left:
        return []
    firing = Alert.objects.filter(group__in=left, state=AlertStateChoice.FIRING).values("group")
    empty = list(AlertGroup.objects.filter(pk__in=left, state=GroupState.OPEN).exclude(pk__in=firing).order_by("key"))
    if not empty:
        return []
    AlertGroup.objects.filter(pk__in=[group.pk for group in empty], state=GroupState.OPEN).update(
        state=GroupState.CLOSED, closed_at=at, changed_at=at
    )
    refs: dict[UUID, dict[str, None]] = defaultdict(dict)
    rows = AlertResource.objects.filter(alert__group__in=empty).select_related("resource", "alert")
    for row in rows:
        if row.alert.group_id is not None:
            refs[row.alert.group_id][ref(row.resource)] = None
    for group in empty:
        group.state, group.closed_at = GroupState.CLOSED, at
        about = list(refs[group.pk])
        ledger.record(
            actor=actor,
            verb="alert.group_closed",
            subject=ref(group),
            about=about,
            payload={
                "key": group.key,
                "labels": group.labels,
                "severity": group.severity,
                "started_at": group.started_at.isoformat(),
                "closed_at": at.isoformat(),
                "resources": about,
            },
            dedupe_key=f"alert.group_closed:{group.pk}",
            at=at,
        )
    return empty
