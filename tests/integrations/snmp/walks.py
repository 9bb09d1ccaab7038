"""Three devices as their MIBs have them, served by a real snmpd: a switch with stack, VLANs and neighbours; a router;
a server. Each is a list of (object identifier, type of snmpd.conf's `override`, value)."""

from __future__ import annotations

Walk = list[tuple[str, str, str]]
IF, IFX, LLDP, ENT = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1", "1.0.8802.1.1.2.1", "1.3.6.1.2.1.47.1.1.1.1"
BRIDGE, QBRIDGE = "1.3.6.1.2.1.17", "1.3.6.1.2.1.17.7.1.4"


def text(value: str) -> str:
    return f'"{value}"'


def mac(value: str) -> str:
    return f"0x{value.replace(':', '')}"


def system(name: str, descr: str, object_id: str, services: int, location: str = "") -> Walk:
    at = "1.3.6.1.2.1.1"
    return [
        (f"{at}.1.0", "octet_str", text(descr)),
        (f"{at}.2.0", "object_id", object_id),
        (f"{at}.5.0", "octet_str", text(name)),
        (f"{at}.6.0", "octet_str", text(location)),
        (f"{at}.7.0", "integer", str(services)),
    ]


def interface(
    index: int, name: str, address: str, *, up: bool = True, type_: int = 6, mbps: int = 1000, alias: str = ""
) -> Walk:
    return [
        (f"{IF}.2.{index}", "octet_str", text(f"{name} long")),
        (f"{IF}.3.{index}", "integer", str(type_)),
        (f"{IF}.4.{index}", "integer", "1500"),
        (f"{IF}.5.{index}", "uinteger", str(min(mbps * 10**6, 2**32 - 1))),
        (f"{IF}.6.{index}", "octet_str", mac(address)),
        (f"{IF}.7.{index}", "integer", "1"),
        (f"{IF}.8.{index}", "integer", "1" if up else "2"),
        (f"{IFX}.1.{index}", "octet_str", text(name)),
        (f"{IFX}.15.{index}", "uinteger", str(mbps)),
        (f"{IFX}.18.{index}", "octet_str", text(alias)),
    ]


def entity(index: int, class_: int, serial: str, model: str, maker: str = "Cisco Systems, Inc.") -> Walk:
    told = {2: model, 5: "", 9: "17.1(2r)", 10: "17.09.04a", 11: serial, 12: maker, 13: model}
    rows: Walk = [(f"{ENT}.{column}.{index}", "octet_str", text(value)) for column, value in told.items() if value]
    return [*rows, (f"{ENT}.5.{index}", "integer", str(class_))]


def speaker(chassis: str, ports: dict[int, tuple[int, str]]) -> Walk:
    """`ports`: number -> (subtype, id as snmpd.conf writes it)."""
    at = f"{LLDP}.3"
    rows: Walk = [
        (f"{at}.1.0", "integer", "4"),
        (f"{at}.2.0", "octet_str", mac(chassis)),
        (f"{at}.6.0", "octet_str", "0x2800"),
    ]
    for number, (subtype, id_) in ports.items():
        rows += [(f"{at}.7.1.2.{number}", "integer", str(subtype)), (f"{at}.7.1.3.{number}", "octet_str", id_)]
    return rows


def heard(port: int, place: int, chassis: str, subtype: int, id_: str, name: str) -> Walk:
    at, index = f"{LLDP}.4.1.1", f"0.{port}.{place}"
    return [
        (f"{at}.4.{index}", "integer", "4"),
        (f"{at}.5.{index}", "octet_str", mac(chassis)),
        (f"{at}.6.{index}", "integer", str(subtype)),
        (f"{at}.7.{index}", "octet_str", id_),
        (f"{at}.9.{index}", "octet_str", text(name)),
    ]


def ipv4(address: str, index: int) -> Walk:
    return [(f"1.3.6.1.2.1.4.20.1.2.{address}", "integer", str(index))]


def ipv6(octets: str, index: int, type_: int = 1) -> Walk:
    at = "1.3.6.1.2.1.4.34.1"
    return [(f"{at}.3.2.16.{octets}", "integer", str(index)), (f"{at}.4.2.16.{octets}", "integer", str(type_))]


SWITCH_MAC, ROUTER_MAC, PHONE_MAC = "0a:00:00:00:01:00", "0a:00:00:00:02:00", "0a:00:00:00:03:00"
SWITCH: Walk = [
    *system("sw1.example.net", "Cisco IOS Software [Cupertino]", "1.3.6.1.4.1.9.1.2494", 6, "Hall 2, row C"),
    *interface(1, "Gi1/0/1", "0a:00:00:00:01:01", alias="to the router"),
    *interface(2, "Gi1/0/2", "0a:00:00:00:01:02", up=False, mbps=0),
    *interface(10, "Vl10", "0a:00:00:00:01:0a", type_=53),
    *interface(99, "Lo0", "00:00:00:00:00:00", type_=24),
    *ipv4("10.9.0.2", 10),
    *ipv4("127.0.0.1", 99),
    *entity(1, 11, "", "c93xx Stack"),
    *entity(1000, 3, "FOC2444L0AA", "C9300-48P"),
    *entity(2000, 3, "FOC2444L0BB", "C9300-48P"),
    *entity(1001, 6, "ART2410F0CC", "PWR-C1-715WAC"),
    *speaker(SWITCH_MAC, {1: (5, text("Gi1/0/1")), 2: (5, text("Gi1/0/2"))}),
    *heard(1, 1, ROUTER_MAC, 3, mac("0a:00:00:00:02:01"), "r1"),
    *heard(2, 2, PHONE_MAC, 7, text("P1"), "SEP0A0000000300"),
    (f"{BRIDGE}.1.1.0", "octet_str", mac(SWITCH_MAC)),
    (f"{BRIDGE}.1.2.0", "integer", "2"),
    (f"{BRIDGE}.1.4.1.2.1", "integer", "1"),
    (f"{BRIDGE}.1.4.1.2.2", "integer", "2"),
    (f"{QBRIDGE}.3.1.1.1", "octet_str", text("default")),
    (f"{QBRIDGE}.3.1.1.10", "octet_str", text("office")),
    (f"{QBRIDGE}.5.1.1.1", "uinteger", "1"),
    (f"{QBRIDGE}.5.1.1.2", "uinteger", "10"),
]  # fmt: skip
ROUTER: Walk = [
    *system("r1", "Juniper Networks, Inc. mx204", "1.3.6.1.4.1.2636.1.1.1.2.90", 4),
    *interface(501, "ge-0/0/0", "0a:00:00:00:02:01", mbps=10_000),
    *ipv6("32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1", 501),
    *ipv6("254.128.0.0.0.0.0.0.0.0.0.0.0.0.0.1", 501),
    *ipv6("32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.255", 501, 3),
    *entity(1, 3, "JN1234567AFC", "MX204", "Juniper Networks"),
    *speaker(ROUTER_MAC, {501: (3, mac("0a:00:00:00:02:01"))}),
    *heard(501, 1, SWITCH_MAC, 5, text("Gi1/0/1"), "sw1.example.net"),
]  # fmt: skip
SERVER: Walk = [
    *system("web", "Linux web 6.1.0", "1.3.6.1.4.1.8072.3.2.10", 72),
    *interface(1, "lo", "00:00:00:00:00:00", type_=24),
    *interface(2, "ens3", "52:54:00:00:00:01"),
    *interface(3, "veth1234", "52:54:00:00:00:02"),
    *ipv4("10.9.0.9", 2),
]  # fmt: skip
