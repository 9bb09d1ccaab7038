"""What one device told, read: what it is, what identifies it, its interfaces, addresses, VLANs and neighbours. Pure.

A device is known by its serial number, its full name and the chassis id that it sends to its neighbours; by the address
it was asked at only where it has none of these. Its interfaces are known by their names within it, and by the port id
that neighbours hear. The index of an interface changes with a restart, so it identifies nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tongchou.integrations.snmp import mibs
from tongchou.integrations.snmp.mibs import Index, Tables, Value
from tongchou.inventory import identity
from tongchou.inventory.gather import facts, plain

_CHASSIS_IS_MAC, _PORT_IS_MAC, _PORT_IS_NAME = 4, 3, 5  # of LldpChassisIdSubtype and LldpPortIdSubtype
_LOOPBACK = 24  # of ifType, IANAifType-MIB
_ETHERNET = 6
# comes and goes with containers and machines; what it leads to is seen elsewhere
_PASSING = re.compile(r"\A(?:lo|veth|ifb|docker|br-|virbr|vnet|cali|flannel|tap|tun|dummy)\d*", re.IGNORECASE)
# sysObjectID of agents that run on servers: net-snmp, ucd-snmp, Windows
_SERVERS = ("1.3.6.1.4.1.8072.3.2.", "1.3.6.1.4.1.2021.250.", "1.3.6.1.4.1.311.1.1.3.")
_BRIDGES, _ROUTES, _APPLICATIONS = 2, 4, 64  # of sysServices, RFC 3418
_IS_ACCESS_POINT = 3  # of LldpSystemCapabilitiesMap, counted from the left
_UNICAST = 1
MAX_VLANS = 500  # with their names; beyond, numbers alone


@dataclass(frozen=True, slots=True)
class Port:
    """One interface. `heard_as`: the key that neighbours know it by."""

    name: str
    attributes: dict[str, Any]
    heard_as: str | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who was heard at a port (None: at one that is no interface). `ends`: keys of the other end, the nearest first.

    `near` and `far` name the two ports as both devices do, so that both tell the same of their link.
    """

    port: str | None
    ends: tuple[str, ...]
    near: str
    far: str
    chassis: str | None


@dataclass(frozen=True)
class Device:
    """One device, as its tables tell. `place`: what the address is unique within."""

    address: str
    tables: Tables = field(repr=False)
    place: str
    port_state: bool = True

    def _one(self, name: str, index: Index = (0,)) -> Value | None:
        return self.tables.get(name, {}).get(index)

    def _text(self, name: str, index: Index = (0,)) -> str:
        return text(self._one(name, index))

    @cached_property
    def kind(self) -> str:
        """What it is: host, switch, router, access_point, or device where nothing tells."""
        services = self._one("sysServices")
        layers = services if isinstance(services, int) else 0
        if _bit(self._one("lldpLocSysCapEnabled"), _IS_ACCESS_POINT):
            return "access_point"
        if self._text("sysObjectID").startswith(_SERVERS):
            return "host"
        if layers & _BRIDGES and self._one("dot1dBaseNumPorts"):
            return "switch"
        if layers & _ROUTES:
            return "router"
        if layers & _BRIDGES:
            return "switch"
        return "host" if layers & _APPLICATIONS else "device"

    @cached_property
    def name(self) -> str:
        """What it calls itself; its address where it does not."""
        return plain(self._text("sysName")) or self.address

    @cached_property
    def chassis(self) -> str | None:
        """The key that neighbours know it by."""
        return chassis_key(self._one("lldpLocChassisIdSubtype"), self._one("lldpLocChassisId"))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """What identifies it, strongest first."""
        bridge = identity.mac(_hex(self._one("dot1dBaseBridgeAddress")))
        found = identity.keys(
            identity.serial_key(self.serial), identity.fqdn_key(self._text("sysName")), self.chassis,
            identity.key("bridge", bridge) if bridge and self.kind != "host" else None,
        )  # fmt: skip
        return found or (self.address_key,)

    @property
    def address_key(self) -> str:
        """What it is known by where nothing else tells it apart."""
        return identity.key("snmp", self.place, self.address)

    @cached_property
    def _entity(self) -> Index:
        return mibs.device_entity(self.tables.get("entPhysicalClass", {})) or ()

    @cached_property
    def serial(self) -> str:
        """The serial number of its chassis."""
        return plain(self._text("entPhysicalSerialNum", self._entity), 100)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Facts of the whole; a host's have the names that hosts have."""
        make, model = ("vendor", "product") if self.kind == "host" else ("manufacturer", "model")
        whole = self._entity
        return facts(
            **{
                make: plain(self._text("entPhysicalMfgName", whole), 200),
                model: plain(self._text("entPhysicalModelName", whole), 200),
            },
            serial=self.serial,
            firmware=plain(self._text("entPhysicalFirmwareRev", whole), 200),
            os_version=plain(self._text("entPhysicalSoftwareRev", whole), 200),
            description=plain(self._text("sysDescr"), 1000),
            object_id=self._one("sysObjectID"),
            location=plain(self._text("sysLocation"), 200),
            management_address=self.address,
            ports=None
            if self.kind == "host"
            else len([1 for each in self._interfaces if self._ethernet(each)]) or None,
            vlans=self._vlans,
        )

    # --- interfaces ---------------------------------------------------------------------------------------------------

    def _ethernet(self, index: Index) -> bool:
        return self._one("ifType", index) == _ETHERNET

    @cached_property
    def _interfaces(self) -> dict[Index, str]:
        """Index -> name, of those that reach beyond the device; a name that several have gets their indexes."""
        called = {
            index: plain(self._text("ifName", index) or self._text("ifDescr", index), 120) or str(index[0])
            for index in sorted(self.tables.get("ifType", {}))
            if self._one("ifType", index) != _LOOPBACK
        }
        if self.kind == "host":
            called = {index: name for index, name in called.items() if not _PASSING.match(name)}
        times = Counter(called.values())
        return {index: name if times[name] == 1 else f"{name} ({index[0]})" for index, name in called.items()}

    @cached_property
    def ports(self) -> list[Port]:
        """Its interfaces, in the order of the device."""
        heard = {index: key for key, index in self._local.values() if index is not None}
        return [
            Port(name, self._port_facts(index), heard.get(index)) for index, name in self._interfaces.items()
        ]  # fmt: skip

    def _port_facts(self, index: Index) -> dict[str, Any]:
        state, speed = self._one("ifOperStatus", index), self._one("ifHighSpeed", index)
        slow = self._one("ifSpeed", index)
        mbps = speed or (slow // 10**6 if isinstance(slow, int) and slow < 2**32 - 1 else 0)
        shown = {"up": state == 1 if state in (1, 2) else None, "speed_mbps": mbps or None} if self.port_state else {}
        enabled = self._one("ifAdminStatus", index)
        return facts(
            mac=identity.mac(_hex(self._one("ifPhysAddress", index))),
            addresses=self._addresses.get(index[0], []),
            enabled=enabled == 1 if enabled in (1, 2) else None,
            mtu=self._one("ifMtu", index) or None,
            vlan=self._untagged.get(index[0]),
            description=plain(self._text("ifAlias", index), 500),
            **shown,
        )

    @cached_property
    def _addresses(self) -> dict[int, list[str]]:
        """Addresses by the number of the interface, sorted."""
        types, found = self.tables.get("ipAddressType", {}), []
        for index, interface in self.tables.get("ipAddressIfIndex", {}).items():
            if types.get(index, _UNICAST) == _UNICAST:
                found.append((interface, index[2:18] if index[0] in (2, 4) else index[2:6]))
        found += [(interface, index) for index, interface in self.tables.get("ipAdEntIfIndex", {}).items()]
        kept: dict[int, set[str]] = {}
        for interface, octets in found:
            address = _address(octets)
            if address and isinstance(interface, int):
                kept.setdefault(interface, set()).add(address)
        return {interface: sorted(each) for interface, each in kept.items()}

    # --- VLANs --------------------------------------------------------------------------------------------------------

    @cached_property
    def _vlans(self) -> list[str]:
        named = {
            index[0]: plain(text(value), 64) for index, value in self.tables.get("dot1qVlanStaticName", {}).items()
        }
        if len(named) > MAX_VLANS:
            return [str(vid) for vid in sorted(named)]
        return [f"{vid} {named[vid]}".strip() for vid in sorted(named)]

    @cached_property
    def _untagged(self) -> dict[int, int]:
        """The VLAN of untagged frames, by the number of the interface."""
        interfaces = self.tables.get("dot1dBasePortIfIndex", {})
        return {
            interface: vid
            for port, vid in self.tables.get("dot1qPvid", {}).items()
            if isinstance(interface := interfaces.get(port), int) and isinstance(vid, int)
        }

    # --- neighbours ---------------------------------------------------------------------------------------------------

    @cached_property
    def _local(self) -> dict[int, tuple[str, Index | None]]:
        """Port number of LLDP -> (key that neighbours know the port by, its interface)."""
        if self.chassis is None:
            return {}
        found: dict[int, tuple[str, Index | None]] = {}
        for (number,), id_ in sorted(self.tables.get("lldpLocPortId", {}).items()):
            subtype = self._one("lldpLocPortIdSubtype", (number,))
            found[number] = (port_key(self.chassis, subtype, id_), self._interface_of(number, subtype, id_))
        times = Counter(key for key, _index in found.values())
        return {number: each for number, each in found.items() if times[each[0]] == 1}

    def _interface_of(self, number: int, subtype: Value | None, id_: Value) -> Index | None:
        """The interface of a port of LLDP: the one its id names, else the one of its number, as nearly all have it."""
        columns: tuple[str, ...] = ()
        if subtype == _PORT_IS_NAME:
            columns = ("ifName", "ifDescr")
        elif subtype == _PORT_IS_MAC:
            columns = ("ifPhysAddress",)
        named = [index for index in self._interfaces if any(self._one(each, index) == id_ for each in columns)]
        if len(named) == 1:
            return named[0]
        return (number,) if (number,) in self._interfaces else None

    @cached_property
    def neighbours(self) -> list[Neighbour]:
        """Whom it hears, at which port."""
        return list(self._heard())

    def _heard(self) -> Iterator[Neighbour]:
        for index, id_ in sorted(self.tables.get("lldpRemChassisId", {}).items(), key=lambda row: row[0][1:]):
            if len(index) != 3:
                continue
            near, interface = self._local.get(index[1], (f"{self.keys[0]}/port:{index[1]}", None))
            chassis = chassis_key(self._one("lldpRemChassisIdSubtype", index), id_)
            port = self._one("lldpRemPortId", index)
            far = (
                port_key(chassis, self._one("lldpRemPortIdSubtype", index), port)
                if chassis and port is not None
                else ""
            )
            called = plain(self._text("lldpRemSysName", index))
            ends = identity.keys(far, chassis, identity.fqdn_key(called), f"name:{called}" if called else None)
            if ends:
                name = None if interface is None else self._interfaces[interface]
                yield Neighbour(name, ends, near, far or ends[0], chassis)


def text(value: Value | None) -> str:
    """Return what a device wrote; one that is no UTF-8 is read as Latin-1, as older devices write."""
    if not isinstance(value, bytes):
        return "" if value is None else str(value)
    value = value.rstrip(b"\0")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def chassis_key(subtype: Value | None, id_: Value | None) -> str | None:
    """Return the key of a device by its chassis id of LLDP; an id that is no MAC address is unique nowhere."""
    mac = identity.mac(_hex(id_)) if subtype == _CHASSIS_IS_MAC else ""
    return identity.key("lldp", mac) if mac else None


def port_key(chassis: str, subtype: Value | None, id_: Value) -> str:
    """Return the key of a port by the ids of LLDP."""
    said = identity.mac(_hex(id_)) if subtype == _PORT_IS_MAC else plain(text(id_), 120)
    return identity.key(chassis, "port", str(subtype), said)


def _hex(value: Value | None) -> str:
    return value.hex() if isinstance(value, bytes) and len(value) == 6 else ""


def _bit(value: Value | None, place: int) -> bool:
    return isinstance(value, bytes) and bool(value) and bool(value[0] & (0x80 >> place))


def _address(octets: Index) -> str:
    """An address that others reach; "" for loopback and link-local."""
    try:
        found = ipaddress.ip_address(bytes(octets))
    except ValueError:
        return ""
    return "" if found.is_loopback or found.is_link_local or found.is_unspecified else str(found)
