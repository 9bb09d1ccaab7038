"""Decides which groups are told, held and released: reads everything first, then writes under the groups' locks.

Nothing here changes alerts, incidents or the recording of either; it is about notices. A group whose alerts changed
between reading and writing is left for the next turn, which is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from tongchou.alerting import tell
from tongchou.alerting.due import AlertFacts, GroupFacts, Intervals, next_notice
from tongchou.alerting.matchers import of_rows
from tongchou.alerting.models import Alert, AlertGroup, AlertStateChoice, GroupState, Silence
from tongchou.alerting.run_time_settings import (
    GROUP_INTERVAL,
    HOLD_DEPENDANTS,
    INHIBIT_RULES,
    OWN_SERVICES,
    RELEASE_WAIT,
    REPEAT_INTERVAL,
    inhibit_rules,
)
from tongchou.alerting.state import severity_rank
from tongchou.alerting.suppress import (
    EXPLAINED,
    HELD,
    INHIBITED,
    SILENCED,
    AlertView,
    SilenceView,
    Suppression,
    suppressions,
)
from tongchou.core import ledger, settings_store
from tongchou.core.access import system
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.inventory.graph import load_graph
from tongchou.inventory.holds import held_through, quiet_by
from tongchou.inventory.reads import resources_for_labels
from tongchou.telemetry.reads import instant_vector

ACTOR = system("notifier")
CRITICAL_RANK = 4
_REF = {
    SILENCED: "alerting.silence",
    HELD: "inventory.hold",
    INHIBITED: "alerting.alert",
    EXPLAINED: "alerting.alertgroup",
}


@dataclass(frozen=True, slots=True)
class _Group:
    """A group to decide about, as it was read."""

    row: AlertGroup
    alerts: tuple[Alert, ...]


def settle(now: datetime) -> int:
    """Decide about every open group, and closed ones nobody decided about; returns how many notices are new."""
    end_silences(now)
    read = _read()
    if not read:
        return 0
    own = frozenset(settings_store.get(OWN_SERVICES))
    views = {alert.pk: _view(alert, key, own) for key, one in read.items() for alert in one.alerts}
    down, needs = _down_and_needs(views)
    found = suppressions(
        list(views.values()),
        silences=active_silences(now),
        rules=inhibit_rules(settings_store.get(INHIBIT_RULES)),
        down=down,
        needs=lambda resource: needs.get(resource, ()),
        started={key: one.row.started_at for key, one in read.items()},
        held=_holding(now),
    )
    times = Intervals(
        float(settings_store.get(GROUP_INTERVAL)),
        float(settings_store.get(REPEAT_INTERVAL)),
        float(settings_store.get(RELEASE_WAIT)),
    )
    return _write(read, found, times, now)


def _read() -> dict[UUID, _Group]:
    rows = AlertGroup.objects.filter(Q(state=GroupState.OPEN) | Q(settled_at__isnull=True))
    groups = {row.pk: row for row in rows}
    if not groups:
        return {}
    alerts: dict[UUID, list[Alert]] = defaultdict(list)
    members = Alert.objects.filter(group__in=groups).prefetch_related("resources").order_by("active_at", "id")
    ended = [key for key, row in groups.items() if row.state != GroupState.OPEN]
    # Of a group that closed before anybody decided, what fired is what would have been told.
    for alert in members.filter(Q(state=AlertStateChoice.FIRING) | Q(group__in=ended)):
        if alert.group_id is not None:
            alerts[alert.group_id].append(alert)
    return {key: _Group(row, tuple(alerts[key])) for key, row in groups.items()}


def _view(alert: Alert, group: UUID, own: Collection[str]) -> AlertView:
    return AlertView(
        id=alert.pk,
        group=group,
        labels=alert.labels,
        critical=severity_rank(alert.severity) >= CRITICAL_RANK,
        resources=frozenset(row.resource_id for row in alert.resources.all()),
        own=alert.labels.get("service") in own or alert.labels.get("job") in own,
    )


def _holding(now: datetime) -> Callable[[AlertView], tuple[UUID, ...]]:
    """What gives the holds of an alert: by which everything it is about, or something that stands in, is quiet.

    The monitoring's own alerts are never held: somebody has to hear that nobody would be told.
    """
    quiet = quiet_by(now)
    if not quiet:
        return lambda _alert: ()
    graph = load_graph()
    return lambda alert: () if alert.own or not alert.resources else held_through(graph, alert.resources, quiet)


def _down_and_needs(views: Mapping[UUID, AlertView]) -> tuple[set[UUID], dict[UUID, Collection[UUID]]]:
    """The resources whose scrape fails, and what resources of alerts need in one hop; empty when switched off."""
    about = {resource for view in views.values() for resource in view.resources}
    if len({view.group for view in views.values()}) < 2 or not about or not settings_store.get(HOLD_DEPENDANTS):
        return set(), {}
    graph = load_graph()
    needs: dict[UUID, Collection[UUID]] = {each: set(graph.downstream(each, depth=1)) for each in about}
    if not any(needed & about for needed in map(set, needs.values())):
        return set(), needs
    return down_resources(), needs


def down_resources() -> set[UUID]:
    """Resources with a target that does not answer (``up == 0``); a service is not down because one instance is."""
    try:
        samples = instant_vector("up == 0")
    except Problem:
        return set()  # without metrics the critical alerts alone say what is down
    found = set()
    for sample in samples:
        found |= {each.pk for each in resources_for_labels(sample.labels) if each.kind != "service"}
    return found


def active_silences(now: datetime) -> list[SilenceView]:
    """The silences that are active at ``now``."""
    rows = Silence.objects.filter(starts_at__lte=now, ends_at__gt=now, expired_at__isnull=True).order_by("id")
    return [SilenceView(row.pk, of_rows(row.matchers)) for row in rows]


def end_silences(now: datetime) -> None:
    """Record the end of silences whose time has come. Event silence.expired, once each."""
    for key in Silence.objects.filter(ends_at__lte=now, expired_at__isnull=True).values_list("pk", flat=True):
        with transaction.atomic():
            # It may have been extended since: the guarded UPDATE decides.
            if not Silence.objects.filter(pk=key, ends_at__lte=now, expired_at__isnull=True).update(expired_at=now):
                continue
            row = Silence.objects.get(pk=key)
            ledger.record(
                actor=ACTOR,
                verb="silence.expired",
                subject=ref(row),
                about=[row.about] if row.about else [],
                payload={"matchers": str(row), "comment": row.comment, "early": False},
                dedupe_key=f"silence.expired:{row.pk}",
                at=row.ends_at,
            )


def _write(read: Mapping[UUID, _Group], found: Mapping[UUID, Suppression], times: Intervals, now: datetime) -> int:
    explains = _explains(found)
    with transaction.atomic():
        held = AlertGroup.objects.select_for_update().filter(pk__in=read).order_by("key")
        rows = {row.pk: row for row in held}
        fresh = _unchanged(read, rows)
        opened: list[tuple[AlertGroup, str]] = []
        closed: list[tuple[AlertGroup, str]] = []
        reasons: dict[UUID, str] = {}
        changed: list[AlertGroup] = []
        marked: list[Alert] = []
        for key in fresh:
            row, alerts = rows[key], read[key].alerts
            before = _kept(row, _GROUP_FIELDS), [_kept(alert, _ALERT_FIELDS) for alert in alerts]
            row.explains = explains.get(key, 0)
            _mark(alerts, found, now)
            _hold_or_release(row, alerts, now)
            _end_acknowledgement(row, now)
            reason = _told(row, alerts, times, now)
            row.settled_at = row.settled_at or now
            if _kept(row, _GROUP_FIELDS) != before[0]:
                changed.append(row)
            marked += [each for each, was in zip(alerts, before[1], strict=True) if _kept(each, _ALERT_FIELDS) != was]
            if reason:
                reasons[key] = reason
                opened.append((row, "firing"))
                if row.state != GroupState.OPEN:
                    closed.append((row, "resolved"))
        Alert.objects.bulk_update(marked, _ALERT_FIELDS, batch_size=200)
        AlertGroup.objects.bulk_update(changed, _GROUP_FIELDS, batch_size=200)
        tell.enqueue(opened, reasons)
        tell.enqueue(closed)
        if len(fresh) < len(read):
            tell.wake_settle()
    return len(opened)


def _explains(found: Mapping[UUID, Suppression]) -> dict[UUID, int]:
    counts: dict[UUID, int] = defaultdict(int)
    for each in found.values():
        if each.kind == EXPLAINED:
            for group in each.by:
                counts[group] += 1
    return counts


def _unchanged(read: Mapping[UUID, _Group], rows: Mapping[UUID, AlertGroup]) -> list[UUID]:
    """The groups that are as they were read; their rows are locked, so they stay so until the commit."""
    firing: dict[UUID, set[UUID]] = defaultdict(set)
    for key, group in Alert.objects.filter(group__in=rows, state=AlertStateChoice.FIRING).values_list("pk", "group"):
        if group is not None:
            firing[group].add(key)
    return [
        key
        for key, one in read.items()
        if key in rows
        and rows[key].state == one.row.state
        and firing[key] == {alert.pk for alert in one.alerts if alert.state == AlertStateChoice.FIRING}
    ]


def _mark(alerts: Collection[Alert], found: Mapping[UUID, Suppression], now: datetime) -> None:
    for alert in alerts:
        why = found.get(alert.pk)
        if alert.suppressed and why is None:
            alert.released_at = now
        alert.suppressed = why.kind if why else ""
        alert.suppressed_by = [f"{_REF[why.kind]}:{key}" for key in why.by] if why else []


def _hold_or_release(row: AlertGroup, alerts: Collection[Alert], now: datetime) -> None:
    """Note that none of a group's alerts is told any more, or that one is again. Events alert.group_held, _released."""
    kinds = [alert.suppressed for alert in alerts]
    if kinds and all(kinds):
        # A silence is somebody's word and ends at a time: it decides what follows when several reasons meet.
        kind = next(each for each in (SILENCED, HELD, INHIBITED, EXPLAINED) if each in kinds)
        by = sorted({each for alert in alerts for each in alert.suppressed_by})[:20]
        if row.held_at is None:
            row.held_at = now
            _record(row, "alert.group_held", {"by": kind, "refs": by}, by, now)
        row.held_by = kind
    elif row.held_at is not None:
        row.held_at, row.released_at = None, now
        _record(row, "alert.group_released", {"by": row.held_by}, [], now)


def _end_acknowledgement(row: AlertGroup, now: datetime) -> None:
    """Take back an acknowledgement whose time has come. Event alert.group_unacknowledged."""
    if row.state == GroupState.OPEN and row.acknowledged_until is not None and row.acknowledged_until <= now:
        _record(row, "alert.group_unacknowledged", {"of": row.acknowledged_by_name, "expired": True}, [], now)
        row.acknowledged_at, row.acknowledged_until, row.acknowledged_by_name = None, None, ""


def _record(row: AlertGroup, verb: str, payload: dict[str, object], about: list[str], now: datetime) -> None:
    ledger.record(actor=ACTOR, verb=verb, subject=ref(row), about=about, payload={"key": row.key, **payload}, at=now)


def _told(row: AlertGroup, alerts: Collection[Alert], times: Intervals, now: datetime) -> str:
    """The reason of the notice that is due now, "" for none; the group and its alerts are then told."""
    facts = GroupFacts(
        told_at=row.told_at,
        released_at=row.released_at,
        held_by=row.held_by,
        acknowledged=row.acknowledged_at is not None,
        explains=row.explains,
        told_explains=row.told_explains,
    )
    notice = next_notice(
        facts, [AlertFacts(bool(each.suppressed), each.told_at, each.released_at) for each in alerts], times
    )
    if notice is None or (notice.at is not None and notice.at > now):
        return ""
    row.told_at, row.told_explains = now, row.explains
    row.told_round += 1
    for alert in alerts:
        if not alert.suppressed:
            alert.told_at = now
    return notice.reason


_ALERT_FIELDS = ("suppressed", "suppressed_by", "released_at", "told_at")
_GROUP_FIELDS = (
    "settled_at",
    "told_at",
    "told_round",
    "held_at",
    "held_by",
    "released_at",
    "explains",
    "told_explains",
    "acknowledged_at",
    "acknowledged_by_name",
    "acknowledged_until",
)


def _kept(row: Alert | AlertGroup, fields: Collection[str]) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in fields)
