"""Streams of lines as columns of the log table: what is refused, and what the rest looks like. Pure.

The place of a line in the order of arrival is given when it is written, so that it grows in the order in which lines
become readable.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from tongchou.telemetry.admit import Refusals, shown
from tongchou.telemetry.logs.detect import UNKNOWN, level_named, look, trace_named
from tongchou.telemetry.series import Labels, labels_of
from tongchou.wire.log_stream import Label, Stream

MAX_LINE_BYTES = 256 * 1024
MAX_LINES_PER_REQUEST = 200_000
MAX_LABELS = 32
MAX_FIELDS = 64
MAX_NAME_LENGTH = 256
MAX_VALUE_LENGTH = 4096
FUTURE_TOLERANCE_NS = 10 * 60 * 1_000_000_000
# Names of labels that say what a stream comes from, the most specific first.
RESOURCE_LABELS = ("instance", "service", "service_name", "app", "container", "job", "host", "filename")
LEVEL_FIELDS = ("level", "detected_level", "severity", "severity_text")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MAP = pa.map_(pa.string(), pa.string())
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Rows:
    """Accepted lines in columns; `stream` numbers the entries of `streams`. `size` is the bytes of all bodies."""

    ts: list[int] = field(default_factory=list)
    stream: list[int] = field(default_factory=list)
    level: list[str] = field(default_factory=list)
    trace_id: list[str] = field(default_factory=list)
    facts: list[Sequence[Label]] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)
    streams: list[Labels] = field(default_factory=list)
    size: int = 0
    refused: Refusals = field(default_factory=Refusals)

    def __len__(self) -> int:
        return len(self.ts)

    def table(self, first: int) -> pa.Table:
        """The rows as the log table takes them; their places in the order of arrival are first, first + 1, ..."""
        count = len(self.ts)
        number = pa.array(self.stream, pa.int64())
        ids = pa.array([stream_id(labels) for labels in self.streams], pa.uint64())
        names = pa.array([resource_name(labels) for labels in self.streams], pa.string())
        return pa.table(
            {
                "ts": pa.array(self.ts, pa.int64()),
                "seq": np.arange(first, first + count, dtype=np.uint64),
                "stream": ids.take(number),
                "resource": names.take(number),
                "level": pa.array(self.level, pa.string()),
                "trace_id": pa.array(self.trace_id, pa.string()),
                "labels": pa.array(self.streams, _MAP).take(number),
                "fields": _maps(self.facts),
                "body": pa.array(self.body, pa.string()),
            }
        )


def _maps(facts: Sequence[Sequence[Label]]) -> pa.Array:
    """Facts as a column of maps; quick where no line has any."""
    if any(facts):
        return pa.array(facts, _MAP)
    nothing = pa.array([], pa.string())
    return pa.MapArray.from_arrays(np.zeros(len(facts) + 1, np.int32), nothing, nothing)


def stream_id(labels: Labels) -> int:
    """The number of a stream: 64 bits of a hash of its labels in canonical order."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in labels:
        digest.update(name.encode() + b"\xff" + value.encode() + b"\xfe")  # bytes that no UTF-8 text holds
    return int.from_bytes(digest.digest(), "little")


def canonical(pairs: Sequence[Label]) -> Labels | str:
    """The labels of a stream in canonical form, or the reason (a sentence) why it may not have them."""
    if len(pairs) > MAX_LABELS:
        return f"more than {MAX_LABELS} labels"
    names = {name for name, _value in pairs}
    if len(names) != len(pairs):
        return "label name twice"
    for name, value in pairs:
        if len(name) > MAX_NAME_LENGTH or not _LABEL.fullmatch(name):
            return "not a label name"
        if len(value) > MAX_VALUE_LENGTH:
            return f"label value over {MAX_VALUE_LENGTH} characters"
        if _SURROGATES.search(value):
            return "label value is not Unicode text"
    found = labels_of(pairs)
    return found or "no label"


def resource_name(labels: Labels) -> str:
    """What a stream comes from, by its labels; "" when none of them says so."""
    held = dict(labels)
    return next((held[name] for name in RESOURCE_LABELS if name in held), "")


def _facts(pairs: Sequence[Label]) -> tuple[Sequence[Label], str]:
    """The facts beside a line in canonical form, and the reason why the line is refused ("" when it is not)."""
    if len(pairs) > MAX_FIELDS:
        return (), f"more than {MAX_FIELDS} fields"
    for name, value in pairs:
        if not name or len(name) > MAX_NAME_LENGTH or len(value) > MAX_LINE_BYTES:
            return (), "field name or value too long"
        if _SURROGATES.search(name) or _SURROGATES.search(value):
            return (), "field is not Unicode text"
    return sorted(dict(pairs).items()), ""


def utf8(line: bytes) -> bytes:
    """The line as valid UTF-8: what is not becomes U+FFFD, so that every reader can show every line."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return line.decode(errors="replace").encode()
    return line


def encode(streams: Iterable[Stream], *, now_ns: int, oldest_ns: int) -> Rows:
    """Encode what may be kept; the rest is counted in `refused` by reason."""
    rows = Rows()
    for stream in streams:
        labels = canonical(stream.labels)
        if isinstance(labels, str):
            rows.refused.add(labels, len(stream.entries), shown(stream.labels))
        else:
            _encode_stream(rows, stream, labels, now_ns + FUTURE_TOLERANCE_NS, oldest_ns)
    return rows


def _encode_stream(rows: Rows, stream: Stream, labels: Labels, newest_ns: int, oldest_ns: int) -> None:
    number = len(rows.streams)
    rows.streams.append(labels)
    of_labels = next((value for name, value in labels if name in LEVEL_FIELDS and level_named(value) != UNKNOWN), "")
    for entry in stream.entries:
        ts_ns, facts, unfit = entry.ts_ns, *(_facts(entry.fields) if entry.fields else ((), ""))
        if len(entry.line) > MAX_LINE_BYTES:
            unfit = f"line over {MAX_LINE_BYTES} bytes"
        elif ts_ns > newest_ns:
            unfit = "timestamp over 10 minutes in the future"
        elif ts_ns < oldest_ns:
            unfit = "older than the retention"
        if unfit:
            rows.refused.add(unfit, 1, shown(labels))
            continue
        line = utf8(entry.line)
        level, trace = look(line)
        if facts:
            level, trace = _of_facts(facts, level, trace)
        if entry.level:
            level = level_named(entry.level)
        elif level == UNKNOWN and of_labels:
            level = level_named(of_labels)
        rows.ts.append(ts_ns)
        rows.stream.append(number)
        rows.level.append(level)
        rows.trace_id.append(trace_named(entry.trace_id) or trace)
        rows.facts.append(facts)
        rows.body.append(line)
        rows.size += len(line) + 64


def _of_facts(facts: Sequence[Label], level: str, trace: str) -> tuple[str, str]:
    for name, value in facts:
        if name in LEVEL_FIELDS and (found := level_named(value)) != UNKNOWN:
            level = found
        elif name in ("trace_id", "traceId") and (found := trace_named(value)):
            trace = found
    return level, trace
