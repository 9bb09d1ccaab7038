"""Free ports below the kernel's ephemeral range.

A port of a process that is down must still be free when the process comes back; a port from the ephemeral range could
meanwhile have become the local end of somebody's outgoing connection.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

FIRST, LAST = 15_000, 31_000


def is_free(port: int) -> bool:
    """Whether nothing on loopback listens on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """`count` different ports that nothing on loopback listens on now. Raises OSError when there are not enough."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(FIRST, LAST), k=min(LAST - FIRST, count * 20)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports between {FIRST} and {LAST}")


def kept_ports(path: Path, names: Sequence[str]) -> dict[str, int]:
    """A port for each name: those of the last run, kept in `path`, while all of them are free, else new ones."""
    with contextlib.suppress(OSError, ValueError):
        kept: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
        if set(kept) == set(names) and all(is_free(port) for port in kept.values()):
            return kept
    fresh = dict(zip(names, free_ports(len(names)), strict=True))
    path.write_text(json.dumps(fresh), encoding="utf-8")
    return fresh
