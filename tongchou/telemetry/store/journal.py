"""What was acknowledged and is not in the tables yet, on disk: an append-only file per second or so.

A record is on its way to disk when `append` returns: it survives a killed process (the kernel has it), and with
`sync=True` a power cut. Segments are dropped once their samples are in the tables; what is found at a start is taken
up again. A record that was cut off was never acknowledged; everything before it was.

Record: magic, kind, size of the payload, its CRC-32 begun with the kind, payload. Kinds: series (JSON
[[sid, [[name, value], ...]], ...]) and samples (three arrays of equal length: sid int64, ts int64 ms, v float64,
little endian).
"""

from __future__ import annotations

import errno
import os
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Problem, StorageFull, Unavailable
from tongchou.telemetry.series import Float64s, Int64s, Labels

_HEADER = struct.Struct("<IBII")
_MAGIC = 0x54434A31  # "TCJ1"
_SERIES, _SAMPLES = 1, 2
_SUFFIX = ".journal"
Buffer = bytes | memoryview
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(slots=True)
class Replayed:
    """What the journal held at a start."""

    series: list[tuple[int, Labels]] = field(default_factory=list)
    samples: list[tuple[Int64s, Int64s, Float64s]] = field(default_factory=list)  # sid, ts, v


class Journal:
    """The journal of one database. `append` and `rotate` are for one thread at a time; the caller holds a lock."""

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self._folder = folder
        self.sync = sync
        folder.mkdir(parents=True, exist_ok=True)
        numbers = self._numbers()
        self._first_own = (numbers[-1] if numbers else 0) + 1
        self._number = self._first_own
        self._file: int | None = None
        self._size = 0
        self.write_seconds = 0.0  # what the system took for the newest group

    def _numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}{_SUFFIX}"

    def replay(self) -> Replayed:
        """Read the segments that an earlier process left, oldest first. Call before the first `append`."""
        found = Replayed()
        for number in self._numbers():
            if number < self._first_own:
                _read(self._path(number).read_bytes(), found)
        return found

    def append(self, series: Sequence[tuple[int, Labels]], sid: Int64s, ts: Int64s, v: Float64s) -> None:
        """Write one group of new series and samples; all of it or nothing.

        Raises StorageFull or Unavailable; then nothing of the group is in the journal, and the next call may succeed.
        """
        parts: list[Buffer] = []
        if series:
            parts += _record(_SERIES, msgspec.json.encode(series))
        parts += _record(_SAMPLES, _bytes(sid, "<i8"), _bytes(ts, "<i8"), _bytes(v, "<f8"))
        size = sum(len(part) for part in parts)
        began = time.monotonic()
        try:
            if self._file is None:
                self._file = os.open(self._path(self._number), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
                self._size = 0
            written = os.writev(self._file, parts)
            if written < size:  # the disk is nearly full, or a signal came
                left = memoryview(b"".join(parts))[written:]
                while left:
                    left = left[os.write(self._file, left) :]
            if self.sync:
                os.fsync(self._file)
            self._size += size
        except OSError as error:
            self._undo()
            raise _problem(error) from error
        finally:
            self.write_seconds = time.monotonic() - began

    def _undo(self) -> None:
        """Take a half-written group back; if even that fails, go on in a new segment (a replay stops at the half)."""
        if self._file is None:
            return
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            os.close(self._file)
            self._file = None
            self._number += 1

    def rotate(self) -> int:
        """Close the current segment; returns its number, for `drop` once its content is in the tables."""
        number = self._number
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._number += 1
        return number

    def drop(self, upto: int) -> None:
        """Delete all segments up to this number."""
        for number in self._numbers():
            if number <= upto and (number != self._number or self._file is None):
                self._path(number).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; what it holds stays for the next start."""
        self.rotate()


def _record(kind: int, *payload: Buffer) -> list[Buffer]:
    checksum = kind
    for part in payload:
        checksum = zlib.crc32(part, checksum)
    return [_HEADER.pack(_MAGIC, kind, sum(len(part) for part in payload), checksum), *payload]


def _bytes(column: Int64s | Float64s, kind: str) -> memoryview:
    """The bytes of a column, not copied where they lie as they should."""
    return np.ascontiguousarray(column, kind).data.cast("B")


def _read(data: bytes, found: Replayed) -> None:
    """Add the records of one segment up to the first that is cut off or damaged."""
    at = 0
    while at + _HEADER.size <= len(data):
        magic, kind, size, checksum = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        payload = data[at : at + size]
        at += size
        if magic != _MAGIC or len(payload) < size or zlib.crc32(payload, kind) != checksum:
            return
        if kind == _SERIES:
            found.series += [
                (sid, tuple((name, value) for name, value in labels)) for sid, labels in msgspec.json.decode(payload)
            ]
        elif kind == _SAMPLES:
            third = size // 3
            sid, ts = (np.frombuffer(payload, "<i8", third // 8, part * third).astype(np.int64) for part in (0, 1))
            found.samples.append((sid, ts, np.frombuffer(payload, "<f8", third // 8, 2 * third).astype(np.float64)))


def _problem(error: OSError) -> Problem:
    if error.errno in _FULL:
        return StorageFull(
            "telemetry.storage_full",
            _("The disk of the telemetry store is full; nothing that was acknowledged is lost."),
            remedy=_("Free space or shorten the retention; writing goes on by itself."),
        )
    return Unavailable(
        "telemetry.journal_failed", _("The telemetry journal cannot be written: %(error)s") % {"error": error}
    )
