"""Ranks resources and change events as causes of one incident, with every point explained.

Pure: no database, no clock. The score of a suspect is the sum of the points of its printed reasons, so whoever doubts
the order can add it up. The idea is the engineer's own first questions, in numbers: what went wrong first, what do the
failing things have in common, is what they need healthy, and what changed just before.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

Measure = Literal["down", "errors", "latency", "saturation", "other"]
ChangeKind = Literal["deployment", "config", "run", "other"]
Value = str | int | float

# The one place where weights live. Points are comparable across resources and events: the strongest single proof
# (a target that stopped answering, a change seconds before) is worth 30, circumstantial facts 3 to 15.
WEIGHTS: dict[str, float] = {
    "target_down": 30.0,  # `up` went to 0: direct evidence, nothing else needs to be believed
    "restarted": 6.0,  # a gap of `up` that ended by itself: a restart is a trace of something, rarely the thing
    "down_for_long": 3.0,  # it was down before the incident: known, and so far without these symptoms
    "saturated": 10.0,  # a full disk or pool starves others, it is seldom caused by them
    "own_errors": 8.0,  # errors are nearer the cause than slowness ...
    "own_latency": 5.0,  # ... because slowness travels up through every waiting caller
    "own_alert": 4.0,  # some alert about it, of a kind we cannot read
    "went_wrong_first": 25.0,  # causes come before effects; fades with the delay after the first symptom
    "explains": 20.0,  # times the share of failing resources that need it: one cause for all beats many
    "needs_healthy": 15.0,  # it fails although all it needs is well: the chain of blame ends here
    "explained_by": -25.0,  # something it needs failed no later: it is rather a victim
    "not_failing": -12.0,  # shared by the victims, but nothing is known to be wrong with it
    "hop": -2.0,  # each step beyond the first between it and the nearest failing resource
    "deployment": 20.0,  # most incidents follow a release
    "config_change": 14.0,  # settings come next
    "run": 12.0,  # an automation touched it
    "other_change": 6.0,  # a recorded alteration of any other kind
    "version_changed": 5.0,  # new code, not the same version once more
    "just_before": 30.0,  # fades with the time between the change and the first symptom it could explain
    "on_first_failing": 25.0,  # what was changed is what failed first
    "on_failing": 15.0,  # what was changed fails, though not first
    "on_needed": 8.0,  # a failing resource needs what was changed
    "on_caller": 2.0,  # what was changed only calls what fails: new load is possible, not likely
    "unrelated": -45.0,  # no path of dependencies between the change and any failing resource
    "after_first_symptom": -30.0,  # it can at best explain a later part of the incident
    "past_record": 10.0,  # times the smoothed share of earlier changes of this kind here that ended as a top suspect
}
DECAY_BEFORE_SECONDS = 600.0  # a change ten minutes before has 1/e of the points of one at the moment itself
DECAY_ORDER_SECONDS = 60.0  # a symptom a minute after the first has 1/e of the points of the first
ORDER_SLACK_SECONDS = 5.0  # scrapes are not simultaneous: closer onsets count as equal
DETECTION_SLACK_SECONDS = (
    30.0  # an alert on a rate notices the cause up to so much later than the alert of a victim does
)
CHANGE_SLACK_SECONDS = 5.0  # clocks of senders differ; beyond this a later change is no cause
BLIP_SECONDS = 15.0  # a shorter gap of `up` that ended is a restart
KIND_WEIGHT: dict[ChangeKind, str] = {
    "deployment": "deployment", "config": "config_change", "run": "run", "other": "other_change",
}  # fmt: skip
# How much being close, in time and place, says of a change of a kind: a release is news, an attribute that a source
# reports anew may change every minute.
KIND_SHARE: dict[ChangeKind, float] = {"deployment": 1.0, "config": 0.8, "run": 0.8, "other": 0.5}
MEASURE_WEIGHT: dict[Measure, str] = {
    "saturation": "saturated",
    "errors": "own_errors",
    "latency": "own_latency",
    "other": "own_alert",
    "down": "own_alert",  # `up` itself says it better: see target_down
}


@dataclass(frozen=True, slots=True)
class Symptom:
    """One alert about one resource; `active_at` is when its expression first held (before any `for`)."""

    resource: UUID
    name: str
    active_at: datetime
    measure: Measure = "other"


@dataclass(frozen=True, slots=True)
class Outage:
    """A gap of `up` of one resource; `until` None: it still does not answer; `from_start`: its beginning is unknown."""

    resource: UUID
    since: datetime
    until: datetime | None = None
    from_start: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A ledger event of a change kind. `past` = (earlier ones of this kind here, how many ended as a top suspect)."""

    ref: str
    title: str
    kind: ChangeKind
    at: datetime
    resources: frozenset[UUID]
    version_changed: bool = False
    past: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about an incident. `needs[a][b]` = hops from a to b, which a depends on."""

    symptoms: Sequence[Symptom]
    outages: Sequence[Outage] = ()
    changes: Sequence[Change] = ()
    needs: Mapping[UUID, Mapping[UUID, int]] = field(default_factory=dict)
    names: Mapping[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why points were given or taken: a code of `WEIGHTS`, the facts it is about, the points."""

    code: str
    weight: float
    params: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Ranked:
    """One suspect. `key` is a resource's UUID, or an event's ref."""

    key: UUID | str
    kind: Literal["resource", "event"]
    title: str
    reasons: tuple[Reason, ...]

    @property
    def score(self) -> float:
        """The sum of the points of the reasons, to one decimal."""
        return round(sum(reason.weight for reason in self.reasons), 1)


def rank(evidence: Evidence, *, limit: int = 10) -> list[Ranked]:
    """The likeliest causes, best first; ties are broken by title and key, so equal evidence gives equal order.

    A change after every symptom it could explain is no suspect. Suspects without a positive score are left out.
    """
    case = _Case(evidence)
    if not case.onset:
        return []
    resources = set(case.onset).union(*(case.needs(resource) for resource in case.onset))
    found = [Ranked(r, "resource", case.name(r), tuple(_resource_reasons(case, r))) for r in resources]
    judged = [(change, _change_reasons(case, change)) for change in evidence.changes]
    found += [Ranked(change.ref, "event", change.title, tuple(reasons)) for change, reasons in judged if reasons]
    found = [suspect for suspect in found if suspect.score > 0]
    found.sort(key=lambda suspect: (-suspect.score, suspect.kind, suspect.title, str(suspect.key)))
    return found[:limit]


class _Case:
    """The evidence, indexed: when each failing resource went wrong, and who needs whom."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.symptoms: dict[UUID, list[Symptom]] = {}
        self.outages: dict[UUID, Outage] = {}
        self.onset: dict[UUID, datetime] = {}
        for symptom in evidence.symptoms:
            self.symptoms.setdefault(symptom.resource, []).append(symptom)
            self._went_wrong(symptom.resource, symptom.active_at)
        alerted = set(self.onset)
        relevant = alerted.union(*(self.needs(resource) for resource in alerted))
        for outage in evidence.outages:
            if outage.resource not in relevant:
                continue
            known = self.outages.get(outage.resource)
            if known is None or _severity(outage) > _severity(known):
                self.outages[outage.resource] = outage
        self.seen_directly = {r for r, outage in self.outages.items() if not outage.from_start and not _blip(outage)}
        for resource in self.seen_directly:
            self._went_wrong(resource, self.outages[resource].since)

    @property
    def first(self) -> datetime:
        """When the first resource went wrong."""
        return min(self.onset.values())

    def slack(self, resource: UUID) -> timedelta:
        """By how much the true onset of a resource may be earlier than the one we know."""
        return timedelta(seconds=ORDER_SLACK_SECONDS if resource in self.seen_directly else DETECTION_SLACK_SECONDS)

    def _went_wrong(self, resource: UUID, at: datetime) -> None:
        self.onset[resource] = min(at, self.onset.get(resource, at))

    def needs(self, resource: UUID) -> Mapping[UUID, int]:
        return self.evidence.needs.get(resource, {})

    def name(self, resource: UUID) -> str:
        return self.evidence.names.get(resource, str(resource))

    def delay_seconds(self, resource: UUID) -> float:
        """Seconds between the first symptom of the incident and the first of this failing resource."""
        return (self.onset[resource] - self.first).total_seconds()

    def dependants(self, resource: UUID, not_before: datetime) -> list[UUID]:
        """The failing resources that need this one, or are it, and went wrong no earlier than the given time."""
        return [
            other
            for other, at in self.onset.items()
            if at >= not_before and (other == resource or resource in self.needs(other))
        ]

    def culprit(self, resource: UUID) -> UUID | None:
        """The nearest failing resource that this failing one needs and that failed no later; circles excuse nobody."""
        found = [
            (hops, self.onset[other], str(other), other)
            for other, hops in self.needs(resource).items()
            if other in self.onset
            and self.onset[other] <= self.onset[resource] + self.slack(other)
            and resource not in self.needs(other)
        ]
        return min(found)[3] if found else None


def _blip(outage: Outage) -> bool:
    return outage.until is not None and (outage.until - outage.since).total_seconds() < BLIP_SECONDS


def _severity(outage: Outage) -> tuple[bool, bool, float]:
    return (not outage.from_start, not _blip(outage), -outage.since.timestamp())


def _reason(code: str, share: float = 1.0, **params: Value) -> Reason:
    return Reason(code, round(WEIGHTS[code] * share, 1), params)


def _resource_reasons(case: _Case, resource: UUID) -> Iterable[Reason]:
    failing = resource in case.onset
    yield from _outage_reasons(case, resource)
    if failing:
        symptoms = sorted(
            case.symptoms.get(resource, ()), key=lambda s: (-WEIGHTS[MEASURE_WEIGHT[s.measure]], s.active_at, s.name)
        )
        if symptoms:
            yield _reason(MEASURE_WEIGHT[symptoms[0].measure], alert=symptoms[0].name)
        delay = case.delay_seconds(resource)
        share = 1.0 if delay <= ORDER_SLACK_SECONDS else math.exp(-(delay - ORDER_SLACK_SECONDS) / DECAY_ORDER_SECONDS)
        if share >= 0.1:
            yield _reason("went_wrong_first", share, seconds=round(delay))
    not_before = case.onset[resource] - case.slack(resource) if failing else case.first
    explained = case.dependants(resource, not_before)
    yield _reason("explains", len(explained) / len(case.onset), count=len(explained), total=len(case.onset))
    if failing:
        yield _blame(case, resource)
    else:
        yield _reason("not_failing")
        hops = min(case.needs(other)[resource] for other in case.onset if resource in case.needs(other))
        if hops > 1:
            yield _reason("hop", hops - 1, hops=hops)


def _outage_reasons(case: _Case, resource: UUID) -> Iterable[Reason]:
    outage = case.outages.get(resource)
    if outage is None:
        return
    if outage.from_start:
        yield _reason("down_for_long")
    elif _blip(outage) and outage.until is not None:
        yield _reason("restarted", seconds=round((outage.until - outage.since).total_seconds()))
    else:
        yield _reason("target_down", at=outage.since.isoformat())


def _blame(case: _Case, resource: UUID) -> Reason:
    culprit = case.culprit(resource)
    if culprit is None:
        return _reason("needs_healthy", count=len(case.needs(resource)))
    return _reason("explained_by", name=case.name(culprit))


def _change_reasons(case: _Case, change: Change) -> list[Reason]:
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
        return []
    lead = max(0.0, (anchor - change.at).total_seconds())
    share = KIND_SHARE[change.kind]
    reasons = [
        _reason(KIND_WEIGHT[change.kind]),
        _reason("just_before", share * math.exp(-lead / DECAY_BEFORE_SECONDS), seconds=round(lead)),
        _place(case, change, explained),
    ]
    if change.version_changed:
        reasons.append(_reason("version_changed"))
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
    return reasons


def _place(case: _Case, change: Change, explained: set[UUID]) -> Reason:
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


def _blame_outside(case: _Case, failing: Sequence[UUID], change: Change) -> Reason:
    """Whether a failing resource outside the change explains what fails inside it."""
    for resource in failing:
        culprit = case.culprit(resource)
        if culprit is not None and culprit not in change.resources:
            return _reason("explained_by", name=case.name(culprit))
    return _reason("needs_healthy", count=len(set().union(*(case.needs(r) for r in failing)) - change.resources))
