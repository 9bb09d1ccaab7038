"""A NetBox that answers in its wire format: lists with count, next, previous, results; tokens; limit and offset."""

from __future__ import annotations

from typing import Any

TOKEN = "0123456789abcdef-canary"


def brief(id_: int, name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "url": f"http://netbox/api/x/{id_}/",
        "display": name,
        "name": name,
        "slug": name.lower(),
        **more,
    }


AMS = brief(1, "ams1")
RACK = brief(7, "R01")
ACTIVE = {"value": "active", "label": "Active"}
SHOP = brief(3, "shop")
TABLES: dict[str, list[dict[str, Any]]] = {
    "/api/dcim/sites/": [
        {**AMS, "status": ACTIVE, "region": brief(2, "Europe"), "tenant": None, "facility": "AMS-3", "time_zone": "Europe/Amsterdam", "tags": [], "custom_fields": {}},
    ],
    "/api/dcim/racks/": [
        {**RACK, "site": AMS, "status": ACTIVE, "u_height": 42, "desc_units": True, "width": {"value": 19, "label": "19 inches"}, "max_weight": 1000, "weight_unit": {"value": "kg", "label": "Kilograms"}, "serial": "", "asset_tag": None, "tags": []},
    ],
    "/api/dcim/device-types/": [
        {"id": 5, "manufacturer": brief(4, "Dell"), "model": "R650", "slug": "r650", "part_number": "210-AYJZ", "u_height": 2.0, "is_full_depth": True, "airflow": {"value": "front-to-rear", "label": "Front to rear"}, "weight": 21.5, "weight_unit": {"value": "kg", "label": "Kilograms"}, "tags": []},
        {"id": 15, "manufacturer": brief(14, "Arista"), "model": "7050", "slug": "7050", "u_height": 1.5, "is_full_depth": False, "airflow": {"value": "left-to-right", "label": "Left to right"}, "weight": 10, "weight_unit": {"value": "lb", "label": "Pounds"}, "tags": []},
    ],
    "/api/dcim/devices/": [
        {
            **brief(13, "sw-1"),
            "device_type": {"id": 15, "manufacturer": brief(14, "Arista"), "model": "7050", "slug": "7050"},
            "role": brief(16, "Leaf switch"),
            "serial": "JPE14080459",
            "site": AMS,
            "rack": RACK,
            "position": 41.0,
            "face": {"value": "rear", "label": "Rear"},
            "oob_ip": {"id": 43, "family": 4, "address": "10.9.0.13/24"},
            "status": {"value": "inventory", "label": "Inventory"},
            "tags": [],
        },
        {
            **brief(11, "hv-1"),
            "device_type": {"id": 5, "manufacturer": brief(4, "Dell"), "model": "R650", "slug": "r650"},
            "role": brief(6, "Hypervisor"),
            "tenant": SHOP,
            "platform": brief(8, "Debian 12"),
            "serial": "8XK2PQ3",
            "asset_tag": "A-17",
            "site": AMS,
            "rack": RACK,
            "position": 20.0,
            "face": {"value": "front", "label": "Front"},
            "status": ACTIVE,
            "primary_ip4": {"id": 40, "family": 4, "address": "10.0.0.11/24"},
            "primary_ip6": None,
            "cluster": brief(9, "vm-cluster"),
            "comments": "canary-comment",
            "local_context_data": {"password": "canary-context"},
            "tags": [brief(1, "prod")],
            "custom_fields": {"support_until": "2028-01-01", "root_password": "canary-field"},
        },
        {
            **brief(12, ""),
            "name": None,
            "display": "R650 (12)",
            "device_type": {"id": 5, "manufacturer": brief(4, "Dell"), "model": "R650", "slug": "r650"},
            "device_role": brief(6, "Hypervisor"),
            "serial": "",
            "site": AMS,
            "rack": None,
            "status": {"value": "planned", "label": "Planned"},
            "tags": [],
        },
    ],
    "/api/virtualization/clusters/": [
        {**brief(9, "vm-cluster"), "type": brief(1, "KVM"), "group": None, "status": ACTIVE, "scope_type": "dcim.site", "scope": AMS, "tags": []},
    ],
    "/api/virtualization/virtual-machines/": [
        {**brief(21, "web-1"), "status": ACTIVE, "site": AMS, "cluster": brief(9, "vm-cluster"), "device": brief(11, "hv-1"), "vcpus": 2.0, "memory": 4096, "disk": 20, "tags": []},
        {**brief(22, "web-2"), "status": ACTIVE, "cluster": brief(9, "vm-cluster"), "device": None, "vcpus": 1.5, "memory": None, "tags": []},
    ],
    "/api/dcim/interfaces/": [
        {"id": 31, "device": brief(11, "hv-1"), "name": "eno1", "type": {"value": "25gbase-x-sfp28"}, "enabled": True, "mtu": 9000, "mac_address": "AA:BB:CC:00:11:22", "speed": 25000000, "untagged_vlan": {"id": 51, "vid": 100}},
    ],
    "/api/virtualization/interfaces/": [
        {"id": 31, "virtual_machine": brief(21, "web-1"), "name": "eth0", "enabled": True, "primary_mac_address": {"id": 1, "mac_address": "AA:BB:CC:00:11:23"}},
    ],
    "/api/ipam/vlans/": [{"id": 51, "vid": 100, "name": "servers", "site": AMS, "group": None, "status": ACTIVE, "role": None, "tags": []}],
    "/api/ipam/prefixes/": [
        {"id": 61, "prefix": "10.0.0.0/24", "vrf": None, "vlan": {"id": 51, "vid": 100, "name": "servers"}, "status": {"value": "container", "label": "Container"}, "role": brief(1, "lab"), "is_pool": True, "description": "for servers", "scope_type": "dcim.site", "scope": AMS, "tags": []},
    ],
    "/api/ipam/ip-addresses/": [
        {"id": 40, "address": "10.0.0.11/24", "assigned_object_type": "dcim.interface", "assigned_object_id": 31, "dns_name": "hv-1.example.org", "status": ACTIVE, "tags": []},
        {"id": 41, "address": "10.0.0.21/24", "assigned_object_type": "virtualization.vminterface", "assigned_object_id": 31, "dns_name": "", "status": ACTIVE, "tags": []},
        {"id": 42, "address": "10.0.0.254/24", "assigned_object_type": None, "assigned_object_id": None, "dns_name": "", "status": {"value": "reserved", "label": "Reserved"}, "role": {"value": "vip", "label": "VIP"}, "tags": []},
    ],
}  # fmt: skip


class Netbox:
    """Answers from TABLES; `most` caps a page, `denied` paths are refused, `changes` runs after each answer."""

    def __init__(self) -> None:
        self.tables = {path: list(rows) for path, rows in TABLES.items()}
        self.most = 1000
        self.denied: set[str] = set()
        self.knows_id_gt = True

    def __call__(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        if headers.get("authorization") != f"Token {TOKEN}":
            return 403, {"detail": "Invalid token"}
        if path in self.denied:
            return 403, {"detail": "You do not have permission to perform this action."}
        if path not in self.tables:
            return 404, {"detail": "Not found."}
        rows = (
            sorted(self.tables[path], key=lambda row: row["id"]) if query.get("ordering") == "id" else self.tables[path]
        )
        if self.knows_id_gt:
            rows = [row for row in rows if row["id"] > int(query.get("id__gt", 0))]
        offset, limit = int(query.get("offset", 0)), min(int(query.get("limit", 50)), self.most)
        more = offset + limit < len(rows)
        following = f"http://169.254.169.254{path}?limit={limit}&offset={offset + limit}" if more else None
        return 200, {"count": len(rows), "next": following, "previous": None, "results": rows[offset : offset + limit]}
