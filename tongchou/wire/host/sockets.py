"""Which connections this machine holds, as edges: who uses what at which port. No connection is kept, only the sums.

`edges` is pure. Established connections and listeners are what the kernel tells anybody in /proc/net/tcp and tcp6;
the process behind one is known for one's own processes, and for all with root.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

EPHEMERAL_FROM = 32_768
LOOPBACK = ("127.0.0.1", "::1")
_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"


class Socket(NamedTuple):
    """One TCP socket: address, port, the peer's (none of a listener), the process where it is known."""

    address: str
    port: int
    peer: str
    peer_port: int
    process: int | None


class Edge(NamedTuple):
    """Who uses what. An address "" is this machine itself; a port 0 is not known, or says nothing.

    `user_port`: where the process that uses listens itself. `asked`: what led there, when that was another place.
    """

    user: str
    user_port: int
    used: str
    used_port: int
    asked: str = ""
    asked_port: int = 0


def own_sockets() -> tuple[list[Socket], list[Socket]]:
    """Return (listeners, established connections) of this machine."""
    listeners, established = [], []
    for each in psutil.net_connections(kind="tcp"):
        if each.laddr and each.status == psutil.CONN_LISTEN:
            listeners.append(Socket(plain(each.laddr.ip), each.laddr.port, "", 0, each.pid))
        elif each.laddr and each.raddr and each.status == psutil.CONN_ESTABLISHED:
            established.append(
                Socket(plain(each.laddr.ip), each.laddr.port, plain(each.raddr.ip), each.raddr.port, each.pid)
            )
    return listeners, established


def own_addresses() -> set[str]:
    """Return the addresses of this machine."""
    return {
        plain(each.address.partition("%")[0])
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family != psutil.AF_LINK
    }


def ephemeral_from() -> int:
    """Return the lowest port that this machine gives to who asks for none."""
    try:
        return int(Path(_RANGE).read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return EPHEMERAL_FROM


def plain(address: str) -> str:
    """Write an IPv4 address that comes as IPv6 (::ffff:10.0.0.5) as what it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def edges(
    addresses: Collection[str],
    listeners: Iterable[Socket],
    established: Iterable[Socket],
    *,
    ephemeral: int = EPHEMERAL_FROM,
) -> Counter[Edge]:
    """Return who uses what, by how many connections. `addresses` are this machine's own.

    A connection to a port that listens here is one of the peer's; every other one is ours, to the peer's port. One
    between two ports of the kind that is given out (both `ephemeral` or above) tells nothing and is left out, and so is
    the far half of a connection of this machine with itself.
    """
    ports: set[int] = set()
    of_process: dict[int, int] = {}
    for each in listeners:
        ports.add(each.port)
        if each.process is not None:
            of_process[each.process] = min(each.port, of_process.get(each.process, each.port))
    own = {*addresses, *LOOPBACK}
    found: Counter[Edge] = Counter()
    for each in established:
        inside = each.peer in own
        if each.port in ports:
            if not inside:
                found[Edge(each.peer, 0, "", each.port)] += 1
            continue
        if each.peer_port >= ephemeral and each.port >= ephemeral and not (inside and each.peer_port in ports):
            continue
        port = of_process.get(each.process, 0) if each.process is not None else 0
        # an address of our own may be loopback, which is everybody's: then the port is named with its machine
        found[Edge("", port, "" if inside else each.peer, each.peer_port)] += 1
    return found
