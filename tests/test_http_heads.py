"""How requests are read over real connections: heads and trailers have a bound, and no body is lost or read as a request."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import uvicorn
import uvloop

from tests.served import free_port
from tongchou.http_heads import MOST_BYTES, BoundedHeads

HEAD = b"POST /a HTTP/1.1\r\nhost: x\r\n"
LAST = b"POST /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    names = sorted(name.decode() for name, _value in scope["headers"])
    told = json.dumps([scope["path"], len(body), body[:20].decode("latin-1"), names]).encode() + b"\n"
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(told)).encode())]}
    )
    await send({"type": "http.response.body", "body": told})


def answers(*pieces: bytes) -> tuple[list[Any], bytes]:
    """Send pieces one after the other over one connection; return what the application was asked, and all bytes."""
    port = free_port()
    config = uvicorn.Config(
        application, port=port, http=BoundedHeads, loop="uvloop", ws="none", log_level="critical", lifespan="off"
    )
    server = uvicorn.Server(config)

    def ask() -> bytes:
        found = b""
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    connection.settimeout(0.1)
                    try:
                        found += connection.recv(1 << 20)
                    except TimeoutError:
                        pass
                connection.settimeout(3)
                while chunk := connection.recv(65_536):
                    found += chunk
            except OSError:  # closed before all of it was taken
                pass
        return found

    async def run() -> bytes:
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        found = await asyncio.to_thread(ask)
        server.should_exit = True
        await serving
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raw = runner.run(run())
    return [json.loads(line) for line in raw.split(b"\n") if line.startswith(b"[")], raw


def test_bodies_may_be_longer_than_heads_and_requests_follow_each_other() -> None:
    body = b"b" * (5 * MOST_BYTES)
    usual = HEAD + b"x-a: " + b"a" * (MOST_BYTES // 2) + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"3\r\nabc\r\n" * 5 + b"0\r\n\r\n"
    asked, _raw = answers(usual, usual[:100], usual[100:1000], usual[1000:], chunked, LAST)
    assert [each[:2] for each in asked] == [["/a", len(body)]] * 2 + [["/a", 15], ["/last", 0]]
    asked, _raw = answers(chunked * 3 + LAST)
    assert [each[:2] for each in asked] == [["/a", 15]] * 3 + [["/last", 0]]


def test_a_head_that_is_too_long_is_refused_however_it_comes() -> None:
    lines = b"".join(b"x-%d: %s\r\n" % (n, b"a" * 100) for n in range(2 * MOST_BYTES // 100))
    for head in (HEAD + b"x: " + b"a" * (4 * MOST_BYTES), HEAD + lines + b"\r\n", b"GET /" + b"a" * (4 * MOST_BYTES)):
        for pieces in ([head], [head[:50_000], head[50_000:]], [head[:60_000], head[60_000:70_000], head[70_000:]]):
            asked, raw = answers(*pieces)
            assert asked == []
            assert raw.startswith(b"HTTP/1.1 431 ")
    # behind another request nothing is written into its answer
    asked, raw = answers(HEAD + b"content-length: 3\r\n\r\nabc" + HEAD + lines + b"\r\n")
    assert len(asked) <= 1
    assert raw.count(b"HTTP/1.1 ") <= 2
    assert b"/last" not in raw


def test_a_request_that_asks_for_another_protocol_keeps_its_body() -> None:
    h2c = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
    inner = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    head = HEAD + h2c + b"content-length: %d\r\n\r\n" % len(inner)
    for pieces in ([head + inner], [head, inner], [head[:30], head[30:], inner[:9], inner[9:]]):
        asked, _raw = answers(*pieces, LAST)
        assert [each[:2] for each in asked] == [["/a", len(inner)], ["/last", 0]], pieces
    usual = HEAD + b"content-length: 1\r\n\r\nx"
    asked, _raw = answers(usual, head + inner, LAST)
    assert [each[:2] for each in asked] == [["/a", 1], ["/a", len(inner)], ["/last", 0]]
    asked, _raw = answers(usual + head + inner, LAST)  # at once: refused rather than misread
    assert "/smuggled" not in [each[0] for each in asked]
    asked, _raw = answers(HEAD + b"upgrade-insecure-requests: 1\r\ncontent-length: 2\r\n\r\nok", LAST)
    assert [each[:2] for each in asked] == [["/a", 2], ["/last", 0]]
    asked, _raw = answers(b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n", inner)
    assert "/smuggled" not in [each[0] for each in asked]


def test_trailers_are_no_headers_and_have_a_bound() -> None:
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    asked, _raw = answers(chunked + b"authorization: Bearer x\r\nx-real-ip: 1\r\n\r\n", LAST)
    assert asked[0] == ["/a", 3, "abc", ["host", "transfer-encoding"]]
    assert asked[-1][0] == "/last"
    trailer = b"x-%d: " + b"t" * 30_000 + b"\r\n"
    for pieces in ([chunked, *(trailer % n for n in range(5))], [chunked + b"x: ", *[b"t" * 60_000] * 8]):
        asked, _raw = answers(*pieces, b"\r\n\r\n" + LAST)
        assert "/last" not in [each[0] for each in asked]


def test_what_is_no_http_is_refused_at_once() -> None:
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/1.0\n\n", b"what\r\n\r\n"):
        _asked, raw = answers(junk)
        assert raw == b"" or raw.startswith((b"HTTP/1.1 400", b"HTTP/1.1 200")), junk
    asked, _raw = answers(b"\r\n\r\n" + LAST)
    assert [each[0] for each in asked] == ["/last"]


def test_a_body_that_is_asked_for_comes() -> None:
    asked, raw = answers(HEAD + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\n", b"abc", LAST)
    assert [each[:2] for each in asked] == [["/a", 3], ["/last", 0]]
    assert raw.startswith(b"HTTP/1.1 100 ")
