"""What a structure of parts is available, out of what its parts are. Pure.

Formulas: the serial, parallel, k-of-n, common cause (beta factor) and active/standby models of reliability engineering,
as IEC 61508-6 and the field's handbooks write them. Everything is computed as unavailability (1 - A), so that small
numbers stay exact. A part that is named in several places is one part: what it does there is not independent, so the
structure is worked out once with it up and once with it down (total probability).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

MINUTES_PER_YEAR = 525_600
HOURS_PER_YEAR = 8_760
MAX_PARTS, MAX_DEPTH, MAX_COPIES = 60, 12, 100
MAX_SHARED = 6  # parts in several places; the work doubles with each

SourceKind = Literal["measured", "vendor", "assumption", "unknown"]


def of_times(mtbf_hours: float, mttr_hours: float) -> float:
    """A = MTBF / (MTBF + MTTR)."""
    return mtbf_hours / (mtbf_hours + mttr_hours)


def serial(unavailable: Sequence[float]) -> float:
    """All are needed: A = prod(A_i). Takes and returns unavailabilities."""
    if any(each >= 1 for each in unavailable):
        return 1.0
    return -math.expm1(sum(math.log1p(-each) for each in unavailable))


def parallel(unavailable: Sequence[float]) -> float:
    """One of n is enough, failures are independent: A = 1 - prod(1 - A_i). Takes and returns unavailabilities."""
    return math.prod(unavailable)


def k_of_n(k: int, unavailable: Sequence[float]) -> float:
    """At least k of n work: A = sum_{i=k..n} C(n,i) a^i (1-a)^(n-i), for parts that differ by their convolution.

    Takes and returns unavailabilities. k = 0 never fails; k > n always does.
    """
    failed = [1.0]  # failed[i]: the probability that i of those looked at are down
    for u in unavailable:
        before = [*failed, 0.0]
        failed = [before[i] * (1 - u) + (before[i - 1] * u if i else 0.0) for i in range(len(before))]
    return min(1.0, sum(failed[max(0, len(unavailable) - k + 1) :]))


def with_common_cause(k: int, unavailable: Sequence[float], beta: float) -> float:
    """The beta factor model, U = beta*u + ((1-beta)*u)^n for 1-of-n of identical parts, for any k and any parts.

    The share beta of what makes parts fail takes them all: then the group is down as often as if its parts always
    failed together, which is the (n-k+1)-th largest unavailability (u itself where all are alike). The rest is
    independent. beta = 0: k-of-n; beta = 1: no gain over a single part. 0.01 to 0.1 is a start. The sum is meant for
    small u; a part that is certainly down is none of those that a common cause could still take.
    """
    left = sorted((each for each in unavailable if each < 1), reverse=True)
    if k <= 0:
        return 0.0
    if k > len(left):
        return 1.0
    return min(1.0, beta * left[len(left) - k] + k_of_n(k, [(1 - beta) * each for each in left]))


def standby(
    active: float, spare: float, *, failures_per_hour: float, failover_seconds: float, failover_fails: float
) -> float:
    """U ~= u^2 + lambda*(t_detect + t_switch) + p_failover_fails*u; u^2 is active times spare where they differ.

    `failures_per_hour`: lambda of the active part; `failover_seconds`: to detect and to switch; `failover_fails`: the
    probability that the switch-over does not work.
    """
    return min(1.0, active * spare + failures_per_hour * failover_seconds / 3600 + failover_fails * active)


def downtime_minutes(availability: float) -> float:
    """Minutes a year: (1 - A) * 525600."""
    return (1 - availability) * MINUTES_PER_YEAR


@dataclass(frozen=True)
class Part:
    """A leaf: `count` alike. `availability` as a share, or `mtbf_hours` and `mttr_hours`, or neither (not known)."""

    name: str
    count: int = 1
    availability: float | None = None
    mtbf_hours: float | None = None
    mttr_hours: float | None = None
    source: SourceKind = "unknown"
    note: str = ""

    @property
    def unavailability(self) -> float | None:
        """1 - A; None where no figure is stated."""
        if self.mtbf_hours is not None and self.mttr_hours is not None:
            return self.mttr_hours / (self.mtbf_hours + self.mttr_hours)
        return None if self.availability is None else 1 - self.availability

    @property
    def failures_per_hour(self) -> float | None:
        """Lambda = 1 / MTBF; None where no MTBF is stated."""
        return 1 / self.mtbf_hours if self.mtbf_hours else None


@dataclass(frozen=True)
class Group:
    """`k` of its units are needed: all of them (k None: series), one (parallel), or so many. `beta`: common cause."""

    name: str
    parts: tuple[Node, ...]
    k: int | None = None
    beta: float = 0.0

    @property
    def units(self) -> int:
        """How many units it has, copies counted."""
        return sum(each.count if isinstance(each, Part) else 1 for each in self.parts)


@dataclass(frozen=True)
class Standby:
    """An active part and a spare that takes over. `failures_per_year` of the active one, None: from its MTBF."""

    name: str
    active: Node
    spare: Node
    detect_seconds: float
    switch_seconds: float
    failover_fails: float
    failures_per_year: float | None = None

    @property
    def failures_per_hour(self) -> float | None:
        """Lambda of the active part; None where neither a rate nor its MTBF is stated."""
        if self.failures_per_year is not None:
            return self.failures_per_year / HOURS_PER_YEAR
        return self.active.failures_per_hour if isinstance(self.active, Part) else None


Node = Part | Group | Standby


def leaves(node: Node) -> Iterator[Part]:
    """Every part, in order, those in several places as often as they are named."""
    if isinstance(node, Part):
        yield node
    else:
        for each in children(node):
            yield from leaves(each)


def children(node: Node) -> tuple[Node, ...]:
    """What stands in a block."""
    if isinstance(node, Part):
        return ()
    return node.parts if isinstance(node, Group) else (node.active, node.spare)


def shared(node: Node) -> list[str]:
    """The names of the parts that stand in several places."""
    count: dict[str, int] = {}
    for each in leaves(node):
        count[each.name] = count.get(each.name, 0) + 1
    return [name for name, times in count.items() if times > 1]


def unknown(node: Node) -> list[str]:
    """What has no figure, by name: without it nothing is computed."""
    found = [each.name for each in leaves(node) if each.unavailability is None]
    found += [each.name for each in standbys(node) if each.failures_per_hour is None]
    return list(dict.fromkeys(found))


def standbys(node: Node) -> Iterator[Standby]:
    """Every active/standby pair."""
    if isinstance(node, Standby):
        yield node
    for each in children(node):
        yield from standbys(each)


def unavailability(
    node: Node, *, perfect: frozenset[str] = frozenset(), factor: Mapping[str, float] | None = None
) -> float:
    """1 - A of a structure in which nothing is `unknown`.

    `perfect`: parts that are taken as never failing; `factor`: parts whose unavailability is so many times as large.
    """
    base = {
        each.name: 0.0
        if each.name in perfect
        else min(1.0, (each.unavailability or 0.0) * (factor or {}).get(each.name, 1.0))
        for each in leaves(node)
    }

    def down(states: dict[str, float], still: Sequence[str]) -> float:
        if not still:
            return _down(node, states, perfect, factor or {})
        name, rest = still[0], still[1:]
        u = base[name]
        if u == 0:
            return down(states, rest)
        return (1 - u) * down({**states, name: 0.0}, rest) + u * down({**states, name: 1.0}, rest)

    return down(base, shared(node))


def _down(node: Node, u: Mapping[str, float], perfect: frozenset[str], factor: Mapping[str, float]) -> float:
    if isinstance(node, Part):
        return u[node.name]
    if isinstance(node, Standby):
        rate = node.failures_per_hour or 0.0
        if isinstance(node.active, Part):
            rate = 0.0 if node.active.name in perfect else rate * factor.get(node.active.name, 1.0)
        return standby(
            _down(node.active, u, perfect, factor),
            _down(node.spare, u, perfect, factor),
            failures_per_hour=rate,
            failover_seconds=node.detect_seconds + node.switch_seconds,
            failover_fails=node.failover_fails,
        )
    units = [
        each
        for part in node.parts
        for each in [_down(part, u, perfect, factor)] * (part.count if isinstance(part, Part) else 1)
    ]
    return serial(units) if node.k is None else with_common_cause(node.k, units, node.beta)


@dataclass(frozen=True)
class Weakness:
    """What a part costs: minutes a year that would be gained were it perfect, and lost were it down twice as much."""

    name: str
    count: int
    gained_minutes: float
    doubled_minutes: float


@dataclass(frozen=True)
class Answer:
    """What a structure is available; `availability` is None while something is `missing`. Weakest part first."""

    availability: float | None
    missing: list[str]
    weakest: list[Weakness]

    @property
    def minutes(self) -> float | None:
        """Minutes a year it is down."""
        return None if self.availability is None else downtime_minutes(self.availability)


def answer(node: Node) -> Answer:
    """Return how available a structure is and which of its parts matter most."""
    missing = unknown(node)
    if missing:
        return Answer(None, missing, [])
    now = unavailability(node)
    weakest = []
    for part in {each.name: each for each in leaves(node)}.values():
        without = unavailability(node, perfect=frozenset({part.name}))
        doubled = unavailability(node, factor={part.name: 2.0})
        gain, loss = (now - without) * MINUTES_PER_YEAR, (doubled - now) * MINUTES_PER_YEAR
        weakest.append(Weakness(part.name, part.count, max(0.0, gain), max(0.0, loss)))
    weakest.sort(key=lambda each: (-each.gained_minutes, each.name))
    return Answer(1 - now, [], weakest)


def each_down(node: Node) -> dict[int, float | None]:
    """The unavailability of every block and part by id(), for drawing; None where it is not known."""
    found: dict[int, float | None] = {id(node): None if unknown(node) else unavailability(node)}
    for each in children(node):
        found |= each_down(each)
    return found
