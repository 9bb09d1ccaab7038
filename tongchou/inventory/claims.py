"""Which identity keys identify nothing because several machines claim them: clones of an image, containers of one host.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_NAMED = 5  # in a note


@dataclass(frozen=True, slots=True)
class Claim:
    """What one machine says it is: its keys, and the MAC addresses by which it is told from others."""

    name: str
    keys: tuple[str, ...]
    macs: frozenset[str] = frozenset()


def same(one: Claim, other: Claim) -> bool:
    """Whether two that claim one key may be one machine: they share an interface or, where one has none, a name."""
    return bool(one.macs & other.macs) if one.macs and other.macs else one.name == other.name


def shared(claims: Iterable[Claim]) -> dict[str, Sequence[Claim]]:
    """Return the keys that several machines claim, which identifies none of them, and who does."""
    by_key: dict[str, list[Claim]] = {}
    for each in claims:
        for key in each.keys:
            by_key.setdefault(key, []).append(each)
    return {
        key: several for key, several in by_key.items() if not all(same(several[0], other) for other in several[1:])
    }


def note(key: str, claims: Sequence[Claim]) -> str:
    """Say of a key that several machines claim it."""
    names = ", ".join(sorted({each.name for each in claims})[:MOST_NAMED])
    return f"{key}: {len(claims)} machines claim it, so it identifies none of them: {names}"
