"""The C library's memory in a server of many threads: few arenas, and what is free goes back to the system.

glibc gives every few threads an arena of their own, and each keeps what it once needed: measured at ten times the
demo's load, 64 of the 165 MB of all arenas were free after five minutes. Elsewhere this does nothing. The telemetry
store has allocators of its own; they are asked too.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

ARENAS = 2  # of Python's threads one runs at a time; what runs beside them (chDB) has an allocator of its own
EVERY_SECONDS = 60.0
M_ARENA_MAX = -8  # malloc.h
log = logging.getLogger(__name__)


@cache
def _glibc() -> Any:
    """The C library, or None where it is not glibc (musl, macOS)."""
    try:
        library = ctypes.CDLL(None)
        if not (hasattr(library, "gnu_get_libc_version") and hasattr(library, "malloc_trim")):
            return None
    except OSError:
        return None
    return library


def few_arenas() -> bool:
    """Keep the number of arenas small; call before threads begin. Tells whether it took."""
    library = _glibc()
    return library is not None and library.mallopt(M_ARENA_MAX, ARENAS) == 1


def give_back() -> bool:
    """Give free memory of all arenas back to the system. Tells whether there was some."""
    library = _glibc()
    return library is not None and library.malloc_trim(ctypes.c_size_t(0)) == 1


def keep_giving_back(over: threading.Event, *others: Callable[[], None]) -> threading.Thread:
    """Start a thread that gives memory back every minute until `over` is set, of `others` (the store) too."""
    from tongchou.core.problems import Problem

    def turn() -> None:
        while not over.wait(EVERY_SECONDS):
            for other in others:
                try:
                    other()
                except Problem:  # a store that is busy or closing: the next minute comes
                    log.warning("memory was not given back", exc_info=True)
            give_back()

    thread = threading.Thread(target=turn, name="give-back", daemon=True)
    thread.start()
    return thread
