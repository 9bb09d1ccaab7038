"""One reading of this machine, whole: the document that the agent sends, and that the platform reads of its own.

    {"version": 1, "machine": {..}, "disks": [..], "filesystems": [..], "interfaces": [..], "listeners": [..],
     "connections": {"addresses": [..], "edges": [{..}]}, "refused": {part: why}, "notes": [..]}

A part that was not asked for is not there; one that the kernel refused is in `refused`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from tongchou.wire.host import conntrack, facts, sockets
from tongchou.wire.host.programs import NoAnswerError
from tongchou.wire.host.sockets import Edge

VERSION = 1
PARTS = ("disks", "filesystems", "interfaces", "listeners")
CONNECTIONS, TRACKED = "connections", "conntrack"
EVERYTHING = frozenset({*PARTS, CONNECTIONS, TRACKED})
MOST_EDGES = 2000  # those with most connections
MOST_THINGS, MOST_ADDRESSES = 2000, 1000  # of one part; of one interface, and of the machine
# characters of what is said of a thing: what is longer is cut, so that nothing a machine has is refused for ever
_MOST = {"mountpoint": 4096, "device": 4096, "hostname": 128, "serial": 128} | dict.fromkeys(
    ("name", "machine_id", "uuid", "architecture", "type", "medium", "mac"), 64
)
_MOST_OTHERS = 300


def read(wanted: Collection[str] = EVERYTHING, *, most_tracked_bytes: int = conntrack.MOST_BYTES) -> dict[str, Any]:
    """Return what this machine tells of itself now, of the parts that are wanted."""
    refused: dict[str, str] = {}
    notes: list[str] = []
    found: dict[str, Any] = {"version": VERSION, "machine": facts.machine(), "refused": refused, "notes": notes}
    for part in PARTS:
        if part not in wanted:
            continue
        try:
            found[part] = getattr(facts, part)()
        except facts.REFUSED as error:
            refused[part] = f"{type(error).__name__}: {error}"
    if CONNECTIONS in wanted:
        try:
            found[CONNECTIONS] = _connections(most_tracked_bytes if TRACKED in wanted else 0, notes)
        except facts.REFUSED as error:
            refused[CONNECTIONS] = f"{type(error).__name__}: {error}"
    return {name: _fitted(name, each) for name, each in found.items()}


def _fitted(name: str, value: Any) -> Any:
    """A value as it can be sent: text that is text, within bounds; file names may be any bytes."""
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode().replace("\0", "")
        return text[: _MOST.get(name, _MOST_OTHERS)]
    if isinstance(value, dict):
        return {key: _fitted(key, each) for key, each in value.items()}
    if isinstance(value, list):
        most = MOST_ADDRESSES if name == "addresses" else MOST_THINGS
        return [_fitted(name, each) for each in value[:most]]
    return value


def _connections(most_tracked_bytes: int, notes: list[str]) -> dict[str, Any]:
    listeners, established = sockets.own_sockets()
    addresses, ephemeral = sockets.own_addresses(), sockets.ephemeral_from()
    seen = sockets.edges(addresses, listeners, established, ephemeral=ephemeral)
    if most_tracked_bytes:
        try:
            flows = conntrack.flows(conntrack.lines(most_tracked_bytes))
            seen += conntrack.edges(addresses, listeners, established, flows, ephemeral=ephemeral)
        except NoAnswerError as error:  # a note and no more: the sockets are there all the same
            notes.append(f"{TRACKED}: {error}")
    return {"addresses": sorted(addresses), "edges": _rows(seen)}


def _rows(seen: Counter[Edge]) -> list[dict[str, Any]]:
    ranked = sorted(seen.items(), key=lambda each: (-each[1], each[0]))
    return [{**edge._asdict(), "count": count} for edge, count in ranked[:MOST_EDGES]]
