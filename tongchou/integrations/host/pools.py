"""Reads what LVM and ZFS say of pools: volume groups with their volumes, pools with their devices. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tongchou.inventory.catalogue.physical import RAID_LEVELS
from tongchou.inventory.gather import items, number, text

LVM = ("--reportformat", "json", "--units", "b", "--nosuffix", "-o")
PVS = "pv_name,vg_name"
VGS = "vg_name,vg_size,vg_free,vg_missing_pv_count"
LVS = "lv_name,vg_name,lv_size,lv_path,lv_layout,lv_health_status,pool_lv"
ZPOOL = ("list", "-H", "-p", "-v", "-P", "-L", "-o", "name,size,health")
_HEALTH = {"ONLINE": "ok", "DEGRADED": "degraded"}
_BESIDES = frozenset({"logs", "log", "cache", "spare", "spares"})  # a pool lives on without these
_NEEDED = frozenset({"special", "dedup"})
_ZRAID = {"mirror": "1", "raidz1": "z1", "raidz2": "z2", "raidz3": "z3"}
_LIVES_WITHOUT = {"1": 1, "z1": 1, "z2": 2, "z3": 3, "draid1": 1, "draid2": 2, "draid3": 3}


@dataclass(slots=True)
class Volume:
    """A logical volume that somebody made."""

    name: str
    path: str
    size_bytes: int | None
    thin: bool
    trouble: str = ""  # in LVM's words
    redundant: bool = False


@dataclass(slots=True)
class Pool:
    """A volume group or a pool of ZFS. `devices` are paths, of those that are there."""

    name: str
    size_bytes: int | None
    health: str
    used_bytes: int | None = None
    raid_level: str = ""
    spared: int = 0  # so many devices may be lost, whichever, before data is
    devices: list[str] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)


def rows(found: Any, name: str) -> list[dict[str, Any]]:
    """Return the rows of one of LVM's reports in JSON."""
    return [row for report in items(found, "report") for row in items(report, name)]


def volume_groups(pvs: Any, vgs: Any, lvs: Any) -> list[Pool]:
    """Return the volume groups from the three reports. How full a thin pool is moves, and is left to metrics."""
    pools: dict[str, Pool] = {}
    for row in rows(vgs, "vg"):
        name, size, free = text(row, "vg_name"), number(row, "vg_size"), number(row, "vg_free")
        if name:
            used = size - free if size is not None and free is not None else None
            missing = number(row, "vg_missing_pv_count") or 0
            pools[name] = Pool(name, size, "degraded" if missing else "ok", used)
    for row in rows(pvs, "pv"):
        pool, path = pools.get(text(row, "vg_name")), text(row, "pv_name")
        if pool and path.startswith("/dev/"):  # one that is missing is called [unknown]
            pool.devices.append(path)
    for row in rows(lvs, "lv"):
        pool, name = pools.get(text(row, "vg_name")), text(row, "lv_name").strip("[]")
        if pool and name:
            thin = bool(text(row, "pool_lv"))
            path, trouble = text(row, "lv_path"), text(row, "lv_health_status")
            layout = set(text(row, "lv_layout").split(","))
            redundant = bool(layout & {"mirror", "raid1", "raid4", "raid5", "raid6", "raid10"})
            pool.volumes.append(Volume(name, path, number(row, "lv_size"), thin, trouble, redundant))
            if "partial" in trouble:
                pool.health = "degraded"
    for pool in pools.values():
        pool.spared = int(bool(pool.volumes) and all(each.redundant for each in pool.volumes))
    return list(pools.values())


def zpools(listed: str) -> list[Pool]:
    """Return the pools of `zpool` with the words of ZPOOL: pools at the margin, what they consist of behind a tab."""
    pools: list[Pool] = []
    levels: list[str] = []
    besides = False
    for line in listed.splitlines():
        cells = line.strip().split("\t")
        if not line.startswith("\t") and len(cells) >= 3:
            size = int(cells[1]) if cells[1].isdecimal() else None
            pools.append(Pool(cells[0], size, _HEALTH.get(cells[-1], "failed")))
            levels, besides = [], False
            continue
        named = (cells[0].split() or [""])[0]
        if not pools or not named:
            continue
        pool, sort = pools[-1], named.partition("-")[0]
        if named.startswith("/"):
            if not besides:
                pool.devices.append(named)
                levels = levels or [""]
        elif named in _BESIDES or named in _NEEDED:
            besides = named in _BESIDES
        elif not besides and sort in (*_ZRAID, *_LIVES_WITHOUT):
            levels.append(_ZRAID.get(sort, sort))
        pool.spared = min((_LIVES_WITHOUT.get(each, 0) for each in levels), default=0)
        pool.raid_level = levels[0] if len(set(levels)) == 1 and levels[0] in RAID_LEVELS else ""
    return pools
