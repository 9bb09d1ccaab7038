"""Turns the facts that Ansible gathered of a machine into things: as the source `host` names and measures them. Pure.

Three forms of a file: the answer of the module setup ({"ansible_facts": ...}, what --tree writes), the bare facts of a
cache (jsonfile), and those of ansible-core since 2.19, which wraps them as text ({"__payload__": "..."}).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tongchou.inventory import claims, identity
from tongchou.inventory.claims import Claim
from tongchou.inventory.gather import Gathering, facts, flag, items, number, text, texts
from tongchou.inventory.observation import MAX_KEY
from tongchou.wire.host.facts import VIRTUAL_DISK, VIRTUAL_INTERFACE

MEGABYTE = 1024 * 1024
# sees the DMI numbers of the machine below, which are not its own
CONTAINERS = frozenset(
    {"container", "containerd", "docker", "jail", "lxc", "openvz", "podman", "rkt", "systemd-nspawn"}
)
EMPTY = frozenset({"", "na", "n/a", "none"})
NO_DEVICE = frozenset({"iso9660", "squashfs"})  # images that are full by nature
SCHEMA = re.compile(r"\As\d+_")  # what ansible-core puts before the names of its files since 2.19
_UNNAMED = re.compile(r"[-:.]")  # Ansible writes these as _ where it makes a fact's name of an interface's
_GIVEN = 0x02  # the bit of a MAC address that somebody gave, not a maker: it may be given twice
_SHARED = "00:00:5e:"  # of VRRP: whoever is master has it


def facts_of(found: Any) -> dict[str, Any] | None:
    """Return the facts in what a file holds, their names without "ansible_"; None when it holds none."""
    if isinstance(found, dict) and isinstance(found.get("__payload__"), str):
        try:
            found = json.loads(found["__payload__"])
        except (ValueError, RecursionError):
            return None
    if isinstance(found, dict) and isinstance(found.get("ansible_facts"), dict):
        found = found["ansible_facts"]
    if not isinstance(found, dict):
        return None
    named = {str(name).removeprefix("ansible_"): value for name, value in found.items()}
    return named if any(said(named, name) for name in ("nodename", "hostname", "fqdn", "machine_id")) else None


def why_none(found: Any) -> str:
    """Return what a file without facts says instead: nothing of it but that a host could not be reached, or failed."""
    if isinstance(found, dict) and found.get("unreachable") is True:
        return "the host was unreachable when its facts were gathered"
    failed = isinstance(found, dict) and ("module_stderr" in found or found.get("failed") is True)
    return "gathering of facts failed on the host" if failed else "no facts of a host"


def said(found: Mapping[str, Any], *path: str) -> str:
    """Return a text among facts, "" for what Ansible writes where it could not read one."""
    value = text(found, *path).strip()
    return "" if value.lower() in EMPTY else value


def gathered_at(found: Mapping[str, Any]) -> datetime | None:
    """Return when facts were gathered, by the clock of that machine; None where they do not say."""
    epoch = number(found, "date_time", "epoch")
    return datetime.fromtimestamp(epoch, UTC) if epoch is not None and 0 < epoch < 2**33 else None


Part = tuple[str, str, tuple[str, ...], dict[str, Any]]  # kind, name in its machine, further keys, attributes


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface that reaches beyond its machine; `mac` is "" where it shares it with another one there."""

    name: str
    mac: str
    attributes: dict[str, Any]

    def part(self, uuid: str | None) -> Part:
        """By its MAC one is known to libvirt, within its machine; to everybody where a maker gave it to one alone."""
        makers = bool(self.mac) and not int(self.mac[:2], 16) & _GIVEN and not self.mac.startswith(_SHARED)
        more = identity.keys(
            identity.key(uuid, "interface", self.mac) if uuid and self.mac else None,
            identity.mac_key(self.mac) if makers else None,
        )
        return ("interface", self.name, more, self.attributes)


@dataclass(slots=True)
class Machine:
    """What a file says of one machine. `own` is the key that holds only within this source: its file, or its name."""

    kind: str
    name: str
    keys: tuple[str, ...]  # those that hold everywhere, strongest first
    own: str
    attributes: dict[str, Any]
    parts: list[Part]
    interfaces: list[Interface]
    seen_at: datetime | None

    @property
    def macs(self) -> frozenset[str]:
        """The MAC addresses by which it is told from others."""
        return frozenset(each.mac for each in self.interfaces if each.mac)


def machine(found: Mapping[str, Any], *, source: str, file: str, seen_at: datetime | None) -> Machine:
    """Return a machine with its disks, file systems and interfaces. `file`: "" of an upload."""
    file = SCHEMA.sub("", file)
    name = said(found, "nodename") or said(found, "hostname") or said(found, "fqdn") or file or "host"
    sorts = [said(found, "virtualization_type"), *texts(found, "virtualization_tech_guest")]
    guest = said(found, "virtualization_role") == "guest"
    inside = guest and any(each.lower() in CONTAINERS for each in sorts)
    keys = identity.keys(
        identity.machine_id_key(said(found, "machine_id")),
        None if inside else identity.uuid_key(said(found, "product_uuid")),
        None if inside else identity.serial_key(said(found, "product_serial")),
        identity.fqdn_key(said(found, "fqdn")),
    )
    return Machine(
        "vm" if guest and not inside else "host",
        name,
        keys,
        identity.key("ansible", source, file or name),
        _machine(found),
        [*_disks(found), *_filesystems(found)],
        _interfaces(found),
        seen_at,
    )


def add(gathering: Gathering, machines: Sequence[Machine]) -> None:
    """Add machines. A key that several of them claim identifies none of them, and is told of.

    Clones of one image share its machine id, containers that of their image or the UUID of what is below them. The same
    machine under two names of the inventory is one.
    """
    shared = claims.shared(Claim(each.name, (*each.keys, each.own), each.macs) for each in machines)
    for key in sorted(shared.keys() - {each.own for each in machines}):
        gathering.warn(claims.note(key, shared[key]))
    for each in machines:
        kept = tuple(key for key in (*each.keys, each.own) if key not in shared)
        # an upload does not say what Ansible calls a machine: of two by one name their interfaces are left
        _add(gathering, each, kept or (identity.key(each.own, min(each.macs, default="")),))


def _add(gathering: Gathering, each: Machine, keys: tuple[str, ...]) -> None:
    gathering.add(each.kind, each.name, keys, each.attributes, seen_at=each.seen_at)
    uuid = next((key for key in keys if key.startswith("uuid:")), None)
    for kind, part, more, attributes in [*each.parts, *(one.part(uuid) for one in each.interfaces)]:
        key = f"{keys[0]}/{kind}:{part}"[:MAX_KEY]
        gathering.add(kind, f"{each.name} {part}", (key, *more), attributes, seen_at=each.seen_at)
        gathering.relate("part_of", key, keys[0])


def _machine(found: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the machine, each under the name that the source `host` gives it."""
    release = said(found, "distribution_version")
    processors = found.get("processor")
    models = [str(each) for each in processors[:3]] if isinstance(processors, list) else []
    fqdn = said(found, "fqdn")
    return facts(
        os=said(found, "lsb", "description") or f"{said(found, 'distribution')} {release}".strip(),
        os_version=release,
        kernel=said(found, "kernel"),
        architecture=said(found, "architecture"),
        # number, maker, model, number, maker, model ... on x86; elsewhere often the numbers alone
        cpu_model=models[2] if len(models) == 3 and models[0].isdigit() and not models[2].isdigit() else "",
        cpu_count=number(found, "processor_vcpus"),
        memory_bytes=number(found, "memtotal_mb", times=MEGABYTE),
        swap_bytes=number(found, "swaptotal_mb", times=MEGABYTE),
        address=said(found, "default_ipv4", "address") or said(found, "default_ipv6", "address"),
        fqdn=fqdn if "." in fqdn else "",
        vendor=said(found, "system_vendor"),
        product=said(found, "product_name"),
        serial=said(found, "product_serial"),
        virtualization=said(found, "virtualization_type"),
        virtualization_role=said(found, "virtualization_role"),
    )


def _disks(found: Mapping[str, Any]) -> list[Part]:
    devices = found.get("devices")
    parts: list[Part] = []
    for name, each in sorted(devices.items()) if isinstance(devices, dict) else ():
        sectors, size = number(each, "sectors"), number(each, "sectorsize")
        if VIRTUAL_DISK.match(name) or not sectors or not size:
            continue
        attributes = facts(
            device=f"/dev/{name}",
            size_bytes=sectors * size,
            model=said(each, "model"),
            serial=said(each, "serial"),
            medium={"0": "solid state", "1": "rotating"}.get(text(each, "rotational"), ""),
        )
        parts.append(("disk", name, (), attributes))
    return parts


def _filesystems(found: Mapping[str, Any]) -> list[Part]:
    parts: dict[str, Part] = {}
    for each in items(found, "mounts"):
        mount, type_ = text(each, "mount"), text(each, "fstype")
        if not mount or type_ in NO_DEVICE or "bind" in text(each, "options").split(","):
            continue
        size = number(each, "size_total")
        attributes = facts(mountpoint=mount, device=text(each, "device"), type=type_, size_bytes=size)
        parts[mount] = ("filesystem", mount, (), attributes)
    return [parts[mount] for mount in sorted(parts)]


def _interfaces(found: Mapping[str, Any]) -> list[Interface]:
    """Return those that reach beyond the machine."""
    names = found.get("interfaces")
    listed = [each for each in names if isinstance(each, str)] if isinstance(names, list) else []
    named = {each: found.get(_UNNAMED.sub("_", each)) for each in listed}
    macs = Counter(identity.mac(text(each, "macaddress")) for each in named.values())
    parts: list[Interface] = []
    for name, each in sorted(named.items()):
        if VIRTUAL_INTERFACE.match(name) or not isinstance(each, dict):
            continue
        mac = identity.mac(text(each, "macaddress"))
        first = [each["ipv4"]] if isinstance(each.get("ipv4"), dict) else []
        addresses = {text(one, "address") for one in (*first, *items(each, "ipv4_secondaries"), *items(each, "ipv6"))}
        speed = number(each, "speed") or 0
        attributes = facts(
            mac=mac,
            addresses=sorted(addresses - {""}),
            mtu=number(each, "mtu"),
            up=flag(each, "active"),
            speed_mbps=speed if 0 < speed < 65_535 else None,
        )
        parts.append(Interface(name, mac if mac and macs[mac] == 1 else "", attributes))
    return parts
