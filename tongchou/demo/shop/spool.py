"""A folder with a quota, shown as a file system: where a service keeps documents until they are too old to matter.

The quota makes a full disk that harms nobody else. Sizes are in bytes. The collector removes the oldest documents; when
it has stopped, they pile up until a write is refused. What is kept here are copies: the orders are in the database.
"""

from __future__ import annotations

from pathlib import Path

from tongchou.demo.shop.frame import Frame
from tongchou.demo.shop.http1 import Request, Response, answer

QUOTA_BYTES = 64_000_000
KEPT_FILES = 200  # the newest stay; older ones count as collected
KEPT_BYTES = QUOTA_BYTES // 2  # the collector leaves no more than this, but always the newest document
FREED_TO_BYTES = QUOTA_BYTES // 8  # what is left after an operator asked for room
MOUNTPOINT = "/var/spool/shop"


class Full(Exception):
    """The quota leaves no room."""


class Spool:
    """Keeps small files under `folder`; `write` raises Full. POST /spool/free makes room.

    Switches: `spool_bytes` makes every document that much larger, `collector_stopped` stops the collector.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._folder = Path(frame.settings.folder) / "spool" / frame.settings.name
        self._folder.mkdir(parents=True, exist_ok=True)
        found = sorted((path.stat().st_mtime_ns, path.name, path.stat().st_size) for path in self._folder.iterdir())
        self._sizes = {name: size for _written, name, size in found}  # oldest first
        self.used_bytes = sum(self._sizes.values())
        labels = ("mountpoint", "fstype", "device")
        key = (MOUNTPOINT, "quota", frame.settings.name)
        size = frame.registry.gauge("node_filesystem_size_bytes", "Quota of the spool.", labels)
        available = frame.registry.gauge("node_filesystem_avail_bytes", "What the quota leaves.", labels)
        self._collected = frame.registry.counter("shop_spool_collected_total", "Documents the collector removed.")
        size.set(QUOTA_BYTES, *key)
        frame.registry.before.append(lambda: available.set(max(0, QUOTA_BYTES - self.used_bytes), *key))
        frame.guarded("POST", "/spool/free", self.free)

    def write(self, name: str, text: str) -> None:
        """Keep a document; one of the same name is replaced. Raises Full, OSError."""
        body = text.encode() + b" " * int(self._frame.switches.get("spool_bytes", 0))
        collects = not self._frame.switches.get("collector_stopped")
        if collects and not self._has_room(name, body):
            self._collect(KEPT_FILES, KEPT_BYTES)
        if not self._has_room(name, body):
            raise Full(f"{MOUNTPOINT} is full")
        (self._folder / name).write_bytes(body)
        self.used_bytes += len(body) - self._sizes.pop(name, 0)
        self._sizes[name] = len(body)
        if collects:
            self._collect(KEPT_FILES, KEPT_BYTES)

    def _has_room(self, name: str, body: bytes) -> bool:
        return self.used_bytes - self._sizes.get(name, 0) + len(body) <= QUOTA_BYTES

    def _collect(self, files: int, most_bytes: int) -> int:
        """Remove the oldest documents until at most so many, of so many bytes, are left; returns how many went."""
        removed = 0
        while len(self._sizes) > 1 and (len(self._sizes) > files or self.used_bytes > most_bytes):
            name = next(iter(self._sizes))
            (self._folder / name).unlink(missing_ok=True)
            self.used_bytes -= self._sizes.pop(name)
            removed += 1
        self._collected.add(removed)
        return removed

    async def free(self, _request: Request) -> Response:
        """Start the collector again and let it remove the oldest documents at once; repeating it is harmless."""
        self._frame.switches["collector_stopped"] = 0.0
        before = self.used_bytes
        removed = self._collect(KEPT_FILES, FREED_TO_BYTES)
        self._frame.log.warning("spool collected", documents=removed, freed_bytes=before - self.used_bytes)
        return answer({"freed_bytes": before - self.used_bytes, "documents": removed, "used_bytes": self.used_bytes})
