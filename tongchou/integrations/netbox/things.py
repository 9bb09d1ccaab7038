"""What NetBox's objects are to us; rows of its CSV exports are brought into the form of its API first. Pure.

An object is known by its id there, and machines by their serial number too. The id comes first: a serial number that is
corrected in NetBox must not turn one device into another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tongchou.integrations.netbox import roles
from tongchou.inventory import identity
from tongchou.inventory.gather import Gathering, at, facts, flag, items, number, text

MIB = 1024**2
# NetBox's words for the state of a thing that are not ours, and fields of the state that have a name of their own
STATUSES = {"staging": "staged", "inventory": "in_stock"}
STATUS_OF = {"prefix": "prefix_status", "ip_address": "address_status"}
AIRFLOWS = {"left-to-right": "side", "right-to-left": "side"}
KILOGRAMS = {"kg": 1.0, "g": 0.001, "lb": 0.45359237, "oz": 0.028349523125}
VLAN_MODES = {"tagged-all": "all"}


class Book:
    """One NetBox in the making of an observation. `place`: what its ids are unique within."""

    def __init__(
        self,
        gathering: Gathering,
        place: str,
        *,
        fields: Iterable[str] = (),
        tenant_is_owner: bool = False,
        role_kinds: Mapping[str, str] | None = None,
    ) -> None:
        self.gathering = gathering
        self._place = place
        self.fields = tuple(fields)
        self._tenant_is_owner = tenant_is_owner
        self.role_kinds = role_kinds or {}
        self._macs: dict[str, list[str]] = {}

    def key(self, sort: str, found: Any) -> str | None:
        """The key of an object, or of a reference to one: by its id, of a row of a CSV by its name."""
        id_ = number(found, "id")
        if id_ is not None:
            return identity.key("netbox", self._place, sort, str(id_))
        return self._by_name(sort, text(found, "name"))

    def _by_name(self, sort: str, name: str) -> str | None:
        return identity.key("netbox", self._place, f"{sort}={name}") if name else None

    def add(
        self, sort: str, kind: str, each: Mapping[str, Any], name: str, attributes: Mapping[str, Any]
    ) -> str | None:
        """Add an object with what all have: status, role, tenant, site, tags, and the custom fields asked for."""
        more = [identity.serial_key(text(each, "serial"))] if sort == "device" else []
        if at(each, "_named"):  # of a row of a CSV; the interface of a device is told by both names
            more.append(self._by_name(sort, name))
        said = {
            **attributes,
            STATUS_OF.get(kind, "status"): STATUSES.get(status := _choice(each, "status"), status),
            "tags": sorted({text(tag, "name") for tag in items(each, "tags")} - {""}),
            **{field: at(each, "custom_fields", field) for field in self.fields},
        }
        role = text(each, "role", "name") or text(each, "device_role", "name")
        site = text(each, "site", "name") or text(each, "scope", "name")
        labels = facts(
            site=site, role=role, tenant=text(each, "tenant", "name"), platform=text(each, "platform", "name")
        )
        owner = text(each, "tenant", "name") or None if self._tenant_is_owner else None
        return self.gathering.add(kind, name, identity.keys(self.key(sort, each), *more), said, labels, owner)


def _under(book: Book, relation: str, key: str | None, sort: str, found: Any) -> None:
    book.gathering.relate(relation, key, book.key(sort, found), origin="declared")


def _address(each: Any, *path: str) -> str:
    return text(each, *path, "address").partition("/")[0]


def _choice(each: Any, *path: str) -> str:
    """What was chosen: the value of a choice, in a CSV the text."""
    return (text(each, *path, "value") or text(each, *path)).lower()


def _amount(found: Any, *path: str) -> int | float | None:
    """A number that may have halves (height, position, weight), also where it is written as text."""
    value = at(found, *path)
    if isinstance(value, str) and len(value) < 16 and value.replace(".", "", 1).isdecimal():
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 10**9:
        return None
    return int(value) if value == int(value) else value


def _weight(each: Mapping[str, Any], name: str) -> float | None:
    amount, unit = _amount(each, name), KILOGRAMS.get(_choice(each, "weight_unit"))
    return round(amount * unit, 3) if amount is not None and unit else None


def site(book: Book, each: Mapping[str, Any]) -> None:
    """A site."""
    region, facility = text(each, "region", "name"), text(each, "facility")
    said = {"region": region, "facility": facility, "address": text(each, "physical_address")}
    book.add("site", "site", each, text(each, "name"), {**said, "time_zone": text(each, "time_zone")})


def rack(book: Book, each: Mapping[str, Any]) -> None:
    """A rack."""
    width = number(each, "width", "value")
    said = {
        "rack_units": number(each, "u_height"),
        "descending_units": flag(each, "desc_units"),
        "rack_width": None if width is None else str(width),
        "max_weight_kg": _weight(each, "max_weight"),
        "manufacturer": text(each, "rack_type", "manufacturer", "name"),
        "model": text(each, "rack_type", "model"),
        "serial": text(each, "serial"),
        "asset_tag": text(each, "asset_tag"),
    }
    key = book.add("rack", "rack", each, text(each, "name"), said)
    _under(book, "located_in", key, "site", at(each, "site"))


def _type_name(found: Any) -> str:
    return f"{text(found, 'manufacturer', 'name')} {text(found, 'model')}".strip()


def device_type(book: Book, each: Mapping[str, Any]) -> None:
    """A type of devices: how high and heavy they are, how air flows, which nobody writes on each device."""
    airflow = _choice(each, "airflow").replace(" ", "-")
    said = {
        "manufacturer": text(each, "manufacturer", "name"),
        "model": text(each, "model"),
        "part_number": text(each, "part_number"),
        "u_height": _amount(each, "u_height"),
        "full_depth": flag(each, "is_full_depth"),
        "weight_kg": _weight(each, "weight"),
        "airflow": AIRFLOWS.get(airflow, airflow),
    }
    book.add("device-type", "device_type", each, _type_name(each), said)


def device(book: Book, each: Mapping[str, Any]) -> None:
    """A device, of a kind that its role tells. One without a name is called by what it is and its id, as in NetBox."""
    type_ = at(each, "device_type")
    said = {
        "manufacturer": text(type_, "manufacturer", "name"),
        "model": text(type_, "model"),
        "serial": text(each, "serial"),
        "asset_tag": text(each, "asset_tag"),
        "rack_position": _amount(each, "position"),
        "rack_face": _choice(each, "face"),
        "u_height": _amount(each, "u_height"),  # a column of the CSV; the API has it at the type
        "address": _address(each, "primary_ip4") or _address(each, "primary_ip6"),
        "management_address": _address(each, "oob_ip"),
    }
    role = at(each, "role") or at(each, "device_role")
    kind = roles.kind_of(text(role, "name"), text(role, "slug"), book.role_kinds)
    said["role"] = text(role, "name")
    name = text(each, "name") or text(each, "display") or f"{said['model']} {number(each, 'id')}"
    key = book.add("device", kind, each, name, said)
    _under(book, "mounted_in", key, "rack", at(each, "rack"))
    if not at(each, "rack"):
        _under(book, "located_in", key, "site", at(each, "site"))
    _under(book, "part_of", key, "cluster", at(each, "cluster"))
    _under(book, "instance_of", key, "device-type", {"id": at(type_, "id"), "name": _type_name(type_)})


def cluster(book: Book, each: Mapping[str, Any]) -> None:
    """A cluster of hypervisors."""
    said = {"hypervisor": text(each, "type", "name")}
    key = book.add("cluster", "hypervisor_cluster", each, text(each, "name"), said)
    _under(book, "located_in", key, "site", at(each, "site"))


def machine(book: Book, each: Mapping[str, Any]) -> None:
    """A virtual machine on its device, else on its cluster."""
    vcpus = at(each, "vcpus")
    said = {
        "cpu_count": int(vcpus) if isinstance(vcpus, float) and vcpus.is_integer() else number(each, "vcpus"),
        "memory_bytes": number(each, "memory", times=MIB),
        "address": _address(each, "primary_ip4") or _address(each, "primary_ip6"),
    }
    key = book.add("vm", "vm", each, text(each, "name"), said)
    _under(
        book,
        "runs_on",
        key,
        *(("device", at(each, "device")) if at(each, "device") else ("cluster", at(each, "cluster"))),
    )


def _interface(book: Book, each: Mapping[str, Any], sort: str, whole: str, owner: Any) -> None:
    mac = identity.mac(text(each, "primary_mac_address", "mac_address") or text(each, "mac_address"))
    said = {
        "mac": mac,
        "mtu": number(each, "mtu"),
        "type": _choice(each, "type"),
        "enabled": flag(each, "enabled"),
        "speed_mbps": (number(each, "speed") or 0) // 1000 or None,
        "vlan": number(each, "untagged_vlan", "vid"),
        "duplex": _choice(each, "duplex"),
        "vlan_mode": VLAN_MODES.get(mode := _choice(each, "mode"), mode),
        "management_only": flag(each, "mgmt_only"),
    }
    name = f"{text(owner, 'name')} {text(each, 'name')}".strip()
    _under(book, "part_of", book.add(sort, "interface", each, name, said), whole, owner)


def interface(book: Book, each: Mapping[str, Any]) -> None:
    """An interface of a device."""
    _interface(book, each, "interface", "device", at(each, "device"))


def vm_interface(book: Book, each: Mapping[str, Any]) -> None:
    """An interface of a virtual machine."""
    _interface(book, each, "vminterface", "vm", at(each, "virtual_machine"))


def prefix(book: Book, each: Mapping[str, Any]) -> None:
    """A prefix."""
    said = {
        "prefix": text(each, "prefix"),
        "vrf": text(each, "vrf", "name"),
        "vlan": number(each, "vlan", "vid"),
        "is_pool": flag(each, "is_pool"),
        "role": text(each, "role", "name"),
        "description": text(each, "description"),
    }
    key = book.add("prefix", "prefix", each, text(each, "prefix"), said)
    _under(book, "uses", key, "vlan", at(each, "vlan"))
    site_ = at(each, "scope") if text(each, "scope_type") == "dcim.site" else at(each, "site")
    _under(book, "located_in", key, "site", site_)


def vlan(book: Book, each: Mapping[str, Any]) -> None:
    """A VLAN."""
    said = {
        "vid": number(each, "vid"),
        "group": text(each, "group", "name"),
        "role": text(each, "role", "name"),
        "description": text(each, "description"),
    }
    book.add("vlan", "vlan", each, text(each, "name"), said)


def address(book: Book, each: Mapping[str, Any]) -> None:
    """An address and the interface that it is assigned to."""
    said = {
        "address": text(each, "address"),
        "dns_name": text(each, "dns_name"),
        "vrf": text(each, "vrf", "name"),
        "address_role": _choice(each, "role") or text(each, "role", "name").lower(),
        "description": text(each, "description"),
    }
    key = book.add("ip", "ip_address", each, text(each, "address"), said)
    sort = {"dcim.interface": "interface", "virtualization.vminterface": "vminterface"}.get(
        text(each, "assigned_object_type")
    )
    if sort:
        _under(book, "assigned_to", key, sort, {"id": at(each, "assigned_object_id")})
    elif at(each, "_named"):
        _under(book, "assigned_to", key, "interface", at(each, "assigned_object"))
