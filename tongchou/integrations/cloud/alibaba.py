"""Alibaba Cloud: what `aliyun ecs|vpc|slb|rds|r-kvstore Describe...` prints. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongchou.integrations.cloud.account import GIB, MIB, Account, addresses, all_there, pairs
from tongchou.inventory import identity
from tongchou.inventory.gather import at, flag, items, number, text, texts


def _listed(document: Any, account: Account, *path: str, total: str = "TotalCount") -> list[dict[str, Any]]:
    found = items(document, *path)
    all_there(document, total, len(found), account)
    return found


def _tags(each: Mapping[str, Any], name: str = "Key", value: str = "Value") -> dict[str, str]:
    return pairs(items(each, "Tags", "Tag"), name, value)


def _place(each: Mapping[str, Any]) -> dict[str, str]:
    return {"region": text(each, "RegionId"), "zone": text(each, "ZoneId")}


def _network(each: Any) -> str:
    return text(each, "VSwitchId") or text(each, "VpcId")


def instances(document: Any, account: Account) -> None:
    """ECS instances. Their serial number is the SMBIOS UUID that the machine itself sees."""
    for each in _listed(document, account, "Instances", "Instance"):
        id_ = text(each, "InstanceId")
        vpc = at(each, "VpcAttributes")
        elastic = text(each, "EipAddress", "IpAddress")
        attributes = {
            **_place(each),
            "size": text(each, "InstanceType"),
            "image": text(each, "ImageId"),
            "os": text(each, "OSName"),
            "state": text(each, "Status").lower(),
            "cpu_count": number(each, "Cpu"),
            "memory_bytes": number(each, "Memory", times=MIB),
            **addresses(texts(vpc, "PrivateIpAddress", "IpAddress") or texts(each, "InnerIpAddress", "IpAddress")),
            "public_ips": sorted({*texts(each, "PublicIpAddress", "IpAddress"), *([elastic] if elastic else [])}),
            "hostname": text(each, "HostName"),
            "charge": text(each, "InstanceChargeType"),
            "expires_at": text(each, "ExpiredTime") if text(each, "InstanceChargeType") == "PrePaid" else "",
        }
        uuid = identity.uuid_key(text(each, "SerialNumber"))
        account.add("vm", [id_], text(each, "InstanceName"), attributes, _tags(each, "TagKey", "TagValue"), [uuid])
        account.relate("uses", id_, _network(vpc))


def disks(document: Any, account: Account) -> None:
    """Disks and which instances have them."""
    for each in _listed(document, account, "Disks", "Disk"):
        id_ = text(each, "DiskId")
        attributes = {
            **_place(each),
            "size_bytes": number(each, "Size", times=GIB),
            "type": text(each, "Category"),
            "state": text(each, "Status").lower(),
            "encrypted": flag(each, "Encrypted"),
        }
        account.add("volume", [id_], text(each, "DiskName"), attributes, _tags(each, "TagKey", "TagValue"))
        owners = {
            text(each, "InstanceId"),
            *(text(one, "InstanceId") for one in items(each, "Attachments", "Attachment")),
        }
        for owner in sorted(owners):
            account.relate("stores_in", owner, id_)


def vpcs(document: Any, account: Account) -> None:
    """Virtual networks."""
    for each in _listed(document, account, "Vpcs", "Vpc"):
        more = texts(each, "SecondaryCidrBlocks", "SecondaryCidrBlock")
        attributes = {
            "region": text(each, "RegionId"),
            "prefix": text(each, "CidrBlock"),
            "prefixes": sorted({text(each, "CidrBlock"), *more}) if more else [],
            "description": text(each, "Description"),
        }
        account.add("network", [text(each, "VpcId")], text(each, "VpcName"), attributes, _tags(each))


def vswitches(document: Any, account: Account) -> None:
    """Subnets and their networks."""
    for each in _listed(document, account, "VSwitches", "VSwitch"):
        id_, zone = text(each, "VSwitchId"), text(each, "ZoneId")
        prefix, more = text(each, "CidrBlock"), text(each, "Ipv6CidrBlock")
        attributes = {
            "zone": zone,
            "prefix": prefix,
            "prefixes": sorted({prefix, more}) if more else [],
            "description": text(each, "Description"),
        }
        account.add("subnet", [id_], text(each, "VSwitchName"), attributes, _tags(each))
        account.relate("uses", id_, text(each, "VpcId"))


def load_balancers(document: Any, account: Account) -> None:
    """Classic load balancers (CLB, formerly SLB)."""
    for each in _listed(document, account, "LoadBalancers", "LoadBalancer"):
        id_ = text(each, "LoadBalancerId")
        attributes = {
            "region": text(each, "RegionId"),
            "zone": text(each, "MasterZoneId"),
            "address": text(each, "Address"),
            "scheme": text(each, "AddressType"),
            "type": text(each, "LoadBalancerSpec"),
            "state": text(each, "LoadBalancerStatus").lower(),
            "charge": text(each, "PayType"),
        }
        account.add(
            "load_balancer", [id_], text(each, "LoadBalancerName"), attributes, _tags(each, "TagKey", "TagValue")
        )
        account.relate("uses", id_, _network(each))


def databases(document: Any, account: Account) -> None:
    """RDS instances and their read-only copies."""
    for each in _listed(document, account, "Items", "DBInstance", total="TotalRecordCount"):
        id_ = text(each, "DBInstanceId")
        attributes = {
            **_place(each),
            "engine": text(each, "Engine").lower(),
            "engine_version": text(each, "EngineVersion"),
            "size": text(each, "DBInstanceClass"),
            "state": text(each, "DBInstanceStatus").lower(),
            "endpoint": text(each, "ConnectionString"),
            "charge": text(each, "PayType"),
        }
        account.add("database", [id_], text(each, "DBInstanceDescription"), attributes)
        account.relate("uses", id_, _network(each))
        account.relate("replicates_to", text(each, "MasterInstanceId"), id_)


def caches(document: Any, account: Account) -> None:
    """Instances of Tair, Redis and Memcached."""
    for each in _listed(document, account, "Instances", "KVStoreInstance"):
        id_ = text(each, "InstanceId")
        charge = text(each, "ChargeType")
        attributes = {
            **_place(each),
            "engine": text(each, "InstanceType").lower(),
            "engine_version": text(each, "EngineVersion"),
            "size": text(each, "InstanceClass"),
            "memory_bytes": number(each, "Capacity", times=MIB),
            "state": text(each, "InstanceStatus").lower(),
            "endpoint": text(each, "ConnectionDomain"),
            "private_ip": text(each, "PrivateIp"),
            "port": number(each, "Port"),
            "charge": charge,
            "expires_at": text(each, "EndTime") if charge == "PrePaid" else "",
        }
        account.add("cache", [id_], text(each, "InstanceName"), attributes, _tags(each))
        account.relate("uses", id_, _network(each))
