"""Under which standard field of its kind a fact stands that the world calls otherwise: a size, a state, an endpoint.

Pure. A fact is said once: under the name of the field where the kind has one (see catalogue), else under its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_MACHINE = {"size": "instance_type", "private_ip": "address", "dns_name": "fqdn"}
_SERVER = {"engine_version": "version", "endpoint": "address", "private_ip": "address", "dns_name": "address"}
FIELDS: dict[str, dict[str, str]] = {
    "host": _MACHINE,
    "vm": _MACHINE,
    **dict.fromkeys(("database", "cache", "queue", "search_index", "load_balancer"), _SERVER),
    "k8s_cluster": {"engine_version": "version", "endpoint": "api_url"},
    "container": {"state": "run_state"},
    "ip_address": {"public_ip": "address"},
    "bucket": {"region": "cloud_region"},
}
# lists of addresses: where there is one only, it is the address
_ONE_OF = {"private_ips": "address"}
LISTS = dict.fromkeys(("host", "vm", "database", "cache", "queue", "load_balancer"), _ONE_OF)
INTERFACE = ("private_ip", "private_ips")
RUNNING = frozenset({"running", "active", "started"})
STOPPED = frozenset({"stopped", "shutoff", "shutdown", "terminated", "deallocated", "off"})
SUSPENDED = frozenset({"suspended", "paused", "pmsuspended"})


def named(kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts under the names of the fields of their kind. What stands there already is never written over."""
    found = dict(said)
    for old, new in FIELDS.get(kind, {}).items():
        _move(found, old, new, found.get(old))
    for old, new in LISTS.get(kind, {}).items():
        value = found.get(old)
        if isinstance(value, list) and len(value) == 1:
            _move(found, old, new, value[0])
    if kind == "vm":
        _move(found, "state", "power_state", power_state(found.get("state")))
    elif kind == "interface":
        own = [found.pop(name, None) for name in INTERFACE] if "addresses" not in found else []
        found["addresses"] = found.get("addresses") or _flat(own)
    elif kind in ("database", "cache", "queue", "search_index"):
        _without_port(found)
    return found


def _move(found: dict[str, Any], old: str, new: str, value: Any) -> None:
    """Say `value` under the new name instead; a fact that says something else than what stands there stays."""
    if value not in (None, "") and found.get(new) in (None, "", value):
        found.pop(old, None)
        found[new] = value


def _flat(values: Iterable[Any]) -> list[Any]:
    listed = [each for value in values for each in (value if isinstance(value, list) else [value]) if each]
    return list(dict.fromkeys(each for each in listed if isinstance(each, str)))


def _without_port(found: dict[str, Any]) -> None:
    """Take db.example.org:5432 apart into host and port."""
    host, colon, port = str(found.get("address") or "").rpartition(":")
    if colon and ":" not in host and port.isdecimal() and len(port) < 6:
        found["address"] = host
        found["port"] = found.get("port") or int(port)


def power_state(state: Any) -> str | None:
    """Return running, stopped or suspended; None of a state in between, which no machine is in for long."""
    word = state.strip().lower().removeprefix("vm ") if isinstance(state, str) else ""
    for meant, words in (("running", RUNNING), ("stopped", STOPPED), ("suspended", SUSPENDED)):
        if word in words:
            return meant
    return None


def images(listed: Iterable[str]) -> dict[str, Any]:
    """Return the images of the containers of a thing, given its main one first: that one, and of several all."""
    found = list(dict.fromkeys(each for each in listed if each))
    return {"image": found[0] if found else "", "images": sorted(found) if len(found) > 1 else []}
