"""What would have changed the order: which single reasons keep a suspect above the next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """How firm a place in the ranking is.

    `lead` is by how many points a suspect is above the next (None for the last), `decisive` the codes of its reasons
    each of which alone makes more than that. `behind` is how far below the first it is, `against` the codes of what is
    held against it, each of which alone makes more than that.
    """

    lead: float | None
    decisive: tuple[str, ...]
    behind: float
    against: tuple[str, ...]


def orders(suspects: Sequence[tuple[float, Sequence[tuple[str, float]]]]) -> list[Order]:
    """For suspects, best first, each with its score and (code, points) of its reasons."""
    found = []
    for place, (score, reasons) in enumerate(suspects):
        lead = round(score - suspects[place + 1][0], 1) if place + 1 < len(suspects) else None
        behind = round(suspects[0][0] - score, 1)
        decisive = tuple(code for code, points in reasons if lead is not None and points > lead)
        against = tuple(code for code, points in reasons if place and -points > behind)
        found.append(Order(lead, decisive, behind, against))
    return found
