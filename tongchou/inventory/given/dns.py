"""The inventory as names and addresses: a hosts file, lines for dnsmasq, zones (RFC 1035 text), forward and reverse.

Pure. Only names and addresses that were checked are written, so nothing in the inventory can add a line.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tongchou.inventory.given.addresses import Address, addresses, domain_name, name_of
from tongchou.inventory.given.gathered import Given

LEFT_OUT_SHOWN = 20
REFRESH_SECONDS, RETRY_SECONDS, EXPIRE_SECONDS = 7200, 900, 1_209_600
MOST_NEGATIVE_SECONDS = 3600  # how long "no such name" is remembered (RFC 2308)
REVERSE = (".in-addr.arpa", ".ip6.arpa")


@dataclass(frozen=True, slots=True)
class Soa:
    """What a zone says of itself. `nameserver` and `contact` are domain names without a final dot."""

    nameserver: str
    contact: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Named:
    """A name that was checked, and its addresses; `kind` is that of the resource."""

    name: str
    addresses: tuple[Address, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Names:
    """What can be written, by name, and the names (shortened, in ASCII) of resources that cannot."""

    named: tuple[Named, ...]
    left_out: tuple[str, ...]


def names(given: Iterable[Given], domain: str) -> Names:
    """Sort out which resources have a legal name and an address; a name without a dot is taken to be in `domain`."""
    found: list[Named] = []
    left_out: list[str] = []
    for each in given:
        name, held = name_of(each, domain), addresses(each)
        if name is not None and held:
            found.append(Named(name, tuple(held), each.kind))
        else:
            left_out.append(ascii(each.name[:80]))
    return Names(tuple(sorted(found, key=lambda each: (each.name, each.kind))), tuple(sorted(left_out)))


def told(known: Names, mark: str) -> list[str]:
    """Comment lines that say what was left out."""
    if not known.left_out:
        return []
    shown = ", ".join(known.left_out[:LEFT_OUT_SHOWN])
    more = len(known.left_out) - LEFT_OUT_SHOWN
    count = len(known.left_out)
    return [f"{mark} {count} left out, no usable name or address: {shown}{f' and {more} more' if more > 0 else ''}"]


def _merged(known: Names) -> list[tuple[str, list[Address]]]:
    by_name: dict[str, dict[Address, None]] = defaultdict(dict)
    for each in known.named:
        by_name[each.name].update(dict.fromkeys(each.addresses))
    return [(name, _ordered(held)) for name, held in sorted(by_name.items())]


def _ordered(held: Iterable[Address]) -> list[Address]:
    return sorted(held, key=lambda each: (each.version, int(each)))


def _short(name: str, domain: str) -> str:
    """The name without the domain, "" when it is not right below it."""
    head, dot, rest = name.partition(".")
    return head if dot and rest == domain else ""


def hosts_file(known: Names, domain: str) -> str:
    """The lines of an /etc/hosts: address, full name, short name."""
    lines = ["# names of the inventory", *told(known, "#")]
    for name, held in _merged(known):
        words = " ".join(filter(None, (name, _short(name, domain))))
        lines += [f"{each}\t{words}" for each in held]
    return "\n".join(lines) + "\n"


def dnsmasq(known: Names, domain: str, ttl_seconds: int) -> str:
    """`host-record` lines for dnsmasq's conf-dir: names, addresses (forward and reverse), TTL."""
    lines = ["# names of the inventory", *told(known, "#")]
    for name, held in _merged(known):
        words = ",".join(filter(None, (name, _short(name, domain))))
        four, six = ([each for each in held if each.version == version] for version in (4, 6))
        for at in range(max(len(four), len(six))):
            pair = ",".join(str(each) for each in (*four[at : at + 1], *six[at : at + 1]))
            lines.append(f"host-record={words},{pair},{ttl_seconds}")
    return "\n".join(lines) + "\n"


def is_reverse(zone: str) -> bool:
    """Whether a zone holds names of addresses."""
    return f".{zone}".endswith(REVERSE)


def records(known: Names, zone: str) -> list[tuple[str, str, str]]:
    """The (name below the zone, type, value) of a zone, in order, each once."""
    return _reverse(known, zone) if is_reverse(zone) else _forward(known, zone)


def _below(name: str, zone: str) -> str | None:
    if name == zone:
        return "@"
    return name.removesuffix(f".{zone}") if name.endswith(f".{zone}") else None


def _forward(known: Names, zone: str) -> list[tuple[str, str, str]]:
    found = []
    for name, held in _merged(known):
        owner = _below(name, zone)
        if owner is not None:
            found += [(owner, "A" if each.version == 4 else "AAAA", str(each)) for each in held]
    return found


def _reverse(known: Names, zone: str) -> list[tuple[str, str, str]]:
    by_address: dict[Address, set[str]] = defaultdict(set)
    for name, held in _merged(known):
        for each in held:
            by_address[each].add(name)
    found = []
    for each in _ordered(by_address):
        owner = _below(each.reverse_pointer, zone)
        if owner is not None:
            found += [(owner, "PTR", f"{name}.") for name in sorted(by_address[each])]
    return found


def zone_text(zone: str, soa: Soa, serial: int, rows: Sequence[tuple[str, str, str]], comments: Iterable[str]) -> str:
    """A zone file. The same arguments give the same text."""
    least = min(soa.ttl_seconds, MOST_NEGATIVE_SECONDS)
    times = f"{serial} {REFRESH_SECONDS} {RETRY_SECONDS} {EXPIRE_SECONDS} {least}"
    lines = [
        f"$ORIGIN {zone}.",
        f"$TTL {soa.ttl_seconds}",
        f"@ IN SOA {soa.nameserver}. {soa.contact}. ( {times} ) ; serial refresh retry expire minimum",
        f"@ IN NS {soa.nameserver}.",
        *comments,
        *(f"{owner} IN {type_} {value}" for owner, type_, value in rows),
    ]
    return "\n".join(lines) + "\n"


def digest(zone: str, soa: Soa, rows: Sequence[tuple[str, str, str]]) -> str:
    """What stands for the content of a zone: another digest, another serial."""
    return hashlib.sha256(zone_text(zone, soa, 0, rows, ()).encode()).hexdigest()


def contact_name(text: str) -> str | None:
    """The domain name of a mailbox: ops@example.org is ops.example.org (RFC 1035, 3.3.12); None when it is none."""
    local, at, domain = text.strip().lower().rpartition("@")
    if not at:
        return domain_name(domain)
    # A dot of the mailbox would be read as one of the name; such a mailbox is refused rather than escaped.
    return domain_name(f"{local}.{domain}") if local and "." not in local else None
