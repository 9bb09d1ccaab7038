"""Huawei Cloud: what `hcloud ECS|EVS|VPC|ELB|RDS|DCS List...` prints. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongchou.integrations.cloud.account import GIB, MIB, Account, addresses, all_there, pairs
from tongchou.inventory import identity
from tongchou.inventory.gather import at, flag, items, number, text, texts, words


def is_of_services(document: Any) -> bool:
    """Tell whether this is a list of instances of RDS or DCS: both call it so."""
    found = at(document, "instances")
    counted = at(document, "total_count") is not None or at(document, "instance_num") is not None
    return isinstance(found, list) and (counted or any(at(each, "datastore") for each in found))


def _listed(document: Any, account: Account, name: str, total: str = "count") -> list[dict[str, Any]]:
    found = items(document, name)
    all_there(document, total, len(found), account)
    if text(document, "page_info", "next_marker"):
        account.gathering.partial(f"{account.cloud}: the file holds one page of several {name}")
    return found


def _tags(each: Mapping[str, Any]) -> dict[str, str]:
    return pairs(items(each, "tags"), "key", "value")


def servers(document: Any, account: Account) -> None:
    """ECS servers with their volumes; the id is the UUID that the machine itself sees."""
    for each in _listed(document, account, "servers"):
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


def volumes(document: Any, account: Account) -> None:
    """Disks of EVS and which servers have them."""
    for each in _listed(document, account, "volumes"):
        id_ = text(each, "id")
        attributes = {
            "zone": text(each, "availability_zone"),
            "size_bytes": number(each, "size", times=GIB),
            "type": text(each, "volume_type"),
            "state": text(each, "status").lower(),
            "encrypted": flag(each, "encrypted"),
        }
        account.add("volume", [id_], text(each, "name"), attributes, words(each, "tags"))
        for attachment in items(each, "attachments"):
            account.relate("stores_in", text(attachment, "server_id"), id_)


def vpcs(document: Any, account: Account) -> None:
    """Virtual networks."""
    for each in _listed(document, account, "vpcs"):
        prefix, more = text(each, "cidr"), texts(each, "extend_cidrs")
        attributes = {
            "prefix": prefix,
            "prefixes": sorted({prefix, *more}) if more else [],
            "description": text(each, "description"),
        }
        account.add("network", [text(each, "id")], text(each, "name"), attributes, _tags(each))


def subnets(document: Any, account: Account) -> None:
    """Subnets and their networks."""
    for each in _listed(document, account, "subnets"):
        id_ = text(each, "id")
        prefix, more = text(each, "cidr"), text(each, "cidr_v6")
        attributes = {
            "prefix": prefix,
            "prefixes": sorted({prefix, more}) if more else [],
            "zone": text(each, "availability_zone"),
            "gateway": text(each, "gateway_ip"),
            "description": text(each, "description"),
        }
        account.add("subnet", [id_], text(each, "name"), attributes, _tags(each))
        account.relate("uses", id_, text(each, "vpc_id"))


def load_balancers(document: Any, account: Account) -> None:
    """Load balancers (ELB)."""
    for each in _listed(document, account, "loadbalancers"):
        id_ = text(each, "id")
        public = {text(one, "publicip_address") for one in items(each, "publicips")}
        public |= {text(one, "eip_address") for one in items(each, "eips")}
        attributes = {
            "address": text(each, "vip_address"),
            "public_ips": sorted(public - {""}),
            "zones": texts(each, "availability_zone_list"),
            "state": text(each, "operating_status").lower(),
            "description": text(each, "description"),
        }
        account.add("load_balancer", [id_], text(each, "name"), attributes, _tags(each))
        account.relate("uses", id_, text(each, "vpc_id"))


def services(document: Any, account: Account) -> None:
    """Instances of RDS, or of DCS."""
    total = "total_count" if at(document, "total_count") is not None else "instance_num"
    for each in _listed(document, account, "instances", total):
        (_database if at(each, "datastore") else _cache)(each, account)


def _database(each: Mapping[str, Any], account: Account) -> None:
    id_ = text(each, "id")
    attributes = {
        "region": text(each, "region"),
        "engine": text(each, "datastore", "type").lower(),
        "version": text(each, "datastore", "version"),
        "size": text(each, "flavor_ref"),
        "cpu_count": number(each, "cpu"),
        "memory_bytes": number(each, "mem", times=GIB),
        "size_bytes": number(each, "volume", "size", times=GIB),
        "state": text(each, "status").lower(),
        **addresses(texts(each, "private_ips")),
        "public_ips": texts(each, "public_ips"),
        "port": number(each, "port"),
        "charge": text(each, "charge_info", "charge_mode"),
    }
    account.add("database", [id_], text(each, "name"), attributes, _tags(each))
    account.relate("uses", id_, text(each, "subnet_id") or text(each, "vpc_id"))
    for other in items(each, "related_instance"):
        ends = (text(other, "id"), id_)
        account.relate("replicates_to", *(ends if text(other, "type") == "replica_of" else reversed(ends)))


def _cache(each: Mapping[str, Any], account: Account) -> None:
    id_ = text(each, "instance_id")
    attributes = {
        "engine": text(each, "engine").lower(),
        "version": text(each, "engine_version"),
        "size": text(each, "spec_code"),
        "memory_bytes": number(each, "max_memory", times=MIB) or number(each, "capacity", times=GIB),
        "state": text(each, "status").lower(),
        "address": text(each, "ip"),
        "port": number(each, "port"),
        "dns_name": text(each, "domain_name"),
        "public_ip": text(each, "publicip_address"),
    }
    account.add("cache", [id_], text(each, "name"), attributes, _tags(each))
    account.relate("uses", id_, text(each, "subnet_id") or text(each, "vpc_id"))
