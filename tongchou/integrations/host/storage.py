"""The inventory source "storage": what the disks of this host say of themselves, its RAID sets, pools and volumes.

A source of its own beside "host": a disk that dies answers slowly, and must not hold up the look at all else.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.integrations.host import facts as host_facts
from tongchou.integrations.host import pools, raid, smart
from tongchou.integrations.host.pools import Pool
from tongchou.integrations.host.smart import Device
from tongchou.inventory import gather, source_settings
from tongchou.inventory.gather import Gathering
from tongchou.inventory.observation import MAX_KEY, Observation
from tongchou.inventory.weakness import MIN_INSTANCES
from tongchou.wire.host import programs
from tongchou.wire.host.facts import REFUSED
from tongchou.wire.host.programs import NoAnswerError

LOOK_SECONDS = 200.0  # the job that looks is given 300
MOST_DISKS = 500
AT_ONCE = 8
MDSTAT = Path("/proc/mdstat")
BLOCKS = Path("/sys/block")


class StorageSource:
    """Asks smartctl, LVM and ZFS where they are installed, and reads /proc/mdstat; needs root for most of it."""

    kind: str = "storage"
    title: Any = _("Storage of this host")
    precedence: int = 310
    interval_seconds: float = 600.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "smart": {"type": "boolean", "default": True, "description": _("ask disks for their health (smartctl)")},
            "raid": {"type": "boolean", "default": True, "description": _("software RAID, from /proc/mdstat")},
            "lvm": {"type": "boolean", "default": True, "description": _("volume groups and volumes of LVM")},
            "zfs": {"type": "boolean", "default": True, "description": _("pools of ZFS")},
            "timeout_seconds": {
                "type": "integer",
                "default": 20,
                "minimum": 1,
                "maximum": 60,
                "description": _("how long one disk or program may take"),
            },
            **source_settings.NODE,
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        return source_settings.filled(self.settings_schema, settings)

    def of_node(self, settings: Mapping[str, Any]) -> bool:
        """Always: it is the storage of this host."""
        return True

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Look once. What does not answer is named, and then nothing is given up; what is not installed is no part."""
        look = _Look(float(settings.get("timeout_seconds", 20)))
        for part, read in (("smart", look.disks), ("raid", look.arrays), ("lvm", look.groups), ("zfs", look.zpools)):
            if not settings.get(part, True):
                continue
            try:
                read()
            except (
                NoAnswerError,
                OSError,
                ValueError,
                RecursionError,
            ) as error:  # text that is no JSON is a ValueError
                why = "an answer that nobody can read" if isinstance(error, ValueError) else str(error)
                look.gathering.partial(f"{part}: {why}")
        look.mounted()
        return look.gathering.observation()


SOURCE = StorageSource()


class _Look:
    """One look in the making."""

    def __init__(self, seconds: float) -> None:
        machine = host_facts.this_host()
        self.machine, self.name = machine.keys[0], machine.name
        self.gathering = Gathering()
        self.gathering.add(machine.kind, machine.name, machine.keys)
        self._seconds = seconds
        self._places: dict[str, str] = {}  # a block device of the kernel, or "zfs NAME" -> the key of what it is
        self._until = time.monotonic() + LOOK_SECONDS

    def key(self, sort: str, name: str) -> str:
        return f"{self.machine}/{sort}:{name}"[:MAX_KEY]

    def ask(self, *words: str) -> tuple[int, bytes]:
        seconds = min(self._seconds, self._until - time.monotonic())
        if seconds <= 0:
            raise NoAnswerError(f"not asked: the look had taken {LOOK_SECONDS:g} s")
        return programs.ask(*words, seconds=seconds)

    def told(self, *words: str) -> bytes:
        """What a program prints that must say 0."""
        code, body = self.ask(*words)
        if code != 0:
            raise NoAnswerError(
                f"{Path(words[0]).name} ends with {code}: the service's user may not ask it, or it failed"
            )
        return body

    # --- disks --------------------------------------------------------------------------------------------------------

    def disks(self) -> None:
        program = programs.found("smartctl")
        if program is None:
            return
        _code, body = self.ask(program, "--json", "--scan")
        blocks = [each.name for each in BLOCKS.iterdir()] if BLOCKS.is_dir() else []
        found = smart.devices(json.loads(body), blocks)
        if len(found) > MOST_DISKS:
            self.gathering.partial(f"smart: {len(found):,} disks, of which {MOST_DISKS} are asked")
        with ThreadPoolExecutor(AT_ONCE) as several:
            for device, (code, answer) in zip(
                found, several.map(lambda each: self._asked(program, each), found[:MOST_DISKS]), strict=False
            ):
                self._disk(device, code, answer)

    def _asked(self, program: str, device: Device) -> tuple[int, Any]:
        """The exit code and the answer about a disk, or -1 and why there is none."""
        type_ = ("-d", device.type) if device.type else ()
        try:
            code, body = self.ask(program, "--json", "-n", f"standby,{smart.ASLEEP}", *type_, "-a", device.path)
            return code, json.loads(body)
        except NoAnswerError as error:
            return -1, str(error)
        except (ValueError, RecursionError):
            return -1, "an answer that is no JSON"

    def _disk(self, device: Device, code: int, answer: Any) -> None:
        if code < 0:
            self.gathering.partial(f"{device.shown}: {answer}")
        elif smart.asleep(code, answer):
            self.gathering.partial(f"{device.shown}: asleep, and not woken")
        elif not smart.answered(code, answer):
            self.gathering.partial(f"{device.shown}: {smart.why(answer) or f'smartctl ends with {code}'}")
        else:
            told = smart.attributes(device.path, answer, code)
            for name in device.names:
                told["device"] = device.path if device.type else f"/dev/{name}"
                key = self.key("disk", name)
                self.gathering.add("disk", f"{self.name} {name}", (key,), told)
                self.gathering.relate("part_of", key, self.machine)
            if told.get("smart_health") in ("failed", "warning"):
                self.gathering.warn(f"{device.shown} ({told.get('serial', '')}): SMART verdict {told['smart_health']}")

    # --- sets, pools, volumes -----------------------------------------------------------------------------------------

    def arrays(self) -> None:
        for each in raid.arrays(MDSTAT.read_text(encoding="utf-8", errors="replace")) if MDSTAT.exists() else ():
            told = gather.facts(
                device=f"/dev/{each.name}",
                raid_level=each.raid_level,
                size_bytes=each.size_bytes,
                disk_count=len(each.members),
                spare_count=each.spares,
                stripe_bytes=each.chunk_bytes,
                health=each.health,
            )
            needed = max(1, (each.wanted or len(each.members) - each.spares) - each.spared)
            key = self._places[each.name] = self.key("raid", each.name)
            self._set("raid_set", key, each.name, told, needed)
            self._consists(key, each.members)

    def groups(self) -> None:
        named = [programs.found(each) for each in ("pvs", "vgs", "lvs")]
        if None in named:
            return
        reports = [
            json.loads(self.told(str(program), *pools.LVM, columns))
            for program, columns in zip(named, (pools.PVS, pools.VGS, pools.LVS), strict=True)
        ]
        for pool in pools.volume_groups(*reports):
            key = self._pool("vg", pool)
            for each in pool.volumes:
                own = self.key("lv", f"{pool.name}/{each.name}")
                told = gather.facts(device=each.path, size_bytes=each.size_bytes, thin=each.thin)
                self.gathering.add("volume", f"{self.name} {pool.name}/{each.name}", (own,), told)
                self.gathering.relate("stores_in", own, key)
                if each.path:
                    self._places[Path(os.path.realpath(each.path)).name] = own
                if each.trouble:
                    self.gathering.warn(f"{pool.name}/{each.name}: {each.trouble}")

    def zpools(self) -> None:
        program = programs.found("zpool")
        if program is None or not Path("/dev/zfs").exists():  # without its module there is nothing to ask
            return
        for pool in pools.zpools(self.told(program, *pools.ZPOOL).decode("utf-8", "replace")):
            self._places[f"zfs {pool.name}"] = self._pool("zpool", pool)

    def mounted(self) -> None:
        """Relate the file systems that the source "host" tells of to the volume, set or pool that they are on."""
        try:
            found = host_facts.filesystems_here(self.machine, self.name) if self._places else []
        except REFUSED:  # told of where they are read themselves
            return
        for each in found:
            device = str(each.attributes.get("device", ""))
            zfs = each.attributes.get("type") == "zfs"
            name = f"zfs {device.partition('/')[0]}" if zfs else Path(os.path.realpath(device)).name
            self.gathering.relate("stores_in", each.keys[0], self._place(name))

    def _place(self, name: str, depth: int = 8) -> str | None:
        known = self._places.get(name) or self._places.get(raid.whole_of(name))
        below = () if known or not depth else _below(name)
        return known or next((found for each in below if (found := self._place(each, depth - 1))), None)

    def _pool(self, sort: str, pool: Pool) -> str:
        told = gather.facts(
            size_bytes=pool.size_bytes, used_bytes=pool.used_bytes, raid_level=pool.raid_level, health=pool.health
        )
        members = {Path(os.path.realpath(each)).name for each in pool.devices}
        key = self.key(sort, pool.name)
        self._set("storage_pool", key, pool.name, told, max(1, len(members) - pool.spared))
        self._consists(key, members)
        return key

    def _set(self, kind: str, key: str, name: str, told: dict[str, Any], needed: int) -> None:
        self.gathering.add(kind, f"{self.name} {name}", (key,), told, {MIN_INSTANCES: str(needed)})
        self.gathering.relate("runs_on", key, self.machine)
        if told["health"] != "ok":
            self.gathering.warn(f"{name}: {told['health']}")

    def _consists(self, key: str, members: Iterable[str]) -> None:
        """Relate what a set or pool lies on: disks and RAID sets of this host, under partitions and mapped devices."""
        for name in sorted({each for member in members for each in raid.carriers(member, _below)}):
            part = self.key("raid" if name.startswith("md") else "disk", name)
            self.gathering.relate("part_of", part, key)


def _below(name: str) -> tuple[str, ...]:
    """The devices that a mapped one lies on, as the kernel tells; an array is one of its own."""
    if not name.startswith("dm-"):
        return ()
    try:
        return tuple(sorted(each.name for each in (BLOCKS / name / "slaves").iterdir()))
    except OSError:
        return ()
