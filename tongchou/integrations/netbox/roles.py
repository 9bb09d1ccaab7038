"""Which kind of thing a device is, by the role that people gave it in NetBox. Pure.

NetBox knows devices only, and its word outweighs that of a device that tells itself what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

DEVICE = "device"
# the first kind of which a word stands in the name of the role
WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("firewall", ("firewall", "firewalls", "fw", "ngfw", "防火墙")),
    ("load_balancer", ("load balancer", "loadbalancer", "adc", "负载均衡")),
    ("access_point", ("access point", "wireless ap", "wlan ap", "wap", "无线接入点", "无线ap")),
    ("router", ("router", "routers", "路由器")),
    ("switch", ("switch", "switches", "leaf", "spine", "tor", "交换机")),
    ("pdu", ("pdu", "pdus", "power distribution unit", "配电单元")),
    ("ups", ("ups", "不间断电源")),
    ("storage_array", ("storage array", "disk array", "san array", "存储阵列", "磁盘阵列")),
    ("chassis", ("chassis", "blade enclosure", "机箱")),
)
NOT_NETWORK = re.compile(r"\bkvm\b")  # a KVM switch switches keyboards
_APART = re.compile(r"[\W_]+")


def pairs(written: Iterable[str]) -> dict[str, str]:
    """Return role -> kind of "role=kind", roles in lower case."""
    found = (each.rpartition("=") for each in written)
    return {role.strip().lower(): kind.strip() for role, _equals, kind in found}


def kind_of(role: str, slug: str, own: Mapping[str, str]) -> str:
    """Return the kind of a device: as `own` says of the role's name or slug, else by its words, else a device."""
    for name in (role.lower(), slug.lower()):
        if name in own:
            return own[name]
    said = f" {_APART.sub(' ', role.lower()).strip()} "
    if NOT_NETWORK.search(said):
        return DEVICE
    return next((kind for kind, words in WORDS if any(_stands(word, said) for word in words)), DEVICE)


def _stands(word: str, said: str) -> bool:
    return f" {word} " in said if word.isascii() else word in said
