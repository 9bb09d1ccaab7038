"""Places in a rack: what a mounted thing takes, whether it fits, where the next one may go.

Pure. A position is the lowest unit a thing takes, 1 and up; heights are in units, halves are legal. A thing of full
depth takes both faces, another one the face it is mounted at. Something of no height takes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Face = Literal["front", "rear"]
FACES: tuple[Face, ...] = get_args(Face)
HALVES = 2  # places of one unit
DEFAULT_UNITS = 42
MAX_UNITS = 100
Place = tuple[int, Face]  # half units from the bottom, 0 and up


@dataclass(frozen=True, slots=True)
class Mount:
    """A thing in a rack. `position` None: it is in the rack, and nobody said where."""

    id: object
    name: str
    position: float | None
    height: float = 1.0
    face: Face = "front"
    full_depth: bool = True

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces it takes."""
        return FACES if self.full_depth else (self.face,)

    def places(self) -> set[Place]:
        """Return the half units it takes at each face."""
        if self.position is None:
            return set()
        first, count = _halves(self.position - 1), _halves(self.height)
        return {(at, face) for at in range(first, first + count) for face in self.faces}


def _halves(units: float) -> int:
    return round(units * HALVES)


def is_place(value: float) -> bool:
    """Tell whether a position or height is in whole or half units."""
    return float(value * HALVES).is_integer()


def inside(units: int, mount: Mount) -> bool:
    """Tell whether a thing ends within the rack; what has no position does."""
    return mount.position is None or (mount.position >= 1 and mount.position + mount.height <= units + 1)


def clashes(mount: Mount, others: Iterable[Mount]) -> list[Mount]:
    """Return those of the others that take a place it takes."""
    mine = mount.places()
    return [other for other in others if other.id != mount.id and mine & other.places()]


def all_clashes(mounts: Sequence[Mount]) -> list[tuple[Mount, Mount]]:
    """Return every pair that takes the same place, each once, in the order given."""
    taken: dict[Place, list[int]] = {}
    pairs: set[tuple[int, int]] = set()
    for at, mount in enumerate(mounts):
        for place in mount.places():
            pairs |= {(other, at) for other in taken.get(place, ())}
            taken.setdefault(place, []).append(at)
    return [(mounts[one], mounts[other]) for one, other in sorted(pairs)]


def positions(units: int, mounts: Iterable[Mount], wanted: Mount) -> list[float]:
    """Return the positions at which `wanted` fits, lowest first: at whole units, at halves when its height has one."""
    taken = {place for mount in mounts if mount.id != wanted.id for place in mount.places()}
    count = _halves(wanted.height)
    step = HALVES if count % HALVES == 0 else 1
    return [
        1 + start / HALVES
        for start in range(0, units * HALVES - count + 1, step)
        if not any((at, face) in taken for at in range(start, start + count) for face in wanted.faces)
    ]


def next_position(units: int, mounts: Iterable[Mount], wanted: Mount) -> float | None:
    """Return the lowest position at which `wanted` fits; None when it fits nowhere."""
    return next(iter(positions(units, mounts, wanted)), None)


def units_taken(units: int, mounts: Iterable[Mount]) -> float:
    """Return how many units are taken at either face, those beyond the rack left out."""
    taken = {at for mount in mounts for at, _face in mount.places() if 0 <= at < units * HALVES}
    return len(taken) / HALVES


def free_runs(units: int, mounts: Iterable[Mount]) -> list[tuple[float, float]]:
    """Return the runs that are free at both faces, lowest first: (position, height)."""
    taken = {at for mount in mounts for at, _face in mount.places()}
    runs: list[tuple[float, float]] = []
    start: int | None = None
    for at in range(units * HALVES + 1):
        free = at < units * HALVES and at not in taken
        if free and start is None:
            start = at
        elif not free and start is not None:
            runs.append((1 + start / HALVES, (at - start) / HALVES))
            start = None
    return runs
