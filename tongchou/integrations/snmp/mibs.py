"""What is read of a device, by the number it has in its MIB. Pure.

Tables that a look holds: name -> {index: value}. A scalar's index is (0,); a value is an int, bytes, or the text of an
OBJECT IDENTIFIER. Nothing that moves by itself (sysUpTime, counters) is read.
"""

from __future__ import annotations

from collections.abc import Mapping

Index = tuple[int, ...]
Value = int | bytes | str
Tables = Mapping[str, Mapping[Index, Value]]


def _oid(text: str) -> Index:
    return tuple(int(each) for each in text.split("."))


def _under(entry: str, columns: Mapping[str, int]) -> dict[str, Index]:
    return {name: (*_oid(entry), number) for name, number in columns.items()}


_LLDP = "1.0.8802.1.1.2.1"
SCALARS: dict[str, Index] = {
    # SNMPv2-MIB, RFC 3418
    **_under("1.3.6.1.2.1.1", {"sysDescr": 1, "sysObjectID": 2, "sysName": 5, "sysLocation": 6, "sysServices": 7}),
    # BRIDGE-MIB, RFC 4188
    **_under("1.3.6.1.2.1.17.1", {"dot1dBaseBridgeAddress": 1, "dot1dBaseNumPorts": 2}),
    # LLDP-MIB, IEEE 802.1AB-2005
    **_under(f"{_LLDP}.3", {"lldpLocChassisIdSubtype": 1, "lldpLocChassisId": 2, "lldpLocSysCapEnabled": 6}),
}
# IF-MIB, RFC 2863
INTERFACES: dict[str, Index] = {
    **_under(
        "1.3.6.1.2.1.2.2.1",
        {
            "ifDescr": 2,
            "ifType": 3,
            "ifMtu": 4,
            "ifSpeed": 5,
            "ifPhysAddress": 6,
            "ifAdminStatus": 7,
            "ifOperStatus": 8,
        },
    ),
    **_under("1.3.6.1.2.1.31.1.1.1", {"ifName": 1, "ifHighSpeed": 15, "ifAlias": 18}),
}
# IP-MIB, RFC 4293; and the older table, which many devices have alone
ADDRESSES: dict[str, Index] = _under("1.3.6.1.2.1.4.34.1", {"ipAddressIfIndex": 3, "ipAddressType": 4})
OLD_ADDRESSES: dict[str, Index] = {"ipAdEntIfIndex": _oid("1.3.6.1.2.1.4.20.1.2")}
# ENTITY-MIB, RFC 6933: the class of every part, the rest of the one that is the device
ENTITIES: dict[str, Index] = _under("1.3.6.1.2.1.47.1.1.1.1", {"entPhysicalClass": 5})
ENTITY: dict[str, Index] = _under(
    "1.3.6.1.2.1.47.1.1.1.1",
    {
        "entPhysicalDescr": 2,
        "entPhysicalFirmwareRev": 9,
        "entPhysicalSoftwareRev": 10,
        "entPhysicalSerialNum": 11,
        "entPhysicalMfgName": 12,
        "entPhysicalModelName": 13,
    },
)
NEIGHBOURS: dict[str, Index] = {
    **_under(f"{_LLDP}.3.7.1", {"lldpLocPortIdSubtype": 2, "lldpLocPortId": 3}),
    **_under(
        f"{_LLDP}.4.1.1",
        {
            "lldpRemChassisIdSubtype": 4,
            "lldpRemChassisId": 5,
            "lldpRemPortIdSubtype": 6,
            "lldpRemPortId": 7,
            "lldpRemSysName": 9,
        },
    ),
}
# Q-BRIDGE-MIB, RFC 4363, and which port of the bridge is which interface
VLANS: dict[str, Index] = {
    "dot1dBasePortIfIndex": _oid("1.3.6.1.2.1.17.1.4.1.2"),
    "dot1qVlanStaticName": _oid("1.3.6.1.2.1.17.7.1.4.3.1.1"),
    "dot1qPvid": _oid("1.3.6.1.2.1.17.7.1.4.5.1.1"),
}

CHASSIS, STACK, MODULE = 3, 11, 9  # of entPhysicalClass


def device_entity(classes: Mapping[Index, Value]) -> Index | None:
    """Return the index of the part that is the device: its first chassis, else stack, else module; None of none."""
    for wanted in (CHASSIS, STACK, MODULE):
        found = [index for index, value in classes.items() if value == wanted]
        if found:
            return min(found)
    return None
