"""CSV exports of NetBox: which list a file holds, and its rows in the form of the API. Pure.

The columns are those people chose for the list, under the titles the page shows, or the names of NetBox's own import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.lists.reading import Sheet
from tongchou.core.problems import Invalid
from tongchou.integrations.netbox import things
from tongchou.integrations.netbox.things import Book
from tongchou.inventory.gather import text

# the list, as it stands in the name of an export -> (columns that tell it apart, what reads a row)
LISTS: dict[str, tuple[frozenset[str], Callable[[Book, Mapping[str, Any]], None]]] = {
    "virtual machines": (frozenset({"name", "vcpus", "cluster"}), things.machine),
    "ip addresses": (frozenset({"address"}), things.address),
    "prefixes": (frozenset({"prefix"}), things.prefix),
    "vlans": (frozenset({"vid", "name"}), things.vlan),
    "interfaces": (frozenset({"device", "name"}), things.interface),
    "devices": (frozenset({"name", "device_type", "site"}), things.device),
    "racks": (frozenset({"name", "u_height", "site"}), things.rack),
    "device types": (frozenset({"manufacturer", "u_height"}), things.device_type),
    "clusters": (frozenset({"name", "type", "group"}), things.cluster),
    "sites": (frozenset({"name", "region"}), things.site),
}
# title of a column -> name in the API, where they differ by more than blanks
TITLES = {
    "ip address": "primary_ip",
    "serial number": "serial",
    "type": "type",
    "height": "u_height",
    "virtual cpus": "vcpus",
    "memory (mb)": "memory",
    "vlan id": "vid",
    "mac": "mac_address",
    "parent": "assigned_parent",
    "assigned object parent": "assigned_parent",
    "interface": "assigned",
    "pool": "is_pool",
    "is a pool": "is_pool",
    "full depth": "is_full_depth",
    "descending units": "desc_units",
    "management only": "mgmt_only",
    "out of band ip": "oob_ip",
}
NAMED = ("site", "rack", "tenant", "role", "platform", "region", "vrf", "cluster", "group", "device", "manufacturer")
NUMBERS = ("id", "vid", "u_height", "vcpus", "memory", "mtu", "position")
FLAGS = ("is_pool", "is_full_depth", "desc_units", "enabled", "mgmt_only")
YES, NO = frozenset({"true", "yes", "1", "✔", "是"}), frozenset({"false", "no", "0", "✘", "否"})


def read(book: Book, name: str, sheet: Sheet) -> None:
    """Add what an export holds; raises Invalid when it is none of the lists that are known."""
    columns = [TITLES.get(each, each.replace(" ", "_").replace("-", "_")) for each in sheet.columns]
    title = _list_of(name, columns)
    seen: dict[str, int] = {}
    for line, cells in sheet.rows:
        by_column = dict(zip(columns, cells, strict=False))
        row = _row(by_column, title)
        # an export calls a custom field by its label, the form of an import cf_ and its name
        own = {each: by_column.get(f"cf_{each.lower()}") or by_column.get(each.lower()) for each in book.fields}
        row["custom_fields"] = {each: cell for each, cell in own.items() if cell and cell != "—"}
        known = str(row.get("id") or f"{row.get('device')}{row.get('name')}{row.get('address')}{row.get('prefix')}")
        if known in seen:
            book.gathering.partial(
                f"row {line}: left out, it is called like row {seen[known]}; export the column ID, too"
            )
            continue
        seen[known] = line
        LISTS[title][1](book, row)


def _list_of(name: str, columns: list[str]) -> str:
    said = name.lower().replace("_", " ")
    have = set(columns) | ({"device_type"} if "type" in columns and {"rack", "site"} & set(columns) else set())
    for title, (wanted, _read) in LISTS.items():
        if title in said and (wanted - {"device_type", "u_height", "group", "region", "vcpus"}) <= have:
            return title
    for title, (wanted, _read) in LISTS.items():
        if wanted <= have:
            return title
    raise Invalid(
        "netbox.sheet",
        _("This is no list of NetBox that is known here."),
        field="file",
        value=", ".join(columns)[:200],
        remedy=_("Export one of these lists as CSV with all columns: %(known)s.") % {"known": ", ".join(LISTS)},
    )


def _row(cells: Mapping[str, str], title: str) -> dict[str, Any]:
    found: dict[str, Any] = {"_named": True}
    for column, cell in cells.items():
        if not cell or cell == "—":
            continue
        if column in NUMBERS:
            found[column] = _number(cell)
        elif column in FLAGS:
            found[column] = True if cell.lower() in YES else False if cell.lower() in NO else None
        else:
            found[column] = {"name": cell} if column in NAMED else cell
    if found.get("status"):
        found["status"] = {"value": str(found["status"]).lower()}
    if title == "devices":
        model = found.get("device_type") or found.get("type")
        found["device_type"] = {"model": model, "manufacturer": found.get("manufacturer")}
        found["primary_ip4"] = {"address": found.get("primary_ip") or found.get("primary_ip4") or ""}
        found["oob_ip"] = {"address": found.get("oob_ip") or ""}
    elif title == "device types":
        found["model"] = found.get("model") or found.get("device_type") or ""
        found["name"] = f"{text(found, 'manufacturer', 'name')} {found['model']}".strip()
    elif title in ("interfaces", "clusters"):
        found["type"] = {"value": found.get("type"), "name": found.get("type")}
    elif title == "virtual machines":
        found["primary_ip4"] = {"address": found.get("primary_ip") or found.get("primary_ip4") or ""}
    elif title == "ip addresses" and found.get("assigned") and found.get("assigned_parent"):
        found["assigned_object"] = {"name": f"{found['assigned_parent']} {found['assigned']}"}
    found.pop("tags", None)
    return found


def _number(cell: str) -> int | float | None:
    if not cell.replace(".", "", 1).isdecimal():
        return None
    value = float(cell)
    return int(value) if value == int(value) else value
