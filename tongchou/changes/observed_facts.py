"""Which observed attributes are facts of configuration, and how their values are compared and written. Pure.

Written down kind by kind: what changes all the time (free space, load, states, counters) is in no list.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from tongchou.changes.drift import cut

_MACHINE = (
    *("os", "os_version", "kernel", "architecture", "cpu_model", "cpu_count", "memory_bytes", "swap_bytes"),
    *("address", "private_ip", "fqdn", "vendor", "product", "serial", "virtualization", "hypervisor", "machine"),
    *("instance_type", "size", "image", "template", "disk_bytes", "zone"),
    *("docker", "kubelet", "container_runtime"),
)
_SERVER = ("engine", "version", "role", "address", "port", "cluster", "mode")
COUNTED: dict[str, tuple[str, ...]] = {
    "host": _MACHINE,
    "vm": _MACHINE,
    "disk": ("device", "size_bytes", "model", "serial", "medium", "firmware", "bus", "path", "format"),
    "filesystem": ("mountpoint", "device", "type", "size_bytes", "mount_options"),
    "interface": ("mac", "addresses", "mtu", "speed_mbps", "type", "model", "bridge", "vlan", "vlan_mode"),
    "listener": ("process", "user", "addresses"),
    "network": ("prefix", "prefixes", "addresses", "driver", "forward", "bridge", "scope"),
    "subnet": ("prefix", "prefixes", "zone"),
    "volume": ("size_bytes", "driver", "encrypted"),
    "storage_pool": ("size_bytes", "raid_level", "type", "path"),
    "container": ("image", "image_id", "image_digest", "ports", "runtime", "cpu_limit", "memory_limit"),
    "deployment": ("image", "version", "workload_type", "update_strategy"),
    "k8s_cluster": ("version", "distribution", "network_plugin", "api_url"),
    "ingress": ("hosts", "class"),
    "switch": ("os_version", "model", "serial", "address", "description"),
    "router": ("os_version", "model", "serial", "address", "description"),
    "firewall": ("os_version", "model", "serial", "address", "description"),
    "database": (*_SERVER, "character_set"),
    "queue": _SERVER,
    "cache": _SERVER,
    "search_index": _SERVER,
    "load_balancer": ("version", "engine", "address", "port", "algorithm"),
    "dns_record": ("record_type", "record_value"),
}
TABLE = "table/"  # how a source names the attribute that holds what a table of a database looks like
FINGERPRINT = "schema_fingerprint"
PART = "; "  # between the columns and indexes of a table
ABOUT = {"memory_bytes": 0.02, "swap_bytes": 0.02}  # a kernel keeps another bit for itself at each start
MOST_PATTERNS = 200
MAX_VALUE = 4_000


def counts(kind: str, name: str, more: Sequence[str] = ()) -> bool:
    """Whether an attribute of a kind is a fact of configuration.

    `more`: patterns `kind.attribute`, the last that fits decides; one that begins with "-" takes away.
    """
    found = name in COUNTED.get(kind, ())
    for each in more:
        if fnmatchcase(f"{kind}.{name}", each.removeprefix("-")):
            found = not each.startswith("-")
    return found


def wrong(pattern: str) -> bool:
    """Whether a pattern is none."""
    kind, dot, name = pattern.removeprefix("-").partition(".")
    return not (kind and dot and name) or len(pattern) > 200 or any(each.isspace() for each in kind)


def text(value: Any) -> str:
    """Write a value in one way whatever the order in which a list of it came; "" of none."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return cut(", ".join(sorted(each for each in value if not each.lower().startswith("fe80:"))), MAX_VALUE)
    if isinstance(value, str):
        return cut(value, MAX_VALUE)
    return cut(json.dumps(value, ensure_ascii=False, sort_keys=True), MAX_VALUE)


def same(name: str, one: str, other: str) -> bool:
    """Whether two written values of an attribute are the same fact: a size may differ by what does not matter."""
    about = ABOUT.get(name)
    if one == other or about is None:
        return one == other
    try:
        low, high = sorted((float(one), float(other)))
    except ValueError:
        return False
    return low > 0 and high - low <= about * high


def parts_that_differ(before: str, after: str) -> str:
    """Return what left and what came of two lines of parts (columns, indexes), as lines of a diff."""
    gone, came = ([each for each in text.split(PART) if each] for text in (before, after))
    left = [f"-{each}" for each in gone if each not in came]
    return "\n".join([*left, *(f"+{each}" for each in came if each not in gone)])
