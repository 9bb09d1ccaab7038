"""What systemd is told (Type=notify): ready, still alive, stopping. Without NOTIFY_SOCKET all of it does nothing."""

from __future__ import annotations

import asyncio
import os
import socket


def tell(state: str) -> bool:
    """Send one state ("READY=1"); whether somebody was told. Never raises: the server runs without systemd too."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.settimeout(2.0)
            out.connect("\0" + address[1:] if address.startswith("@") else address)
            out.sendall(state.encode())
    except OSError:
        return False
    return True


def watchdog_seconds() -> float | None:
    """Return how often systemd wants to hear of this process (half of WatchdogSec), None when it does not."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or int(microseconds) == 0:
        return None
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000


async def keep_telling() -> None:
    """Say on the event loop that we live: a loop that hangs falls silent, and systemd starts the server again."""
    seconds = watchdog_seconds()
    while seconds is not None:
        tell("WATCHDOG=1")
        await asyncio.sleep(seconds)
