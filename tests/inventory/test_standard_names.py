"""What the world calls otherwise stands under the standard field of its kind, and once."""

from __future__ import annotations

from typing import Any

import pytest

from tongchou.inventory.catalogue.everything import KINDS
from tongchou.inventory.kinds import fields
from tongchou.inventory.standard_names import FIELDS, LISTS, images, named, power_state

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "kind, said, found",
    [
        ("vm", {"size": "m5.large", "state": "RUNNING"}, {"instance_type": "m5.large", "power_state": "running"}),
        ("vm", {"state": "VM deallocated"}, {"power_state": "stopped"}),
        ("vm", {"state": "stopping"}, {"state": "stopping"}),  # in between: no choice of the field
        ("vm", {"private_ip": "10.0.0.1", "public_ip": "198.51.100.1"}, {"address": "10.0.0.1", "public_ip": "198.51.100.1"}),
        ("vm", {"private_ips": ["10.0.0.1"]}, {"address": "10.0.0.1"}),
        ("vm", {"address": "10.0.0.2", "private_ip": "10.0.0.1"}, {"address": "10.0.0.2", "private_ip": "10.0.0.1"}),
        ("vm", {"private_ips": ["10.0.0.1", "10.0.0.2"]}, {"private_ips": ["10.0.0.1", "10.0.0.2"]}),
        ("database", {"engine_version": "16.3"}, {"version": "16.3"}),
        ("database", {"endpoint": "db.example.org:5432"}, {"address": "db.example.org", "port": 5432}),
        ("cache", {"endpoint": "fd00::1"}, {"address": "fd00::1"}),
        ("load_balancer", {"dns_name": "lb.example.org"}, {"address": "lb.example.org"}),
        ("interface", {"private_ip": "10.0.0.1"}, {"addresses": ["10.0.0.1"]}),
        ("ip_address", {"public_ip": "198.51.100.1"}, {"address": "198.51.100.1"}),
        ("volume", {"state": "in-use", "size": "x"}, {"state": "in-use", "size": "x"}),  # has no such fields
        ("vm", {"size": "", "state": None, "private_ips": [1]}, {"size": "", "state": None, "address": 1}),
    ],
)  # fmt: skip
def test_a_fact_stands_under_the_field_of_its_kind(kind: str, said: dict[str, Any], found: dict[str, Any]) -> None:
    assert named(kind, said) == found


def test_every_name_that_is_given_is_a_field_of_the_kind() -> None:
    for kind, names in [*FIELDS.items(), *LISTS.items()]:
        assert kind in KINDS
        known = {each.name for each in fields(kind)}
        assert set(names.values()) <= known, kind
        assert not known & names.keys() - {"dns_name"}, kind
    assert {"image"} <= {each.name for kind in ("pod", "deployment") for each in fields(kind)}


def test_states_and_images() -> None:
    assert [power_state(each) for each in ("SHUTOFF", "paused", "booting", 7, None)] == [
        "stopped", "suspended", None, None, None,
    ]  # fmt: skip
    assert images(["web:1", "", "proxy:2", "web:1"]) == {"image": "web:1", "images": ["proxy:2", "web:1"]}
    assert images(["web:1"]) == {"image": "web:1", "images": []}
    assert images([]) == {"image": "", "images": []}
