"""What senders sent before, remembered so that the like of it is read by comparing bytes.

A sender repeats itself: the same series in the same order, only times and values are new. The messages that were read
lie end to end on a tape, with a mask over what may differ (the values, and the timestamps but for the bits that say how
long they are). A message is laid against the tape where its first series stood the last time; as far as all bytes
outside the mask are equal, rows and places are known. Where it departs (another batch, a value that was zero) its next
series is looked up again, and what the tape does not hold is read by `decode`. Where messages end does not matter.

A match has the structure of a message that was read before, so it cannot be wrong; rows are never reused, so it cannot
be old. Equality with the exact walk is proven by test. Thread-safe: readers use what was published, one writer adds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tongchou.telemetry.decode import FULL, ZERO, Bytes, Columns, Layout, decode_columns
from tongchou.telemetry.series import Float64s, Int64s
from tongchou.wire.protobuf import MalformedError, read_varint
from tongchou.wire.remote_write import MAX_SERIES, TooManyError

MAX_BYTES = 32 * 1024 * 1024  # of messages on the tape; with mask and places about three times that
_FIRST_STEP = 64 * 1024
_TRIES = 8
_BYTES_A_TRY = 4096  # a try costs about as much as comparing this
_MAX_PAUSE = 1024
_FIELD_1 = 0x0A  # a series in a message, a label in a series


@dataclass(slots=True)
class _Tape:
    """What was read, end to end. Below `series` and `size` nothing changes any more."""

    raw: Bytes
    mask: Bytes
    ends: Int64s  # of each series
    first_block: Int64s  # of each series, and one more
    rows: Int64s  # of each block
    time_at: Int64s
    value_at: Int64s  # -1: left out because it is zero
    place_of: dict[bytes, int] = field(default_factory=dict)  # labels -> the series' newest place
    size: int = 0
    series: int = 0
    blocks: int = 0


def _empty() -> _Tape:
    none = np.zeros(0, np.int64)
    return _Tape(np.zeros(0, np.uint8), np.zeros(0, np.uint8), none, np.zeros(1, np.int64), none, none, none)


class Repeats:
    """The tape of one telemetry database."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._tape = _empty()
        self._lock = threading.Lock()
        self._pause = 0  # messages to be read without the tape, because it did not help
        self._next_pause = 1

    def decode(self, body: bytes, known: Mapping[bytes, int]) -> Columns:
        """As `decode_columns`."""
        pause = self._pause  # two threads that read the same count once: it must not fall below none
        if pause:
            self._pause = pause - 1
            return decode_columns(body, known)
        tape = self._tape
        found = _runs(tape, body)
        if found is None:
            return decode_columns(body, known, notice=self._add)
        runs, rest = found
        self._next_pause = 1
        matched = _read(tape, body, runs)
        if not rest:
            return _counted(matched)
        # Fields of a message, side by side, are a message.
        other = decode_columns(b"".join(body[low:high] for low, high in rest), known, notice=self._add)
        return _counted(_joined(matched, other))

    def recall(self, body: bytes) -> Columns | None:
        """The columns of a message that lies on the tape as a whole; None, at once, of any other."""
        tape = self._tape
        found = None if self._pause else _runs(tape, body)
        return None if found is None or found[1] else _counted(_read(tape, body, found[0]))

    def _add(self, body: bytes, layout: Layout) -> None:
        """Put a message at the end of the tape."""
        keys = [body[start:end] for start, end in zip(layout.starts, layout.label_ends, strict=True)]
        with self._lock:
            tape = self._tape
            again = sum(key in tape.place_of for key in keys)
            if 2 * again > len(keys):  # learned before and yet not found: it does not repeat itself
                self._pause, self._next_pause = self._next_pause - 1, min(_MAX_PAUSE, 2 * self._next_pause)
            if tape.size + len(body) > self.max_bytes:
                tape = _empty()
            self._tape = _longer(tape, body, layout, keys)


def _runs(tape: _Tape, body: bytes) -> tuple[list[tuple[int, int, int]], list[tuple[int, int]]] | None:
    """Pieces that are on the tape, (first series, one after the last, how far they are moved), and the rest.

    None when nothing is on the tape, or the message departs from it so often that the other way is quicker.
    """
    raw = np.frombuffer(body, np.uint8)
    runs: list[tuple[int, int, int]] = []
    rest: list[tuple[int, int]] = []
    at, size = 0, len(body)
    for _try in range(_TRIES + size // _BYTES_A_TRY):
        if at >= size:
            break
        labels, end = _first_series(body, at)
        first = tape.place_of.get(body[labels[0] : labels[1]], tape.series)
        if first < tape.series:
            start = int(tape.ends[first - 1]) if first else 0
            upto = start + _alike(tape, raw, start, at)
            last = int(np.searchsorted(tape.ends[: tape.series], upto, side="right"))
            if last > first:
                runs.append((first, last, at - start))
                at += int(tape.ends[last - 1]) - start
                continue
        if rest and rest[-1][1] == at:
            rest[-1] = (rest[-1][0], end)
        else:
            rest.append((at, end))
        at = end
    return (runs, rest) if runs and at >= size else None


def _first_series(body: bytes, at: int) -> tuple[tuple[int, int], int]:
    """(where its labels start and end, where it ends) of the series at a place; no labels where it is unusual."""
    size = len(body)
    try:
        if body[at] != _FIELD_1:
            return (at, at), size
        length, start = read_varint(body, at + 1, size)
        end = start + length
        if end > size:
            return (at, at), size
        label_end = start
        while label_end < end and body[label_end] == _FIELD_1:
            length, label_end = read_varint(body, label_end + 1, end)
            label_end += length
    except MalformedError:
        return (at, at), size
    return ((start, label_end) if label_end <= end else (at, at)), end


def _alike(tape: _Tape, raw: Bytes, start: int, at: int) -> int:
    """How many bytes of the message from `at` on are those of the tape from `start` on, outside the mask."""
    length = min(tape.size - start, len(raw) - at)
    done, step = 0, _FIRST_STEP
    while done < length:
        upto = min(done + step, length)
        differ = raw[at + done : at + upto] ^ tape.raw[start + done : start + upto]
        differ &= tape.mask[start + done : start + upto]
        if differ.any():
            return done + int(np.argmax(differ != 0))
        done, step = upto, 2 * step
    return length


def _read(tape: _Tape, body: bytes, runs: list[tuple[int, int, int]]) -> Columns:
    """The samples of the pieces that are on the tape."""
    parts: list[tuple[Int64s, Int64s, Int64s]] = []
    for first, last, moved in runs:
        part = slice(int(tape.first_block[first]), int(tape.first_block[last]))
        value_at = tape.value_at[part]
        value_at = np.where(value_at < 0, -1, value_at + moved) if value_at.min(initial=0) < 0 else value_at + moved
        parts.append((tape.rows[part], tape.time_at[part] + moved, value_at))
    rows, time_at, value_at = (
        parts[0] if len(parts) == 1 else (np.concatenate(each) for each in zip(*parts, strict=True))
    )
    # Every eight bytes of the message as one number, wherever they begin: a sample has more than eight.
    words = np.ndarray((max(0, len(body) - 7),), "<u8", body, 0, (1,))
    series = sum(last - first for first, last, _moved in runs)
    return Columns(
        rows.copy() if len(parts) == 1 else rows, _times(words, time_at), _values(words, value_at), series=series
    )


def _times(words: npt.NDArray[np.uint64], at: Int64s) -> Int64s:
    """Timestamps, varints of six bytes each."""
    if not len(at):
        return np.zeros(0, np.int64)
    six = words[at - 2]
    six >>= np.uint64(16)
    # Neighbours come together: groups of seven bits in eight, then of fourteen in sixteen.
    upper = six & np.uint64(0x7F007F007F00)
    six &= np.uint64(0x007F007F007F)
    upper >>= np.uint64(1)
    six |= upper
    ts = six & np.uint64(0x3FFF)
    for group in (1, 2):
        upper = six & np.uint64(0x3FFF << (16 * group))
        upper >>= np.uint64(2 * group)
        ts |= upper
    return ts.view(np.int64)


def _values(words: npt.NDArray[np.uint64], at: Int64s) -> Float64s:
    there = at >= 0
    if there.all():
        return words[at].view(np.float64)
    out = np.zeros(len(at), np.float64)
    out[there] = words[at[there]].view(np.float64)
    return out


def _joined(one: Columns, other: Columns) -> Columns:
    """Both; rows of unknown series are those of `other`."""
    other.rows = np.concatenate([one.rows, other.rows])
    other.ts = np.concatenate([one.ts, other.ts])
    other.v = np.concatenate([one.v, other.v])
    other.series += one.series
    return other


def _counted(columns: Columns) -> Columns:
    if columns.series > MAX_SERIES:
        raise TooManyError(f"more than {MAX_SERIES} series")
    return columns


def _longer(tape: _Tape, body: bytes, layout: Layout, keys: list[bytes]) -> _Tape:
    """The tape with a message more; what is below the old one's size may be shared with it."""
    raw = np.frombuffer(body, np.uint8)
    mask = np.full(len(raw), 0xFF, np.uint8)
    start, full = layout.block_start, layout.block_full
    time_at = start + np.where(full, FULL, ZERO) - 6
    value_at = np.where(full, start + 3, -1)
    mask[time_at[:, None] + np.arange(6)] = 0x80
    mask[value_at[full][:, None] + np.arange(8)] = 0
    series, blocks = len(keys), len(start)
    counts = np.bincount(layout.block_series, minlength=series)
    longer = _Tape(
        _added(tape.raw, tape.size, raw),
        _added(tape.mask, tape.size, mask),
        _added(tape.ends, tape.series, np.array(layout.ends, np.int64) + tape.size),
        _added(tape.first_block, tape.series + 1, np.cumsum(counts) + tape.blocks),
        _added(tape.rows, tape.blocks, layout.rows[layout.block_series]),
        _added(tape.time_at, tape.blocks, time_at + tape.size),
        _added(tape.value_at, tape.blocks, np.where(full, value_at + tape.size, -1)),
        tape.place_of,
        tape.size + len(raw),
        tape.series + series,
        tape.blocks + blocks,
    )
    tape.place_of.update(zip(keys, range(tape.series, tape.series + series), strict=True))
    return longer


def _added(have: npt.NDArray[Any], used: int, more: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`have[:used]` and `more`; written in place where there is room."""
    wanted = used + len(more)
    if wanted > len(have):
        grown = np.empty(max(wanted, 2 * len(have), 1024), have.dtype)
        grown[:used] = have[:used]
        have = grown
    have[used:wanted] = more
    return have
