"""What differs between a state and the world, as a refresh-only plan says it, item by item. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from tongchou.changes.drift import Found
from tongchou.changes.iac_plan import GONE

EXISTS = "(exists)"


def found(summary: Mapping[str, Any], resources: Mapping[str, UUID]) -> list[Found]:
    """The differences of a plan's summary, which is redacted already; `resources`: address -> of the inventory.

    Path "" is about the resource as a whole. Of one attribute that is named twice the first counts.
    """
    out: dict[tuple[str, str], Found] = {}
    for each in _all(summary, resources):
        out.setdefault((each.subject, each.path), each)
    return list(out.values())


def _all(summary: Mapping[str, Any], resources: Mapping[str, UUID]) -> Iterator[Found]:
    for each in summary.get("drift") or ():
        address = each["address"]
        known = resources.get(address)
        if each["action"] == "delete":
            yield Found(address, "", EXISTS, GONE, resource_id=known)
        elif not each["attributes"]:
            yield Found(address, "", "", each["action"], resource_id=known)
        for attribute in each["attributes"] if each["action"] != "delete" else ():
            before, after = _shown(attribute["before"]), _shown(attribute["after"])
            yield Found(address, attribute["path"], before, after, resource_id=known)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
