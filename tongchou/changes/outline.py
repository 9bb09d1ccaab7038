"""A structure of parts as people write it: an outline, two blanks a level, one block or part a line. Pure.

series: orders
parallel: web, beta 5%
web server x2 | mtbf 8760h mttr 4h | vendor: data sheet
standby: database, detect 10s, switch 20s, failover fails 2%
db-1 | mtbf 4000h mttr 2h | assumption: like the old one
db-2 | 99.9% | measured: objective db-availability
2 of 3: queue, beta 5%
broker x3 | ? |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from django.utils.translation import gettext_lazy as _

from tongchou.changes.availability import (
    MAX_COPIES,
    MAX_DEPTH,
    MAX_PARTS,
    MAX_SHARED,
    Group,
    Node,
    Part,
    SourceKind,
    Standby,
    children,
    leaves,
    shared,
)
from tongchou.core.problems import Invalid, Text

MAX_CHARACTERS, MAX_NAME = 20_000, 120
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600}
HOURS = {"h": 1, "d": 24, "y": 8760}
SOURCES: dict[str, SourceKind] = {
    "measured": "measured", "vendor": "vendor", "assumption": "assumption",
    "实测": "measured", "厂商": "vendor", "假设": "assumption",
}  # fmt: skip
_HEAD = re.compile(
    r"(?P<kind>series|parallel|standby|(?P<k>\d{1,3}) of (?P<n>\d{1,3}))\s*[:：]\s*(?P<rest>.*)\Z", re.IGNORECASE
)
_COPIES = re.compile(r"(?P<name>.*\S)\s+[x×](?P<count>\d{1,4})\Z")
_TIMES = re.compile(
    r"mtbf (?P<mtbf>[\d.]+)\s*(?P<up>[hdy]) mttr (?P<mttr>[\d.]+)\s*(?P<down>[hdy]|min)\Z", re.IGNORECASE
)
_WORD = re.compile(
    r"(?P<word>beta|detect|switch|failover fails|failures)\s+(?P<value>[\d.]+)\s*(?P<unit>%|/y|[a-z]+)?\Z",
    re.IGNORECASE,
)
EXAMPLE = "web server x2 | mtbf 8760h mttr 4h | vendor: data sheet"


@dataclass
class _Line:
    number: int
    depth: int
    text: str
    under: list[_Line] = field(default_factory=list)

    def refuse(self, detail: Text, remedy: Text = "") -> NoReturn:
        raise Invalid(
            "availability.outline",
            detail,
            field=f"structure[{self.number}]",
            value=self.text,
            remedy=remedy or _("Write a part as: %(example)s.") % {"example": EXAMPLE},
        )


def read(text: str) -> Node | None:
    """Return the structure of an outline, None of an empty one; Invalid names the line."""
    if len(text) > MAX_CHARACTERS:
        raise Invalid(
            "availability.outline",
            _("An outline has at most %(most)s characters.") % {"most": MAX_CHARACTERS},
            field="structure",
        )
    roots = _tree(text)
    if not roots:
        return None
    if len(roots) > 1:
        roots[1].refuse(
            _("There is one block on top."), _("Begin with: series: and indent all below it by two blanks.")
        )
    node = _node(roots[0])
    _check(node)
    return node


def _tree(text: str) -> list[_Line]:
    roots: list[_Line] = []
    open_: list[_Line] = []
    for number, raw in enumerate(text.replace("\t", "  ").splitlines(), 1):
        if not raw.strip() or raw.strip().startswith("#"):
            continue
        blanks = len(raw) - len(raw.lstrip(" "))
        line = _Line(number, blanks // 2, raw.strip())
        if blanks % 2 or line.depth > len(open_):
            line.refuse(_("A level is two blanks deeper than the one above it."), _("Indent it by two blanks a level."))
        if line.depth > MAX_DEPTH:
            line.refuse(_("There are at most %(most)s levels.") % {"most": MAX_DEPTH}, _("Draw it more simply."))
        del open_[line.depth :]
        (open_[-1].under if open_ else roots).append(line)
        open_.append(line)
    return roots


def _node(line: _Line) -> Node:
    if "|" in line.text or "｜" in line.text:
        if line.under:
            line.under[0].refuse(_("Nothing stands below a part."), _("Make it a block, such as series: name."))
        return _part(line)
    head = _HEAD.match(line.text)
    if head is None:
        line.refuse(_("This is neither a block nor a part."))
    name, *words = [each.strip() for each in re.split("[,，]", head["rest"])]
    said = dict(_word(line, each) for each in words if each)
    kind = head["kind"].lower()
    if kind == "standby":
        return _standby(line, name, said)
    if not line.under:
        line.refuse(_("A block has parts."), _("Write them below it, two blanks deeper."))
    allowed = set() if kind == "series" else {"beta"}
    if set(said) - allowed:
        line.refuse(_("This block does not know: %(words)s.") % {"words": ", ".join(set(said) - allowed)})
    parts = tuple(_node(each) for each in line.under)
    k = None if kind == "series" else 1 if kind == "parallel" else int(head["k"])
    group = Group(_named(line, name), parts, k, said.get("beta", 0.0))
    if head["n"] and int(head["n"]) != group.units:
        line.refuse(_("It says of %(n)s, and has %(has)s.") % {"n": head["n"], "has": group.units})
    if k is not None and not 1 <= k <= group.units:
        line.refuse(_("So many are not there: %(has)s are.") % {"has": group.units})
    return group


def _standby(line: _Line, name: str, said: dict[str, float]) -> Standby:
    if len(line.under) != 2:
        line.refuse(_("A standby block has two parts: the active one, and the one that takes over."))
    wanted = {"detect", "switch", "failover fails"}
    if not wanted <= set(said) <= wanted | {"failures"}:
        line.refuse(
            _("A standby block says how long it takes to detect and to switch, and how often that fails."),
            _("Write: standby: name, detect 10s, switch 20s, failover fails 2%."),
        )
    active, spare = (_node(each) for each in line.under)
    for each in (active, spare):
        if isinstance(each, Part) and each.count > 1:
            line.refuse(_("The parts of a standby block are single ones."), _("Put copies into a block of their own."))
    return Standby(
        _named(line, name),
        active,
        spare,
        said["detect"],
        said["switch"],
        said["failover fails"],
        said.get("failures"),
    )


def _word(line: _Line, text: str) -> tuple[str, float]:
    found = _WORD.match(text)
    if found is None:
        line.refuse(
            _("This is not understood: %(words)s.") % {"words": text[:80]},
            _("Known are beta 5%, detect 10s, switch 20s, failover fails 2%, failures 4/y."),
        )
    word, unit = found["word"].lower(), (found["unit"] or "").lower()
    value = _decimal(line, found["value"])
    if word in ("beta", "failover fails"):
        share = value / 100 if unit == "%" else value
        if unit not in ("", "%") or not 0 <= share <= 1:
            line.refuse(_("A share is from 0% to 100%."), _("Write: beta 5%."))
        return word, float(share)
    if word == "failures":
        if unit != "/y" or value > 1_000_000:
            line.refuse(_("Failures are counted a year."), _("Write: failures 4/y."))
        return word, float(value)
    if unit not in SECONDS:
        line.refuse(_("A time has a unit."), _("Write: detect 10s."))
    return word, float(value * SECONDS[unit])


def _part(line: _Line) -> Part:
    cells = [each.strip() for each in re.split("[|｜]", line.text)]
    if len(cells) not in (2, 3):
        line.refuse(_("A part has a name, a figure and a source."))
    copies = _COPIES.match(cells[0])
    name, count = (copies["name"], int(copies["count"])) if copies else (cells[0], 1)
    if not 1 <= count <= MAX_COPIES:
        line.refuse(_("There are 1 to %(most)s copies of a part.") % {"most": MAX_COPIES})
    figure = cells[1]
    if figure in ("?", ""):
        return Part(_named(line, name), count)
    kind, _colon, note = (re.sub("[:：]", ":", cells[2], count=1) if len(cells) > 2 else "").partition(":")
    source = SOURCES.get(kind.strip().lower())
    if source is None or not note.strip():
        line.refuse(_("A figure has a source: measured, vendor or assumption, and a note."))
    times = _TIMES.match(figure)
    if times:
        up = _decimal(line, times["mtbf"]) * HOURS[times["up"].lower()]
        unit = times["down"].lower()
        down = _decimal(line, times["mttr"]) / 60 if unit == "min" else _decimal(line, times["mttr"]) * HOURS[unit]
        if up <= 0:
            line.refuse(_("The time between failures is above 0."))
        return Part(_named(line, name), count, None, float(up), float(down), source, note.strip()[:200])
    share = _decimal(line, figure.removesuffix("%").strip()) / 100 if figure.endswith("%") else None
    if share is None or not 0 <= share <= 1:
        line.refuse(_("A figure is an availability such as 99.9%, or mtbf 8760h mttr 4h, or ? where it is not known."))
    return Part(_named(line, name), count, float(share), None, None, source, note.strip()[:200])


def _named(line: _Line, name: str) -> str:
    if not name or len(name) > MAX_NAME:
        line.refuse(_("It has a name of at most %(most)s characters.") % {"most": MAX_NAME})
    return name


def _decimal(line: _Line, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = None
    if value is None or len(text) > 25 or not value.is_finite() or value < 0:
        line.refuse(_("A number is wanted."))
    return value


def _check(node: Node) -> None:
    found: dict[str, Part] = {}
    parts = list(leaves(node))
    if len(parts) > MAX_PARTS:
        _refuse(_("There are at most %(most)s parts.") % {"most": MAX_PARTS}, _("Join those that always go together."))
    again = shared(node)
    if len(again) > MAX_SHARED:
        _refuse(
            _("At most %(most)s parts stand in several places.") % {"most": MAX_SHARED},
            _("Put what all need into the series above them: %(names)s.") % {"names": ", ".join(again[:10])},
        )
    for each in parts:
        if found.setdefault(each.name, each) != each:
            _refuse(
                _("%(name)s stands in several places with different figures.") % {"name": each.name},
                _("The same name is the same part: write the same line, or another name."),
            )
        if each.count > 1 and each.name in again:
            _refuse(
                _("%(name)s stands in several places, so it is one part and has no copies.") % {"name": each.name},
                _("Give each copy its name."),
            )


def _refuse(detail: Text, remedy: Text) -> NoReturn:
    raise Invalid("availability.outline", detail, field="structure", remedy=remedy)


def write(node: Node) -> str:
    """Return the outline of a structure; `read` gives the same structure again."""
    return "\n".join(_lines(node, 0))


def _lines(node: Node, depth: int) -> Iterator[str]:
    yield "  " * depth + _said(node)
    for each in children(node):
        yield from _lines(each, depth + 1)


def _said(node: Node) -> str:
    if isinstance(node, Part):
        copies = f" x{node.count}" if node.count > 1 else ""
        if node.mtbf_hours is not None and node.mttr_hours is not None:
            figure = f"mtbf {_plain(node.mtbf_hours)}h mttr {_plain(node.mttr_hours)}h"
        else:
            figure = "?" if node.availability is None else _percent(node.availability)
        source = "" if node.source == "unknown" else f"{node.source}: {node.note}"
        return f"{node.name}{copies} | {figure} | {source}".rstrip()
    if isinstance(node, Standby):
        rate = "" if node.failures_per_year is None else f", failures {_plain(node.failures_per_year)}/y"
        return (
            f"standby: {node.name}, detect {_plain(node.detect_seconds)}s, switch {_plain(node.switch_seconds)}s, "
            f"failover fails {_percent(node.failover_fails)}{rate}"
        )
    beta = f", beta {_percent(node.beta)}" if node.beta else ""
    if node.k is None:
        return f"series: {node.name}"
    kind = "parallel" if node.k == 1 else f"{node.k} of {node.units}"
    return f"{kind}: {node.name}{beta}"


def _plain(value: float) -> str:
    return f"{Decimal(repr(value)).normalize():f}"


def _percent(share: float) -> str:
    return f"{(Decimal(repr(share)) * 100).normalize():f}%"
