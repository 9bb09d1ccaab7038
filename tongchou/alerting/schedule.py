"""When rule groups are due: aligned to their interval, each at its own stable offset, so that not all run at once."""

from __future__ import annotations

import hashlib
import math


def offset_seconds(key: str, interval_seconds: float) -> float:
    """Where in the interval a group runs: from 0 to below the interval, the same after every restart."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * interval_seconds


def slot(now: float, interval_seconds: float, offset: float) -> int:
    """The number of the latest evaluation time at or before ``now`` (Unix seconds)."""
    return math.floor((now - offset) / interval_seconds)


def slot_time(number: int, interval_seconds: float, offset: float) -> float:
    """The time of an evaluation, to the millisecond, as samples have it."""
    return round((number * interval_seconds + offset) * 1000) / 1000


def missed(previous: int, current: int) -> int:
    """How many evaluation times between two evaluations passed without one."""
    return max(0, current - previous - 1)
