"""Ranks resources and change events as causes of one incident, with every point explained.

Pure: no database, no clock. The score of a suspect is the sum of the points of its printed reasons, so whoever doubts
the order can add it up. The idea is the engineer's own first questions, in numbers: what went wrong first, what do the
failing things have in common, is what they need healthy, what left its usual level, and what changed just before.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tongchou.incidents.case import Case, is_blip, strength_share
from tongchou.incidents.suspects import (
    CHANGE_SLACK_SECONDS,
    DECAY_BEFORE_SECONDS,
    DECAY_ORDER_SECONDS,
    DEMAND_RATIO_HIGH,
    DEMAND_RATIO_LOW,
    KIND_SHARE,
    KIND_WEIGHT,
    MEASURE_WEIGHT,
    ORDER_SLACK_SECONDS,
    TELLING_SHIFTS,
    WEIGHTS,
    Change,
    Evidence,
    Pattern,
    Ranked,
    Reason,
    Shifted,
    Value,
)

ERROR_LEVELS = frozenset({"warning", "error", "critical"})


@dataclass(frozen=True, slots=True)
class _Judged:
    """A suspect before the ones above it are known; `explains` are the failing resources it accounts for."""

    ranked: Ranked
    explains: frozenset[UUID]


def rank(evidence: Evidence, *, limit: int = 10) -> list[Ranked]:
    """The likeliest causes, best first; ties are broken by title and key, so equal evidence gives equal order.

    Greedy: after each choice, whoever explains only what is explained already loses points, so that of two faults at
    once the second cause is not crowded out by the victims of the first. A change after every symptom it could explain
    is no suspect. Who has no positive score before that is left out.
    """
    case = Case(evidence)
    if not case.onset:
        return []
    resources = set(case.onset).union(*(case.needs(resource) for resource in case.onset))
    entry = _entry(case)
    if entry is not None:
        resources.add(entry.resource)
    left = [_judge_resource(case, each, entry) for each in resources]
    left += [judged for change in evidence.changes if (judged := _judge_change(case, change)) is not None]
    return _greedy(case, [each for each in left if each.ranked.score > 0], limit)


def _greedy(case: Case, left: list[_Judged], limit: int) -> list[Ranked]:
    chosen: list[Ranked] = []
    covered: dict[UUID, str] = {}
    while left and len(chosen) < limit:
        weighed = [(_discounted(each, covered, len(case.onset)), each) for each in left]
        ranked, judged = min(weighed, key=lambda pair: _place_of(pair[0]))
        chosen.append(ranked)
        left = [each for _ranked, each in weighed if each is not judged]
        for resource in judged.explains:
            covered.setdefault(resource, ranked.title)
    return chosen


def _place_of(suspect: Ranked) -> tuple[float, str, str, str]:
    return (-suspect.score, suspect.kind, suspect.title, str(suspect.key))


def _discounted(judged: _Judged, covered: dict[UUID, str], failing: int) -> Ranked:
    """The suspect with what the ones above it explain already held against it.

    Who explains nothing at all is of no more use than who explains what is explained.
    """
    could, total = judged.explains or covered.keys(), len(judged.explains) or failing
    both = sorted(could & covered.keys(), key=str)
    if not both:
        return judged.ranked
    reason = _reason("already_explained", len(both) / total, count=len(both), total=total, name=covered[both[0]])
    ranked = judged.ranked
    return Ranked(ranked.key, ranked.kind, ranked.title, (*ranked.reasons, reason))


def _judge_resource(case: Case, resource: UUID, entry: Shifted | None) -> _Judged:
    if entry is not None and entry.resource == resource:
        reached = frozenset(other for other in case.onset if other == resource or other in case.needs(resource))
        reasons = [*_demand_reasons(case, entry, reached), *_shift_reasons(case, resource)]
        if resource not in case.onset or sum(each.weight for each in reasons) >= _total(case, resource):
            return _Judged(Ranked(resource, "resource", case.name(resource), tuple(reasons)), reached)
    explained = frozenset(_explained(case, resource))
    return _Judged(
        Ranked(resource, "resource", case.name(resource), tuple(_resource_reasons(case, resource))), explained
    )


def _total(case: Case, resource: UUID) -> float:
    return sum(each.weight for each in _resource_reasons(case, resource))


def _explained(case: Case, resource: UUID) -> list[UUID]:
    not_before = case.trouble[resource] - case.slack(resource) if resource in case.trouble else case.first
    return case.dependants(resource, min(not_before, case.onset.get(resource, not_before)))


def _reason(code: str, share: float = 1.0, *, facts: Any = None, **params: Value) -> Reason:
    return Reason(code, round(WEIGHTS[code] * share, 1), params, facts or {})


def _resource_reasons(case: Case, resource: UUID) -> Iterable[Reason]:
    failing, troubled = resource in case.onset, resource in case.trouble
    yield from _outage_reasons(case, resource)
    if failing:
        symptoms = sorted(
            case.symptoms.get(resource, ()), key=lambda s: (-WEIGHTS[MEASURE_WEIGHT[s.measure]], s.active_at, s.name)
        )
        if symptoms:
            yield _reason(MEASURE_WEIGHT[symptoms[0].measure], alert=symptoms[0].name)
    yield from _shift_reasons(case, resource)
    yield from _line_reasons(case, resource)
    if troubled:
        delay = case.delay_seconds(resource)
        share = 1.0 if delay <= ORDER_SLACK_SECONDS else math.exp(-(delay - ORDER_SLACK_SECONDS) / DECAY_ORDER_SECONDS)
        if not failing:
            share *= case.ill_share(resource)
        if share >= 0.1:
            yield _reason("went_wrong_first", share, seconds=max(0, round(delay)))
    explained = _explained(case, resource)
    yield _reason("explains", len(explained) / len(case.onset), count=len(explained), total=len(case.onset))
    if troubled:
        yield _blame(case, resource)
    else:
        yield _reason("not_failing")
    if not failing:
        hops = min(case.needs(other)[resource] for other in case.onset if resource in case.needs(other))
        if hops > 1 and not troubled:
            yield _reason("hop", hops - 1, hops=hops)


def _shift_reasons(case: Case, resource: UUID) -> list[Reason]:
    """The most telling shift of each kind, the three of them with the most points."""
    best: dict[str, Shifted] = {}
    for shift in case.shifts.get(resource, ()):  # the most telling first
        best.setdefault(shift.kind, shift)
    reasons = []
    for kind, shift in best.items():
        lead = round((case.first - shift.at).total_seconds())
        params: dict[str, Value] = {
            "what": shift.what, "before": shift.before, "after": shift.after, "unit": shift.unit,
            "direction": shift.direction, "lead": lead, "strength": round(shift.strength, 1),
        }  # fmt: skip
        facts = {**shift.facts, "at": shift.at.isoformat()}
        reasons.append(_reason(f"shift_{kind}", strength_share(shift), facts=facts, **params))
    reasons.sort(key=lambda reason: (-reason.weight, reason.code))
    return [reason for reason in reasons[:TELLING_SHIFTS] if reason.weight > 0]


def _line_reasons(case: Case, resource: UUID) -> list[Reason]:
    """New and multiplied kinds of log lines: for each code the one that came most often."""
    best: dict[str, Pattern] = {}
    for pattern in sorted(case.evidence.patterns, key=lambda each: (-each.count, each.template, each.level)):
        if pattern.resource != resource:
            continue
        bad = pattern.level in ERROR_LEVELS
        code = "new_error_lines" if bad and pattern.new else "more_error_lines" if bad else "new_lines"
        if bad or pattern.new:
            best.setdefault(code, pattern)
    if "new_error_lines" in best:  # one point of view of the same trouble
        best.pop("more_error_lines", None)
        best.pop("new_lines", None)
    return [
        _reason(
            code, facts={**each.facts, "at": each.at.isoformat()}, template=each.template, level=each.level,
            count=each.count, usual=round(each.before, 1),
        )
        for code, each in sorted(best.items())
    ]  # fmt: skip


def _entry(case: Case) -> Shifted | None:
    """Where demand came in, when there was more of it before the first symptom: no caller has steady traffic.

    Not when another part of the same service lost traffic or stopped: that is a failover, not demand.
    """
    latest = case.first + timedelta(seconds=ORDER_SLACK_SECONDS)
    traffic = {
        resource: max((each for each in shifts if each.kind == "traffic"), key=lambda each: each.strength, default=None)
        for resource, shifts in case.shifts.items()
    }
    risen = {
        resource: shift
        for resource, shift in traffic.items()
        if shift is not None and shift.direction > 0 and _times(shift) >= DEMAND_RATIO_LOW
    }
    steady = set(case.evidence.traffic_known) - risen.keys()
    found = []
    for resource, shift in risen.items():
        callers = [other for other in steady if resource in case.needs(other)]
        moved = any(
            other in case.outages or ((theirs := traffic.get(other)) is not None and theirs.direction < 0)
            for other in case.siblings(resource)
        )
        reached = [other for other in case.onset if other == resource or other in case.needs(resource)]
        slack = timedelta(seconds=shift.resolution_seconds)
        if not callers and not moved and reached and shift.at <= latest + slack:
            topmost = sum(1 for other in risen if resource in case.needs(other))
            found.append((topmost, -len(reached), shift.at, str(resource), shift))
    return min(found, key=lambda entry: entry[:4])[4] if found else None


def _times(shift: Shifted) -> float:
    return shift.after / shift.before if shift.before > 0 else math.inf


def _demand_reasons(case: Case, entry: Shifted, reached: frozenset[UUID]) -> list[Reason]:
    times = min(_times(entry), 99.0)
    share = min(1.0, (times - 1) / (DEMAND_RATIO_HIGH - 1))
    lead = max(0, round((case.first - entry.at).total_seconds()))
    facts = {**entry.facts, "at": entry.at.isoformat()}
    return [
        _reason(
            "demand_rose", share, facts=facts, times=round(times, 1), before=entry.before, after=entry.after,
            unit=entry.unit, lead=lead, what=entry.what,
        ),
        _reason("went_wrong_first", seconds=0),
        _reason("explains", len(reached) / len(case.onset), count=len(reached), total=len(case.onset)),
    ]  # fmt: skip


def _outage_reasons(case: Case, resource: UUID) -> Iterable[Reason]:
    outage = case.outages.get(resource)
    if outage is None:
        return
    if outage.from_start:
        yield _reason("down_for_long")
    elif is_blip(outage) and outage.until is not None:
        yield _reason("restarted", seconds=round((outage.until - outage.since).total_seconds()))
    else:
        yield _reason("target_down", at=outage.since.isoformat())


def _blame(case: Case, resource: UUID) -> Reason:
    culprit = case.culprit(resource)
    if culprit is None:
        share = 1.0 if resource in case.onset else math.sqrt(case.ill_share(resource))
        return _reason("needs_healthy", share, count=len(case.needs(resource)))
    return _reason("explained_by", case.blame_share(resource, culprit), name=case.name(culprit))


def _judge_change(case: Case, change: Change) -> _Judged | None:
    reasons, explained = _change_reasons(case, change)
    if not reasons:
        return None
    return _Judged(Ranked(change.ref, "event", change.title, tuple(reasons)), frozenset(explained))


def _change_reasons(case: Case, change: Change) -> tuple[list[Reason], set[UUID]]:
    """Reasons for a change, or none when every symptom it could explain came before it."""
    earliest = change.at - timedelta(seconds=CHANGE_SLACK_SECONDS)
    reached = {
        other
        for resource in change.resources
        for other in case.dependants(resource, datetime.min.replace(tzinfo=earliest.tzinfo))
    }
    explained = {other for other in reached if case.onset[other] >= earliest}
    anchor = min(case.onset[other] for other in explained or case.onset)
    if (reached and not explained) or anchor < earliest:
        return [], set()
    lead = max(0.0, (anchor - change.at).total_seconds())
    share = KIND_SHARE[change.kind]
    reasons = [
        _reason(KIND_WEIGHT[change.kind]),
        _reason("just_before", share * math.exp(-lead / DECAY_BEFORE_SECONDS), seconds=round(lead)),
        _place(case, change, explained),
    ]
    if change.version_changed:
        reasons.append(_reason("version_changed"))
    reasons += _only_some(case, change)
    if explained:
        reasons.append(
            _reason("explains", len(explained) / len(case.onset), count=len(explained), total=len(case.onset))
        )
    failing = sorted(change.resources & explained, key=lambda r: (case.onset[r], str(r)))
    if failing:
        reasons.append(_blame_outside(case, failing, change))
    elif explained:
        reasons.append(_reason("not_failing"))
    if explained and case.first < earliest:
        reasons.append(_reason("after_first_symptom", seconds=round((change.at - case.first).total_seconds())))
    earlier, bad = change.past
    if earlier:
        reasons.append(_reason("past_record", (bad + 1) / (earlier + 2), count=bad, total=earlier))
    return reasons, explained


def _only_some(case: Case, change: Change) -> list[Reason]:
    """A change of several processes of which only some are in trouble; nothing when no single one is known to be."""
    wholes = case.evidence.wholes
    changed = {part for part, of in wholes.items() if part in change.resources or set(of) & change.resources}
    troubled = {part for part in changed if part in case.trouble}
    if len(changed) < 2 or not troubled or troubled == changed:
        return []
    share = 1 - len(troubled) / len(changed)
    return [_reason("only_some_fail", share, count=len(troubled), total=len(changed))]


def _place(case: Case, change: Change, explained: set[UUID]) -> Reason:
    """Where the change stands to the failure: on it, under it, above it, or nowhere near."""
    failing = sorted(change.resources & explained, key=lambda r: (case.onset[r], str(r)))
    if failing:
        first = case.delay_seconds(failing[0]) <= ORDER_SLACK_SECONDS
        share = KIND_SHARE[change.kind]
        return _reason("on_first_failing" if first else "on_failing", share, name=case.name(failing[0]))
    if explained:
        hops, name = min(
            (case.needs(other)[resource], case.name(other))
            for other in explained
            for resource in change.resources
            if resource in case.needs(other)
        )
        return _reason("on_needed", 1 / hops, name=name, hops=hops)
    below = [other for resource in change.resources for other in case.needs(resource) if other in case.onset]
    if below:
        return _reason("on_caller", name=min(case.name(other) for other in below))
    return _reason("unrelated")


def _blame_outside(case: Case, failing: Sequence[UUID], change: Change) -> Reason:
    """Whether a resource in trouble outside the change explains what fails inside it."""
    for resource in failing:
        culprit = case.culprit(resource, outside=change.resources)
        if culprit is not None:
            return _reason("explained_by", case.blame_share(resource, culprit), name=case.name(culprit))
    return _reason("needs_healthy", count=len(set().union(*(case.needs(r) for r in failing)) - change.resources))
