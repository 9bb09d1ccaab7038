"""What edges between addresses and ports mean in identity keys: who was seen to use what. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tongchou.inventory.connections import SeenUse, merged, place

MOST_ADDRESSES = 6


def uses(machine: str, addresses: Collection[str], edges: Iterable[Mapping[str, Any]]) -> list[SeenUse]:
    """Return who uses what. `machine` is the host's identity key, `addresses` are its own (edges: a reading's)."""
    return merged(_use(machine, addresses, each) for each in edges)


def _use(machine: str, addresses: Collection[str], edge: Mapping[str, Any]) -> SeenUse:
    if edge["user"]:
        user: tuple[str, ...] = (place(edge["user"]),)
    elif edge["user_port"]:
        user = (*listening(machine, addresses, edge["user_port"]), machine)
    else:
        user = (machine,)
    used = _port(machine, addresses, edge["used"], edge["used_port"])
    if edge["asked_port"]:
        used = (*used, *_port(machine, addresses, edge["asked"], edge["asked_port"]))
    return SeenUse(user, used, float(edge["count"]))


def _port(machine: str, addresses: Collection[str], address: str, port: int) -> tuple[str, ...]:
    return (place(address, port),) if address else listening(machine, addresses, port)


def listening(machine: str, addresses: Collection[str], port: int) -> tuple[str, ...]:
    """Return the ends that a port of this machine may be known by: who is read there, then the port itself."""
    known = [place(each, port) for each in ("127.0.0.1", "localhost", *sorted(addresses)) if ":" not in each]
    return (*known[:MOST_ADDRESSES], f"{machine}/tcp:{port}")
