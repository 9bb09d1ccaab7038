"""Keeps the index of prefixes and addresses: called by whoever writes attributes or states, in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from tongchou.inventory import ip_plan, stamps
from tongchou.inventory.address_names import ADDRESSES, MANAGEMENT, PUBLIC, bare
from tongchou.inventory.models import Resource, ResourceState, Stamp
from tongchou.inventory.models_ip import AddressEntry, Use
from tongchou.inventory.recorded import chunks

PREFIX, ADDRESS = "prefix", "ip_address"
SUBNET = "subnet"  # of a cloud: its prefixes are taken, though nobody planned them
PREFIX_KINDS = (PREFIX, SUBNET)
SHARED_ROLES = frozenset({"anycast", "vip", "vrrp", "hsrp", "glbp", "carp"})
# what things report as theirs, and kinds of which these say something else (where a service listens, a street)
SEEN = (*ADDRESSES, MANAGEMENT)
NOT_SEEN_OF = frozenset({"listener", "site", "domain", "dns_record", "backup_target", "contact", "supplier"})
NAMES = frozenset({*SEEN, "prefix", "prefixes", "vrf", "is_pool", "address_role"})
MAX_VRF = 120


class Entry(NamedTuple):
    """What an AddressEntry says, without whose it is."""

    use: str
    vrf: str
    family: int
    start: str
    length: int
    pool: bool


FIELDS = Entry._fields


def entries_of(kind: str, attributes: Mapping[str, Any]) -> dict[tuple[str, int], Entry]:
    """Return the entries of a resource by (start, length); nothing for what cannot be read as an address."""
    vrf = str(attributes.get("vrf") or "")[:MAX_VRF]
    if kind in PREFIX_KINDS:
        names = ("prefix",) if kind == PREFIX else ("prefix", "prefixes")
        nets = [found[0] for each in _said(attributes, names) if (found := ip_plan.parse(each))]
        return _keyed(Use.PREFIX, vrf, nets, pool=attributes.get("is_pool") is True)
    if kind == ADDRESS:
        shared = str(attributes.get("address_role") or "").lower() in SHARED_ROLES
        # of a public address of a cloud the private one is that of the machine it leads to
        mine = next(filter(None, (_addresses(attributes, names) for names in (("address",), PUBLIC, SEEN))), [])
        return _keyed(Use.SHARED if shared else Use.ADDRESS, vrf, mine)
    if kind in NOT_SEEN_OF:
        return {}
    nets = [net for net in _addresses(attributes, SEEN) if ip_plan.is_ours(net.family, net.start)]
    return _keyed(Use.SEEN, vrf, nets)


def _said(attributes: Mapping[str, Any], names: Iterable[str]) -> Iterator[Any]:
    for name in names:
        value = attributes.get(name)
        yield from value if isinstance(value, list) else [value]


def _addresses(attributes: Mapping[str, Any], names: Iterable[str]) -> list[ip_plan.Net]:
    found = (ip_plan.parse(bare(each)) for each in _said(attributes, names))
    return [ip_plan.Net(net.family, number, ip_plan.BITS[net.family]) for net, number in filter(None, found)]


def _keyed(use: str, vrf: str, nets: Iterable[ip_plan.Net], *, pool: bool = False) -> dict[tuple[str, int], Entry]:
    entries = (Entry(str(use), vrf, net.family, ip_plan.key(net.start), net.length, pool) for net in nets)
    return {(each.start, each.length): each for each in entries}


def concerns(kind: str, names: Collection[str]) -> bool:
    """Tell whether a change of these attributes of a thing of this kind may change the index."""
    return kind in (*PREFIX_KINDS, ADDRESS) or not NAMES.isdisjoint(names)


def index(ids: Iterable[UUID]) -> int:
    """Bring the entries of these resources up to date; return how many were written or removed.

    Two queries for each 5,000, and two more where something differs. Call it after the write, before the commit.
    """
    count = 0
    for part in chunks(ids):
        wanted: dict[UUID, dict[tuple[str, int], Entry]] = {}
        active = Resource.objects.filter(pk__in=part, state=ResourceState.ACTIVE)
        for id_, kind, attributes in active.values_list("id", "kind", "attributes"):
            wanted[id_] = entries_of(kind, attributes)
        stale: list[int] = []
        for pk, id_, *said in AddressEntry.objects.filter(resource_id__in=part).values_list(
            "pk", "resource_id", *FIELDS
        ):
            known = Entry(*said)
            mine = wanted.get(id_, {})
            if mine.get((known.start, known.length)) == known:
                del mine[known.start, known.length]
            else:
                stale.append(pk)
        fresh = [
            AddressEntry(resource_id=id_, **each._asdict()) for id_, mine in wanted.items() for each in mine.values()
        ]
        for some in chunks(stale):
            AddressEntry.objects.filter(pk__in=some).delete()
        AddressEntry.objects.bulk_create(fresh, batch_size=2000)
        count += len(stale) + len(fresh)
    if count:
        stamps.renew(Stamp.ADDRESSES)
    return count
