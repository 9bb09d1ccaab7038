"""Which servers are asked, and in which protocol: those that settings name, and listeners of this host.

An address is `host:port` at a port that belongs to one protocol, or `protocol://host:port`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.wire.host import sockets
from tongchou.wire.host.facts import processes

TLS = "+tls"
# protocol -> (usual port, whether it may be spoken inside TLS from the first byte on)
PROTOCOLS: dict[str, tuple[int, bool]] = {
    "postgresql": (5432, False),
    "mysql": (3306, False),
    "redis": (6379, True),
    "amqp": (5672, True),
    "nats": (4222, False),
    "mqtt": (1883, True),
    "kafka": (9092, True),
    "mongodb": (27017, True),
    "elasticsearch": (9200, True),
    "etcd": (2379, True),
    "memcached": (11211, True),
}
_PORTS = {port: name for name, (port, _tls) in PROTOCOLS.items()} | {5671: f"amqp{TLS}", 8883: f"mqtt{TLS}"}
# programs that speak one protocol at each of their ports
_PROGRAMS = {
    "postgres": "postgresql",
    "mariadbd": "mysql",
    "mysqld": "mysql",
    "redis-server": "redis",
    "valkey-server": "redis",
    "memcached": "memcached",
    "mongod": "mongodb",
}
_ADDRESS = re.compile(
    r"(?:(?P<protocol>[a-z]{3,20}(?:\+tls)?)://)?"
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)):(?P<port>[0-9]{1,5})"
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A server to ask. `protocol` without "+tls"; `program`: of the process that listens, where this host tells it."""

    host: str
    port: int
    protocol: str
    tls: bool = False
    program: str = ""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def place(text: str) -> Place | None:
    """Read one address; None for what is none, or where the port does not tell the protocol."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or not 0 < int(match["port"]) < 65_536:
        return None
    port = int(match["port"])
    protocol = match["protocol"] or _PORTS.get(port, "")
    name, tls = protocol.removesuffix(TLS), protocol.endswith(TLS)
    if name not in PROTOCOLS or (tls and not PROTOCOLS[name][1]):
        return None
    return Place((match["six"] or match["host"]).lower(), port, name, tls)


def places(texts: Sequence[str]) -> list[Place]:
    """Read addresses, each once; raises Invalid naming the one that is none."""
    found: dict[tuple[str, int], Place] = {}
    for number, text in enumerate(texts):
        one = place(text)
        if one is None:
            raise Invalid(
                "services.address",
                _("This is no address of a server that can be asked."),
                field=f"settings.addresses[{number}]",
                value=text[:300],
                remedy=_("Write host:port, at another port than the usual one protocol://host:port; one of: %(known)s.")
                % {"known": ", ".join(sorted(PROTOCOLS))},
            )
        found.setdefault((one.host, one.port), one)
    return list(found.values())


def of_listeners(listeners: Iterable[sockets.Socket], program_of: dict[int, tuple[str, str]]) -> list[Place]:
    """Return those among the listeners of this host that are known by their port or program.

    `program_of`: (name, path) by process, of those that may be known. One that listens everywhere is asked at loopback.
    """
    found: dict[int, Place] = {}
    for each in sorted(listeners, key=lambda one: (one.port, one.address)):
        name, path = program_of.get(each.process or 0, ("", ""))
        protocol = _PROGRAMS.get(name) or _PORTS.get(each.port, "")
        if not protocol or each.port in found:
            continue
        host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(each.address, each.address)  # noqa: S104  # read, not bound
        found[each.port] = Place(host, each.port, protocol.removesuffix(TLS), protocol.endswith(TLS), path)
    return list(found.values())


def of_this_host() -> list[Place]:
    """Return what listens on this host and is known."""
    listeners, _established = sockets.own_sockets()
    return of_listeners(listeners, processes({each.process for each in listeners if each.process}))
