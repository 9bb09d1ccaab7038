"""Named reads of log lines, for the API, for pages and for rooms above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from tongchou.telemetry.backend import backend, default_limits
from tongchou.telemetry.logs.download import as_csv, ndjson
from tongchou.telemetry.logs.encode import MAX_LINE_BYTES
from tongchou.telemetry.logs.log_store import Facets, Histogram, Page, Query
from tongchou.telemetry.logs.query import Node, parse
from tongchou.telemetry.series import Matcher
from tongchou.telemetry.store.log_tables import NS, Cost, StoredLine

Form = Literal["ndjson", "csv"]
MAX_FILE_LINES = 50_000
MAX_FILE_BYTES = 32_000_000
FIRST_PAGE, FILE_PAGE = 100, 2_000  # lines are read whole, and may be long: the first ones tell how many at a time


def log_cost() -> Cost:
    """The limits an operator set for one query."""
    limits = default_limits()
    return Cost(limits.timeout_seconds, limits.max_memory_bytes)


def at_ns(moment: datetime) -> int:
    """Nanoseconds since the epoch of an aware time, to the microsecond."""
    return round(moment.timestamp() * 1_000_000) * 1000


def moment_of(ns: int) -> datetime:
    """The aware time of nanoseconds since the epoch."""
    return datetime.fromtimestamp(ns / NS, UTC)


def query_of(text: str, start: datetime, end: datetime, *, labels: Mapping[str, str] | None = None) -> Query:
    """A search between two times, optionally only of streams with these labels. Raises BadQuery."""
    matchers = [Matcher(name, "=", value) for name, value in (labels or {}).items()]
    return Query(at_ns(start), at_ns(end), parse(text), matchers)


def parsed(text: str) -> Node:
    """The tree of a search. Raises BadQuery."""
    return parse(text)


def search(text: str, start: datetime, end: datetime, *, limit: int = 200) -> Page:
    """The newest lines of a search between two times. Raises BadQuery, and a Problem at a limit."""
    return backend().logs.search(query_of(text, start, end), limit=limit, cost=log_cost())


def histogram(text: str, start: datetime, end: datetime, *, step_seconds: float) -> Histogram:
    """Lines per step and level of a search between two times."""
    query = query_of(text, start, end)
    return backend().logs.histogram(query, step_ns=max(1, round(step_seconds * NS)), cost=log_cost())


def facets(text: str, start: datetime, end: datetime) -> Facets:
    """The fields of a search's lines with their most frequent values."""
    return backend().logs.facets(query_of(text, start, end), cost=log_cost())


@dataclass(frozen=True, slots=True)
class Download:
    """A file of lines, the newest first; `cursor` where the next one begins, None when these were all."""

    body: bytes
    lines: int
    cursor: tuple[int, int] | None


def download(
    text: str, start: datetime, end: datetime, *, form: Form, limit: int, cursor: tuple[int, int] | None = None
) -> Download:
    """The newest lines of a search, whole, as a file of at most ``limit`` lines and about ``MAX_FILE_BYTES``."""
    query, size, count = query_of(text, start, end), 0, 0
    parts: list[bytes] = []
    while count < limit:
        fit = FIRST_PAGE if not size else max(1, (MAX_FILE_BYTES - size) * count // size + 1)
        page = backend().logs.search(
            query, limit=min(FILE_PAGE, fit, limit - count), cost=log_cost(), cursor=cursor, body_bytes=MAX_LINE_BYTES
        )
        parts.append(as_csv(page.lines, head=not parts) if form == "csv" else ndjson(page.lines))
        size, count = size + len(parts[-1]), count + len(page.lines)
        if not page.more:
            return Download(b"".join(parts), count, None)
        cursor = (page.lines[-1].ts_ns, page.lines[-1].seq)
        if size > MAX_FILE_BYTES:
            break
    return Download(b"".join(parts), count, cursor)


def line(place: tuple[int, int]) -> StoredLine:
    """One line, whole, by the two numbers of its id. Raises NotFound."""
    return backend().logs.line(*place, cost=log_cost())


def log_stats() -> dict[str, int]:
    """Figures of the log table, and what ingest did since the start of the process."""
    store = backend().logs
    counts = store.ingest.counts
    return {
        **store.tables.sizes(),
        "retention_days": store.tables.retention_days,
        "ingested_lines": counts.lines,
        "ingested_bytes": counts.bytes,
        "refused_lines": counts.refused_lines,
        "inserts": counts.inserts,
        "failed_inserts": counts.failed_inserts,
    }
