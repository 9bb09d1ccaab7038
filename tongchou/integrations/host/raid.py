"""Reads /proc/mdstat: arrays of Linux's software RAID, their members, and whether one is missing. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tongchou.inventory.catalogue.physical import RAID_LEVELS

KIB = 1024
_HEAD = re.compile(r"(md\S*|\S+) : (active|inactive)\b(?: \((?:auto-)?read-only\)| \(broken\))*(.*)")
_MEMBER = re.compile(r"(\S+?)\[(\d+)\]((?:\([A-Z]\))*)")
_SIZE = re.compile(r"\s+(\d+) blocks\b")
_PRESENT = re.compile(r"\[(\d+)/(\d+)\] \[[U_]+\]")
_CHUNK = re.compile(r"\b(\d+)k chunks?\b")
# "check" compares an array that is whole; "recovery", "resync" and "reshape" are about one that is not, yet
_REBUILDS = re.compile(r"\b(recovery|resync|reshape)\s*=\s*(?:[\d.]+%|DELAYED|PENDING|REMOTE)")
_PARTITION = re.compile(r"\A(?:((?:nvme\d+n|mmcblk|md|loop|nbd|zd)\d+)p\d+|((?:sd|hd|vd|xvd)[a-z]+)\d+)\Z")


@dataclass(frozen=True, slots=True)
class Array:
    """An array. `level` as the kernel writes it without "raid" ("1", "linear"), "" of one that is not assembled."""

    name: str
    active: bool
    level: str
    members: tuple[str, ...] = ()  # failed ones and spares among them
    failed: int = 0
    spares: int = 0
    size_bytes: int | None = None
    chunk_bytes: int | None = None
    wanted: int | None = None  # members it has when it is whole; of levels without redundancy not told
    present: int | None = None
    rebuilding: bool = False
    marks: tuple[str, ...] = field(default=())

    @property
    def health(self) -> str:
        """One of the words of the catalogue's field."""
        if not self.active:
            return "failed"
        missing = (self.wanted or 0) - (self.present or 0)
        if missing > self.spared or (self.failed and self.level in ("0", "linear")):
            return "failed"
        if self.rebuilding:
            return "rebuilding"
        return "degraded" if missing or self.failed else "ok"

    @property
    def spared(self) -> int:
        """How many members may be missing before data is. RAID 10 lives with half of them at best."""
        wanted = self.wanted or len(self.members) - self.spares
        return {"1": wanted - 1, "4": 1, "5": 1, "6": 2, "10": wanted // 2}.get(self.level, 0)

    @property
    def raid_level(self) -> str:
        """Return the level as the catalogue writes it, "" of one that it does not have."""
        return self.level if self.level in RAID_LEVELS else ""


def arrays(mdstat: str) -> list[Array]:
    """Return the arrays in /proc/mdstat. Containers of a firmware's RAID hold arrays and are none."""
    found: list[Array] = []
    for line in mdstat.splitlines():
        head = _HEAD.fullmatch(line.rstrip())
        if head:
            found.append(_begun(head[1], head[2] == "active", head[3]))
        elif found and line[:1].isspace():
            found[-1] = _more(found[-1], line)
    return [each for each in found if each.active or not any(mark.startswith("external:") for mark in each.marks)]


def _begun(name: str, active: bool, rest: str) -> Array:
    members = list(_MEMBER.finditer(rest))
    before = rest[: members[0].start()] if members else rest
    words = before.split()
    level = words[-1].removeprefix("raid") if active and words else ""
    flags = [each[3] for each in members]
    return Array(
        name,
        active,
        level,
        tuple(sorted({each[1] for each in members})),
        failed=sum("(F)" in each for each in flags),
        spares=sum("(S)" in each for each in flags),
    )


def _more(array: Array, line: str) -> Array:
    size, present, chunk = _SIZE.match(line), _PRESENT.search(line), _CHUNK.search(line)
    if size:
        array = replace(array, size_bytes=int(size[1]) * KIB, marks=tuple(line.split()))
    if present:
        array = replace(array, wanted=int(present[1]), present=int(present[2]))
    if chunk:
        array = replace(array, chunk_bytes=int(chunk[1]) * KIB)
    return replace(array, rebuilding=True) if _REBUILDS.search(line) else array


def whole_of(name: str) -> str:
    """Return the device that a partition is of, by the kernel's rule of naming; any other name as it is."""
    found = _PARTITION.match(name)
    return (found[1] or found[2]) if found else name


def carriers(name: str, below: Callable[[str], tuple[str, ...]], depth: int = 8) -> set[str]:
    """Return the disks and arrays that a block device lies on, through mapped ones (LVM, LUKS, multipath).

    `below` returns what a mapped device lies on directly, () of any other.
    """
    parts = below(name) if depth else ()
    return set().union(*(carriers(each, below, depth - 1) for each in parts)) if parts else {whole_of(name)}
