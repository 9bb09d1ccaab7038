"""Where the blocks of a structure stand in its picture: series from left to right, what is redundant stacked. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tongchou.changes.availability import Group, Node, Part, Standby, each_down

BOX_W, BOX_H, GAP, ROW_GAP, BUS, HEAD, MARGIN = 156.0, 46.0, 22.0, 12.0, 18.0, 20.0, 10.0
LETTERS = 20


@dataclass(frozen=True)
class Box:
    """A part: what it is called, its availability, its source; `tone`: weak, unknown or "" (for the style)."""

    x: float
    y: float
    name: str
    second: str
    title: str
    tone: str
    width: float = BOX_W
    height: float = BOX_H


@dataclass(frozen=True)
class Wire:
    """A line from one point to another; dashed where it leads to a spare."""

    x1: float
    y1: float
    x2: float
    y2: float
    dashed: bool = False


@dataclass(frozen=True)
class Word:
    """A label over a block."""

    x: float
    y: float
    text: str


@dataclass
class Picture:
    """All that is drawn, in a box of `width` x `height`."""

    width: float = 0.0
    height: float = 0.0
    boxes: list[Box] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)


@dataclass(frozen=True)
class _Size:
    """How large a node is, and how far below its top the wire meets it."""

    width: float
    height: float
    axis: float


def picture(node: Node, weakest: str = "") -> Picture:
    """Return the picture of a structure; `weakest` is the name of the part that costs most."""
    drawing = _Drawing(node, weakest)
    size = drawing.size(node)
    made = drawing.made
    made.width, made.height = size.width + 2 * (MARGIN + GAP), size.height + 2 * MARGIN
    axis = MARGIN + size.axis
    made.wires += [Wire(MARGIN, axis, MARGIN + GAP, axis)]
    made.wires += [Wire(made.width - MARGIN - GAP, axis, made.width - MARGIN, axis)]
    drawing.put(node, MARGIN + GAP, MARGIN)
    return made


class _Drawing:
    def __init__(self, node: Node, weakest: str) -> None:
        self.down, self.weakest, self.made = each_down(node), weakest, Picture()

    def size(self, node: Node) -> _Size:
        if isinstance(node, Part):
            return _Size(BOX_W, BOX_H, BOX_H / 2)
        sizes = [self.size(each) for each in _children(node)]
        if isinstance(node, Group) and node.k is None:
            axis = max(each.axis for each in sizes)
            below = max(each.height - each.axis for each in sizes)
            return _Size(sum(each.width for each in sizes) + GAP * (len(sizes) - 1), axis + below, axis)
        height = sum(each.height for each in sizes) + ROW_GAP * (len(sizes) - 1)
        return _Size(max(each.width for each in sizes) + 2 * BUS, HEAD + height, HEAD + height / 2)

    def put(self, node: Node, x: float, y: float) -> None:
        if isinstance(node, Part):
            self.box(node, x, y)
        elif isinstance(node, Group) and node.k is None:
            self.row(node, x, y)
        else:
            self.stack(node, x, y)

    def row(self, node: Group, x: float, y: float) -> None:
        axis = y + self.size(node).axis
        for number, each in enumerate(node.parts):
            size = self.size(each)
            if number:
                self.made.wires.append(Wire(x - GAP, axis, x, axis))
            self.put(each, x, axis - size.axis)
            x += size.width + GAP

    def stack(self, node: Group | Standby, x: float, y: float) -> None:
        size = self.size(node)
        left, right = x, x + size.width
        self.made.words.append(Word(left, y + 12, _said(node)))
        top, points = y + HEAD, []
        for number, each in enumerate(_children(node)):
            inner = self.size(each)
            at, spare = top + inner.axis, isinstance(node, Standby) and number == 1
            start = left + BUS
            self.put(each, start, top)
            self.made.wires += [Wire(left, at, start, at, spare), Wire(start + inner.width, at, right, at, spare)]
            points.append(at)
            top += inner.height + ROW_GAP
        middle = y + size.axis
        for side in (left, right):
            self.made.wires.append(Wire(side, min(points[0], middle), side, max(points[-1], middle)))

    def box(self, part: Part, x: float, y: float) -> None:
        down = self.down[id(part)]
        name = part.name if len(part.name) <= LETTERS else f"{part.name[: LETTERS - 1]}…"
        copies = f" ×{part.count}" if part.count > 1 else ""
        share = _("not known") if down is None else f"{(1 - down) * 100:.4f}".rstrip("0").rstrip(".") + " %"
        tone = "unknown" if down is None else "weak" if part.name == self.weakest else ""
        note = f"{SOURCES[part.source]()}: {part.note}" if part.note else ""
        self.made.boxes.append(
            Box(x, y, name + copies, share, " · ".join(filter(None, (part.name, share, note))), tone)
        )


def _children(node: Group | Standby) -> tuple[Node, ...]:
    return node.parts if isinstance(node, Group) else (node.active, node.spare)


def _said(node: Group | Standby) -> str:
    if isinstance(node, Standby):
        seconds = f"{node.detect_seconds + node.switch_seconds:g}"
        return _("active and standby, %(seconds)s s to take over") % {"seconds": seconds}
    words = ngettext("%(k)s of %(n)s is needed", "%(k)s of %(n)s are needed", node.k or 0)
    said = words % {"k": node.k, "n": node.units}
    return f"{said} · β {node.beta * 100:g} %" if node.beta else said


SOURCES = {
    "measured": lambda: _("measured"),
    "vendor": lambda: _("vendor"),
    "assumption": lambda: _("assumption"),
    "unknown": lambda: _("not known"),
}
