"""Places resources on a tiered map: callers left, stores right, few crossings.

Pure and deterministic: equal input gives equal places. Circles share a tier's order by being treated as one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)
SWEEPS = 8
MANY, FEW_SWEEPS = 20_000, 2  # of so many relations nobody sees each crossing, and a sweep takes its time


@dataclass(frozen=True, slots=True)
class Place(Generic[N]):
    """Where a node stands: `tier` counts from the left, `row` from the top; x and y are in 0..1 of the whole map."""

    node: N
    tier: int
    row: int
    x: float
    y: float


def lay_out(nodes: Sequence[N], needs: Iterable[tuple[N, N]], *, rank: Mapping[N, int] | None = None) -> list[Place[N]]:
    """Return a place for each node; `needs` are (dependant, needed) pairs, others than among `nodes` are ignored.

    A node stands one tier right of the furthest that needs it; those in a circle stand in the same tier.
    `rank` (kinds.Kind.tier) places nodes without any relation and breaks ties in the order within a tier.
    """
    known = dict.fromkeys(nodes)
    pairs = list(dict.fromkeys((a, b) for a, b in needs if a in known and b in known and a != b))
    ranks = rank or {}
    tiers = _tiers(list(known), pairs, ranks)
    columns: list[list[N]] = [[] for _ in range(max(tiers.values(), default=-1) + 1)]
    for node in known:
        columns[tiers[node]].append(node)
    columns = [column for column in columns if column]
    _untangle(columns, pairs)
    return [
        Place(node, tier, row, _share(tier, len(columns)), (row + 0.5) / len(column))
        for tier, column in enumerate(columns)
        for row, node in enumerate(column)
    ]


def _share(index: int, count: int) -> float:
    return (index + 0.5) / count


def _tiers(nodes: Sequence[N], pairs: Sequence[tuple[N, N]], ranks: Mapping[N, int]) -> dict[N, int]:
    """Longest path from the left over the condensation, so that every relation but those in circles points right."""
    needs: dict[N, list[N]] = {node: [] for node in nodes}
    for dependant, needed in pairs:
        needs[dependant].append(needed)
    component = components(nodes, needs)
    level: dict[int, int] = {}
    # components are numbered so that what is needed has the smaller number: go from the callers down
    outgoing: dict[int, set[int]] = {number: set() for number in component.values()}
    for dependant, needed in pairs:
        if component[dependant] != component[needed]:
            outgoing[component[dependant]].add(component[needed])
    for number in sorted(outgoing, reverse=True):
        here = level.setdefault(number, 0)
        for other in outgoing[number]:
            level[other] = max(level.get(other, 0), here + 1)
    last = max(level.values(), default=0)
    linked = {node for pair in pairs for node in pair}
    return {node: level[component[node]] if node in linked else min(ranks.get(node, 0), last) for node in nodes}


def components(nodes: Sequence[N], needs: Mapping[N, Sequence[N]]) -> dict[N, int]:
    """Number the strongly connected components (Tarjan, without recursion): what is needed gets the smaller number."""
    number: dict[N, int] = {}
    order: dict[N, int] = {}
    low: dict[N, int] = {}
    stack: list[N] = []
    on_stack: set[N] = set()
    count = 0
    for root in nodes:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(needs[root]))]
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in order:
                    order[other] = low[other] = len(order)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(needs[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], order[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        number[member] = count
                        if member == node:
                            break
                    count += 1
    return number


def _untangle(columns: list[list[N]], pairs: Sequence[tuple[N, N]]) -> None:
    """Order each column by the mean place of its neighbours, sweeping right and left until nothing moves."""
    near: dict[N, list[N]] = {node: [] for column in columns for node in column}
    for dependant, needed in pairs:
        near[dependant].append(needed)
        near[needed].append(dependant)
    place = {node: (row + 0.5) / len(column) for column in columns for row, node in enumerate(column)}
    tier = {node: number for number, column in enumerate(columns) for node in column}
    for sweep in range(SWEEPS if len(pairs) < MANY else FEW_SWEEPS):
        moved = False
        to_right = sweep % 2 == 0
        for column in columns if to_right else list(reversed(columns)):
            before = list(column)
            weight = {node: _centre(node, near, place, tier, to_right) for node in column}
            column.sort(key=weight.__getitem__)
            for row, node in enumerate(column):
                place[node] = (row + 0.5) / len(column)
            moved = moved or column != before
        if not moved and sweep:
            return


def _centre(
    node: N, near: Mapping[N, list[N]], place: Mapping[N, float], tier: Mapping[N, int], to_right: bool
) -> float:
    here = tier[node]
    side = [place[other] for other in near[node] if (tier[other] < here if to_right else tier[other] > here)]
    return sum(side) / len(side) if side else place[node]
