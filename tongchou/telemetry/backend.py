"""The telemetry of this process: store, label index, newest window and ingest behind the `Backend` port."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import re2
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Problem
from tongchou.telemetry.follow_feed import FeedFollower
from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.ingest import Ingest, now_ms
from tongchou.telemetry.logs.log_store import LogStore
from tongchou.telemetry.numbering import Numbering, agreed_numbers
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Float64s, Int64s, Labels, Matcher, SeriesBlock
from tongchou.telemetry.shared_ingest import SharedIngest
from tongchou.telemetry.store.embedded import Engine as EmbeddedEngine
from tongchou.telemetry.store.feed import Feed
from tongchou.telemetry.store.journal import Journal
from tongchou.telemetry.store.server import ServerEngine, address_of
from tongchou.telemetry.store.tables import ROW_MASK, Engine, Tables, sid_condition
from tongchou.telemetry.window import Window, in_order

log = logging.getLogger(__name__)

_REBUILD_SLICE_MS = 5 * 60 * 1000
MatcherSets = Sequence[Sequence[Matcher]]
Columns = tuple[Int64s, Int64s, Float64s]  # offsets, ts, v in compressed sparse rows


@dataclass(frozen=True, slots=True)
class Options:
    """What one telemetry database is opened with."""

    database: str = "tongchou"
    retention_days: int = 395
    window_seconds: int = 3600
    window_max_bytes: int = 512 * 1024 * 1024
    max_series: int = 2_000_000
    linger_seconds: float = 0.1
    flush_seconds: float = 1.0
    sync_journal: bool = False  # fsync every group: survives a power cut, not only a killed process
    log_retention_days: int = 180
    shared_linger_seconds: float = 0.2  # how long a write into a shared store waits for others to join it


class Telemetry:
    """One telemetry database: satisfies `ports.Backend` and takes samples. Thread-safe.

    Where other processes write the same store (`engine.shared`), `numbering` gives the numbers all of them agree on.
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        *,
        clock: Callable[[], int] = now_ms,
        numbering: Numbering = agreed_numbers,
    ) -> None:
        self.engine = engine
        self.options = options
        self.clock = clock
        self.tables = Tables(engine, options.database, retention_days=options.retention_days)
        self.tables.create()
        self.index = LabelIndex(max_series=options.max_series, shared=engine.shared)
        self.window = Window(length_seconds=options.window_seconds, max_bytes=options.window_max_bytes)
        self.follower: FeedFollower | None = None
        self.ingest: Ingest | SharedIngest
        if isinstance(engine, EmbeddedEngine):
            self.ingest = self._open_alone(engine)
        elif isinstance(engine, ServerEngine):
            self.ingest = self._open_shared(engine, numbering)
        else:
            raise TypeError(f"no way to take samples into {type(engine).__name__}")
        self.logs = LogStore(
            engine,
            options.database,
            retention_days=options.log_retention_days,
            linger_seconds=options.linger_seconds,
            clock_ns=lambda: self.clock() * 1_000_000,
        )

    def _open_alone(self, engine: EmbeddedEngine) -> Ingest:
        """The way in of the only process: through a journal on disk, whose rest of the last run is taken up."""
        folder = engine.folder.parent / f"{engine.folder.name}-journal" / self.options.database
        journal = Journal(folder, sync=self.options.sync_journal)
        left = journal.replay()
        if not left.samples:
            self.tables.prune_series()
        stored = dict([*left.series, *self.tables.load_series()])
        self.index.load(sorted(stored.items(), key=lambda each: each[0] & ROW_MASK), *self.tables.load_days())
        self._fill_window()
        ingest = Ingest(
            self.tables, self.index, self.window, journal, flush_seconds=self.options.flush_seconds, clock=self.clock
        )
        ingest.start(left)
        return ingest

    def _open_shared(self, engine: ServerEngine, numbering: Numbering) -> SharedIngest:
        """The way in of one process of several: straight into the store, and after what the others write."""
        feed = Feed(engine, self.options.database)
        feed.create()
        ingest = SharedIngest(
            self.tables, feed, self.index, self.window, numbering,
            linger_seconds=self.options.shared_linger_seconds, clock=self.clock,
        )  # fmt: skip
        self.follower = FeedFollower(feed, self._take_foreign, ingest.own_batches, self._rebuild)
        self.follower.begin()
        self._rebuild()
        self.follower.start()
        return ingest

    def _rebuild(self) -> None:
        """Read index and window anew; what is known already stays."""
        self.index.load(self.tables.load_series(), *self.tables.load_days())
        self._fill_window()

    def _take_foreign(self, sid: Int64s, ts: Int64s, v: Float64s) -> None:
        """Show samples that another process wrote."""
        rows = self._rows_of(sid)
        if (rows < 0).any():
            known = rows >= 0
            log.error("%d samples belong to series that the store does not name", int(np.count_nonzero(~known)))
            rows, ts, v = rows[known], ts[known], v[known]
        self.index.mark_days(self.index.missing_days(rows, ts))
        self.window.append(rows, ts, v, now_ms=self.clock())

    def _rows_of(self, sid: Int64s) -> Int64s:
        """Rows of store ids; series that another process made are learned. -1 where even the store has no labels."""
        rows = self.index.rows_of(sid)
        unknown = np.unique(sid[rows < 0])
        if not len(unknown):
            return rows
        for first in range(0, len(unknown), 2000):
            self.index.learn(self.tables.load_series(sid_condition(unknown[first : first + 2000])))
        return self.index.rows_of(sid)

    def _fill_window(self) -> None:
        """Read the newest samples back from the store, oldest first, before anything new is taken."""
        now = self.clock()
        self.window.start(now)
        end = now + 24 * 3600 * 1000  # what was accepted with a clock ahead of ours belongs to the window too
        start = now - self.window.length_ms
        while start <= end:
            stop = min(start + _REBUILD_SLICE_MS - 1, end) if start <= now else end
            found = self.tables.read(
                "1", start, stop, max_samples=2**62, timeout_seconds=300.0, max_memory_bytes=4_000_000_000
            )
            if len(found.ts):
                rows = self._rows_of(found.sid)
                known = rows >= 0
                self.window.append(rows[known], found.ts[known], found.v[known], now_ms=now)
            start = stop + 1

    def close(self) -> None:
        """Write what is waiting and stop taking samples; the engine stays open."""
        if self.follower is not None:
            self.follower.close()
        self.logs.close()
        self.ingest.close()

    @property
    def lag_seconds(self) -> float:
        """How far this process may be behind what others wrote; 0 when it is the only one."""
        return self.follower.lag_seconds if self.follower is not None else 0.0

    def flush(self) -> None:
        """Move what the journal holds into the tables now; nobody needs it to read what was written."""
        self.ingest.flush()

    def row(self, labels: Labels) -> int:
        """The row of canonical labels, made when it is new. Raises TooMany at the limit of series."""
        return self.index.row(labels)

    def submit(self, rows: Int64s, ts: Int64s, v: Float64s) -> Future[None]:
        """Queue samples of known rows; see `Ingest.submit`."""
        return self.ingest.submit(rows, ts, v)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock:
        """Samples of the closed interval; from memory where the newest window covers it, else from the store."""
        rows = self._rows(matchers, start_ms, end_ms)
        if len(rows) > limits.max_series:
            raise _over(_("The query touches %(count)d series; the limit is %(limit)d."), len(rows), limits.max_series)
        if not len(rows):
            return SeriesBlock.empty()
        offsets, ts, v = self._columns(rows, start_ms, end_ms, limits)
        if len(ts) > limits.max_samples:
            raise _over(_("The query reads more than %(limit)d samples."), len(ts), limits.max_samples)
        filled = np.flatnonzero(np.diff(offsets))
        if len(filled) < len(rows):
            offsets = np.append(offsets[filled], offsets[-1])
            rows = rows[filled]
        return SeriesBlock(self.index.labels(rows), offsets, ts, v)

    def _columns(self, rows: Int64s, start_ms: int, end_ms: int, limits: Limits) -> Columns:
        if self.follower is not None:
            self.follower.check()
        covered_from = self.window.covered_from_ms
        if covered_from <= end_ms:
            recent = self.window.select(rows, max(start_ms, covered_from), end_ms)
            if recent is not None:
                if start_ms >= covered_from:
                    return recent
                return _joined(self._stored(rows, start_ms, covered_from - 1, limits), recent)
        return self._stored(rows, start_ms, end_ms, limits)

    def _stored(self, rows: Int64s, start_ms: int, end_ms: int, limits: Limits) -> Columns:
        """Samples out of the tables, and out of the journal what they do not have yet."""
        active = self.index.active(rows, start_ms, end_ms)
        if not len(active):
            return np.zeros(len(rows) + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64)
        pending = self.ingest.pending()
        found = self.tables.read(
            sid_condition(self.index.sids(active)),
            start_ms,
            end_ms,
            max_samples=2 * limits.max_samples,
            timeout_seconds=limits.timeout_seconds,
            max_memory_bytes=limits.max_memory_bytes,
        )
        place = np.full(self.index.row_count, -1, np.int64)
        place[rows] = np.arange(len(rows))
        parts = [_placed(place, self.index.rows_of(found.sid), found.ts, found.v)]
        for some_rows, ts, v in pending:
            inside = (ts >= start_ms) & (ts <= end_ms)
            if inside.any():
                parts.append(_placed(place, some_rows[inside], ts[inside], v[inside]))
        if len(parts) == 1:
            return in_order(*parts[0], len(rows))
        series, ts, v = (np.concatenate(column) for column in zip(*parts, strict=True))
        return in_order(series, ts, v, len(rows))

    def _rows(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Int64s:
        try:
            rows = self.index.find(matchers)
        except re2.error as error:
            detail = _("A regular expression is not valid: %(error)s") % {"error": error}
            raise Invalid("telemetry.bad_regex", detail) from None
        return self.index.active(rows, start_ms, end_ms)

    def _any_rows(self, matcher_sets: MatcherSets, start_ms: int, end_ms: int, limits: Limits) -> Int64s:
        found = [self._rows(matchers, start_ms, end_ms) for matchers in (matcher_sets or [()])]
        rows = found[0] if len(found) == 1 else np.unique(np.concatenate(found))
        if len(rows) > limits.max_series:
            raise _over(_("The query touches %(count)d series; the limit is %(limit)d."), len(rows), limits.max_series)
        return rows

    def series(self, matcher_sets: MatcherSets, start_ms: int, end_ms: int, *, limits: Limits) -> list[Labels]:
        """Labels of the series that have samples on the days of the interval and satisfy any of the sets."""
        return sorted(self.index.labels(self._any_rows(matcher_sets, start_ms, end_ms, limits)))

    def label_names(self, matcher_sets: MatcherSets, start_ms: int, end_ms: int, *, limits: Limits) -> list[str]:
        """Sorted label names of those series; without a set, of all series ever kept."""
        if not matcher_sets:
            return self.index.label_names()
        rows = self._any_rows(matcher_sets, start_ms, end_ms, limits)
        return sorted({name for labels in self.index.labels(rows) for name, _value in labels})

    def label_values(
        self, name: str, matcher_sets: MatcherSets, start_ms: int, end_ms: int, *, limits: Limits
    ) -> list[str]:
        """Sorted values of one label on those series; without a set, on all series ever kept."""
        if not matcher_sets:
            return self.index.label_values(name)
        rows = self._any_rows(matcher_sets, start_ms, end_ms, limits)
        return sorted({value for labels in self.index.labels(rows) for one, value in labels if one == name})


def _placed(place: Int64s, rows: Int64s, ts: Int64s, v: Float64s) -> Columns:
    """(position of the series, ts, v) of the samples whose series has a position."""
    if len(rows) and rows.max() >= len(place):  # a series made after `place`
        known = rows < len(place)
        rows, ts, v = rows[known], ts[known], v[known]
    series = place[rows]
    wanted = (series >= 0) & (rows >= 0)
    if wanted.all():
        return series, ts, v
    return series[wanted], ts[wanted], v[wanted]


def _joined(older: Columns, newer: Columns) -> Columns:
    """Two blocks of the same series, all of `older` before all of `newer`, as one."""
    counts_old, counts_new = np.diff(older[0]), np.diff(newer[0])
    offsets = np.zeros(len(older[0]), np.int64)
    np.cumsum(counts_old + counts_new, out=offsets[1:])
    ts = np.empty(int(offsets[-1]), np.int64)
    v = np.empty(int(offsets[-1]), np.float64)
    at_old = np.arange(len(older[1])) + np.repeat(offsets[:-1] - older[0][:-1], counts_old)
    at_new = np.arange(len(newer[1])) + np.repeat(offsets[:-1] + counts_old - newer[0][:-1], counts_new)
    ts[at_old], v[at_old] = older[1], older[2]
    ts[at_new], v[at_new] = newer[1], newer[2]
    return offsets, ts, v


def _over(text: object, count: int, limit: int) -> Problem:
    return Invalid(
        "telemetry.limit_exceeded",
        str(text) % {"count": count, "limit": limit},
        remedy=_("Ask for a shorter range or fewer series."),
    )


_lock = threading.RLock()
_current: list[Telemetry] = []


def backend() -> Telemetry:
    """The telemetry of this process, opened at the first call.

    Raises Conflict when another process holds the folder.
    """
    with _lock:
        if not _current:
            engine = open_engine()
            options = Options(
                database=settings.TELEMETRY_DATABASE,
                retention_days=settings.TELEMETRY_RETENTION_DAYS,
                window_seconds=settings.TELEMETRY_WINDOW_SECONDS,
                window_max_bytes=settings.TELEMETRY_WINDOW_MAX_BYTES,
                max_series=settings.TELEMETRY_MAX_SERIES,
                shared_linger_seconds=settings.CLICKHOUSE_LINGER_SECONDS,
            )
            opened = False
            try:
                _current.append(Telemetry(engine, options))
                opened = True
            finally:
                if not opened:
                    engine.close()
        return _current[0]


def open_engine() -> Engine:
    """The way to the store that the settings name. Raises Problems."""
    threads = settings.TELEMETRY_QUERY_THREADS
    if not settings.CLICKHOUSE_URL:
        return EmbeddedEngine(settings.TELEMETRY_PATH, read_threads=threads)
    address = address_of(
        settings.CLICKHOUSE_URL,
        ca_file=settings.CLICKHOUSE_CA_FILE,
        certificate_file=settings.CLICKHOUSE_CERTIFICATE_FILE,
        key_file=settings.CLICKHOUSE_KEY_FILE,
        verify=settings.CLICKHOUSE_VERIFY,
    )
    return ServerEngine(address, read_threads=threads)


def is_open() -> bool:
    """Whether this process has telemetry open (so that a shutdown opens nothing)."""
    return bool(_current)


def use(telemetry: Telemetry | None) -> Telemetry | None:
    """Make this the telemetry of the process (None: open from settings at the next use); returns the one before."""
    with _lock:
        before = _current.pop() if _current else None
        if telemetry is not None:
            _current.append(telemetry)
        return before


def close() -> None:
    """Write what is waiting, let running queries end, release the folder. For the end of the process."""
    with _lock:
        if _current:
            telemetry = _current.pop()
            telemetry.close()
            telemetry.engine.close()


def default_limits() -> Limits:
    """The limits an operator set for one query."""
    return Limits(
        max_samples=settings.TELEMETRY_MAX_SAMPLES,
        max_series=settings.TELEMETRY_MAX_QUERY_SERIES,
        max_steps=settings.TELEMETRY_MAX_QUERY_STEPS,
        timeout_seconds=settings.TELEMETRY_MAX_QUERY_SECONDS,
        max_memory_bytes=settings.TELEMETRY_MAX_QUERY_BYTES,
    )
