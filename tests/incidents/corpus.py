"""Synthetic incidents with a known cause, over varied layered topologies, for measuring the ranking."""

import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tongchou.incidents.suspects import Change, Evidence, Measure, Outage, Symptom

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@dataclass
class World:
    """Services in layers (callers above), each with instances on hosts; `needs` is filled transitively."""

    direct: dict[UUID, set[UUID]] = field(default_factory=dict)
    names: dict[UUID, str] = field(default_factory=dict)
    instances: dict[UUID, list[UUID]] = field(default_factory=dict)
    hosts: list[UUID] = field(default_factory=list)

    def add(self, rng: random.Random, name: str) -> UUID:
        """A resource without edges."""
        identity = UUID(int=rng.getrandbits(128), version=4)
        self.direct[identity] = set()
        self.names[identity] = name
        return identity

    def needs(self) -> dict[UUID, dict[UUID, int]]:
        """Hops from each resource to all that it depends on, breadth first."""
        found = {}
        for start in self.direct:
            seen: dict[UUID, int] = {start: 0}
            queue = [start]
            for node in queue:
                for other in sorted(self.direct[node], key=str):
                    if other not in seen:
                        seen[other] = seen[node] + 1
                        queue.append(other)
            found[start] = {other: hops for other, hops in seen.items() if other != start}
        return found


def world(rng: random.Random) -> World:
    """2-5 layers of 1-4 services; every service calls one or more of the next layers; 1-3 instances; 1-4 hosts."""
    made = World()
    made.hosts = [made.add(rng, f"host-{i}") for i in range(rng.randint(1, 4))]
    layers: list[list[UUID]] = []
    for depth in range(rng.randint(2, 5)):
        layer = []
        for position in range(rng.randint(1, 4)):
            service = made.add(rng, f"service-{depth}-{position}")
            made.instances[service] = []
            for copy in range(rng.randint(1, 3)):
                instance = made.add(rng, f"service-{depth}-{position}-{copy}")
                made.direct[instance].add(rng.choice(made.hosts))
                made.direct[service].add(instance)
                made.instances[service].append(instance)
            layer.append(service)
        layers.append(layer)
    for upper, lower in itertools.pairwise(layers):
        for service in lower:
            _call(made, rng.choice(upper), service)
        for service in upper:
            if rng.random() < 0.4:
                _call(made, service, rng.choice(lower))
    return made


def _call(made: World, caller: UUID, callee: UUID) -> None:
    """A call: the caller and each of its instances need the callee."""
    for each in (caller, *made.instances[caller]):
        made.direct[each].add(callee)


@dataclass
class Incident:
    """Evidence and the truth about it: any of `causes` counts as found."""

    evidence: Evidence
    causes: frozenset[UUID | str]


def _victims(rng: random.Random, made: World, cause: UUID, onset: datetime, measure: Measure) -> list[Symptom]:
    """Alerts of the cause's dependants: later and rarer with distance, often several per victim."""
    symptoms = []
    needs = made.needs()
    for service, instances in made.instances.items():
        hops = needs[service].get(cause)
        if hops is None or (hops > 1 and rng.random() < 0.15 * hops):
            continue
        at = onset + timedelta(seconds=rng.uniform(2, 12) * hops)
        symptoms.append(Symptom(service, "HighErrors", at, measure))
        if rng.random() < 0.6:
            symptoms.append(Symptom(service, "SlowAnswers", at + timedelta(seconds=rng.uniform(0, 20)), "latency"))
        for instance in instances:
            if instance != cause and rng.random() < 0.5 and cause in needs[instance]:
                symptoms.append(Symptom(instance, "HighErrors", at + timedelta(seconds=rng.uniform(0, 4)), measure))
    return symptoms


def _noise(rng: random.Random, made: World, spare: set[UUID], *, services: list[UUID]) -> list[Change]:
    """Deployments that are not the cause: before, and some after the onset (roll-backs, later releases)."""
    changes = []
    for number in range(rng.randint(0, 5)):
        service = rng.choice(services)
        if service in spare:
            continue
        at = START + timedelta(seconds=rng.choice((rng.uniform(-3000, 400), rng.uniform(-240, 60))))
        changes.append(_deployment(made, service, at, f"noise-{number}"))
    return changes


def _detection(rng: random.Random) -> float:
    """Seconds by which the alert of a cause lags: one in four is slower than the first alerts of its victims."""
    return rng.uniform(5, 25) if rng.random() < 0.25 else rng.uniform(0, 3)


def _deployment(made: World, service: UUID, at: datetime, ref: str) -> Change:
    resources = frozenset({service, *made.instances[service]})
    return Change(ref, f"{made.names[service]} 1 → 2", "deployment", at, resources, version_changed=True)


def instance_killed(seed: int) -> Incident:
    """An instance dies; its callers err; unrelated releases around it."""
    rng = random.Random(seed)
    made = world(rng)
    service = rng.choice(sorted(made.instances, key=str))
    cause = rng.choice(made.instances[service])
    symptoms = [Symptom(cause, "InstanceDown", START + timedelta(seconds=rng.uniform(0, 3)), "down")]
    symptoms += _victims(rng, made, cause, START, "errors")
    changes = _noise(rng, made, {service}, services=sorted(made.instances, key=str))
    evidence = Evidence(symptoms, [Outage(cause, START)], changes, made.needs(), made.names)
    return Incident(evidence, frozenset({cause}))


def bad_release(seed: int) -> Incident:
    """A release makes a service err a little later; its instances restart; unrelated releases around it."""
    rng = random.Random(seed)
    made = world(rng)
    service = rng.choice(sorted(made.instances, key=str))
    released = _deployment(made, service, START - timedelta(seconds=rng.uniform(3, 240)), "cause")
    noticed = START + timedelta(seconds=_detection(rng))
    symptoms = [Symptom(service, "HighErrors", noticed, "errors")]
    symptoms += [
        Symptom(i, "HighErrors", noticed + timedelta(seconds=rng.uniform(0, 5)), "errors")
        for i in made.instances[service]
    ]
    symptoms += _victims(rng, made, service, START, "errors")
    changes = [released, *_noise(rng, made, {service}, services=sorted(made.instances, key=str))]
    gaps = [
        Outage(i, released.at, released.at + timedelta(seconds=3))
        for i in made.instances[service]
        if rng.random() < 0.5
    ]
    return Incident(Evidence(symptoms, gaps, changes, made.needs(), made.names), frozenset({"cause"}))


def host_lost(seed: int) -> Incident:
    """A host goes: its instances stop answering, their callers err."""
    rng = random.Random(seed)
    made = world(rng)
    host = rng.choice(sorted({h for i in made.direct for h in made.direct[i] if h in made.hosts}, key=str))
    lost = [i for group in made.instances.values() for i in group if host in made.direct[i]]
    symptoms = [Symptom(host, "HostDown", START + timedelta(seconds=rng.uniform(0, 3)), "down")]
    for instance in lost:
        symptoms.append(Symptom(instance, "InstanceDown", START + timedelta(seconds=rng.uniform(0, 3)), "down"))
    needs = made.needs()
    for service in made.instances:
        hops = min((needs[service][i] for i in lost if i in needs[service]), default=None)
        if hops is not None:
            symptoms.append(
                Symptom(service, "HighErrors", START + timedelta(seconds=rng.uniform(2, 10) * hops), "errors")
            )
    outages = [Outage(i, START + timedelta(seconds=rng.uniform(0, 3))) for i in (host, *lost)]
    changes = _noise(rng, made, set(), services=sorted(made.instances, key=str))
    changes = [c for c in changes if not c.resources & set(lost)]
    return Incident(Evidence(symptoms, outages, changes, made.needs(), made.names), frozenset({host}))


def slow_dependency(seed: int) -> Incident:
    """A service turns slow without any change; its callers turn slow, then err."""
    rng = random.Random(seed)
    made = world(rng)
    service = rng.choice(sorted(made.instances, key=str))
    symptoms = [Symptom(service, "SlowAnswers", START + timedelta(seconds=_detection(rng)), "latency")]
    symptoms += _victims(rng, made, service, START, "errors")
    changes = _noise(rng, made, {service}, services=sorted(made.instances, key=str))
    return Incident(Evidence(symptoms, (), changes, made.needs(), made.names), frozenset({service}))


KINDS = {
    "instance killed": instance_killed,
    "bad release": bad_release,
    "host lost": host_lost,
    "slow dependency": slow_dependency,
}


def latest_change(evidence: Evidence) -> list[UUID | str]:
    """Baseline: the changes before the first symptom, latest first."""
    first = min(symptom.active_at for symptom in evidence.symptoms)
    return [change.ref for change in sorted(evidence.changes, key=lambda c: c.at, reverse=True) if change.at <= first]


def most_alerts(evidence: Evidence) -> list[UUID | str]:
    """Baseline: the resources with the largest number of alerts."""
    counts: dict[UUID, int] = {}
    for symptom in evidence.symptoms:
        counts[symptom.resource] = counts.get(symptom.resource, 0) + 1
    return sorted(counts, key=lambda r: (-counts[r], str(r)))
