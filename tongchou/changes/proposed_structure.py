"""A structure of parts out of the inventory's graph: a proposal that a person edits. Pure.

Read like `inventory.weakness` reads it: a resource needs what it calls and runs on; instances of a service and members
of a cluster stand in for each other. What all of those need is written above them once; what is needed in several
places keeps its name, and so stays one part. No figure is invented: what nobody measured stands there as "?".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from tongchou.changes.availability import MAX_PARTS, Group, Node, Part
from tongchou.inventory.graph import Graph
from tongchou.inventory.weakness import Needs, needs_of

MAX_STEPS = 8


@dataclass(frozen=True)
class Measured:
    """What an objective measured of a resource: the share of good events, and in words which and over what time."""

    availability: float
    note: str


@dataclass(frozen=True)
class Proposal:
    """The structure; `left_out`: how many resources it needs that are not in it (too far, hidden, or too many)."""

    node: Node
    left_out: int


def propose(
    graph: Graph,
    service: UUID,
    *,
    least: Mapping[UUID, int],
    measured: Mapping[UUID, Measured],
    seen: frozenset[UUID],
) -> Proposal:
    """Return what a service stands on. `seen`: the resources the reader may see; others are left out and counted."""
    needs = needs_of(graph, least)
    index = {id_: number for number, id_ in enumerate(needs.ids)}
    others = {id_: found for id_, found in measured.items() if id_ != service}  # its own figure holds all of the rest
    builder = _Builder(graph, needs, others, seen, _names(graph, service, seen))
    tree = builder.block(index[service], frozenset(), 0)
    node = tree if isinstance(tree, Group) else Group(graph.nodes[service].name, (tree,))
    reached = set(graph.downstream(service)) | {service}
    return Proposal(node, len(reached - builder.placed))


def _names(graph: Graph, service: UUID, seen: frozenset[UUID]) -> dict[UUID, str]:
    """What each is called: its name, and its kind where two are called the same."""
    ids = [id_ for id_ in (service, *graph.downstream(service)) if id_ in seen]
    clean = {id_: " ".join(graph.nodes[id_].name.replace("|", "/").replace(",", " ").split())[:80] for id_ in ids}
    often: dict[str, int] = {}
    for name in clean.values():
        often[name] = often.get(name, 0) + 1
    found: dict[UUID, str] = {}
    taken: set[str] = set()
    for id_ in ids:
        name = clean[id_] if often[clean[id_]] == 1 else f"{clean[id_]} ({graph.nodes[id_].kind})"
        found[id_] = name if name not in taken else f"{name} {str(id_)[:8]}"
        taken.add(found[id_])
    return found


class _Builder:
    """Walks the needs of one service; a part that stands above is not written again below."""

    def __init__(
        self,
        graph: Graph,
        needs: Needs,
        measured: Mapping[UUID, Measured],
        seen: frozenset[UUID],
        names: Mapping[UUID, str],
    ) -> None:
        self.graph, self.needs, self.measured, self.seen, self.names = graph, needs, measured, seen, names
        self.placed: set[UUID] = set()
        self.made = 0

    def block(self, number: int, above: frozenset[int], depth: int) -> Node:
        """The series of a resource itself, what it needs, and its groups; `above`: what stands above it already."""
        whole = self.needs.groups.get(number, [])
        parts: list[Node] = []
        own = self.part(number)
        # a whole with members works as they do: it is no part of its own, unless it was measured, with all it needs
        measured = own is not None and own.availability is not None
        if own is not None and (measured or not (whole and number in self.needs.wholes)):
            parts.append(own)
            self.made += 1
        self.placed.add(self.needs.ids[number])
        if depth < MAX_STEPS and not measured:
            parts += self.below(number, above | {number}, depth)
        name = self.names.get(self.needs.ids[number], "?")
        return parts[0] if len(parts) == 1 else Group(name, tuple(parts) or (Part(name),))

    def below(self, number: int, inside: frozenset[int], depth: int) -> list[Node]:
        """What a resource needs: each by itself, then what stands in for each other."""
        found: list[Node] = []
        certain = set(inside)
        for each in self.needs.every[number]:
            if each in certain or not self.shown(each):
                continue
            found += _flat(self.block(each, frozenset(certain), depth + 1))
            certain |= {each} | self.needed(each)
        for group in self.needs.groups.get(number, []):
            members = [each for each in group.members if each not in certain and self.shown(each)]
            if not members:
                continue
            common = set.intersection(*[self.needed(each) for each in members]) - certain - set(members)
            for each in sorted(common):
                if self.shown(each) and each not in certain:
                    found += _flat(self.block(each, frozenset(certain), depth + 1))
                    certain |= {each} | self.needed(each)
            within = frozenset(certain)
            blocks = tuple(self.block(each, within | {each}, depth + 1) for each in members)
            k = min(max(1, len(group.members) - group.lost + 1), len(blocks))
            found.append(Group(f"{self.names.get(self.needs.ids[number], '?')} x{len(blocks)}", blocks, k))
        return found

    def needed(self, number: int) -> set[int]:
        """What is needed in any case, directly or not (without what stands in for each other)."""
        reached: set[int] = set()
        todo = [number]
        while todo:
            for each in self.needs.every[todo.pop()]:
                if each not in reached:
                    reached.add(each)
                    todo.append(each)
        return reached

    def shown(self, number: int) -> bool:
        return self.needs.ids[number] in self.seen and self.made < MAX_PARTS

    def part(self, number: int) -> Part | None:
        id_ = self.needs.ids[number]
        if id_ not in self.seen:
            return None
        found = self.measured.get(id_)
        if found is None:
            return Part(self.names[id_])
        return Part(self.names[id_], availability=found.availability, source="measured", note=found.note)


def _flat(node: Node) -> list[Node]:
    """A series inside a series is that series."""
    return list(node.parts) if isinstance(node, Group) and node.k is None else [node]
