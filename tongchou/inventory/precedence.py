"""Whose word counts when sources differ: the strongest source's, per attribute, whatever the order of arrival.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

MANUAL = "manual"  # the source name of what people and API callers state
MANUAL_PRECEDENCE = 1000
UNKNOWN_PRECEDENCE = 0  # a source that was deleted: its last word stands until anyone else speaks

V = TypeVar("V")


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
