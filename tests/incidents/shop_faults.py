"""Faults of a shop of services with two processes each, as alerts and metric shifts show them; the cause is known."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from tests.incidents.corpus import START
from tongchou.incidents import topology
from tongchou.incidents.suspects import Evidence, Measure, Shifted, ShiftKind, Symptom
from tongchou.inventory.graph import Edge, Graph, Node

CALLS = {
    "customers": ("load-balancer",), "load-balancer": ("storefront",), "storefront": ("catalogue", "orders"),
    "catalogue": ("cache", "database"), "orders": ("payments", "database"),
}  # fmt: skip
PROCESSES = {
    "customers": 1, "load-balancer": 1, "storefront": 2, "catalogue": 1, "orders": 2, "payments": 2, "cache": 1,
    "database": 2,
}  # fmt: skip
UNITS: dict[ShiftKind, str] = {
    "errors": "ratio", "latency": "seconds", "cpu": "cores", "memory": "bytes", "disk": "ratio", "queue": "count",
    "traffic": "per_second", "other": "count",
}  # fmt: skip


def identity(name: str) -> UUID:
    """The resource of a name."""
    return uuid5(NAMESPACE_URL, f"shop:{name}")


def parts(service: str) -> list[str]:
    """The processes of a service."""
    return [f"{service}-{number + 1}" for number in range(PROCESSES[service])]


NAMES = {identity(name): name for service in PROCESSES for name in (service, *parts(service))} | {
    identity("host-1"): "host-1"
}
GRAPH = Graph(
    [Node(each, "service" if name in PROCESSES else "instance", name) for each, name in NAMES.items()],
    [
        *(Edge(identity(part), identity(s), "part_of") for s in PROCESSES for part in parts(s)),
        *(Edge(identity(part), identity("host-1"), "runs_on") for s in PROCESSES for part in parts(s)),
        *(
            Edge(identity(part), identity(to), "calls")
            for s, callees in CALLS.items()
            for part in parts(s)
            for to in callees
        ),
        Edge(identity("database-1"), identity("database-2"), "replicates_to"),
    ],
)
NEEDS = topology.needs(GRAPH, NAMES)
COUNTED = [identity(part) for service in PROCESSES for part in parts(service)]
WHOLES = topology.wholes(GRAPH, list(NAMES))


@dataclass
class Seen:
    """What is seen of a fault, and its cause: any of `causes` counts as found."""

    symptoms: list[Symptom]
    shifts: list[Shifted]
    causes: frozenset[str]


def alert(name: str, at: float, measure: Measure) -> list[Symptom]:
    """An alert of a process is about it and its service."""
    about = [name, name.rpartition("-")[0]] if name.rpartition("-")[0] in PROCESSES else [name]
    return [Symptom(identity(each), f"{measure} of {name}", START + timedelta(seconds=at), measure) for each in about]


def shift(
    rng: random.Random, name: str, kind: ShiftKind, at: float, strength: float, times: float = 10.0, direction: int = 1
) -> Shifted:
    """A shift at about the time, of about the strength."""
    before = rng.uniform(1, 10)
    return Shifted(
        identity(name), kind, f"{kind} of {name}", START + timedelta(seconds=at + rng.uniform(-3, 3)), direction,
        before, before * times, UNITS[kind], strength * rng.uniform(0.5, 2), rng.uniform(0.7, 1), 1.0,
    )  # fmt: skip


def noise(rng: random.Random) -> list[Shifted]:
    """Weak shifts of anything, some of them long before."""
    kinds: tuple[ShiftKind, ...] = ("cpu", "queue", "other", "latency", "memory")
    names = [part for service in PROCESSES for part in parts(service)]
    return [
        shift(rng, rng.choice(names), rng.choice(kinds), rng.uniform(-500, 60), rng.uniform(3, 8))
        for _each in range(rng.randint(0, 8))
    ]


def slow_dependency(rng: random.Random) -> Seen:
    """One of two payments processes takes seconds; orders give up waiting, everything above errs."""
    slow = rng.choice(parts("payments"))
    shifts = [shift(rng, slow, "latency", 0, 300), shift(rng, slow, "queue", 1, 20)]
    symptoms = alert("payments", rng.uniform(15, 30), "latency")
    for delay, service in enumerate(("orders", "storefront", "load-balancer", "customers"), start=1):
        for part in parts(service):
            shifts += [shift(rng, part, "latency", 2 * delay, 150), shift(rng, part, "errors", 2 * delay, 60)]
        symptoms += alert(service, 2 * delay + rng.uniform(0, 20), "errors")
    return Seen(symptoms, shifts, frozenset({slow}))


def memory_leak(rng: random.Random) -> Seen:
    """A process grows; nobody else notices yet."""
    leaking = rng.choice(parts("storefront") + parts("catalogue"))
    at = rng.uniform(-90, -20)
    shifts = [shift(rng, leaking, "memory", at, 80), shift(rng, leaking, "cpu", at + 10, 6)]
    return Seen(alert(leaking, rng.uniform(0, 5), "saturation"), shifts, frozenset({leaking}))


def disk_fill(rng: random.Random) -> Seen:
    """The spool of an orders process fills; then its orders fail, and the callers see it."""
    full = rng.choice(parts("orders"))
    shifts = [shift(rng, full, "disk", rng.uniform(-60, -20), 60), shift(rng, full, "errors", 0, 200)]
    symptoms = alert(full, rng.uniform(-10, 5), "saturation") + alert("orders", rng.uniform(5, 20), "errors")
    for delay, service in enumerate(("storefront", "load-balancer", "customers"), start=1):
        shifts += [shift(rng, part, "errors", 2 * delay, 100) for part in parts(service)]
        symptoms += alert(service, 2 * delay + rng.uniform(2, 20), "errors")
    return Seen(symptoms, shifts, frozenset({full}))


def traffic_surge(rng: random.Random) -> Seen:
    """Four times the customers: all get more requests, the storefront is the first to be full."""
    shifts = []
    for service in ("customers", "load-balancer", "storefront", "catalogue", "orders", "payments", "cache", "database"):
        for part in parts(service):
            shifts += [
                shift(rng, part, "traffic", rng.uniform(-12, -6), 60, rng.uniform(2.5, 4)),
                shift(rng, part, "cpu", -6, 20),
            ]
    for part in parts("storefront"):
        shifts += [
            shift(rng, part, "queue", 0, 200),
            shift(rng, part, "latency", 0, 150),
            shift(rng, part, "errors", 3, 90),
        ]
    symptoms = [each for part in parts("storefront") for each in alert(part, rng.uniform(0, 4), "saturation")]
    for delay, service in enumerate(("storefront", "load-balancer", "customers"), start=1):
        symptoms += alert(service, 3 * delay + rng.uniform(0, 15), "errors")
    return Seen(symptoms, shifts, frozenset({"customers-1", "load-balancer-1"}))


FAULTS: dict[str, Callable[[random.Random], Seen]] = {
    "slow dependency": slow_dependency,
    "memory leak": memory_leak,
    "disk fill": disk_fill,
    "traffic surge": traffic_surge,
}


def evidence(rng: random.Random, *seen: Seen) -> Evidence:
    """The evidence of one or more faults at once, with noise."""
    symptoms = [each for fault in seen for each in fault.symptoms]
    shifts = [each for fault in seen for each in fault.shifts] + noise(rng)
    return Evidence(symptoms, needs=NEEDS, names=NAMES, shifts=shifts, wholes=WHOLES, traffic_known=COUNTED)
