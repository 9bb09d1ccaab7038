"""Which addresses and names a resource has on a network, out of its attributes. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from tongchou.inventory.address_names import ADDRESSES, bare
from tongchou.inventory.given.gathered import Given

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAMES = ("fqdn", "dns_name", "hostname")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def address(text: object) -> Address | None:
    """The address in "10.0.0.5", "10.0.0.5/24", "10.0.0.5:9100" or "[fd00::5]:9100", when others may reach it."""
    try:
        found = ipaddress.ip_address(bare(text))
    except ValueError:
        return None
    return None if found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast else found


def _held(value: Any) -> list[Address]:
    values = value if isinstance(value, list) else [value]
    return [found for each in values if (found := address(each)) is not None]


def _said(given: Given) -> Iterator[list[Address]]:
    for name in ADDRESSES:
        yield _held(given.attributes.get(name))
    yield _held(given.name)
    for part in given.parts:
        yield _held(part.get("addresses"))


def addresses(given: Given) -> list[Address]:
    """The resource's addresses, IPv4 first; of each family those of the first attribute that holds any."""
    found: dict[int, list[Address]] = {}
    for held in _said(given):
        for version in (4, 6):
            mine = [each for each in held if each.version == version]
            if mine and version not in found:
                found[version] = list(dict.fromkeys(mine))
    return [each for version in (4, 6) for each in found.get(version, ())]


def domain_name(text: object) -> str | None:
    """The name in lower case without a final dot, when it may stand in a zone (RFC 1035, and _); else None."""
    if not isinstance(text, str):
        return None
    name = text.strip().lower().removesuffix(".")
    if not 0 < len(name) <= 253 or address(name) is not None:
        return None
    return name if all(_LABEL.fullmatch(each) for each in name.split(".")) else None


def name_of(given: Given, domain: str) -> str | None:
    """The full domain name: fqdn, dns_name or hostname, else the resource's name; one without a dot is in `domain`."""
    for text in (*(given.attributes.get(each) for each in NAMES), given.name):
        found = domain_name(text)
        if found is not None:
            return found if "." in found else domain_name(f"{found}.{domain}" if domain else found)
    return None
