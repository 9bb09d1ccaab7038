from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations import laws
from tongchou.integrations.snmp.describe import observe
from tongchou.integrations.snmp.device import Device
from tongchou.integrations.snmp.mibs import Tables
from tongchou.inventory.gather import Gathering
from tongchou.inventory.observation import Observation


def told(name: str, number: int = 0, *, serial: str = "", hears: int = 0, **more: Any) -> Tables:
    """Tables of a device with two ports; `number` makes its chassis id, `hears` is that of its neighbour at port 1."""
    tables: dict[str, Any] = {
        "sysName": {(0,): name.encode()},
        "ifType": {(1,): 6, (2,): 6},
        "ifName": {(1,): b"p1", (2,): b"p2"},
        **{key: {(0,): value} for key, value in more.items()},
    }
    if serial:
        tables |= {"entPhysicalClass": {(1,): 3}, "entPhysicalSerialNum": {(1,): serial.encode()}}
    if number:
        tables |= {
            "lldpLocChassisIdSubtype": {(0,): 4}, "lldpLocChassisId": {(0,): bytes([2, 0, 0, 0, 0, number])},
            "lldpLocPortIdSubtype": {(1,): 5, (2,): 5}, "lldpLocPortId": {(1,): b"p1", (2,): b"p2"},
        }  # fmt: skip
    if hears:
        at = (0, 1, 1)
        tables |= {
            "lldpRemChassisIdSubtype": {at: 4}, "lldpRemChassisId": {at: bytes([2, 0, 0, 0, 0, hears])},
            "lldpRemPortIdSubtype": {at: 5}, "lldpRemPortId": {at: b"p2"},
        }  # fmt: skip
    return tables


def seen(*devices: Device) -> Observation:
    gathering = Gathering()
    observe(devices, gathering)
    return gathering.observation()


def devices(tables: Sequence[Tables]) -> list[Device]:
    return [Device(f"10.0.0.{last}", each, "net") for last, each in enumerate(tables, 1)]


RING = devices([told(f"s{n}", n, serial=f"SERIAL{n}", hears=n % 4 + 1) for n in range(1, 5)])


@given(st.permutations(RING))
def test_the_order_of_answers_does_not_matter(order: list[Device]) -> None:
    assert seen(*order) == seen(*RING)


def test_a_device_that_answers_at_two_addresses_is_one() -> None:
    tables = told("sw.example.net", 1, serial="SERIAL1")
    both = seen(Device("10.0.0.10", tables, "net"), Device("10.0.0.9", tables, "net"))
    assert laws.same(both, seen(Device("10.0.0.9", tables, "net")))


@pytest.mark.parametrize(
    "one, other",
    [
        (told("sw.example.net", serial="SERIAL1"), told("sw.example.net", serial="SERIAL2")),
        (told("sw.example.net", 1), told("sw.example.net", 2)),
        (told("a.example.net", serial="0000012345-COPY"), told("b.example.net", serial="0000012345-COPY")),
        (told("a.example.net", 1), told("b.example.net", 1)),
    ],
)
def test_what_two_devices_say_of_themselves_identifies_neither(one: Tables, other: Tables) -> None:
    found = seen(*devices([one, other]))
    whole = [set(each.keys) for each in found.resources if each.kind == "device"]
    assert len(whole) == 2
    assert not whole[0] & whole[1]
    keys = [key for each in found.resources for key in each.keys]
    assert len(keys) == len(set(keys))
    assert found.warnings


def test_two_machines_without_anything_of_their_own_are_two() -> None:
    found = seen(*devices([told("localhost"), told("localhost")]))
    assert len({key for each in found.resources for key in each.keys}) == 6


@pytest.mark.parametrize(
    "facts, kind",
    [
        ({"sysServices": 2}, "switch"),
        ({"sysServices": 6, "dot1dBaseNumPorts": 24}, "switch"),
        ({"sysServices": 6}, "router"),
        ({"sysServices": 78}, "router"),
        ({"sysServices": 72}, "host"),
        ({"sysServices": 78, "sysObjectID": "1.3.6.1.4.1.8072.3.2.10"}, "host"),
        ({"sysServices": 2, "lldpLocSysCapEnabled": b"\x10"}, "access_point"),
        ({}, "device"),
    ],
)
def test_what_a_device_is(facts: dict[str, Any], kind: str) -> None:
    assert Device("10.0.0.1", told("x", **facts), "net").kind == kind


def test_what_moves_as_people_plug_is_left_out_when_it_is_not_wanted() -> None:
    tables = {**told("x"), "ifOperStatus": {(1,): 1}, "ifHighSpeed": {(1,): 1000}}
    assert Device("10.0.0.1", tables, "net").ports[0].attributes == {"up": True, "speed_mbps": 1000}
    assert Device("10.0.0.1", tables, "net", port_state=False).ports[0].attributes == {}
