"""Sends the shop's log lines to the platform, as any shipper would: Loki push with a token.

Reads the processes' log files as they grow, sends batches, and keeps at most HELD lines while the platform is away:
then the oldest are dropped and counted. What was not acknowledged is sent again, byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

HELD = 20_000
BATCH = 2_000
PAUSE_SECONDS = 0.5
READ_BYTES = 1_000_000

Line = tuple[str, str, int, str]  # service, instance, time in ns, text


class LogPusher:
    """Lines of `folder`/*.jsonl on their way to a platform; nothing is sent before `connect`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dropped = self.sent = 0
        self._held: deque[Line] = deque()
        # inode -> bytes read; what an earlier run wrote was sent by that run
        self._places = {path.stat().st_ino: path.stat().st_size for path in folder.glob("*.jsonl")}
        self._last_ns: dict[str, int] = {}
        self._waiting: tuple[bytes, int] | None = None
        self._address: tuple[str, str] | None = None

    def connect(self, facts: Mapping[str, Any]) -> None:
        """Where to push and with which token: {"url": .., "token": ..}. Raises KeyError."""
        self._address = (str(facts["url"]), str(facts["token"]))

    @property
    def held(self) -> int:
        """Lines that wait."""
        return len(self._held)

    def read(self) -> None:
        """Take what the files have grown by; a rotated file is read on from its new name first."""
        present = set()
        for path in sorted(self.folder.glob("*.jsonl"), key=lambda each: not each.name.endswith(".1.jsonl")):
            with contextlib.suppress(OSError):
                present.add(self._read(path))
        for inode in self._places.keys() - present:  # its number may be given to another file
            del self._places[inode]
        while len(self._held) > HELD:
            self._held.popleft()
            self.dropped += 1

    def _read(self, path: Path) -> int:
        """Read on in one file; returns its inode, which a rotation does not change."""
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            at = self._places.get(facts.st_ino, 0)
            file.seek(at if at <= facts.st_size else 0)
            text = file.read(READ_BYTES)
            end = text.rfind(b"\n") + 1
            self._places[facts.st_ino] = file.tell() - len(text) + end
        for raw in text[:end].splitlines():
            self._take(path, raw.decode(errors="replace"))
        return facts.st_ino

    def _take(self, path: Path, text: str) -> None:
        service, instance, ts_ns = "shop", path.name.partition(".")[0], time.time_ns()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            held = json.loads(text)
            service, instance = str(held["service"]), str(held["instance"])
            ts_ns = round(datetime.fromisoformat(held["ts"]).timestamp() * 1e6) * 1000
        ts_ns = max(ts_ns, self._last_ns.get(instance, 0) + 1)  # lines of one millisecond keep their order
        self._last_ns[instance] = ts_ns
        self._held.append((service, instance, ts_ns, text))

    def batch(self) -> tuple[bytes, int] | None:
        """The next body to send and its lines; the same again until `acknowledged`. None when nothing waits."""
        if self._waiting is None and self._held:
            streams: dict[tuple[str, str], list[list[str]]] = {}
            count = min(BATCH, len(self._held))
            for _line in range(count):
                service, instance, ts_ns, text = self._held.popleft()
                streams.setdefault((service, instance), []).append([str(ts_ns), text])
            body = {
                "streams": [
                    {"stream": {"service": service, "instance": instance, "job": "shop"}, "values": values}
                    for (service, instance), values in streams.items()
                ]
            }
            self._waiting = (json.dumps(body, ensure_ascii=False).encode(), count)
        return self._waiting

    def acknowledged(self) -> None:
        """The last batch is done with."""
        if self._waiting is not None:
            self.sent += self._waiting[1]
            self._waiting = None

    async def run(self) -> None:
        """Read and send until cancelled."""
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            while True:
                if self._address is not None:
                    await asyncio.to_thread(self.read)
                    while await self._send(client):
                        pass
                await asyncio.sleep(PAUSE_SECONDS)

    async def _send(self, client: httpx.AsyncClient) -> bool:
        """Send one batch; whether there may be more to send now."""
        found = self.batch()
        if found is None or self._address is None:
            return False
        url, token = self._address
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            answer = await client.post(f"{url}/loki/api/v1/push", content=found[0], headers=headers)
        except httpx.HTTPError:
            return False
        if answer.status_code in (429, 500, 502, 503, 504, 507, 401, 403):
            return False  # later, or with another token
        if answer.status_code == 204:
            self.acknowledged()
        else:  # it would be refused again
            self.dropped += found[1]
            self._waiting = None
        return True
