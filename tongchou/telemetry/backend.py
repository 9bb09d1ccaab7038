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

from tongchou.core.problems import Invalid, Unavailable
from tongchou.telemetry.admit import Refusals
from tongchou.telemetry.block_cache import BlockCache
from tongchou.telemetry.buckets import FIVE_MINUTES_MS, HOUR_MS, Grid, RolledSeries
from tongchou.telemetry.follow_feed import FeedFollower
from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.ingest import FLUSH_SECONDS, Ingest, now_ms
from tongchou.telemetry.known_labels import KnownLabels
from tongchou.telemetry.logs.log_store import LogStore
from tongchou.telemetry.meters import REJECTED
from tongchou.telemetry.numbering import Numbering, agreed_numbers
from tongchou.telemetry.ports import Limits, ManyMatchers
from tongchou.telemetry.promql.errors import limit_exceeded
from tongchou.telemetry.repeats import Repeats
from tongchou.telemetry.rollups import Rollups
from tongchou.telemetry.select_each import select_each
from tongchou.telemetry.series import Float64s, Int64s, Labels, Matcher, SeriesBlock, end_to_end
from tongchou.telemetry.shared_ingest import SharedIngest
from tongchou.telemetry.sources import Sources
from tongchou.telemetry.store.embedded import Engine as EmbeddedEngine
from tongchou.telemetry.store.feed import Feed
from tongchou.telemetry.store.journal import Journal
from tongchou.telemetry.store.rollup_tables import RollupTables
from tongchou.telemetry.store.server import ServerEngine, address_of
from tongchou.telemetry.store.tables import ROW_MASK, Engine, Tables, sid_condition
from tongchou.telemetry.stored import StoredReader
from tongchou.telemetry.window import Window

log = logging.getLogger(__name__)

_REBUILD_SLICE_MS = 5 * 60 * 1000
MatcherSets = Sequence[Sequence[Matcher]]
Columns = tuple[Int64s, Int64s, Float64s]  # offsets (or a row for each sample), ts, v


@dataclass(frozen=True, slots=True)
class Options:
    """What one telemetry database is opened with."""

    database: str = "tongchou"
    retention_days: int = 395
    window_seconds: int = 3600
    window_max_bytes: int = 512 * 1024 * 1024
    cache_max_bytes: int = 256 * 1024 * 1024
    max_series: int = 2_000_000
    linger_seconds: float = 0.1
    flush_seconds: float = FLUSH_SECONDS
    sync_journal: bool = False  # fsync every group: survives a power cut, not only a killed process
    log_retention_days: int = 180
    shared_linger_seconds: float = 0.2  # how long a write into a shared store waits for others to join it
    rollup_5m_days: int = 120  # of a new database; later it is what was set at run time
    rollup_1h_days: int = 1825


def _window(options: Options, older: BlockCache) -> Window:
    """The window of the newest samples. Raises Unavailable when the system has no room for what it may grow to."""
    try:
        return Window(length_seconds=options.window_seconds, max_bytes=options.window_max_bytes, older=older)
    except MemoryError:
        raise Unavailable(
            "telemetry.window_too_large",
            _("The system does not reserve %(size)d MB for the newest samples in memory.")
            % {"size": options.window_max_bytes // 1024**2},
            field="TONGCHOU_TELEMETRY_WINDOW_MAX_BYTES",
            value=str(options.window_max_bytes),
            remedy=_("Lower TONGCHOU_TELEMETRY_WINDOW_MAX_BYTES; 536870912 is enough for 20,000 series."),
        ) from None


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
        widths = {FIVE_MINUTES_MS: options.rollup_5m_days, HOUR_MS: options.rollup_1h_days}
        self.rollups = Rollups(self.tables, RollupTables(engine, options.database, retention_days=widths), clock)
        self.rollups.open()
        self.index = LabelIndex(max_series=options.max_series, shared=engine.shared)
        self.repeats = Repeats()
        self._labels = KnownLabels()
        self.sources = Sources(clock)
        self.older = BlockCache(max_bytes=options.cache_max_bytes)
        self.window = _window(options, self.older)
        self._stored = StoredReader(self.tables, self.index, self.older, self._pending, clock)
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
        """Read index and window anew; series that are known already stay, half hours that were read do not."""
        self.older.clear()  # nobody told of late samples that others wrote meanwhile
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
        if self.index.day_span() is None:  # days are written before their samples
            return
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

    def submit(
        self, rows: Int64s, ts: Int64s, v: Float64s, *, source: str = "", series: Int64s | None = None
    ) -> Future[None]:
        """Queue samples of known rows; see `Ingest.submit`. `source` names who sent them, when that is to be known.

        `series` are the rows with fewer repetitions, where the caller has them.
        """
        done = self.ingest.submit(rows, ts, v)
        if source:
            self.sources.seen(source, rows if series is None else series, len(rows))
        return done

    def reject(self, source: str, refused: Refusals) -> None:
        """Remember what was refused of a source's samples."""
        if refused.total:
            self.ingest.counts.refused_samples += refused.total
            self.sources.reject(source, refused)
            for reason, count in refused.counts.items():
                REJECTED.add(source, reason, amount=count)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock:
        """Samples of the closed interval; from memory where the newest window covers it, else from the store."""
        rows = self._rows(matchers, start_ms, end_ms)
        if len(rows) > limits.max_series:
            raise limit_exceeded("max_series", len(rows), limits.max_series, "TONGCHOU_TELEMETRY_MAX_QUERY_SERIES")
        if not len(rows):
            return SeriesBlock.empty()
        block = self._block(rows, start_ms, end_ms, limits)
        if block.sample_count > limits.max_samples:
            raise limit_exceeded(
                "max_samples", block.sample_count, limits.max_samples, "TONGCHOU_TELEMETRY_MAX_SAMPLES"
            )
        filled = np.flatnonzero(np.diff(block.offsets))
        if len(filled) < len(rows):
            block = block.take(filled)
            rows = rows[filled]
        block.labels = self._labels.of(matchers, rows, self.index)
        return block

    def select_each(self, many: ManyMatchers, start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock | None:
        """See `ports.EachBackend`; only from memory."""
        if self.follower is not None:
            self.follower.check()
        return select_each(self.index, self.window, many, (start_ms, end_ms), limits=limits)

    def _block(self, rows: Int64s, start_ms: int, end_ms: int, limits: Limits) -> SeriesBlock:
        """The samples of rows, without labels."""
        if self.follower is not None:
            self.follower.check()
        covered_from = self.window.covered_from_ms
        if covered_from > end_ms:
            return self._stored.read(rows, start_ms, end_ms, limits)
        recent = self.window.select_shared(rows, max(start_ms, covered_from), end_ms)
        if recent is None:  # the window has moved on since
            return self._stored.read(rows, start_ms, end_ms, limits)
        offsets, clocks, v = recent
        block = SeriesBlock([()] * len(rows), offsets, None, v, clocks=clocks)
        if start_ms >= covered_from:
            return block
        return end_to_end([self._stored.read(rows, start_ms, covered_from - 1, limits), block])

    def _pending(self) -> list[Columns]:
        return self.ingest.pending()

    def _columns(self, rows: Int64s, start_ms: int, end_ms: int, limits: Limits) -> Columns:
        block = self._block(rows, start_ms, end_ms, limits)
        return block.offsets, block.ts, block.v

    def rolled_from_ms(self, start_ms: int) -> list[tuple[int, int]]:
        """See `ports.RolledBackend`."""
        return self.rollups.widths_from(start_ms)

    def raw_from_ms(self) -> int:
        """Samples older than this are kept in buckets only."""
        return self.rollups.raw_from_ms()

    def sample_estimate(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
        """About how many samples `select` would read, by what is rolled."""
        sids = self.index.sids(self._rows(matchers, start_ms, end_ms))
        return self.rollups.samples_in(
            sid_condition(sids), start_ms // HOUR_MS * HOUR_MS, -(-end_ms // HOUR_MS) * HOUR_MS
        )

    def select_buckets(
        self,
        matchers: Sequence[Matcher],
        width_ms: int,
        grid: Grid,
        fields: Sequence[str],
        *,
        edges: Sequence[int] = (),
        limits: Limits,
    ) -> RolledSeries | None:
        """See `ports.RolledBackend`."""
        rows = self._rows(matchers, grid.start_ms, grid.last_ms)
        if len(rows) > limits.max_series:
            raise limit_exceeded("max_series", len(rows), limits.max_series, "TONGCHOU_TELEMETRY_MAX_QUERY_SERIES")
        position = np.full(self.index.row_count + 1, -1, np.int64)  # the last one is that of unknown ids
        position[rows] = np.arange(len(rows))
        found = self.rollups.read(
            width_ms,
            grid,
            sid_condition(self.index.sids(rows)),
            lambda sids: position[np.minimum(self.index.rows_of(sids), len(position) - 1)],
            lambda start_ms, end_ms: self._columns(rows, start_ms, end_ms, limits),
            fields=fields,
            edges=edges,
            limits=limits,
        )
        return None if found is None else RolledSeries(width_ms, self.index.labels(rows), found)

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
            raise limit_exceeded("max_series", len(rows), limits.max_series, "TONGCHOU_TELEMETRY_MAX_QUERY_SERIES")
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
                cache_max_bytes=settings.TELEMETRY_CACHE_MAX_BYTES,
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
