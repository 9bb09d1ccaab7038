"""What can go wrong in the shop on purpose, and what really caused it: the ground truth of the scenarios.

Nothing in this file is ever sent to the platform; it learns of a fault only from what the shop's processes say.
One more fault is one more entry in FAULTS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tongchou.demo.control import Shop

Suspect = Mapping[str, Any]
BAD_SERVICE, BAD_VERSION = "orders", "2.0.0"
ERROR_SHARE = 0.4
FULL, DOCUMENT_BYTES = "orders-1", 3_000_000
LEAKING, LEAK_BYTES = "storefront-2", 2_000_000
SLOW, DELAY_SECONDS = "payments-2", 1.5
SURGE = 4.0


class UnknownFault(Exception):
    """There is no fault of this name; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry. `inject` breaks the shop; `is_cause` tells whether a suspect is the true cause.

    `runbook` is what repairs it, `execution_targets` the resources that procedure may alter. `about` is one line.
    """

    name: str
    about: str
    inject: Callable[[Shop], str]
    is_cause: Callable[[Suspect], bool]
    worst_rank: int
    runbook: str
    execution_targets: tuple[str, ...]


def _resource(*names: str) -> Callable[[Suspect], bool]:
    """The cause is the resource of one of these names."""
    return lambda suspect: bool(suspect["kind"] == "resource" and suspect["name"] in names)


def _kill_primary(shop: Shop) -> str:
    return f"SIGKILL to database-primary, process {shop.kill('database-primary')}"


def _deploy_bad(shop: Shop) -> str:
    shop.release(BAD_SERVICE, BAD_VERSION, {"error_share": ERROR_SHARE})
    return f"version {BAD_VERSION} of {BAD_SERVICE} fails {ERROR_SHARE:.0%} of its requests"


def _is_bad_deployment(suspect: Suspect) -> bool:
    name = str(suspect["name"])
    return str(suspect["ref"]).startswith("changes.deployment:") and BAD_SERVICE in name and BAD_VERSION in name


def _fill_disk(shop: Shop) -> str:
    shop.command(shop.address(FULL), "/switches", {"spool_bytes": DOCUMENT_BYTES, "collector_stopped": 1})
    return f"the collector of {FULL}'s documents stopped, and each has {DOCUMENT_BYTES / 1e6:.0f} MB"


def _leak(shop: Shop) -> str:
    shop.command(shop.address(LEAKING), "/switches", {"leak_bytes_per_request": LEAK_BYTES})
    return f"{LEAKING} keeps {LEAK_BYTES / 1e6:.0f} MB of every request"


def _slow_down(shop: Shop) -> str:
    shop.command(shop.address(SLOW), "/switches", {"delay_seconds": DELAY_SECONDS})
    return f"{SLOW} takes {DELAY_SECONDS:g} s for every charge; orders wait for 1 s"


def _surge(shop: Shop) -> str:
    shop.command(shop.address("customers-1"), "/multiplier", {"value": SURGE})
    return f"{SURGE:g} times as many customers"


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            "primary-down", "the primary database is killed; promote the standby", _kill_primary,
            _resource("database-primary"), 3, "switch-to-standby", ("database-standby",),
        ),
        Fault(
            "bad-release", "a version of orders that errors goes live; roll it back", _deploy_bad,
            _is_bad_deployment, 1, "roll-back-release", ("release-tool-1",),
        ),
        Fault(
            "traffic-surge", "four times the customers; start a third storefront and register it", _surge,
            # The demand is no fault; what gave way is the storefront's capacity, in either process or as a whole.
            _resource("storefront", "storefront-1", "storefront-2"), 3, "scale-out-storefront", ("load-balancer-1",),
        ),
        Fault(
            "memory-leak", "a storefront process grows without end; drain it and restart it", _leak,
            _resource(LEAKING), 3, "restart-leaking-process", (LEAKING,),
        ),
        Fault(
            "slow-dependency", "one payments process answers too late; drain it, the other takes over", _slow_down,
            _resource(SLOW), 3, "drain-slow-instance", (SLOW,),
        ),
        Fault(
            "disk-fill", "documents fill the spool of an orders process; free it", _fill_disk,
            _resource(FULL), 3, "free-spool", (FULL,),
        ),
    )
}  # fmt: skip


def harmless_release(wanted: Sequence[Fault]) -> str:
    """A service to release just before the faults, that none of them is in.

    Whoever sees a process go wrong seconds after its own release blames the release, and has no way to know better.
    """
    broken = {target.rpartition("-")[0] for fault in wanted for target in fault.execution_targets}
    return "payments" if "payments" not in broken else "cache"


def faults(name: str) -> tuple[Fault, ...]:
    """The faults of a scenario: `a`, or `a+b` for two at once. Raises UnknownFault."""
    names: Sequence[str] = name.split("+")
    unknown = next((each for each in names if each not in FAULTS), None)
    if unknown is not None or len(set(names)) < len(names):
        raise UnknownFault(f"There is no scenario {name!r}. Known: {', '.join(FAULTS)}; two at once: a+b.")
    return tuple(FAULTS[each] for each in names)
