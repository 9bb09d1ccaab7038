"""What one sender may send, and by which name it is known."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from tongchou.core import settings_store
from tongchou.core.access import Actor
from tongchou.core.models import ApiToken

FRESH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SenderLimits:
    """Of one source: active series, and samples a second over a minute; 0 means no limit."""

    series: int = 0
    samples_per_second: int = 0


NONE = SenderLimits()


class _Cached:
    limits = NONE
    read_at = 0.0


def refreshed() -> SenderLimits:
    """The limits as the settings say; read at most every 10 s (two SQL queries)."""
    if not _Cached.read_at or time.monotonic() - _Cached.read_at >= FRESH_SECONDS:
        _Cached.limits = SenderLimits(
            int(settings_store.get("metrics.source_max_series")),
            int(settings_store.get("metrics.source_max_samples_per_second")),
        )
        _Cached.read_at = time.monotonic()
    return _Cached.limits


def current() -> SenderLimits:
    """The limits as they were last read, without asking the database."""
    return _Cached.limits


def forget() -> None:
    """Read the settings anew at the next request."""
    _Cached.read_at = 0.0


def of(actor: Actor) -> SenderLimits:
    """The limits of whoever acts; parts of the platform have none."""
    return NONE if actor.kind == "system" else refreshed()


def name_of(actor: Actor) -> str:
    """The source that an actor is: "token mail-1 (operator)". One SQL query at the first sight of a token."""
    if actor.kind == "token" and actor.token_id is not None:
        return _token_name(actor.token_id, actor.name)
    return f"{actor.kind} {actor.name}"


@lru_cache(maxsize=10_000)
def _token_name(token_id: UUID, owner: str) -> str:
    name = ApiToken.objects.filter(pk=token_id).values_list("name", flat=True).first()
    return f"token {name or token_id} ({owner})"


def target_name(labels: dict[str, str]) -> str:
    """The source that a scraped target is: "scrape node/host-1:9100"."""
    return f"scrape {labels.get('job', '')}/{labels.get('instance', '')}"
