"""Whose word counts when sources differ: the strongest source's, per attribute, whatever the order of arrival.

A source that gave a resource up counts less about it than all who still see it, until it sees it again. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from uuid import UUID

MANUAL = "manual"  # the source name of what people and API callers state
MANUAL_PRECEDENCE = 1000
OWNER, NAME = "owner", "name"  # matters in which a source may weigh otherwise, beside attributes
UNKNOWN_PRECEDENCE = 0  # a source that was deleted: its last word stands until anyone else speaks

MAX_DERIVED = 1000  # characters of JSON: a longer value is on the resource's page, not in lists and filters
PARTS = ("table/",)  # how attributes begin that hold a part of a thing, of which there may be hundreds

V = TypeVar("V")


class Tie(Protocol):
    """What of a relation is looked at."""

    from_resource_id: UUID
    type: str
    source: str


T = TypeVar("T", bound=Tie)


@dataclass(frozen=True, slots=True)
class Weights:
    """How much the word of each source counts: `sources` by name; `special` by what it is about, then by source."""

    sources: Mapping[str, int] = field(default_factory=dict)
    special: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def about(self, what: str = "", gone: Sequence[str] = ()) -> Mapping[str, int]:
        """Return the precedence of each source in a matter: an attribute, OWNER or NAME, "" for anything else.

        `gone`: the sources that gave the resource up, the first to do so first. They come after all others, and among
        them the last one to give it up counts most: what was known last stands. People give nothing up by looking.
        """
        special = self.special.get(what)
        if special is None and not gone:
            return self.sources
        found = {**self.sources, **(special or {})}
        found.update((source, UNKNOWN_PRECEDENCE - place) for place, source in enumerate(reversed(gone), 1))
        return found


def strength(source: str, precedence: Mapping[str, int]) -> tuple[int, str]:
    """Return the sort key of a source: higher is stronger; the name decides a tie, so order never matters."""
    if source == MANUAL:
        return (MANUAL_PRECEDENCE, source)
    return (precedence.get(source, UNKNOWN_PRECEDENCE), source)


def strongest(sources: Iterable[str], precedence: Mapping[str, int]) -> str | None:
    """Return the strongest of `sources`, None of none."""
    return max(sources, key=lambda source: strength(source, precedence), default=None)


def may_overrule(source: str, other: str, precedence: Mapping[str, int]) -> bool:
    """Tell whether `source` may replace what `other` said: its own word, or a weaker one's."""
    return source == other or strength(source, precedence) > strength(other, precedence)


def effective(values: Mapping[str, V], precedence: Mapping[str, int]) -> V | None:
    """Return the value of the strongest source in `values` (source -> value), None of none."""
    source = strongest(values, precedence)
    return None if source is None else values[source]


def all_effective(
    values: Mapping[str, Mapping[str, V]], weights: Weights, gone: Sequence[str] = ()
) -> dict[str, V | None]:
    """Return name -> effective value of name -> source -> value, of a resource that the sources in `gone` gave up."""
    usual = weights.about("", gone)
    return {
        name: effective(by_source, weights.about(name, gone) if name in weights.special else usual)
        for name, by_source in values.items()
        if by_source
    }


def derived(values: Mapping[str, Mapping[str, Any]], weights: Weights, gone: Sequence[str] = ()) -> dict[str, Any]:
    """Return name -> effective value of name -> source -> value, as Resource.attributes keeps it.

    Without what is null, what is too long to be filtered by, and what a source tells of each part of a thing.
    """
    found = all_effective(values, weights, gone)
    return {
        name: value
        for name, value in sorted(found.items())
        if value is not None
        and not name.startswith(PARTS)
        and len(json.dumps(value, ensure_ascii=False)) <= MAX_DERIVED
    }


def counting(ties: Iterable[T], precedence: Mapping[str, int], *, first: str = "") -> list[T]:
    """Return of relations from one resource those of the strongest source, in the order given.

    For relations of which a resource has one at a time, all it has must be given. `first`: the type that counts before
    others that the same source says.
    """
    ranked = [(tie, (*strength(tie.source, precedence), tie.type == first)) for tie in ties]
    best: dict[UUID, tuple[int, str, bool]] = {}
    for tie, rank in ranked:
        best[tie.from_resource_id] = max(rank, best.get(tie.from_resource_id, rank))
    return [tie for tie, rank in ranked if rank == best[tie.from_resource_id]]
