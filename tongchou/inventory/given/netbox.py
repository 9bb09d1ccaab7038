"""The inventory as rows of NetBox's import of devices. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from tongchou.core.lists.export import guarded
from tongchou.inventory.given.gathered import Given

COLUMNS = ("name", "role", "manufacturer", "device_type", "serial", "site", "tenant", "status", "comments")
UNKNOWN = "unknown"


def _text(given: Given, *names: str) -> str:
    for name in names:
        value = given.attributes.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return " ".join(str(value).split())[:200]
    return ""


def devices(given: Iterable[Given]) -> str:
    """CSV with the columns NetBox's import of devices wants; what it insists on and nobody said is "unknown"."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for each in given:
        cells = (
            each.name,
            _text(each, "role") or each.kind,
            _text(each, "manufacturer", "vendor") or UNKNOWN,
            _text(each, "device_type", "model") or UNKNOWN,
            _text(each, "serial", "serial_number"),
            each.site or _text(each, "site") or UNKNOWN,
            each.owner,
            "active" if each.state == "active" else "decommissioning",
            f"Tongchou {each.id}",
        )
        writer.writerow([guarded(cell) for cell in cells])
    return out.getvalue()
