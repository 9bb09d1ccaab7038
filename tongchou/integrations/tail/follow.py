"""Where we are in every followed file, kept on disk, and what comes next.

A file is known by device, inode and a hash of its first bytes: a rotation changes its name and none of these, a new
file has other first bytes even when it was given the same inode. Before a part is written, its bounds are put down;
after a kill the same part is written again with the same token, which the store drops when it had it: so a line is
neither lost nor repeated.

With a pattern for the first line of an entry (`multiline_start`), the lines up to the next first line are one entry, as
in a stack trace. The last entry of a file waits for its successor, or until nothing was written for `QUIET_NS`.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import re2

from tongchou.wire.log_stream import Entry, Stream

PART_BYTES = 1_000_000
HEAD_BYTES = 256
MAX_PLACES = 2_000
QUIET_NS = 2_000_000_000
MAX_LINE_BYTES = 250_000  # a longer line is cut into parts of this length

Begins = Callable[[bytes], bool]
Write = Callable[[list[Stream], str], None]


@dataclass(slots=True)
class Place:
    """Bytes `start` to `end` are being written; before `start` everything is written. `at_ns` is their time."""

    device: int
    inode: int
    head: str
    head_bytes: int
    start: int = 0
    end: int = 0
    at_ns: int = 0


class Follower:
    """Follows the files of one setting; `write(streams, token)` returns when they are on disk, or raises."""

    def __init__(self, positions: Path, write: Write, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._file = positions
        self._write = write
        self._clock_ns = clock_ns
        self._places: list[Place] = []
        if positions.exists():
            self._places = [Place(**each) for each in json.loads(positions.read_text(encoding="utf-8"))]

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump([asdict(place) for place in self._places], file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)

    def step(self, wanted: list[Mapping[str, Any]]) -> int:
        """Read on in every file once; returns the lines written. What `write` raises goes through, nothing is lost."""
        written, seen = 0, set()
        for each in wanted:
            names = {name for pattern in (each["path"], f"{each['path']}.[0-9]*") for name in glob.glob(pattern)}  # noqa: PTH207  # absolute patterns, which Path.glob refuses
            for name in sorted(names, key=_age):
                if name.endswith((".gz", ".zst", ".bz2", ".xz")):
                    continue
                labels = {"filename": str(each["path"]), **each.get("labels", {})}
                try:
                    count, place = self._follow(name, labels, first_line(each.get("multiline_start", "")))
                except (FileNotFoundError, PermissionError, IsADirectoryError):
                    continue
                written += count
                seen.add(id(place))
        if len(self._places) > MAX_PLACES:  # forget files that are gone, the oldest first
            gone = [place for place in self._places if id(place) not in seen][: len(self._places) - MAX_PLACES]
            self._places = [place for place in self._places if place not in gone]
            self._save()
        return written

    def _follow(self, name: str, labels: Mapping[str, str], begins: Begins | None) -> tuple[int, Place]:
        written = 0
        with open(name, "rb", buffering=0) as file:  # noqa: PTH123  # Path.open would do the same
            place = self._place(file.fileno())
            while True:
                size = os.fstat(file.fileno()).st_size
                if size < place.start:  # truncated in place: what is there now is new
                    place.start = place.end = 0
                lines = self._part(file.fileno(), place, begins)
                if not lines:
                    return written, place
                token = f"tail:{place.device}:{place.inode}:{place.head}:{place.start}-{place.end}:{place.at_ns}"
                entries = [Entry(place.at_ns + i, line) for i, line in enumerate(lines)]
                self._write([Stream(sorted(labels.items()), entries)], token)
                place.start = place.end
                self._save()
                written += len(lines)

    def _place(self, number: int) -> Place:
        facts = os.fstat(number)
        head = os.pread(number, HEAD_BYTES, 0)
        for place in self._places:
            if (place.device, place.inode) == (facts.st_dev, facts.st_ino):
                if _digest(head[: place.head_bytes]) == place.head:
                    if place.head_bytes < len(head) and place.start == place.end:
                        place.head, place.head_bytes = _digest(head), len(head)
                    return place
                self._places.remove(place)
                break
        place = Place(facts.st_dev, facts.st_ino, _digest(head), len(head))
        self._places.append(place)
        return place

    def _part(self, number: int, place: Place, begins: Begins | None) -> list[bytes]:
        """The next whole entries; puts their bounds down first, unless they were put down before a kill."""
        if place.end > place.start:
            raw = os.pread(number, place.end - place.start, place.start)
        else:
            raw = os.pread(number, PART_BYTES, place.start)
            end = raw.rfind(b"\n") + 1
            if not end and len(raw) == PART_BYTES:
                end = len(raw)  # one line longer than a part
            if begins is not None and self._clock_ns() - os.fstat(number).st_mtime_ns < QUIET_NS:
                whole = last_begin(raw[:end], begins)
                end = end if not whole and len(raw) == PART_BYTES else whole  # an entry longer than a part is cut
            if not end:
                return []
            raw = raw[:end]
            place.end, place.at_ns = place.start + end, self._clock_ns()
            self._save()
        lines = []
        for text in entries_of(raw, begins):
            lines += [text[i : i + MAX_LINE_BYTES] for i in range(0, len(text), MAX_LINE_BYTES)] or [b""]
        return lines


def first_line(pattern: str) -> Begins | None:
    """The test whether a line is the first of an entry; None when every line is one. Raises re2.error."""
    if not pattern:
        return None
    options = re2.Options()
    options.log_errors = False
    found = re2.compile(pattern, options)
    return lambda line: found.match(line.decode(errors="replace")) is not None


def last_begin(raw: bytes, begins: Begins) -> int:
    """The position of the last entry in whole lines: what stands before it is complete."""
    at, found = 0, 0
    for line in raw.removesuffix(b"\n").split(b"\n"):
        if begins(line):
            found = at
        at += len(line) + 1
    return found


def entries_of(raw: bytes, begins: Begins | None) -> list[bytes]:
    """Whole lines as entries, without their line ends; lines before the first beginning are an entry of their own."""
    lines = [line.removesuffix(b"\r") for line in raw.removesuffix(b"\n").split(b"\n")]
    if begins is None:
        return lines
    entries: list[list[bytes]] = []
    for line in lines:
        if not entries or begins(line):
            entries.append([])
        entries[-1].append(line)
    return [b"\n".join(each) for each in entries]


def _digest(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=8).hexdigest()


def _age(name: str) -> tuple[float, str]:
    """The oldest first, so that a rotated file is finished before its successor."""
    try:
        return Path(name).stat().st_mtime, name
    except OSError:
        return 0.0, name
