"""Reads the facts of this machine, each sort in one function, all as what JSON can say.

Facts that seldom change only: sizes and names, never readings such as free space or load, and never a PID.
"""

from __future__ import annotations

import platform
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

# what the operating system answers when it does not tell
REFUSED = (psutil.Error, OSError, NotImplementedError, RuntimeError)
MAX_LISTENERS = 1000
SECTOR_BYTES = 512  # of /sys/block/*/size, whatever the disk's own sector size
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")
VIRTUAL_DISK = re.compile(r"\A(loop|ram|zram|fd|sr|dm-|md|nbd)\d*")
VIRTUAL_INTERFACE = re.compile(r"\A(lo|veth|ifb|docker|br-|virbr|cali|flannel|tap|tun|dummy)\d*")


def _read(path: str) -> str:
    """The first line of a small file of the kernel, empty when there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def told(**facts: Any) -> dict[str, Any]:
    """Return those of the facts that say something."""
    return {name: value for name, value in facts.items() if value not in (None, "", [])}


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return f"{platform.system()} {platform.release()}"


def machine_id() -> str:
    """Return what /etc/machine-id of this machine says; "" when it has none."""
    return _read("/etc/machine-id")


def machine() -> dict[str, Any]:
    """Return the machine itself. `container`: its UUID and serial number are those of what is below it."""
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return told(
        hostname=socket.gethostname() or "localhost",
        machine_id=machine_id(),
        uuid=_read("/sys/class/dmi/id/product_uuid"),
        container=any(Path(each).exists() for each in CONTAINER_MARKS),
        os=_os_name(),
        kernel=platform.release(),
        architecture=platform.machine(),
        cpu_model=model.group(1).strip() if model else "",
        cpu_count=psutil.cpu_count(),
        memory_bytes=psutil.virtual_memory().total,
        swap_bytes=psutil.swap_memory().total,
        product=_read("/sys/class/dmi/id/product_name"),
        vendor=_read("/sys/class/dmi/id/sys_vendor"),
        serial=_read("/sys/class/dmi/id/product_serial"),
    )


def disks() -> list[dict[str, Any]]:
    """Return the block devices that are hardware, or look like it to this machine (Linux)."""
    found = []
    root = Path("/sys/block")
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        sectors = _read(f"{path}/size")
        if VIRTUAL_DISK.match(path.name) or not sectors.isdigit() or sectors == "0":
            continue
        rotational = _read(f"{path}/queue/rotational")
        one = told(
            name=path.name,
            size_bytes=int(sectors) * SECTOR_BYTES,
            model=_read(f"{path}/device/model"),
            serial=_read(f"{path}/device/serial") or _read(f"{path}/serial"),
            medium={"0": "solid state", "1": "rotating"}.get(rotational, ""),
        )
        found.append(one)
    return found


def filesystems() -> list[dict[str, Any]]:
    """Return mounted file systems on devices, and / whatever it is on (a container's overlay)."""
    mounts = {part.mountpoint: part for part in psutil.disk_partitions(all=False)}
    if "/" not in mounts:
        mounts |= {part.mountpoint: part for part in psutil.disk_partitions(all=True) if part.mountpoint == "/"}
    found = []
    for mount, part in sorted(mounts.items()):
        if not Path(mount).is_dir() or part.fstype in ("squashfs", "iso9660"):
            continue  # a file bound into a container, or an image that is full by nature
        one = told(mountpoint=mount, device=part.device, type=part.fstype, size_bytes=psutil.disk_usage(mount).total)
        found.append(one)
    return found


def interfaces() -> list[dict[str, Any]]:
    """Return the network interfaces that reach beyond this machine."""
    states = psutil.net_if_stats()
    found = []
    for name, addresses in sorted(psutil.net_if_addrs().items()):
        if VIRTUAL_INTERFACE.match(name):
            continue
        mac = next((each.address for each in addresses if each.family == psutil.AF_LINK), "")
        ips = sorted(
            each.address.partition("%")[0] for each in addresses if each.family in (socket.AF_INET, socket.AF_INET6)
        )
        state = states.get(name)
        one = told(
            name=name, mac=mac, addresses=ips, mtu=state.mtu if state else None, up=state.isup if state else None
        )
        if state and 0 < state.speed < 65_535:  # 65,535 is the kernel's word for unknown
            one["speed_mbps"] = state.speed
        found.append(one)
    return found


def listeners() -> list[dict[str, Any]]:
    """Return the TCP ports something listens on, with the process's name where this process may know it."""
    ports: dict[int, tuple[set[str], set[int]]] = {}
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        addresses, pids = ports.setdefault(connection.laddr.port, (set(), set()))
        addresses.add(connection.laddr.ip)
        if connection.pid:
            pids.add(connection.pid)
    found = []
    for port, (addresses, pids) in sorted(ports.items())[:MAX_LISTENERS]:
        names, users = _processes(pids)
        one = told(port=port, addresses=sorted(addresses), process=", ".join(names), user=", ".join(users))
        found.append(one)
    return found


def _processes(pids: set[int]) -> tuple[list[str], list[str]]:
    """Names and users of processes; one that ends meanwhile, or is not ours to see, is left out."""
    names, users = set(), set()
    for pid in pids:
        try:
            process = psutil.Process(pid)
            names.add(process.name())
            users.add(process.username())
        except psutil.Error:
            continue
    return sorted(names), sorted(users)


def processes(pids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Return (name, path of the program) of processes; one that ended, or is not ours to see, is left out."""
    found = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            words = process.cmdline()  # the link to the program itself is root's alone to read
            found[pid] = (process.name(), words[0] if words else "")
        except psutil.Error:
            continue
    return found
