"""Design: the map. Layers, what is around one resource, two times on one picture; never more boxes than one reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.core.access import Actor, allows, team_names
from tongchou.core.models import Team
from tongchou.core.problems import Problem
from tongchou.inventory import kinds, scene
from tongchou.inventory.graph import Edge, Graph, Kept, Node, load_graph
from tongchou.inventory.health import FAILING, Status, worst
from tongchou.inventory.kinds import dependency
from tongchou.inventory.layout import lay_out
from tongchou.inventory.models import ResourceLabel
from tongchou.inventory.past import graph_at
from tongchou.inventory.reads import VIEW, visible
from tongchou.inventory.scene import Bundle, Cluster
from tongchou.inventory.truth import settings_of_now
from tongchou.web import design, health
from tongchou.web.design import BOX_HEIGHT, BOX_WIDTH, COLUMN_WIDTH, MARGIN, ROW_HEIGHT, Pip, curve
from tongchou.web.design_ask import Asked, asked_of, found_by
from tongchou.web.gate import PageRequest, page

MAX_BOXES = 120  # more on one picture nobody reads: then groups become one box each
MAX_LISTED = 400
MAX_REACHED = 12
MAX_SITES = 200
Item = Node | Cluster


@dataclass(frozen=True)
class Drawn:
    """A box of the picture: a resource, or `count` of one kind."""

    id: UUID | None
    name: str
    kind: str
    status: str
    tone: str
    glyph: str
    x: float
    y: float
    url: str
    around: str
    count: int = 0
    mark: str = ""
    role: str = ""
    pips: tuple[Pip, ...] = ()


@dataclass(frozen=True)
class Edged:
    """A line of the picture. `share` is confidence in steps of a quarter, 1 to 4; `count` relations are in it."""

    path: str
    from_name: str
    to_name: str
    words: str
    type: str
    origin: str
    confidence: float
    share: int
    hot: bool
    count: int
    mark: str = ""
    on_path: bool = False


@dataclass(frozen=True)
class Picture:
    """What is drawn, with its size; `resources` are in its `boxes`."""

    boxes: list[Drawn]
    lines: list[Edged]
    width: float
    height: float
    resources: int


@dataclass(frozen=True)
class Chosen:
    """What was chosen of a graph for one question: the boxes and what runs between them, before anything's status."""

    items: list[Item]
    bundles: list[Bundle]
    both: scene.Both | None
    graph: Graph
    focus: UUID | None
    path: tuple[UUID, ...]
    up: Mapping[UUID, int]
    down: Mapping[UUID, int]
    told: frozenset[UUID]  # whose status is told: what the boxes stand for, and its parts


_chosen: Kept[Chosen] = Kept(32)


def choose(asked: Asked, now: Graph, then: Graph | None, only: frozenset[UUID] | None) -> Chosen:
    """Return what is drawn of a graph (of two, one before). Pure."""
    both = scene.compare(then, now) if then is not None else None
    whole = both.graph if both is not None else now
    graph = scene.layered(whole, scene.Layers(asked.origins, asked.kinds, only))
    focus, other = found_by(graph, asked.focus), found_by(graph, asked.to)
    up = graph.upstream(focus) if focus else {}
    down = graph.downstream(focus) if focus else {}
    path = _path(graph, focus, other) if focus and other else ()
    if path:
        nodes = [graph.nodes[id_] for id_ in path]
        types: Collection[str] | None = None
    elif focus and asked.depth:
        nodes = [graph.nodes[id_] for id_ in scene.around(graph, focus, asked.direction, asked.depth)]
        types = None
    else:
        everything = asked.everything or asked.kinds is not None
        nodes = design.choose(graph, everything=everything, most=len(graph))[0]
        if asked.kinds is not None:
            nodes = list(graph.nodes.values())
        types = None if everything else design.SERVICE_RELATIONS
        if focus and all(node.id != focus for node in nodes):
            nodes.append(graph.nodes[focus])
    nodes.sort(key=lambda node: (kinds.kind(node.kind).tier, node.name, str(node.id)))
    items = scene.collapse(nodes, MAX_BOXES, {*path, *([focus] if focus else ())})
    ids = {id_ for item in items for id_ in (item.members if isinstance(item, Cluster) else (item.id,))}
    parts = {part for id_, found in graph.parts().items() if id_ in ids for part in found}
    edges = graph.edges if types is None else [edge for type_ in sorted(types) for edge in graph.typed(type_)]
    return Chosen(items, scene.bundles(items, edges), both, graph, focus, path, up, down, frozenset(ids | parts))


def _path(graph: Graph, a: UUID, b: UUID) -> tuple[UUID, ...]:
    """A shortest chain of needs between two, whichever of them needs the other."""
    return tuple(graph.path(a, b) or graph.path(b, a) or ())


def draw(chosen: Chosen, statuses: Mapping[UUID, Status], asked: Asked, teams: Mapping[UUID, str]) -> Picture:
    """Place the boxes in tiers and bend the lines between them. Pure but for the addresses."""
    items = chosen.items
    pairs = [(each, *_needs(each)) for each in chosen.bundles]
    rank = {place: kinds.kind(item.kind).tier for place, item in enumerate(items)}
    places = lay_out(range(len(items)), [(a, b) for _bundle, a, b in pairs], rank=rank)
    height = (max((place.row for place in places), default=0) + 1) * ROW_HEIGHT + 2 * MARGIN
    tiers = max((place.tier for place in places), default=0) + 1
    at = {
        place.node: (MARGIN + place.tier * COLUMN_WIDTH, MARGIN + place.y * (height - 2 * MARGIN) - BOX_HEIGHT / 2)
        for place in places
    }
    pips = (
        design.parts_of(chosen.graph, statuses, [each.id for each in items if isinstance(each, Node)])
        if not asked.everything and chosen.both is None
        else {}
    )
    boxes = [_box(chosen, item, statuses, asked, teams, at[place], pips) for place, item in enumerate(items)]
    lines = [
        _line(chosen, bundle, boxes, curve(at[a], at[b]), hot=boxes[b].status in FAILING) for bundle, a, b in pairs
    ]
    lines.sort(key=lambda line: (line.hot, line.on_path))
    resources = sum(len(each.members) if isinstance(each, Cluster) else 1 for each in items)
    return Picture(boxes, lines, (tiers - 1) * COLUMN_WIDTH + BOX_WIDTH + 2 * MARGIN, height, resources)


def _needs(bundle: Bundle) -> tuple[int, int]:
    return cast(tuple[int, int], dependency(bundle.type, bundle.from_box, bundle.to_box))


def _box(
    chosen: Chosen,
    item: Item,
    statuses: Mapping[UUID, Status],
    asked: Asked,
    teams: Mapping[UUID, str],
    at: tuple[float, float],
    pips: Mapping[UUID, tuple[Pip, ...]],
) -> Drawn:
    kind = kinds.kind(item.kind)
    x, y = round(at[0], 1), round(at[1], 1)
    if isinstance(item, Cluster):
        status = worst([statuses.get(id_, "unknown") for id_ in item.members])
        told: dict[str, str] = {"kind": item.kind}
        name = ""
        if not item.mixed:
            name = teams.get(item.owner_id, "") if item.owner_id else _("without owner")
            told["team"] = teams.get(item.owner_id, "") if item.owner_id else "-"
        url = asked.address(**told, focus="", to="")
        tone = design.TONES[status]
        return Drawn(None, name, str(kind.title), status, tone, design.GLYPHS[tone], x, y, url, url, len(item.members))
    status = statuses.get(item.id, "unknown")
    tone = design.TONES[status]
    role = (
        "focus"
        if item.id == chosen.focus
        else "path"
        if item.id in chosen.path
        else ""
        if chosen.focus is None
        else "up"
        if item.id in chosen.up
        else "down"
        if item.id in chosen.down
        else "far"
    )
    return Drawn(
        item.id,
        item.name,
        str(kind.title),
        status,
        tone,
        design.GLYPHS[tone],
        x,
        y,
        reverse("web:resource", args=[item.id]),
        asked.address(focus=str(item.id), to=""),
        mark=chosen.both.nodes.get(item.id, "") if chosen.both else "",
        role=role,
        pips=pips.get(item.id, ()),
    )


def _line(chosen: Chosen, bundle: Bundle, boxes: Sequence[Drawn], path: str, *, hot: bool) -> Edged:
    best = max(bundle.edges, key=lambda edge: (edge.confidence, edge.origin))
    marks = {chosen.both.mark(edge) for edge in bundle.edges} if chosen.both else {""}
    steps = set(zip(chosen.path, chosen.path[1:], strict=False))
    on_path = bool(steps) and any({_turned(edge), _turned(edge)[::-1]} & steps for edge in bundle.edges)
    return Edged(
        path,
        boxes[bundle.from_box].name,
        boxes[bundle.to_box].name,
        kinds.relation_words(bundle.type),
        bundle.type,
        best.origin if best.origin in kinds.ORIGINS else "declared",
        best.confidence,
        max(1, min(4, round(best.confidence * 4))),
        hot,
        len(bundle.edges),
        marks.pop() if len(marks) == 1 else "",
        on_path,
    )


def _turned(edge: Edge) -> tuple[UUID, UUID]:
    return cast(tuple[UUID, UUID], dependency(edge.type, edge.from_id, edge.to_id))


@page("inventory.view")
def service_map(request: PageRequest) -> HttpResponse:
    """Who needs whom, how each one is, and how it was."""
    problem: Problem | None = None
    try:
        asked = asked_of(request.GET, now=timezone.now())
    except Problem as found:
        problem, asked = found, Asked()
    whole = load_graph()
    graph = design.seen_by(request.actor, whole)
    label = settings_of_now().site_label
    teams = dict(Team.objects.filter(name__in=team_names(request.actor)).values_list("id", "name"))
    then = design.seen_by(request.actor, graph_at(asked.at)) if asked.at else None

    def work_out() -> Chosen:
        return choose(asked, graph, then, _only(asked, graph, then, label, teams))

    # who is at a site is not in the graph
    chosen = work_out() if asked.site else _chosen.of(graph if then is None else then, asked, work_out)
    # how it was is not kept in the graph: a picture of the past says what there was, not how it did
    statuses = {} if asked.at else health.of_graph(whole, only=chosen.told)
    picture = draw(chosen, statuses, asked, teams)
    context = _context(asked, chosen, picture, problem) | {
        "sites": _sites(request.actor, label),
        "teams": sorted(teams.values()),
        "all_kinds": sorted({node.kind for node in graph.nodes.values()} | set(asked.kinds or ())),
    }
    part = request.GET.get("part") == "live"
    return render(request, "design/map_live.html" if part else "design/map.html", context)


def _only(
    asked: Asked, graph: Graph, then: Graph | None, label: str, teams: Mapping[UUID, str]
) -> frozenset[UUID] | None:
    """The resources of a site and a team; None for all of them. At most one query."""
    found: set[UUID] | None = None
    if asked.site:
        rows = ResourceLabel.objects.filter(name=label, value=asked.site)
        found = set(rows.values_list("resource_id", flat=True))
    if asked.team:
        wanted = {None} if asked.team == "-" else {id_ for id_, name in teams.items() if name == asked.team}
        nodes = [*graph.nodes.values(), *(then.nodes.values() if then else ())]
        mine = {node.id for node in nodes if node.owner_id in wanted}
        found = mine if found is None else found & mine
    return None if found is None else frozenset(found)


def _sites(actor: Actor, label: str) -> list[str]:
    """The sites of what the actor may see. One query."""
    rows = ResourceLabel.objects.filter(name=label)
    if not allows(actor, VIEW):
        rows = rows.filter(resource__in=visible(actor))
    return list(rows.order_by("value").values_list("value", flat=True).distinct()[:MAX_SITES])


def _context(asked: Asked, chosen: Chosen, picture: Picture, problem: Problem | None) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for box in picture.boxes:
        counts[box.status] = counts.get(box.status, 0) + (box.count or 1)
    failing = [box for box in picture.boxes if box.tone in ("critical", "warning")]
    order = {"critical": 0, "warning": 1}
    both = chosen.both
    return {
        "map": picture,
        "asked": asked,
        "problem": problem,
        "counts": sorted(counts.items()) if asked.at is None else [],
        "failing": sorted(failing, key=lambda box: (order[box.tone], box.name)),
        "focus": chosen.graph.nodes[chosen.focus] if chosen.focus else None,
        "unknown": [text for text in (asked.focus, asked.to) if text and found_by(chosen.graph, text) is None],
        "no_path": bool(asked.to and chosen.focus and found_by(chosen.graph, asked.to) and not chosen.path),
        "path": [chosen.graph.nodes[id_] for id_ in chosen.path],
        "suffer": _reached(chosen.graph, chosen.up),
        "needed": _reached(chosen.graph, chosen.down),
        "listed": picture.boxes[:MAX_LISTED],
        "relations": picture.lines[:MAX_LISTED],
        "nothing_then": both is not None and all(both.nodes.get(id_) == "new" for id_ in both.graph.nodes),
        "gone": sum(mark == "gone" for mark in both.nodes.values()) if both else 0,
        "new": sum(mark == "new" for mark in both.nodes.values()) if both else 0,
        "edges_gone": sum(mark == "gone" for mark in both.edges.values()) if both else 0,
        "edges_new": sum(mark == "new" for mark in both.edges.values()) if both else 0,
        "address": reverse("web:map") + "?" + urlencode([*asked.pairs(), ("part", "live")]),
        "names": sorted({box.name for box in picture.boxes if box.id})[:MAX_LISTED],
    }


def _reached(graph: Graph, found: Mapping[UUID, int]) -> dict[str, Any]:
    """How many there are, and the nearest by name."""
    near = sorted(found.items(), key=lambda each: (each[1], graph.nodes[each[0]].name))[:MAX_REACHED]
    return {"count": len(found), "near": [{"node": graph.nodes[id_], "steps": steps} for id_, steps in near]}
