"""A folder with a quota, shown as a file system: where a service keeps files until somebody collects them.

The quota makes a full disk that harms nobody else. Sizes are in bytes.
"""

from __future__ import annotations

from pathlib import Path

from tongchou.demo.shop.frame import Frame
from tongchou.demo.shop.http1 import Request, Response, answer

QUOTA_BYTES = 64_000_000
KEPT_FILES = 200  # the newest stay; older ones count as collected
MOUNTPOINT = "/var/spool/shop"


class Full(Exception):
    """The quota leaves no room."""


class Spool:
    """Keeps small files under `folder`; `write` raises Full. POST /spool/free empties it."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._folder = Path(frame.settings.folder) / "spool" / frame.settings.name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sizes = {path.name: path.stat().st_size for path in sorted(self._folder.iterdir())}
        labels = ("mountpoint", "fstype", "device")
        key = (MOUNTPOINT, "quota", frame.settings.name)
        size = frame.registry.gauge("node_filesystem_size_bytes", "Quota of the spool.", labels)
        available = frame.registry.gauge("node_filesystem_avail_bytes", "What the quota leaves.", labels)
        size.set(QUOTA_BYTES, *key)
        frame.registry.before.append(lambda: available.set(max(0, QUOTA_BYTES - self.used_bytes), *key))
        frame.guarded("POST", "/spool/free", self.free)

    @property
    def used_bytes(self) -> int:
        """What the files take."""
        return sum(self._sizes.values())

    def write(self, name: str, text: str) -> None:
        """Keep a file. The switch `spool_bytes` makes every file that much larger and stops the collection."""
        padding = int(self._frame.switches.get("spool_bytes", 0))
        body = text.encode() + b" " * padding
        if self.used_bytes + len(body) > QUOTA_BYTES:
            raise Full(f"{MOUNTPOINT} is full")
        (self._folder / name).write_bytes(body)
        self._sizes[name] = len(body)
        if not padding and len(self._sizes) > KEPT_FILES:
            self._remove(next(iter(self._sizes)))

    def _remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
        self._sizes.pop(name, None)

    async def free(self, _request: Request) -> Response:
        """Remove every file; answers how many bytes that freed."""
        freed = self.used_bytes
        for name in list(self._sizes):
            self._remove(name)
        return answer({"freed_bytes": freed})
