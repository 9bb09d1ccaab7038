"""What spans tell of who uses what: one edge of each span that leaves its service. Pure but for the buffer.

Read are service.name of the resource and, of spans of clients, producers and consumers: peer.service (or
service.peer.name), db.system(.name) with db.namespace or db.name, messaging.system with messaging.destination.name,
server.address with server.port (before: net.peer.name, net.peer.port).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tongchou.inventory.connections import SeenUse, place
from tongchou.inventory.observation import MAX_NAME, service_key
from tongchou.wire.otlp_traces import CLIENT, CONSUMER, PRODUCER, Spans

NO_SERVICE = "the resource has no service.name"
FLUSH_SECONDS = 60.0
MOST_EDGES = 2000  # kept between two flushes; beyond, spans are told of as refused
FULL = "too many different peers within a minute"
_PEERS = ("peer.service", "service.peer.name")
_ADDRESSES = ("server.address", "net.peer.name", "network.peer.address", "net.peer.ip")
_PORTS = ("server.port", "net.peer.port", "network.peer.port")
Edge = tuple[tuple[str, ...], tuple[str, ...]]


def edges_of(groups: Iterable[Spans]) -> tuple[dict[Edge, int], int]:
    """Return (edges with how many spans made each, spans that were refused because nobody says whose they are)."""
    found: dict[Edge, int] = {}
    refused = 0
    for group in groups:
        service = _text(group.resource, "service.name")
        if not service:
            refused += len(group.spans)
            continue
        for span in group.spans:
            peer = peer_of(span.kind, span.attributes)
            if peer and service_key(service) not in peer:
                edge = ((service_key(service),), peer)
                found[edge] = found.get(edge, 0) + 1
    return found, refused


def peer_of(kind: int, attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ends that the other side of a span may be known by, the most telling first; () when it has none."""
    if kind not in (CLIENT, PRODUCER, CONSUMER):
        return ()
    ends = [service_key(name) for name in (_text(attributes, each) for each in _PEERS) if name]
    address = next((text for text in (_text(attributes, each) for each in _ADDRESSES) if text), "")
    port = next((text for text in (_text(attributes, each) for each in _PORTS) if text), "")
    if address and port.isascii() and port.isdigit() and 0 < int(port) < 65_536:
        ends.append(place(address, int(port)))
    system = _text(attributes, "db.system.name") or _text(attributes, "db.system")
    if system:
        name = _text(attributes, "db.namespace") or _text(attributes, "db.name")
        ends += [service_key(f"{system}/{name}")] if name else []
        ends.append(service_key(system))
    queue = _text(attributes, "messaging.system")
    if queue:
        name = _text(attributes, "messaging.destination.name")
        ends += [service_key(f"{queue}/{name}")] if name else []
        ends.append(service_key(queue))
    if address:
        ends += [service_key(address), place(address)]
    return tuple(dict.fromkeys(ends))


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name)
    return str(value)[: MAX_NAME - 100] if isinstance(value, str | int) and not isinstance(value, bool) else ""


class Buffer:
    """Edges of the last minute of this process. A process that dies loses the sums of that minute, no more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Edge, int] = {}
        self._since = time.monotonic()

    def add(self, found: Mapping[Edge, int]) -> int:
        """Add up; return how many spans had no room."""
        left = 0
        with self._lock:
            for edge, count in found.items():
                if edge in self._counts or len(self._counts) < MOST_EDGES:
                    self._counts[edge] = self._counts.get(edge, 0) + count
                else:
                    left += count
        return left

    def take(self, *, at_least_seconds: float = FLUSH_SECONDS) -> list[SeenUse] | None:
        """Return what was seen since the last time, by the minute; None when that is not long ago, or nothing was."""
        with self._lock:
            passed = time.monotonic() - self._since
            if passed < at_least_seconds or not self._counts:
                return None
            minutes = max(passed / 60.0, 1 / 60)
            uses = [SeenUse(*edge, round(count / minutes, 3)) for edge, count in self._counts.items()]
            self._counts, self._since = {}, time.monotonic()
            return uses
