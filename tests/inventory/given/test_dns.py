"""Zones, hosts files and lines for dnsmasq, read back with a parser of the test's own."""

from __future__ import annotations

import ipaddress
import re
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.problems import Invalid
from tongchou.inventory.given import dns, zones
from tongchou.inventory.given.addresses import address, addresses
from tongchou.inventory.given.gathered import Given

SOA = dns.Soa("ns1.example.org", "ops.example.org", 300)


def made(name: str, **attributes: Any) -> Given:
    return Given(uuid.uuid4(), "host", name, "active", attributes=attributes)


SHOP = [
    made("web-1", primary_ip="10.0.0.5/24", primary_ip6="fd00::5/64"),
    made("db.example.org", private_ips=["10.0.1.7", "10.0.1.8"], public_ips=["198.51.100.7"]),
    made("other.example.com", address="192.0.2.9:9100"),
    made("10.0.0.77"),
    made("no address"),
]


def read_zone(text: str) -> tuple[str, int, set[tuple[str, str, str]]]:
    """(origin, serial, records with full names) of a master file without includes or escapes."""
    origin, serial, found = "", 0, set()
    for line in text.splitlines():
        words = line.partition(";")[0].split()
        if not words:
            continue
        if words[0] == "$ORIGIN":
            origin = words[1]
        elif words[0].startswith("$"):
            assert words[0] == "$TTL"
        else:
            owner, class_, type_, *rest = words
            assert class_ == "IN"
            name = origin if owner == "@" else f"{owner}.{origin}"
            if type_ == "SOA":
                serial = int(rest[rest.index("(") + 1])
            else:
                found.add((name, type_, " ".join(rest)))
    return origin, serial, found


def test_a_forward_zone_holds_the_names_below_it() -> None:
    known = dns.names(SHOP, "example.org")
    origin, serial, found = read_zone(dns.zone_text("example.org", SOA, 7, dns.records(known, "example.org"), ()))
    assert (origin, serial) == ("example.org.", 7)
    assert found == {
        ("example.org.", "NS", "ns1.example.org."),
        ("web-1.example.org.", "A", "10.0.0.5"),
        ("web-1.example.org.", "AAAA", "fd00::5"),
        ("db.example.org.", "A", "10.0.1.7"),
        ("db.example.org.", "A", "10.0.1.8"),
    }
    assert known.left_out == ("'10.0.0.77'", "'no address'")


def test_reverse_zones_point_back_at_every_name() -> None:
    known = dns.names(SHOP, "example.org")
    _origin, _serial, found = read_zone(
        dns.zone_text("10.in-addr.arpa", SOA, 7, dns.records(known, "10.in-addr.arpa"), ())
    )
    assert ("5.0.0.10.in-addr.arpa.", "PTR", "web-1.example.org.") in found
    assert ("7.1.0.10.in-addr.arpa.", "PTR", "db.example.org.") in found
    six = dns.records(known, "d.f.ip6.arpa")
    assert [(type_, value) for _owner, type_, value in six] == [("PTR", "web-1.example.org.")]
    assert len(six[0][0].split(".")) == 30


def test_a_hosts_file_and_dnsmasq_lines() -> None:
    known = dns.names(SHOP[:2], "example.org")
    lines = [line for line in dns.hosts_file(known, "example.org").splitlines() if not line.startswith("#")]
    assert "10.0.0.5\tweb-1.example.org web-1" in lines
    assert "fd00::5\tweb-1.example.org web-1" in lines
    assert "host-record=web-1.example.org,web-1,10.0.0.5,fd00::5,300" in dns.dnsmasq(known, "example.org", 300)


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=150, deadline=None)
def test_no_name_and_no_address_adds_a_line(name: str, told: str) -> None:
    known = dns.names([made(name, address=told, fqdn=told), made(name, address="10.0.0.1")], "example.org")
    zone = dns.zone_text("example.org", SOA, 1, dns.records(known, "example.org"), dns.told(known, ";"))
    for line in zone.splitlines()[4:]:
        assert re.fullmatch(r"; .*|[a-z0-9_.@-]+ IN (A|AAAA) [0-9a-f.:]+", line), line
    for line in dns.hosts_file(known, "example.org").splitlines():
        assert re.fullmatch(r"# .*|[0-9a-f.:]+\t[a-z0-9_. -]+", line), line
    for line in dns.dnsmasq(known, "example.org", 60).splitlines():
        assert re.fullmatch(r"# .*|host-record=[a-z0-9_.,:-]+", line), line
    assert zone.isascii()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.5", "10.0.0.5"), ("10.0.0.5/24", "10.0.0.5"), ("10.0.0.5:9100", "10.0.0.5"), ("[fd00::5]:1", "fd00::5"),
        ("fe80::1%eth0", None), ("127.0.0.1", None), ("0.0.0.0", None), ("web-1", None), (5, None), ("", None),
    ],
)  # fmt: skip
def test_addresses_that_others_may_reach(text: object, expected: str | None) -> None:
    assert address(text) == (ipaddress.ip_address(expected) if expected else None)


def test_the_first_attribute_with_an_address_decides_for_its_family() -> None:
    thing = made("a", private_ip="10.0.0.1", public_ips=["198.51.100.1", "2001:db8::1"])
    assert [str(each) for each in addresses(thing)] == ["10.0.0.1", "2001:db8::1"]


@pytest.mark.django_db
def test_the_serial_grows_with_the_content_alone() -> None:
    settings_store.put(actor=system("tests"), key=zones.DOMAIN, value="example.org")
    settings_store.put(actor=system("tests"), key=zones.CONTACT, value="ops@example.org")
    first = zones.zone_file(SHOP, "example.org")
    assert "IN SOA ns1.example.org. ops.example.org. (" in first
    assert zones.zone_file(list(reversed(SHOP)), "example.org") == first
    serials = [read_zone(first)[1]]
    for number in range(3):
        told = zones.zone_file([*SHOP, made(f"new-{number}", ip=f"10.9.0.{number + 1}")], "example.org")
        serials.append(read_zone(told)[1])
    serials.append(read_zone(zones.zone_file(SHOP, "example.org"))[1])
    assert serials == sorted(set(serials)), "also back to an older content"


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["", "..", "a b", "x\ny", "../etc", "a" * 300, "例え"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(Invalid) as refusal:
        zones.zone_name(zone)
    assert refusal.value.field == "zone"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ops@example.org", "ops.example.org"),
        ("a.b@example.org", None),
        ("ops.example.org", "ops.example.org"),
        ("@x", None),
    ],
)
def test_a_mailbox_as_a_name(text: str, expected: str | None) -> None:
    assert dns.contact_name(text) == expected
