"""Free ports below the kernel's ephemeral range.

A port of a process that is down must still be free when the process comes back; a port from the ephemeral range could
meanwhile have become the local end of somebody's outgoing connection.
"""

from __future__ import annotations

import random
import socket

FIRST, LAST = 15_000, 31_000


def free_ports(count: int) -> list[int]:
    """`count` different ports that nothing on loopback listens on now. Raises OSError when there are not enough."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(FIRST, LAST), k=min(LAST - FIRST, count * 20)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports between {FIRST} and {LAST}")
