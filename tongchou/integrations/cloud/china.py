"""Alibaba, Tencent and Huawei Cloud: what `aliyun`, `tccli` and `hcloud` print. Pure.

All three answer a page at a time and say how many there are: of fewer than all, absence proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongchou.integrations.cloud.account import GIB, MIB, Account, addresses, pairs
from tongchou.inventory import identity
from tongchou.inventory.gather import at, items, number, text, texts


def _listed(found: Any, *path: str) -> list[str]:
    """The texts in the list at a path, in its order: the first address of a machine is its own."""
    value = at(found, *path)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _all_there(document: Any, total: str, found: int, account: Account) -> None:
    told = number(document, total)
    if told is not None and told > found:
        account.gathering.partial(f"{account.cloud}: {found:,} of {told:,} are in the file; export all pages")


def alibaba_instances(document: Any, account: Account) -> None:
    """ECS instances. Their serial number is the SMBIOS UUID that the machine itself sees."""
    found = items(document, "Instances", "Instance")
    _all_there(document, "TotalCount", len(found), account)
    for each in found:
        id_ = text(each, "InstanceId")
        vpc = at(each, "VpcAttributes")
        tags = pairs(items(each, "Tags", "Tag"), "TagKey", "TagValue")
        elastic = text(each, "EipAddress", "IpAddress")
        attributes = {
            "region": text(each, "RegionId"),
            "zone": text(each, "ZoneId"),
            "size": text(each, "InstanceType"),
            "image": text(each, "ImageId"),
            "os": text(each, "OSName"),
            "state": text(each, "Status").lower(),
            "cpu_count": number(each, "Cpu"),
            "memory_bytes": number(each, "Memory", times=MIB),
            **addresses(_listed(vpc, "PrivateIpAddress", "IpAddress") or _listed(each, "InnerIpAddress", "IpAddress")),
            "public_ips": sorted({*texts(each, "PublicIpAddress", "IpAddress"), *([elastic] if elastic else [])}),
            "hostname": text(each, "HostName"),
            "charge": text(each, "InstanceChargeType"),
            "expires_at": text(each, "ExpiredTime") if text(each, "InstanceChargeType") == "PrePaid" else "",
        }
        uuid = identity.uuid_key(text(each, "SerialNumber"))
        account.add("vm", [id_], text(each, "InstanceName"), attributes, tags, [uuid])
        account.relate("uses", id_, text(vpc, "VSwitchId") or text(vpc, "VpcId"))


def alibaba_databases(document: Any, account: Account) -> None:
    """RDS instances and their read-only copies."""
    found = items(document, "Items", "DBInstance")
    _all_there(document, "TotalRecordCount", len(found), account)
    for each in found:
        id_ = text(each, "DBInstanceId")
        attributes = {
            "region": text(each, "RegionId"),
            "zone": text(each, "ZoneId"),
            "engine": text(each, "Engine").lower(),
            "engine_version": text(each, "EngineVersion"),
            "size": text(each, "DBInstanceClass"),
            "state": text(each, "DBInstanceStatus").lower(),
            "endpoint": text(each, "ConnectionString"),
            "charge": text(each, "PayType"),
        }
        account.add("database", [id_], text(each, "DBInstanceDescription"), attributes)
        account.relate("uses", id_, text(each, "VSwitchId") or text(each, "VpcId"))
        account.relate("replicates_to", text(each, "MasterInstanceId"), id_)


def tencent_body(document: Any) -> Any:
    """The answer itself; the API wraps it, the command line does not."""
    inner = at(document, "Response")
    return inner if isinstance(inner, dict) else document


def tencent_instances(document: Any, account: Account) -> None:
    """CVM instances with their disks."""
    document = tencent_body(document)
    found = items(document, "InstanceSet")
    _all_there(document, "TotalCount", len(found), account)
    for each in found:
        id_, zone = text(each, "InstanceId"), text(each, "Placement", "Zone")
        attributes = {
            "zone": zone,
            "region": zone.rpartition("-")[0],
            "size": text(each, "InstanceType"),
            "image": text(each, "ImageId"),
            "os": text(each, "OsName"),
            "state": text(each, "InstanceState").lower(),
            "cpu_count": number(each, "CPU"),
            "memory_bytes": number(each, "Memory", times=GIB),
            **addresses(_listed(each, "PrivateIpAddresses")),
            "public_ips": texts(each, "PublicIpAddresses"),
            "charge": text(each, "InstanceChargeType"),
            "expires_at": text(each, "ExpiredTime"),
        }
        tags = pairs(items(each, "Tags"), "Key", "Value")
        uuid = identity.uuid_key(text(each, "Uuid"))
        account.add("vm", [id_], text(each, "InstanceName"), attributes, tags, [uuid])
        cloud = at(each, "VirtualPrivateCloud")
        account.relate("uses", id_, text(cloud, "SubnetId") or text(cloud, "VpcId"))
        for disk in (at(each, "SystemDisk"), *items(each, "DataDisks")):
            if not text(disk, "DiskId").startswith("disk-"):  # a local disk has no id of its own
                continue
            facts = {"size_bytes": number(disk, "DiskSize", times=GIB), "type": text(disk, "DiskType"), "zone": zone}
            account.add("volume", [text(disk, "DiskId")], "", facts)
            account.relate("stores_in", id_, text(disk, "DiskId"))


def huawei_servers(document: Any, account: Account) -> None:
    """ECS servers with their volumes; the id is the UUID that the machine itself sees."""
    found = items(document, "servers")
    _all_there(document, "count", len(found), account)
    for each in found:
        id_ = text(each, "id")
        networks = _addresses(each)
        attributes = {
            "zone": text(each, "OS-EXT-AZ:availability_zone"),
            "size": text(each, "flavor", "id") or text(each, "flavor", "name"),
            "image": text(each, "image", "id"),
            "os": text(each, "metadata", "image_name"),
            "state": text(each, "status").lower(),
            "cpu_count": number(each, "flavor", "vcpus"),
            "memory_bytes": number(each, "flavor", "ram", times=MIB),
            **addresses(text(one, "addr") for one in networks if _fixed(one)),
            "public_ips": sorted({text(one, "addr") for one in networks if not _fixed(one)} - {""}),
        }
        tags = dict(each_.partition("=")[::2] for each_ in texts(each, "tags"))
        account.add("vm", [id_], text(each, "name"), attributes, tags, [identity.uuid_key(id_)])
        account.relate("uses", id_, text(each, "metadata", "vpc_id"))
        for volume in items(each, "os-extended-volumes:volumes_attached"):
            account.relate("stores_in", id_, text(volume, "id"))


def _addresses(each: Mapping[str, Any]) -> list[dict[str, Any]]:
    networks = at(each, "addresses")
    return [one for name in networks for one in items(networks, name)] if isinstance(networks, dict) else []


def _fixed(address: Mapping[str, Any]) -> bool:
    return text(address, "OS-EXT-IPS:type") != "floating"
