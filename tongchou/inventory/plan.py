"""What a sync would do, as data: shown by a dry run, carried out by actions.apply_sync.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tongchou.inventory.notes import Note
from tongchou.inventory.observation import Json, ObservedEndpoint


@dataclass(frozen=True, slots=True)
class Created:
    """A resource nobody knew."""

    id: UUID
    kind: str
    name: str
    owner: str | None
    keys: tuple[str, ...]
    labels: dict[str, str]
    attributes: dict[str, Json]


@dataclass(slots=True)
class Changed:
    """What one source changes on a known resource. `effective` is what a reader sees differ: name -> (old, new).

    `again`: the attributes among them of which this source itself had said something else before. The others it speaks
    of for the first time, or no more: that is news about the source, not about the world. `gone`: the sources that have
    given it up, afterwards, the first to do so first.
    """

    id: UUID
    kind: str
    name: str
    rename: tuple[str, str] | None = None  # (kind, name)
    owner: tuple[str | None, str | None] | None = None  # (old, new)
    keys: tuple[str, ...] = ()
    labels_set: dict[str, str] = field(default_factory=dict)
    labels_removed: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)  # all effective ones, afterwards
    attributes_set: dict[str, Json] = field(default_factory=dict)
    attributes_removed: tuple[str, ...] = ()
    effective: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    again: tuple[str, ...] = ()
    derived: dict[str, Any] | None = None  # Resource.attributes, afterwards; None where they stay as they are
    returned: bool = False
    gone: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(
            self.rename or self.owner or self.keys or self.labels_set or self.labels_removed or self.attributes_set
            or self.attributes_removed or self.returned or self.derived is not None
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RelationChange:
    """An edge to open, to weigh anew or to close."""

    from_id: UUID
    to_id: UUID
    type: str
    origin: str = "declared"
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """An endpoint to write for a resource; with `id`, over the one that is there."""

    resource_id: UUID
    endpoint: ObservedEndpoint
    id: UUID | None = None


PART = 1000  # rows of one transaction: others wait for the writer no longer than these take


@dataclass(slots=True)
class Plan:
    """Everything a sync does. Sightings are bookkeeping: they alone do not make a plan a change."""

    source: str
    created: list[Created] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)  # to become tombstones
    relations_added: list[RelationChange] = field(default_factory=list)
    relations_weighed: list[RelationChange] = field(default_factory=list)  # open, and said with other certainty now
    relations_closed: list[RelationChange] = field(default_factory=list)
    endpoints_set: list[EndpointChange] = field(default_factory=list)
    endpoints_removed: list[UUID] = field(default_factory=list)
    sightings_new: list[UUID] = field(default_factory=list)  # seen for the first time by this source
    sightings_again: list[UUID] = field(default_factory=list)  # missed or given up before, seen now
    sightings_missed: list[UUID] = field(default_factory=list)
    sightings_gone: list[UUID] = field(default_factory=list)  # this source gives them up
    seen: list[UUID] = field(default_factory=list)  # everything seen in this look, new ones included
    seen_at: dict[UUID, datetime] = field(default_factory=dict)  # of those in `seen` that were not seen just now
    unseen: int = 0  # known to this source, not seen in this look
    deferred: list[str] = field(default_factory=list)  # relations whose other end does not exist yet
    conflicts: list[Note] = field(default_factory=list)  # said by the source, not taken as said
    warnings: list[Note] = field(default_factory=list)
    collisions: list[tuple[UUID, ...]] = field(default_factory=list)  # resources that one thing seen has keys of

    def parts(self, size: int) -> Iterator[Plan]:
        """Cut the writing of a big plan into plans of at most `size` things, in an order in which each can be written.

        What is gone comes last, with the sightings. Stopped in between, the next sync finds the rest still to do.
        What cannot be taken while a part is written is told with the whole.
        """
        relations = ("relations_added", "relations_weighed", "relations_closed")
        for name in ("created", "changed", *relations, "endpoints_removed", "endpoints_set"):
            things = getattr(self, name)
            for start in range(0, len(things), size):
                part = {name: things[start : start + size]}
                yield Plan(self.source, seen_at=self.seen_at, conflicts=self.conflicts, **part)

    @property
    def changes_something(self) -> bool:
        """Tell whether anything but sightings would be written."""
        return bool(
            self.created or self.changed or self.gone or self.relations_added or self.relations_weighed
            or self.relations_closed or self.endpoints_set or self.endpoints_removed
        )  # fmt: skip

    @property
    def changes_graph(self) -> bool:
        """Tell whether the nodes or edges of the graph would differ afterwards."""
        return bool(
            self.created or self.gone or self.relations_added or self.relations_weighed or self.relations_closed
            or any(change.returned or change.rename or change.owner for change in self.changed)
        )  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Return how much of each sort there is, for the ledger and the page; zero counts are left out."""
        found = {
            "created": len(self.created),
            "changed": sum(1 for change in self.changed if not change.returned),
            "returned": sum(1 for change in self.changed if change.returned),
            "gone": len(self.gone),
            "relations_added": len(self.relations_added),
            "relations_weighed": len(self.relations_weighed),
            "relations_closed": len(self.relations_closed),
            "endpoints_set": len(self.endpoints_set),
            "endpoints_removed": len(self.endpoints_removed),
            "seen": len(self.seen),
            "unseen": self.unseen,
            "deferred": len(self.deferred),
            "conflicts": len(self.conflicts),
        }
        return {name: count for name, count in found.items() if count}
