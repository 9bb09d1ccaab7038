"""How the last scrape of each target went, and what scraped metrics say about themselves; kept in memory.

The scrape loop writes, pages and APIs read. After a restart it is empty until the first scrapes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from tongchou.wire.exposition import Meta

MAX_METADATA = 20_000


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """One target. `state` is unknown until the first scrape has ended."""

    endpoint_id: UUID
    resource_id: UUID
    url: str
    labels: dict[str, str]
    interval_seconds: float
    timeout_seconds: float
    state: Literal["unknown", "up", "down"] = "unknown"
    last_scrape_ms: int = 0
    last_duration_seconds: float = 0.0
    last_samples: int = 0
    last_error: str = ""


_lock = threading.Lock()
_health: dict[UUID, TargetHealth] = {}
_metadata: dict[str, Meta] = {}


def note(health: TargetHealth) -> None:
    """Remember how a target is."""
    with _lock:
        _health[health.endpoint_id] = health


def forget(endpoint_ids: Iterable[UUID]) -> None:
    """Forget targets that are not scraped any more."""
    with _lock:
        for endpoint_id in endpoint_ids:
            _health.pop(endpoint_id, None)


def note_metadata(found: Mapping[str, Meta]) -> None:
    """Remember type, help and unit of metric families; the newest word counts."""
    with _lock:
        for name, meta in found.items():
            if name in _metadata or len(_metadata) < MAX_METADATA:
                _metadata[name] = meta


def target_health() -> list[TargetHealth]:
    """Every target of this process, by job and instance."""
    with _lock:
        found = list(_health.values())
    return sorted(found, key=lambda each: (each.labels.get("job", ""), each.labels.get("instance", ""), each.url))


def known_metadata() -> dict[str, Meta]:
    """Type, help and unit by metric family."""
    with _lock:
        return dict(_metadata)
