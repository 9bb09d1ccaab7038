"""Reports of agents, made up: machines that are not there."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def reading(name: str = "box-1", *, machine_id: str = "a" * 32, mac: str = "52:54:00:00:00:01", **more: Any) -> Any:
    """What a machine tells of itself; `more` replaces parts."""
    return {
        "version": 1,
        "machine": {
            "hostname": name,
            "machine_id": machine_id,
            "os": "Debian GNU/Linux 12",
            "cpu_count": 4,
            "memory_bytes": 8_000_000_000,
        },
        "disks": [{"name": "sda", "size_bytes": 64_000_000_000, "medium": "solid state"}],
        "filesystems": [{"mountpoint": "/", "device": "/dev/sda1", "type": "ext4", "size_bytes": 60_000_000_000}],
        "interfaces": [{"name": "eth0", "mac": mac, "addresses": ["10.0.0.2"], "mtu": 1500, "up": True}],
        "listeners": [{"port": 5432, "addresses": ["0.0.0.0"], "process": "postgres", "user": "postgres"}],
        "connections": {"addresses": ["10.0.0.2"], "edges": []},
        "refused": {},
        "notes": [],
        **more,
    }


def body(read: Any, *, run: str = "", number: int = 1, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    """A report as it is sent."""
    return {
        "run": run or uuid.uuid4().hex,
        "number": number,
        "at": at.isoformat(),
        "agent": "0.2.0",
        "interval_seconds": 60,
        "reading": read,
        **more,
    }
