"""Single points of failure: what takes services down when it alone is lost, and why.

Pure but for one query. A resource fails when it is lost, when anything fails that it needs, or when of the parts that
stand in for each other (instances of a service, members of a cluster) fewer are left than it needs: one, unless a
label says more. A disk, a file system and an interface stand in for nothing: their host needs each of them; but disks
stand in for each other in a RAID set or a pool, as far as its label says, and are then needed by that alone. What runs
on several hosts works as long as one of them does. A copy that goes stale does not fail.

Every resource gets the set of those whose loss alone makes it fail, as bits of one integer: the union over what it
needs, the intersection over what stands in for each other. Resources are taken in the order of their needs, circles
until nothing changes, so that each relation is looked at once where there are no circles.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_
from typing import Literal
from uuid import UUID

import numpy as np

from tongchou.inventory import kinds
from tongchou.inventory.graph import LARGE, Graph, Kept
from tongchou.inventory.layout import components
from tongchou.inventory.models import ResourceLabel

PART_OF, RUNS_ON = "part_of", "runs_on"
SOFT = frozenset({"replicates_to"})  # the loss of the origin makes the copy stale; it still answers
# kinds, each with those that inherit from it
ALONE = frozenset({"disk", "filesystem", "interface", "listener"})  # parts that stand in for nothing
SETS = frozenset({"raid_set", "storage_pool"})  # in which disks stand in for each other
SERVICES = frozenset({"service", "database", "cache", "queue", "load_balancer"})
MOST, MAX_NAMED, MAX_CAUSES = 200, 8, 3
MIN_INSTANCES = "min_instances"  # the label that says how many parts a whole needs to work

Why = Literal["only_part", "too_few_left", "all_on_it", "needed"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why `failed` fails: it needs `through`, or of its `parts` too few are left (it needs `least`)."""

    failed: UUID
    why: Why
    through: UUID | None = None
    parts: int = 0
    least: int = 1


@dataclass(frozen=True, slots=True)
class WeakPoint:
    """A resource whose loss alone takes `count` services down; `services` are the first of them to fall."""

    resource: UUID
    count: int
    services: tuple[UUID, ...]
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What stands in for each other: who has it fails when `lost` of its `members` do."""

    members: tuple[int, ...]
    lost: int
    least: int = 1


@dataclass(slots=True)
class Needs:
    """The graph as conditions of failure, by number: any of `every` fails, or too many of one of the `groups`."""

    ids: list[UUID]
    every: list[list[int]]
    groups: dict[int, list[Group]] = field(default_factory=dict)
    wholes: frozenset[int] = frozenset()  # who has parts that stand in for each other


@dataclass(frozen=True, slots=True)
class Roles:
    """Which kinds take which part, those that people let inherit from them, too."""

    serving: frozenset[str]
    alone: frozenset[str]
    sets: frozenset[str]


def roles() -> Roles:
    """Return what the kinds are now. At most one query a second, so that a thread is given them."""
    return Roles(service_kinds(), kinds.family(ALONE), kinds.family(SETS))


def service_kinds() -> frozenset[str]:
    """Return the kinds of what others count on: those of SERVICES and their heirs."""
    return kinds.family(SERVICES)


def needs_of(graph: Graph, least: Mapping[UUID, int] | None = None, part: Roles | None = None) -> Needs:
    """Return the conditions. `least`: how many parts a whole needs to work, where that is not one."""
    part = part or roles()
    ids = list(graph.nodes)
    index = {id_: number for number, id_ in enumerate(ids)}
    every: list[dict[int, None]] = [{} for _ in ids]
    parts: dict[int, dict[int, None]] = {}
    hosts: dict[int, dict[int, None]] = {}
    turned, sets, alone = graph.turned(), part.sets, part.alone
    shared = {e.from_id for e in graph.edges if e.type == PART_OF and graph.nodes[e.to_id].kind in sets}
    for edge in graph.edges:
        a, b = index[edge.from_id], index[edge.to_id]
        if edge.type in SOFT or a == b:
            continue
        in_set = graph.nodes[edge.to_id].kind in sets
        if edge.type == PART_OF and edge.from_id in shared and not in_set:
            continue  # the set answers for its disks
        if edge.type == PART_OF and (in_set or graph.nodes[edge.from_id].kind not in alone):
            parts.setdefault(b, {})[a] = None
        elif edge.type == RUNS_ON:
            hosts.setdefault(a, {})[b] = None
        else:
            dependant, needed = (b, a) if edge.type in turned else (a, b)
            every[dependant][needed] = None
    groups: dict[int, list[Group]] = {}
    for whole, found in parts.items():
        wanted = (least or {}).get(ids[whole], 1)
        groups.setdefault(whole, []).append(Group(tuple(found), max(1, len(found) - wanted + 1), wanted))
    for node, found in hosts.items():
        if len(found) == 1:
            every[node] |= found
        else:
            groups.setdefault(node, []).append(Group(tuple(found), len(found)))
    return Needs(ids, [list(each) for each in every], groups, frozenset(parts))


def least_needed() -> dict[UUID, int]:
    """Return how many parts a whole needs where a label says it. One query; what is no number above 0 says nothing."""
    rows = ResourceLabel.objects.filter(name=MIN_INSTANCES).values_list("resource_id", "value")
    return {id_: int(value) for id_, value in rows if value.isascii() and value.isdigit() and 0 < int(value) < 10**6}


def at_least(sets: Sequence[int], count: int) -> int:
    """Return the bits that are in at least `count` of the sets."""
    if count <= 1:
        return reduce(or_, sets, 0)
    if count >= len(sets):
        return reduce(and_, sets) if sets and count == len(sets) else 0
    reached = [0] * count  # reached[n]: in more than n of those looked at
    for each in sets:
        for place in range(count - 1, 0, -1):
            reached[place] |= reached[place - 1] & each
        reached[0] |= each
    return reached[-1]


def fatal(needs: Needs, wanted: Iterable[int]) -> dict[int, int]:
    """Return, for each of `wanted`, the set of resources whose loss alone makes it fail (itself among them)."""
    count = len(needs.ids)
    below = [
        [*needs.every[node], *(part for group in needs.groups.get(node, ()) for part in group.members)]
        for node in range(count)
    ]
    number = components(range(count), dict(enumerate(below)))
    members: list[list[int]] = [[] for _ in range(max(number.values(), default=-1) + 1)]
    for node, component in number.items():
        members[component].append(node)
    left = [0] * count  # who still asks for the set of a node: with the last one it is let go
    for each in below:
        for other in each:
            left[other] += 1
    kept = set(wanted)
    sets: dict[int, int] = {}
    for group in members:  # what is needed has the smaller number
        for node in group:
            sets[node] = 1 << node
        _settle(needs, group, sets)
        for node in group:
            for other in below[node]:
                left[other] -= 1
                if not left[other] and other not in kept:
                    del sets[other]
            if not left[node] and node not in kept:
                sets.pop(node, None)
    return {node: sets[node] for node in kept}


def _settle(needs: Needs, group: Sequence[int], sets: dict[int, int]) -> None:
    """Bring the sets of one circle (mostly a single node) to where they do not grow any more."""

    def grown(node: int) -> int:
        found = reduce(or_, (sets[other] for other in needs.every[node]), sets[node])
        for each in needs.groups.get(node, ()):
            found |= at_least([sets[member] for member in each.members], each.lost)
        return found

    if len(group) > 1 and not any(node in needs.groups for node in group):
        whole = reduce(or_, (grown(node) for node in group))  # each needs each, so all fail together
        sets.update(dict.fromkeys(group, whole))
        return
    again = True
    while again:
        again = False
        for node in group:
            found = grown(node)
            if found != sets[node]:
                sets[node], again = found, len(group) > 1


def weak_points(
    graph: Graph, *, least: Mapping[UUID, int] | None = None, most: int = MOST, part: Roles | None = None
) -> list[WeakPoint]:
    """Return what alone takes services down, those that take most first; at most `most`.

    A service does not count as its own weak point, and a whole with parts that stand in for each other is no single
    thing that could be lost.
    """
    part = part or roles()
    needs = needs_of(graph, least, part)
    services = [number for number, id_ in enumerate(needs.ids) if graph.nodes[id_].kind in part.serving]
    sets = fatal(needs, services)
    counts = _counts(sets, len(needs.ids))
    counts[services] -= 1  # itself
    counts[list(needs.wholes)] = 0
    ranked = sorted(
        np.flatnonzero(counts > 0).tolist(), key=lambda n: (-int(counts[n]), graph.nodes[needs.ids[n]].name)
    )
    above = asking(needs)
    return [_told(graph, needs, above, part, number, int(counts[number])) for number in ranked[:most]]


# of very many resources it takes seconds, so it is worked out once for each picture of the inventory
_known: Kept[list[WeakPoint]] = Kept(1)
_at_work = threading.Lock()
STALE_SECONDS = 120.0


@dataclass(slots=True)
class _Last:
    """What was worked out last, for an inventory that changes more often than it can be looked through."""

    found: list[WeakPoint] = field(default_factory=list)
    at: float = -math.inf
    failed: bool = False


_last = _Last()


def known_weak_points(graph: Graph) -> list[WeakPoint]:
    """Return the first MOST weak points. One query; worked out anew when the graph or a label changed."""
    least = least_needed()
    return _known.of(graph, frozenset(least.items()), lambda: weak_points(graph, least=least))


def weak_points_soon(graph: Graph) -> list[WeakPoint] | None:
    """As `known_weak_points`; of a graph that takes seconds what is known from up to two minutes ago, else None.

    A thread works them out meanwhile. One query. Raises what the last try raised.
    """
    least = least_needed()
    question = frozenset(least.items())
    if len(graph) < LARGE or _known.has(graph, question) or _last.failed:
        _last.failed = False
        return known_weak_points(graph)
    if _at_work.acquire(blocking=False):
        try:
            threading.Thread(
                target=_work, args=(graph, question, least, roles()), name="weak-points", daemon=True
            ).start()
        except RuntimeError:  # the system has no thread to give
            _at_work.release()
            raise
    if time.monotonic() - _last.at > STALE_SECONDS:
        return None
    return [each for each in _last.found if _is_there(graph, each)]  # the inventory may have changed since


def _work(graph: Graph, question: frozenset[tuple[UUID, int]], least: Mapping[UUID, int], part: Roles) -> None:
    found = None
    try:
        found = _last.found = _known.of(graph, question, lambda: weak_points(graph, least=least, part=part))
        _last.at = time.monotonic()
    finally:
        _last.failed = found is None  # who asks next tries it in person, and is told
        _at_work.release()


def _is_there(graph: Graph, weak: WeakPoint) -> bool:
    ids = {weak.resource, *weak.services}
    ids.update(each for cause in weak.causes for each in (cause.failed, cause.through) if each)
    return all(each in graph.nodes for each in ids)


def _counts(sets: Mapping[int, int], count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many of the sets each resource is in."""
    total = np.zeros(count, np.int64)
    for each in sets.values():
        raw = np.frombuffer(each.to_bytes((each.bit_length() + 7) // 8, "little"), np.uint8)
        bits = np.unpackbits(raw, bitorder="little", count=min(count, 8 * len(raw)))
        total[: len(bits)] += bits
    return total


Above = Callable[[int], tuple[Sequence[int], Sequence[tuple[int, Group]]]]


def asking(needs: Needs) -> Above:
    """Return a function that tells who needs a resource, and in which groups of whom it stands."""
    asks: dict[int, list[int]] = {}
    stands: dict[int, list[tuple[int, Group]]] = {}
    for node, each in enumerate(needs.every):
        for other in each:
            asks.setdefault(other, []).append(node)
    for whole, groups in needs.groups.items():
        for group in groups:
            for member in group.members:
                stands.setdefault(member, []).append((whole, group))
    return lambda node: (asks.get(node, ()), stands.get(node, ()))


def falls(needs: Needs, above: Above, lost: int) -> dict[int, Cause]:
    """Return what fails when one resource is lost, in that order, each with its cause; without the lost one itself."""
    failed: dict[int, Cause | None] = {lost: None}
    gone: dict[tuple[int, Group], int] = {}
    queue = [lost]
    for node in queue:
        asks, stands = above(node)
        for each in asks:
            if each not in failed:
                failed[each] = Cause(needs.ids[each], "needed", needs.ids[node])
                queue.append(each)
        for whole, group in stands:
            gone[whole, group] = gone.get((whole, group), 0) + 1
            if whole not in failed and gone[whole, group] >= group.lost:
                failed[whole] = _cause(needs, whole, group, node)
                queue.append(whole)
    return {node: cause for node, cause in failed.items() if cause is not None}


def _cause(needs: Needs, whole: int, group: Group, part: int) -> Cause:
    parts = len(group.members)
    why: Why = "only_part" if parts == 1 else "too_few_left" if group.lost < parts else "all_on_it"
    return Cause(needs.ids[whole], why, needs.ids[part], parts, group.least)


def _told(graph: Graph, needs: Needs, above: Above, part: Roles, number: int, count: int) -> WeakPoint:
    fallen = falls(needs, above, number)
    services = [node for node in fallen if graph.nodes[needs.ids[node]].kind in part.serving]
    return WeakPoint(
        needs.ids[number],
        count,
        tuple(needs.ids[node] for node in services[:MAX_NAMED]),
        tuple(fallen[node] for node in services[:MAX_CAUSES]),
    )
