"""Reads which patterns of log lines of some sources are new around a moment. Bounded in lines, bytes and time."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import re2

from tongchou.core.problems import Problem
from tongchou.telemetry.backend import backend, default_limits
from tongchou.telemetry.log_reads import at_ns, moment_of
from tongchou.telemetry.logs.condition import label_condition
from tongchou.telemetry.logs.log_store import Query, line_id
from tongchou.telemetry.logs.novelty import LogLine, Novel, novel
from tongchou.telemetry.logs.query import Phrase
from tongchou.telemetry.series import Matcher
from tongchou.telemetry.store.log_tables import NS, Cost, StoredLine

log = logging.getLogger(__name__)

BEFORE = timedelta(minutes=30)
LEAD = timedelta(minutes=2)
AFTER = timedelta(minutes=5)
LONG_BEFORE = timedelta(hours=24)  # a pattern seen at any time of the day before is not new
MAX_LINES = 4_000  # of each of the two stretches, the newest
MAX_BODY = 2_000
YOUNG_LEAD = 0.4  # of what is known, when that is less than LEAD
MAX_CHECKED = 8
MAX_SOURCES = 200
DEADLINE_SECONDS = 6.0
# What may say that something is wrong; lines without a level count, for they may be errors of old programs.
_WORTH_READING = "level IN ('warning', 'error', 'critical', 'unknown')"
SOURCE_LABELS = ("instance", "pod", "container", "service", "service_name", "app", "host")


@dataclass(slots=True)
class LogReport:
    """New and grown patterns, and what the answer rests on.

    `notes` are of lines_capped_before, lines_capped, no_lines_before, refused, deadline.
    """

    found: list[Novel] = field(default_factory=list)
    lines_before: int = 0
    lines: int = 0
    reads: int = 0
    seconds: float = 0.0
    before_from: datetime | None = None
    scan_from: datetime | None = None
    until: datetime | None = None
    notes: list[str] = field(default_factory=list)


def patterns(names: Mapping[str, str], onset: datetime, now: datetime) -> LogReport:
    """New patterns of the lines whose SOURCE_LABELS carry one of `names` (label value -> key), around `onset`.

    Two reads of lines, and at most MAX_CHECKED counts. Nothing is raised but programming errors.
    """
    began = time.monotonic()
    report = LogReport()
    if names:
        _Look(report, dict(list(names.items())[:MAX_SOURCES]), onset, now, began + DEADLINE_SECONDS).run()
    report.seconds = round(time.monotonic() - began, 3)
    return report


class _Look:
    """One look: two stretches, the patterns, and whether the new ones are."""

    def __init__(self, report: LogReport, names: dict[str, str], onset: datetime, now: datetime, late: float) -> None:
        self.report, self.names, self.late = report, names, late
        self.onset = onset
        self.scan = onset - LEAD
        self.until = min(now, onset + AFTER)
        self.start = self.scan - BEFORE
        value = "|".join(re2.escape(name) for name in names)
        tests = [label_condition([Matcher(label, "=~", value)]) for label in SOURCE_LABELS]
        self.sources = "(" + " OR ".join(f"({test})" for test in tests) + ")"

    def run(self) -> None:
        report = self.report
        report.before_from, report.scan_from, report.until = self.start, self.scan, self.until
        during, report.lines = self._read(self.scan, self.until, "lines_capped")
        before, report.lines_before = self._read(self.start, self.scan, "lines_capped_before")
        heard = bool(before)
        if not before and during:
            heard, before, during = self._begin(during)
        if not heard:
            report.notes.append("no_lines_before")
            return
        # Of too many lines the newest are read: then the stretch before is as long as those reach back.
        seconds = (self.scan - self.start).total_seconds()
        if "lines_capped_before" in report.notes:
            seconds = (at_ns(self.scan) - min(line.ts_ns for line in before)) / NS
        span = (self.until - self.scan).total_seconds()
        report.found = novel(before, during, before_seconds=seconds, during_seconds=span, heard=heard)
        report.found = [self._checked(place, each) for place, each in enumerate(report.found)]

    def _begin(self, lines: list[LogLine]) -> tuple[bool, list[LogLine], list[LogLine]]:
        """When nothing bad was said before: whether the sources said anything at all, with lines before and during.

        Of sources that have only just begun to log, the first part of their time is all there is to compare with.
        """
        oldest = self._oldest()
        if oldest is None or oldest >= self.onset:
            return False, [], lines
        if oldest < self.scan:
            return True, [], lines
        self.start = oldest
        self.scan = max(oldest, self.onset - YOUNG_LEAD * (self.onset - oldest))
        self.report.before_from, self.report.scan_from = self.start, self.scan
        edge = at_ns(self.scan)
        before = [line for line in lines if line.ts_ns < edge]
        self.report.lines_before, self.report.lines = len(before), len(lines) - len(before)
        return True, before, [line for line in lines if line.ts_ns >= edge]

    def _oldest(self) -> datetime | None:
        """When the sources began to say anything, of any level, since the start."""
        cost = self._cost()
        if cost is None:
            return None
        self.report.reads += 1
        query = Query(at_ns(self.start), at_ns(self.until), extra=self.sources)
        try:
            page = backend().logs.search(query, limit=1, cost=cost, forward=True)
        except Problem:
            return None
        return moment_of(page.lines[0].ts_ns) if page.lines else None

    def _cost(self) -> Cost | None:
        left = self.late - time.monotonic()
        if left <= 0:
            if "deadline" not in self.report.notes:
                self.report.notes.append("deadline")
            return None
        usual = default_limits()
        return Cost(min(left, usual.timeout_seconds), usual.max_memory_bytes)

    def _read(self, start: datetime, end: datetime, capped: str) -> tuple[list[LogLine], int]:
        cost = self._cost()
        if cost is None:
            return [], 0
        query = Query(at_ns(start), at_ns(end), extra=f"{_WORTH_READING} AND {self.sources}")
        self.report.reads += 1
        try:
            page = backend().logs.search(query, limit=MAX_LINES, cost=cost)
        except Problem as problem:
            log.warning("log patterns are not looked for: %s", problem)
            self.report.notes.append("refused")
            return [], 0
        if page.more:
            self.report.notes.append(capped)
        lines = [
            LogLine(key, line.ts_ns, line.level, line.body[:MAX_BODY], line_id(line))
            for line in page.lines
            if (key := self._key(line)) is not None
        ]
        return lines, len(page.lines)

    def _key(self, line: StoredLine) -> str | None:
        """Whom a line is of: the most particular of its labels that is known."""
        return next(
            (self.names[value] for label in SOURCE_LABELS if (value := line.labels.get(label)) in self.names), None
        )

    def _checked(self, place: int, found: Novel) -> Novel:
        """A new pattern that the day before knows is none: what it was expected to be is told instead."""
        cost = self._cost() if found.new and found.phrase and place < MAX_CHECKED else None
        if cost is None:
            return found
        start = self.scan - LONG_BEFORE
        query = Query(at_ns(start), at_ns(self.start), Phrase(found.phrase), extra=self.sources)
        self.report.reads += 1
        try:
            total = backend().logs.histogram(query, step_ns=round(LONG_BEFORE.total_seconds() * NS), cost=cost).total
        except Problem:
            return found
        share = (self.until - self.scan) / (self.start - start)
        return replace(found, new=False, expected=total * share) if total else found
