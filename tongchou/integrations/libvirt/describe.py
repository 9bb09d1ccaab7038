"""Turns libvirt's XML into things. Pure.

The definition is read, not the running state of a machine: names of taps and aliases change at each start.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from xml.etree import ElementTree as ET

from tongchou.inventory import identity
from tongchou.inventory.gather import Gathering

_BYTES = {"b": 1, "bytes": 1, "KB": 1000, "k": 1024, "KiB": 1024, "MB": 10**6, "M": 1024**2, "MiB": 1024**2}
_BYTES |= {"GB": 10**9, "G": 1024**3, "GiB": 1024**3, "TB": 10**12, "T": 1024**4, "TiB": 1024**4}
_UUID = re.compile(r"\A[0-9a-fA-F-]{36}\Z")


def parsed(text: str) -> ET.Element | None:
    """Return a document; None for one that is none, or that declares entities (libvirt writes none)."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        return ET.fromstring(text)  # noqa: S314  # what libvirt wrote, without declarations of entities
    except ET.ParseError:
        return None


def uuids(lines: list[str]) -> list[str]:
    """Return the UUIDs of a list, sorted: only these go back into a command."""
    return sorted(line for line in lines if _UUID.match(line))


def _text(found: ET.Element, path: str) -> str:
    return (found.findtext(path) or "").strip()


def _attribute(found: ET.Element, path: str, name: str) -> str:
    element = found.find(path)
    return "" if element is None else element.get(name, "")


def _size(found: ET.Element, path: str) -> int | None:
    text = _text(found, path)
    unit = _BYTES.get(_attribute(found, path, "unit") or "KiB")
    return int(text) * unit if text.isdecimal() and unit and len(text) < 16 else None


class Hypervisor:
    """One hypervisor and what is on it, gathered."""

    def __init__(self, gathering: Gathering, name: str, keys: tuple[str, ...]) -> None:
        self._gathering = gathering
        self._name = name
        self.key = keys[0]
        self._networks: dict[str, str] = {}
        self._pools: dict[str, tuple[str, str]] = {}  # name -> (key, folder)

    def network(self, found: ET.Element) -> None:
        """Add a virtual network."""
        name, key = _text(found, "name"), identity.key(self.key, "network", _text(found, "uuid"))
        self._networks[name] = key
        attributes = {
            "forward": _attribute(found, "forward", "mode") or "isolated",
            "bridge": _attribute(found, "bridge", "name"),
            "addresses": sorted({each.get("address", "") for each in found.findall("ip")} - {""}),
        }
        self._gathering.add("network", f"{self._name} {name}", (key,), attributes)
        self._gathering.relate("runs_on", key, self.key)

    def pool(self, found: ET.Element) -> None:
        """Add a storage pool; how full it is is a metric."""
        name, key = _text(found, "name"), identity.key(self.key, "pool", _text(found, "uuid"))
        self._pools[name] = (key, _text(found, "target/path"))
        attributes = {
            "type": found.get("type", ""),
            "path": _text(found, "target/path"),
            "size_bytes": _size(found, "capacity"),
        }
        self._gathering.add("storage_pool", f"{self._name} {name}", (key,), attributes)
        self._gathering.relate("runs_on", key, self.key)

    def machine(self, found: ET.Element, running: bool) -> None:
        """Add a machine with its disks and interfaces; networks and pools must have been added before."""
        name, uuid = _text(found, "name"), _text(found, "uuid")
        keys = identity.keys(identity.uuid_key(uuid), identity.key(self.key, "vm", uuid))
        vcpus = _text(found, "vcpu")
        attributes = {
            "power_state": "running" if running else "stopped",
            "cpu_count": int(vcpus) if vcpus.isdecimal() and len(vcpus) < 6 else None,
            "memory_bytes": _size(found, "memory"),
            "architecture": _attribute(found, "os/type", "arch"),
            "machine": _attribute(found, "os/type", "machine"),
            "hypervisor": found.get("type", ""),
        }
        self._gathering.add("vm", name, keys, attributes)
        self._gathering.relate("runs_on", keys[0], self.key)
        for disk in found.findall("devices/disk"):
            if disk.get("device", "disk") == "disk":
                self._disk(disk, name, keys[0])
        for interface in found.findall("devices/interface"):
            self._interface(interface, name, keys[0])

    def _disk(self, found: ET.Element, machine: str, key: str) -> None:
        target = _attribute(found, "target", "dev")
        path = next((said for name in ("file", "dev", "name") if (said := _attribute(found, "source", name))), "")
        attributes = {
            "device": target,
            "bus": _attribute(found, "target", "bus"),
            "path": path or _attribute(found, "source", "volume"),
            "format": _attribute(found, "driver", "type"),
        }
        disk = identity.key(key, "disk", target)
        self._gathering.add("disk", f"{machine} {target}", (disk,), attributes)
        self._gathering.relate("part_of", disk, key)
        self._gathering.relate("stores_in", disk, self._pool_of(_attribute(found, "source", "pool"), path))

    def _pool_of(self, name: str, path: str) -> str | None:
        if name in self._pools:
            return self._pools[name][0]
        parents = {str(each) for each in PurePosixPath(path).parents} if path.startswith("/") else set()
        held = [(len(folder), key) for key, folder in self._pools.values() if folder and folder in parents]
        return max(held)[1] if held else None

    def _interface(self, found: ET.Element, machine: str, key: str) -> None:
        mac = identity.mac(_attribute(found, "mac", "address"))
        if not mac:
            return
        attributes = {
            "mac": mac,
            "type": found.get("type", ""),
            "model": _attribute(found, "model", "type"),
            "bridge": _attribute(found, "source", "bridge"),
            "vlan": _attribute(found, "vlan/tag", "id"),
        }
        # by its machine first: a copied definition may bring its MAC along
        interface = identity.key(key, "interface", mac)
        self._gathering.add("interface", f"{machine} {mac}", (interface,), attributes)
        self._gathering.relate("part_of", interface, key)
        self._gathering.relate("uses", interface, self._networks.get(_attribute(found, "source", "network")))
