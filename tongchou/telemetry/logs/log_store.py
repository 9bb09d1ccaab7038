"""The lines of one telemetry database: ingest and every read of them, within stated limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, NotFound, Problem, Unavailable
from tongchou.telemetry.logs.condition import condition, label_condition, literal
from tongchou.telemetry.logs.encode import Rows, encode
from tongchou.telemetry.logs.facets import Facet, facets
from tongchou.telemetry.logs.ingest import LogIngest
from tongchou.telemetry.logs.query import EVERYTHING, Node
from tongchou.telemetry.series import Matcher
from tongchou.telemetry.store.log_tables import NS, Cost, LogTables, StoredLine, span
from tongchou.telemetry.store.tables import Engine
from tongchou.wire.log_stream import Stream

MAX_LINES = 5_000
MAX_CONTEXT_LINES = 500
MAX_STEPS = 2_000
FACET_LINES = 1_000
SHOWN_BYTES = 16 * 1024  # of one line in a list; the whole line is read by its id
MAX_VALUES = 1_000
CONTEXT_SPAN_NS = 24 * 3600 * NS


@dataclass(frozen=True, slots=True)
class Query:
    """Which lines: start <= time < end, label matchers, and a tree of the search language."""

    start_ns: int
    end_ns: int
    node: Node = EVERYTHING
    matchers: Sequence[Matcher] = ()
    extra: str = ""

    def where(self) -> str:
        """The SQL condition."""
        parts = [span(self.start_ns, self.end_ns), f"({condition(self.node)})"]
        if self.matchers:
            parts.append(f"({label_condition(self.matchers)})")
        if self.extra:
            parts.append(self.extra)
        return " AND ".join(parts)


@dataclass(frozen=True, slots=True)
class Page:
    """Lines of a search, and whether there are more in that direction."""

    lines: list[StoredLine]
    more: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """Lines per step and level: `counts[level][i]` between start + i * step and the next."""

    start_ns: int
    step_ns: int
    steps: int
    counts: dict[str, list[int]]

    @property
    def total(self) -> int:
        """All lines of the span."""
        return sum(sum(row) for row in self.counts.values())


@dataclass(frozen=True, slots=True)
class Facets:
    """`labels` were counted on every line, `fields` on the newest `sampled` ones."""

    labels: list[Facet]
    fields: list[Facet]
    sampled: int


def line_id(line: StoredLine) -> str:
    """The name of a line: its time in ns and its place in the order of arrival."""
    return f"{line.ts_ns}-{line.seq}"


def parse_line_id(text: str) -> tuple[int, int]:
    """(time in ns, place) of a line id. Raises Invalid."""
    first, _dash, second = text.partition("-")
    if not (first.isdecimal() and second.isdecimal() and len(first) < 20 and len(second) < 20):
        raise Invalid(
            "logs.line_id", _("A line id is a time in nanoseconds, a dash and a number."), field="id", value=text
        )
    return int(first), int(second)


class LogStore:
    """Lines in and out. Thread-safe."""

    def __init__(
        self,
        engine: Engine,
        database: str,
        *,
        retention_days: int,
        linger_seconds: float = 0.1,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.clock_ns = clock_ns
        self.tables = LogTables(engine, database, retention_days=retention_days)
        self.tables.create()
        self.ingest = LogIngest(self.tables, linger_seconds=linger_seconds, clock_ns=clock_ns)

    def close(self) -> None:
        """Write what is waiting and take nothing more."""
        self.ingest.close()

    def take(self, streams: Sequence[Stream], *, token: str = "") -> tuple[Rows, Future[None]]:
        """Queue lines; returns what was accepted and refused, and the future that is done when they are on disk."""
        now = self.clock_ns()
        rows = encode(streams, now_ns=now, oldest_ns=now - self.tables.retention_days * 86_400 * NS)
        self.ingest.counts.refused_lines += rows.refused.total
        return rows, self.ingest.submit(rows, token=token)

    def search(
        self,
        query: Query,
        *,
        limit: int,
        cost: Cost,
        cursor: tuple[int, int] | None = None,
        forward: bool = False,
        body_bytes: int = SHOWN_BYTES,
    ) -> Page:
        """The newest lines first (`forward`: the oldest first), from beyond `cursor` on."""
        if not 1 <= limit <= MAX_LINES:
            raise Invalid(
                "logs.limit",
                _("limit is a number from 1 to %(limit)d.") % {"limit": MAX_LINES},
                field="limit",
                value=limit,
            )
        where = query.where()
        if cursor is not None:
            at, place = cursor
            sign = ">" if forward else "<"
            where += f" AND {_at(sign + '=', at)} AND ({_at(sign, at)} OR seq {sign} {place:d})"
        order = "ts, seq" if forward else "ts DESC, seq DESC"
        with _limits():
            lines = self.tables.lines(where, order=order, limit=limit + 1, body_bytes=body_bytes, cost=cost)
        return Page(lines[:limit], len(lines) > limit)

    def histogram(self, query: Query, *, step_ns: int, cost: Cost) -> Histogram:
        """Lines per step and level over the span of the query."""
        steps = -(-(query.end_ns - query.start_ns) // max(1, step_ns))
        if step_ns <= 0 or steps > MAX_STEPS:
            raise Invalid(
                "logs.steps",
                _("The range has %(count)d steps; the limit is %(limit)d.") % {"count": steps, "limit": MAX_STEPS},
                field="step",
                remedy=_("Use a longer step or a shorter range."),
            )
        counts: dict[str, list[int]] = {}
        with _limits():
            found = self.tables.histogram(query.where(), start_ns=query.start_ns, step_ns=step_ns, cost=cost)
        for step, level, lines in found:
            row = counts.setdefault(level, [0] * steps)
            if 0 <= step < steps:
                row[step] += lines
        return Histogram(query.start_ns, step_ns, steps, counts)

    def facets(self, query: Query, *, cost: Cost, top: int = 10) -> Facets:
        """The values of labels on all lines of a search, and of fields on its newest ``FACET_LINES``."""
        labels: dict[str, tuple[list[tuple[str, int]], int]] = {}
        with _limits():
            for name, value, lines, distinct in self.tables.top_values(query.where(), top=top, cost=cost):
                labels.setdefault(name, ([], distinct))[0].append((value, lines))
        newest = self.search(query, limit=FACET_LINES, cost=cost).lines
        fields = [each for each in facets((line.fields, line.body) for line in newest) if each.name not in labels]
        first = [name for name in ("level", "service") if name in labels]
        order = [*first, *sorted(labels.keys() - set(first))]
        return Facets([Facet(name, *labels[name]) for name in order], fields, len(newest))

    def line(self, at_ns: int, place: int, *, cost: Cost) -> StoredLine:
        """One line, whole. Raises NotFound."""
        where = f"{_at('=', at_ns)} AND seq = {place:d}"
        found = self.tables.lines(where, order="ts", limit=1, body_bytes=1 << 40, cost=cost)
        if not found:
            raise NotFound(
                "logs.no_line", _("There is no such line; it may be older than the retention."), field="id",
                value=f"{at_ns}-{place}",
            )  # fmt: skip
        return found[0]

    def context(self, line: StoredLine, *, before: int, after: int, cost: Cost) -> tuple[Page, Page]:
        """The lines of the same stream before (oldest first) and after a line, within a day of it."""
        if not (0 <= before <= MAX_CONTEXT_LINES and 0 <= after <= MAX_CONTEXT_LINES):
            raise Invalid(
                "logs.context", _("At most %(limit)d lines before and after are given.") % {"limit": MAX_CONTEXT_LINES}
            )
        same = f"stream = {line.stream:d}"
        cursor = (line.ts_ns, line.seq)
        older = Query(line.ts_ns - CONTEXT_SPAN_NS, line.ts_ns + 1, extra=same)
        newer = Query(line.ts_ns, line.ts_ns + CONTEXT_SPAN_NS, extra=same)
        none = Page([], more=False)
        back = self.search(older, limit=before, cost=cost, cursor=cursor) if before else none
        on = self.search(newer, limit=after, cost=cost, cursor=cursor, forward=True) if after else none
        return Page(back.lines[::-1], back.more), on

    def arrived(self, query: Query, *, after: int, limit: int, cost: Cost) -> tuple[list[StoredLine], int]:
        """Lines that arrived after a place, oldest arrival first, and the place to ask from next.

        Nothing is skipped: places grow in the order in which lines become readable.
        """
        upto = self.ingest.readable
        where = f"seq > {after:d} AND seq <= {upto:d} AND {query.where()}"
        with _limits():
            lines = self.tables.lines(where, order="seq", limit=limit + 1, body_bytes=SHOWN_BYTES, cost=cost)
        if len(lines) > limit:
            lines = lines[:limit]
            return lines, lines[-1].seq
        return lines, upto

    def count_arrived(self, query: Query, label: str, *, after: int, upto: int, cost: Cost) -> dict[str, int]:
        """Lines that arrived after one place and up to another, by the value of a label."""
        return self.tables.counts_by(
            literal(label), f"seq > {after:d} AND seq <= {upto:d} AND {query.where()}", cost=cost
        )

    def label_names(self, query: Query, *, cost: Cost) -> list[str]:
        """Names of the labels on the lines of a search."""
        with _limits():
            return self.tables.label_names(query.where(), cost=cost)

    def label_values(self, name: str, query: Query, *, cost: Cost, limit: int = MAX_VALUES) -> list[str]:
        """Values of one label on the lines of a search."""
        with _limits():
            return self.tables.label_values(literal(name), query.where(), limit=limit, cost=cost)

    def streams(self, query: Query, *, cost: Cost, limit: int = MAX_VALUES) -> list[dict[str, str]]:
        """Label sets of the streams a search touches."""
        with _limits():
            return self.tables.streams(query.where(), limit=limit, cost=cost)


def _at(sign: str, ns: int) -> str:
    return f"ts {sign} fromUnixTimestamp64Nano({min(max(ns, 0), (1 << 63) - 1):d})"


class _limits:  # noqa: N801  # reads as a statement where it is used: with _limits()
    """Says what to do about a search that took too much, in the words of logs."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Problem) and error.code in ("telemetry.timeout", "telemetry.limit_exceeded"):
            kind = Unavailable if error.code == "telemetry.timeout" else Invalid
            raise kind(
                error.code.replace("telemetry", "logs"),
                error.detail,
                remedy=_("Search a shorter time range, or add a word or a label that fewer lines have."),
            ) from None
