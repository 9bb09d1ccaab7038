"""Tencent Cloud: what `tccli cvm|cbs|vpc|clb|cdb|redis Describe...` prints. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tongchou.integrations.cloud.account import GIB, MIB, Account, addresses, all_there, pairs
from tongchou.inventory import identity
from tongchou.inventory.gather import at, flag, items, number, text, texts

REDIS = "crs-"  # how ids of its instances begin: two commands print an InstanceSet
# product types of Redis by their number -> its version
REDIS_VERSIONS = {
    2: "2.8",
    5: "2.8",
    6: "4.0",
    7: "4.0",
    8: "5.0",
    9: "5.0",
    15: "6.2",
    16: "6.2",
    17: "7.0",
    18: "7.0",
}


def body(document: Any) -> Any:
    """The answer itself; the API wraps it, the command line does not."""
    inner = at(document, "Response")
    return inner if isinstance(inner, dict) else document


def has(name: str) -> Callable[[Any], bool]:
    """What tells whether a document has a list of this name."""
    return lambda document: isinstance(at(body(document), name), list)


def is_databases(document: Any) -> bool:
    """Tell whether this is a list of instances of CDB: it is called no more than Items."""
    found = at(body(document), "Items")
    counted = number(body(document), "TotalCount") is not None
    return isinstance(found, list) and counted and all(text(each, "InstanceId") for each in found)


def _listed(document: Any, account: Account, name: str) -> list[dict[str, Any]]:
    found = items(body(document), name)
    all_there(body(document), "TotalCount", len(found), account)
    return found


def _region(zone: str) -> str:
    return zone.rpartition("-")[0]


def _network(each: Any, subnet: str = "SubnetId", vpc: str = "VpcId") -> str:
    return text(each, subnet) or text(each, vpc)


def instances(document: Any, account: Account) -> None:
    """CVM instances with their disks, or Redis instances."""
    for each in _listed(document, account, "InstanceSet"):
        (_cache if text(each, "InstanceId").startswith(REDIS) else _machine)(each, account)


def _machine(each: Mapping[str, Any], account: Account) -> None:
    id_, zone = text(each, "InstanceId"), text(each, "Placement", "Zone")
    attributes = {
        "zone": zone,
        "region": _region(zone),
        "size": text(each, "InstanceType"),
        "image": text(each, "ImageId"),
        "os": text(each, "OsName"),
        "state": text(each, "InstanceState").lower(),
        "cpu_count": number(each, "CPU"),
        "memory_bytes": number(each, "Memory", times=GIB),
        **addresses(texts(each, "PrivateIpAddresses")),
        "public_ips": texts(each, "PublicIpAddresses"),
        "charge": text(each, "InstanceChargeType"),
        "expires_at": text(each, "ExpiredTime"),
    }
    tags = pairs(items(each, "Tags"), "Key", "Value")
    account.add("vm", [id_], text(each, "InstanceName"), attributes, tags, [identity.uuid_key(text(each, "Uuid"))])
    account.relate("uses", id_, _network(at(each, "VirtualPrivateCloud")))
    for disk in (at(each, "SystemDisk"), *items(each, "DataDisks")):
        if not text(disk, "DiskId").startswith("disk-"):  # a local disk has no id of its own
            continue
        facts = {"size_bytes": number(disk, "DiskSize", times=GIB), "type": text(disk, "DiskType"), "zone": zone}
        account.add("volume", [text(disk, "DiskId")], "", facts)
        account.relate("stores_in", id_, text(disk, "DiskId"))


def _cache(each: Mapping[str, Any], account: Account) -> None:
    id_, engine = text(each, "InstanceId"), text(each, "Engine").lower()
    attributes = {
        "engine": "redis" if "redis" in engine else engine,
        "version": REDIS_VERSIONS.get(number(each, "Type") or 0),
        "address": text(each, "WanIp"),  # called so, and the address inside the network
        "port": number(each, "Port"),
        "memory_bytes": number(each, "Size", times=MIB),
    }
    tags = pairs(items(each, "InstanceTags"), "TagKey", "TagValue")
    account.add("cache", [id_], text(each, "InstanceName"), attributes, tags)
    account.relate("uses", id_, _network(each, "UniqSubnetId", "UniqVpcId"))


def disks(document: Any, account: Account) -> None:
    """Disks and which instances have them."""
    for each in _listed(document, account, "DiskSet"):
        id_, zone = text(each, "DiskId"), text(each, "Placement", "Zone")
        attributes = {
            "zone": zone,
            "region": _region(zone),
            "size_bytes": number(each, "DiskSize", times=GIB),
            "type": text(each, "DiskType"),
            "state": text(each, "DiskState").lower(),
            "encrypted": flag(each, "Encrypt"),
            "charge": text(each, "DiskChargeType"),
        }
        account.add("volume", [id_], text(each, "DiskName"), attributes, pairs(items(each, "Tags"), "Key", "Value"))
        account.relate("stores_in", text(each, "InstanceId"), id_)


def vpcs(document: Any, account: Account) -> None:
    """Virtual networks."""
    for each in _listed(document, account, "VpcSet"):
        prefix = text(each, "CidrBlock")
        more = {text(each, "Ipv6CidrBlock"), *(text(one, "CidrBlock") for one in items(each, "AssistantCidrSet"))} - {
            ""
        }
        attributes = {"prefix": prefix, "prefixes": sorted({prefix, *more}) if more else []}
        tags = pairs(items(each, "TagSet"), "Key", "Value")
        account.add("network", [text(each, "VpcId")], text(each, "VpcName"), attributes, tags)


def subnets(document: Any, account: Account) -> None:
    """Subnets and their networks."""
    for each in _listed(document, account, "SubnetSet"):
        id_, zone = text(each, "SubnetId"), text(each, "Zone")
        prefix, more = text(each, "CidrBlock"), text(each, "Ipv6CidrBlock")
        attributes = {
            "zone": zone,
            "region": _region(zone),
            "prefix": prefix,
            "prefixes": sorted({prefix, more}) if more else [],
        }
        tags = pairs(items(each, "TagSet"), "Key", "Value")
        account.add("subnet", [id_], text(each, "SubnetName"), attributes, tags)
        account.relate("uses", id_, text(each, "VpcId"))


def load_balancers(document: Any, account: Account) -> None:
    """Load balancers (CLB)."""
    for each in _listed(document, account, "LoadBalancerSet"):
        id_, zone = text(each, "LoadBalancerId"), text(each, "MasterZone", "Zone")
        vips = texts(each, "LoadBalancerVips")
        attributes = {
            "region": text(each, "TargetRegionInfo", "Region") or _region(zone),
            "zone": zone,
            "address": vips[0] if vips else text(each, "LoadBalancerDomain") or text(each, "Domain"),
            "addresses": vips if len(vips) > 1 else [],
            "scheme": text(each, "LoadBalancerType").lower(),
            "charge": text(each, "ChargeType"),
        }
        tags = pairs(items(each, "Tags"), "TagKey", "TagValue")
        account.add("load_balancer", [id_], text(each, "LoadBalancerName"), attributes, tags)
        account.relate("uses", id_, _network(each))


def databases(document: Any, account: Account) -> None:
    """Instances of MySQL (CDB) and what they are copies of."""
    for each in _listed(document, account, "Items"):
        id_ = text(each, "InstanceId")
        attributes = {
            "region": text(each, "Region"),
            "zone": text(each, "Zone"),
            "engine": "mysql",
            "version": text(each, "EngineVersion"),
            "address": text(each, "Vip"),
            "port": number(each, "Vport"),
            "cpu_count": number(each, "Cpu"),
            "memory_bytes": number(each, "Memory", times=MIB),
            "size_bytes": number(each, "Volume", times=GIB),
        }
        account.add(
            "database",
            [id_],
            text(each, "InstanceName"),
            attributes,
            pairs(items(each, "TagList"), "TagKey", "TagValue"),
        )
        account.relate("uses", id_, _network(each, "UniqSubnetId", "UniqVpcId"))
        account.relate("replicates_to", text(each, "MasterInfo", "InstanceId"), id_)
