"""What a map is asked for, out of an address, and the address of a question. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.inventory.graph import Graph
from tongchou.inventory.kinds import ORIGINS
from tongchou.inventory.scene import Direction

MAX_DEPTH = 6
MAX_TEXT = 253
DIRECTIONS: Mapping[str, Direction] = {"both": "both", "needs": "needs", "needed_by": "needed_by"}


@dataclass(frozen=True)
class Asked:
    """One question. None stands for all; `at` is a time gone by; `depth` 0 draws everything and marks what is near."""

    everything: bool = False
    origins: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    site: str = ""
    team: str = ""
    focus: str = ""
    to: str = ""
    depth: int = 0
    direction: Direction = "both"
    at: datetime | None = None

    def pairs(self, **changed: str) -> list[tuple[str, str]]:
        """The question as parameters of an address, with some of them changed; "" takes one away."""
        told: dict[str, list[str]] = {
            "show": ["all"] if self.everything else [],
            "origin": sorted(self.origins or ()),
            "kind": sorted(self.kinds or ()),
            "site": [self.site],
            "team": [self.team],
            "focus": [self.focus],
            "to": [self.to],
            "depth": [str(self.depth)] if self.depth else [],
            "direction": [self.direction] if self.direction != "both" else [],
            "at": [self.at_text],
        }
        told |= {name: [value] for name, value in changed.items()}
        return [(name, value) for name, values in told.items() for value in values if value]

    def address(self, **changed: str) -> str:
        """The address of the map that answers this question."""
        return reverse("web:map") + "?" + urlencode(self.pairs(**changed))

    @property
    def at_text(self) -> str:
        """The time as the form's field writes it, in the person's time zone."""
        return f"{timezone.localtime(self.at):%Y-%m-%dT%H:%M}" if self.at else ""

    @property
    def without_time(self) -> str:
        """The same question of now."""
        return self.address(at="")

    def has(self, origin: str) -> bool:
        """Tell whether relations of this origin are let through."""
        return self.origins is None or origin in self.origins


def asked_of(get: QueryDict, *, now: datetime) -> Asked:
    """Read a question. Raises Invalid naming the field."""
    origins = frozenset(each for each in get.getlist("origin") if each in ORIGINS)
    named = frozenset(each[:64] for each in get.getlist("kind")[:40] if each)
    return Asked(
        everything=get.get("show") == "all",
        origins=origins if origins and len(origins) < len(ORIGINS) else None,
        kinds=named or None,
        site=_text(get, "site"),
        team=_text(get, "team"),
        focus=_text(get, "focus"),
        to=_text(get, "to"),
        depth=_depth(get.get("depth", "").strip()),
        direction=DIRECTIONS.get(get.get("direction", ""), "both"),
        at=_at(get.get("at", "").strip(), now),
    )


def _text(get: QueryDict, name: str) -> str:
    return str(get.get(name, "")).strip()[:MAX_TEXT]


def _depth(text: str) -> int:
    if not text or text == "0":
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= MAX_DEPTH):
        raise Invalid(
            "map.depth",
            _("A depth is a number of steps from 1 to %(most)s.") % {"most": MAX_DEPTH},
            field="depth",
            value=text[:20],
            remedy=_("Choose one from the list, or none for everything."),
        )
    return int(text)


def _at(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        found = parse_datetime(text.replace(" ", "+") if "T" in text else text)
        moment = found if found is None or found.tzinfo else timezone.make_aware(found)
        moment = moment.astimezone(UTC) if moment else None
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment > now:
        raise Invalid(
            "map.at",
            _("A time gone by is wanted."),
            field="at",
            value=text[:60],
            remedy=_("Write it like 2026-03-03T08:00."),
        )
    return moment


def found_by(graph: Graph, text: str) -> UUID | None:
    """Return the resource of this id or exact name (of several, a service before others); None when there is none."""
    if not text:
        return None
    try:
        id_ = UUID(text)
    except ValueError:
        named = [node for node in graph.nodes.values() if node.name == text]
        named.sort(key=lambda node: (node.kind != "service", str(node.id)))
        return named[0].id if named else None
    return id_ if id_ in graph else None
