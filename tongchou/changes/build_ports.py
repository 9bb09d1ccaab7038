"""What the world must bring for build servers: `changes.Builds`, implemented in integrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from tongchou.changes.told import Ignored, Told


@dataclass(frozen=True)
class Place:
    """Where a server is and how it is asked; `token` in clear, for the request only."""

    name: str
    url: str
    user: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Greeting:
    """What a server said of itself: its version, and as whom it knows us."""

    version: str
    known_as: str


@dataclass(frozen=True)
class SeenBuild:
    """A build as it stands; `ended`: nothing of it changes any more. `told` is what a report of it would say."""

    number: int
    ended: bool
    told: Told | Ignored


@runtime_checkable
class Builds(Protocol):
    """Asks servers of one kind. Every call raises Unavailable when there is no usable answer."""

    server_kind: str

    def greet(self, place: Place) -> Greeting:
        """Ask who it is and who we are."""

    def last_builds(self, place: Place) -> Mapping[str, int]:
        """The full name of every job that has a build, and the number of its last one."""

    def builds_after(self, place: Place, job: str, seen: int, now: datetime, *, most: int) -> Sequence[SeenBuild]:
        """The builds of a job above `seen`, the oldest first; of more than `most` the newest."""
