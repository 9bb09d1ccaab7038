"""Where an observed attribute stands, from modifications of it that come in any order, some of them twice. Pure.

Each modification is an event of the ledger with a number that grows, with the value before and the one after. What was
there first (the value before the oldest) against what is there last (the value after the newest) is all that counts:
minimum and maximum do not mind order or repetition. What a change explains, and what a person adopted, is the floor:
nothing at or below it counts any more, and the value it left is what is expected from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Seen:
    """One modification. `change`: the Ref of what explains it, "" of nothing."""

    event: int
    before: str
    after: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """`base` is what is expected, as of the event `base_event`; `last` what was observed last. 0: nothing yet."""

    floor: int = 0
    base_event: int = 0
    base: str = ""
    last_event: int = 0
    last: str = ""

    @property
    def explained(self) -> bool:
        """Whether what was seen last is what a change explains, or was adopted."""
        return self.floor != 0 and self.floor == self.last_event


def take(standing: Standing, seen: Seen) -> Standing:
    """Return where it stands with one modification more; the same for one that counts no more."""
    if seen.event <= standing.floor:
        return standing
    newest = seen.event > standing.last_event
    now = replace(standing, last_event=seen.event, last=seen.after) if newest else standing
    if seen.change:
        return replace(now, floor=seen.event, base_event=seen.event, base=seen.after)
    if standing.base_event == 0 or seen.event < standing.base_event:
        return replace(now, base_event=seen.event, base=seen.before)
    return now


def fold(standing: Standing, seen: Iterable[Seen]) -> Standing:
    """Return where it stands with all of these."""
    for each in seen:
        standing = take(standing, each)
    return standing


def adopted(standing: Standing) -> Standing:
    """Return it with what was observed last as what is expected."""
    last = standing.last_event
    return replace(standing, floor=last, base_event=last, base=standing.last)
