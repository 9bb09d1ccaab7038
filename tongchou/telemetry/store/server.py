"""ClickHouse as a server, by URL over HTTP (clickhouse-connect): the same SQL as embedded, for many processes.

An insert carries a deduplication token, so it may be sent again when its answer was lost: what is there is dropped.
Nothing else is repeated. A server that stops answering is noticed by whoever waits for it (the follower of new samples
asks twice a second); from then on everybody is refused at once, and a small request finds out when it is back.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import pyarrow as pa
from clickhouse_connect import common
from clickhouse_connect.driver import create_client
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httputil import get_pool_manager
from django.utils.translation import gettext_lazy as _
from urllib3.exceptions import HTTPError

from tongchou.core.problems import Invalid, Problem, Unavailable
from tongchou.telemetry.store.arrow import leave_pandas_out
from tongchou.telemetry.store.errors import problem_of, timed_out
from tongchou.telemetry.store.tables import checked_token

T = TypeVar("T")

CONNECT_SECONDS = 5
SILENCE_SECONDS = 20  # the server sends a header of progress every 10 s; longer silence is a dead connection
STATEMENT_SECONDS = 120.0
INSERT_SECONDS = 30.0
PROBE_SECONDS = 2.0
PROBE_EVERY_SECONDS = 0.5
LOOK_SECONDS = 0.5
INSERT_TRIES = 5
HTTP_OK = 200
_QUEUE_SLACK_SECONDS = 5.0
_SCALARS = {
    pa.bool_(): "Bool", pa.float32(): "Float32", pa.float64(): "Float64",
    pa.int8(): "Int8", pa.int16(): "Int16", pa.int32(): "Int32", pa.int64(): "Int64",
    pa.uint8(): "UInt8", pa.uint16(): "UInt16", pa.uint32(): "UInt32", pa.uint64(): "UInt64",
    pa.string(): "String", pa.binary(): "String", pa.large_string(): "String", pa.large_binary(): "String",
}  # fmt: skip

common.set_setting("autogenerate_session_id", False)  # a session of ClickHouse would serialise our threads
common.set_setting("max_connection_age", 600)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is and how to get in. `shown` has no password."""

    secure: bool
    host: str
    port: int
    user: str
    password: str
    path: str
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    verify: bool = True

    @property
    def shown(self) -> str:
        """The address for people: no password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        who = f"{self.user}:***@" if self.password else f"{self.user}@" if self.user else ""
        return urlunsplit(("https" if self.secure else "http", f"{who}{host}:{self.port}", self.path, "", ""))

    def __repr__(self) -> str:
        return f"Address({self.shown})"


def address_of(
    url: str,
    *,
    ca_file: Path | None = None,
    certificate_file: Path | None = None,
    key_file: Path | None = None,
    verify: bool = True,
) -> Address:
    """The address in http[s]://user:password@host:port/path (8123, with TLS 8443, when no port is said).

    Raises Invalid, which shows no part of the URL: it may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise Invalid(
            "telemetry.clickhouse_url",
            _("TONGCHOU_CLICKHOUSE_URL is not an HTTP address of a ClickHouse server."),
            field="TONGCHOU_CLICKHOUSE_URL",
            remedy=_(
                "Write http://user:password@host:8123 or https://user:password@host:8443, "
                "with / @ : in the password percent-encoded."
            ),
        )
    secure = parts.scheme == "https"
    return Address(
        secure, parts.hostname, port or (8443 if secure else 8123), unquote(parts.username or "default"),
        unquote(parts.password or ""), parts.path.rstrip("/"), ca_file, certificate_file, key_file, verify,
    )  # fmt: skip


def _structure(schema: pa.Schema) -> str:
    """The columns of an Arrow table in ClickHouse's words."""
    return ", ".join(f"{field.name} {_type(field.type)}" for field in schema)


def _type(kind: pa.DataType) -> str:
    if pa.types.is_map(kind):
        return f"Map({_type(kind.key_type)}, {_type(kind.item_type)})"
    if pa.types.is_dictionary(kind):
        return _type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"Array({_type(kind.value_type)})"
    return _SCALARS[kind]


class ServerEngine:
    """A ClickHouse server. Thread-safe; at most `read_threads` reads and one write at once. Opens no connection yet.

    Raises Unavailable from the first use on when the server does not answer or does not let us in.
    """

    shared: bool = True

    def __init__(self, address: Address, *, read_threads: int = 4) -> None:
        leave_pandas_out()
        self.address = address
        self._pool = get_pool_manager(
            ca_cert=str(address.ca_file) if address.ca_file else None,
            verify=address.verify,
            client_cert=str(address.certificate_file) if address.certificate_file else None,
            client_cert_key=str(address.key_file) if address.key_file else None,
            maxsize=read_threads + 4,
        )
        self._client_lock = threading.Lock()
        self._client: Client | None = None
        self._readers = ThreadPoolExecutor(read_threads, thread_name_prefix="clickhouse-read")
        self._writers = ThreadPoolExecutor(2, thread_name_prefix="clickhouse-write")  # samples and log lines
        self._followers = ThreadPoolExecutor(1, thread_name_prefix="clickhouse-follow")
        self._probes = ThreadPoolExecutor(1, thread_name_prefix="clickhouse-probe")
        self._down: Problem | None = None
        self._probe_lock = threading.Lock()
        self._probed_at = 0.0
        self._closed = False

    def execute(self, sql: str) -> None:
        """Run a statement that returns nothing. Not repeated: whoever calls it knows whether it may be."""
        self._wait(self._writers, lambda client: client.command(sql), STATEMENT_SECONDS)

    def insert(self, target: str, expressions: str, rows: pa.Table, *, token: str = "") -> None:
        """Insert `expressions` over the columns of `rows`; the server has them when it returns.

        A lost answer is asked for again under the same token; rows of a token written before are dropped.
        """
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
            stream.write_table(rows)
        block = sink.getvalue().to_pybytes()
        statement = f"{target} SELECT {expressions} FROM input('{_structure(rows.schema)}')"  # noqa: S608  # the caller's constants
        token = checked_token(token) if token else uuid.uuid4().hex

        def run(client: Client) -> None:
            once: dict[str, Any] = {
                "insert_deduplication_token": token,
                "insert_deduplicate": 1,
                "async_insert": 0,
                "max_insert_threads": 1,
                "wait_end_of_query": 1,
            }
            if "deduplicate_insert_select" in client.server_settings:  # since 25.12; before, it always was so
                once["deduplicate_insert_select"] = "force_enable"
            client.raw_insert(statement, insert_block=block, settings=once, fmt="ArrowStream")

        for last in [*[False] * (INSERT_TRIES - 1), True]:
            try:
                self._wait(self._writers, run, INSERT_SECONDS)
            except Unavailable as problem:
                if last or problem.code != "telemetry.store_unreachable":
                    raise
                time.sleep(PROBE_EVERY_SECONDS / 2)
            else:
                return

    def fetch(self, sql: str, *, timeout_seconds: float = 30.0, max_memory_bytes: int = 1_000_000_000) -> pa.Table:
        """Run a SELECT (without FORMAT or SETTINGS) and return its columns.

        Stopped by the server after `timeout_seconds` or over `max_memory_bytes`; raises a Problem then.
        """
        return self._fetch(self._readers, sql, timeout_seconds, max_memory_bytes)

    def follow(self, sql: str, *, timeout_seconds: float) -> pa.Table:
        """The same for the one who follows what others write: it never waits behind other queries."""
        return self._fetch(self._followers, sql, timeout_seconds, 1_000_000_000)

    def _fetch(self, pool: ThreadPoolExecutor, sql: str, timeout_seconds: float, max_memory_bytes: int) -> pa.Table:
        limits = {
            "max_execution_time": round(timeout_seconds, 3),
            "timeout_overflow_mode": "throw",
            "max_memory_usage": max_memory_bytes,
        }

        def run(client: Client) -> pa.Table:
            raw = client.raw_query(sql, fmt="ArrowStream", settings=limits)
            return pa.ipc.open_stream(pa.BufferReader(raw)).read_all() if raw else pa.table({})

        slack = 0.0 if pool is self._followers else _QUEUE_SLACK_SECONDS
        return self._wait(pool, run, timeout_seconds + slack)

    def give_back(self) -> None:
        """Give memory kept for later back to the system; the server's is its own."""
        pa.default_memory_pool().release_unused()

    def close(self) -> None:
        """Refuse new work; what runs ends within the time a silent server is given."""
        self._closed = True
        for pool in (self._readers, self._writers, self._followers, self._probes):
            pool.shutdown(wait=self._down is None, cancel_futures=True)
        self._pool.clear()

    def _connected(self) -> Client:
        """The client, made at the first use (it asks the server for its version and settings)."""
        with self._client_lock:
            if self._client is None:
                where = self.address
                self._client = create_client(
                    host=where.host,
                    port=where.port,
                    username=where.user,
                    password=where.password,
                    database="default",
                    interface="https" if where.secure else "http",
                    secure=where.secure,
                    proxy_path=where.path,
                    compress=False,  # Arrow's columns are compressed already
                    connect_timeout=CONNECT_SECONDS,
                    send_receive_timeout=SILENCE_SECONDS,
                    query_retries=0,
                    pool_mgr=self._pool,
                    client_name="tongchou",
                    autogenerate_session_id=False,
                )
                self._client.http_retries = 0  # type: ignore[attr-defined]  # of HttpClient; retries are decided here
            return self._client

    def _wait(self, pool: ThreadPoolExecutor, work: Callable[[Client], T], seconds: float) -> T:
        if self._closed:
            raise Unavailable("telemetry.closing", _("The telemetry store is shutting down."))
        self._gate()
        return self._answer(pool.submit(lambda: work(self._connected())), seconds)

    def _answer(self, future: Future[T], seconds: float) -> T:
        try:
            answer = self._result(future, time.monotonic() + seconds)
        except FutureTimeout:
            started = not future.cancel()
            if started and seconds < STATEMENT_SECONDS:
                self._down = self._unreachable(_("no answer within %(seconds)d s") % {"seconds": seconds})
            raise timed_out(seconds) from None
        except ClickHouseError as error:
            if "Code:" in str(error):  # the server has spoken
                self._down = None
                raise problem_of(str(error)) from error
            self._down = self._unreachable(str(error))
            raise self._down from error
        except (RuntimeError, pa.ArrowInvalid) as error:
            raise problem_of(str(error)) from error
        self._down = None
        return answer

    def _result(self, future: Future[T], deadline: float) -> T:
        """The answer; not waited for any longer once somebody else has found the server silent."""
        while True:
            left = deadline - time.monotonic()
            try:
                return future.result(max(0.0, min(LOOK_SECONDS, left)))
            except FutureTimeout:
                if left <= LOOK_SECONDS:
                    raise
                if (down := self._down) is not None:
                    future.cancel()
                    raise down from None

    def _gate(self) -> None:
        """Let through while the server answers; else refuse at once, and have somebody look again in the background."""
        down = self._down
        if down is None:
            return
        if time.monotonic() - self._probed_at >= PROBE_EVERY_SECONDS and self._probe_lock.acquire(blocking=False):
            try:
                self._probes.submit(self._probe)
            except RuntimeError:  # closing
                self._probe_lock.release()
        raise down

    def _probe(self) -> None:
        """Ask the server whether it is there; the caller holds the probe lock."""
        where = self.address
        url = f"{'https' if where.secure else 'http'}://{where.host}:{where.port}{where.path}/ping"
        try:
            if self._pool.request("GET", url, timeout=PROBE_SECONDS, retries=False).status == HTTP_OK:
                self._down = None
        except (HTTPError, OSError) as error:
            self._down = self._unreachable(type(error).__name__)
        finally:
            self._probed_at = time.monotonic()
            self._probe_lock.release()

    def _unreachable(self, why: str) -> Unavailable:
        return Unavailable(
            "telemetry.store_unreachable",
            _("ClickHouse at %(where)s does not answer: %(why)s") % {"where": self.address.shown, "why": why[:300]},
            remedy=_("Look at the ClickHouse server and the network; it goes on by itself when that is back."),
        )
