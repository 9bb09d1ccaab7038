"""Targets to scrape in a process of their own: every address of 127.0.0.0/8 at one port, each a target with 600 series.

All targets show the same text, a new one every second (so that it costs the machine nothing); a target writes down when
it was asked. `python -m bench._exporter PORT` serves until it is terminated.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from tests.served import free_port

FAMILIES, SERIES_EACH = 60, 10
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"


class Text:
    """What all targets show: counters and gauges that change every second; plain and packed."""

    def __init__(self) -> None:
        self._second = 0
        self._bodies = (b"", b"")

    def at(self, seconds: float) -> tuple[bytes, bytes]:
        """(plain, gzip) at a time."""
        if int(seconds) != self._second:
            self._second = int(seconds)
            plain = "".join(self._lines(self._second)).encode()
            self._bodies = (plain, gzip.compress(plain, 1))
        return self._bodies

    def _lines(self, second: int) -> Iterator[str]:
        for family in range(FAMILIES):
            counter = family % 3 > 0
            name = f"bench_work_{family}_{'total' if counter else 'bytes'}"
            yield f"# HELP {name} What the bench counts, number {family}.\n"
            yield f"# TYPE {name} {'counter' if counter else 'gauge'}\n"
            for series in range(SERIES_EACH):
                grown = (second - 1_700_000_000) * (1 + (family * 7 + series) % 23)
                value = grown / 8 if counter else 4e9 + (grown * 2654435761 + series) % 1_000_000 * 4096
                yield f'{name}{{device="disk{series}",mode="read"}} {value!r}\n'


class Target(asyncio.Protocol):
    """One connection; which target it is the local address tells."""

    def __init__(self, text: Text, arrivals: dict[str, list[float]]) -> None:
        self._text, self._arrivals = text, arrivals
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._name = transport.get_extra_info("sockname")[0]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            assert isinstance(self._transport, asyncio.Transport)
            self._transport.write(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        now = time.time()
        if head.startswith(b"GET /arrivals"):
            body, packed = json.dumps(self._arrivals).encode(), False
            self._arrivals.clear()
        else:
            self._arrivals[self._name].append(now)
            packed = b"gzip" in head.lower()
            body = self._text.at(now)[packed]
        coding = b"Content-Encoding: gzip\r\n" if packed else b""
        return HEAD + coding + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def serve(port: int) -> None:
    text, arrivals = Text(), defaultdict(list)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Target(text, arrivals), "0.0.0.0", port, backlog=1024)  # 127.0.0.0/8
    await server.serve_forever()


@contextmanager
def exporter() -> Iterator[int]:
    """The process; yields its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench._exporter", str(port)])
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                take_arrivals(port)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def take_arrivals(port: int) -> dict[str, list[float]]:
    """When each target was asked (Unix seconds) since this was called last, by address."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/arrivals", timeout=30) as answer:
        found: dict[str, list[float]] = json.load(answer)
    return found


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
