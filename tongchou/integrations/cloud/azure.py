"""Azure: `az vm list -d` and `az resource list`, both a list of objects with Azure's resource ids. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongchou.integrations.cloud.account import Account, addresses
from tongchou.inventory.gather import at, items, text, words

VM = "microsoft.compute/virtualmachines"
KINDS = {
    VM: "vm",
    "microsoft.compute/disks": "volume",
    "microsoft.network/virtualnetworks": "network",
    "microsoft.network/networkinterfaces": "interface",
    "microsoft.network/publicipaddresses": "ip_address",
    "microsoft.network/loadbalancers": "load_balancer",
    "microsoft.network/applicationgateways": "load_balancer",
    "microsoft.sql/servers": "database",
    "microsoft.sql/servers/databases": "database",
    "microsoft.dbforpostgresql/flexibleservers": "database",
    "microsoft.dbformysql/flexibleservers": "database",
    "microsoft.cache/redis": "cache",
    "microsoft.servicebus/namespaces": "queue",
    "microsoft.containerservice/managedclusters": "k8s_cluster",
    "microsoft.storage/storageaccounts": "bucket",
}


def is_list(document: Any) -> bool:
    """Tell whether this is a list of Azure's resources."""
    return isinstance(document, list) and all(
        text(each, "id").lower().startswith("/subscriptions/") for each in document
    )


def resources(document: Any, account: Account) -> None:
    """Resources of sorts that KINDS has; with the details of machines where they are there."""
    for each in document:
        type_ = text(each, "type").lower()
        kind = KINDS.get(type_) or (KINDS[VM] if at(each, "hardwareProfile") else None)
        if kind is not None:
            _resource(each, kind, account)


def _resource(each: Mapping[str, Any], kind: str, account: Account) -> None:
    id_ = text(each, "id")
    parts = id_.split("/")
    image = at(each, "storageProfile", "imageReference")
    named = ":".join(filter(None, (text(image, name) for name in ("publisher", "offer", "sku"))))
    private = _split(text(each, "privateIps"))
    attributes = {
        "account": parts[2] if len(parts) > 2 else "",
        # upper case in one command, as written in the other
        "resource_group": (text(each, "resourceGroup") or (parts[4] if len(parts) > 4 else "")).lower(),
        "region": text(each, "location"),
        "zones": at(each, "zones"),
        "size": text(each, "hardwareProfile", "vmSize") or text(each, "sku", "name"),
        "os": text(each, "storageProfile", "osDisk", "osType"),
        "image": named,
        "state": text(each, "powerState"),
        **addresses(private, first=next(iter(private), "")),
        "public_ips": sorted(_split(text(each, "publicIps"))),
        "dns_name": next(iter(_split(text(each, "fqdns"))), ""),
    }
    account.add(kind, [id_], text(each, "name"), attributes, words(each, "tags"))
    for disk in (
        at(each, "storageProfile", "osDisk"),
        *items(each, "storageProfile", "dataDisks"),
    ):
        account.relate("stores_in", id_, text(disk, "managedDisk", "id"))
    for interface in items(each, "networkProfile", "networkInterfaces"):
        account.relate("part_of", text(interface, "id"), id_)
    if kind == "volume":
        account.relate("stores_in", text(each, "managedBy"), id_)


def _split(listed: str) -> list[str]:
    return [each.strip() for each in listed.split(",") if each.strip()]
