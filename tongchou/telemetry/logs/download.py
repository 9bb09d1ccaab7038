"""Lines as a file: one JSON object a line, or CSV that a spreadsheet may open. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tongchou.core.lists.export import guarded
from tongchou.telemetry.store.log_tables import NS, StoredLine

BOM = "\ufeff"  # or Excel takes UTF-8 for the code page of the machine
COLUMNS = ("time", "level", "resource", "trace_id", "labels", "fields", "line")


def time_of(ts_ns: int) -> str:
    """RFC 3339 to the nanosecond."""
    whole, rest = divmod(ts_ns, NS)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def ndjson(lines: Iterable[StoredLine]) -> bytes:
    """One object a line."""
    return b"".join(
        json.dumps(
            {
                "time": time_of(line.ts_ns),
                "ts_ns": str(line.ts_ns),
                "level": line.level,
                "resource": line.resource,
                "trace_id": line.trace_id,
                "labels": line.labels,
                "fields": line.fields,
                "body": line.body,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        + b"\n"
        for line in lines
    )


def rows(lines: Iterable[StoredLine]) -> Iterable[Sequence[str]]:
    """The cells of each line."""
    for line in lines:
        labels, fields = (json.dumps(each, ensure_ascii=False) for each in (line.labels, line.fields))
        cells = (time_of(line.ts_ns), line.level, line.resource, line.trace_id, labels, fields, line.body)
        yield [guarded(cell) for cell in cells]


def as_csv(lines: Iterable[StoredLine], *, head: bool) -> bytes:
    """CSV of RFC 4180; with `head` the byte order mark and the names of the columns come first."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    if head:
        out.write(BOM)
        writer.writerow(COLUMNS)
    writer.writerows(rows(lines))
    return out.getvalue().encode()
