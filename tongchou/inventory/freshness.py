"""How old a word is, and whether that is too old: per source a multiple of its interval, per attribute what is set.

Pure. A word is as old as the last time its source saw the resource, or said it: not as its last change alone. Of a
source that looks by itself `interval_seconds` says how often; of one to which people hand files over it says None, and
its word may be as old as a person's: nobody knows when the next file comes, so none is late.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from tongchou.inventory.precedence import MANUAL

State = Literal["fresh", "stale", "unknown"]
LEAST_SECONDS = 180.0  # sightings are flushed once a minute: below this nothing can be told from late
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_OVERRIDE = re.compile(r"\A([A-Za-z0-9_.\-]{1,120})=(\d{1,6})([smhdw])\Z")


class Word(Protocol):
    """What a source says about an attribute (reads.AttributeView, reads.Said)."""

    @property
    def source(self) -> str:
        """Who says it."""
        ...

    @property
    def last_seen(self) -> datetime | None:
        """When that source last saw the resource."""
        ...

    @property
    def changed_at(self) -> datetime:
        """When it began to say so."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """When a word is stale. `intervals`: looks missed; `manual_seconds`: what people say or hand over, 0 never."""

    intervals: int = 3
    manual_seconds: float = 365 * 86_400.0
    by_attribute: Mapping[str, float] = field(default_factory=dict)

    def seconds(self, attribute: str, source: str, interval_seconds: Mapping[str, float | None]) -> float | None:
        """Return after how long a word is stale; None: never, or there is no such source to tell."""
        own = self.by_attribute.get(attribute)
        if own is not None:
            return own
        if _by_hand(source, interval_seconds):
            return self.manual_seconds or None
        interval = interval_seconds.get(source)
        return None if interval is None else max(LEAST_SECONDS, self.intervals * interval)


def _by_hand(source: str, interval_seconds: Mapping[str, float | None]) -> bool:
    return source == MANUAL or (source in interval_seconds and interval_seconds[source] is None)


@dataclass(frozen=True, slots=True)
class Freshness:
    """The age of a word and its limit, in seconds; `unknown`: there is no source any more that would say it again."""

    state: State
    age_seconds: float
    limit_seconds: float | None


def freshness(
    attribute: str, word: Word, *, now: datetime, limits: Limits, interval_seconds: Mapping[str, float | None]
) -> Freshness:
    """Return how fresh a word is. No data is never fresh: what no configured source would say again is unknown."""
    limit = limits.seconds(attribute, word.source, interval_seconds)
    seen = word.changed_at if word.last_seen is None else max(word.last_seen, word.changed_at)
    age = max(0.0, (now - seen).total_seconds())
    if limit is None:
        return Freshness("fresh" if _by_hand(word.source, interval_seconds) else "unknown", age, None)
    return Freshness("stale" if age > limit else "fresh", age, limit)


def read_overrides(text: str) -> dict[str, float] | None:
    """Read "os=30d, version=2h"; None when it is not written so."""
    found: dict[str, float] = {}
    for part in _parts(text):
        match = _OVERRIDE.match(part)
        if match is None:
            return None
        found[match[1]] = int(match[2]) * float(_UNITS[match[3]])
    return found


def _parts(text: str) -> Iterable[str]:
    return (each.strip() for each in text.split(",") if each.strip())
