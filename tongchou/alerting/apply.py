"""Writes what one evaluation of a rule group found, in one transaction: killed before its commit, nothing happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import F

from tongchou.alerting import groups
from tongchou.alerting.models import Alert, AlertStateChoice, Health, Rule, RuleGroup
from tongchou.alerting.state import AlertState, Step
from tongchou.core.access import Actor, system

ACTOR = system("rule-evaluator")
_BATCH = 200  # rules named in one statement
K = TypeVar("K")
ACTIVE = (AlertStateChoice.PENDING, AlertStateChoice.FIRING)


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What came of one rule; ``step`` is None for a recording rule and for one that failed (``error``)."""

    rule_id: UUID
    step: Step | None
    error: str
    duration_seconds: float


def time_of(seconds: float) -> datetime:
    """Unix seconds as an aware time, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC)


def load_active(group_id: UUID) -> dict[UUID, dict[str, Alert]]:
    """The active alerts of a group's rules: rule id -> fingerprint -> row. One query."""
    found: dict[UUID, dict[str, Alert]] = defaultdict(dict)
    for alert in Alert.objects.filter(rule__group=group_id, state__in=ACTIVE).select_related("group"):
        found[alert.rule_id][alert.fingerprint] = alert
    return found


def as_state(alert: Alert) -> AlertState:
    """A row as the pure state machine knows it."""
    return AlertState(
        fingerprint=alert.fingerprint,
        labels=alert.labels,
        annotations=alert.annotations,
        state=alert.state,
        active_at=alert.active_at.timestamp(),
        value=alert.value,
        fired_at=alert.fired_at.timestamp() if alert.fired_at else None,
        keep_since=alert.keep_since.timestamp() if alert.keep_since else None,
    )


def _row(rule_id: UUID, alert: AlertState) -> Alert:
    return _set(
        Alert(
            rule_id=rule_id,
            fingerprint=alert.fingerprint,
            name=alert.labels["alertname"][:250],
            severity=alert.labels.get("severity", "")[:60],
            labels=dict(alert.labels),
        ),
        alert,
    )


def _set(row: Alert, alert: AlertState) -> Alert:
    row.state, row.annotations, row.value_text = alert.state, dict(alert.annotations), repr(alert.value)
    row.active_at = time_of(alert.active_at)
    row.fired_at = time_of(alert.fired_at) if alert.fired_at is not None else None
    row.keep_since = time_of(alert.keep_since) if alert.keep_since is not None else None
    return row


_FIELDS = ["state", "annotations", "value_text", "active_at", "fired_at", "keep_since"]


def apply_results(
    *,
    actor: Actor = ACTOR,
    group_id: UUID,
    at: datetime,
    results: Sequence[RuleResult],
    rows: Mapping[UUID, Mapping[str, Alert]],
    refresh: bool = True,
) -> bool:
    """Write the steps of a group's rules at ``at``; ``rows`` are those the steps were computed from.

    Without ``refresh`` new values and annotations of alerts that did not change state wait for a later evaluation.
    Returns False, having written nothing, when the group has left its file meanwhile. A fixed number of queries, plus
    those of each event.
    """
    steps = {result.rule_id: result.step for result in results if result.step is not None}
    if not _anything(steps, rows, refresh):
        return True
    with transaction.atomic():
        group = RuleGroup.objects.select_for_update().filter(pk=group_id).first()
        if group is None:
            return False
        live = set(Rule.objects.filter(pk__in=steps, group=group, retired_at__isnull=True).values_list("pk", flat=True))
        created: list[Alert] = []
        updated: list[Alert] = []
        fired: list[Alert] = []
        resolved: list[Alert] = []
        dropped: list[UUID] = []
        for rule_id, step in steps.items():
            if rule_id not in live:
                continue
            known = rows.get(rule_id, {})
            newly = {alert.fingerprint for alert in step.fired}
            for key, alert in step.active.items():
                row = known.get(key)
                if row is None:
                    row = _row(rule_id, alert)
                    created.append(row)
                elif _differs(row, alert, refresh):
                    updated.append(_set(row, alert))
                if key in newly:
                    fired.append(row)
            resolved += [known[alert.fingerprint] for alert in step.resolved]
            dropped += [known[alert.fingerprint].pk for alert in step.dropped]
        fired, resolved = _untold(created, fired, resolved)
        Alert.objects.filter(pk__in=dropped, state=AlertStateChoice.PENDING).delete()
        Alert.objects.bulk_create(created, batch_size=500)
        Alert.objects.bulk_update(updated, _FIELDS, batch_size=200)
        if fired or resolved:
            groups.change(actor=actor, fired=fired, resolved=resolved, at=at)
        RuleGroup.objects.filter(pk=group_id).update(evaluated_at=at)
    return True


def _untold(created: list[Alert], fired: list[Alert], resolved: list[Alert]) -> tuple[list[Alert], list[Alert]]:
    """Without those whose state another evaluator changed since the rows were read; the group's row is locked."""
    new = {alert.pk for alert in created}
    known = [alert.pk for alert in (*fired, *resolved) if alert.pk not in new]
    states = dict(Alert.objects.filter(pk__in=known).values_list("pk", "state")) if known else {}
    return (
        [alert for alert in fired if alert.pk in new or states.get(alert.pk) == AlertStateChoice.PENDING],
        [alert for alert in resolved if states.get(alert.pk) == AlertStateChoice.FIRING],
    )


def _differs(row: Alert, alert: AlertState, refresh: bool) -> bool:
    if row.state != alert.state or (row.keep_since is None) != (alert.keep_since is None):
        return True
    if abs(row.active_at.timestamp() - alert.active_at) > 1e-3:
        return True
    return refresh and (row.annotations != alert.annotations or row.value_text != repr(alert.value))


def _anything(steps: Mapping[UUID, Step], rows: Mapping[UUID, Mapping[str, Alert]], refresh: bool) -> bool:
    """Whether there is a reason to write; a pending alert is one, as ``for`` resumes from the time written with it."""
    for rule_id, step in steps.items():
        if step.fired or step.resolved or step.dropped:
            return True
        known = rows.get(rule_id, {})
        for key, alert in step.active.items():
            if key not in known or alert.state == AlertStateChoice.PENDING or _differs(known[key], alert, refresh):
                return True
    return False


def write_health(
    *, group_id: UUID, at: datetime, duration_seconds: float, missed: int, error: str, results: Sequence[RuleResult]
) -> None:
    """Write how the last evaluation went: figures for people, not transitions, so no events.

    ``missed`` is added to what was counted before.
    """
    with transaction.atomic():
        if not RuleGroup.objects.filter(pk=group_id).update(
            evaluated_at=at,
            duration_seconds=duration_seconds,
            missed_iterations=F("missed_iterations") + missed,
            last_error=error[:2000],
        ):
            return
        rules = Rule.objects.filter(group_id=group_id, retired_at__isnull=True)
        for message, ids in _by(results, lambda result: result.error[:2000]):
            health = Health.ERROR if message else Health.OK
            rules.filter(pk__in=ids).update(health=health, last_error=message, evaluated_at=at)
        alone = []
        for seconds, ids in _by(results, lambda result: result.duration_seconds):
            if len(ids) > 1:  # quiet rules that were evaluated at once
                rules.filter(pk__in=ids).update(duration_seconds=seconds)
            else:
                alone.append(Rule(pk=ids[0], duration_seconds=seconds))
        rules.bulk_update(alone, ["duration_seconds"], batch_size=_BATCH)


def _by(results: Iterable[RuleResult], key: Callable[[RuleResult], K]) -> Iterator[tuple[K, list[UUID]]]:
    """The rules whose results have the same key, at most _BATCH at a time."""
    found: dict[K, list[UUID]] = defaultdict(list)
    for result in results:
        found[key(result)].append(result.rule_id)
    for value, ids in found.items():
        for first in range(0, len(ids), _BATCH):
            yield value, ids[first : first + _BATCH]
