"""Which firing alerts are not told, and by what: silences, holds, inhibition, something they need that is down.

Pure. Suppression is about notices only: alerts, groups, events and incidents go on as if it were not there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tongchou.alerting.matchers import matches
from tongchou.telemetry.series import Matcher

SILENCED = "silenced"
HELD = "held"
INHIBITED = "inhibited"
EXPLAINED = "explained"
# So many inhibiting alerts are named; a storm of sources must not cost its square.
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class AlertView:
    """A firing alert. ``own`` marks the monitoring's own service: what it needs never explains it away."""

    id: UUID
    group: UUID
    labels: Mapping[str, str]
    critical: bool = False
    resources: frozenset[UUID] = frozenset()
    own: bool = False


@dataclass(frozen=True, slots=True)
class SilenceView:
    """A silence that is active now."""

    id: UUID
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """While an alert matches ``source``, those that match ``target`` with the same ``equal`` labels are not told."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why an alert is not told: ids of silences, of holds, of inhibiting alerts, or of the groups that explain it."""

    kind: str
    by: tuple[UUID, ...]


def silenced(alerts: Iterable[AlertView], silences: Sequence[SilenceView]) -> dict[UUID, tuple[UUID, ...]]:
    """Alert id -> the silences that match it, for those that have any."""
    found = {}
    for alert in alerts:
        by = tuple(each.id for each in silences if matches(each.matchers, alert.labels))
        if by:
            found[alert.id] = by
    return found


def inhibited(alerts: Sequence[AlertView], rules: Iterable[InhibitRule]) -> dict[UUID, tuple[UUID, ...]]:
    """Alert id -> some alerts that inhibit it (the first ones), for those that have any.

    As in Alertmanager a silenced alert still inhibits, and one that matches both sides of a rule is not inhibited by
    another such.
    """
    found: dict[UUID, set[UUID]] = defaultdict(set)
    for rule in rules:
        sources: dict[tuple[str, ...], list[tuple[AlertView, bool]]] = defaultdict(list)
        for alert in alerts:
            if matches(rule.source, alert.labels):
                is_both = matches(rule.target, alert.labels)
                named = sources[_equal(rule, alert)]
                if sum(each == is_both for _alert, each in named) < MAX_NAMED:
                    named.append((alert, is_both))
        if not sources:
            continue
        for alert in alerts:
            if not matches(rule.target, alert.labels):
                continue
            both = matches(rule.source, alert.labels)
            for source, source_is_both in sources.get(_equal(rule, alert), ()):
                if source.id != alert.id and not (both and source_is_both):
                    found[alert.id].add(source.id)
    return {key: tuple(sorted(by)) for key, by in found.items()}


def _equal(rule: InhibitRule, alert: AlertView) -> tuple[str, ...]:
    return tuple(alert.labels.get(name, "") for name in rule.equal)


def candidates(
    alerts: Sequence[AlertView], down: Collection[UUID], needs: Callable[[UUID], Collection[UUID]]
) -> dict[UUID, set[UUID]]:
    """Alert id -> the other groups that may explain it.

    A group may: it has an alert about a resource that one of this alert's resources needs (one hop) and that is really
    down: it is in ``down``, or the alert about it is critical. A resource that is down without an alert about it
    explains nothing, as then nobody would be told of it.
    """
    explaining: dict[UUID, set[UUID]] = defaultdict(set)
    for alert in alerts:
        for resource in alert.resources:
            if alert.critical or resource in down:
                explaining[resource].add(alert.group)
    found: dict[UUID, set[UUID]] = {}
    for alert in alerts:
        if alert.own:
            continue
        needed = {each for resource in alert.resources for each in needs(resource)} - alert.resources
        groups = {group for each in needed for group in explaining.get(each, ())} - {alert.group}
        if groups:
            found[alert.id] = groups
    return found


def explained(
    alerts: Sequence[AlertView],
    possible: Mapping[UUID, Collection[UUID]],
    quiet: Collection[UUID],
    started: Mapping[UUID, datetime],
) -> dict[UUID, tuple[UUID, ...]]:
    """Alert id -> the groups at the root of it, each of which is itself not explained by anything.

    ``possible`` is what ``candidates`` found, ``quiet`` the alerts silenced or inhibited, ``started`` the time each
    group began. Of groups that need one another in a circle the one that began first is told, so that a circle never
    silences all of its members.
    """
    waits: dict[UUID, list[Collection[UUID]]] = {alert.group: [] for alert in alerts}
    for alert in alerts:
        if alert.id not in quiet:
            waits[alert.group].append(possible.get(alert.id, ()))
    # A group is held when each of its alerts that somebody would hear of may be explained.
    may_hold = {group for group, each in waits.items() if each and all(each)}
    roots = _roots(waits, may_hold, started)
    held = {group for group in may_hold if group not in roots[group]}
    found = {}
    for alert in alerts:
        if alert.id in quiet or alert.id not in possible or (alert.group in may_hold and alert.group not in held):
            continue
        by = {root for each in possible[alert.id] for root in roots.get(each, ())} - {alert.group}
        if by:
            found[alert.id] = tuple(sorted(by))
    return found


def _roots(
    waits: Mapping[UUID, Sequence[Collection[UUID]]], may_hold: Collection[UUID], started: Mapping[UUID, datetime]
) -> dict[UUID, set[UUID]]:
    """Group -> the groups that are told in its place; itself when it is told."""
    roots = {group: {group} for group in waits if group not in may_hold}
    left = set(may_hold)
    while left:
        known = dict(roots)
        for group in left:
            if all(any(each in known for each in choice) for choice in waits[group]):
                roots[group] = {root for choice in waits[group] for each in choice for root in known.get(each, ())}
        if len(roots) == len(known):
            first = min(left, key=lambda group: (started[group], group))
            roots[first] = {first}
        left -= roots.keys()
    return roots


def suppressions(
    alerts: Sequence[AlertView],
    *,
    silences: Sequence[SilenceView],
    rules: Iterable[InhibitRule],
    down: Collection[UUID],
    needs: Callable[[UUID], Collection[UUID]],
    started: Mapping[UUID, datetime],
    held: Callable[[AlertView], tuple[UUID, ...]] = lambda _alert: (),
) -> dict[UUID, Suppression]:
    """Alert id -> why it is not told, for those that are not: silence, hold, inhibition, explanation, in this order.

    ``held`` gives the holds by which all that an alert is about is quiet.
    """
    by_silence = silenced(alerts, silences)
    by_hold = {alert.id: by for alert in alerts if alert.id not in by_silence and (by := held(alert))}
    by_rule = inhibited(alerts, rules)
    quiet = by_silence.keys() | by_hold.keys() | by_rule.keys()
    by_need = explained(alerts, candidates(alerts, down, needs), quiet, started)
    found = {key: Suppression(EXPLAINED, by) for key, by in by_need.items()}
    found |= {key: Suppression(INHIBITED, by) for key, by in by_rule.items()}
    found |= {key: Suppression(HELD, by) for key, by in by_hold.items()}
    return found | {key: Suppression(SILENCED, by) for key, by in by_silence.items()}
