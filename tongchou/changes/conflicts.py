"""What a planned change collides with: other changes, freezes, the absence of a maintenance window, holds. Pure.

The kinds are ServiceNow's: the same resource, a parent or child of it, the same assignee, a blackout, outside of
maintenance. Spans are half-open: one that ends when the other begins is no collision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tongchou.core.spans import Span, subtract

RESOURCE, RELATED, ASSIGNEE, FREEZE, NO_MAINTENANCE, HOLD = (
    "resource", "related", "assignee", "freeze", "no_maintenance", "hold",
)  # fmt: skip
MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """A change as far as collisions go.

    `related`: parents and children of what it touches, without those; `within`: what that stands in or is a piece of.
    """

    id: UUID
    name: str
    span: Span
    touches: frozenset[UUID]
    related: frozenset[UUID] = frozenset()
    assignee: UUID | None = None
    within: frozenset[UUID] = frozenset()

    @property
    def places(self) -> frozenset[UUID]:
        """What a freeze or a hold may be about that stops it."""
        return self.touches | self.within


@dataclass(frozen=True, slots=True)
class Opening:
    """An occurrence of a window: a freeze, or maintenance. `about`: resources it is for; none: all."""

    ref: str
    name: str
    span: Span
    about: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Conflict:
    """One collision: with what (a Ref and its name), from when to when, over which resources."""

    kind: str
    ref: str
    name: str
    span: Span
    resources: tuple[UUID, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """What a change keeps of it."""
        return {
            "kind": self.kind,
            "ref": self.ref,
            "name": self.name,
            "starts_at": self.span.start.isoformat(),
            "ends_at": self.span.end.isoformat(),
            "resources": [str(each) for each in self.resources],
        }


def common(one: Span, other: Span) -> Span | None:
    """Return the time in both, None when there is none."""
    start, end = max(one.start, other.start), min(one.end, other.end)
    return Span(start, end) if start < end else None


def with_others(plan: Plan, others: Iterable[Plan]) -> list[Conflict]:
    """Return the collisions with other changes, at most one of a kind with each."""
    found: list[Conflict] = []
    for other in others:
        shared = common(plan.span, other.span)
        if shared is None or other.id == plan.id:
            continue
        ref = f"changes.change:{other.id}"
        same = plan.touches & other.touches
        near = (plan.touches & other.related) | (plan.related & other.touches)
        if same:
            found.append(Conflict(RESOURCE, ref, other.name, shared, tuple(sorted(same))))
        if near - same:
            found.append(Conflict(RELATED, ref, other.name, shared, tuple(sorted(near - same))))
        if plan.assignee is not None and plan.assignee == other.assignee:
            found.append(Conflict(ASSIGNEE, ref, other.name, shared))
    return found


def with_freezes(plan: Plan, freezes: Iterable[Opening]) -> list[Conflict]:
    """Return the freezes that its window meets and that are about its places, or about everything."""
    found = []
    for each in freezes:
        shared = common(plan.span, each.span)
        if shared is not None and (not each.about or each.about & plan.places):
            found.append(Conflict(FREEZE, each.ref, each.name, shared, tuple(sorted(each.about & plan.places))))
    return found


def outside_maintenance(
    plan: Plan, windows: Mapping[UUID, Sequence[Opening]], having: Collection[UUID]
) -> list[Conflict]:
    """Return, for resources that have maintenance windows (`having`), the time of the plan that no window covers.

    A resource without any may be worked on at any time.
    """
    found = []
    for resource in sorted(plan.touches & set(having)):
        left = subtract([plan.span], [each.span for each in windows.get(resource, ())])
        if left:
            found.append(Conflict(NO_MAINTENANCE, f"inventory.resource:{resource}", "", left[0], (resource,)))
    return found


def all_pairs(plans: Sequence[Plan]) -> list[tuple[Plan, Conflict]]:
    """Return every collision among the plans, seen from the earlier of both.

    A sweep by time, so that plans of other days are never compared.
    """
    found: list[tuple[Plan, Conflict]] = []
    open_: list[Plan] = []
    for plan in sorted(plans, key=lambda each: (each.span.start, each.id)):
        open_ = [each for each in open_ if each.span.end > plan.span.start]
        for earlier in open_:
            found += [(earlier, each) for each in with_others(earlier, [plan])]
        open_.append(plan)
    return found
