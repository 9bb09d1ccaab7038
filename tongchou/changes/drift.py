"""How a difference goes on when a look saw it, and when a look did not. Pure.

A difference opens after N looks in a row that saw it, over at least the tolerated time: one look may catch a host in
the middle of an approved run. While a change on the resource is being implemented it is explained by that; what is left
when the change is over is not. A decision of a person holds for what was seen then: when something else is observed the
difference is open again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal, Protocol, TypeVar

State = Literal["watched", "open", "with_change", "adopt", "revert", "ignored", "cleared"]
DECIDED: tuple[State, ...] = ("adopt", "revert", "ignored")
MAX_TEXT = 8_000
MAX_DIFF = 20_000
MAX_PATH = 1_000
CUT = "\n… cut"


@dataclass(frozen=True)
class Found:
    """One difference as a look saw it. `resource_id`: the resource of the inventory, when it is known."""

    subject: str
    path: str
    expected: str = ""
    observed: str = ""
    diff: str = ""
    resource_id: object | None = None

    def bounded(self) -> Found:
        """The same with texts that fit their columns."""
        return replace(
            self,
            subject=self.subject[:500],
            path=self.path[:MAX_PATH],
            expected=cut(self.expected, MAX_TEXT),
            observed=cut(self.observed, MAX_TEXT),
            diff=cut(self.diff, MAX_DIFF),
        )


@dataclass(frozen=True)
class Item:
    """Where a difference stands. `by_rule`: the rule that ignores it; `change`: the Ref of what explains it."""

    state: State
    consecutive: int
    returned: int
    first_seen: datetime
    last_seen: datetime
    expected: str
    observed: str
    until: datetime | None = None
    by_rule: object | None = None
    change: str = ""


@dataclass(frozen=True)
class Look:
    """What holds for one look. `needed` looks in a row, over at least `tolerance`, make a difference one to explain."""

    at: datetime
    needed: int = 1
    tolerance: timedelta = timedelta(0)


def cut(text: str, most: int) -> str:
    """The text, or its beginning with a word that it was cut."""
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


def key_of(source_ref: str, subject: str, path: str) -> str:
    """The identity of a difference, as hex SHA-256."""
    return hashlib.sha256("\0".join((source_ref, subject, path)).encode("utf-8", "surrogatepass")).hexdigest()


def seen(item: Item | None, found: Found, look: Look, *, rule: object | None = None, change: str = "") -> Item:
    """The difference after a look that saw it. `rule` fits it; `change` is being implemented on its resource."""
    if item is None or item.state == "cleared":
        returned = 0 if item is None else item.returned + 1
        item = Item("watched", 0, returned, look.at, look.at, found.expected, found.observed)
    other = (item.expected, item.observed) != (found.expected, found.observed)
    now = replace(
        item,
        consecutive=item.consecutive + 1,
        last_seen=look.at,
        expected=found.expected,
        observed=found.observed,
    )
    if rule is not None:
        return replace(now, state="ignored", by_rule=rule, until=None, change="")
    if item.state in DECIDED and not other and item.by_rule is None and not over(item, look.at):
        return now
    if change:
        return replace(now, state="with_change", change=change, by_rule=None, until=None)
    ripe = now.consecutive >= look.needed and look.at - now.first_seen >= look.tolerance
    return replace(now, state="open" if ripe else "watched", change="", by_rule=None, until=None)


def over(item: Item, at: datetime) -> bool:
    """Whether the time for which it is ignored is over."""
    return item.state == "ignored" and item.until is not None and item.until <= at


def missed(item: Item) -> Item:
    """The difference after a look at its resource that did not see it: gone, until it returns."""
    return replace(item, state="cleared", consecutive=0, by_rule=None, until=None)


class Pattern(Protocol):
    """What a rule says; see models_drift.DriftIgnore."""

    source_kind: str
    source_ref: str
    resource: str
    path: str
    until: datetime | None


Rule = TypeVar("Rule", bound=Pattern)


def fitting(
    rules: Sequence[Rule], *, kind: str, source_ref: str, names: Iterable[str], path: str, at: datetime
) -> Rule | None:
    """The first rule that fits a difference now. `names`: what its resource is called."""
    called = list(names)
    for rule in rules:
        if rule.until is not None and rule.until <= at:
            continue
        of_source = rule.source_kind in ("", kind) and rule.source_ref in ("", source_ref)
        of_name = not rule.resource or any(fnmatchcase(name, rule.resource) for name in called)
        if of_source and of_name and (not rule.path or fnmatchcase(path, rule.path)):
            return rule
    return None
