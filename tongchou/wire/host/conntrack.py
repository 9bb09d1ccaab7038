"""What the kernel's connection tracking saw, as edges: connections of the last minutes, and those that pass through.

All but `lines` is pure. A flow says who opened it, so that no port has to be guessed; and where its destination was
translated, the reply comes from the server that it really went to.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tongchou.wire.host import programs
from tongchou.wire.host.programs import NoAnswerError
from tongchou.wire.host.sockets import LOOPBACK, Edge, Socket, plain

TABLE = Path("/proc/net/nf_conntrack")
COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
MOST_BYTES = 50_000_000  # some 250,000 flows
SECONDS = 10.0
MOST_ADDRESSES = 10_000  # that are remembered: a table names the same ones over and over
# connections that were made, and may be over; SYN_* were not yet, CLOSE may be one that was refused
MADE = frozenset({"ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT"})
_TUPLE = re.compile(r"\bsrc=(\S+) dst=(\S+) sport=(\d{1,5}) dport=(\d{1,5})\b")


class Flow(NamedTuple):
    """A TCP connection: who opened it, what it asked for, and who answered."""

    client: str
    client_port: int
    asked: str
    asked_port: int
    server: str
    server_port: int


def flows(table: Iterable[str]) -> Iterator[Flow]:
    """Return the TCP connections in lines as /proc/net/nf_conntrack and `conntrack -L -o extended` write them."""
    for line in table:
        words = line.split(maxsplit=6)
        if len(words) < 7 or words[2] != "tcp" or words[5] not in MADE or "[UNREPLIED]" in line:
            continue
        both = _TUPLE.findall(line)
        if len(both) != 2:
            continue
        (client, asked, client_port, asked_port), (server, _back, server_port, _back_port) = both
        client, asked, server = map(_address, (client, asked, server))
        if client and asked and server:
            yield Flow(client, int(client_port), asked, int(asked_port), server, int(server_port))


def edges(
    addresses: Collection[str],
    listeners: Iterable[Socket],
    established: Iterable[Socket],
    seen: Iterable[Flow],
    *,
    ephemeral: int,
) -> Counter[Edge]:
    """Return who uses what, of the flows that the sockets do not tell of already, and better: they know the process.

    A flow with an end somewhere in the internet says nothing here: a router sees those of everybody.
    """
    ports = {each.port for each in listeners}
    held = {(each.address, each.port, each.peer, each.peer_port) for each in established}
    own = {*addresses, *LOOPBACK}

    def tells(flow: Flow) -> bool:
        there = flow.server in own
        known = (flow.client, flow.client_port, flow.asked, flow.asked_port) in held or (
            (flow.server, flow.server_port, flow.client, flow.client_port) in held
        )
        if known or (there and flow.client in own):
            return False
        if not all(each in own or _inside(each) for each in (flow.client, flow.server)):
            return False
        return min(flow.server_port, flow.client_port) < ephemeral or (there and flow.server_port in ports)

    return Counter(_edge(flow, own) for flow in seen if tells(flow))


def _edge(flow: Flow, own: Collection[str]) -> Edge:
    user, used, asked = ("" if each in own else each for each in (flow.client, flow.server, flow.asked))
    if flow.server in own or (flow.asked, flow.asked_port) == (flow.server, flow.server_port):
        return Edge(user, 0, used, flow.server_port)
    # a server that nobody knows by its own address may be known by the port that leads to it
    return Edge(user, 0, used, flow.server_port, asked, flow.asked_port)


@lru_cache(MOST_ADDRESSES)
def _address(text: str) -> str:
    """The address, plainly written; "" of what is none."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return ""
    return plain(text)


@lru_cache(MOST_ADDRESSES)
def _inside(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return found.is_private and not (found.is_loopback or found.is_link_local or found.is_unspecified)


def lines(most: int = MOST_BYTES) -> Iterator[str]:
    """Return the table line by line, at most so many bytes of it; none where the kernel has none.

    Raises NoAnswerError where it has one that cannot be read.
    """
    if not COUNT.exists():
        return
    try:
        with TABLE.open("rb") as file:
            while most > 0 and (line := file.readline(most)):
                most -= len(line)
                yield line.decode("ascii", "replace")
            return
    except OSError as error:  # not compiled in, or not ours to read
        why = error.strerror or str(error)
    program = programs.found("conntrack")
    if program is None:
        raise NoAnswerError(why)
    for family in ("ipv4", "ipv6"):
        words = (program, "-L", "-p", "tcp", "-f", family, "-o", "extended")
        code, body = programs.ask(*words, seconds=SECONDS, most=most)
        if code != 0:
            raise NoAnswerError(f"{why}; conntrack ends with {code}")
        yield from body.decode("ascii", "replace").splitlines()
