"""ClickHouse inside this process (chDB): the only module that imports it, and late.

Facts this module is built around: one process owns the folder; one Session serialises its queries, so every worker
thread has its own; a fork after the import hangs in the child; a query still running in a daemon thread when the
interpreter exits is a segmentation fault, so queries run in executor threads, which the interpreter waits for; after
a query that failed, the next answer of the same Session begins with leftovers of the failed one, so a Session that
has seen an error is thrown away.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Conflict, Unavailable
from tongchou.telemetry.store.arrow import leave_pandas_out
from tongchou.telemetry.store.errors import problem_of, timed_out
from tongchou.telemetry.store.tables import checked_token

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_QUEUE_SLACK_SECONDS = 5.0
_WRITE_TIMEOUT_SECONDS = 120.0

_owner_lock = threading.Lock()
_owner: list[Engine] = []  # chDB takes one folder per process


class Engine:
    """The chDB folder of this process. Thread-safe. `close()` waits for running queries, then releases the folder.

    Raises Conflict when another process (or another Engine here) holds the folder.
    """

    shared: bool = False

    def __init__(self, folder: Path, *, read_threads: int = 4, max_memory_bytes: int | None = None) -> None:
        self.folder = folder
        self._max_memory_bytes = max_memory_bytes
        leave_pandas_out()
        with _owner_lock:
            if _owner:
                raise Conflict("telemetry.folder_in_use", _("This process already has a telemetry folder open."))
            self._lock_file = _lock_folder(folder)
            _owner.append(self)
        self._local = threading.local()
        self._sessions: list[Any] = []
        self._sessions_lock = threading.Lock()
        self._closed = False
        atexit.register(self.close)  # a session still open when the interpreter ends is a segmentation fault too
        self._readers = ThreadPoolExecutor(read_threads, thread_name_prefix="telemetry-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="telemetry-write")
        opened = False
        try:
            self._writer.submit(self._session).result()  # import and open now: a bad folder fails here, not later
            opened = True
        finally:
            if not opened:
                self.close()

    def execute(self, sql: str) -> None:
        """Run a statement that returns nothing, in the writer thread."""
        self._wait(self._writer, lambda session: session.query(sql, "Null"), _WRITE_TIMEOUT_SECONDS)

    def insert(self, target: str, expressions: str, rows: pa.Table, *, token: str = "") -> None:
        """Insert `expressions` over the columns of `rows` into `target` ("db.table (a, b)"); on disk when it returns.

        A SELECT from Python memory, because chDB's streaming inserter reports success when the disk is full.
        Rows of a token written before are dropped; the table must have a deduplication window. One thread, which takes
        a tenth less processor time than several and leaves rows in the order they come in.
        """
        settings = " SETTINGS max_threads = 1, max_insert_threads = 1"
        if token:
            settings += (
                f", insert_deduplication_token = '{checked_token(token)}', insert_deduplicate = 1,"
                " deduplicate_insert_select = 'force_enable'"
            )

        def run(session: Any, rows: pa.Table = rows) -> None:  # chDB finds `rows` by this name in this frame
            sql = f"INSERT INTO {target}{settings} SELECT {expressions} FROM Python(rows)"  # noqa: S608  # the caller's constants
            session.query(sql, "Null")

        self._wait(self._writer, run, _WRITE_TIMEOUT_SECONDS)

    def fetch(self, sql: str, *, timeout_seconds: float = 30.0, max_memory_bytes: int = 1_000_000_000) -> pa.Table:
        """Run a SELECT (without FORMAT or SETTINGS) and return its columns.

        Stopped by the engine itself after `timeout_seconds` or over `max_memory_bytes`; raises a Problem then.
        """
        limits = (
            f" SETTINGS max_execution_time={timeout_seconds:.3f}, timeout_overflow_mode='throw',"
            f" max_memory_usage={max_memory_bytes:d}, output_format_arrow_compression_method='none'"
        )

        def run(session: Any) -> pa.Table:
            raw = session.query(sql + limits, "ArrowStream").bytes()  # a copy, which may outlive the result object
            source = pa.BufferReader(raw)
            table = pa.ipc.open_stream(source).read_all()
            if source.tell() != len(raw):
                raise RuntimeError(f"the answer holds {len(raw)} bytes, its table {source.tell()}")
            return table

        return self._wait(self._readers, run, timeout_seconds + _QUEUE_SLACK_SECONDS)

    def give_back(self) -> None:
        """Give memory that allocators keep for later back to the system; some 30 ms, to be called now and then.

        jemalloc inside chDB does so by itself only in threads that go on working: after a few great queries 300 MB
        stayed.
        """
        self._wait(self._readers, lambda session: session.query("SYSTEM JEMALLOC PURGE", "Null"), 30.0)
        pa.default_memory_pool().release_unused()

    def close(self) -> None:
        """Refuse new work, let running work end (bounded by its own time limit), close sessions, free the folder."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._writer.shutdown(wait=True)
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        self._lock_file.close()
        with _owner_lock:
            if self in _owner:
                _owner.remove(self)

    def _session(self) -> Any:
        """The Session of the current worker thread; Any, because chDB ships no types."""
        session = getattr(self._local, "session", None)
        if session is None:
            from chdb.session import Session  # late, see the module's docstring

            path = str(self.folder)
            if self._max_memory_bytes:
                path += f"?max_server_memory_usage={self._max_memory_bytes:d}"
            session = Session(path)  # type: ignore[no-untyped-call]  # chDB ships no types
            self._local.session = session
            with self._sessions_lock:
                self._sessions.append(session)
        return session

    def _discard_session(self) -> None:
        """Close the Session of the current worker thread; the next use opens another."""
        session = getattr(self._local, "session", None)
        if session is None:
            return
        self._local.session = None
        with self._sessions_lock:
            self._sessions.remove(session)
        session.close()

    def _wait(self, pool: ThreadPoolExecutor, work: Callable[[Any], T], timeout_seconds: float) -> T:
        if self._closed:
            raise Unavailable("telemetry.closing", _("The telemetry store is shutting down."))

        def run() -> T:
            try:
                return work(self._session())
            except BaseException:
                self._discard_session()
                raise

        future: Future[T] = pool.submit(run)
        try:
            return future.result(timeout_seconds)
        except FutureTimeout:
            future.cancel()
            raise timed_out(timeout_seconds) from None
        except (RuntimeError, pa.ArrowInvalid) as error:  # chDB's ChdbError is a RuntimeError
            raise problem_of(str(error)) from error


def _lock_folder(folder: Path) -> Any:
    """An exclusive lock on the folder, held by the open file returned; the kernel frees it when the process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    lock_path = folder.parent / f".{folder.name}.lock"
    handle = lock_path.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.seek(0)
        holder = handle.read().strip() or "?"
        handle.close()
        raise Conflict(
            "telemetry.folder_in_use",
            _("The telemetry folder %(folder)s is held by process %(pid)s.") % {"folder": folder, "pid": holder},
            remedy=_("Stop the other server, or give this one its own TONGCHOU_DATA."),
        ) from None
    handle.seek(0)
    handle.truncate()
    handle.write(str(os.getpid()))
    handle.flush()
    return handle
