"""What can go wrong in the shop on purpose, and what really caused it: the ground truth of the scenarios.

Nothing in this file is ever sent to the platform; it learns of a fault only from what the shop's processes say.
One more fault is one more entry in FAULTS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tongchou.demo.control import Shop

Suspect = Mapping[str, Any]
BAD_SERVICE, BAD_VERSION = "orders", "2.0.0"
ERROR_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry. `inject` breaks the shop; `is_cause` tells whether a suspect is the true cause."""

    name: str
    inject: Callable[[Shop], str]
    is_cause: Callable[[Suspect], bool]
    worst_rank: int
    execution_targets: tuple[str, ...]


def _kill_primary(shop: Shop) -> str:
    return f"SIGKILL to database-primary, process {shop.kill('database-primary')}"


def _is_primary(suspect: Suspect) -> bool:
    return bool(suspect["kind"] == "resource" and suspect["name"] == "database-primary")


def _deploy_bad(shop: Shop) -> str:
    shop.release(BAD_SERVICE, BAD_VERSION, {"error_share": ERROR_SHARE})
    return f"version {BAD_VERSION} of {BAD_SERVICE} fails {ERROR_SHARE:.0%} of its requests"


def _is_bad_deployment(suspect: Suspect) -> bool:
    name = str(suspect["name"])
    return str(suspect["ref"]).startswith("changes.deployment:") and BAD_SERVICE in name and BAD_VERSION in name


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("primary-down", _kill_primary, _is_primary, 3, ("database-standby",)),
        Fault("bad-release", _deploy_bad, _is_bad_deployment, 1, ("release-tool-1",)),
    )
}
