"""What a source saw in one look at the world: plain data, without identity in our tables.

Pure. Resources are told apart by identity keys (serial, UUID, MAC, FQDN, "service:<name>"): two resources that share
a key are one. The strongest key comes first. A relation's end is such a key, or "name:<name>" (see reconcile.resolve).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tongchou.inventory.connections import SeenUse

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

MAX_KEY = 255
MAX_NAME = 253
MAX_KIND = 64
MAX_LABEL_VALUE = 1000
OWN_SERVICE = "tongchou"  # the platform itself


def service_key(name: str) -> str:
    """Return the identity key of the service of this name; services are known by name across all sources."""
    return f"service:{name}"


@dataclass(frozen=True, slots=True)
class ObservedResource:
    """One thing. `attributes` must be facts that seldom change: a reading that moves is a metric, not an attribute.

    `seen_at`: when it was seen, where that is not now (a cache, an export): what is said of it is as old as that.
    """

    kind: str
    name: str
    keys: tuple[str, ...]
    attributes: Mapping[str, Json] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ObservedRelation:
    """A relation between the first pair of `ends` (from, to) whose both ends exist; until then it is deferred."""

    type: str
    ends: tuple[tuple[str, str], ...]
    origin: str = "declared"
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class ObservedEndpoint:
    """Where a resource can be read. `labels` go onto every series; `job` and `instance` are among them."""

    resource_key: str
    url: str
    labels: Mapping[str, str]
    purpose: str = "metrics"
    interval_seconds: float = 15.0
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Observation:
    """One look. `complete` False: part of the world could not be seen, so what is absent proves nothing.

    `uses`: who was seen to use what; None where the source does not look at that.
    """

    resources: tuple[ObservedResource, ...] = ()
    relations: tuple[ObservedRelation, ...] = ()
    endpoints: tuple[ObservedEndpoint, ...] = ()
    complete: bool = True
    warnings: tuple[str, ...] = ()
    uses: tuple[SeenUse, ...] | None = None
