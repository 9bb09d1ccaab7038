"""Who was seen to use what: how sure a connection is, what it is called, and which resources its ends mean.

Pure. An end is a list of identity keys, the one that says most first: "addr:10.0.0.5:5432" (who listens there),
"service:orders", the key of a listening port, of a host; "addr:10.0.0.5" is the host of that address.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

ADDRESS = "addr:"
FIRST, MOST = 0.3, 0.95  # seen once; seen for long
GROWTH_LOOKS = 20.0  # so many looks take two thirds of the way
GRACE_SECONDS = 3600.0  # unseen for so long means nothing: connections come and go
HALF_LIFE_SECONDS = 86_400.0
LEAST = 0.1  # below, the relation is closed
STEP = 0.05  # a relation is written anew only when it moved by so much
STORES = frozenset({"database", "cache", "queue"})
CALLED = frozenset({"service", "instance", "load_balancer"})
MAX_USES = 500


@dataclass(frozen=True, slots=True)
class SeenUse:
    """One look at who uses what: `count` connections at once, or requests a minute."""

    from_keys: tuple[str, ...]
    to_keys: tuple[str, ...]
    count: float = 1.0

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart from other uses of its source."""
        return self.from_keys[0], self.to_keys[0]


def confidence(looks: int, last_seen: datetime, now: datetime) -> float:
    """Return how sure a connection is, from 0 to MOST in steps of STEP.

    It grows with the number of looks (at most one a minute) that saw it, and halves with every day it is not seen.
    """
    if looks <= 0:
        return 0.0
    grown = FIRST + (MOST - FIRST) * (1 - math.exp(-(looks - 1) / GROWTH_LOOKS))
    unseen = max(0.0, (now - last_seen).total_seconds() - GRACE_SECONDS)
    sure = grown * math.exp2(-unseen / HALF_LIFE_SECONDS)
    return round(math.floor(sure / STEP + 1e-9) * STEP, 2)


def relation_type(from_kind: str, to_kind: str) -> str:
    """Return what such a connection is called."""
    if to_kind in STORES:
        return "stores_in"
    return "calls" if from_kind in CALLED and to_kind in CALLED else "depends_on"


@dataclass(frozen=True, slots=True)
class Known:
    """What is needed to tell resources: ids by identity key, by "address:port", hosts by address; wholes of parts."""

    keys: Mapping[str, UUID]
    endpoints: Mapping[str, UUID]
    hosts: Mapping[str, str]  # address -> the identity key of the host that has it
    wholes: Mapping[UUID, UUID]


def resolve(ends: Sequence[str], known: Known) -> UUID | None:
    """Return the resource that the first telling end means; a part (an instance) stands for its whole."""
    for end in ends:
        found = known.keys.get(end) or (_at(end.removeprefix(ADDRESS), known) if end.startswith(ADDRESS) else None)
        if found is not None:
            return known.wholes.get(found, found)
    return None


def _at(place: str, known: Known) -> UUID | None:
    if place in known.endpoints:
        return known.endpoints[place]
    return next((known.keys[key] for key in keys_at(place, known.hosts) if key in known.keys), None)


def keys_at(place: str, hosts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the identity keys of what an "address:port" or address means, by who has it, the one that says most first.

    `hosts`: see `Known`. Nothing for an address that nobody has.
    """
    if place in hosts:
        return (hosts[place],)
    address, _colon, port = place.rpartition(":")
    machine = hosts.get(address.strip("[]"))
    return () if machine is None else (f"{machine}/tcp:{port}", machine)


def place(address: str, port: int | None = None) -> str:
    """Write an address (and port) as an end."""
    if port is None:
        return f"{ADDRESS}{address}"
    return f"{ADDRESS}[{address}]:{port}" if ":" in address else f"{ADDRESS}{address}:{port}"


def merged(uses: Iterable[SeenUse], most: int = MAX_USES) -> list[SeenUse]:
    """Add up uses of the same ends; at most `most`, those with most connections first."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], float] = {}
    for use in uses:
        found[use.from_keys, use.to_keys] = found.get((use.from_keys, use.to_keys), 0.0) + use.count
    rows = [SeenUse(from_keys, to_keys, count) for (from_keys, to_keys), count in found.items()]
    return sorted(rows, key=lambda use: (-use.count, use.from_keys, use.to_keys))[:most]


def wanted(
    seen: Iterable[tuple[UUID | None, UUID | None, float]],
    kind_of: Callable[[UUID], str],
    *,
    watcher: UUID | None = None,
) -> dict[tuple[UUID, UUID, str], float]:
    """Return the relations to hold, with their confidence; too weak ones, and those with one end unknown, are none.

    `watcher` is the platform itself. Who reports to it, and what it reads, works without it and would else be blamed on
    it; only what it keeps its data in does it need.
    """
    found: dict[tuple[UUID, UUID, str], float] = {}
    for from_id, to_id, sure in seen:
        if from_id is not None and to_id is not None and from_id != to_id and sure >= LEAST:
            kind = kind_of(to_id)
            if to_id == watcher or (from_id == watcher and kind not in STORES):
                continue
            key = (from_id, to_id, relation_type(kind_of(from_id), kind))
            found[key] = max(sure, found.get(key, 0.0))
    return found
