"""Reads what smartctl says of a disk (its JSON since 7.0) as facts that seldom change. Pure.

Temperature moves with every look, and so is a metric and no fact. What only ever grows is told coarsely: hours in
thousands, bytes written and errors by their first two digits. A disk that dies is no event a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tongchou.inventory.gather import at, facts, items, number, text

# bits of smartctl's exit code
UNOPENED, FAILING, PREFAIL, SELF_TEST = 0x02, 0x08, 0x10, 0x80
ASLEEP = 3  # the code that we ask for when a disk is in standby: -n standby,3
HOURS_STEP = 1000
_NVME_UNIT = 512_000  # "data units": thousands of 512 bytes, whatever the sector
_REALLOCATED, _PENDING, _UNCORRECTABLE, _REPORTED, _LBAS = 5, 197, 198, 187, 241
# normalised values of ATA that fall from 100 as the flash wears; ids mean something else with each maker, names do not
_REMAINING = frozenset({"Media_Wearout_Indicator", "Percent_Lifetime_Remain", "SSD_Life_Left", "Wear_Leveling_Count"})
_PLAIN = frozenset({"ata", "auto", "nvme", "sat", "scsi"})  # types that smartctl finds out better by itself


@dataclass(frozen=True, slots=True)
class Device:
    """A device that smartctl can ask, and its names in the inventory: one, or of NVMe one a namespace."""

    path: str
    type: str  # "" where smartctl finds it out
    names: tuple[str, ...]

    @property
    def shown(self) -> str:
        """What people are told it is."""
        return f"{self.path} {self.type}".strip()


def devices(found: Any, blocks: Iterable[str]) -> list[Device]:
    """Return the devices of `smartctl --json --scan`. `blocks`: the names in /sys/block.

    Disks behind a controller share a path and are told apart by their type ("megaraid,7").
    """
    known = sorted(blocks)
    seen: dict[tuple[str, str], Device] = {}
    for each in items(found, "devices"):
        path, type_ = text(each, "name"), text(each, "type")
        if not path.startswith("/dev/"):
            continue
        type_ = "" if type_ in _PLAIN else type_
        base = path.removeprefix("/dev/")
        if type_:
            names: tuple[str, ...] = (f"{base} {type_}".replace("/", "-"),)
        else:
            spaces = tuple(name for name in known if name.startswith(f"{base}n")) if base.startswith("nvme") else ()
            names = spaces or (base,)
        seen.setdefault((path, type_), Device(path, type_, names))
    return list(seen.values())


def asleep(code: int, found: Any) -> bool:
    """Whether the disk was in standby and was left there."""
    return code == ASLEEP and at(found, "smart_status") is None


def answered(code: int, found: Any) -> bool:
    """Whether the answer is one about a disk: its opening went well and it said who it is."""
    return code & (UNOPENED | 1) == 0 and bool(text(found, "model_name") or text(found, "product"))


def why(found: Any) -> str:
    """Return why smartctl could not read a disk, in its own words; "" where it does not say."""
    return "; ".join(text(each, "string") for each in items(found, "smartctl", "messages"))[:200]


def attributes(device: str, found: Mapping[str, Any], code: int) -> dict[str, Any]:
    """Return the facts of a disk from `smartctl --json -a`, whose exit code was `code`."""
    rate = number(found, "rotation_rate")
    rotating = None if rate is None else bool(rate)
    if text(found, "device", "protocol") == "NVMe":
        rotating = False
    counts = _counts(found)
    return facts(
        device=device,
        size_bytes=number(found, "user_capacity", "bytes"),
        medium={None: "", True: "rotating", False: "solid state"}[rotating],
        manufacturer=text(found, "scsi_vendor") or text(found, "vendor"),
        model=text(found, "model_name") or text(found, "product"),
        serial=text(found, "serial_number"),
        firmware=text(found, "firmware_version") or text(found, "scsi_revision") or text(found, "revision"),
        smart_health=verdict(code, found, counts),
        smart_power_on_hours=_down(number(found, "power_on_time", "hours"), HOURS_STEP),
        smart_written_bytes=coarse(_written(found)),
        **{f"smart_{name}": coarse(count) for name, count in counts.items()},
    )


def verdict(code: int, found: Mapping[str, Any], counts: Mapping[str, int | None]) -> str:
    """Return passed, warning or failed; "" where the disk does not judge itself.

    Failed: the disk says that it fails. Warning: it does not, and sectors are unreadable, it is worn out, an attribute
    is below its threshold now, or its last self-test failed. Errors of the past alone are no warning.
    """
    passed = at(found, "smart_status", "passed")
    if passed is False or code & FAILING:
        return "failed"
    unreadable = any((counts.get(name) or 0) > 0 for name in ("pending_sectors", "uncorrectable_errors"))
    if code & (PREFAIL | SELF_TEST) or unreadable or (counts.get("wear_percent") or 0) >= 100:
        return "warning"
    return "passed" if passed is True else ""


def coarse(count: int | None) -> int | None:
    """Return a count by its first two digits, the rest 0."""
    if count is None or count < 100:
        return count
    step: int = 10 ** (len(str(count)) - 2)
    return _down(count, step)


def _down(count: int | None, step: int) -> int | None:
    return None if count is None else count - count % step


def _counts(found: Mapping[str, Any]) -> dict[str, int | None]:
    """Return the counts that tell of a disk's end, whichever protocol names them."""
    table = {number(each, "id"): each for each in items(found, "ata_smart_attributes", "table")}

    def raw(id_: int) -> int | None:
        return _natural(number(table.get(id_), "raw", "value"))

    uncorrectable = raw(_UNCORRECTABLE)
    uncorrected = [number(at(found, "scsi_error_counter_log", way), "total_uncorrected_errors") for way in _WAYS]
    told = [each for each in uncorrected if each is not None]
    reallocated, media = raw(_REALLOCATED), number(found, "nvme_smart_health_information_log", "media_errors")
    return {
        "reallocated_sectors": number(found, "scsi_grown_defect_list") if reallocated is None else reallocated,
        "pending_sectors": raw(_PENDING),
        "uncorrectable_errors": next(
            (each for each in (uncorrectable, raw(_REPORTED), media, sum(told) if told else None) if each is not None),
            None,
        ),
        "wear_percent": _wear(found, table.values()),
    }


_WAYS = ("read", "write", "verify")


def _wear(found: Mapping[str, Any], table: Iterable[Mapping[str, Any]]) -> int | None:
    """Return how much of its life a disk of flash is through, by its own word; may pass 100."""
    for path in (
        ("nvme_smart_health_information_log", "percentage_used"),
        ("endurance_used", "current_percent"),
        ("scsi_percentage_used_endurance_indicator",),
    ):
        told = _natural(number(found, *path))
        if told is not None:
            return told
    left = [number(each, "value") for each in table if text(each, "name") in _REMAINING]
    return next((100 - each for each in left if each is not None and 0 < each <= 100), None)


def _written(found: Mapping[str, Any]) -> int | None:
    units = number(found, "nvme_smart_health_information_log", "data_units_written")
    if units is not None:
        return units * _NVME_UNIT
    block = number(found, "logical_block_size")
    for each in items(found, "ata_smart_attributes", "table"):
        if number(each, "id") == _LBAS and text(each, "name") == "Total_LBAs_Written" and block:
            written = _natural(number(each, "raw", "value"))
            return written * block if written else None
    return None


def _natural(count: int | None) -> int | None:
    return count if count is not None and count >= 0 else None
