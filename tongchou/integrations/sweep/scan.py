"""Connects to TCP ports of addresses, at a pace, and listens to what is said first. Only TLS's greeting is sent."""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

LOOK_SECONDS = 220.0  # of all addresses and their names: the job that looks is given 300
MAX_BANNER_BYTES = 255  # of the identification string of SSH, RFC 4253, 4.2
_SILENT = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ECONNABORTED})


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast. `rate`: connections begun in a second; `concurrency`: addresses at once."""

    timeout_seconds: float = 1.0
    rate: float = 100.0
    concurrency: int = 64


@dataclass(slots=True)
class Found:
    """What came of one address. `open`: port -> what was said first; `failed`: why it could not be asked from here."""

    address: str
    open: dict[int, bytes] = field(default_factory=dict)
    certificates: dict[int, bytes] = field(default_factory=dict)
    refused: bool = False
    failed: str = ""


def sweep(addresses: Sequence[str], ports: Sequence[int], tls_ports: frozenset[int], pace: Pace) -> list[Found]:
    """Ask every address once, in the order given; one that time did not reach is `failed`."""
    return asyncio.run(_sweep(addresses, ports, tls_ports, pace))


async def _sweep(addresses: Sequence[str], ports: Sequence[int], tls_ports: frozenset[int], pace: Pace) -> list[Found]:
    prober = _Prober(tls_ports, pace, time.monotonic() + LOOK_SECONDS)
    found = [Found(each) for each in addresses]
    waiting: Iterator[Found] = iter(found)

    async def work() -> None:
        for each in waiting:  # one iterator for all: whoever is free takes the next
            await prober.ask(each, ports)

    await asyncio.gather(*(work() for _worker in range(min(pace.concurrency, len(found)))))
    return found


class _Prober:
    """Asks addresses for one look."""

    def __init__(self, tls_ports: frozenset[int], pace: Pace, until: float) -> None:
        self._tls_ports, self._pace, self._until = tls_ports, pace, until
        self._next = time.monotonic()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE  # the certificate is what is looked at; nothing is sent on trust of it

    async def _turn(self) -> None:
        """Wait until the next connection may begin."""
        self._next = max(self._next + 1 / self._pace.rate, time.monotonic())
        await asyncio.sleep(self._next - time.monotonic())

    async def ask(self, found: Found, ports: Sequence[int]) -> None:
        """Try every port; those that were silent once more where the address is alive: a packet may get lost."""
        silent = [port for port in ports if not await self._answers(found, port)]
        if found.open or found.refused:
            for port in silent:
                await self._answers(found, port)

    async def _answers(self, found: Found, port: int) -> bool:
        if found.failed:
            return False
        if time.monotonic() > self._until:
            found.failed = f"not asked within {LOOK_SECONDS:g} s"
            return False
        await self._turn()
        try:
            async with asyncio.timeout(self._pace.timeout_seconds):
                reader, writer = await asyncio.open_connection(found.address, port)
        except (ConnectionRefusedError, ConnectionResetError):
            found.refused = True
            return True
        except TimeoutError:
            return False
        except OSError as error:
            if error.errno not in _SILENT:  # of this host: no descriptors left, a firewall of its own
                found.failed = error.strerror or str(error)
            return False
        found.open[port] = b"" if port in self._tls_ports else await self._banner(reader)
        await _close(writer)
        if port in self._tls_ports:
            await self._certificate(found, port)
        return True

    async def _banner(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self._pace.timeout_seconds):
                return (await reader.read(MAX_BANNER_BYTES)).partition(b"\n")[0]
        except (TimeoutError, OSError):
            return b""

    async def _certificate(self, found: Found, port: int) -> None:
        await self._turn()
        try:
            async with asyncio.timeout(2 * self._pace.timeout_seconds):
                _reader, writer = await asyncio.open_connection(found.address, port, ssl=self._tls)
        except (TimeoutError, OSError):  # ssl.SSLError is one
            return
        session: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = session.getpeercert(binary_form=True)
        if certificate:
            found.certificates[port] = certificate
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Let go at once: a peer that does not close its side is not waited for."""
    writer.transport.abort()
    try:
        await writer.wait_closed()
    except OSError:
        pass
