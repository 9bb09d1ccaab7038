"""Turns what a machine tells of itself (`wire.host`) into observed resources: of this machine, or of an agent's. Pure.

`this_host` and `filesystems_here` alone look at this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tongchou.inventory import identity
from tongchou.inventory.observation import ObservedRelation, ObservedResource
from tongchou.wire.host import facts
from tongchou.wire.host.facts import told

# of a machine, attributes under the names that its reading has
ATTRIBUTES = (
    "os", "kernel", "architecture", "cpu_model", "cpu_count", "memory_bytes", "swap_bytes", "product", "vendor",
    "serial",
)  # fmt: skip


def this_host() -> ObservedResource:
    """Return the machine this process runs on."""
    return host(facts.machine())


def filesystems_here(machine: str, host_name: str) -> list[ObservedResource]:
    """Return the file systems of the machine this process runs on. Raises one of wire.host.facts.REFUSED."""
    return filesystems(facts.filesystems(), machine, host_name)


def host(reading: Mapping[str, Any]) -> ObservedResource:
    """Return a machine. Known by its machine id where it has one, else by its name."""
    name = reading["hostname"]
    keys = identity.keys(*hardware_keys(reading), f"hostname:{name}")
    return ObservedResource("host", name, keys, told(**{each: reading.get(each) for each in ATTRIBUTES}))


def hardware_keys(reading: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a machine that no other should have; a container reads the numbers of what is below it."""
    own = not reading.get("container")
    return identity.keys(
        identity.machine_id_key(reading.get("machine_id")),
        identity.uuid_key(reading.get("uuid")) if own else None,
        identity.serial_key(reading.get("serial")) if own else None,
    )


def disks(reading: Iterable[Mapping[str, Any]], machine: str, host_name: str) -> list[ObservedResource]:
    """Return block devices. `machine` is the host's identity key."""
    found = []
    for each in reading:
        name, rest = _split(each, "name")
        attributes = told(device=f"/dev/{name}", **rest)
        found.append(ObservedResource("disk", f"{host_name} {name}", (f"{machine}/disk:{name}",), attributes))
    return found


def filesystems(reading: Iterable[Mapping[str, Any]], machine: str, host_name: str) -> list[ObservedResource]:
    """Return mounted file systems."""
    found = []
    for each in reading:
        mount = each["mountpoint"]
        key = f"{machine}/filesystem:{mount}"[:255]
        found.append(ObservedResource("filesystem", f"{host_name} {mount}"[:253], (key,), told(**each)))
    return found


def interfaces(reading: Iterable[Mapping[str, Any]], machine: str, host_name: str) -> list[ObservedResource]:
    """Return network interfaces."""
    found = []
    for each in reading:
        name, rest = _split(each, "name")
        found.append(
            ObservedResource("interface", f"{host_name} {name}", (f"{machine}/interface:{name}",), told(**rest))
        )
    return found


def listeners(reading: Iterable[Mapping[str, Any]], machine: str, _host_name: str) -> list[ObservedResource]:
    """Return the TCP ports something listens on."""
    found = []
    for each in reading:
        port = each["port"]
        title = f"{each.get('process') or 'port'}:{port}"[:253]
        found.append(ObservedResource("listener", title, (f"{machine}/tcp:{port}",), told(protocol="tcp", **each)))
    return found


def _split(each: Mapping[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    return each[name], {key: value for key, value in each.items() if key != name}


Shape = Callable[[Iterable[Mapping[str, Any]], str, str], list[ObservedResource]]
SHAPES: dict[str, Shape] = {
    "disks": disks,
    "filesystems": filesystems,
    "interfaces": interfaces,
    "listeners": listeners,
}


def parts(reading: Mapping[str, Any], machine: str, host_name: str) -> list[ObservedResource]:
    """Return the parts of a machine that a reading has."""
    return [each for part, shape in SHAPES.items() for each in shape(reading.get(part, ()), machine, host_name)]


def relation(part: ObservedResource, machine: str) -> ObservedRelation:
    """Return what a part is to its machine."""
    type_ = "runs_on" if part.kind == "listener" else "part_of"
    return ObservedRelation(type_, ((part.keys[0], machine),), origin="observed")
