"""How long the headers of a request may be, over real connections."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
import uvloop

from tests.served import free_port
from tongchou.http_heads import MOST_BYTES, BoundedHeads


async def application(_scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def answers_to(*requests: bytes) -> list[bytes]:
    """Each over a connection of its own, as far as it is read; without waiting for an end that does not come."""
    port = free_port()
    config = uvicorn.Config(application, port=port, http=BoundedHeads, loop="uvloop", log_level="error", lifespan="off")
    server = uvicorn.Server(config)

    def ask(request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            except OSError:  # closed before all of it was taken
                pass
            found = b""
            try:
                while chunk := connection.recv(65_536):
                    found += chunk
                    if b"\r\n\r\n" in found:
                        break
            except ConnectionResetError:
                pass
            return found

    async def run() -> list[bytes]:
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        found = [await asyncio.to_thread(ask, each) for each in requests]
        server.should_exit = True
        await serving
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


HEAD = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"


def test_headers_end_somewhere_and_bodies_may_be_longer() -> None:
    body = b"b" * (3 * MOST_BYTES)
    usual = HEAD + b"x-a: " + b"a" * (MOST_BYTES // 2) + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    one_line = HEAD + b"x-a: " + b"a" * (4 * MOST_BYTES)
    many = HEAD + b"".join(b"x-%d: %s\r\n" % (n, b"a" * 100) for n in range(4 * MOST_BYTES // 100))
    path = b"GET /" + b"a" * (4 * MOST_BYTES)
    found = answers_to(usual, one_line, many, path)
    assert found[0].startswith(b"HTTP/1.1 200 ")
    assert [each[:12] for each in found[1:]] == [b"HTTP/1.1 431"] * 3


def test_two_requests_of_one_connection_have_a_bound_each() -> None:
    one = b"GET / HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * (MOST_BYTES // 2) + b"\r\n\r\n"
    [found] = answers_to(one * 3 + HEAD + b"content-length: 0\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b"431" not in found
