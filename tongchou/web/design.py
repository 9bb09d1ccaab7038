"""The service map in small: what is chosen, and how it is drawn: tiered, callers left, stores right; SVG."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from django.urls import reverse
from django.utils.functional import Promise

from tongchou.core.access import Actor, allows
from tongchou.inventory import kinds
from tongchou.inventory.graph import Edge, Graph, Kept, Node, load_graph
from tongchou.inventory.health import FAILING, ORDER, Status
from tongchou.inventory.kinds import dependency
from tongchou.inventory.layout import lay_out
from tongchou.inventory.reads import VIEW, may_see
from tongchou.inventory.weakness import service_kinds
from tongchou.web import health

SERVICE_RELATIONS = frozenset({"calls", "stores_in"})
BOX_WIDTH, BOX_HEIGHT = 168, 46
COLUMN_WIDTH, ROW_HEIGHT, MARGIN = 244, 68, 24
MAX_SMALL = 60
MAX_PIPS = 5
# the shape drawn for each status inside a 14 x 14 box: never colour alone
GLYPHS: dict[str, str] = {
    "ok": "M2.5 7.5l3 3 6-7",
    "warning": "M7 1.8L13 12.4H1zM7 5.6v3M7 10.6v.1",
    "critical": "M4.5 1h5L13 4.500v5L9.500 13h-5L1 9.500v-5zM7 4v3.400M7 9.900v.1",
    "maintenance": "M3 3h8v8H3zM5.500 5.500h3v3h-3z",
    "unknown": "M7 1.500a5.500 5.500 0 1 0 .01 0M5.500 5.500a1.600 1.600 0 1 1 2 1.900v.8M7.200 10.400v.1",
}
TONES: dict[Status, str] = {
    "ok": "ok",
    "warning": "warning",
    "affected": "warning",
    "critical": "critical",
    "down": "critical",
    "held": "maintenance",
    "unknown": "unknown",
}


@dataclass(frozen=True)
class Pip:
    """A part of a whole (an instance of a service), drawn small on it: a round, a triangle, a square by tone."""

    name: str
    status: str
    tone: str
    x: float


@dataclass(frozen=True)
class Box:
    """A node as drawn: its left top corner, status, tone and where it leads."""

    id: UUID
    name: str
    kind: str | Promise
    status: str
    tone: str
    glyph: str
    x: float
    y: float
    url: str
    pips: tuple[Pip, ...] = ()


@dataclass(frozen=True)
class Line:
    """An edge as drawn, from the one who needs to the one needed; hot when what is needed fails."""

    path: str
    type: str
    hot: bool
    title: str


@dataclass(frozen=True)
class Drawing:
    """The whole map with its size."""

    boxes: list[Box]
    lines: list[Line]
    width: float
    height: float


# what was chosen of a graph, as long as the graph is kept: it never changes, and of very many it takes its time
_small: Kept[list[Node]] = Kept(1)
# what the teams of an actor see of it, by the owners they see
_seen: Kept[Graph] = Kept(8)


def choose(graph: Graph, *, everything: bool, most: int) -> tuple[list[Node], int]:
    """Return at most `most` nodes of the service map, and how many were left out: those with relations stay first.

    Services and stores, and whatever else takes part in their calls; parts (instances) stand for their service. With
    `everything`, all that has a relation.
    """
    alone: list[Node] = []
    if everything:
        related = set(graph.related())
    else:
        related = {
            end for type_ in SERVICE_RELATIONS for edge in graph.typed(type_) for end in (edge.from_id, edge.to_id)
        }
        serving = service_kinds()
        services = [node for node in graph.nodes.values() if node.kind in serving]
        parts = {edge.from_id for edge in graph.typed("part_of")}
        alone = [node for node in services if node.id not in parts and node.id not in related]

    def order(node: Node) -> tuple[int, str]:
        return kinds.kind(node.kind).tier, node.name

    linked = sorted((graph.nodes[id_] for id_ in related), key=order)
    room = max(0, most - len(linked))
    chosen = [*linked[:most], *(sorted(alone, key=order)[:room] if room else [])]
    return sorted(chosen, key=order), len(linked) + len(alone) - len(chosen)


def draw(graph: Graph, statuses: Mapping[UUID, Status], nodes: Collection[Node], types: Collection[str]) -> Drawing:
    """Place nodes in tiers and bend the edges between them. Pure."""
    shown = list(nodes)
    ids = {node.id for node in shown}
    edges = [edge for edge in graph.edges_among(ids) if edge.type in types]
    pairs = [(edge, *_needs(edge)) for edge in edges]
    places = lay_out(
        [node.id for node in shown],
        [(dependant, needed) for _edge, dependant, needed in pairs],
        rank={node.id: kinds.kind(node.kind).tier for node in shown},
    )
    tiers = max((place.tier for place in places), default=0) + 1
    rows = max((place.row for place in places), default=0) + 1
    height = rows * ROW_HEIGHT + 2 * MARGIN
    at = {
        place.node: (MARGIN + place.tier * COLUMN_WIDTH, MARGIN + place.y * (height - 2 * MARGIN) - BOX_HEIGHT / 2)
        for place in places
    }
    pips = {} if everything_drawn(types) else parts_of(graph, statuses, ids)
    boxes = [_box(node, statuses.get(node.id, "unknown"), *at[node.id], pips.get(node.id, ())) for node in shown]
    lines = [
        Line(
            curve(at[dependant], at[needed]),
            edge.type,
            statuses.get(needed, "unknown") in FAILING,
            f"{graph.nodes[edge.from_id].name} {kinds.relation_words(edge.type)} {graph.nodes[edge.to_id].name}",
        )
        for edge, dependant, needed in pairs
    ]
    lines.sort(key=lambda line: line.hot)
    width = (tiers - 1) * COLUMN_WIDTH + BOX_WIDTH + 2 * MARGIN
    return Drawing(boxes, lines, width, height)


def all_relations() -> frozenset[str]:
    """Return every relation type, for a map of everything."""
    return frozenset(each.name for each in kinds.relations())


def _needs(edge: Edge) -> tuple[UUID, UUID]:
    return cast(tuple[UUID, UUID], dependency(edge.type, edge.from_id, edge.to_id))


def everything_drawn(types: Collection[str]) -> bool:
    """Tell whether parts are boxes of their own on this map."""
    return "part_of" in types


def parts_of(graph: Graph, statuses: Mapping[UUID, Status], wholes: Iterable[UUID]) -> dict[UUID, tuple[Pip, ...]]:
    """Return the parts of each whole, worst first; more than MAX_PIPS are left out. Pure."""
    found = graph.parts()
    result = {}
    for whole in wholes:
        parts = found.get(whole)
        if not parts:
            continue
        rows = sorted(parts, key=lambda part: (ORDER.index(statuses.get(part, "unknown")), graph.nodes[part].name))[
            :MAX_PIPS
        ]
        result[whole] = tuple(
            Pip(
                graph.nodes[part].name,
                statuses.get(part, "unknown"),
                TONES[statuses.get(part, "unknown")],
                BOX_WIDTH - 15 - 12.0 * place,
            )
            for place, part in enumerate(rows)
        )
    return result


def _box(node: Node, status: Status, x: float, y: float, pips: tuple[Pip, ...]) -> Box:
    tone = TONES[status]
    url = reverse("web:resource", args=[node.id])
    title = kinds.kind(node.kind).title
    return Box(node.id, node.name, title, status, tone, GLYPHS[tone], round(x, 1), round(y, 1), url, pips)


def curve(a: tuple[float, float], b: tuple[float, float]) -> str:
    """Bend from the right side of a to the left side of b; between boxes of one column, around their right sides."""
    (ax, ay), (bx, by) = a, b
    ay, by = ay + BOX_HEIGHT / 2, by + BOX_HEIGHT / 2
    if bx > ax:
        x1, x2 = ax + BOX_WIDTH, bx - 5
        bend = max(36.0, (x2 - x1) / 2)
        return f"M{x1:.1f} {ay:.1f}C{x1 + bend:.1f} {ay:.1f} {x2 - bend:.1f} {by:.1f} {x2:.1f} {by:.1f}"
    x1, x2 = ax + BOX_WIDTH, bx + BOX_WIDTH + 5
    out = max(x1, x2) + 34
    return f"M{x1:.1f} {ay:.1f}C{out:.1f} {ay:.1f} {out:.1f} {by:.1f} {x2:.1f} {by:.1f}"


def seen_by(actor: Actor, graph: Graph) -> Graph:
    """Return what the actor may see of a graph: their teams' resources and the relations between them."""
    if allows(actor, VIEW):
        return graph
    owners = frozenset(each for each in {node.owner_id for node in graph.nodes.values()} if may_see(actor, each))
    return _seen.of(
        graph,
        owners,
        lambda: Graph((node for node in graph.nodes.values() if node.owner_id in owners), graph.edges),
    )


def small_map(actor: Actor) -> Drawing:
    """Return the services alone, for the cockpit."""
    whole = load_graph()
    graph = seen_by(actor, whole)
    nodes = _small.of(graph, None, lambda: choose(graph, everything=False, most=MAX_SMALL)[0])
    ids = {node.id for node in nodes}
    parts = [part for id_ in ids for part in graph.parts().get(id_, ())]
    statuses = health.of_graph(whole, only=[*ids, *parts])  # of the whole: what fails elsewhere affects these too
    return draw(graph, statuses, nodes, SERVICE_RELATIONS)


def neighbourhood(actor: Actor, ids: Collection[UUID], *, most: int = MAX_SMALL) -> Drawing:
    """Return these resources with who calls them and what they need, one hop; parts stand on their whole.

    Where no call is known (a host, a disk), every relation is drawn.
    """
    whole = load_graph()
    graph = seen_by(actor, whole)
    parts = {edge.from_id: edge.to_id for edge in graph.typed("part_of")}
    near = {parts.get(each, each) for each in ids if each in graph}
    types: Collection[str] = SERVICE_RELATIONS
    if not any(edge.type in types for edge in graph.touching(near)):
        near, types = {each for each in ids if each in graph}, all_relations()
    shown = set(near)
    for edge in graph.touching(near):
        if edge.type in types:
            shown |= {edge.from_id, edge.to_id}
    nodes = sorted(
        (graph.nodes[each] for each in shown), key=lambda n: (n.id not in near, kinds.kind(n.kind).tier, n.name)
    )
    drawn = [*{node.id for node in nodes[:most]}, *(part for part, of in parts.items() if of in shown)]
    statuses = health.of_graph(whole, only=drawn)
    return draw(graph, statuses, nodes[:most], types)
