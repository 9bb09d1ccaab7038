"""A short talk with a server: bytes out and in, with one deadline for all of it and a cap on what is taken."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tongchou.core.http import Failed, Refused, permitted

MAX_BYTES = 1_000_000  # of one talk; what is more stays where it is
MAX_SCHEMA_BYTES = 20_000_000  # of one in which tables are told


class UnexpectedError(Exception):
    """The other side is not what was asked for, or says nothing; the text tells which, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a server says of itself; "" where it does not say. `kind`: of the resource, `more`: further attributes."""

    kind: str
    engine: str
    version: str = ""
    role: str = ""
    more: dict[str, str | int] = field(default_factory=dict)


class Talk:
    """One connection. Every reading ends by `until` (monotonic) or with UnexpectedError."""

    def __init__(self, peer: socket.socket, until: float, most: int = MAX_BYTES) -> None:
        self._peer = peer
        self._until = until
        self._most = most
        self._held = b""
        self._taken = 0

    def send(self, content: bytes) -> None:
        """Send all of it."""
        self._peer.settimeout(self._left())
        self._peer.sendall(content)

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on inside TLS, as the two sides agreed. What was sent ahead of it in plain is not taken for an answer."""
        if self._held:
            raise UnexpectedError("sent more than was asked for before TLS began")
        self._peer.settimeout(self._left())
        self._peer = context.wrap_socket(self._peer, server_hostname=host)

    def close(self) -> None:
        """End it."""
        self._peer.close()

    def take(self, count: int) -> bytes:
        """Return exactly so many bytes."""
        if count > MAX_BYTES:
            raise UnexpectedError(f"announced {count:,} bytes, more than is taken")
        while len(self._held) < count:
            self._more()
        found, self._held = self._held[:count], self._held[count:]
        return found

    def line(self, most: int = 65_536) -> bytes:
        """Return what comes before the end of a line."""
        while b"\n" not in self._held:
            if len(self._held) > most:
                raise UnexpectedError(f"sent {most:,} bytes without the end of a line")
            self._more()
        found, _end, self._held = self._held.partition(b"\n")
        return found.rstrip(b"\r")

    def _more(self) -> None:
        self._peer.settimeout(self._left())
        part = self._peer.recv(65_536)
        if not part:
            raise UnexpectedError("closed the connection" if self._taken else "closed the connection and said nothing")
        self._taken += len(part)
        if self._taken > self._most:
            raise UnexpectedError(f"sent over {self._most:,} bytes")
        self._held += part

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise UnexpectedError("said too little in time" if self._taken else "accepted and said nothing in time")
        return left


def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses that may be reached under a name; raises UnexpectedError that says why none may."""
    try:
        return permitted(host, port)
    except (Refused, Failed) as error:
        raise UnexpectedError(error.detail) from error


@contextmanager
def talk(
    host: str,
    addresses: list[str],
    port: int,
    until: float,
    tls: ssl.SSLContext | None = None,
    most: int = MAX_BYTES,
) -> Iterator[Talk]:
    """Connect to the first of the addresses that answers. What goes wrong inside comes as UnexpectedError."""
    peer: socket.socket | None = None
    opened: Talk | None = None
    try:
        peer = _connected(addresses, port, until)
        if tls is not None:
            peer.settimeout(max(0.1, until - time.monotonic()))
            peer = tls.wrap_socket(peer, server_hostname=host)
        opened = Talk(peer, until, most)
        yield opened
    except TimeoutError as error:
        said = "did not answer in time" if peer is None else "accepted and said nothing in time"
        raise UnexpectedError(said) from error
    except ssl.SSLCertVerificationError as error:
        raise UnexpectedError(f"its certificate is not trusted: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise UnexpectedError("speaks no TLS that is understood here") from error
    except OSError as error:
        raise UnexpectedError(error.strerror or "cannot be reached") from error
    finally:
        if opened is not None:
            opened.close()
        if peer is not None:
            peer.close()


def _connected(addresses: list[str], port: int, until: float) -> socket.socket:
    failed: OSError = OSError("no address")
    for number, address in enumerate(addresses):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            return socket.create_connection((address, port), left / (len(addresses) - number))
        except OSError as error:
            failed = error
    raise failed
