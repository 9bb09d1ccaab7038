"""Google: `gcloud compute instances|disks list --format=json`, `gcloud asset list|search-all-resources`. Pure.

The metadata of an instance holds keys and start scripts: it is never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongchou.integrations.cloud.account import GIB, Account, addresses
from tongchou.inventory.gather import at, items, number, text, texts, words

COMPUTE = {
    "compute#instance": "vm",
    "compute#disk": "volume",
    "compute#network": "network",
    "compute#subnetwork": "subnet",
    "compute#address": "ip_address",
    "compute#forwardingRule": "load_balancer",
    "sql#instance": "database",
}
ASSETS = {
    "compute.googleapis.com/Instance": "vm",
    "compute.googleapis.com/Disk": "volume",
    "compute.googleapis.com/Network": "network",
    "compute.googleapis.com/Subnetwork": "subnet",
    "compute.googleapis.com/Address": "ip_address",
    "compute.googleapis.com/ForwardingRule": "load_balancer",
    "compute.googleapis.com/GlobalForwardingRule": "load_balancer",
    "sqladmin.googleapis.com/Instance": "database",
    "redis.googleapis.com/Instance": "cache",
    "container.googleapis.com/Cluster": "k8s_cluster",
    "storage.googleapis.com/Bucket": "bucket",
    "pubsub.googleapis.com/Topic": "queue",
}


def is_list(document: Any) -> bool:
    """Tell whether this is a list of gcloud's compute resources, or of assets."""
    return isinstance(document, list) and all(
        text(each, "kind") in COMPUTE or (text(each, "assetType") and text(each, "name").startswith("//"))
        for each in document
    )


def resources(document: Any, account: Account) -> None:
    """Resources of sorts that COMPUTE or ASSETS has."""
    for each in document:
        if kind := COMPUTE.get(text(each, "kind")):
            _compute(kind, text(each, "selfLink"), each, account)
        elif kind := ASSETS.get(text(each, "assetType")):
            data = at(each, "resource", "data")
            if isinstance(data, dict):
                _compute(kind, text(each, "name"), data, account)
            else:
                _found(kind, each, account)


def _last(url: str) -> str:
    return url.rpartition("/")[2]


def _place(id_: str, name: str) -> str:
    """What stands after a word of a path: projects/p/zones/z/..."""
    parts = id_.split("/")
    return parts[parts.index(name) + 1] if name in parts[:-1] else ""


def _compute(kind: str, id_: str, each: Mapping[str, Any], account: Account) -> None:
    interfaces = items(each, "networkInterfaces")
    public = [text(access, "natIP") for one in interfaces for access in items(one, "accessConfigs")]
    zone = _place(id_, "zones") or _last(text(each, "zone"))
    attributes = {
        "account": _place(id_, "projects"),
        "zone": zone,
        "region": _place(id_, "regions") or _last(text(each, "region")) or zone.rpartition("-")[0],
        "size": _last(text(each, "machineType")) or text(each, "settings", "tier"),
        "state": text(each, "status").lower() if kind == "vm" else "",
        **addresses((text(one, "networkIP") for one in interfaces), first=_primary(interfaces)),
        "public_ips": sorted(set(public) - {""}),
        "prefix": text(each, "ipCidrRange"),
        "size_bytes": number(each, "sizeGb", times=GIB),
        "type": _last(text(each, "type")) if kind == "volume" else "",
        **_database(each),
    }
    attributes["address"] = attributes["address"] or text(each, "address") or text(each, "IPAddress")
    account.add(kind, [id_], text(each, "name"), attributes, words(each, "labels"))
    for one in interfaces:
        account.relate("uses", id_, text(one, "subnetwork") or text(one, "network"))
    for disk in items(each, "disks"):
        account.relate("stores_in", id_, text(disk, "source"))
    if kind == "subnet":
        account.relate("uses", id_, text(each, "network"))
    if kind == "volume":
        for user in texts(each, "users"):
            account.relate("stores_in", user, id_)


def _primary(interfaces: list[dict[str, Any]]) -> str:
    """The address of nic0."""
    named = sorted((text(one, "name"), text(one, "networkIP")) for one in interfaces)
    return named[0][1] if named else ""


def _database(each: Mapping[str, Any]) -> dict[str, Any]:
    """POSTGRES_15 is PostgreSQL 15, MYSQL_8_0 MySQL 8.0."""
    engine, _underscore, version = text(each, "databaseVersion").partition("_")
    return {"engine": engine.lower(), "version": version.replace("_", ".")} if engine else {}


def _found(kind: str, each: Mapping[str, Any], account: Account) -> None:
    """What a search of assets tells: less, and under other names."""
    id_, location = text(each, "name"), text(each, "location")
    more = at(each, "additionalAttributes")
    zone = location if location.count("-") == 2 else ""
    attributes = {
        "account": _place(id_, "projects"),
        "zone": zone,
        "region": zone.rpartition("-")[0] or location,
        "size": text(more, "machineType"),
        "state": text(each, "state").lower() if kind == "vm" else "",
    }
    account.add(kind, [id_], text(each, "displayName") or _last(id_), attributes, words(each, "labels"))
