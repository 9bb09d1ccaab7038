"""The evidence of one incident, indexed: when each resource went wrong, who needs whom, who explains what. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from tongchou.incidents.suspects import (
    BLIP_SECONDS,
    DETECTION_SLACK_SECONDS,
    HURTING,
    ILL_FROM,
    LEAST_FRESH,
    LEAST_STEADY,
    NEARLY_AS_TELLING,
    ORDER_SLACK_SECONDS,
    STRENGTH_HIGH,
    STRENGTH_LOW,
    Evidence,
    Outage,
    Shifted,
    Symptom,
)


def is_blip(outage: Outage) -> bool:
    """Tell whether a gap of `up` was so short that it was a restart."""
    return outage.until is not None and (outage.until - outage.since).total_seconds() < BLIP_SECONDS


def _severity(outage: Outage) -> tuple[bool, bool, float]:
    return (not outage.from_start, not is_blip(outage), -outage.since.timestamp())


def strength_share(shift: Shifted) -> float:
    """Return how telling a shift is, 0 to 1: the logarithm of its strength, less when it came and went or is old."""
    if shift.strength <= STRENGTH_LOW:
        return 0.0
    size = math.log(shift.strength / STRENGTH_LOW) / math.log(STRENGTH_HIGH / STRENGTH_LOW)
    steady = LEAST_STEADY + (1 - LEAST_STEADY) * shift.persistence
    return min(1.0, size) * steady * (LEAST_FRESH + (1 - LEAST_FRESH) * shift.fresh)


class Case:
    """The evidence, indexed.

    `onset` are the failing resources: an alert is about them, or they stopped answering. `ill` are resources with a
    hurting metric shift, alert or not. `trouble` is the earlier of both.
    """

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
        self.seen_directly = {r for r, outage in self.outages.items() if not outage.from_start and not is_blip(outage)}
        for resource in self.seen_directly:
            self._went_wrong(resource, self.outages[resource].since)
        self._index_shifts()

    def _index_shifts(self) -> None:
        self.shifts: dict[UUID, list[Shifted]] = {}
        self.ill: dict[UUID, Shifted] = {}  # the most telling hurting shift of each
        self.trouble = dict(self.onset)
        for shift in sorted(self.evidence.shifts, key=_order):
            self.shifts.setdefault(shift.resource, []).append(shift)
        for resource, shifts in self.shifts.items():
            hurting = [each for each in shifts if each.kind in HURTING and strength_share(each) >= ILL_FROM]
            if not hurting:
                continue
            worst = hurting[0]
            self.ill[resource] = worst
            # of several that tell nearly as much, the earliest: what came first is its own, the rest may follow
            near = NEARLY_AS_TELLING * strength_share(worst)
            began = min(each.at for each in hurting if strength_share(each) >= near)
            self.trouble[resource] = min(began, self.trouble.get(resource, began))

    @property
    def first(self) -> datetime:
        """When the first resource failed."""
        return min(self.onset.values())

    def slack(self, resource: UUID) -> timedelta:
        """By how much the true onset of a resource may be earlier than the one we know."""
        if resource in self.seen_directly:
            return timedelta(seconds=ORDER_SLACK_SECONDS)
        resolution = self.ill[resource].resolution_seconds if resource in self.ill else 0.0
        return timedelta(seconds=max(DETECTION_SLACK_SECONDS, resolution))

    def _went_wrong(self, resource: UUID, at: datetime) -> None:
        self.onset[resource] = min(at, self.onset.get(resource, at))

    def needs(self, resource: UUID) -> Mapping[UUID, int]:
        """What a resource depends on, with the number of steps."""
        return self.evidence.needs.get(resource, {})

    def name(self, resource: UUID) -> str:
        """The name people know a resource by."""
        return self.evidence.names.get(resource, str(resource))

    def delay_seconds(self, resource: UUID) -> float:
        """Seconds from the first failure of the incident to the trouble of this resource; 0 when it came before."""
        resolution = self.ill[resource].resolution_seconds if resource in self.ill else 0.0
        delay = (self.trouble[resource] - self.first).total_seconds()
        return delay if delay <= ORDER_SLACK_SECONDS else max(0.0, delay - resolution)

    def dependants(self, resource: UUID, not_before: datetime) -> list[UUID]:
        """The failing resources that need this one, or are it, and whose trouble began no earlier than that time."""
        return [
            other
            for other in self.onset
            if other == resource or (self.trouble[other] >= not_before and resource in self.needs(other))
        ]

    def culprit(self, resource: UUID, *, outside: Collection[UUID] = ()) -> UUID | None:
        """The resource in trouble that this one needs, that was no later, and that excuses it most; then the nearest.

        Circles excuse nobody. `outside`: not one of these, nor a part of one.
        """
        found = [
            (-self.blame_share(resource, other), hops, self.trouble[other], str(other), other)
            for other, hops in self.needs(resource).items()
            if other in self.trouble
            and self.trouble[other] <= self.trouble[resource] + self.slack(other)
            and resource not in self.needs(other)
            and other not in outside
            and not set(self.evidence.wholes.get(other, ())) & set(outside)
        ]
        return min(found)[4] if found else None

    def ill_share(self, resource: UUID) -> float:
        """How telling the worst hurting shift of a resource is, 0 when it has none."""
        return strength_share(self.ill[resource]) if resource in self.ill else 0.0

    def blame_share(self, resource: UUID, culprit: UUID) -> float:
        """How far a culprit excuses a victim: all when it fails itself, less when it is less ill than the victim."""
        if culprit in self.onset:
            return 1.0
        if resource not in self.ill:
            return min(1.0, 2 * self.ill_share(culprit))
        return min(1.0, self.ill[culprit].strength / max(self.ill[resource].strength, 1e-9))

    def siblings(self, resource: UUID) -> set[UUID]:
        """The other parts of what this is a part of."""
        wholes = set(self.evidence.wholes.get(resource, ()))
        return {other for other, of in self.evidence.wholes.items() if other != resource and wholes & set(of)}


def _order(shift: Shifted) -> tuple[float, str, str, datetime]:
    return (-strength_share(shift), shift.kind, shift.what, shift.at)
