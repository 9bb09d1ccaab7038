"""What sorts of things and relations exist, and which way failure flows along a relation.

Pure. A kind that is not listed here is legal: it shows under its own name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of resource. `tier` orders the service map among equals: callers are low (left), stores high (right)."""

    name: str
    title: Text
    icon: str
    tier: int


@dataclass(frozen=True, slots=True)
class RelationType:
    """A sort of relation, read "from <title> to". `needed` is the end that the other one depends on.

    When the needed end fails, the other end is affected; never the other way round.
    """

    name: str
    title: Text
    reverse_title: Text
    needed: Literal["from", "to"]


def _by_name(*kinds: Kind) -> dict[str, Kind]:
    return {kind.name: kind for kind in kinds}


KINDS: dict[str, Kind] = _by_name(
    Kind("load_balancer", _("Load balancer"), "split", 0),
    Kind("service", _("Service"), "boxes", 1),
    Kind("instance", _("Instance"), "box", 2),
    Kind("queue", _("Queue"), "list-ordered", 3),
    Kind("cache", _("Cache"), "zap", 3),
    Kind("database", _("Database"), "database", 4),
    Kind("listener", _("Listening port"), "ear", 5),
    Kind("host", _("Host"), "server", 6),
    Kind("filesystem", _("File system"), "folder-tree", 7),
    Kind("disk", _("Disk"), "hard-drive", 7),
    Kind("interface", _("Network interface"), "network", 7),
)

RELATION_TYPES: dict[str, RelationType] = {
    each.name: each
    for each in (
        RelationType("calls", _("calls"), _("is called by"), "to"),
        RelationType("runs_on", _("runs on"), _("carries"), "to"),
        RelationType("stores_in", _("stores in"), _("stores for"), "to"),
        # the whole needs its parts: a service fails when its instances do, a host when its disk does
        RelationType("part_of", _("is part of"), _("consists of"), "from"),
        # the copy goes stale when its origin fails; the origin does not notice the loss of a copy
        RelationType("replicates_to", _("replicates to"), _("is a copy of"), "from"),
    )
}

# Where a relation comes from, and how sure we are of it when its source does not say.
ORIGINS: dict[str, float] = {"declared": 1.0, "observed": 0.9, "inferred": 0.6}


def kind(name: str) -> Kind:
    """Return the kind of this name; an unknown one is shown as it is written."""
    return KINDS.get(name) or Kind(name, name, "circle", 3)


def dependency(type_: str, from_: object, to: object) -> tuple[object, object]:
    """Return (dependant, needed) for a relation. An unknown type is read as "from needs to"."""
    known = RELATION_TYPES.get(type_)
    return (to, from_) if known is not None and known.needed == "from" else (from_, to)
