"""HTTP/1.1 over asyncio streams, as small as the shop needs: keep-alive, Content-Length bodies, deadlines, size limits.

Not a general server: no chunked requests, no TLS, loopback only. It exists so that a shop process imports nothing
beyond the standard library and starts in a tenth of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HEAD_LIMIT_BYTES = 16 * 1024
BODY_LIMIT_BYTES = 4 * 1024 * 1024
IDLE_SECONDS = 75.0


class CallFailed(Exception):
    """A call that brought no complete answer. `reason` is one of refused, timeout, broken."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class BadMessage(Exception):
    """The other side sent something that is not a request or an answer of the size we accept."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(slots=True)
class Request:
    """One request; `path` is without the query string, header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; raises BadMessage(400) when it is anything else."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise BadMessage(400, f"body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise BadMessage(400, "body is not a JSON object")
        return value


@dataclass(slots=True)
class Response:
    """An answer, sent or received."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body parsed; raises ValueError when it is not JSON."""
        return json.loads(self.body)


Handler = Callable[[Request], Awaitable[Response]]


def answer(value: object, status: int = 200) -> Response:
    """`value` as a JSON answer."""
    return Response(status, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def problem(status: int, detail: str) -> Response:
    """A refusal with its reason, in the shape of RFC 9457."""
    body = json.dumps({"status": status, "title": HTTPStatus(status).phrase, "detail": detail}, ensure_ascii=False)
    return Response(status, body.encode(), "application/problem+json")


async def _read_head(reader: asyncio.StreamReader) -> list[str] | None:
    """The start line and header lines, or None when the peer closed between messages."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise BadMessage(400, "connection closed inside the head") from error
    except asyncio.LimitOverrunError as error:
        raise BadMessage(431, "head too large") from error
    return head.decode("latin-1").split("\r\n")[:-2]


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadMessage(400, "header line without a colon")
        headers[name.strip().lower()] = value.strip()
    return headers


def _length(headers: Mapping[str, str]) -> int:
    try:
        length = int(headers.get("content-length", "0"))
    except ValueError as error:
        raise BadMessage(400, "Content-Length is not a number") from error
    if length < 0:
        raise BadMessage(400, "Content-Length is negative")
    if length > BODY_LIMIT_BYTES:
        raise BadMessage(413, "body too large")
    return length


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when the peer closed it. Raises BadMessage."""
    lines = await _read_head(reader)
    if lines is None:
        return None
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadMessage(400, "not an HTTP/1.1 request line")
    headers = _headers(lines[1:])
    if "transfer-encoding" in headers:
        raise BadMessage(411, "a body needs Content-Length")
    body = await reader.readexactly(_length(headers))
    target = urlsplit(parts[1])
    return Request(parts[0], target.path, dict(parse_qsl(target.query)), headers, body)


def _encode(response: Response, keep: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + response.body


class Server:
    """Serves one handler on a loopback port until `close`."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._working = 0
        self._closing = False

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen; returns the port (useful with port 0)."""
        self._server = await asyncio.start_server(self._connection, host, port, limit=HEAD_LIMIT_BYTES, backlog=256)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self, grace_seconds: float = 0.5) -> None:
        """Stop listening, let running requests finish for a moment, then cut."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        deadline = time.monotonic() + grace_seconds
        while self._working and time.monotonic() < deadline:  # noqa: ASYNC110 - a deadline and a counter, 25 looks at most
            await asyncio.sleep(0.02)
        for writer in list(self._connections):
            writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass  # the client went away; there is nobody to tell
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False ends the connection."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                request = await read_request(reader)
        except BadMessage as error:
            writer.write(_encode(problem(error.status, str(error)), keep=False))
            await writer.drain()
            return False
        if request is None:
            return False
        self._working += 1
        try:
            try:
                response = await self._handler(request)
            except BadMessage as error:
                response = problem(error.status, str(error))
            keep = request.headers.get("connection", "").lower() != "close" and not self._closing
            writer.write(_encode(response, keep))
            await writer.drain()
        finally:
            self._working -= 1
        return keep


@dataclass(slots=True)
class _Link:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: bool = False


class Client:
    """Calls `host:port` addresses over pooled keep-alive connections, with one total deadline per call."""

    def __init__(self, name: str = "tongchou-shop") -> None:
        self._name = name
        self._idle: dict[str, list[_Link]] = defaultdict(list)

    async def call(
        self,
        method: str,
        address: str,
        path: str,
        body: object | None = None,
        *,
        timeout_seconds: float = 2.0,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request (`body` as JSON, bytes as they are) and return the answer. Raises CallFailed.

        A pooled connection that turns out to be dead before a byte of the answer arrived is replaced once by a fresh
        one, so every request sent here must be safe to repeat; the shop's are, by their ids.
        """
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        wire = self._encode(method, address, path, payload, headers or {})
        try:
            async with asyncio.timeout(timeout_seconds):
                link = self._take(address)
                if link is not None:
                    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, BadMessage):
                        return await self._exchange(link, address, wire)
                return await self._exchange(await self._connect(address), address, wire)
        except TimeoutError as error:
            raise CallFailed("timeout", f"{address}{path} gave no answer in {timeout_seconds} s") from error
        except ConnectionRefusedError as error:
            raise CallFailed("refused", f"{address} does not listen") from error
        except (OSError, asyncio.IncompleteReadError, BadMessage, ValueError) as error:
            raise CallFailed("broken", f"{address}{path}: {error}") from error

    def _encode(self, method: str, address: str, path: str, payload: bytes, headers: Mapping[str, str]) -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {address}",
            f"User-Agent: {self._name}",
            f"Content-Length: {len(payload)}",
            "Content-Type: application/json",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + payload

    def _take(self, address: str) -> _Link | None:
        pool = self._idle[address]
        while pool:
            link = pool.pop()
            if not link.writer.is_closing() and not link.reader.at_eof():
                return link
            link.writer.close()
        return None

    async def _connect(self, address: str) -> _Link:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=HEAD_LIMIT_BYTES)
        return _Link(reader, writer)

    async def _exchange(self, link: _Link, address: str, wire: bytes) -> Response:
        """One exchange on `link`; the link returns to the pool only after a whole answer."""
        done = False
        try:
            link.writer.write(wire)
            await link.writer.drain()
            lines = await _read_head(link.reader)
            if lines is None:
                raise ConnectionResetError("closed before an answer")
            headers = _headers(lines[1:])
            response = Response(
                int(lines[0].split(" ", 2)[1]),
                await link.reader.readexactly(_length(headers)),
                headers.get("content-type", ""),
                headers,
            )
            done = headers.get("connection", "").lower() != "close"
            return response
        finally:
            if done:
                self._idle[address].append(link)
            else:
                link.writer.close()

    def close(self) -> None:
        """Drop every idle connection."""
        for pool in self._idle.values():
            for link in pool:
                link.writer.close()
        self._idle.clear()
