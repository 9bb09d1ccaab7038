"""One command of HAProxy's Runtime API at a time, over TCP or a socket of this host, with a deadline and a cap.

https://docs.haproxy.org/2.6/management.html#9.3: one line in, text out until the peer closes. Errors are text, too.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass

from tongchou.core.http import Failed, Refused, permitted

EXCHANGE_SECONDS = 5.0
MAX_BYTES = 4_000_000  # 10,000 servers are about 3 MB of CSV
_WORD = re.compile(r"[A-Za-z0-9_.:/\[\]-]{1,400}")  # no space, newline, semicolon or backslash: one command stays one
_TCP = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)):(?P<port>[0-9]{1,5})"
)


@dataclass(frozen=True)
class Endpoint:
    """Where a Runtime API listens: a host and a port, or a path."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path else f"{host}:{self.port}"


def endpoint(text: str) -> Endpoint | None:
    """`host:port`, `[v6]:port` or `unix:/path`; None when it is none of these."""
    if text.startswith("unix:/") and text.isprintable():
        return Endpoint(path=text.removeprefix("unix:"))
    match = _TCP.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        return None
    return Endpoint(host=match["six"] or match["host"], port=int(match["port"]))


@dataclass
class RuntimeApi:
    """Asks one HAProxy. `deadline` (monotonic) is for all commands together; each has at most 5 seconds of its own."""

    at: Endpoint
    deadline: float

    def ask(self, *words: str) -> str:
        """Send one command, return its whole answer; Refused when it was not sent, Failed when nothing came of it."""
        if not all(_WORD.fullmatch(word) for word in words):
            raise Refused("command", f"not a command: {' '.join(words)[:200]!r}")
        until = min(self.deadline, time.monotonic() + EXCHANGE_SECONDS)
        try:
            with self._connect(until) as peer:
                peer.settimeout(_left(until))
                peer.sendall(" ".join(words).encode("ascii") + b"\n")
                return self._read(peer, until)
        except TimeoutError as error:
            raise Failed("timeout", "no complete answer in time") from error
        except OSError as error:
            raise Failed("connect", str(error)) from error

    def _connect(self, until: float) -> socket.socket:
        if self.at.path:
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                peer.settimeout(_left(until))
                peer.connect(self.at.path)
            except OSError:
                peer.close()
                raise
            return peer
        failed: OSError = OSError("no address")
        addresses = permitted(self.at.host, self.at.port)
        for number, address in enumerate(addresses):
            try:
                return socket.create_connection((address, self.at.port), _left(until) / (len(addresses) - number))
            except OSError as error:
                failed = error
        raise failed

    def _read(self, peer: socket.socket, until: float) -> str:
        parts: list[bytes] = []
        size = 0
        while True:
            peer.settimeout(_left(until))
            part = peer.recv(65_536)
            if not part:
                return b"".join(parts).decode("utf-8", "replace")
            size += len(part)
            if size > MAX_BYTES:
                raise Failed("too_large", f"the answer is over {MAX_BYTES:,} bytes")
            parts.append(part)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
